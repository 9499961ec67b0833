"""Every workaround: its contract, and where it rewrites, that numbers stay the same and the node it was for is gone."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

from opcompat import probe, workarounds
from opcompat.compare import judge
from opcompat.fixer import rewrite
from opcompat.model import of_proto
from opcompat.signature import signature
from opcompat.workarounds import Refused, Workaround, all_workarounds

ALL = all_workarounds()
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


@pytest.mark.parametrize("w", ALL, ids=lambda w: w.name)
def test_contract(w: Workaround) -> None:
    module = sys.modules[w.applies.__module__]
    assert Path(module.__file__ or "").stem == w.name.replace("-", "_")
    assert all(s in (module.__doc__ or "") for s in SECTIONS)
    assert w.title and w.advice.endswith(".") and w.source and w.operators and w.targets
    assert all(t == "*" or "/" in t for t in w.targets)


def test_there_are_enough_and_names_are_unique() -> None:
    assert len({w.name for w in ALL}) == len(ALL) >= 15


@pytest.mark.parametrize("w", [w for w in ALL if w.rewrite], ids=lambda w: w.name)
def test_rewrites_keep_the_numbers(w: Workaround, proofs: dict[str, list[probe.Probe]], originals: dict[str, probe.Probe]) -> None:
    ran = 0
    for rewritten in proofs[w.name]:
        original = originals[rewritten.id.split(":", 1)[1]]
        onnx.checker.check_model(rewritten.proto)
        for node in of_proto(rewritten.proto, "r").main.nodes:
            assert not w.fits(node.op_type, signature(node), "rknn/rk3588")
        try:
            before, after = (ReferenceEvaluator(p.proto).run(None, p.inputs) for p in (original, rewritten))
        except Exception:
            continue  # the reference lacks an operator at this opset; the oracles of a campaign cover it
        ran += 1
        pairs = [[(str(np.asarray(a).dtype), np.asarray(a)) for a in made] for made in (after, before)]
        found = judge(pairs[0], pairs[1], quantised=False, own=original.tolerance)
        assert found.same, (rewritten.id, found)
    assert ran


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
