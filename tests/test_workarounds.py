"""Every workaround: its contract, and where it rewrites, that numbers stay the same and the node it was for is gone."""

import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from typing import Any, get_args

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator
from packaging.specifiers import SpecifierSet

from opcompat import probe, workarounds
from opcompat.compare import is_quantised, judge
from opcompat.fixer import rewrite
from opcompat.model import DTYPES, of_proto
from opcompat.predict import Evidence
from opcompat.signature import signature
from opcompat.workarounds import Kind, Refused, Workaround, all_workarounds

ALL = all_workarounds()
REWRITES = [w for w in ALL if w.rewrite]
WITHOUT_REFERENCE = {"col2im-to-conv-transpose", "qlinear-to-qdq"}
"""The reference lacks grouped ConvTranspose and operators of com.microsoft: only the oracles tell."""
SECTIONS = ("What it does:", "When it applies:", "Why:", "Cost:", "References:")


@pytest.fixture(scope="module")
def proofs() -> dict[str, list[probe.Probe]]:
    found: dict[str, list[probe.Probe]] = {}
    for p in probe.load(["workaround"]):
        found.setdefault(p.pattern.split("/")[1], []).append(p)
    return found


@pytest.fixture(scope="module")
def originals() -> dict[str, probe.Probe]:
    return {p.id: p for p in probe.load()}


def _module(w: Workaround) -> ModuleType:
    return sys.modules[f"opcompat.workarounds.{w.name.replace('-', '_')}"]


@pytest.mark.parametrize("w", ALL, ids=lambda w: w.name)
def test_contract(w: Workaround) -> None:
    module = _module(w)
    assert module.WORKAROUND is w
    assert all(s in (module.__doc__ or "") for s in SECTIONS)
    assert w.title and w.advice.endswith(".") and w.source and w.operators and w.targets
    assert all(t == "*" or "/" in t for t in w.targets)
    SpecifierSet(w.versions)
    re.compile(w.message)


def test_there_are_enough_and_names_are_unique() -> None:
    """A file is one condition; it counts once however many operators and targets it is for."""
    assert len({w.name for w in ALL}) == len(ALL) >= 60
    assert len(REWRITES) >= 20 and sum(bool(w.versions) for w in ALL) >= 5
    assert {w.kind for w in ALL} == set(get_args(Kind))


def _fitting(w: Workaround, proto: onnx.ModelProto) -> int:
    nodes = of_proto(proto, "r").main.nodes
    return sum(w.fits(f"{n.domain}:{n.op_type}" if n.domain else n.op_type, signature(n), w.targets[0].replace("*", "x")) for n in nodes)


def _grouped(proto: onnx.ModelProto) -> bool:
    """Say whether there is a grouped ConvTranspose, which the reference gets wrong."""
    return any(n.op_type == "ConvTranspose" and any(a.name == "group" and a.i > 1 for a in n.attribute) for n in proto.graph.node)


def _answer(p: probe.Probe) -> list[np.ndarray]:
    return list(p.answer(dict(p.inputs))) if p.answer else list(ReferenceEvaluator(p.proto).run(None, p.inputs))


@pytest.mark.parametrize("w", REWRITES, ids=lambda w: w.name)
def test_rewrites_keep_the_numbers(w: Workaround, proofs: dict[str, list[probe.Probe]], originals: dict[str, probe.Probe]) -> None:
    """By onnx's reference, or the original's own answer in numpy where the reference is wrong."""
    ran = 0
    for rewritten in proofs[w.name]:
        original = originals[rewritten.id.split(":", 1)[1]]
        onnx.checker.check_model(rewritten.proto)
        assert _fitting(w, rewritten.proto) < _fitting(w, original.proto)
        if _grouped(rewritten.proto) or (_grouped(original.proto) and original.answer is None):
            continue
        try:
            before, after = _answer(original), ReferenceEvaluator(rewritten.proto).run(None, rewritten.inputs)
        except Exception:
            continue  # the reference lacks an operator at this opset; test_oracles_agree covers it
        ran += 1
        names = [DTYPES[o.type.tensor_type.elem_type] for o in original.proto.graph.output]
        wanted = [(name, np.asarray(a).astype(probe.np_dtype(name))) for name, a in zip(names, before, strict=True)]
        made = [(str(np.asarray(a).dtype), np.asarray(a)) for a in after]
        found = judge(made, wanted, quantised=is_quantised(original.proto), own=original.tolerance)
        assert found.same, (rewritten.id, found)
    assert ran or w.name in WITHOUT_REFERENCE


@pytest.mark.runtimes
def test_oracles_agree(proofs: dict[str, list[probe.Probe]], originals: dict[str, probe.Probe]) -> None:
    """Original and rewritten probe have the same answer by the oracles of a campaign, ONNX Runtime among them."""
    from opcompat import oracle

    pairs = [(p, originals[p.id.split(":", 1)[1]]) for group in proofs.values() for p in group]
    settled = oracle.references([p for pair in pairs for p in pair])
    compared = 0
    for rewritten, original in pairs:
        before, after = settled(original).outputs, settled(replace(rewritten, answer=None)).outputs
        if before is not None and after is not None:
            compared += 1
            assert judge(after, before, quantised=is_quantised(original.proto), own=original.tolerance).same, rewritten.id
    assert compared > 0.9 * len(pairs)


def test_a_refusal_changes_nothing() -> None:
    for p in probe.load(["conv"]):
        if p.facts["grouping"] == "few" and p.facts["W.const"]:
            break
    proto = onnx.ModelProto()
    proto.CopyFrom(p.proto)
    weight = proto.graph.initializer[0]
    proto.graph.input.append(onnx.helper.make_tensor_value_info(weight.name, weight.data_type, list(weight.dims)))
    del proto.graph.initializer[0]
    before = proto.SerializeToString(deterministic=True)
    recipe = next(w for w in ALL if w.name == "split-grouped-conv").rewrite
    assert recipe is not None
    with pytest.raises(Refused, match="initializer"):
        recipe(proto, 0)
    assert proto.SerializeToString(deterministic=True) == before


def test_checking_pays_nothing_for_them() -> None:
    code = "import sys; from opcompat.workarounds import all_workarounds as w; assert len(w()) > 9 and not {'onnx', 'numpy'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_fixing_rewrites_only_what_breaks(small_base: Path) -> None:
    from conftest import conv_model

    import opcompat
    from opcompat.store import Base

    proto = conv_model(group=4)
    report = opcompat.check(proto, ["demo/npu"], Base(small_base))
    done, refused = rewrite(proto, report)
    assert done == ["conv: split-grouped-conv"] and not refused
    assert [n.op_type for n in proto.graph.node] == ["Split", *["Conv"] * 4, "Concat", "Relu"]
    assert proto.graph.node[-1].input[0] == "c" and workarounds.__name__


def _model(nodes: list[onnx.NodeProto], ir: int = 8, opset: int = 20, defaults: bool = False, dtype: type = np.float32) -> onnx.ModelProto:
    """Return a model from x to y, both 1x8x6x6, with grouped weights w, scale s, bias b, and c0 of the first node's own stem."""
    shape, number = [1, 8, 6, 6], onnx.helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
    values = {"w": probe.data(8, 2, 3, 3), "s": np.ones(8, dtype), "b": np.zeros(8, dtype), "n/c0": np.ones((), dtype)}
    held = [onnx.numpy_helper.from_array(a, n) for n, a in values.items()]
    inputs = [onnx.helper.make_tensor_value_info("x", number, shape)]
    inputs += [onnx.helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in held] if defaults else []
    graph = onnx.helper.make_graph(nodes, "g", inputs, [onnx.helper.make_tensor_value_info("y", number, shape)], held)
    return onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=ir)


def _conv(source: str, made: str) -> onnx.NodeProto:
    return onnx.helper.make_node("Conv", [source, "w"], [made], name="n", group=4, pads=[1] * 4)


def _apply(name: str, proto: onnx.ModelProto, *indexes: int) -> onnx.ModelProto:
    made = onnx.ModelProto()
    made.CopyFrom(proto)
    for index in indexes:
        recipe = next(w for w in ALL if w.name == name).rewrite
        assert recipe is not None
        recipe(made, index)
    onnx.checker.check_model(made)
    return made


@pytest.mark.parametrize("ir, opset", [(8, 17), (3, 9)])
def test_names_that_are_taken_and_models_of_old(ir: int, opset: int) -> None:
    """Both nodes are called n, and the model has an n/c0 of its own; before IR 4 initializers are inputs too."""
    proto = _model([_conv("x", "a"), _conv("a", "y")], ir, opset, defaults=ir < 4)
    fixed = _apply("split-grouped-conv", proto, 1, 0)
    feeds = {"x": probe.data(1, 8, 6, 6)}
    before, after = (ReferenceEvaluator(p).run(None, feeds)[0] for p in (proto, fixed))
    assert np.abs(before - after).max() < 1e-4 * np.abs(before).max()


def test_weights_a_caller_may_feed_are_no_constants() -> None:
    proto = _model([_conv("x", "y")], defaults=True)
    before = proto.SerializeToString(deterministic=True)
    with pytest.raises(Refused, match="only a default"):
        next(w for w in ALL if w.name == "split-grouped-conv").rewrite(proto, 0)  # type: ignore[misc]
    assert proto.SerializeToString(deterministic=True) == before


def test_a_negative_alpha_is_refused() -> None:
    proto = _model([onnx.helper.make_node("Celu", ["x"], ["y"], alpha=-1.0)])
    with pytest.raises(Refused, match="alpha"):
        _apply("celu-to-elu", proto, 0)


@pytest.mark.parametrize(
    "name, node, opset",
    [
        ("layer-normalization-to-primitives", onnx.helper.make_node("LayerNormalization", ["x", "s6"], ["y"]), 20),
        ("group-normalization-to-instance-normalization", onnx.helper.make_node("GroupNormalization", ["x", "s", "b"], ["y"], num_groups=2), 21),
    ],
)
def test_half_precision_does_not_overflow(name: str, node: onnx.NodeProto, opset: int) -> None:
    """Squares of 300 exceed float16; the operators compute in float32, so must their rewrites. ORT on CPU widens halves and hides it."""
    proto = _model([node], ir=10, opset=opset, dtype=np.float16)
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.ones(6, np.float16), "s6"))
    x = probe.data(1, 8, 6, 6, dtype="float16", low=-3000.0, high=3000.0)
    rows = x.astype(np.float64).reshape(-1, 6) if "layer" in name else x.astype(np.float64).reshape(2, -1)
    wanted = ((rows - rows.mean(1, keepdims=True)) / np.sqrt(rows.var(1, keepdims=True) + 1e-5)).reshape(x.shape)
    made = ReferenceEvaluator(_apply(name, proto, 0)).run(None, {"x": x})[0]
    assert made.dtype == np.float16 and np.abs(made - wanted).max() < 5e-3


def test_the_size_of_the_weights_does_not_matter() -> None:
    """An edit of one node copies no weights: at 200 nodes and 200 MB that took minutes."""
    from opcompat.workarounds._edit import _light

    proto = _model([onnx.helper.make_node("Gelu", ["x"], ["y"])])
    proto.graph.initializer.append(onnx.numpy_helper.from_array(np.zeros((1000, 1000), np.float32), "large"))
    assert _light(proto).ByteSize() < 10_000 < proto.ByteSize()


def test_helping_one_target_does_not_break_another(small_base: Path) -> None:
    from conftest import conv_model

    import opcompat
    from opcompat.fixer import harmful
    from opcompat.store import Base

    assert harmful(["qnn/htp-v73"]).get("celu-to-elu") is None and harmful(["qnn/htp-v73", "opencv/cpu"])["celu-to-elu"] == "opencv/cpu"
    proto = conv_model(group=4)
    before = proto.SerializeToString(deterministic=True)
    done, refused = rewrite(proto, opcompat.check(proto, ["demo/npu"], Base(small_base)), {"split-grouped-conv": "demo/cpu"})
    assert not done and "demo/cpu" in refused[0] and proto.SerializeToString(deterministic=True) == before


def test_advice_for_wrong_numbers_is_not_given_to_refused_nodes() -> None:
    hint = next(w for w in ALL if w.name == "openvino-f32")
    assert hint.fits("Conv", {"dtype": "float32"}, "openvino/cpu", "compare") and not hint.fits("Conv", {"dtype": "float32"}, "openvino/cpu", "load")


def test_versions_and_messages_decide_where_they_are_known() -> None:
    w = next(w for w in ALL if w.name == "tensorrt-deform-conv-plugin")
    assert w.fits("DeformConv", {}, "tensorrt/gpu", version="8.6") and w.fits("DeformConv", {}, "tensorrt/gpu")
    assert not w.fits("DeformConv", {}, "tensorrt/gpu", version="10.1.0") and w.fits("DeformConv", {}, "tensorrt/gpu", version="no number")
    rule = next(w for w in ALL if w.name == "rknn-disable-rules")
    assert rule.fits("Conv", {}, "rknn/rk3588", message="E build: error in rule fuse_two_reshape") and not rule.fits("Conv", {}, "rknn/rk3588")
    older = next(w for w in ALL if w.name == "older-opset")
    assert older.fits("Relu", {}, "ort/cpu", message="ONNX Runtime only *guarantees* support for models ... Opset 27 is under development")
    assert not older.fits("Relu", {}, "ort/cpu", message="Could not find an implementation for Relu(14)")


@pytest.mark.parametrize(
    "outcomes, broken, said",
    [
        ([("a", "pass"), ("b", "fail"), ("c", "fail")], {"a"}, "1 of 1 probes that break and are like it"),
        ([("a", "fail"), ("b", "pass"), ("c", "pass")], {"a"}, None),
        ([("a", "pass"), ("b", "pass"), ("c", "fail")], set(), "2 of 3 rewritten"),
        ([("a", "fail"), ("b", "fail"), ("c", "pass")], set(), None),
        ([], {"a"}, ""),
    ],
)
def test_a_proof_counts_where_the_original_breaks(outcomes: list[tuple[str, Any]], broken: set[str], said: str | None) -> None:
    tried = [Evidence(f"workaround/w:{name}", {}, outcome) for name, outcome in outcomes]
    told = workarounds.proof(tried, broken, {}, "demo/npu")
    assert told is None if said is None else told is not None and told.startswith(said)


def test_a_proof_of_the_same_dtype_counts_first() -> None:
    tried = [Evidence(f"workaround/w:{d}", {"dtype": d}, "pass" if d == "float32" else "fail") for d in ("float32", "float16", "float64")]
    said = workarounds.proof(tried, {"float32", "float16", "float64"}, {"dtype": "float32"}, "demo/npu")
    assert said is not None and said.startswith("1 of 1")


def test_sizes_that_depend_on_data_are_told_apart() -> None:
    """No option fixes the number of non-zero elements; a batch size that the caller chooses can be fixed."""
    g = probe.Graph()
    rows = g("Transpose", g("NonZero", "x"), perm=[1, 0])
    ends = [g("Relu", g("Cast", rows, to=1)), g("Relu", "x")]
    nodes = of_proto(probe.finish(g, {"x": probe.data(2, 3)}, ends, 17, {"x": ["N", 3]}), "m").main.nodes
    told = {n.path: workarounds.facts_of(signature(n), [n])["dynamic"] for n in nodes if n.op_type == "Relu"}
    assert list(told.values()) == ["by data", "batch"]
    fixed = next(w for w in ALL if w.name == "fix-dynamic-dims")
    assert [fixed.fits("Relu", {"dynamic": d}, "qnn/htp-v73") for d in told.values()] == [False, True]


def test_weights_nobody_reads_any_more_are_dropped() -> None:
    proto = _model([_conv("x", "a"), onnx.helper.make_node("Relu", ["a"], ["y"])])
    assert {t.name for t in _apply("split-grouped-conv", proto, 0).graph.initializer} >= {"s", "b", "n/c0"}
    assert "w" not in {t.name for t in _apply("split-grouped-conv", proto, 0).graph.initializer}
    shared = _model([_conv("x", "a"), _conv("a", "y")])
    assert "w" in {t.name for t in _apply("split-grouped-conv", shared, 1).graph.initializer}


def test_hardswish_does_not_overflow_in_half_precision() -> None:
    proto = _apply("hardswish-to-clip", _model([onnx.helper.make_node("HardSwish", ["x"], ["y"])], dtype=np.float16), 0)
    x = np.full((1, 8, 6, 6), 40000, np.float16)
    assert np.array_equal(ReferenceEvaluator(proto).run(None, {"x": x})[0], x)


@pytest.mark.parametrize("mode", ["nearest", "linear", "cubic"])
@pytest.mark.parametrize("size, made", [(5, 9), (9, 5), (6, 6), (1, 4), (7, 1)])
def test_a_constant_keeps_its_value_when_resized(mode: str, size: int, made: int) -> None:
    """Rows of every resize matrix sum to 1, whatever the coordinate mode."""
    from opcompat.workarounds._resample import matrix

    for how in ("half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric"):
        for antialias in (0, 1):
            found = matrix(size, made, made / size, {"mode": mode, "coordinate_transformation_mode": how, "antialias": antialias})
            assert found.shape == (made, size) and np.allclose(found.sum(1), 1)


def test_every_probe_of_a_proof_differs_in_facts(proofs: dict[str, list[probe.Probe]], originals: dict[str, probe.Probe]) -> None:
    """Not five alike: the tanh form of Gelu is among the proofs of its rewrite."""
    told = [originals[p.id.split(":", 1)[1]].facts.get("approximate") for p in proofs["gelu-to-primitives"]]
    assert {"none", "tanh"} <= set(told)
