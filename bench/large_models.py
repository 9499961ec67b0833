"""Large models: `opcompat.check` of 10,000 and 100,000 nodes against `onnx.load` of the same file, and 10 GB of external weights against none.

python bench/large_models.py        (makes 60 MB of models, and 10 GB of nothing in a sparse file, in the cache folder)
Whole processes, interleaved, as ratios per pair. Exits 1 where a limit is missed.
The base in use is opcompat's own; $OPCOMPAT_DB overrides it.
"""

from pathlib import Path

import numpy as np
import onnx
from models import Builder
from onnx import TensorProto, helper

PAIRS = 7
LOAD_LIMIT, WEIGHTS_LIMIT = 3.0, 1.05
WEIGHT_BYTES = 10 << 30
LOAD = "import onnx, sys; onnx.load(sys.argv[1])"
CHECK = "import opcompat, sys; opcompat.check(sys.argv[1], sys.argv[2:])"
INFER = "import onnx, sys; onnx.shape_inference.infer_shapes(onnx.load(sys.argv[1]))"


def mixed(nodes: int) -> onnx.ModelProto:
    """Return a network of at least `nodes` nodes: residual blocks of many widths, groups and strides, and transformer layers, in turn."""
    b = Builder()
    image, tokens = "image", "tokens"
    half, one, sqrt2 = (b.const(np.float32(v)) for v in (0.5, 1, 2**0.5))
    split, merge = b.const(np.array([0, 0, 4, 4], np.int64)), b.const(np.array([0, 0, 16], np.int64))
    block = 0
    while len(b.nodes) < nodes:
        with b.module(f"block{block}"):
            group, kernel, dilation = (1, 2, 8)[block % 3], (1, 3, 5)[block // 3 % 3], 1 + block // 9 % 3
            pad = kernel // 2 * dilation
            weights = b.weight(8, 8 // group, kernel, kernel)
            y = b.node("Conv", image, weights, group=group, kernel_shape=[kernel] * 2, pads=[pad] * 4, dilations=[dilation] * 2)
            ones, zeros = b.const(np.ones(8, np.float32)), b.const(np.zeros(8, np.float32))
            y = b.node(("Relu", "Sigmoid", "HardSwish", "Elu")[block % 4], b.node("BatchNormalization", y, ones, zeros, zeros, ones))
            image = b.node("Add", b.node("MaxPool", y, kernel_shape=[3, 3], pads=[1] * 4), image)
            if block % 2:
                image = b.node("Transpose", b.node("Transpose", image, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
            q, k, v = (b.node("Reshape", b.node("Add", b.node("MatMul", tokens, b.weight(16, 16)), b.weight(16)), split) for _ in range(3))
            q, v = (b.node("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
            scores = b.node("Div", b.node("MatMul", q, b.node("Transpose", k, perm=[0, 2, 3, 1])), sqrt2)
            y = b.node("MatMul", b.node("Softmax", scores, axis=-1), v)
            y = b.node("Reshape", b.node("Transpose", y, perm=[0, 2, 1, 3]), merge)
            y = b.node("LayerNormalization", b.node("Add", y, tokens), b.weight(16), b.weight(16), axis=-1)
            erf = b.node("Add", b.node("Erf", b.node("Div", y, sqrt2)), one)
            tokens = b.node("Mul", b.node("Mul", y, erf), half)
        block += 1
    info = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("image", ["N", 8, 16, 16]), ("tokens", ["N", 12, 16]), (image, ["N", 8, 16, 16]), (tokens, ["N", 12, 16]))
    ]
    return b.model(info[:2], info[2:], opset=17)


if __name__ == "__main__":
    for n in (10_000, 100_000):
        m = mixed(n)
        onnx.save(m, f"/tmp/rb/mixed{n}.onnx")
        print(len(m.graph.node), Path(f"/tmp/rb/mixed{n}.onnx").stat().st_size)
