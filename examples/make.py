"""Write the example networks beside this file: real architectures at small width, with random weights that keep activations alive.

python examples/make.py [FOLDER]
"""

import sys
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnx.reference import ReferenceEvaluator

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from bench.models import Builder

RELU_GAIN = 2**0.5
INT64_MAX = 2**63 - 1


def tensor(name: str, shape: list, dtype: int = TensorProto.FLOAT) -> onnx.ValueInfoProto:
    return helper.make_tensor_value_info(name, dtype, shape)


def ints(b: Builder, *values: int) -> str:
    return b.const(np.array(values, np.int64))


def rename_outputs(nodes: list[onnx.NodeProto], names: dict[str, str]) -> None:
    """Give values that nodes make, and those who read them, other names."""
    for node in nodes:
        for field in (node.input, node.output):
            field[:] = [names.get(n, n) for n in field]


def conv(b: Builder, x: str, cin: int, cout: int, kernel: int, stride: int = 1, group: int = 1, gain: float = RELU_GAIN, bias: float = 0.0) -> str:
    """A Conv into which BatchNormalization has been folded."""
    weight = b.weight(cout, cin // group, kernel, kernel, name="weight", gain=gain)
    offset = b.const((b.rng.standard_normal(cout) * 0.1 + bias).astype(np.float32), "bias")
    sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [kernel // 2] * 4, "dilations": [1, 1]}
    return b.node("Conv", x, weight, offset, group=group, **sizes)


# ---- detector --------------------------------------------------------------------------------------------------------------------------


def detector(size: int = 320, classes: int = 20, width: int = 24) -> onnx.ModelProto:
    """RegNetX backbone (grouped convolutions, 8 channels a group), FPN, YOLOX head, and NonMaxSuppression in the graph; opset 17."""
    b = Builder(seed=1)

    def regnet_block(x: str, cin: int, cout: int, stride: int) -> str:
        shortcut = x
        if stride > 1 or cin != cout:
            with b.module("downsample"):
                shortcut = conv(b, x, cin, cout, 1, stride, gain=1)
        y = x
        for name, channels, kernel, step, group in (("conv1", cin, 1, 1, 1), ("conv2", cout, 3, stride, cout // 8)):
            with b.module(name):
                y = b.node("Relu", conv(b, y, channels, cout, kernel, step, group))
        with b.module("conv3"):
            y = conv(b, y, cout, cout, 1, gain=0.7)
        return b.node("Relu", b.node("Add", y, shortcut))

    def silu(name: str, x: str, cin: int, cout: int, kernel: int) -> str:
        with b.module(name):
            x = conv(b, x, cin, cout, kernel, gain=1.7)
            return b.node("Mul", x, b.node("Sigmoid", x))

    levels = []
    with b.module("backbone"):
        with b.module("stem"):
            x, cin = b.node("Relu", conv(b, "images", 3, 16, 3, 2)), 16
        for stage, (cout, depth) in enumerate(((16, 1), (32, 1), (64, 2), (96, 2)), 1):
            for block in range(depth):
                with b.module(f"stage{stage}"), b.module(f"block{block}"):
                    x, cin = regnet_block(x, cin, cout, 1 if block else 2), cout
            levels.append((x, cout))
    pyramid: list[str] = []
    with b.module("neck"):
        for level, (x, cin) in reversed(list(enumerate(levels[1:]))):
            with b.module(f"lateral{level}"):
                x = conv(b, x, cin, width, 1, gain=1)
            if pyramid:
                nearest = {"mode": "nearest", "nearest_mode": "floor", "coordinate_transformation_mode": "asymmetric"}
                up = b.node("Resize", pyramid[0], "", b.const(np.array([1, 1, 2, 2], np.float32)), **nearest)
                x = b.node("Add", x, up)
            pyramid.insert(0, x)
    flat, cells = [], []
    with b.module("head"):
        for level, x in enumerate(pyramid):
            with b.module(f"level{level}"):
                x = silu("stem", x, width, width, 1)
                kinds = silu("cls_conv1", silu("cls_conv0", x, width, width, 3), width, width, 3)
                places = silu("reg_conv1", silu("reg_conv0", x, width, width, 3), width, width, 3)
                parts = []
                for name, y, channels, bias in (("reg_pred", places, 4, 0.5), ("obj_pred", places, 1, -1), ("cls_pred", kinds, classes, -1)):
                    with b.module(name):
                        y = conv(b, y, width, channels, 1, gain=0.7 if channels == 4 else 2, bias=bias)
                        parts.append(y if channels == 4 else b.node("Sigmoid", y))
                flat.append(b.node("Reshape", b.node("Concat", *parts, axis=1), ints(b, 1, 5 + classes, -1)))
                side = size // (8 << level)
                ys, xs = np.mgrid[:side, :side].reshape(2, -1)
                cells.append(np.stack([xs, ys, np.full(side * side, 8 << level)], -1).astype(np.float32))
        with b.module("decode"):
            every = b.node("Transpose", b.node("Concat", *flat, axis=2), perm=[0, 2, 1])
            grid = np.concatenate(cells)[None]
            strides = b.const(grid[..., 2:], "strides")

            def columns(start: int, end: int) -> str:
                return b.node("Slice", every, ints(b, start), ints(b, end), ints(b, 2))

            centre = b.node("Mul", b.node("Add", columns(0, 2), b.const(grid[..., :2], "grid")), strides)
            half = b.node("Mul", b.node("Mul", b.node("Exp", columns(2, 4)), strides), b.const(np.float32(0.5)))
            boxes = b.node("Concat", b.node("Sub", centre, half), b.node("Add", centre, half), axis=2)
            scores = b.node("Mul", columns(4, 5), columns(5, INT64_MAX))
    with b.module("postprocess"):
        scores = b.node("Transpose", scores, perm=[0, 2, 1])
        limits = (ints(b, 10), *(b.const(np.array([v], np.float32)) for v in (0.5, 0.3)))
        chosen = b.node("NonMaxSuppression", boxes, scores, *limits)
        kind, box = (b.node("Slice", chosen, ints(b, c), ints(b, c + 1), ints(b, 1)) for c in (1, 2))
        index = b.node("Squeeze", box, ints(b, 1))
        outputs = {
            b.node("Squeeze", b.node("Gather", boxes, index, axis=1), ints(b, 0)): tensor("boxes", ["detections", 4]),
            b.node("GatherND", scores, chosen): tensor("scores", ["detections"]),
            b.node("Squeeze", kind, ints(b, 1)): tensor("labels", ["detections"], TensorProto.INT64),
        }
    rename_outputs(b.nodes, {made: info.name for made, info in outputs.items()})
    return b.model([tensor("images", [1, 3, size, size])], list(outputs.values()), opset=17)


# ---- classifier ------------------------------------------------------------------------------------------------------------------------


def mobilenet(size: int = 96, classes: int = 100) -> onnx.ModelProto:
    """MobileNetV2 in float32 for any batch; opset 13."""
    b = Builder(seed=2)
    limits = b.const(np.float32(0)), b.const(np.float32(6))

    def conv6(name: str, x: str, cin: int, cout: int, kernel: int, stride: int = 1, group: int = 1) -> str:
        with b.module(name):
            return b.node("Clip", conv(b, x, cin, cout, kernel, stride, group, gain=2), *limits)

    x, cin = conv6("stem", "image", 3, 16, 3, 2), 16
    for number, (expand, cout, stride) in enumerate(((1, 8, 1), (6, 16, 2), (6, 16, 1), (6, 24, 2), (6, 24, 1), (6, 48, 2), (6, 48, 1))):
        with b.module("features"), b.module(str(number)):
            wide = cin * expand
            y = conv6("expand", x, cin, wide, 1) if expand > 1 else x
            y = conv6("depthwise", y, wide, wide, 3, stride, wide)
            with b.module("project"):
                y = conv(b, y, wide, cout, 1, gain=1)
            x, cin = b.node("Add", x, y) if stride == 1 and cin == cout else y, cout
    x = conv6("last", x, cin, 128, 1)
    with b.module("classifier"):
        x = b.node("Flatten", b.node("GlobalAveragePool", x), axis=1)
        x = b.node("Gemm", x, b.weight(classes, 128, name="weight", gain=3), b.const(np.zeros(classes, np.float32), "bias"), transB=1)
    rename_outputs(b.nodes, {x: "logits"})
    return b.model([tensor("image", ["N", 3, size, size])], [tensor("logits", ["N", classes])], opset=13)


def ranges(model: onnx.ModelProto, images: np.ndarray) -> dict[str, tuple[float, float]]:
    """Run the float model and return every activation's range, rounded so that the last bits of a sum cannot change the file."""
    traced = onnx.ModelProto()
    traced.CopyFrom(model)
    names = [n.output[0] for n in model.graph.node]
    traced.graph.output.extend(tensor(n, None) for n in names if n != "logits")
    order = [o.name for o in traced.graph.output]
    made = dict(zip(order, ReferenceEvaluator(traced).run(None, {"image": images}), strict=True)) | {"image": images}
    found = {n: (min(0.0, float(f"{v.min():.2g}")), max(0.0, float(f"{v.max():.2g}"))) for n, v in made.items()}
    # the quantiser gives the input of a Clip the range of its output
    return found | {n.input[0]: found[n.output[0]] for n in model.graph.node if n.op_type == "Clip"}


def quantise(model: onnx.ModelProto, span: dict[str, tuple[float, float]]) -> onnx.ModelProto:
    """Return the QDQ form that ONNX Runtime's static quantiser writes: uint8 activations, int8 weights per channel, int32 biases."""
    weights = {w.name: numpy_helper.to_array(w) for w in model.graph.initializer}
    nodes: list[onnx.NodeProto] = []
    made: dict[str, onnx.TensorProto] = {}
    scales: dict[str, np.ndarray] = {}

    def keep(name: str, array: np.ndarray) -> str:
        made[name] = numpy_helper.from_array(array, name)
        return name

    def add(op_type: str, name: str, inputs: list[str], output: str, **attributes: int) -> str:
        nodes.append(helper.make_node(op_type, inputs, [output], name=f"{name}_{op_type}", **attributes))
        return output

    def stored(name: str, scale: np.ndarray, dtype: type, prefix: str, output: str) -> str:
        limit = np.iinfo(dtype)
        values = np.rint(weights[name] / scale.reshape(-1, *[1] * (weights[name].ndim - 1))).clip(limit.min, limit.max).astype(dtype)
        parts = [keep(f"{name}_quantized", values), keep(f"{prefix}_scale", scale), keep(f"{prefix}_zero_point", np.zeros(len(scale), dtype))]
        return add("DequantizeLinear", name, parts, output, axis=0)

    def activation(name: str, source: str, like: str) -> str:
        low, high = span[like]
        scale = np.float32((high - low) / 255)
        scales[name] = scale
        parts = [keep(f"{like}_scale", np.array(scale)), keep(f"{like}_zero_point", np.array(round(-low / float(scale)), np.uint8))]
        middle = add("QuantizeLinear", name, [source, *parts], f"{name}_QuantizeLinear_Output")
        return add("DequantizeLinear", name, [middle, *parts], name if name == "logits" else f"{name}_DequantizeLinear_Output")

    ready = {"image": activation("image", "image", "image")}
    for node in model.graph.node:
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        output = node.output[0]
        copy.input[0] = ready[node.input[0]]
        if node.op_type == "Add":
            copy.input[1] = ready[node.input[1]]
        elif node.op_type in ("Conv", "Gemm"):
            _, weight, bias = node.input
            rows = np.abs(weights[weight].reshape(len(weights[weight]), -1)).max(1)
            scale = (rows / np.float32(127)).astype(np.float32)
            copy.input[1] = stored(weight, scale, np.int8, weight, f"{weight}_DequantizeLinear_Output")
            copy.input[2] = stored(bias, scale * scales[node.input[0]], np.int32, f"{bias}_quantized", bias)
        else:
            for name in node.input[1:]:
                keep(name, weights[name])
        if output == "logits":
            copy.output[0] = "logits_QuantizeLinear_Input"
        nodes.append(copy)
        ready[output] = activation(output, copy.output[0], node.input[0] if node.op_type == "Flatten" else output)
    graph = helper.make_graph(nodes, "main", model.graph.input, model.graph.output, list(made.values()))
    return helper.make_model(graph, opset_imports=model.opset_import, ir_version=8)


def classifier_int8() -> onnx.ModelProto:
    """MobileNetV2 quantised after training, its scales calibrated on random images."""
    images = np.random.default_rng(3).uniform(-1, 1, (2, 3, 96, 96)).astype(np.float32)
    model = mobilenet()
    return quantise(model, ranges(model, images))


# ---- transformer -----------------------------------------------------------------------------------------------------------------------


def transformer(size: int = 64, patch: int = 8, layers: int = 2, dim: int = 64, heads: int = 4, classes: int = 20) -> onnx.ModelProto:
    """ViT encoder as exporters write it at opset 17: LayerNormalization, attention and erf-GELU from primitives."""
    b = Builder(seed=4)
    tokens = (size // patch) ** 2 + 1

    def norm(name: str, x: str) -> str:
        with b.module(name):
            weight, bias = (1 + b.rng.standard_normal(dim) * 0.1).astype(np.float32), (b.rng.standard_normal(dim) * 0.1).astype(np.float32)
            return b.node("LayerNormalization", x, b.const(weight, "weight"), b.const(bias, "bias"), axis=-1, epsilon=1e-6)

    def linear(name: str, x: str, cin: int, cout: int) -> str:
        with b.module(name):
            weight = (b.rng.standard_normal((cin, cout)) / cin**0.5).astype(np.float32)
            return b.node("Add", b.const(np.zeros(cout, np.float32), "bias"), b.node("MatMul", x, b.const(weight, "weight")))

    with b.module("patch_embed"):
        with b.module("proj"):
            weight = b.weight(dim, 3, patch, patch, name="weight", gain=2)
            x = b.node("Conv", "image", weight, b.const(np.zeros(dim, np.float32), "bias"), kernel_shape=[patch] * 2, strides=[patch] * 2)
        x = b.node("Transpose", b.node("Reshape", x, ints(b, 1, dim, -1)), perm=[0, 2, 1])
    x = b.node("Concat", b.const(b.rng.standard_normal((1, 1, dim)).astype(np.float32), "cls_token"), x, axis=1)
    x = b.node("Add", x, b.const((b.rng.standard_normal((1, tokens, dim)) * 0.2).astype(np.float32), "pos_embed"))
    for layer in range(layers):
        with b.module("blocks"), b.module(str(layer)):
            y = norm("norm1", x)
            with b.module("attn"):
                y = b.node("Reshape", linear("qkv", y, dim, 3 * dim), ints(b, 1, tokens, 3, heads, dim // heads))
                y = b.node("Transpose", y, perm=[2, 0, 3, 1, 4])
                q, k, v = (b.node("Gather", y, b.const(np.int64(i)), axis=0) for i in range(3))
                q = b.node("Mul", q, b.const(np.float32((dim // heads) ** -0.5)))
                weights = b.node("Softmax", b.node("MatMul", q, b.node("Transpose", k, perm=[0, 1, 3, 2])), axis=-1)
                y = b.node("Transpose", b.node("MatMul", weights, v), perm=[0, 2, 1, 3])
                y = linear("proj", b.node("Reshape", y, ints(b, 1, tokens, dim)), dim, dim)
            x = b.node("Add", x, y)
            with b.module("mlp"):
                y = linear("fc1", norm("norm2", x), dim, 4 * dim)
                with b.module("act"):
                    erf = b.node("Erf", b.node("Div", y, b.const(np.float32(2**0.5))))
                    y = b.node("Mul", b.node("Mul", y, b.node("Add", erf, b.const(np.float32(1)))), b.const(np.float32(0.5)))
                y = linear("fc2", y, 4 * dim, dim)
            x = b.node("Add", x, y)
    x = b.node("Gather", norm("norm", x), b.const(np.int64(0)), axis=1)
    with b.module("head"):
        x = b.node("Gemm", x, b.weight(classes, dim, name="weight"), b.const(np.zeros(classes, np.float32), "bias"), transB=1)
    rename_outputs(b.nodes, {x: "logits"})
    return b.model([tensor("image", [1, 3, size, size])], [tensor("logits", [1, classes])], opset=17)


def write(folder: Path) -> list[Path]:
    """Write the three networks into folder; return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for make in (detector, classifier_int8, transformer):
        model = make()
        onnx.checker.check_model(model, full_check=True)
        paths.append(folder / f"{make.__name__}.onnx")
        paths[-1].write_bytes(model.SerializeToString(deterministic=True))
    return paths


if __name__ == "__main__":
    for path in write(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent):
        print(path, f"{path.stat().st_size / 1e6:.2f} MB")
