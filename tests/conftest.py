"""Shared fixtures: small models, and a compat.db made from hand-written results."""

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from opcompat import building, probe, runfiles
from opcompat.outcome import Result, Run


def conv_model(group: int = 1, opset: int = 17, relu: bool = True) -> onnx.ModelProto:
    """A Conv of 8 to 8 channels, 3 x 3, and a Relu."""
    nodes = [helper.make_node("Conv", ["x", "w"], ["c"], name="conv", kernel_shape=[3, 3], pads=[1] * 4, group=group)]
    nodes.append(helper.make_node("Relu", ["c"], ["y"], name="relu") if relu else helper.make_node("Identity", ["c"], ["y"]))
    weight = numpy_helper.from_array(np.ones((8, 8 // group, 3, 3), np.float32), "w")
    info = helper.make_tensor_value_info
    shape = [1, 8, 13, 13]
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, shape)], [info("y", TensorProto.FLOAT, shape)], [weight])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


@pytest.fixture
def model(tmp_path: Path) -> Path:
    path = tmp_path / "model.onnx"
    onnx.save(conv_model(), path)
    return path


@pytest.fixture(scope="session")
def conv_probes() -> list[probe.Probe]:
    return probe.load(["conv"])


def record(folder: Path, target: str, version: str, results: list[Result], started: str = "2026-01-01T00:00:00+00:00") -> Path:
    """Write a run file as a campaign would."""
    run = Run(target, version, {"pkg": version}, {}, {"os": "test"}, "0", started)
    with runfiles.RunWriter(run, folder) as writer:
        for result in results:
            writer.write(result)
    return writer.path


def result(p: probe.Probe, outcome: str = "pass", **more: object) -> Result:
    defaults = {"stage": "compare", "placement": "native", "oracle": "both", "started": datetime.now(UTC).isoformat(timespec="seconds")}
    return Result(p.id, p.digest, outcome, **{**defaults, **more})  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def small_base(tmp_path_factory: pytest.TempPathFactory, conv_probes: list[probe.Probe]) -> Path:
    """A compat.db in which grouped Conv fails on demo/npu and everything passes on demo/cpu."""
    folder = tmp_path_factory.mktemp("base")
    grouped = [p for p in conv_probes if p.facts["grouping"] == "few"]
    npu = [result(p, "fail", stage="compile", message="group > 1 not supported") if p in grouped else result(p) for p in conv_probes]
    record(folder / "runs", "demo/npu", "2.0", npu)
    record(folder / "runs", "demo/cpu", "1.0", [result(p) for p in conv_probes])
    (folder / "claims").mkdir()
    building.build(folder / "compat.db", folder / "runs", folder / "claims", conv_probes)
    return folder / "compat.db"
