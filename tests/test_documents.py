"""Several kinds of evidence about one target: the strongest that knows the operator decides; documents have versions."""

import json
from pathlib import Path
from typing import Any

import pytest
from conftest import conv_model, record, result

import opcompat
from opcompat import building, probe, report
from opcompat.checker import CheckError, Finding
from opcompat.store import Base

HEADER = {
    "target": "demo/npu", "requires": None, "related": [], "fallback": None, "aliases": ["chip"], "about": "A document.", "title": "Ops",
    "publisher": "Vendor", "version": "1", "date": "2024-08",
}  # fmt: skip
CONV, RELU = ({"op_type": op, "domain": "", "status": "supported"} for op in ("Conv", "Relu"))


def write(folder: Path, name: str, header: dict[str, Any], *rows: dict[str, Any]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.jsonl").write_text("".join(json.dumps(r) + "\n" for r in ({**HEADER, **header}, *rows)))


@pytest.fixture
def base(tmp_path: Path, conv_probes: list[probe.Probe]) -> Base:
    """A chip on which dense Conv was measured to fail in version 3, and of which three documents and its own table speak."""
    dense = [p for p in conv_probes if p.facts["grouping"] == "none"]
    record(tmp_path / "runs", "demo/npu", "3.0", [result(p, "fail", stage="compile", message="no Conv") for p in dense[:1]])
    write(tmp_path / "claims", "one", {"version": "8.6"}, {**CONV, "status": "unsupported"}, RELU)
    write(tmp_path / "claims", "two", {"version": "10.0"}, CONV, {**RELU, "status": "fallback", "note": "left to the CPU"})
    write(tmp_path / "sources", "table", {"evidence": "declared", "version": "3.0", "aliases": ["table"]}, RELU)
    write(
        tmp_path / "claims",
        "other",
        {"target": "demo/gpu", "version": "2", "requires": "demo/converter"},
        CONV,
        {**RELU, "op_type": "Identity"},
        RELU,
    )
    write(tmp_path / "claims", "converter", {"target": "demo/converter"}, {**CONV, "status": "unsupported"}, RELU)
    building.build(tmp_path / "compat.db", tmp_path / "runs", tmp_path / "claims", conv_probes)
    return Base(tmp_path / "compat.db")


def finding(base: Base, target: str, op_type: str, group: int = 1) -> Finding:
    return next(f for f in opcompat.check(conv_model(group), [target], base).targets[0].findings if f.op_type == op_type)


def test_the_strongest_evidence_that_has_a_word_decides(base: Base) -> None:
    relu = finding(base, "demo/npu", "Relu")
    assert (relu.verdict, relu.confidence, relu.evidence[0].kind) == ("works", "declared", "declared"), (
        "nothing was measured, the SDK outdoes documents"
    )
    assert report.cite(relu.evidence[0]).startswith("declared by Vendor: Ops (3.0")
    found = base.targets()["demo/npu"]
    assert (found.evidence, found.newest, found.aliases) == ("measured", "3.0", ("table", "chip"))
    assert [(d.evidence, d.version, d.current) for d in found.documents] == [
        ("declared", "3.0", True), ("claimed", "10.0", True), ("claimed", "8.6", False),
    ]  # fmt: skip
    assert {t.target for t in opcompat.check(conv_model(), ["chip"], base).targets} == {"demo/npu", "demo/gpu"}


def test_a_document_does_not_decide_where_probes_of_the_operator_ran(base: Base) -> None:
    conv = finding(base, "demo/npu", "Conv", group=4)
    assert (conv.verdict, conv.confidence) == ("unknown", "conflicting")
    assert "it works, claimed only" in conv.reason and [c.outcome for c in conv.evidence] == ["supported"]


def test_a_document_answers_for_its_version(base: Base) -> None:
    assert finding(base, "demo/npu@8.6", "Conv").verdict == "breaks" and finding(base, "demo/npu@8", "Conv").verdict == "breaks"
    assert finding(base, "demo/npu@10", "Conv").verdict == "works"
    relu = finding(base, "demo/npu@10.0", "Relu")
    assert (relu.verdict, relu.reason, relu.stage) == ("falls_back", "left to the CPU", "compile")
    asked = opcompat.check(conv_model(), ["demo/npu@8.6"], base).targets[0]
    assert (asked.version, asked.answered_from) == ("8.6", ("8.6",))
    with pytest.raises(CheckError, match="demo/gpu is known from tables of version 2 only"):
        opcompat.check(conv_model(), ["demo/gpu@1"], base)


def test_what_stands_before_a_document_is_asked_first(base: Base) -> None:
    conv = finding(base, "demo/gpu", "Conv")
    assert (conv.verdict, conv.stage, conv.evidence[0].target) == ("breaks", "convert", "demo/converter")
    assert finding(base, "demo/gpu", "Relu").verdict == "works"
    cast = conv_model(relu=False)
    identity = next(f for f in opcompat.check(cast, ["demo/gpu"], base).targets[0].findings if f.op_type == "Identity")
    assert identity.verdict == "unknown" and not identity.evidence, "the table in front has no word on it, so the one behind is not asked"


def test_contradictions_say_which_kind_of_table_they_contradict(base: Base) -> None:
    kinds = base._rows("SELECT DISTINCT kind, target, measured_on FROM contradictions")
    assert kinds == [("documented, but it fails", "demo/npu", "demo/npu")], "the newest document, not the one that it replaced"
