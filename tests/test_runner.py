"""The parent and its children, driven with the fake runtime: crashes, hangs, refusals, poisoned neighbours, canaries."""

import sys
import tempfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from opcompat import runner
from opcompat.compare import Reference
from opcompat.probe import Graph, Probe, finish
from opcompat.runtimes import fake


def relu(name: str, size: int = 4) -> Probe:
    """A Relu probe whose model holds `name`, so that the fake runtime can be told to misbehave on it."""
    graph = Graph()
    end = graph("Relu", "X")
    array = np.linspace(-1, 1, size, dtype=np.float32)
    proto = finish(graph, {"X": array}, [end], 13)
    proto.graph.doc_string = name
    return Probe(name, "test", proto, {"X": array}, 0)


def drive(probes: list[Probe], acts: dict[str, str], timeout: float = 2.0) -> list[tuple[str, str, str, int, int]]:
    with runner.Target(fake.Runtime, {"acts": acts}, Path(sys.executable), timeout) as target:
        return [(p.id, raw.outcome, raw.stage, attempts, agreeing) for p, raw, attempts, agreeing in target.raw(probes)]


def test_everything_finishes_whatever_the_child_does() -> None:
    probes = [relu(n) for n in ("one", "boom", "two", "stuck", "refused", "three")]
    found = drive(probes, {"boom": "crash", "stuck": "hang", "refused": "refuse"})
    assert found == [
        ("one", "pass", "compare", 1, 1), ("boom", "crash", "load", 2, 2), ("two", "pass", "compare", 1, 1), ("stuck", "timeout", "load", 2, 2),
        ("refused", "fail", "load", 1, 1), ("three", "pass", "compare", 1, 1),
    ]  # fmt: skip


def test_a_probe_that_corrupts_the_process_is_blamed_for_its_neighbours_death() -> None:
    found = drive([relu("one"), relu("poisoner"), relu("victim"), relu("later")], {"poisoner": "poison"})
    assert ("victim", "pass", "compare", 2, 2) in found
    assert found[-2][:3] == ("poisoner", "crash", "run") or ("poisoner", "crash", "run", 2, 2) in found
    assert found[-1][:2] == ("later", "pass")


def test_a_process_that_refuses_whatever_comes_is_not_believed() -> None:
    probes = [replace(relu(n), focus=None, pattern=n) for n in ("one", "spoiler", "two", "three", "four", "five")]
    found = drive(probes, {"spoiler": "spoil"})
    last = {name: (outcome, attempts) for name, outcome, _, attempts, _ in found}
    assert last == {"one": ("pass", 1), "spoiler": ("pass", 1), "two": ("pass", 2), "three": ("pass", 2), "four": ("pass", 2), "five": ("pass", 1)}


def test_a_refusal_that_many_operators_share_is_tried_once_more_and_believed() -> None:
    probes = [replace(relu(n), focus=None, pattern=n) for n in ("one", "two", "three", "four")]
    assert drive(probes, {"probe": "refuse"}) == [(p.id, "fail", "load", 1, 1) for p in probes]


def test_outputs_come_back_whole() -> None:
    probe = relu("values", 7)
    with runner.Target(fake.Runtime, {}, Path(sys.executable)) as target:
        ((_, raw, _, _),) = target.raw([probe])
        assert not list(target.scratch.iterdir())
    assert raw.outputs is not None
    np.testing.assert_array_equal(raw.outputs[0][1], np.maximum(probe.inputs["X"], 0))


def test_what_a_killed_child_left_in_its_temporary_folder_is_removed() -> None:
    with runner.Target(fake.Runtime, {"acts": {"litters": "litter", "dies": "crash"}}, Path(sys.executable)) as target:
        outcomes = [(p.id, raw.outcome) for p, raw, *_ in target.raw([relu("litters"), relu("dies")])]
        left = [*target.scratch.rglob("opcompat-litter-*"), *Path(tempfile.gettempdir()).glob("opcompat-litter-*")]
    assert outcomes == [("litters", "pass"), ("dies", "crash")] and not left


def test_a_runtime_that_cannot_start_is_unavailable_with_its_reason() -> None:
    broken = type("Runtime", (fake.Runtime,), {"__module__": "opcompat.runtimes.qnn"})  # an SDK that this Python does not have
    with runner.Target(broken, {}, Path(sys.executable)) as target, pytest.raises(runner.Unavailable, match="onnxruntime"):
        list(target.raw([relu("one")]))


def test_the_negative_control_must_fail() -> None:
    with runner.Target(fake.Runtime, {}, Path(sys.executable)) as target, pytest.raises(runner.Unavailable, match="negative control"):
        runner.check_canaries(target)
    with runner.Target(fake.Runtime, {"acts": {"NoSuchOperator": "refuse"}}, Path(sys.executable)) as target:
        runner.check_canaries(target)
    with runner.Target(fake.Runtime, {"acts": {"Relu": "crash"}}, Path(sys.executable)) as target, pytest.raises(runner.Unavailable, match="canary"):
        runner.check_canaries(target)


DECLARED = type("Runtime", (fake.Runtime,), {"__module__": fake.__name__, "EVIDENCE": "declared", "REFUSES": "Ceil"})
"""An SDK that is only asked."""
ANSWERS = {"declares": True, "acts": {"NoSuchOperator": "refuse", "Ceil": "refuse"}}


def test_a_declared_pass_has_no_numbers() -> None:
    with runner.Target(DECLARED, ANSWERS, Path(sys.executable)) as target:
        runner.check_canaries(target)
        ((probe, raw, attempts, agreeing),) = target.raw([relu("one")])
    result = runner.to_result(probe, raw, Reference(None, "none", True), None, attempts, agreeing)
    assert (result.outcome, result.stage, result.oracle, result.max_abs) == ("pass", "compile", "", None)


def test_a_measured_pass_must_have_numbers() -> None:
    with runner.Target(fake.Runtime, ANSWERS, Path(sys.executable)) as target, pytest.raises(runner.Unavailable, match="canary"):
        runner.check_canaries(target)


@pytest.mark.parametrize("acts", [{"NoSuchOperator": "refuse"}, {"NoSuchOperator": "refuse", "Ceil": "crash"}])
def test_a_target_that_does_not_refuse_its_own_negative_control_is_unavailable(acts: dict[str, str]) -> None:
    with runner.Target(DECLARED, {**ANSWERS, "acts": acts}, Path(sys.executable)) as target, pytest.raises(runner.Unavailable, match="Ceil"):
        runner.check_canaries(target)


def judged(outputs: Any, reference: Reference) -> Any:
    return runner.to_result(relu("x"), runner.Raw(outputs=outputs), reference, None, 1, 1)


def test_a_disputed_probe_convicts_nobody() -> None:
    ones = [("float32", np.ones(4, np.float32))]
    assert judged(ones, Reference(None, "none", True, "the oracles disagree")).outcome == "broken"
    assert judged(ones, Reference(tuple(ones), "both")).outcome == "pass"
    assert judged([("float32", np.zeros(4, np.float32))], Reference(tuple(ones), "both")).outcome == "wrong"
