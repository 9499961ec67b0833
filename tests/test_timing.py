"""Timings: two sides in turns, what is recorded of them, and when a node is called slow."""

import json
import sqlite3
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import jsonschema
import numpy as np
import pytest
from conftest import conv_model, record, result

import opcompat
from opcompat import building, campaign, checker, probe, report, runfiles, runner, timing, worker
from opcompat.compare import Reference
from opcompat.outcome import Clocked, Run
from opcompat.predict import Timed, slowdown, speaking
from opcompat.probe import Graph, Probe, finish
from opcompat.runtimes import fake
from opcompat.store import Base
from opcompat.timing import Timing

TIMINGS = timing.load()


# ---- definitions -----------------------------------------------------------------------------------------------------------------------


def test_every_timing_says_what_it_compares() -> None:
    assert len({t.digest for t in TIMINGS}) == len(TIMINGS) >= 60
    for t in TIMINGS:
        assert t.id.startswith("timing/") and t.what and t.than and set(t.marks) <= t.facts.keys(), t.id
        assert min(t.work) > 0 and 0 <= t.limit <= 2 / 3, t.id
        assert t.digest != t.baseline.digest


def test_timings_are_no_probes_and_families_no_timings() -> None:
    assert not any(isinstance(p, Timing) for p in probe.load(["conv", "activation_patterns"]))
    assert not {t.id for t in TIMINGS} & {p.id for p in probe.load(["conv"])}
    for module in probe.families(timing.folder()).values():
        assert len(module.__doc__ or "") > 60 and all(isinstance(t, Timing) for t in module.probes())


def test_patterns_are_spelled_as_probes_spell_them() -> None:
    """Else no node of a user's model would ever be found in them."""
    known = {(p.pattern, p.facts.get("spelling")) for p in probe.load() if p.domain == "pattern"}
    timed = [t for t in TIMINGS if t.domain == "pattern"]
    assert len(timed) > 20 and [t.id for t in timed if (t.pattern, t.facts["spelling"]) not in known] == []


# ---- measuring -------------------------------------------------------------------------------------------------------------------------


def test_two_sides_take_turns_and_a_disturbance_hits_both() -> None:
    now, slowness, order = [0.0], [1.0], []

    def side(name: str, seconds: float) -> Callable[[], None]:
        def infer() -> None:
            order.append(name)
            now[0] += seconds * slowness[0]
            slowness[0] *= 1.02  # the machine gets slower and slower

        return infer

    subject, baseline = worker.in_turns(side("A", 0.03), side("B", 0.01), lambda: now[0])
    assert len(subject) == len(baseline) >= worker.SAMPLES
    assert "".join(order).startswith("AABB" + "ABBA" * 3)
    low, middle, high = timing.ratios((1, 1), subject, baseline)
    assert 0.3 < low <= middle <= high < 0.36 and subject[-1] > 1.5 * subject[0]
    assert timing.ratios((6, 2), subject, baseline)[1] == pytest.approx(3 * middle)


def test_short_inferences_are_repeated_and_long_ones_end_in_time() -> None:
    now = [0.0]

    def side(seconds: float, calls: list[None]) -> Callable[[], None]:
        return lambda: (calls.append(None), now.__setitem__(0, now[0] + seconds))[0]

    calls: list[None] = []
    subject, _ = worker.in_turns(side(1e-5, calls), side(1e-5, []), lambda: now[0])
    assert worker.SAMPLES < len(subject) <= worker.MOST_SAMPLES and len(calls) == pytest.approx(len(subject) * worker.SAMPLE_S / 1e-5, rel=0.02)
    assert subject[0] == pytest.approx(0.01)
    subject, _ = worker.in_turns(side(3, []), side(3, []), lambda: now[0])
    assert len(subject) == 2


def relu(name: str) -> Probe:
    """A Relu probe whose model holds `name`, so that the fake runtime can be told to misbehave on it."""
    graph = Graph()
    array = np.linspace(-1, 1, 4, dtype=np.float32)
    proto = finish(graph, {"X": array}, [graph("Relu", "X")], 13)
    proto.graph.doc_string = name
    return Probe(name, "timing", proto, {"X": array}, 0)


def against(subject: str, baseline: str) -> Timing:
    return timing.timing(relu(subject), relu(baseline), what="this", than="that", marks=["since_version"])


def test_whatever_the_child_does_every_timing_is_finished() -> None:
    pairs = [("slow", "plain"), ("boom", "plain"), ("plain", "refused"), ("refused", "plain"), ("plain", "slow")]
    acts = {"boom": "crash", "refused": "refuse", "slow": "slow"}
    with runner.Target(fake.Runtime, {"acts": acts}, Path(sys.executable), 20, 1) as target:
        raws = [raw for _, raw, _, _ in target.raw([against(*p) for p in pairs])]
        assert not list(target.scratch.iterdir())
    assert [r.outcome for r in raws] == ["pass", "crash", "broken", "fail", "pass"]
    assert raws[2].message == "the baseline does not run: fake: no kernel for this"
    samples = [r.samples for r in raws]
    assert samples[1:4] == [None] * 3 and samples[0] is not None and samples[4] is not None
    assert timing.ratios((1, 1), *samples[0])[2] < 0.2 and timing.ratios((1, 1), *samples[4])[0] > 5


def test_wrong_numbers_leave_no_times() -> None:
    subject = against("one", "two")
    raw = runner.Raw([("float32", np.ones(4, np.float32))], samples=((1.0, 2.0), (3.0, 4.0)))
    good = runner.to_result(subject, raw, Reference((("float32", np.full(4, 1.005, np.float32)),), "ort"), None, 1, 1)
    wrong = runner.to_result(subject, raw, Reference((("float32", np.zeros(4, np.float32)),), "ort"), None, 1, 1)
    assert isinstance(good, Clocked) and good.outcome == "pass" and good.subject_ms == (1.0, 2.0) and good.baseline_ms == (3.0, 4.0)
    assert isinstance(wrong, Clocked) and wrong.outcome == "wrong" and wrong.subject_ms == wrong.baseline_ms == ()


# ---- recording and checking ------------------------------------------------------------------------------------------------------------


def clock(folder: Path, target: str, version: str, ratios: dict[str, float], started: str = "2026-02-01T00:00:00+00:00") -> None:
    """Record timings as a campaign would: timing id -> ratio of throughputs."""
    known = {t.id: t for t in TIMINGS}
    with runfiles.RunWriter(Run(target, version, {}, {}, {}, "0", started), runfiles.timings_folder(folder)) as writer:
        for name, ratio in ratios.items():
            t = known[name]
            baseline = tuple(ratio * t.work[1] / t.work[0] * (1 + k / 100) for k in range(-7, 8))
            writer.write(Clocked(t.id, t.digest, "pass", "compare", started=started, subject_ms=(1.0,) * 15, baseline_ms=baseline))
        writer.pack()


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Everything passes on demo/cpu 1 and 2; 2 is slow at wide groups and at one spelling of GELU."""
    folder = tmp_path_factory.mktemp("timed")
    probes = probe.load(["conv", "activation", "activation_patterns"])
    for version in ("1", "2"):
        record(folder / "runs", "demo/cpu", version, [result(p) for p in probes])
    grouped = [t.id for t in TIMINGS if t.op_type == "Conv" and t.facts["grouping"] == "few" and t.facts["kernel.max"] == 3 and t.limit]
    clock(folder / "runs", "demo/cpu", "2", {"timing/gelu-erf:first half": 0.9, **dict.fromkeys(grouped, 0.4)}, "2026-01-31T00:00:00+00:00")
    clock(
        folder / "runs",
        "demo/cpu",
        "2",
        {"timing/gelu-erf:last half": 0.3, "timing/gelu-erf:first half": 0.2, "timing/Conv:3x3,groups=2,channels=60": 0.5},
    )
    clock(folder / "runs", "other/cpu", "1", {"timing/gelu-erf:last half": 0.3})
    (folder / "claims").mkdir()
    building.build(folder / "compat.db", folder / "runs", folder / "claims", probes, TIMINGS)
    return folder / "compat.db"


def test_what_is_recorded_is_not_due_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = type("Known", (fake.Runtime,), {"PACKAGES": {"demo": "1"}, "REVISION": 1})
    monkeypatch.setattr(campaign, "recorded_options", lambda *_: {})
    clock(tmp_path, "fake/cpu", "1", {TIMINGS[0].id: 0.5})
    (work,) = campaign.plan([("fake/cpu", runtime)], TIMINGS[:3], runfiles.timings_folder(tmp_path))
    assert [p.id for p in work.probes] == [t.id for t in TIMINGS[1:3]] and work.recorded == 1


def test_the_database_has_the_latest_numbers(base: Path) -> None:
    with sqlite3.connect(base) as db:
        rows = dict(db.execute("SELECT timing, ratio FROM slowdowns WHERE target = 'demo/cpu'"))
        assert rows["timing/gelu-erf:first half"] == pytest.approx(0.2) and max(rows.values()) == pytest.approx(0.5)
        assert db.execute("SELECT COUNT(*) FROM targets WHERE target = 'other/cpu'").fetchone() == (0,), "timed, but never probed"
        assert db.execute("SELECT COUNT(*) FROM runs JOIN timed USING (run) WHERE runs.target <> 'demo/cpu'").fetchone() == (0,)
    with Base(base) as opened:
        assert opened.model("timing/gelu-erf:first half") is not None


def test_a_node_with_the_timed_facts_is_slow(base: Path) -> None:
    conv, relu = opcompat.check(conv_model(group=4), ["demo/cpu"], Base(base)).targets[0].findings
    assert (conv.verdict, relu.verdict, conv.workarounds) == ("slow", "works", ())
    assert conv.reason == "a 3x3 Conv in 2 groups of 30 channels (56x56) runs here at 0.50x the throughput of a dense Conv of the same FLOPs"
    timed, probed = conv.evidence
    assert (timed.source, timed.outcome, timed.version) == ("timing/Conv:3x3,groups=2,channels=60", "0.50x", "2")
    assert timed.message == "quartiles 0.48 to 0.52 over 15 pairs" and probed.outcome == "pass"


def test_other_facts_versions_and_spellings_are_not_slow(base: Path) -> None:
    with Base(base) as opened:

        def verdicts(model: object, target: str = "demo/cpu") -> set[str]:
            return {f.verdict for f in opcompat.check(model, [target], opened).targets[0].findings if f.op_type != "Relu"}  # type: ignore[arg-type]

        assert verdicts(conv_model()) == verdicts(conv_model(group=8)) == {"works"}, "dense and depthwise"
        assert verdicts(conv_model(group=4), "demo/cpu@2") == {"slow"} and verdicts(conv_model(group=4), "demo/cpu@1") == {"works"}
        known = {t.id: t.proto for t in TIMINGS}
        assert verdicts(known["timing/gelu-erf:last half"]) == {"slow"}
        assert verdicts(known["timing/gelu-tanh:last half"]) == {"works"}


TEXT = """\
~ Conv is slow on demo/cpu
nodes      conv
why        a 3x3 Conv in 2 groups of 30 channels (56x56) runs here at 0.50x the throughput of a
           dense Conv of the same FLOPs (inferred)
evidence   measured on demo/cpu 2, 2026-02-01: timing/Conv:3x3,groups=2,channels=60 -> 0.50x:
           quartiles 0.48 to 0.52 over 15 pairs
"""


def test_every_format_shows_it(base: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    found = opcompat.check(conv_model(group=4), ["demo/cpu"], Base(base))
    assert found.targets[0].verdict == "slow" and found.targets[0].counts["slow"] == 1 and found.targets[0].partitions["unsupported"] == 0
    report.print_text(found)
    text = "\n".join(line.rstrip() for line in capsys.readouterr().out.splitlines())
    assert TEXT in text + "\n", text
    assert "### ~ Conv is slow on demo/cpu" in report.to_markdown(found) and "Conv is slow on demo/cpu" in report.to_html(found)
    (sarif,) = json.loads("".join(report.sarif_pieces(found, "m.onnx")))["runs"][0]["results"]
    assert sarif["ruleId"] == "opcompat/slow" and sarif["level"] == "warning" and "0.50x" in sarif["message"]["text"]
    jsonschema.validate(json.loads(report.to_json(found)), json.loads(checker.schema_text()))


# ---- rules -----------------------------------------------------------------------------------------------------------------------------

FACTS = {"X.rank": 4, "dtype": "float32", "grouping": "few", "padding": "none", "quantised": "none"}
SLOW = Timed("t", FACTS, ("grouping",), "this", "that", 2 / 3, 0.35, 0.4, 0.45, 41, "1", "2026")


def test_only_a_node_that_shares_what_a_timing_is_about_is_spoken_of() -> None:
    assert speaking({**FACTS, "padding": "symmetric"}, [SLOW]) == [SLOW]
    for change in ({"grouping": "none"}, {"dtype": "float16"}, {"X.rank": 3}, {"quantised": "uint8"}):
        assert speaking({**FACTS, **change}, [SLOW]) == []
    assert speaking(FACTS, [replace(SLOW, limit=0.0)]) == [], "a yardstick convicts nobody"
    near, far = replace(SLOW, timing="near"), replace(SLOW, timing="far", facts={**FACTS, "padding": "symmetric"})
    assert speaking(FACTS, [near, far]) == [near]


def test_all_that_speak_must_agree_and_the_mildest_is_cited() -> None:
    milder, fast, unsure = replace(SLOW, ratio=0.5), replace(SLOW, ratio=0.9, high=0.95), replace(SLOW, ratio=0.6, high=0.7)
    assert slowdown([]) is None and slowdown([SLOW, fast]) is None and slowdown([SLOW, unsure]) is None
    assert slowdown([SLOW, milder]) is milder
