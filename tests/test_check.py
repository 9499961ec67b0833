"""Checking whole models against a small base: verdicts, formats, exit codes, sentences."""

import dataclasses
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema
import onnx
import pytest
from conftest import conv_model

import opcompat
from opcompat import checker, report
from opcompat.env import cache
from opcompat.store import Base

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run(small_base: Path, tmp_path: Path) -> Run:
    def call(*arguments: object, **more: str) -> "subprocess.CompletedProcess[str]":
        env = {
            "PATH": "/usr/bin:/bin",
            "OPCOMPAT_DB": str(small_base),
            "COLUMNS": "100",
            "HOME": str(tmp_path),
            "OPCOMPAT_CACHE": str(cache()),
            **more,
        }
        return subprocess.run([sys.executable, "-m", "opcompat.cli", *map(str, arguments)], capture_output=True, text=True, env=env, cwd=tmp_path)

    return call


@pytest.fixture
def grouped(tmp_path: Path) -> Path:
    path = tmp_path / "grouped.onnx"
    onnx.save(conv_model(group=4), path)
    return path


def test_python_api(grouped: Path, small_base: Path) -> None:
    found = opcompat.check(grouped, ["demo/npu"], Base(small_base))
    conv, relu = found.targets[0].findings
    assert (conv.verdict, conv.stage, conv.nodes) == ("breaks", "compile", ("conv",))
    assert conv.evidence[0].message == "group > 1 not supported" and conv.evidence[0].version == "2.0"
    assert relu.verdict == "unknown"
    assert found.targets[0].counts == {"works": 0, "slow": 0, "falls_back": 0, "breaks": 1, "unknown": 1}
    assert opcompat.check(conv_model(), ["demo/npu"], Base(small_base)).targets[0].findings[0].verdict == "works"


def test_exit_codes(run: Run, model: Path, grouped: Path) -> None:
    assert run("check", model, "-t", "demo/npu").returncode == 0
    assert run("check", grouped, "-t", "demo/npu").returncode == 1
    assert run("check", grouped, "-t", "demo/cpu").returncode == 0
    assert run("check", grouped, "-t", "demo/cpu", "--fail-on", "breaks,unknown").returncode == 1
    assert run("check", grouped, "-t", "demo/npu", "--fail-on", "slow").returncode == 0


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["check", "none.onnx"], "does not exist"), (["check", "."], "folder"), (["check", "grouped.onnx", "-t", "demo/nup"], "demo/npu"),
        (["check", "grouped.onnx", "-f", "xml"], "--format"), (["check", "grouped.onnx", "--fail-on", "bad"], "--fail-on"),
        (["check", "grouped.onnx", "--explain", "nobody"], "nobody"), (["check", "grouped.onnx", "--dim", "N"], "--dim"), (["check"], "MODEL"),
        (["nonsense"], "nonsense"), (["repro", "no/such:probe"], "no/such:probe"), (["probe", "-t", "abacus"], "abacus"),
        (["probe", "--timings", "-t", "qnn"], "no timed target"), (["probe", "--timings", "--family", "poetry", "-t", "ort"], "timing family"),
        (["env", "abacus"], "abacus"),
        (["probe", "--family", "poetry", "-t", "ort"], "poetry"), (["build", "--out", "/proc/nowhere/compat.db"], "/proc/nowhere"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_2(run: Run, grouped: Path, arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    assert done.stderr.strip().count("\n") == 0 and done.stderr.startswith("opcompat: ")


def test_a_bad_database_is_one_sentence(run: Run, model: Path, tmp_path: Path) -> None:
    (tmp_path / "bad.db").write_text("nothing")
    for name in ("bad.db", "none.db"):
        done = run("check", model, OPCOMPAT_DB=str(tmp_path / name))
        assert done.returncode == 2 and name in done.stderr and done.stderr.count("\n") == 1


def test_json_follows_the_published_schema(run: Run, grouped: Path) -> None:
    schema = json.loads(run("schema").stdout)
    assert json.loads(checker.schema_text()) == schema, "make it again: python -m opcompat.checker"
    found = json.loads(run("check", grouped, "-f", "json").stdout)
    jsonschema.validate(found, schema)
    assert found["schema_version"] == checker.SCHEMA_VERSION
    assert [f["nodes"] for f in found["targets"][0]["findings"]] == [["conv"], ["relu"]]


def test_every_node_is_in_the_report_in_order(small_base: Path, tmp_path: Path) -> None:
    proto = conv_model()
    for node in proto.graph.node:
        node.name = "same"
    found = opcompat.check(proto, ["all"], Base(small_base))
    assert [f.nodes for f in found.targets[0].findings] == [("same",), ("same#1",)]


def test_files_in_every_format(run: Run, grouped: Path) -> None:
    assert "| ✗ demo/npu |" in run("check", grouped, "-f", "markdown").stdout
    page = run("check", grouped, "-f", "html").stdout
    assert page.startswith("<!doctype html>") and "Conv breaks on demo/npu" in page and "<script" not in page
    sarif = json.loads(run("check", grouped, "-f", "sarif").stdout)
    assert sarif["version"] == "2.1.0" and {r["ruleId"] for r in sarif["runs"][0]["results"]} == {"opcompat/breaks", "opcompat/unknown"}


def test_explain_names_facts_and_evidence(run: Run, grouped: Path) -> None:
    text = run("check", grouped, "--explain", "conv").stdout
    assert "grouping = few" in text and "demo/npu: breaks" in text and "demo/cpu: works" in text


TEXT = """\
model: 2 nodes, IR 8, ai.onnx 17
target     works slow back breaks unknown pieces evidence first
✗ demo/npu     0    0    0      1       1      1 measured Conv

✗ Conv breaks on demo/npu
nodes      conv
stage      compile
why        measured on a probe with the same facts (exact)
"""


def test_text_snapshot(small_base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    exact = conv_model(group=4)
    report.print_text(opcompat.check(exact, ["demo/npu"], Base(small_base)))
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    shown = "\n".join(line for line in lines if not line.startswith(("evidence", "differs")))
    assert shown.startswith(TEXT.rsplit("why", 1)[0].rstrip("\n")), shown


def test_targets_resolve(small_base: Path) -> None:
    with Base(small_base) as base:
        known = base.targets()
    assert checker.resolve(["all"], known) == ["demo/cpu", "demo/npu"]
    assert checker.resolve(["demo"], known) == ["demo/cpu", "demo/npu"] and checker.resolve(["*/npu", "demo/npu"], known) == ["demo/npu"]
    with pytest.raises(checker.CheckError, match="demo/npu"):
        checker.resolve(["demo/npuu"], known)


def test_checking_imports_no_sdk_and_not_even_onnx_itself(model: Path, small_base: Path) -> None:
    code = f"""
import sys
from opcompat import checker, report
from opcompat.store import Base
from pathlib import Path
report.to_json(checker.check({str(model)!r}, ["all"], Base(Path({str(small_base)!r}))))
heavy = {{"onnx", "numpy", "pydantic", "onnxruntime", "openvino", "cv2"}} & set(sys.modules)
assert not heavy, heavy
import onnx
assert onnx.load({str(model)!r}).graph.node
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_function_is_as_bad_as_its_worst_node(small_base: Path) -> None:
    conv = conv_model(group=4).graph.node[0]
    function = onnx.helper.make_function("local", "Block", ["x", "w"], ["c"], [conv], [onnx.helper.make_opsetid("", 17)])
    proto = conv_model(group=4)
    del proto.graph.node[0]
    proto.graph.node.insert(0, onnx.helper.make_node("Block", ["x", "w"], ["c"], name="block", domain="local"))
    proto.functions.append(function)
    proto.opset_import.append(onnx.helper.make_opsetid("local", 1))
    nodes = opcompat.check(proto, ["demo/npu"], Base(small_base)).targets[0].by_node()
    assert nodes["block/conv"].verdict == "breaks" and nodes["block"].verdict == "breaks" and "function" in nodes["block"].reason


def test_a_known_pattern_overrides_its_parts(tmp_path: Path) -> None:
    from conftest import record, result

    from opcompat import building, probe

    probes = probe.load(["activation", "activation_patterns"])
    erf = [result(p, "fail", stage="compile", message="no Erf") for p in probes if p.op_type == "Erf"]
    gelu = next(p for p in probes if p.id == "activation_patterns/gelu-erf:base")
    record(tmp_path / "runs", "demo/npu", "1", [*erf, result(gelu)])
    (tmp_path / "claims").mkdir()
    building.build(tmp_path / "compat.db", tmp_path / "runs", tmp_path / "claims", probes)
    findings = opcompat.check(gelu.proto, ["demo/npu"], Base(tmp_path / "compat.db")).targets[0].findings
    assert {f.verdict for f in findings} == {"works"} and {f.pattern for f in findings} == {"gelu-erf"}
    alone = next(p for p in probes if p.id == "activation/Erf:base").proto
    assert opcompat.check(alone, ["demo/npu"], Base(tmp_path / "compat.db")).targets[0].verdict == "breaks"


def test_a_document_that_kindred_measurements_contradict_is_doubted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    from conftest import record, result

    from opcompat import building, probe

    probes = probe.load(["conv"])
    record(tmp_path / "runs", "kin/npu", "1", [result(p, "fail", stage="compile", message="no Conv") for p in probes])
    (tmp_path / "claims").mkdir()
    header = {"target": "doc/npu", "requires": None, "related": ["kin/npu"], "fallback": None, "aliases": [], "about": "A document.", "title": "T"}
    header |= {"publisher": "P", "version": "1", "date": "2024-08"}
    rows = [header, {"op_type": "Conv", "domain": "", "status": "supported"}, {"op_type": "Relu", "domain": "", "status": "supported"}]
    (tmp_path / "claims" / "doc-npu.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    building.build(tmp_path / "compat.db", tmp_path / "runs", tmp_path / "claims", probes)
    found = opcompat.check(conv_model(), ["doc/npu"], Base(tmp_path / "compat.db"))
    assert found.targets[0].verdict == "works" and found.targets[0].findings[0].related[0].verdict == "breaks"
    report.print_text(found)
    assert "Conv is said to work on doc/npu, but measured kindred targets refuse it" in capsys.readouterr().out


def test_mutated_models_are_checked_or_refused_in_one_sentence(small_base: Path, tmp_path: Path) -> None:
    import random

    from opcompat import probe
    from opcompat.model import ModelError

    chance, path = random.Random(0), tmp_path / "mutated.onnx"
    sources = [p.model for p in probe.load(["control", "qdq", "attention_patterns"])]
    outcomes = {"checked": 0, "refused": 0}
    with Base(small_base) as base:
        for _ in range(1500):
            data = bytearray(chance.choice(sources))
            for _ in range(chance.choice([1, 1, 2, 8])):
                at = chance.randrange(len(data))
                kind = chance.random()
                if kind < 0.6:
                    data[at] = chance.randrange(256)
                elif kind < 0.8:
                    del data[at : at + chance.randrange(1, 9)]
                else:
                    data[at:at] = chance.randbytes(4)
            path.write_bytes(bytes(data))
            try:
                report.to_markdown(opcompat.check(path, ["all"], base))
                outcomes["checked"] += 1
            except ModelError as error:
                assert "\n" not in str(error)
                outcomes["refused"] += 1
    assert min(outcomes.values()) > 50


def test_a_rewrite_that_breaks_where_it_should_help_is_not_offered(tmp_path: Path) -> None:
    from conftest import record, result

    from opcompat import building, probe

    probes = probe.load(["conv", "workaround"])
    grouped = [p for p in probes if p.op_type == "Conv" and p.facts["grouping"] == "few"]
    proofs = [p for p in probes if p.pattern == "workaround/split-grouped-conv"]
    (tmp_path / "claims").mkdir()
    for name, outcome in (("good", "pass"), ("bad", "crash")):
        stage = "compare" if outcome == "pass" else "run"
        runs = tmp_path / name
        record(runs, "demo/npu", "1", [*(result(p, "fail", stage="compile") for p in grouped), *(result(p, outcome, stage=stage) for p in proofs)])
        building.build(tmp_path / f"{name}.db", runs, tmp_path / "claims", probes)
        found = opcompat.check(conv_model(group=4), ["demo/npu"], Base(tmp_path / f"{name}.db")).targets[0].findings[0]
        assert found.verdict == "breaks"
        assert [w.proof for w in found.workarounds] == (
            [f"{len(proofs)} of {len(proofs)} probes that break and are like it pass once rewritten on demo/npu"] if name == "good" else []
        )


def test_the_report_is_dataclasses_all_the_way(small_base: Path) -> None:
    found = opcompat.check(conv_model(), ["demo/npu"], Base(small_base))
    assert json.loads(json.dumps(dataclasses.asdict(found))) == json.loads(report.to_json(found))
