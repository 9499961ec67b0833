"""Versions: what is recorded of several, how check answers at one, what diff says, and when many flips stop a campaign."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from conftest import conv_model, record, result

from opcompat import building, campaign, checker, diff, env, probe, runfiles
from opcompat.checker import CheckError
from opcompat.outcome import Result
from opcompat.probe import Probe
from opcompat.runner import Raw, Target
from opcompat.runtimes import all_runtimes, fake, releases, select, version
from opcompat.store import Base

GROUPED = "grouped Conv is not supported"


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory, conv_probes: list[Probe]) -> Iterator[Base]:
    """demo/npu refuses grouped Conv in 1.9 and 1.10, takes it in 2.0, and crashes on it in 3.0."""
    folder = tmp_path_factory.mktemp("versions")
    grouped = {p.id for p in conv_probes if p.facts["grouping"] == "few"}
    refused = [result(p, "fail", stage="compile", message=GROUPED) if p.id in grouped else result(p) for p in conv_probes]
    record(folder / "runs", "demo/npu", "1.9", refused, "2026-01-04T00:00:00+00:00")
    record(folder / "runs", "demo/npu", "1.10", refused)
    record(folder / "runs", "demo/npu", "2.0", [result(p) for p in conv_probes], "2026-01-02T00:00:00+00:00")
    record(folder / "runs", "demo/npu", "3.0", [result(p, "crash" if p.id in grouped else "pass") for p in conv_probes])
    (folder / "claims").mkdir()
    building.build(folder / "compat.db", folder / "runs", folder / "claims", conv_probes)
    with Base(folder / "compat.db") as opened:
        yield opened


@pytest.mark.parametrize(
    ("asked", "verdict", "used", "says"),
    [
        ("demo/npu", "breaks", ("3.0",), ""),
        ("demo/npu@2.0", "works", ("2.0",), ""),
        ("demo/npu@2", "works", ("2.0",), ""),
        ("demo/npu@1.10", "breaks", ("1.10",), ""),
        ("demo/npu@1.9.5", "breaks", ("1.9", "1.10"), "1.9.5 was not measured, 1.9 and 1.10 agree"),
        ("demo/npu@1.11", "unknown", ("1.10", "2.0"), "it breaks in 1.10, it works in 2.0"),
        ("demo/npu@4.0", "breaks", ("3.0",), "4.0 was not measured, this is what 3.0 does"),
        ("demo/npu@1.0", "unknown", (), "nothing older than 1.9 was measured"),
    ],
)
def test_check_answers_at_a_version(base: Base, asked: str, verdict: str, used: tuple[str, ...], says: str) -> None:
    (report,) = checker.check(conv_model(group=2), [asked], base).targets
    conv = next(f for f in report.findings if f.op_type == "Conv")
    assert (report.target, report.answered_from, conv.verdict) == (asked, used, verdict)
    assert says in conv.reason
    if conv.evidence:
        assert conv.evidence[0].version == used[-1]
    assert conv.confidence != "exact" or not says


def test_history_is_cited(base: Base) -> None:
    (report,) = checker.check(conv_model(group=2), ["demo/npu"], base).targets
    cited = next(f for f in report.findings if f.op_type == "Conv").evidence[0]
    assert cited.history == "fail up to 1.10, pass in 2.0, crash from 3.0 on"


def test_several_versions_are_reported_apart(base: Base) -> None:
    report = checker.check(conv_model(group=2), ["demo/npu@1.9", "demo/npu@2.0"], base)
    assert [t.version for t in report.targets] == ["1.9", "2.0"]


@pytest.mark.parametrize("asked", ["demo/npu@latest!", "demo/none@1.0"])
def test_a_version_that_is_none_is_one_sentence(base: Base, asked: str) -> None:
    with pytest.raises(CheckError) as caught:
        checker.check(conv_model(), [asked], base)
    assert "\n" not in str(caught.value)


def test_diff(base: Base, conv_probes: list[Probe]) -> None:
    grouped = sum(p.facts["grouping"] == "few" for p in conv_probes)
    found = diff.diff(base, "demo/npu", "1.9", "2")
    assert found[:4] == ("demo/npu", "1.9", "2.0", len(conv_probes)) and {diff.kind(c) for c in found[4]} == {"fixed"} and len(found[4]) == grouped
    text = diff.lines(*found)
    assert f"0 broke, {grouped} fixed" in text[0] and any(GROUPED in line for line in text)
    assert json.loads(diff.to_json(*found))["changes"][0]["kind"] == "fixed"
    assert {diff.kind(c) for c in diff.diff(base, "demo/npu", "1.10", "3.0")[4]} == {"changed"}
    assert {diff.kind(c) for c in diff.diff(base, "demo/npu", "2.0", "3.0")[4]} == {"broke"}
    with pytest.raises(CheckError, match=r"there are 1\.9, 1\.10"):
        diff.diff(base, "demo/npu", "7", "2.0")


def test_changes_are_ranges(base: Base) -> None:
    rows = {r[1:] for r in base.db.execute("SELECT probe, after, version, before, outcome, kind FROM changes")}
    assert rows == {("1.10", "2.0", "fail", "pass", "fixed"), ("2.0", "3.0", "pass", "crash", "broke")}


def test_every_version_of_every_runtime_is_chosen_by_name() -> None:
    for name, runtime in all_runtimes().items():
        if not runtime.HIDDEN:
            known = releases(runtime)
            assert list(known) == sorted(known, key=runfiles.version_order, reverse=True), f"{name}: newest first"
            assert len({env.folder(r) for r in known.values()}) == len(known)
            for number, release in known.items():
                assert [t for t, r in select([f"{name}@{number}"]) if name == r.NAME] == list(release.TARGETS)
    assert [version(r) for _, r in select(["ort/cpu"])] == [version(all_runtimes()["ort"])]
    assert len(select(["ort@*"])) >= 6


def test_many_flips_stop_a_new_version(tmp_path: Path, conv_probes: list[Probe], monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = type("New", (fake.Runtime,), {"PACKAGES": {"demo": "2.0"}, "TARGETS": {"demo/npu": {}}})
    record(tmp_path, "demo/npu", "1.0", [result(p) for p in conv_probes])

    def refused(self: Target, probes: tuple[Probe, ...]) -> Iterator[tuple[Probe, Raw, int, int]]:
        yield from ((p, Raw(None, "fail", "load", "no"), 1, 1) for p in probes)

    monkeypatch.setattr(Target, "raw", refused)
    monkeypatch.setattr("opcompat.runner.check_canaries", lambda target: None)
    monkeypatch.setattr(env, "find", lambda runtime: env.Environment(Path("python"), {}))
    monkeypatch.setattr("opcompat.oracle.references", lambda *_: lambda probe: None)
    monkeypatch.setattr("opcompat.runner.to_result", lambda probe, *_: result(probe, "fail"))
    monkeypatch.setattr(Target, "child_python", "3", raising=False)

    def run(**options: Any) -> tuple[dict[str, str], list[Result]]:
        made: list[Result] = []
        work = campaign.plan([("demo/npu", runtime)], conv_probes, tmp_path)
        return campaign.run(work, tmp_path, lambda _, r: made.append(r) if r else None, lambda *_: None, **options), made

    stopped, made = run()
    assert "verdicts differ from 1.0" in stopped["demo/npu@2.0"] and len(made) == campaign.MANY
    stopped, more = run(expect_changes=True)
    assert not stopped and len(made) + len(more) == len(conv_probes)


def test_a_model_of_an_opset_that_is_too_new_breaks_as_a_whole(tmp_path: Path) -> None:
    """Relu and Mul are as old as ever: what refuses them above opset 20 refuses the model. A new version of an operator alone shows no such thing."""
    probes = probe.load(["opsets", "conv"])
    plain = [p for p in probes if p.family == "opsets"]
    known = [p for p in probes if p.family == "conv" and p.opset < 20 and p.facts["grouping"] == "none"]
    too_new = "Unsupported opset version"

    def passing(p: Probe) -> bool:
        return p.opset <= 20

    refusing = [result(p) if passing(p) else result(p, "fail", stage="load", message=too_new) for p in plain]
    record(tmp_path / "runs", "demo/npu", "1", [*map(result, known), *refusing])
    record(tmp_path / "runs", "demo/npu", "2", [*map(result, known), *map(result, plain)])
    newer = [result(p) if p.opset < 22 else result(p, "fail") for p in probes if p.family == "conv"]
    record(tmp_path / "runs", "demo/cpu", "1", newer)
    (tmp_path / "claims").mkdir()
    building.build(tmp_path / "compat.db", tmp_path / "runs", tmp_path / "claims", probes)
    with Base(tmp_path / "compat.db") as base:
        assert base.newest_opsets() == {"demo/npu@1": (20, "opsets/Relu:opset=21")}
        old, new = checker.check(conv_model(opset=20), ["demo/npu@1"], base), checker.check(conv_model(opset=21), ["demo/npu@1"], base)
        assert old.targets[0].findings[0].verdict == "works" and old.targets[0].counts["breaks"] == 0
        assert new.targets[0].counts["breaks"] == 2 and new.targets[0].partitions == {"supported": 0, "unsupported": 1}
        for f in new.targets[0].findings:
            assert "opset 21" in f.reason and f.stage == "load" and f.evidence[0].message == too_new
            assert [w.name for w in f.workarounds] == ["older-opset"]
        assert all(t.counts["breaks"] == 0 for t in checker.check(conv_model(opset=21), ["demo/npu", "demo/cpu"], base).targets)
