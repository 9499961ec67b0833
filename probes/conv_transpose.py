"""ConvTranspose: grouping, rank, stride and every spelling of its padding (pads, auto_pad, output_padding, output_shape), since runtimes that take
one spelling refuse or misplace another; then kernels, dilations, dtypes, computed weights and dynamic shapes."""

import itertools
from collections.abc import Iterator

import numpy as np

from opcompat.probe import Array, Const, Probe, data, describe, pairwise, single_op, vary

FAMILY = "conv_transpose"
BASE = {
    "rank": 2, "group": 1, "kernel": 4, "stride": 2, "dilation": 1, "pads": "symmetric", "output_padding": 0, "output_shape": "none", "bias": True,
    "weights": "constant", "dtype": "float32", "dynamic": "none", "opset": 17,
}  # fmt: skip
CHANNELS = 8


def transposed(x: Array, w: Array, b: Array, group: int, strides: list[int], dilations: list[int], pads: list[int], extra: list[int]) -> Array:
    """Scatter every input times the kernel into the full output, then crop by the pads; output_padding adds a rim of the bias alone."""
    n = x.ndim - 2
    per_in, per_out = w.shape[0] // group, w.shape[1]
    full = [s * (i - 1) + d * (k - 1) + 1 for s, i, d, k in zip(strides, x.shape[2:], dilations, w.shape[2:], strict=True)]
    y = np.zeros((x.shape[0], per_out * group, *(f + e for f, e in zip(full, extra, strict=True))))
    for at in itertools.product(*map(range, w.shape[2:])):
        cut = tuple(slice(a * d, a * d + s * (i - 1) + 1, s) for a, d, s, i in zip(at, dilations, strides, x.shape[2:], strict=True))
        for g in range(group):
            part = np.tensordot(w[(slice(g * per_in, (g + 1) * per_in), slice(None), *at)], x[:, g * per_in : (g + 1) * per_in], ([0], [1]))
            y[(slice(None), slice(g * per_out, (g + 1) * per_out), *cut)] += np.moveaxis(part, 0, 1)
    y = y[(..., *(slice(pads[i], y.shape[i + 2] - pads[i + n]) for i in range(n)))]
    return (y + b.reshape(-1, *[1] * n)).astype(x.dtype)


def conv_transpose(f: dict, context: bool = False) -> Probe:
    n, s, d = f["rank"], f["stride"], f["dilation"]
    size = 6 if n < 3 else 4
    kernel = list(f["kernel"]) if isinstance(f["kernel"], tuple) else [f["kernel"]] * n
    group = CHANNELS if f["group"] == "depthwise" else f["group"]
    shape = (1, CHANNELS, *[size] * n)
    x, b = data(*shape, dtype=f["dtype"]), data(CHANNELS, dtype=f["dtype"])
    w = data(CHANNELS, CHANNELS // group, *kernel, dtype=f["dtype"], low=-0.5, high=0.5)
    half = [d * (k - 1) // 2 for k in kernel]
    pads = {"symmetric": half + half, "asymmetric": [0] * n + [h + 1 for h in half]}.get(f["pads"], [0] * 2 * n)
    attributes: dict = {"auto_pad": f["pads"]} if f["pads"] in ("SAME_UPPER", "SAME_LOWER", "VALID") else {}
    attributes |= {"pads": pads} if any(pads) and f["output_shape"] == "none" else {}
    extra = [f["output_padding"]] * n
    answer = None
    if f["output_shape"] != "none":
        total = 2 if f["output_shape"] == "even padding" else 1
        attributes["output_shape"] = [s * (size - 1) + d * (k - 1) + 1 - total for k in kernel]
        less, more = [total // 2] * n, [total - total // 2] * n
        pads = less + more if f["pads"] == "SAME_UPPER" else more + less
    if f["pads"].startswith("SAME") and f["output_shape"] == "none":
        totals = [s * (size - 1) + e + d * (k - 1) + 1 - size * s for k, e in zip(kernel, extra, strict=True)]
        less, more = [t // 2 for t in totals], [t - t // 2 for t in totals]
        pads = less + more if f["pads"] == "SAME_UPPER" else more + less
    if group != 1 or f["output_shape"] != "none":
        bias = b if f["bias"] else 0 * b

        def answer(feeds: dict[str, Array]) -> list[Array]:
            inside, outside = (1.5, 0.75) if context else (1, 1)
            return [transposed(feeds["X"] * x.dtype.type(inside), w, bias, group, [s] * n, [d] * n, pads, extra) * x.dtype.type(outside)]

    dynamic = {"none": None, "batch": {"X": ["N", *shape[1:]]}, "spatial": {"X": ["N", CHANNELS, *"HWD"[:n]]}}[f["dynamic"]]
    return single_op(
        FAMILY, "ConvTranspose", describe(BASE, f),
        {"X": x, "W": w if f["weights"] == "computed" else Const(w), "B": Const(b) if f["bias"] else None},
        opset=f["opset"], dynamic=dynamic, context=context, answer=answer, kernel_shape=kernel,
        strides=[s] * n if s != 1 else None, dilations=[d] * n if d != 1 else None,
        output_padding=extra if f["output_padding"] else None, group=group if group != 1 else None, **attributes,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    yield from map(conv_transpose, pairwise(BASE, rank=[1, 3], group=[2, "depthwise"], stride=[1], pads=["asymmetric", "SAME_UPPER"]))
    rest = vary(
        BASE, group=[4], kernel=[1, 2, 3, 5, (2, 3)], stride=[3], dilation=[2, 3], pads=["none", "SAME_LOWER", "VALID"], output_padding=[1],
        output_shape=["even padding", "odd padding"], bias=[False], weights=["computed"], dtype=["float16", "float64"],
        dynamic=["batch", "spatial"], opset=[7, 11, 13, 22],
    )  # fmt: skip
    yield from map(conv_transpose, list(rest)[1:])
    yield conv_transpose({**BASE, "dtype": "bfloat16", "opset": 22})
    for changed in (
        {"kernel": 3, "output_padding": 1},
        {"kernel": 3, "output_padding": 1, "group": 2},
        {"output_shape": "odd padding", "pads": "SAME_UPPER"},
        {"output_shape": "odd padding", "pads": "SAME_LOWER"},
        {"dilation": 2, "group": "depthwise"},
        {"dynamic": "spatial", "pads": "SAME_UPPER"},
        {"weights": "computed", "group": 2},
    ):
        yield conv_transpose({**BASE, **changed})
    for f in [*vary(BASE, group=[2, "depthwise"], stride=[1], pads=["SAME_UPPER"], dynamic=["batch"]), {**BASE, "kernel": 3, "output_padding": 1}]:
        yield conv_transpose(f, context=True)
