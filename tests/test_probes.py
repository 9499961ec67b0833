"""Contracts of every probe family, and of patterns as templates."""

import subprocess
import sys
from pathlib import Path

import numpy as np
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
    ours = [p for p in everything if p.family != "node_tests"]
    assert len(ours) >= 4_800 and len(everything) - len(ours) >= 1_300
    assert {p.op_type for p in ours if p.domain == ""} == {s.name for s in onnx.defs.get_all_schemas_with_history() if s.domain == ""}
    assert len({p.op_type for p in ours if p.domain == "com.microsoft"}) >= 45
    assert len({p.pattern for p in ours if p.domain == "pattern" and "/" not in p.pattern}) >= 50


def test_every_pattern_finds_itself_exactly_once(everything: list[Probe]) -> None:
    patterns = [p for p in everything if p.domain == "pattern" and "/" not in p.pattern and not p.context]
    for p in patterns:
        scope = of_proto(p.proto, p.id).main
        known = templates([(p.pattern, p.model)], frozenset(n.op_type for n in scope.nodes))
        if not known:
            continue  # several outputs: not a template
        assert len(list(matches(known[0], scope))) == 1, p.id


def test_node_tests_are_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    module, made = FAMILIES["node_tests"], []
    monkeypatch.setenv("OPCOMPAT_CACHE", str(tmp_path))
    monkeypatch.setattr(module, "extracted", lambda: made.append(1) or {"cases": [], "left out": {"why": 2}})
    assert module.left_out() == {"why": 2} and module.left_out() == {"why": 2} and len(made) == 1
    (kept,) = (tmp_path / "node_tests").iterdir()
    kept.write_text("{")
    assert list(module.probes()) == [] and len(made) == 2, "a damaged file is made anew"
    monkeypatch.setenv("OPCOMPAT_CACHE", str(kept / "no folder"))
    assert module.left_out() == {"why": 2} and len(made) == 3, "where nothing can be kept, it still works"


def test_node_tests_keep_their_numbers(everything: list[Probe]) -> None:
    tests = {p.id: p for p in everything if p.family == "node_tests"}
    relu = tests["node_tests/Relu:test_relu"]
    assert relu.expected is not None and np.array_equal(relu.expected[0], np.maximum(relu.inputs["x"], 0)) and relu.tolerance is not None
    strings = tests["node_tests/StringConcat:test_string_concat_utf8"]
    assert strings.expected is not None and strings.expected[0].dtype == object and strings.tolerance is None
    assert all(p.expected and len(p.expected) == len(p.proto.graph.output) for p in tests.values())


def test_what_node_tests_leave_out() -> None:
    reason, node, two = FAMILIES["node_tests"].reason, onnx.ModelProto(), onnx.ModelProto()
    node.graph.node.add(op_type="Relu")
    node.graph.output.append(onnx.helper.make_tensor_value_info("y", 1, [1]))
    two.CopyFrom(node)
    two.graph.node.add(op_type="Relu")
    assert reason("test_relu", node) == "" and "operators have probes" in reason("test_relu_expanded", node)
    assert "more than one node" in reason("test_two", two) and "random" in reason("test_bernoulli", node)
    assert "locales" in reason("test_strnormalizer_export_monday_empty_output", node)
    for kind, why in (
        (onnx.helper.make_sequence_type_proto(node.graph.output[0].type), "sequences"),
        (onnx.helper.make_tensor_type_proto(22, [1]), "byte"),
    ):
        node.graph.output[0].type.CopyFrom(kind)
        assert why in reason("test_relu", node)


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


def test_samples_nest_and_reach_every_operator() -> None:
    everything = probe.load()
    operators = {(p.domain, p.op_type) for p in everything}
    whole = probe.sample(everything, 1)
    assert sorted(p.id for p in whole) == sorted(p.id for p in everything)
    assert {(p.domain, p.op_type) for p in whole[: len(operators)]} == operators, "a campaign that is stopped knows all of them"
    larger = everything
    for share in range(1, 40):
        chosen = probe.sample(everything, share)
        assert {p.id for p in chosen} <= {p.id for p in larger}
        assert {(p.domain, p.op_type) for p in chosen} == operators
        assert len(chosen) <= len(everything) // share + len(operators)
        larger = chosen
