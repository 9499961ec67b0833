"""Write the two models the speed benches use: ResNet-50 (100 MB) and BERT-base (340 MB), real architectures with random weights.

python bench/models.py FOLDER
"""

import sys
from collections import Counter
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Builder:
    """Collect nodes and initializers of one graph. Inside `with b.module(name)` things are named by module path, as exporters name them."""

    def __init__(self, seed: int = 0):
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.rng = np.random.default_rng(seed)
        self.path: list[str] = []
        self.used: Counter[str] = Counter()

    @contextmanager
    def module(self, name: str):
        self.path.append(name)
        yield
        self.path.pop()

    def weight(self, *shape: int, name: str = "", gain: float = 1) -> str:
        fan_in = max(1, int(np.prod(shape[1:])))
        return self.const(self.rng.standard_normal(shape, dtype=np.float32) * np.float32(gain) / np.float32(fan_in) ** 0.5, name)

    def const(self, array, name: str = "") -> str:
        name = ".".join([*self.path, name]) if name else f"w{len(self.weights)}"
        self.weights.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op_type: str, *inputs: str, **attributes) -> str:
        """Add a node and return the name of its first output."""
        name = "/".join(["", *self.path, op_type]) if self.path else f"{op_type}_{len(self.nodes)}"
        self.used[name] += 1
        if self.used[name] > 1:
            name += f"_{self.used[name] - 1}"
        made = f"{name}_output_0" if self.path else f"{name}_out"
        self.nodes.append(helper.make_node(op_type, inputs, [made], name=name, **attributes))
        return made

    def model(self, inputs, outputs, opset: int) -> onnx.ModelProto:
        graph = helper.make_graph(self.nodes, "main", inputs, outputs, self.weights)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=8)


def resnet50() -> onnx.ModelProto:
    """ResNet-50 v1.5 for 224 x 224 images, BatchNormalization not folded, opset 17; 25.6 M parameters."""
    b = Builder()

    def conv_bn(x, cin, cout, kernel, stride=1, relu=True):
        pad = kernel // 2
        x = b.node("Conv", x, b.weight(cout, cin, kernel, kernel), kernel_shape=[kernel] * 2, strides=[stride] * 2, pads=[pad] * 4)
        ones, zeros = np.ones(cout, np.float32), np.zeros(cout, np.float32)
        x = b.node("BatchNormalization", x, b.const(ones), b.const(zeros), b.const(zeros), b.const(ones))
        return b.node("Relu", x) if relu else x

    x = conv_bn("image", 3, 64, 7, 2)
    x = b.node("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    cin = 64
    for stage, blocks in enumerate((3, 4, 6, 3)):
        width = 64 * 2**stage
        for block in range(blocks):
            stride = 2 if stage and not block else 1
            y = conv_bn(x, cin, width, 1)
            y = conv_bn(y, width, width, 3, stride)
            y = conv_bn(y, width, 4 * width, 1, relu=False)
            shortcut = x if block else conv_bn(x, cin, 4 * width, 1, stride, relu=False)
            x, cin = b.node("Relu", b.node("Add", y, shortcut)), 4 * width
    x = b.node("Flatten", b.node("GlobalAveragePool", x))
    x = b.node("Gemm", x, b.weight(1000, 2048), b.const(np.zeros(1000, np.float32)), transB=1)
    b.nodes[-1].output[0] = "logits"
    image = helper.make_tensor_value_info("image", TensorProto.FLOAT, ["N", 3, 224, 224])
    return b.model([image], [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["N", 1000])], opset=17)


def bert_base(vocabulary: int = 8000, layers: int = 12, hidden: int = 768, heads: int = 12) -> onnx.ModelProto:
    """BERT-base encoder as exporters write it at opset 17 (erf-GELU and attention from primitives); 91 M parameters."""
    b = Builder()
    half, one, sqrt2 = (b.const(np.float32(v)) for v in (0.5, 1, 2**0.5))

    def norm(x):
        return b.node("LayerNormalization", x, b.const(np.ones(hidden, np.float32)), b.const(np.zeros(hidden, np.float32)), axis=-1)

    def linear(x, cin, cout):
        return b.node("Add", b.node("MatMul", x, b.weight(cin, cout)), b.const(np.zeros(cout, np.float32)))

    split = b.const(np.array([0, 0, heads, hidden // heads], np.int64))
    merge = b.const(np.array([0, 0, hidden], np.int64))
    scale = b.const(np.float32((hidden // heads) ** 0.5))

    mask = b.node("Unsqueeze", b.node("Cast", "attention_mask", to=TensorProto.FLOAT), b.const(np.array([1, 2], np.int64)))
    mask = b.node("Mul", b.node("Sub", one, mask), b.const(np.float32(-10000)))
    words = b.node("Gather", b.weight(vocabulary, hidden), "input_ids")
    kinds = b.node("Gather", b.weight(2, hidden), "token_type_ids")
    x = norm(b.node("Add", b.node("Add", words, kinds), b.weight(1, 128, hidden)))
    for _ in range(layers):
        q, k, v = (b.node("Reshape", linear(x, hidden, hidden), split) for _ in range(3))
        q, v = (b.node("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
        scores = b.node("MatMul", q, b.node("Transpose", k, perm=[0, 2, 3, 1]))
        weights = b.node("Softmax", b.node("Add", b.node("Div", scores, scale), mask), axis=-1)
        y = b.node("Transpose", b.node("MatMul", weights, v), perm=[0, 2, 1, 3])
        x = norm(b.node("Add", linear(b.node("Reshape", y, merge), hidden, hidden), x))
        y = linear(x, hidden, 4 * hidden)
        erf = b.node("Add", b.node("Erf", b.node("Div", y, sqrt2)), one)
        y = b.node("Mul", b.node("Mul", y, erf), half)
        x = norm(b.node("Add", linear(y, 4 * hidden, hidden), x))
    b.nodes[-1].output[0] = "last_hidden_state"
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT64, ["batch", 128]) for n in ("input_ids", "attention_mask", "token_type_ids")]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", 128, hidden])
    return b.model(inputs, [output], opset=17)


def write(folder: Path) -> list[Path]:
    """Write both models into folder unless they are there already; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for make in (resnet50, bert_base):
        path = folder / f"{make.__name__}.onnx"
        if not path.exists():
            onnx.save(make(), path)
        paths.append(path)
    return paths


if __name__ == "__main__":
    for path in write(Path(sys.argv[1])):
        print(path, f"{path.stat().st_size / 1e6:.0f} MB")
