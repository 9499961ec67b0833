"""The site: pages over a small database show what was recorded, escape it, and cannot change it; and a browser without JavaScript can use them."""

import asyncio
import json
import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import onnx
import pytest

from opcompat import probe, serving, store
from opcompat.outcome import Result, Run
from opcompat.serving import ServeError

pytest.importorskip("datasette")

SCRIPT = "cannot <script>alert(1)</script> & 'Conv_0'"
HEADER = {
    "target": "paper/npu", "requires": None, "related": ["real/cpu"], "fallback": None, "aliases": [], "about": "A document.", "title": "Ops",
    "publisher": "Vendor", "version": "1", "date": "2024-08",
}  # fmt: skip
CLAIMS = [
    {"op_type": "Conv", "domain": "", "status": "supported", "when": {"dtype": ["float32", "float16"]}, "limits": {"X.rank": {"max": 4}}},
    {"op_type": "Conv", "domain": "", "status": "partial", "when": {"dtype": {"not": "int8"}, "quantised": "none"}, "unchecked": "more in prose"},
    {"op_type": "Celu", "domain": "", "status": "unsupported"},
    {"op_type": "*", "domain": "", "status": "partial", "limits": {"rank.max": {"max": 5}}},
]
PROBES = probe.load(["conv"])[:6]
OUTCOMES: list[dict[str, Any]] = [
    {"outcome": "pass", "stage": "compare", "placement": "native", "max_abs": 1e-7, "max_rel": 1e-7, "tolerance": "abs 1e-05", "oracle": "both"},
    {"outcome": "fail", "stage": "compile", "message": SCRIPT, "error_class": "<b>Error"},
    {"outcome": "wrong", "stage": "compare", "message": "output 0 is off", "max_abs": 3.0, "max_rel": 1.5, "tolerance": "abs 1e-05"},
    {"outcome": "crash", "stage": "run", "message": "SIGSEGV", "stderr": "<img src=x>", "attempts": 2, "agreeing": 1},
    {"outcome": "broken", "stage": "start", "message": "our fault"},
    {"outcome": "pass", "stage": "compare", "placement": "fallback"},
]
PAGE = f"/probe/{PROBES[1].id}"


def record(folder: Path, target: str, version: str, outcomes: list[dict[str, Any]]) -> None:
    run = Run(target, version, {"sdk": version}, {"threads": "<one>"}, {"os": "Linux"}, "0.1.0", f"2025-01-0{version[0]}T00:00:00+00:00")
    with store.RunWriter(run, folder) as writer:
        for p, found in zip(PROBES, outcomes, strict=False):
            writer.write(Result(p.id, p.digest, **found))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    record(folder / "runs", "real/cpu", "1.0", OUTCOMES[:1] * 6)
    record(folder / "runs", "real/cpu", "2.0", OUTCOMES)
    record(folder / "runs", "real/npu-x", "1.0", OUTCOMES[:1] * 6)
    (folder / "claims").mkdir()
    (folder / "claims" / "paper.jsonl").write_text("\n".join(map(json.dumps, [HEADER, *CLAIMS])))
    store.build(folder / "small.db", folder / "runs", folder / "claims", PROBES)
    return folder / "small.db"


@pytest.fixture(scope="module")
def site(database: Path) -> Any:
    return serving.app(database)


def get(site: Any, path: str, status: int = 200) -> Any:
    answer = asyncio.run(site.client.get(path))
    assert answer.status_code == status, f"{path}: {answer.status_code} {answer.text[:500]}"
    return answer


def test_the_start_page_is_a_matrix_of_current_facts(site: Any) -> None:
    text = get(site, "/").text
    row = re.search(r"<tr><th scope=\"row\"><a href=\"/operator/ai.onnx/Conv\">Conv</a>.*?</tr>", text, re.S)
    assert row
    cells = re.findall(r"<td class=\"([^\"]*)\"[^>]*>(?:<a [^>]*title=\"([^\"]*)\">)?([^<]*)<", row[0])
    assert [(c[0], c[2]) for c in cells] == [("partly", "◐ 1/5"), ("works", "✓ 6/6"), ("partly claimed", "◐ limits")]
    assert cells[0][1] == "Conv on real/cpu 2.0: 1 of 5 variants work, 1 fall back, 1 refused, 1 wrong numbers, 1 crash"
    assert "✗ no" in text and "Celu" in text
    assert 'href="/operator/ai.onnx/*"' not in text
    assert "<script" not in text


def test_the_matrix_can_be_narrowed(site: Any) -> None:
    assert "/operator/ai.onnx/Celu" not in get(site, "/?operator=conv").text
    assert "paper/npu" not in get(site, "/?evidence=measured").text
    assert "/operator/ai.onnx/Celu" not in get(site, "/?show=trouble").text
    assert "No operator matches" in get(site, "/?operator=%3Cscript%3E").text


def test_an_operator_shows_variants_blame_and_documents(site: Any) -> None:
    text = get(site, "/operator/ai.onnx/Conv").text
    for p in PROBES:
        assert f'href="/probe/{p.id}"' in text
    for words in ("✗ refused", "✗ wrong numbers", "✗ crash", "↷ falls back", "X.rank is at most 4", "dtype is other than int8", "more in prose"):
        assert words in text, words
    assert "our fault" not in text
    assert PROBES[0].id not in re.sub(r"(?s)<h2>In short.*?</table>", "", get(site, "/operator/ai.onnx/Conv?show=trouble").text)


def test_a_target_shows_counts_messages_and_operators(site: Any) -> None:
    text = get(site, "/target/real/cpu").text
    for words in ("2.0", "✗ 1 refused", "– 1 not measured (our tooling)", "✓ 6 works", "SIGSEGV", "/operator/ai.onnx/Conv", "paper/npu", "threads"):
        assert words in text, words
    text = get(site, "/target/paper/npu").text
    assert "Vendor: Ops" in text and "every operator" in text and "/target/real/cpu" in text


def test_a_probe_shows_everything_and_escapes_it(site: Any) -> None:
    text = get(site, PAGE).text
    assert "cannot &lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;Conv_0&#39;" in text
    assert "<script" not in text and "<b>Error" not in text and "&lt;one&gt;" in text
    for words in ("stage <b>compile</b>", f"opcompat repro &#39;{PROBES[1].id}&#39; -o probe.onnx", "Older versions", "since_version", "sdk 2.0"):
        assert words in text, words
    text = get(site, f"/probe/{PROBES[2].id}").text
    assert "3 absolute, 1.5 relative" in text and "abs 1e-05" in text
    assert "<img" not in get(site, f"/probe/{PROBES[3].id}").text
    assert "says nothing about the runtime" in get(site, f"/probe/{PROBES[4].id}").text


def test_the_minimal_model_can_be_downloaded(site: Any) -> None:
    for p in PROBES:
        answer = get(site, f"/probe-model/{p.id}.onnx")
        assert answer.headers["content-disposition"].startswith('attachment; filename="conv_Conv')
        onnx.checker.check_model(onnx.load_model_from_string(answer.content))
        assert answer.content == p.model


def test_every_question_can_be_asked(site: Any) -> None:
    queries = asyncio.run(site.get_canned_queries("compat", None))
    start = get(site, "/").text
    assert len(queries) >= 7
    for name, query in queries.items():
        assert query["title"] and query["description"] and f"/compat/{name}" in start
        assert get(site, f"/compat/{name}.json?_shape=objects").json()["ok"]
        get(site, f"/compat/{name}")

    def rows(query: str) -> list[dict[str, Any]]:
        return list(get(site, f"/compat/{query}_shape=array").json())

    assert [r["probe"] for r in rows("crashes.json?")] == [PROBES[3].id]
    assert [r["probe"] for r in rows("wrong_numbers.json?")] == [PROBES[2].id]
    assert len(rows("what_broke.json?target=real/cpu&")) == 3 and not rows("what_broke.json?target=real/npu-x&")
    assert {(r["documented"], r["target"]) for r in rows("documented_but_failing.json?")} == {("paper/npu", "real/cpu")}
    assert len(rows("changed.json?")) == 3
    assert len(rows("flaky.json?")) == 1
    assert {r["target"] for r in rows("variant_everywhere.json?operator=Conv&")} == {"real/cpu", "real/npu-x"}
    assert not rows("variant_everywhere.json?operator=Conv&fact=dtype&value=int3&")


def test_documents_are_compared_only_where_they_speak(site: Any) -> None:
    """The conditions of the question's SQL agree with those of the checker, on every probe."""
    from opcompat.predict import holds

    found = {r["probe"] for r in get(site, "/compat/documented_but_failing.json?_shape=array").json()}
    expected = set()
    for p, r in zip(PROBES, OUTCOMES, strict=True):
        facts = {**p.facts, "rank.max": max(v for k, v in p.facts.items() if k.endswith(".rank"))}
        for c in CLAIMS[:2]:
            speaks = all(k in facts and holds(v, facts[k]) for k, v in c.get("when", {}).items())
            kept = all(holds(v, facts[k]) for k, v in c.get("limits", {}).items() if k in facts)
            if speaks and kept and r["outcome"] in ("fail", "wrong", "crash"):
                expected.add(p.id)
    assert found == expected


def test_tables_link_to_the_pages(site: Any) -> None:
    text = get(site, "/compat/what_broke").text
    assert f'<a href="{PAGE}">' in text and '<a href="/target/real/cpu">' in text and '<a href="/operator/ai.onnx/Conv">Conv</a>' in text
    assert "<script>alert" not in text


def test_nothing_can_be_written(site: Any, database: Path) -> None:
    before = database.read_bytes()
    assert not site.get_database("compat").is_mutable
    for sql in ("DELETE FROM results", "UPDATE probes SET family = ''", "PRAGMA user_version = 9", "ATTACH 'x.db' AS x"):
        answer = asyncio.run(site.client.get("/compat", params={"sql": sql}))
        assert answer.status_code == 400
    with pytest.raises(Exception, match=r"readonly|read-only"):
        asyncio.run(site.get_database("compat").execute("DELETE FROM results"))
    assert database.read_bytes() == before


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/operator/ai.onnx/conv", "Did you mean Conv?"), ("/operator/ai.onnx/Nope", "Nothing is recorded"),
        ("/operator/com.nope/Conv", "Nothing is recorded"), ("/target/real/cpx", "Did you mean real/cpu"),
        ("/probe/conv/Conv:nope", "There is no probe"), ("/probe-model/nope.onnx", "There is no probe"),
        ("/nonsense", "Not found"), ("/operator/ai.onnx/<script>", "&lt;script&gt;"),
    ],
)  # fmt: skip
def test_unknown_names_get_a_friendly_page(site: Any, path: str, words: str, capsys: pytest.CaptureFixture[str]) -> None:
    answer = asyncio.run(site.client.get(path, follow_redirects=True))
    assert answer.status_code == 404
    assert "Not found" in answer.text and "All operators and targets" in answer.text and "<script" not in answer.text
    assert words in answer.text or "%" in str(answer.url) or "~" in str(answer.url)
    assert "Traceback" not in "".join(capsys.readouterr())


def test_what_cannot_be_served_is_one_sentence(tmp_path: Path, database: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ServeError, match="does not exist"):
        serving.app(tmp_path / "none.db")
    (tmp_path / "bad.db").write_bytes(b"no database" * 1000)
    with pytest.raises(ServeError, match="damaged"):
        serving.app(tmp_path / "bad.db")
    with pytest.raises(ServeError, match="Datasette opens no file"):
        serving.app(Path(shutil.copy(database, tmp_path / "a#b.db")))
    monkeypatch.setenv("OPCOMPAT_DB", str(database))
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(ServeError, match=r"cannot listen on 127\.0\.0\.1 port \d+"):
        serving.main("127.0.0.1", taken.getsockname()[1])
    with pytest.raises(ServeError, match="cannot listen"):
        serving.main("127.0.0.1", 70000)
    monkeypatch.setitem(sys.modules, "datasette.app", None)
    with pytest.raises(ServeError, match=r"pip install 'opcompat\[site\]'"):
        serving.app(database)


# ---- in a browser --------------------------------------------------------------------------------------------------------------------

FLAGS = "headless no-sandbox disable-gpu disable-quic no-first-run disable-background-networking disable-component-update disable-sync"


@pytest.fixture(scope="module")
def address(database: Path) -> Iterator[str]:
    environment = {**os.environ, "OPCOMPAT_DB": str(database)}
    with socket.create_server(("127.0.0.1", 0)) as probing:
        port = probing.getsockname()[1]
    command = [sys.executable, "-m", "opcompat.cli", "serve", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as server:
        try:
            assert server.stdout
            line = server.stdout.readline()
            found = re.search(r"http://\S+:\d+", line)
            assert found, line
            yield found[0]
        finally:
            server.terminate()


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    api = pytest.importorskip("playwright.sync_api")
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if not chromium:
        pytest.skip("no Chromium on this machine")
    with api.sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium, args=[f"--{flag}" for flag in FLAGS.split()])
        yield started
        started.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [1280, 390])
def test_a_person_finds_the_evidence_without_javascript(address: str, browser: Any, width: int) -> None:
    page = browser.new_page(java_script_enabled=False, viewport={"width": width, "height": 844})
    page.goto(address)
    assert page.locator("table.matrix").is_visible()
    assert page.locator("tr", has_text="Conv").locator("td.works").first.inner_text() == "✓ 6/6"
    page.get_by_role("link", name="Conv", exact=True).click()
    assert page.locator("h1").inner_text().startswith("Conv")
    page.get_by_role("link", name="✗ refused").first.click()
    evidence = page.locator("li:target")
    assert evidence.is_visible() and SCRIPT in evidence.locator("pre.message").inner_text()
    with page.expect_download() as download:
        page.get_by_role("link", name="Download the model").click()
    assert onnx.load(download.value.path()).graph.node
    page.get_by_role("link", name="real/cpu", exact=True).first.click()
    assert "SIGSEGV" in page.locator("#messages ~ .scroller").first.inner_text()
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("width", [390, 1280])
def test_no_page_is_wider_than_the_screen(address: str, browser: Any, width: int) -> None:
    paths = ["/", "/operator/ai.onnx/Conv", "/target/real/cpu", "/target/paper/npu", PAGE, "/nonsense", "/compat", "/compat/what_broke"]
    page = browser.new_page(viewport={"width": width, "height": 844})
    for path in paths:
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()
