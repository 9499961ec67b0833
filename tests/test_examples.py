"""The example networks are what examples/make.py writes, and valid."""

import importlib.util
from collections import Counter
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx.reference import ReferenceEvaluator

EXAMPLES = Path(__file__).parent.parent / "examples"
NAMES = ("detector", "classifier_int8", "transformer")


@pytest.fixture(scope="module")
def fresh(tmp_path_factory: pytest.TempPathFactory) -> Path:
    spec = importlib.util.spec_from_file_location("examples_make", EXAMPLES / "make.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    folder = tmp_path_factory.mktemp("examples")
    module.write(folder)
    return folder


@pytest.mark.parametrize("name", NAMES)
def test_the_committed_file_is_what_the_script_writes(name: str, fresh: Path) -> None:
    kept, made = (folder / f"{name}.onnx" for folder in (EXAMPLES, fresh))
    # another onnx may lay the same graph out in other bytes
    assert kept.read_bytes() == made.read_bytes() or onnx.load(kept) == onnx.load(made)


@pytest.mark.parametrize("name", NAMES)
def test_the_model_is_valid_and_its_nodes_have_names_of_their_own(name: str) -> None:
    model = onnx.load(EXAMPLES / f"{name}.onnx")
    onnx.checker.check_model(model, full_check=True)
    names = Counter(n.name for n in model.graph.node)
    assert max(names.values()) == 1 and "" not in names


@pytest.mark.parametrize("name", ["classifier_int8", "transformer"])
def test_outputs_depend_on_inputs(name: str) -> None:
    model = onnx.load(EXAMPLES / f"{name}.onnx")
    model.opset_import[0].version = 21  # the evaluator has no DequantizeLinear before 19; it means the same here
    image = model.graph.input[0]
    shape = [d.dim_value or 1 for d in image.type.tensor_type.shape.dim]
    run = ReferenceEvaluator(model)
    first, second = (run.run(None, {image.name: np.random.default_rng(s).uniform(-1, 1, shape).astype(np.float32)})[0] for s in (0, 1))
    assert np.isfinite(first).all()
    assert np.abs(first - second).max() > 0.05 * np.abs(first).max()


def test_the_examples_are_small() -> None:
    assert sum(p.stat().st_size for p in EXAMPLES.glob("*.onnx")) < 1_500_000


def test_the_detector_has_what_npus_choke_on() -> None:
    graph = onnx.load(EXAMPLES / "detector.onnx").graph
    groups = {a.i for n in graph.node if n.op_type == "Conv" for a in n.attribute if a.name == "group"}
    assert max(groups) > 1
    assert {"Resize", "NonMaxSuppression", "GatherND"} <= {n.op_type for n in graph.node}
