"""Sources: every file of opcompat/sources keeps the contract, every row of data/sources is valid, condensing changes no answer."""

import json
import random
import stat
import struct
import sys
from collections import defaultdict
from pathlib import Path
from typing import Any

import onnx
import pytest
from click.testing import CliRunner

from opcompat import claims, cli, env, probe, sources
from opcompat.predict import Claim, judge_claims
from opcompat.runtimes import all_runtimes
from opcompat.sources import SourceError, _tables, all_sources, ort_kernels, ort_mobile, ort_web, tfjs_converter, winml
from opcompat.sources._condense import Case, condense, matches

FILES = sorted((Path(__file__).parent.parent / "data" / "sources").glob("*.jsonl"))
EVIDENCE = {"winml": "reported"}
GENERAL = {"since_version", "quantised", "weights quantised", "dynamic", "outputs", "rank.max", "empty"}


@pytest.fixture(scope="module")
def known() -> dict[tuple[str, str], set[str]]:
    """Return the facts of each operator: those of its probes and those that ONNX's schemas name."""
    found: dict[tuple[str, str], set[str]] = defaultdict(set)
    for p in probe.load():
        found[p.domain, p.op_type].update(p.facts)
    for schema in onnx.defs.get_all_schemas_with_history():
        facts = found[schema.domain, schema.name]
        facts.update(schema.attributes)
        for formal in schema.inputs:
            facts.update(f"{formal.name}.{what}" for what in ("rank", "const", "present", "count"))
            facts.add("dtype" if formal.type_str == "T" else f"{formal.type_str}.dtype")
    return found


# ---- the contract ---------------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", all_sources())
def test_a_source_says_what_it_is_and_what_it_needs(name: str) -> None:
    source = all_sources()[name]
    assert name == source.NAME and source.ABOUT.endswith(".")
    assert "https://" in (sys.modules[source.__module__].__doc__ or "")
    if runtime := getattr(source, "RUNTIME", ""):
        assert runtime in all_runtimes()
    else:
        assert source.PACKAGES and source.PYTHON and source.SIZE_MB and all(source.PACKAGES.values())
        assert set(source.NO_DEPS) <= set(source.PACKAGES)


def test_there_are_files() -> None:
    assert {p.stem for p in FILES} >= {
        "ort-cpu-kernels",
        "ort-nnapi-npu",
        "ort-coreml-mlprogram",
        "ort-web-webgl",
        "ort-web-webgpu-jsep",
        "ort-web-webnn",
    }


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_file(path: Path, known: dict[tuple[str, str], set[str]]) -> None:
    header, rows = claims.read(path)
    assert header.evidence == EVIDENCE.get(path.stem.split("-")[0], "declared")
    assert header.about.endswith(".") and header.version and rows
    lines = path.read_text().splitlines()
    assert len(set(lines)) == len(lines), "duplicate rows"
    order = [(r.domain, r.op_type) for r in rows]
    assert order == sorted(order)
    for row in rows:
        facts = known.get((row.domain, row.op_type))
        if row.domain == "":
            assert facts, row
        if facts:
            assert {*row.when, *row.limits} - GENERAL <= facts, row
        if row.status in ("unsupported", "fallback"):
            assert not row.limits and not row.unchecked, row


def test_an_unknown_source_is_one_sentence() -> None:
    done = CliRunner().invoke(cli.app, ["sources", "nonsense", "--out", "/nowhere"])
    assert isinstance(done.exception, SourceError)
    assert str(done.exception).startswith("unknown source 'nonsense': there are ")


def test_the_command_writes_a_file_that_can_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Made:
        NAME = "made"

        def rows(self, environment: Any, progress: Any) -> Any:
            progress("reading")
            about = sources.header("x-y/z", "declared", "About.", title="T", publisher="P", version="1", date="2026-01")
            row = {"op_type": "Relu", "domain": "", "status": "supported", "when": {}, "limits": {}, "unchecked": "", "note": ""}
            yield "x-y-z", about, [{**row, "op_type": "Sin"}, row, row]

    monkeypatch.setattr(sources, "all_sources", lambda: {"made": Made})
    monkeypatch.setattr(sources, "environment_of", lambda source: None)
    done = CliRunner().invoke(cli.app, ["sources", "made", "--out", str(tmp_path / "new")], catch_exceptions=False)
    assert done.exit_code == 0 and "x-y-z.jsonl: 2 rows about 2 operators of x-y/z" in done.output
    header, rows = claims.read(tmp_path / "new" / "x-y-z.jsonl")
    assert (header.evidence, [r.op_type for r in rows]) == ("declared", ["Relu", "Sin"])


# ---- reading tables -------------------------------------------------------------------------------------------------------------------


def test_ranges_of_versions() -> None:
    assert _tables.ranges("7-12, 13,14+") == [(7, 12), (13, 13), (14, None)]
    conv = _tables.schemas()["Conv"]
    # version 1 is in force from opset 1 to 10; to a registry of kernels, one without an end is of one version
    assert [s.since_version for s in conv if ort_web.opsets([(7, 10)])(s)] == [1]
    assert [s.since_version for s in conv if ort_web.exactly([(1, 10), (11, None)])(s)] == [
        1,
        11,
    ]
    assert [s.since_version for s in conv if ort_web.opsets([(7, 10), (11, None)])(s)] == [1, 11, 22]


def test_a_markdown_table_of_a_mobile_runtime() -> None:
    rows = list(_tables.listed("Conv", lambda s: True, ort_mobile.meaning("Conv", ["Only 2D Conv is supported.", "Something new."])))
    assert [r["limits"] for r in rows] == [{"X.rank": 4}]
    assert rows[0]["unchecked"] == "Something new." and rows[0]["status"] == "partial"
    assert rows[0]["when"] == {"since_version": [1, 11, 22], "dtype": "float32", "quantised": "none"}


def test_limits_on_inputs_go_where_they_are_inputs() -> None:
    rows = list(_tables.listed("ReduceMean", lambda s: True, ({"axes.const": True}, "")))
    assert {str(r["when"]["since_version"]): r["limits"] for r in rows} == {"[1, 11, 13]": {}, "18": {"axes.const": True}}


def test_an_operation_that_the_converter_does_not_list_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tfjs_converter, "package_folder", lambda *_: tmp_path)
    environment = env.Environment(Path("python"), {"tensorflowjs": "1.0"})
    with pytest.raises(SourceError):
        next(tfjs_converter.Source().rows(environment, print))
    (tmp_path / "op_list").mkdir()
    (tmp_path / "op_list" / "a.json").write_text('[{"tfOpName": "Conv2D"}, {"tfOpName": "Abs"}]')
    (_, head, rows), *_ = tfjs_converter.Source().rows(environment, print)
    assert head["version"] == "1.0"
    assert {(r["op_type"], r["runtime_op"]) for r in rows if r["status"] == "supported"} == {("Abs", "Abs"), ("Conv", "Conv2D")}
    assert all(r["note"] for r in rows if r["status"] == "unsupported")


@pytest.mark.parametrize("text", ["", "nothing here", "|Operator|Note|\n|---|---|\n"])
def test_a_table_without_rows(tmp_path: Path, text: str) -> None:
    (tmp_path / "t.md").write_text(text)
    assert list(_tables.cells(tmp_path / "t.md")) == []
    with pytest.raises(SourceError, match=r"^none\.md cannot be read"):
        list(_tables.cells(tmp_path / "none.md"))


def test_kernels_become_limits_on_types() -> None:
    add = next(s for s in _tables.schemas()["Add"] if s.since_version == 14)
    each = [(add, {"T": ["tensor(float)"]}), (add, {"T": ["tensor(int32)"]})]
    assert list(ort_kernels.alternatives(each)) == [({"dtype": ["float16", "float32", "int32"]}, "")]


def test_a_package_that_is_not_there_is_one_sentence() -> None:
    with pytest.raises(SourceError, match=r"^nonsense is not in the environment of "):
        _tables.package_folder(env.Environment(Path(sys.executable), {}), "nonsense")


# ---- condensing -----------------------------------------------------------------------------------------------------------------------


def answers(cases: list[Case]) -> list[set[str]]:
    rows = condense(cases)
    return [{status for status, when in rows if matches(when, case.facts)} for case in cases]


@pytest.mark.parametrize("seed", range(8))
def test_condensed_rows_answer_as_the_cases(seed: int) -> None:
    random.seed(seed)
    cases = {}
    for _ in range(400):
        facts: dict[str, Any] = {
            "since_version": random.choice([1, 7, 13]), "dtype": random.choice(["float32", "float16", "int8"]),
            "X.rank": random.choice([1, 2, 3, "unknown"]), "X.const": random.random() < 0.5,
        }  # fmt: skip
        if facts["since_version"] > 1:
            facts["start"] = random.choice([0, 1])
        if facts["X.const"]:
            facts["padding"] = random.choice(["none", "some"])
        good = facts["dtype"] == "float32" and facts.get("start") != 1
        status = "supported" if good else random.choice(["unsupported", "unsupported", "fallback", ""]) if facts["X.rank"] == 1 else "fallback"
        cases[json.dumps(facts)] = Case(facts, status)
    found = answers(list(cases.values()))
    assert found == [{c.status} if c.status else set() for c in cases.values()]
    assert len(condense(list(cases.values()))) < len(cases) / 2


def test_chance_is_not_claimed() -> None:
    random.seed(1)
    cases = [Case({"a": i, "b": j}, random.choice(["supported", "unsupported"])) for i in range(25) for j in range(25)]
    rows = condense(cases)
    for status, when in rows:
        matched = [c.status for c in cases if matches(when, c.facts)]
        assert set(matched) == {status} and len(matched) >= 3
    open_ = sum(not any(matches(when, c.facts) for _, when in rows) for c in cases)
    assert open_ > 100


def test_nothing_is_said_of_values_that_were_not_tried() -> None:
    cases = [Case({"dtype": d, "X.rank": r}, "supported") for d in ("float32", "int8") for r in (2, 3)]
    assert condense(cases) == [("supported", {"X.rank": {"min": 2, "max": 3}, "dtype": ["float32", "int8"]})]
    assert condense([]) == []


def test_what_no_condition_can_tell_apart_is_not_claimed() -> None:
    cases = [Case({"dtype": "float32"}, "supported"), Case({"dtype": "float32", "empty": True}, "unsupported")]
    assert answers(cases) == [set(), {"unsupported"}]


def test_true_is_not_one() -> None:
    assert answers([Case({"a": True}, "supported"), Case({"a": 1}, "unsupported")]) == [{"supported"}, {"unsupported"}]


def test_values_of_float_attributes_do_not_count() -> None:
    assert winml.told((("alpha", "other"), ("alpha.explicit", True), ("dtype", "float32"))) == (("dtype", "float32"),)


# ---- winml-cli ------------------------------------------------------------------------------------------------------------------------


def frame(data: bytes) -> bytes:
    return struct.pack("<I", len(data)) + data


def child(folder: Path, text: str) -> env.Environment:
    """Return an environment whose Python is a script of ours."""
    path = folder / "python"
    path.write_text(f"#!{sys.executable}\nimport sys\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return env.Environment(path, {})


def test_frames_become_facts(tmp_path: Path) -> None:
    x = onnx.helper.make_tensor_value_info("x", 1, [2, 3])
    y = onnx.helper.make_tensor_value_info("y", 1, None)
    graph = onnx.helper.make_graph([onnx.helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", 14)]).SerializeToString()
    head = {"op_type": "Relu", "domain": "", "since_version": 14, "quantised": False, "targets": ["A", "B"], "made": True, "rows": {}}
    stream = frame(json.dumps(head).encode()) + frame(b"su" + model) + frame(b"f-" + model)
    [(table, rows)] = winml.tables(child(tmp_path, f"sys.stdout.buffer.write({stream!r})"), 1, [])
    assert table["models"] == 2 and winml.name(table) == "ai.onnx-Relu-14"
    [(facts, said)] = rows.items()
    assert dict(facts)["since_version"] == 14 and said == {"A": "sf", "B": "u"}


@pytest.mark.parametrize(
    ("text", "message"),
    [("sys.exit('it broke')", "ended with code 1 .it broke."), ("sys.stdout.buffer.write(b'\\xff' * 4)", "sent something that is no model")],
)
def test_a_generator_that_fails_is_one_sentence(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(SourceError, match=message):
        list(winml.tables(child(tmp_path, text), 1, []))


@pytest.mark.parametrize("path", [p for p in FILES if p.stem.startswith("winml-")], ids=lambda p: p.stem)
def test_reported_rows_never_contradict_each_other(path: Path) -> None:
    """A node that one row accepts is refused by none: nodes are made of the rows' own conditions."""
    _, rows = claims.read(path)
    by_operator: dict[tuple[str, str], list[Claim]] = defaultdict(list)
    for number, row in enumerate(rows):
        by_operator[row.domain, row.op_type].append(Claim(number, row.status, row.when, row.limits, row.unchecked, row.note))
    words = {"supported": "works", "fallback": "falls_back", "unsupported": "breaks"}
    for found in by_operator.values():
        for claim in found[:40]:
            facts: dict[str, Any] = {n: v["min"] if isinstance(v, dict) else v[0] if isinstance(v, list) else v for n, v in claim.when.items()}
            assert judge_claims(facts, found)[0].verdict == words[claim.status], (path.stem, claim)
