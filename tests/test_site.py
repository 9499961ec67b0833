"""The site: pages over a small database show what was recorded, escape it, and cannot change it; and a browser without JavaScript can use them."""

import asyncio
import json
import os
import re
import shutil
import socket
import sqlite3
import subprocess
import sys
import uuid
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import onnx
import pytest

from opcompat import building, probe, runfiles, serving
from opcompat.outcome import Result, Run
from opcompat.serving import ServeError

pytest.importorskip("datasette")

SCRIPT = "cannot <script>alert(1)</script> & 'Conv_0'"
HEADER = {
    "target": "paper/npu", "requires": None, "related": ["real/cpu", "real/npu-y"], "fallback": None, "aliases": [], "about": "A document.",
    "title": "Ops", "publisher": "Vendor", "version": "1", "date": "2024-08",
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


def record(folder: Path, target: str, version: str, outcomes: list[dict[str, Any]], probes: list[probe.Probe] = PROBES) -> None:
    run = Run(target, version, {"sdk": version}, {"threads": "<one>"}, {"os": "Linux"}, "0.1.0", f"2025-01-0{int(version[0]) + 1}T00:00:00+00:00")
    with runfiles.RunWriter(run, folder) as writer:
        for p, found in zip(probes, outcomes, strict=False):
            writer.write(Result(p.id, p.digest, **found))


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    record(folder / "runs", "real/cpu", "1.0", OUTCOMES[:1] * 6)
    record(folder / "runs", "real/cpu", "2.0", OUTCOMES)
    record(folder / "runs", "real/npu-x", "0.5", OUTCOMES[1:3])
    record(folder / "runs", "real/npu-x", "1.0", OUTCOMES[:1] * 6)
    record(folder / "runs", "real/npu-y", "1.0", OUTCOMES)
    (folder / "claims").mkdir()
    (folder / "claims" / "paper.jsonl").write_text("\n".join(map(json.dumps, [HEADER, *CLAIMS])))
    building.build(folder / "small.db", folder / "runs", folder / "claims", PROBES)
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
    assert [(c[0], c[2]) for c in cells] == [("partly", "◐ 1/5"), ("works", "✓ 6/6"), ("partly", "◐ 1/5"), ("partly claimed", "◐ limits")]
    assert cells[0][1] == "Conv on real/cpu 2.0: 1 of 5 variants work, 1 fall back, 1 refused, 1 wrong numbers, 1 crash"
    assert "✗ no" in text and "Celu" in text
    assert 'href="/operator/ai.onnx/*"' not in text
    assert "<script" not in text


def test_the_matrix_can_be_narrowed(site: Any) -> None:
    def matrix(query: str) -> str:
        found = re.search(r'(?s)<table class="matrix">.*?</table>', get(site, f"/?{query}").text)
        return found[0] if found else ""

    assert "/operator/ai.onnx/Celu" in matrix("") and "/operator/ai.onnx/Celu" not in matrix("operator=conv")
    assert "paper/npu" in matrix("") and "paper/npu" not in matrix("evidence=measured") and "real/cpu" not in matrix("evidence=claimed")
    assert "real/cpu" in matrix("target=real/*") and "paper/npu" not in matrix("target=real/*") and "real/npu-x" not in matrix("target=real/cpu")
    assert "/operator/ai.onnx/Celu" not in matrix("verdict=trouble") and "/operator/ai.onnx/Conv" in matrix("verdict=trouble")
    assert "/operator/ai.onnx/Celu" in matrix("verdict=breaks") and "/operator/ai.onnx/Conv" not in matrix("verdict=breaks")
    assert "✓ 6/6" in matrix("target=real/npu-x&verdict=works") and not matrix("target=real/cpu&verdict=works")
    assert "/operator/ai.onnx/Conv" in matrix("family=conv") and "/operator/ai.onnx/Celu" not in matrix("family=conv") and not matrix("family=pool")
    assert "No operator matches" in get(site, "/?operator=%3Cscript%3E").text


def test_the_matrix_shows_older_versions_and_all_versions_side_by_side(site: Any) -> None:
    def signs(query: str) -> list[str]:
        return re.findall(r'<td class="[^>]*><a href="([^"]*)"[^>]*>([^<]*)</a>', get(site, f"/?{query}").text)

    assert signs("target=real/cpu&version=1.0") == [("/operator/ai.onnx/Conv?at=real/cpu%401.0#real/cpu", "✓ 6/6")]
    assert signs("target=real/npu-x&version=all") == [
        ("/operator/ai.onnx/Conv#real/npu-x", "✓ 6/6"), ("/operator/ai.onnx/Conv?at=real/npu-x%400.5#real/npu-x", "✗ 0/2")
    ]  # fmt: skip


def test_an_operator_shows_variants_blame_and_documents(site: Any) -> None:
    text = get(site, "/operator/ai.onnx/Conv").text
    for p in PROBES:
        assert f'href="/probe/{p.id}"' in text
    said = ("✗ refused", "✗ wrong numbers", "✗ crash", "↷ falls back", "the rank of X is at most 4", "the data type is other than int8")
    for words in (*said, "more in prose"):
        assert words in text, words
    assert "our fault" not in text


def variants(site: Any, query: str) -> dict[str, list[str]]:
    """Return the matrix of variants on the page of Conv: probe -> texts of its cells."""
    text = get(site, f"/operator/ai.onnx/Conv?{query}").text
    table = re.search(r'(?s)<table class="matrix variants">.*?</table>', text)
    found = re.findall(r'(?s)<tr><th scope="row"><a href="/probe/([^"]*)">.*?</th>(.*?)</tr>', table[0] if table else "")
    return {name: [re.sub("<[^>]*>", "", cell) for cell in re.findall(r"<td.*?</td>", cells)] for name, cells in found}


def test_variants_can_be_filtered_and_seen_at_an_older_version(site: Any) -> None:
    ids = [p.id for p in PROBES]
    everything = variants(site, "target=real/cpu")
    assert sorted(everything) == sorted(ids)
    assert [everything[i] for i in ids] == [
        ["✓"], ["✗ refused 2.0+"], ["✗ wrong numbers 2.0+"], ["✗ crash 2.0+"], ["–"], ["↷ falls back"]
    ]  # fmt: skip
    assert set(variants(site, "target=real/cpu&verdict=trouble")) == set(ids[1:])
    assert set(variants(site, "target=real/cpu&verdict=breaks")) == set(ids[1:4])
    assert set(variants(site, "target=real/cpu&verdict=wrong")) == {ids[2]}
    assert set(variants(site, "verdict=works")) == {ids[0]}
    dtype = PROBES[1].facts["dtype"]
    assert set(variants(site, f"fact=dtype={dtype}")) == {p.id for p in PROBES if str(p.facts["dtype"]).startswith(str(dtype))}
    assert not variants(site, "fact=dtype=nope") and "No variant matches" in get(site, "/operator/ai.onnx/Conv?fact=nope").text
    assert all(cells == ["✓"] for cells in variants(site, "target=real/cpu&at=real/cpu@1.0").values())
    older = variants(site, "target=real/npu-x&at=real/npu-x@0.5")
    assert [older[i] for i in ids] == [["✗ refused"], ["✗ wrong numbers"], *[["?"]] * 4]


def test_versions_are_shown_with_the_ranges_nobody_measured(site: Any) -> None:
    def strip(text: str, target: str) -> list[str]:
        found = re.search(rf'(?s)<dt><a href="[^"]*">{target}</a></dt>.*?<ol class="strip">(.*?)</ol>', text)
        assert found
        return [" ".join(re.sub("<[^>]*>", " ", item).split()) for item in re.findall(r"(?s)<li.*?</li>", found[1])]

    text = get(site, PAGE).text
    assert strip(text, "real/cpu") == ["✓ works 1.0", "⋯", "✗ refused 2.0"]
    assert 'title="between 1.0 and 2.0 nothing was measured"' in text
    assert strip(text, "real/npu-x") == ["✗ wrong numbers 0.5", "⋯", "✓ works 1.0"]
    assert strip(get(site, f"/probe/{PROBES[3].id}").text, "real/npu-x") == ["? not tried 0.5", "⋯", "✓ works 1.0"]
    assert strip(get(site, "/operator/ai.onnx/Conv").text, "real/cpu") == ["✓ 6/6 1.0", "⋯", "◐ 1/5 2.0"]


def test_a_target_shows_counts_messages_and_operators(site: Any) -> None:
    text = get(site, "/target/real/cpu").text
    said = ("2.0", "✗ 1 refused", "– 1 not measured (our tooling)", "↷ 1 falls back", "20.0 %", "SIGSEGV", "threads")
    for words in (*said, "/operator/ai.onnx/Conv", "paper/npu"):
        assert words in text, words
    text = get(site, "/target/real/cpu?version=1.0").text
    assert "✓ 6 works" in text and "SIGSEGV" not in text and "newest measured is" in text and "100.0 %" in text
    assert "was not measured in version 9" in get(site, "/target/real/cpu?version=9", 404).text
    assert "No operator matches" in get(site, "/target/real/cpu?family=pool").text
    assert "No operator matches" in get(site, "/target/real/cpu?verdict=works").text
    assert "/operator/ai.onnx/Conv#" in get(site, "/target/real/cpu?verdict=trouble&operator=conv&family=conv").text
    text = get(site, "/target/paper/npu").text
    assert "Vendor: Ops" in text and "every operator" in text and "/target/real/cpu" in text


def test_a_probe_shows_everything_and_escapes_it(site: Any) -> None:
    text = get(site, PAGE).text
    assert "cannot &lt;script&gt;alert(1)&lt;/script&gt; &amp; &#39;Conv_0&#39;" in text
    assert "<script" not in text and "<b>Error" not in text and "&lt;one&gt;" in text
    for words in ("stage <b>compile</b>", f"opcompat repro &#39;{PROBES[1].id}&#39; -o probe.onnx", "Over the versions", "since_version", "sdk 2.0"):
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

    assert [r["probe"] for r in rows("crashes.json?")] == [PROBES[3].id] * 2
    assert [r["probe"] for r in rows("wrong_numbers.json?")] == [PROBES[2].id] * 2
    assert len(rows("what_broke.json?target=real/cpu&")) == 3 and not rows("what_broke.json?operator=Relu&")
    assert len(rows("what_broke.json?target=real/cpu&operator=Conv&")) == 3 and not rows("what_broke.json?target=real/npu-x&")
    assert {(r["documented"], r["target"]) for r in rows("documented_but_failing.json?")} == {("paper/npu", "real/npu-y")}
    assert not rows("documented_but_failing.json?target=real/cpu&")
    assert [(r["kind"], r["after"], r["version"]) for r in rows("changed.json?target=real/cpu&")] == [("broke", "1.0", "2.0")] * 3
    assert {r["kind"] for r in rows("changed.json?target=real/npu-x&")} == {"fixed"}
    assert len(rows("flaky.json?")) == 2
    assert {r["target"] for r in rows("variant_everywhere.json?operator=Conv&")} == {"real/cpu", "real/npu-x", "real/npu-y"}
    assert not rows("variant_everywhere.json?operator=Conv&fact=dtype&value=int3&")


def test_what_changed_is_told_version_by_version(site: Any) -> None:
    text = get(site, "/changes").text
    assert "/changes?target=real%2Fcpu&amp;to=2.0#broke" in text and "✗ 3" in text and "✓ 2" in text
    text = get(site, "/changes?target=real/cpu&to=2.0").text
    assert {i for p in PROBES if f'href="/probe/{(i := p.id)}#versions"' in text} == {p.id for p in PROBES[1:4]}
    assert "works → refused" in text and "works → crash" in text and "last works in 1.0" in text and "alert(1)" not in text
    assert get(site, "/changes?target=real/cpu&from=1.0&to=2.0").text.count("→") == text.count("→") == 3
    back = get(site, "/changes?target=real/cpu&from=2.0&to=1.0&kind=fixed").text
    assert back.count("→") == 3 and "crash → works" in back
    assert "No outcome differs" in get(site, "/changes?target=real/cpu&from=1.0&to=2.0&operator=Relu").text
    assert "No outcome differs" in get(site, "/changes?target=real/cpu&to=2.0&family=pool").text
    assert "was not measured in version 7" in get(site, "/changes?target=real/cpu&to=7", 404).text
    assert "Nothing was measured on a target" in get(site, "/changes?target=real/none", 404).text


def test_changes_are_a_valid_feed(site: Any) -> None:
    """Every element that RFC 4287 asks for, with valid times, and identifiers that stay."""
    answer = get(site, "/changes.atom")
    assert answer.headers["content-type"].startswith("application/atom+xml")
    ns = {"a": "http://www.w3.org/2005/Atom"}
    feed = ElementTree.fromstring(answer.content)
    assert feed.tag == "{http://www.w3.org/2005/Atom}feed" and feed.find("a:author/a:name", ns) is not None
    entries = feed.findall("a:entry", ns)
    for element in (feed, *entries):
        for name in ("id", "title", "updated"):
            assert element.findtext(f"a:{name}", "", ns).strip(), name
        assert datetime.fromisoformat(element.findtext("a:updated", "", ns)).tzinfo
        assert uuid.UUID(element.findtext("a:id", "", ns).removeprefix("urn:uuid:"))
    for link in feed.iterfind(".//a:link", ns):
        assert link.attrib["href"].startswith("http") and get(site, link.attrib["href"].partition("localhost")[2])
    titles = [e.findtext("a:title", "", ns) for e in entries]
    assert titles == ["real/cpu 2.0: 3 broke", "real/npu-x 1.0: 2 fixed"]
    assert "Conv (3)" in entries[0].findtext("a:content", "", ns)
    assert len({e.findtext("a:id", "", ns) for e in entries}) == 2 and get(site, "/changes.atom").content == answer.content
    only = ElementTree.fromstring(get(site, "/changes.atom?target=real/npu-x").content)
    assert [e.findtext("a:title", "", ns) for e in only.findall("a:entry", ns)] == titles[1:]
    assert '<link rel="alternate" type="application/atom+xml"' in get(site, "/").text


def test_slow_variants_are_drawn(database: Path, tmp_path: Path, site: Any) -> None:
    assert "Slow" not in get(site, "/target/real/cpu").text
    with sqlite3.connect(shutil.copy(database, tmp_path / "slow.db")) as db:
        db.executescript("""
            DROP VIEW slowdowns;
            CREATE VIEW slowdowns AS SELECT 'conv/grouped' AS timing, 'real/cpu' AS target, '2.0' AS version, '' AS domain, 'Conv' AS op_type,
              'a grouped <Conv>' AS what, 'a plain one' AS than, 0.25 AS ratio, 0.2 AS low, 0.4 AS high, 9 AS pairs, 0.667 AS "limit"
        """)
    slow = serving.app(tmp_path / "slow.db")
    for path in ("/target/real/cpu", "/operator/ai.onnx/Conv"):
        text = get(slow, path).text
        assert "a grouped &lt;Conv&gt;" in text and "0.25x" in text and "0.20 to 0.40, 9 pairs" in text and 'style="width:25.0%"' in text
    assert "0.25x" not in get(slow, "/target/real/npu-x").text + get(slow, "/operator/ai.onnx/Conv?target=real/npu-x").text


def test_contradictions_agree_with_the_checker(site: Any) -> None:
    """Documents and measurements are compared on every probe as `check` reads documents, and only with targets on the same kind of device."""
    from opcompat.predict import Claim, judge_claims

    claims = [Claim(n, c["status"], c.get("when", {}), c.get("limits", {}), c.get("unchecked", ""), "", "") for n, c in enumerate(CLAIMS, 1)]
    expected = set()
    for p, r in zip(PROBES, OUTCOMES, strict=True):
        said, _ = judge_claims(p.facts, claims[:2], claims[3:])
        if said.verdict == "works" and r["outcome"] in ("fail", "wrong", "crash"):
            expected.add(p.id)
    found = get(site, "/compat/documented_but_failing.json?_shape=array").json()
    assert {r["probe"] for r in found} == expected and expected
    text = get(site, "/contradictions").text
    assert "Documented, but it fails" in text and "real/npu-y" in text and "None: the references agree" in text
    assert "/target/paper/npu" in get(site, "/contradictions?measured_on=real/npu-y&operator=Conv&target=paper/npu").text
    assert "Nothing contradicts, of what is asked for" in get(site, "/contradictions?operator=Relu").text


def test_one_box_finds_operators_targets_probes_and_messages(site: Any) -> None:
    def found(words: str) -> set[str]:
        return set(re.findall(r'<h2 id="(\w+)">', get(site, f"/search?q={words}").text))

    assert found("conv") == {"operators", "probes", "messages"} and "/operator/ai.onnx/Conv" in get(site, "/search?q=CONV").text
    assert found("npu") == {"targets"} and found("sigsegv") == {"messages"} and found("celu") == {"operators"}
    assert found("") == found("%") == found("x_x") == found("'%22") == set()
    assert "Nothing is called so" in get(site, "/search?q=nonsense").text
    assert "<script" not in get(site, "/search?q=%3Cscript%3E").text


def test_old_versions_are_blamed_by_the_same_rule_as_new_ones(tmp_path: Path) -> None:
    """The factor shown for an older version is the one that was shown when it was the newest."""
    probes = probe.load(["conv"])
    grouped = [{"outcome": "fail", "stage": "load", "message": "no"} if p.facts["grouping"] == "depthwise" else OUTCOMES[0] for p in probes]
    (tmp_path / "claims").mkdir()

    def blamed(at: str) -> list[str]:
        building.build(tmp_path / "a.db", tmp_path / "runs", tmp_path / "claims", probes)
        text = get(serving.app(tmp_path / "a.db"), f"/operator/ai.onnx/Conv{at}").text
        return [" ".join(re.sub("<[^>]*>", "", line).split()) for line in re.findall(r'(?s)<div class="cause">.*?</div>', text)]

    record(tmp_path / "runs", "real/cpu", "1.0", grouped, probes)
    newest = blamed("")
    record(tmp_path / "runs", "real/cpu", "2.0", [OUTCOMES[0]] * len(probes), probes)
    assert newest and "when the grouping is depthwise" in newest[0]
    assert blamed("?at=real/cpu@1.0") == newest and not blamed("")


def test_tables_link_to_the_pages(site: Any) -> None:
    text = get(site, "/compat/what_broke").text
    assert f'<a href="{PAGE}">' in text and '<a href="/target/real/cpu">' in text and '<a href="/operator/ai.onnx/Conv">Conv</a>' in text
    assert "<script>alert" not in text


def test_nothing_can_be_written(site: Any, database: Path) -> None:
    before = database.read_bytes()
    assert not site.get_database("compat").is_mutable
    for sql in ("DELETE FROM measurements", "UPDATE probes SET family = ''", "PRAGMA user_version = 9", "ATTACH 'x.db' AS x"):
        answer = asyncio.run(site.client.get("/compat", params={"sql": sql}))
        assert answer.status_code == 400
    with pytest.raises(Exception, match=r"readonly|read-only"):
        asyncio.run(site.get_database("compat").execute("DELETE FROM measurements"))
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
    paths = ["/", "/?target=real/cpu&version=all", "/operator/ai.onnx/Conv", "/operator/ai.onnx/Conv?at=real/cpu@1.0", "/target/real/cpu"]
    paths += ["/target/paper/npu", PAGE, "/changes", "/changes?target=real/cpu&to=2.0", "/contradictions", "/search?q=conv", "/nonsense"]
    paths += ["/compat", "/compat/what_broke"]
    page = browser.new_page(viewport={"width": width, "height": 844})
    for path in paths:
        page.goto(address + path)
        assert page.evaluate("document.documentElement.scrollWidth") <= width, path
    page.close()


@pytest.mark.browser
def test_forms_lead_to_addresses_that_can_be_shared(address: str, browser: Any) -> None:
    page = browser.new_page(java_script_enabled=False)
    page.goto(address)
    page.locator("select[name=target]").select_option("real/cpu")
    page.get_by_role("button", name="Show").click()
    page.locator("select[name=version]").select_option("all")
    page.get_by_role("button", name="Show").click()
    assert page.locator("table.matrix thead a").all_inner_texts() == ["2.0", "1.0"]
    shared = page.url
    page.goto("about:blank")
    page.goto(shared)
    assert page.locator("select[name=version]").input_value() == "all"
    page.get_by_role("searchbox", name="Search").fill("sigsegv")
    page.get_by_role("searchbox", name="Search").press("Enter")
    page.locator("#messages ~ .scroller td.said a").first.click()
    assert "SIGSEGV" in page.locator("li:target pre.message").inner_text()
    page.close()


@pytest.mark.browser
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_everybody_can_read_it(address: str, browser: Any, scheme: str) -> None:
    """Every control has a name, no id is there twice, and text stands out from its ground as WCAG AA asks: 4.5 to 1."""
    page = browser.new_page(color_scheme=scheme)
    for path in ("/", "/operator/ai.onnx/Conv", "/target/real/cpu", PAGE, "/changes?target=real/cpu&to=2.0", "/contradictions", "/search?q=conv"):
        page.goto(address + path)
        assert page.evaluate(NAMELESS) == page.evaluate(DOUBLE) == [], path
        assert page.evaluate(CONTRAST) == [], path
    page.close()


NAMELESS = "[...document.querySelectorAll('input, select, button')].filter(e => !e.labels?.length && !e.ariaLabel && !e.innerText)"
DOUBLE = "(ids => ids.filter((id, at) => ids.indexOf(id) != at))([...document.querySelectorAll('[id]')].map(e => e.id))"
CONTRAST = """() => {
  const rgb = text => (text.match(/[\\d.]+/g) || []).map(Number);
  const linear = v => v <= .03928 ? v / 12.92 : ((v + .055) / 1.055) ** 2.4;
  const light = c => c.slice(0, 3).reduce((sum, v, i) => sum + linear(v / 255) * [.2126, .7152, .0722][i], 0);
  const grounds = e => {  // the colours behind an element: of a gradient all of them
    for (; e; e = e.parentElement) {
      const style = getComputedStyle(e), shades = style.backgroundImage.match(/rgba?\\([^)]*\\)/g), own = rgb(style.backgroundColor);
      if (shades) return shades.map(rgb);
      if (own.length == 3 || own[3] > 0) return [own];
    }
    return [[255, 255, 255]];
  };
  const shown = [...document.querySelectorAll('main *, header *, footer *')].filter(e => e.checkVisibility());
  const texts = shown.filter(e => [...e.childNodes].some(n => n.nodeType == 3 && n.data.trim()));
  return texts.flatMap(e => grounds(e).map(ground => {
    const [a, b] = [light(rgb(getComputedStyle(e).color)), light(ground)].sort((x, y) => y - x);
    return [(a + .05) / (b + .05), e.outerHTML.slice(0, 120)];
  })).filter(([ratio]) => ratio < 4.5).slice(0, 5);
}"""
"""Elements whose text is too much like what is behind it, with the ratio. Opacity is not looked at: the style sheet uses none on text."""


def test_with_many_targets_one_of_each_runtime_stands_for_all(tmp_path: Path) -> None:
    for number in range(45):
        record(tmp_path / "runs", f"chip{number % 9}/unit{number // 9}", "1.0", OUTCOMES[: 1 + (number == 18)])
    (tmp_path / "claims").mkdir()
    building.build(tmp_path / "many.db", tmp_path / "runs", tmp_path / "claims", PROBES)
    crowded = serving.app(tmp_path / "many.db")
    text = get(crowded, "/").text
    heads = re.findall(r'title="(chip\d/unit\d) 1.0, measured"', text)
    assert len(heads) == 9 and "chip0/unit2" in heads and "chip0 +4" in text
    assert len(re.findall(r'title="chip0/unit\d 1.0, measured"', get(crowded, "/?target=chip0/*").text)) == 5
