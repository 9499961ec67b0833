"""More neighbours as exporters write them: normalisers and activations spelled in primitives, gated and dynamically quantised layers, grouped Conv
taken apart, windows of tokens, detector heads, sentence embeddings. Varied are the spelling, dtype, dynamic batch and opset.

Names with a slash are whole blocks: probed, but not looked for in models."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Graph, Probe, Tolerance, const, data, describe, pattern, vary

FAMILY = "network_patterns"
LAST = 2**63 - 1
Make = Callable[[Graph, dict], Any]


def dense(g: Graph, x: Any, out: int, width: int, seed: int = 0, bias: bool = True) -> Any:
    made = g("MatMul", x, Const(data(width, out, low=-0.5, high=0.5, seed=seed)))
    return g("Add", made, Const(data(out, seed=seed))) if bias else made


def conv(g: Graph, x: Any, out: int, cin: int, kernel: int = 3, seed: int = 0, group: int = 1, stride: int = 1) -> Any:
    weight = Const(data(out, cin // group, kernel, kernel, low=-0.5, high=0.5, seed=seed))
    bias = Const(data(out, seed=seed))
    return g("Conv", x, weight, bias, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=group, strides=[stride] * 2)


def total(g: Graph, op: str, x: Any, axes: list[int], f: dict, keepdims: int = 1) -> Any:
    """A reduction whose axes are an attribute or, from its opset on, an input."""
    since = 13 if op == "ReduceSum" else 18
    if f.get("opset", 17) >= since:
        return g(op, x, const(axes), keepdims=keepdims)
    return g(op, x, axes=axes, keepdims=keepdims)


def softmax(g: Graph, f: dict) -> Any:
    x = g("Sub", "X", total(g, "ReduceMax", "X", [-1], f)) if f["shifted"] else "X"
    exponent = g("Exp", x)
    return g("Div", exponent, total(g, "ReduceSum", exponent, [-1], f))


def logsumexp(g: Graph, f: dict) -> Any:
    largest = total(g, "ReduceMax", "X", [-1], f)
    made = g("Log", total(g, "ReduceSum", g("Exp", g("Sub", "X", largest)), [-1], f))
    return g("Add", made, largest)


def l2(g: Graph, f: dict) -> Any:
    """torch.nn.functional.normalize: the norm is kept from zero, and spread over the axis or broadcast."""
    norm = g("Sqrt", total(g, "ReduceSum", g("Mul", "X", "X"), [f["axis"]], f)) if f["norm"] == "Sqrt" else total(g, "ReduceL2", "X", [f["axis"]], f)
    norm = g("Clip", norm, const(1e-12)) if f["floor"] == "Clip" else g("Max", norm, const(1e-12))
    return g("Div", "X", g("Expand", norm, g("Shape", "X")) if f["spread"] else norm)


def softplus(g: Graph, f: dict) -> Any:
    return g("Log", g("Add", g("Exp", "X"), const(1.0, f["dtype"])))


def hard_sigmoid(g: Graph, f: dict) -> Any:
    bounded = g("Clip", g("Add", "X", const(3.0)), const(0.0), const(6.0))
    return g("Div", bounded, const(6.0)) if f["scale"] == "Div" else g("Mul", bounded, const(1 / 6))


def relu6(g: Graph, f: dict) -> Any:
    kept = g("Relu", "X") if f["low"] == "Relu" else g("Max", "X", const(0.0))
    return g("Min", kept, const(6.0))


def leaky(g: Graph, f: dict) -> Any:
    return g("Max", "X", g("Mul", "X", const(0.1))) if f["by"] == "Max" else g("Sub", g("Relu", "X"), g("Mul", g("Relu", g("Neg", "X")), const(0.1)))


def gated_mlp(g: Graph, f: dict) -> Any:
    """The feed-forward part of language models: down(act(gate(x)) * up(x))."""
    if f["projections"] == "packed":
        gate, up = g("Split", dense(g, "X", 24, 8, 0, False), const([12, 12]), outputs=2, axis=-1)
    else:
        gate, up = dense(g, "X", 12, 8, 0, False), dense(g, "X", 12, 8, 1, False)
    gate = g("Mul", gate, g("Sigmoid", gate)) if f["act"] == "SiLU" else g("Gelu", gate)
    return dense(g, g("Mul", gate, up), 8, 12, 2, False)


def dynamic_matmul(g: Graph, f: dict) -> Any:
    """ORT's dynamic quantisation, and QAT exports: activations quantised as they come, weights of 8 bits."""
    codes, scale, zero = g("DynamicQuantizeLinear", "X", outputs=3)
    weight = data(8, 6, dtype="int8", low=-127, high=127)
    w_scale = const(np.linspace(0.004, 0.006, 6) if f["per"] == "channel" else 0.005, "float32")
    made = g("Cast", g("MatMulInteger", codes, Const(weight), zero, Const(np.asarray(0, np.int8)) if f["zero"] else None), to=1)
    made = g("Mul", made, g("Mul", scale, w_scale))
    return g("Add", made, Const(data(6))) if f["bias"] else made


def dynamic_conv(g: Graph, f: dict) -> Any:
    codes, scale, zero = g("DynamicQuantizeLinear", "X", outputs=3)
    weight = Const(data(4, 3, 3, 3, dtype="uint8", low=0, high=256))
    made = g("ConvInteger", codes, weight, zero, Const(np.asarray(128, np.uint8)), kernel_shape=[3, 3], pads=[1] * 4)
    made = g("Mul", g("Cast", made, to=1), g("Mul", scale, const(0.005)))
    return g("Add", made, Const(data(1, 4, 1, 1))) if f["bias"] else made


def half_conv(g: Graph, f: dict) -> Any:
    """An island of float16 in a float32 network, as automatic mixed precision leaves it."""
    weight, bias = Const(data(4, 8, 3, 3, dtype="float16", low=-0.5, high=0.5)), Const(data(4, dtype="float16"))
    return g("Cast", g("Conv", g("Cast", "X", to=10), weight, bias, kernel_shape=[3, 3], pads=[1] * 4), to=1)


def half_matmul(g: Graph, f: dict) -> Any:
    return g("Cast", g("MatMul", g("Cast", "X", to=10), Const(data(8, 6, dtype="float16", low=-0.5, high=0.5))), to=1)


def half_softmax(g: Graph, f: dict) -> Any:
    """A float16 network that takes its softmax in float32."""
    return g("Cast", g("Softmax", g("Cast", "X", to=1), axis=-1), to=10)


def truncate(g: Graph, f: dict) -> Any:
    """x.long().float() of PyTorch, and floor as some exporters write it."""
    return g("Cast", g("Cast", "X", to=7 if f["by"] == "int64" else 6), to=1)


def grouped(g: Graph, f: dict) -> Any:
    """A Conv of groups written as one Conv for each, as frameworks without groups do."""
    n = f["groups"]
    parts = g("Split", "X", const([8 // n] * n), outputs=n, axis=1)
    return g("Concat", *(conv(g, p, 8 // n, 8 // n, seed=i) for i, p in enumerate(parts)), axis=1)


def separable(g: Graph, f: dict) -> Any:
    made = conv(g, "X", 8, 8, group=8, stride=f["stride"])
    made = g("Clip", made, const(0.0), const(6.0)) if f["act"] == "ReLU6" else g("Relu", made)
    return conv(g, made, 4, 8, 1, 1)


def inverted(g: Graph, f: dict) -> Any:
    wide = g("HardSwish", conv(g, "X", 16, 8, 1))
    wide = g("HardSwish", conv(g, wide, 16, 16, 3, 1, 16))
    return g("Add", "X", conv(g, wide, 8, 16, 1, 2))


def pooled_pyramid(g: Graph, f: dict) -> Any:
    """SPPF of YOLO: pools in a row, or SPP: side by side."""
    parts = ["X"]
    for i in range(3):
        size = 5 if f["pools"] == "in a row" else 5 + 4 * i
        parts.append(g("MaxPool", parts[-1] if f["pools"] == "in a row" else "X", kernel_shape=[size] * 2, pads=[size // 2] * 4, strides=[1, 1]))
    return conv(g, g("Concat", *parts, axis=1), 4, 16, 1)


def distances(g: Graph, f: dict) -> Any:
    """Distribution focal loss of YOLOv8: four sides of some bins each over 6 anchors, softmax over the bins, expectation by a 1 x 1 Conv."""
    first, bins = -1 if f["dynamic"] == "batch" else 1, f["bins"]
    apart = g("Transpose", g("Reshape", "X", const([first, 4, bins, 6])), perm=[0, 2, 1, 3])
    soft = g("Softmax", apart, axis=1)
    made = g("Conv", soft, Const(np.arange(bins, dtype=np.float32).reshape(1, bins, 1, 1)), kernel_shape=[1, 1])
    return g("Reshape", made, const([first, 4, 6]))


def windows(g: Graph, f: dict) -> Any:
    """Swin's windows of 2 x 2 tokens, out and back again, over 4 x 6 tokens of width 8."""
    first = -1 if f["dynamic"] == "batch" else 1
    x = "X"
    if f["shifted"]:
        upper = [g("Slice", x, const([1]), const([LAST]), const([1])), g("Slice", x, const([0]), const([1]), const([1]))]
        x = g("Concat", *upper, axis=1)
    apart = g("Transpose", g("Reshape", x, const([first, 2, 2, 3, 2, 8])), perm=[0, 1, 3, 2, 4, 5])
    flat = g("Reshape", apart, const([-1, 4, 8]))
    if not f["back"]:
        return flat
    together = g("Transpose", g("Reshape", dense(g, flat, 8, 8), const([first, 2, 3, 2, 2, 8])), perm=[0, 1, 3, 2, 4, 5])
    return g("Reshape", together, const([first, 4, 6, 8]))


def merging(g: Graph, f: dict) -> Any:
    parts = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        rows = g("Slice", "X", const([row]), const([LAST]), const([1]), const([2]))
        parts.append(g("Slice", rows, const([column]), const([LAST]), const([2]), const([2])))
    return dense(
        g, g("LayerNormalization", g("Concat", *parts, axis=-1), Const(data(32, low=0.5, high=1.5)), Const(data(32)), axis=-1), 16, 32, bias=False
    )


def convnext(g: Graph, f: dict) -> Any:
    made = g("Transpose", conv(g, "X", 8, 8, 7 if f["kernel"] == 7 else 3, 0, 8), perm=[0, 2, 3, 1])
    made = g("LayerNormalization", made, Const(data(8, low=0.5, high=1.5)), Const(data(8)), axis=-1)
    made = dense(g, made, 16, 8)
    half = g("Mul", made, g("Add", g("Erf", g("Div", made, const(1.4142135))), const(1.0)))
    made = dense(g, g("Mul", half, const(0.5)), 8, 16, 1)
    made = g("Mul", made, Const(data(8, seed=5))) if f["scale"] else made
    return g("Add", "X", g("Transpose", made, perm=[0, 3, 1, 2]))


def classifier(g: Graph, f: dict) -> Any:
    if f["pool"] == "GlobalAveragePool":
        flat = g("Flatten", g("GlobalAveragePool", "X"))
    elif f["pool"] == "ReduceMean":
        flat = total(g, "ReduceMean", "X", [2, 3], f, keepdims=0)
    else:
        flat = g("Flatten", g("AveragePool", "X", kernel_shape=[5, 6], strides=[5, 6]))
    made = g("Gemm", flat, Const(data(10, 8)), Const(data(10)), transB=1)
    return g("Softmax", made, axis=-1) if f["softmax"] else made


def mean_of_tokens(g: Graph, f: dict) -> Any:
    """A sentence's embedding: the mean of the tokens that its mask keeps, often normalised."""
    mask = g("Cast", g("Unsqueeze", "mask", const([-1])), to=1)
    mask = g("Expand", mask, g("Shape", "X")) if f["spread"] else mask
    summed = total(g, "ReduceSum", g("Mul", "X", mask), [1], f, keepdims=0)
    made = g("Div", summed, g("Clip", total(g, "ReduceSum", mask, [1], f, keepdims=0), const(1e-9)))
    return g("Div", made, g("Clip", total(g, "ReduceL2", made, [1], f), const(1e-12))) if f["normalised"] else made


def embeddings(g: Graph, f: dict) -> Any:
    """BERT's: words, positions and segments, summed and normalised."""
    word = g("Gather", Const(data(10, 8)), "ids")
    if f["positions"] == "sliced":
        length = g("Gather", g("Shape", "ids"), const(1), axis=0)
        position = g("Slice", Const(data(1, 7, 8, seed=1)), const([0]), g("Unsqueeze", length, const([0])), const([1]))
    else:
        position = Const(data(1, 5, 8, seed=1))
    return g("LayerNormalization", g("Add", word, position), Const(data(8, low=0.5, high=1.5)), Const(data(8)), axis=-1)


def cached(g: Graph, f: dict) -> Any:
    """One token looks at a cache of 3 and at itself; the grown cache goes out."""
    keys, values = g("Concat", "K", "X", axis=2), g("Concat", "V", "X", axis=2)
    weights = g("Softmax", g("Mul", g("MatMul", "X", g("Transpose", keys, perm=[0, 1, 3, 2])), const(0.5)), axis=-1)
    return [g("MatMul", weights, values), keys, values]


def causal(g: Graph, f: dict) -> Any:
    """A mask made inside the graph: from positions, or by Trilu."""
    if f["by"] == "Trilu":
        mask = g("Trilu", const(np.full((5, 5), -1e4), "float32"), const(1), upper=1)
        return g("Softmax", g("Add", "X", mask), axis=-1)
    length = g("Gather", g("Shape", "X"), const(2), axis=0)
    places = g("Range", const(0), length, const(1))
    kept = g("LessOrEqual", g("Unsqueeze", places, const([0])), g("Unsqueeze", places, const([1])))
    return g("Softmax", g("Where", kept, "X", const(-1e4)), axis=-1)


def timesteps(g: Graph, f: dict) -> Any:
    """Sine and cosine of a diffusion step at 4 frequencies, then a layer."""
    angles = g("Mul", g("Unsqueeze", "X", const([-1])), const(np.array([[1.0, 0.1, 0.01, 0.001]]), "float32"))
    waves = [g(op, angles) for op in (("Cos", "Sin") if f["order"] == "cosine first" else ("Sin", "Cos"))]
    made = dense(g, g("Concat", *waves, axis=-1), 8, 8)
    return g("Mul", made, g("Sigmoid", made))


def norm_silu(g: Graph, f: dict) -> Any:
    """GroupNorm by InstanceNormalization, as torch writes it before opset 18, then SiLU and Conv: a residual block of diffusion models."""
    flat = g("Reshape", "X", const([0, 2, -1]))
    flat = g("InstanceNormalization", flat, const(np.ones(2), "float32"), const(np.zeros(2), "float32"))
    made = (
        g("Reshape", flat, g("Shape", "X"))
        if f["shape"] == "computed"
        else g("Reshape", flat, const([-1 if f["dynamic"] == "batch" else 1, 8, 5, 6]))
    )
    made = g("Add", g("Mul", made, Const(data(8, 1, 1, low=0.5, high=1.5))), Const(data(8, 1, 1)))
    return conv(g, g("Mul", made, g("Sigmoid", made)), 8, 8)


def region_head(g: Graph, f: dict) -> Any:
    """The second stage of a detector: features cut out by boxes, then a layer."""
    cut = g("RoiAlign", "X", "boxes", const([0, 0, 0]), output_height=2, output_width=2, sampling_ratio=2, spatial_scale=0.5, mode="avg")
    flat = g("Flatten", cut) if f["flat"] == "Flatten" else g("Reshape", cut, const([-1, 16]))
    return g("Relu", g("Gemm", flat, Const(data(6, 16)), Const(data(6)), transB=1))


def masked_fill(g: Graph, f: dict) -> Any:
    """masked_fill, as Where, or as the sum of two products."""
    mask = g("Greater", "X", const(0.5))
    if f["by"] == "Where":
        return g("Where", mask, const(0.0), "X")
    kept = g("Cast", mask, to=1)
    return g("Mul", "X", g("Sub", const(1.0), kept))


def upscale(g: Graph, f: dict) -> Any:
    """A transposed Conv whose border is cut off afterwards, where padding cannot be asymmetric."""
    made = g("ConvTranspose", "X", Const(data(8, 4, 3, 3, low=-0.5, high=0.5)), kernel_shape=[3, 3], strides=[2, 2])
    cut = g("Slice", made, const([0, 0]), const([-1, -1]), const([2, 3])) if f["cut"] else made
    return g("Concat", cut, "Y", axis=1) if f["skip"] else g("Relu", cut)


IMAGE, TOKENS = (8, 5, 6), (5, 8)
Shape = tuple[int, ...]
PATTERNS: dict[str, tuple[Make, Shape, dict[str, Any], dict[str, list[Any]]]] = {
    "softmax-primitives": (softmax, TOKENS, {"shifted": True, "dynamic": "none", "opset": 17}, {"shifted": [False], "dynamic": ["batch"],
        "opset": [11, 18]}),
    "logsumexp-primitives": (logsumexp, TOKENS, {"dynamic": "none", "opset": 17}, {"dynamic": ["batch"], "opset": [18]}),
    "l2norm-primitives": (
        l2, TOKENS, {"axis": -1, "norm": "ReduceL2", "floor": "Clip", "spread": True, "dynamic": "none", "opset": 17},
        {"axis": [1], "norm": ["Sqrt"], "floor": ["Max"], "spread": [False], "dynamic": ["batch"], "opset": [18]},
    ),
    "softplus-primitives": (softplus, TOKENS, {"dtype": "float32", "dynamic": "none"}, {"dtype": ["float16"], "dynamic": ["batch"]}),
    "hardsigmoid-primitives": (hard_sigmoid, IMAGE, {"scale": "Div", "dynamic": "none"}, {"scale": ["Mul"], "dynamic": ["batch"]}),
    "relu6-primitives": (relu6, IMAGE, {"low": "Relu", "dynamic": "none"}, {"low": ["Max"], "dynamic": ["batch"]}),
    "leakyrelu-primitives": (leaky, IMAGE, {"by": "Max", "dynamic": "none"}, {"by": ["Relu"], "dynamic": ["batch"]}),
    "gated-mlp": (
        gated_mlp, TOKENS, {"projections": "two", "act": "SiLU", "dynamic": "none", "opset": 17},
        {"projections": ["packed"], "dynamic": ["batch"], "opset": [21]},
    ),
    "dynamic-quantised-matmul": (
        dynamic_matmul, TOKENS, {"per": "tensor", "bias": True, "zero": True, "dynamic": "none", "opset": 13},
        {"per": ["channel"], "bias": [False], "zero": [False], "dynamic": ["batch"], "opset": [17]},
    ),
    "dynamic-quantised-conv": (dynamic_conv, (3, 6, 7), {"bias": True, "dynamic": "none", "opset": 13}, {"bias": [False], "dynamic": ["batch"],
        "opset": [17]}),
    "grouped-conv-split": (grouped, IMAGE, {"groups": 2, "dynamic": "none"}, {"groups": [4], "dynamic": ["batch"]}),
    "sppf": (pooled_pyramid, (4, 8, 9), {"pools": "in a row", "dynamic": "none"}, {"pools": ["side by side"], "dynamic": ["batch", "all"]}),
    "distribution-focal-loss": (distances, (16, 6), {"bins": 4, "dynamic": "none"}, {"dynamic": ["batch"]}),
    "truncate-by-cast": (truncate, TOKENS, {"by": "int64", "dynamic": "none"}, {"by": ["int32"], "dynamic": ["batch"]}),
    "float16-conv": (half_conv, IMAGE, {"dynamic": "none"}, {"dynamic": ["batch"]}),
    "float16-matmul": (half_matmul, TOKENS, {"dynamic": "none"}, {"dynamic": ["batch"]}),
    "float32-softmax": (half_softmax, TOKENS, {"dtype": "float16", "dynamic": "none"}, {"dynamic": ["batch"]}),
    "window-partition": (
        windows, (4, 6, 8), {"shifted": False, "back": False, "dynamic": "none"}, {"shifted": [True], "back": [True], "dynamic": ["batch"]},
    ),
    "patch-merging": (merging, (4, 6, 8), {"dynamic": "none"}, {"dynamic": ["batch"]}),
    "causal-mask": (causal, (2, 5, 5), {"by": "Range", "dynamic": "none", "opset": 17}, {"by": ["Trilu"], "dynamic": ["batch", "all"],
        "opset": [21]}),
    "masked-fill": (masked_fill, TOKENS, {"by": "Where", "dynamic": "none"}, {"by": ["Mul"], "dynamic": ["batch"]}),
    "groupnorm-silu-conv": (norm_silu, IMAGE, {"shape": "computed", "dynamic": "none"}, {"shape": ["constant"], "dynamic": ["batch", "all"]}),
    "block/separable-conv": (separable, IMAGE, {"stride": 1, "act": "ReLU6", "dynamic": "none"}, {"stride": [2], "act": ["ReLU"],
        "dynamic": ["batch", "all"]}),
    "block/inverted-residual": (inverted, IMAGE, {"dynamic": "none"}, {"dynamic": ["batch"]}),
    "block/convnext": (convnext, IMAGE, {"kernel": 7, "scale": True, "dynamic": "none"}, {"kernel": [3], "scale": [False], "dynamic": ["batch"]}),
    "block/classifier-head": (
        classifier, IMAGE, {"pool": "GlobalAveragePool", "softmax": False, "dynamic": "none", "opset": 17},
        {"pool": ["ReduceMean", "AveragePool"], "softmax": [True], "dynamic": ["batch"], "opset": [18]},
    ),
}  # fmt: skip
"""Name -> how to build it, shape without batch, base and what varies."""


def one(
    name: str, f: dict, inputs: dict[str, Array], free: dict[str, Sequence[int | str]] | None = None, tolerance: Tolerance | None = None
) -> Probe:
    """A pattern with inputs of its own; free names their dynamic dimensions."""
    make, base = OTHERS[name][:2] if name in OTHERS else (PATTERNS[name][0], PATTERNS[name][2])
    return pattern(
        FAMILY, name, describe(base, f), lambda g: make(g, f), inputs, opset=f.get("opset", 17), dynamic=free, tolerance=tolerance
    )  # fmt: skip


OTHERS: dict[str, tuple[Make, dict[str, Any]]] = {
    "masked-mean": (mean_of_tokens, {"spread": True, "normalised": False, "dynamic": "none", "opset": 17}),
    "block/embeddings": (embeddings, {"positions": "constant", "type": "int64", "dynamic": "none"}),
    "block/cached-attention": (cached, {"dtype": "float32", "dynamic": "none"}),
    "block/timesteps": (timesteps, {"order": "sine first", "dynamic": "none"}),
    "block/region-head": (region_head, {"flat": "Flatten", "dynamic": "none"}),
    "block/upscale": (upscale, {"cut": True, "skip": False, "dynamic": "none"}),
}
HALF = Tolerance(1e-3, 1e-2, "computed in float16 between its Casts")
QUANTISED = Tolerance(0.05, 0.01, "inputs are quantised to 8 bits, and runtimes round halves differently")


def probes() -> Iterator[Probe]:
    for name, (_, shape, base, factors) in PATTERNS.items():
        for f in vary(base, **factors):
            batch = f["dynamic"] != "none"
            x = data(3 if batch else 1, *shape, dtype=f.get("dtype", "float32"), low=-2, high=2)
            free: Sequence[int | str] = ["N", *(shape if f["dynamic"] == "batch" else [shape[0], *"HW"])]
            tolerance = QUANTISED if "dynamic-" in name else HALF if "float16-" in name else None
            yield one(name, f, {"X": x}, {"X": free} if batch else None, tolerance)
    for f in vary({"bins": 6, "dynamic": "none"}, dynamic=["batch"]):
        x = data(1 if f["dynamic"] == "none" else 3, 24, 6, low=-2, high=2)
        yield one("distribution-focal-loss", f, {"X": x}, {"X": ["N", 24, 6]} if f["dynamic"] == "batch" else None)
    for f in vary(OTHERS["masked-mean"][1], spread=[False], normalised=[True], dynamic=["batch", "both"], opset=[18]):
        inputs = {"X": data(2, 5, 8), "mask": np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int64)}
        lead: list[int | str] = {"none": [2, 5], "batch": ["N", 5], "both": ["N", "S"]}[f["dynamic"]]
        yield one("masked-mean", f, inputs, {"X": [*lead, 8], "mask": lead})
    for f in vary(OTHERS["block/embeddings"][1], positions=["sliced"], type=["int32"], dynamic=["batch"]):
        ids = data(2, 5, dtype="int64", low=0, high=10).astype(f["type"])
        yield one("block/embeddings", f, {"ids": ids}, {"ids": ["N", 5]} if f["dynamic"] == "batch" else None)
    for f in vary(OTHERS["block/cached-attention"][1], dynamic=["batch", "length"]):
        inputs = {"X": data(2, 2, 1, 4), "K": data(2, 2, 3, 4, seed=1), "V": data(2, 2, 3, 4, seed=2)}
        dims = {"none": None, "batch": {k: ["N", *a.shape[1:]] for k, a in inputs.items()}, "length": {k: [2, 2, "P", 4] for k in "KV"}}
        yield one("block/cached-attention", f, inputs, dims[f["dynamic"]])
    for f in vary(OTHERS["block/timesteps"][1], order=["cosine first"], dynamic=["batch"]):
        yield one("block/timesteps", f, {"X": np.array([1, 20, 300], np.float32)}, {"X": ["N"]} if f["dynamic"] == "batch" else None)
    for f in vary(OTHERS["block/region-head"][1], flat=["Reshape"], dynamic=["features"]):
        boxes = np.array([[1, 1, 8, 7], [0, 2, 5, 9], [3, 3, 11, 11]], np.float32)
        yield one("block/region-head", f, {"X": data(1, 4, 6, 6), "boxes": boxes}, {"X": [1, 4, "H", "W"]} if f["dynamic"] != "none" else None)
    for f in vary(OTHERS["block/upscale"][1], cut=[False], skip=[True], dynamic=["batch"]):
        n = 3 if f["dynamic"] == "batch" else 1
        side = data(n, 4, *(10, 12) if f["cut"] else (11, 13), seed=1)
        inputs = {"X": data(n, 8, 5, 6), **({"Y": side} if f["skip"] else {})}
        yield one("block/upscale", f, inputs, {"X": ["N", 8, 5, 6]} if n == 3 else None)
