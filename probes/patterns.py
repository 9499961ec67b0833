"""A few operators as exporters write them together: shuffles, squeeze-excite, focus, padding before Conv, flattening by a computed shape.

Converters rewrite or fuse such neighbours, so they can break where each operator alone passes."""

from collections.abc import Iterator, Sequence
from typing import Any

from opcompat.probe import Const, Graph, Probe, const, data, describe, pattern, vary

FAMILY = "patterns"
LAST = 2**63 - 1


def weights(out: int, cin: int, kernel: int = 1, seed: int = 0) -> Const:
    return Const(data(out, cin, kernel, kernel, low=-0.5, high=0.5, seed=seed))


def conv(g: Graph, x: str, out: int, cin: int, kernel: int = 3, seed: int = 0, group: int = 1) -> str:
    weight, bias = weights(out, cin // group, kernel, seed), Const(data(out, seed=seed))
    return str(g("Conv", x, weight, bias, kernel_shape=[kernel] * 2, pads=[kernel // 2] * 4, group=group))


def one(name: str, base: dict, f: dict, make: Any, *shape: int, context: bool = False) -> Probe:
    """A pattern over one image; dynamic=batch declares N and feeds 3."""
    batch = f.get("dynamic", "none") != "none"
    x = data(3 if batch else 1, *shape)
    free: Sequence[int | str] = ["N", *(shape if f.get("dynamic") == "batch" else [shape[0], "H", "W"])]
    dims = {"X": free} if batch else None
    return pattern(FAMILY, name, describe(base, f), lambda g: make(g, f), {"X": x}, opset=f.get("opset", 17), dynamic=dims, context=context)


def shuffle(g: Graph, f: dict) -> str:
    first, n = (-1 if f["dynamic"] == "batch" else 1), f["groups"]
    apart = g("Transpose", g("Reshape", "X", const([first, n, 8 // n, 5, 6])), perm=[0, 2, 1, 3, 4])
    return str(g("Reshape", apart, const([first, 8, 5, 6])))


def shuffle_pixels(g: Graph, f: dict) -> str:
    r, first = f["factor"], -1 if f["dynamic"] == "batch" else 1
    if f["way"] == "down":
        apart = g("Transpose", g("Reshape", "X", const([first, 3, 2, r, 3, r])), perm=[0, 1, 3, 5, 2, 4])
        return str(g("Reshape", apart, const([first, 3 * r * r, 2, 3])))
    apart = g("Transpose", g("Reshape", "X", const([first, 2, r, r, 2, 3])), perm=[0, 1, 4, 2, 5, 3])
    return str(g("Reshape", apart, const([first, 2, 2 * r, 3 * r])))


def squeeze_excite(g: Graph, f: dict) -> str:
    pooled = g("ReduceMean", "X", axes=[2, 3]) if f["pool"] == "ReduceMean" else g("GlobalAveragePool", "X")
    hidden = conv(g, pooled, 4, 8, 1)
    hidden = g("Mul", hidden, g("Sigmoid", hidden)) if f["inner"] == "Swish" else g("Relu", hidden)
    gate = conv(g, hidden, 8, 4, 1, seed=1)
    return str(g("Mul", "X", g(f["gate"], gate)))


def focus(g: Graph, f: dict) -> str:
    parts = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        if f["slices"] == "one by one":
            rows = g("Slice", "X", const([row]), const([LAST]), const([2]), const([2]))
            made = g("Slice", rows, const([column]), const([LAST]), const([3]), const([2]))
        else:
            made = g("Slice", "X", const([row, column]), const([LAST, LAST]), const([2, 3]), const([2, 2]))
        parts.append(made)
    joined = g("Concat", *parts, axis=1)
    return conv(g, joined, 8, 12) if f["then"] == "Conv" else str(joined)


def pad_conv(g: Graph, f: dict) -> str:
    around = {"symmetric": [0, 0, 1, 1, 0, 0, 1, 1], "asymmetric": [0, 0, 0, 0, 0, 0, 1, 1], "wide": [0, 0, 3, 3, 0, 0, 3, 3]}[f["pads"]]
    mode = None if f["mode"] == "constant" else f["mode"]
    padded = g("Pad", "X", mode=mode, pads=around) if f["opset"] < 11 else g("Pad", "X", const(around), const(1.5) if f["value"] else None, mode=mode)
    stride = [f["stride"]] * 2
    return str(g("Conv", padded, weights(4, 3, 3), Const(data(4)), kernel_shape=[3, 3], strides=stride))


def conv_bn(g: Graph, f: dict) -> str:
    group = 8 if f["conv"] == "depthwise" else 1
    if f["conv"] == "transposed":
        made = g("ConvTranspose", "X", weights(8, 8, 2), kernel_shape=[2, 2], strides=[2, 2])
    else:
        made = conv(g, "X", 8, 8, 3, group=group)
    scale, variance = (Const(data(8, low=0.5, high=1.5, seed=s)) for s in (1, 2))
    if f["bn"] == "after":
        made = g("BatchNormalization", made, scale, Const(data(8, seed=3)), Const(data(8, seed=4)), variance)
    if f["activation"] == "Clip":
        return str(g("Clip", made, const(0.0), const(6.0)))
    if f["activation"] == "Swish":
        return str(g("Mul", made, g("Sigmoid", made)))
    return str(made if f["activation"] == "none" else g(f["activation"], made))


def upsample(g: Graph, f: dict) -> str:
    linear = f["mode"] == "linear"
    sampling = {"mode": f["mode"], "coordinate_transformation_mode": f["coordinates"], "nearest_mode": None if linear else "floor"}
    if f["by"] == "sizes":
        made = g("Resize", "X", None, None, const([1, 4, 10, 12]), **sampling)
    else:
        made = g("Resize", "X", None, const([1.0, 1.0, 2.0, 2.0]), **sampling)
    return conv(g, made, 3, 4)


def split_concat(g: Graph, f: dict) -> str:
    """A cross-stage partial block: half of the channels passes by."""
    first, second = g("Split", "X", const([4, 4]) if f["sizes"] == "given" else None, outputs=2, axis=1)
    made = g("Concat", first, second, g("Relu", conv(g, second, 4, 4)), axis=1)
    return conv(g, made, 8, 12, 1, seed=1)


def flatten(g: Graph, f: dict) -> str:
    """view(x.size(0), -1) and view(x.size(0), x.size(1), -1) as PyTorch's exporter writes them."""
    shape = g("Shape", "X")
    kept = [g("Unsqueeze", g("Gather", shape, const(i), axis=0), const([0])) for i in range(f["kept"])]
    target = g("Concat", *kept, const([-1]), axis=0)
    made = g("Reshape", "X", target)
    return str(g("MatMul", made, Const(data(120 if f["kept"] == 1 else 30, 5)))) if f["then"] == "MatMul" else str(made)


def residual(g: Graph, f: dict) -> str:
    made = conv(g, g("Relu", conv(g, "X", 8, 8)), 8, 8, seed=1)
    short = conv(g, "X", 8, 8, 1, seed=2) if f["shortcut"] == "Conv" else "X"
    return str(g("Relu", g("Add", made, short)))


def resize_to(g: Graph, f: dict) -> str:
    """interpolate(a, size=b.shape[2:]): sizes are computed from another tensor's shape."""
    pooled = g("MaxPool", "X", kernel_shape=[2, 2], strides=[2, 2])
    size = g("Slice", g("Shape", "X"), const([2]), const([4]), const([0]))
    sizes = g("Concat", g("Slice", g("Shape", pooled), const([0]), const([2]), const([0])), size, axis=0)
    grown = g("Resize", pooled, None, None, sizes, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    return str(g("Add", grown, "X"))


PATTERNS: dict[str, tuple[Any, tuple[int, ...], dict[str, Any], dict[str, list[Any]]]] = {
    "channel-shuffle": (shuffle, (8, 5, 6), {"groups": 2, "dynamic": "none", "opset": 17}, {"groups": [4], "dynamic": ["batch"], "opset": [11]}),
    "squeeze-excite": (
        squeeze_excite, (8, 5, 6), {"pool": "GlobalAveragePool", "inner": "Relu", "gate": "Sigmoid", "dynamic": "none"},
        {"pool": ["ReduceMean"], "inner": ["Swish"], "gate": ["HardSigmoid"], "dynamic": ["batch"]},
    ),
    "focus-slice": (
        focus, (3, 8, 10), {"slices": "both axes", "then": "nothing", "dynamic": "none"},
        {"slices": ["one by one"], "then": ["Conv"], "dynamic": ["batch", "all"]},
    ),
    "pad-conv": (
        pad_conv, (3, 8, 9), {"mode": "constant", "pads": "symmetric", "value": False, "stride": 1, "dynamic": "none", "opset": 17},
        {"mode": ["reflect"], "pads": ["asymmetric", "wide"], "value": [True], "stride": [2], "dynamic": ["batch"], "opset": [9]},
    ),
    "conv-bn-relu": (
        conv_bn, (8, 6, 7), {"conv": "plain", "bn": "after", "activation": "Relu", "dynamic": "none", "opset": 17},
        {"conv": ["depthwise", "transposed"], "bn": ["none"], "activation": ["none", "Clip", "LeakyRelu", "HardSwish", "Swish"], "dynamic": ["batch"],
         "opset": [14]},
    ),
    "upsample-conv": (
        upsample, (4, 5, 6), {"mode": "nearest", "coordinates": "asymmetric", "by": "scales", "dynamic": "none"},
        {"mode": ["linear"], "coordinates": ["half_pixel"], "by": ["sizes"], "dynamic": ["batch"]},
    ),
    "split-concat": (split_concat, (8, 5, 6), {"sizes": "given", "dynamic": "none"}, {"sizes": ["absent"], "dynamic": ["batch"]}),
    "shape-gather-reshape": (
        flatten, (4, 6, 5), {"kept": 1, "then": "nothing", "dynamic": "none", "opset": 17},
        {"kept": [2], "then": ["MatMul"], "dynamic": ["batch"], "opset": [21]},
    ),
    "residual": (residual, (8, 5, 6), {"shortcut": "identity", "dynamic": "none"}, {"shortcut": ["Conv"], "dynamic": ["batch", "all"]}),
    "resize-to-shape": (resize_to, (4, 6, 8), {"dynamic": "none"}, {"dynamic": ["batch", "all"]}),
}  # fmt: skip
"""Name -> how to build it, image without batch, base and what varies."""


def probes() -> Iterator[Probe]:
    for name, (make, shape, base, factors) in PATTERNS.items():
        for f in vary(base, **factors):
            yield one(name, base, f, make, *shape)
    for way, factor in (("up", 2), ("up", 3), ("down", 2)):
        base = {"way": "up", "factor": 2, "dynamic": "none"}
        shape = (2 * factor**2, 2, 3) if way == "up" else (3, 2 * factor, 3 * factor)
        for dynamic in ("none", "batch") if factor == 2 else ("none",):
            yield one("pixel-shuffle-primitives", base, {"way": way, "factor": factor, "dynamic": dynamic}, shuffle_pixels, *shape)
        f = {"way": way, "factor": factor, "dynamic": "none"}
        yield one("pixel-shuffle-primitives", base, f, shuffle_pixels, *shape, context=True)
    both = {"mode": "linear", "coordinates": "align_corners", "by": "scales", "dynamic": "none"}
    yield one("upsample-conv", PATTERNS["upsample-conv"][2], both, upsample, 4, 5, 6)
    final = {"kept": 1, "then": "MatMul", "dynamic": "batch", "opset": 17}
    yield one("shape-gather-reshape", PATTERNS["shape-gather-reshape"][2], final, flatten, 4, 6, 5)
    stem = {"mode": "constant", "pads": "asymmetric", "value": False, "stride": 2, "dynamic": "none", "opset": 17}
    yield one("pad-conv", PATTERNS["pad-conv"][2], stem, pad_conv, 3, 8, 9)
