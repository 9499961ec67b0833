"""Contracts of every probe family, and of patterns as templates."""

import subprocess
import sys

import onnx
import pytest

from opcompat import probe
from opcompat.model import of_proto
from opcompat.patterns import matches, templates
from opcompat.probe import Probe, describe, grid, pairwise, vary

FAMILIES = probe.families()


@pytest.fixture(scope="module")
def everything() -> list[Probe]:
    return probe.load()


@pytest.mark.parametrize("name", FAMILIES)
def test_family(name: str, everything: list[Probe]) -> None:
    module = FAMILIES[name]
    members = [p for p in everything if p.family == name]
    assert name == module.FAMILY and len(module.__doc__ or "") > 60
    assert members
    for p in members:
        assert p.id.startswith(f"{name}/") and len(p.model) < 20_000, p.id
        assert set(p.inputs) == {i.name for i in p.proto.graph.input} - {t.name for t in p.proto.graph.initializer}, p.id
        assert all(o.type.WhichOneof("value") for o in p.proto.graph.output), p.id
        assert p.facts and "unknown" not in (p.facts.get("dtype"),), p.id
        assert p.tolerance is None or p.tolerance.reason


def test_digests_are_unique_and_equal_in_another_process(everything: list[Probe]) -> None:
    assert len({p.digest for p in everything}) == len(everything)
    code = "from opcompat import probe; print(*[p.digest for p in probe.load(['conv', 'qdq'])])"
    again = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    assert again == [p.digest for p in everything if p.family in ("conv", "qdq")]


def test_the_set_is_as_wide_as_documented(everything: list[Probe]) -> None:
    assert len(everything) >= 600
    assert len({(p.domain, p.op_type) for p in everything if p.domain == ""}) >= 60


def test_every_pattern_finds_itself_exactly_once(everything: list[Probe]) -> None:
    patterns = [p for p in everything if p.domain == "pattern" and "/" not in p.pattern]
    for p in patterns:
        scope = of_proto(p.proto, p.id).main
        known = templates([(p.pattern, p.model)], frozenset(n.op_type for n in scope.nodes))
        if not known:
            continue  # several outputs: not a template
        assert len(list(matches(known[0], scope))) == 1, p.id


def test_a_pattern_whose_inner_value_is_read_elsewhere_does_not_match(everything: list[Probe]) -> None:
    silu = next(p for p in everything if p.id.startswith("activation_patterns/silu:"))
    proto = onnx.ModelProto()
    proto.CopyFrom(silu.proto)
    known = templates([("silu", silu.model)], frozenset({"Sigmoid", "Mul"}))
    assert len(list(matches(known[0], of_proto(proto, "m").main))) == 1
    proto.graph.output.append(onnx.helper.make_tensor_value_info(proto.graph.node[0].output[0], 1, None))
    assert not list(matches(known[0], of_proto(proto, "m").main))


def test_factors() -> None:
    base = {"a": 1, "b": 2}
    assert list(vary(base, a=[1, 3], b=[4])) == [base, {"a": 3, "b": 2}, {"a": 1, "b": 4}]
    assert len(list(grid(a=[1, 2], b=[1, 2, 3]))) == 6
    assert {"a": 3, "b": 4} in list(pairwise(base, a=[3], b=[4]))
    assert describe(base, {"a": 3, "b": 2}) == "a=3" and describe(base, base) == "base"
