"""Conv: grouping, rank, padding, strides, dilations, kernel sizes, dtype, computed weights and dynamic shapes, one at a time and in pairs."""

from collections.abc import Iterator

from opcompat.probe import Const, Probe, data, describe, pairwise, single_op, vary

FAMILY = "conv"
BASE = {
    "rank": 2, "group": 1, "kernel": 3, "stride": 1, "dilation": 1, "pads": "symmetric", "bias": True, "weights": "constant", "dtype": "float32",
    "dynamic": "none", "opset": 17, "kernel_shape": True,
}  # fmt: skip
CIN, COUT = 8, 16


def conv(f: dict, context: bool = False) -> Probe:
    n, k, d = f["rank"], f["kernel"], f["dilation"]
    size = 13 if n < 3 else 8
    size = max(size, f["stride"] * 2)
    kernel = list(k) if isinstance(k, tuple) else [k] * n
    cin, cout = (CIN, COUT) if max(kernel) < 7 else (2, 4)  # wide kernels on few channels: models stay small
    group = cin if f["group"] == "depthwise" else f["group"]
    out = cin if f["group"] == "depthwise" else cout
    shape = (1, cin, *[size] * n)
    weight = data(out, cin // group, *kernel, dtype=f["dtype"], low=-0.5, high=0.5)
    half = [d * (x - 1) // 2 for x in kernel]
    none, behind, before = [0] * n, [h + 1 for h in half], [2 * h for h in half]
    pads = {"symmetric": half + half, "asymmetric": none + behind, "before": before + none, "wide": [4] * 2 * n}
    attributes: dict = {"pads": pads.get(f["pads"])}
    if f["pads"] in ("SAME_UPPER", "SAME_LOWER", "VALID"):
        attributes["auto_pad"] = f["pads"]
    dynamic = {"none": None, "batch": {"X": ["N", *shape[1:]]}, "spatial": {"X": ["N", cin, *"HWD"[:n]]}}[f["dynamic"]]
    return single_op(
        FAMILY, "Conv", describe(BASE, f),
        {
            "X": data(*shape, dtype=f["dtype"]),
            "W": weight if f["weights"] == "computed" else Const(weight),
            "B": Const(data(out, dtype=f["dtype"])) if f["bias"] else None,
        },
        opset=f["opset"], dynamic=dynamic, context=context, kernel_shape=kernel if f["kernel_shape"] else None,
        strides=[f["stride"]] * n if f["stride"] != 1 else None, dilations=[d] * n if d != 1 else None,
        group=group if group != 1 else None, **attributes,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    wide = {
        "rank": [1, 3], "group": [2, 4, "depthwise", 8], "stride": [2], "dilation": [2, 3],
        "pads": ["none", "asymmetric", "SAME_UPPER", "SAME_LOWER", "VALID"],
    }  # fmt: skip
    seen = set()
    single = vary(
        BASE, kernel=[1, 2, 5, 7, 11, (1, 3), (3, 5)], stride=[3, 4], bias=[False], weights=["computed"],
        dtype=["float16", "bfloat16", "float64"], dynamic=["batch", "spatial"], opset=[7, 11, 13, 22],
        kernel_shape=[False],
    )  # fmt: skip
    for f in [*pairwise(BASE, **wide), *single]:
        if f["dtype"] == "bfloat16":
            f = {**f, "opset": 22}
        if f["dilation"] != 1 and f["pads"].startswith("SAME"):
            continue
        if repr(f) not in seen:
            seen.add(repr(f))
            yield conv(f)
    for f in vary({**BASE, "pads": "wide"}, rank=[1], group=["depthwise"]):
        yield conv(f)
    yield conv({**BASE, "pads": "wide"}, context=True)
    for rank in (1, 2):  # causal
        yield conv({**BASE, "rank": rank, "pads": "before"})
    yield conv({**BASE, "pads": "before"}, context=True)
    patches = {**BASE, "pads": "none"}
    for f in ({**patches, "kernel": k, "stride": k} for k in (2, 4, 8, 14, 16)):
        yield conv(f)
        yield conv({**f, "bias": False})
    for f in vary(BASE, group=[4, "depthwise"], stride=[2], dilation=[2]):
        yield conv(f, context=True)
