"""DeformConv: offset groups, groups, mask, kernel, stride and padding, offsets of zero and beyond the image; then
computed or constant weights and offsets, dtypes and dynamic shapes."""

from collections.abc import Iterator

import numpy as np

from opcompat.probe import Const, Probe, data, describe, pairwise, single_op, vary

FAMILY = "deform_conv"
BASE = {
    "offset_group": 1, "group": 1, "mask": True, "offsets": "small", "kernel": 3, "stride": 1, "dilation": 1, "pads": "symmetric", "bias": True,
    "weights": "constant", "dtype": "float32", "dynamic": "none", "opset": 19,
}  # fmt: skip
CIN, COUT = 4, 4


def deform_conv(f: dict, context: bool = False) -> Probe:
    s, d, og, dtype = f["stride"], f["dilation"], f["offset_group"], f["dtype"]
    kernel = list(f["kernel"]) if isinstance(f["kernel"], tuple) else [f["kernel"]] * 2
    batch, size = (2 if f["dynamic"] != "none" else 1), (5, 6)
    half = [d * (k - 1) // 2 for k in kernel]
    pads = {"symmetric": half + half, "asymmetric": [0, 0, half[0] + 1, half[1] + 1], "none": [0] * 4}[f["pads"]]
    out = [(i + pads[a] + pads[a + 2] - d * (k - 1) - 1) // s + 1 for a, (i, k) in enumerate(zip(size, kernel, strict=True))]
    points = og * kernel[0] * kernel[1]
    offset = {
        "small": data(batch, 2 * points, *out, low=-1.4, high=1.4), "zero": np.zeros((batch, 2 * points, *out), np.float32),
        "outside": data(batch, 2 * points, *out, low=-9, high=9), "constant": data(batch, 2 * points, *out, low=-1.4, high=1.4),
    }[f["offsets"]].astype(dtype)  # fmt: skip
    w, mask = data(COUT, CIN // f["group"], *kernel, dtype=dtype, low=-0.5, high=0.5), data(batch, points, *out, dtype=dtype, low=0.1)
    symbols = {"none": None, "batch": ["N", CIN, *size], "spatial": ["N", CIN, "H", "W"]}[f["dynamic"]]
    dynamic = symbols and {
        "X": symbols, "offset": ["N", 2 * points, *(out if f["dynamic"] == "batch" else ["OH", "OW"])],
        "mask": ["N", points, *(out if f["dynamic"] == "batch" else ["OH", "OW"])],
    }  # fmt: skip
    return single_op(
        FAMILY, "DeformConv", describe(BASE, f),
        {
            "X": data(batch, CIN, *size, dtype=dtype), "W": w if f["weights"] == "computed" else Const(w),
            "offset": Const(offset) if f["offsets"] == "constant" else offset, "B": Const(data(COUT, dtype=dtype)) if f["bias"] else None,
            "mask": mask if f["mask"] else None,
        },
        opset=f["opset"], dynamic=dynamic, context=context, kernel_shape=kernel, pads=pads if any(pads) else None,
        strides=[s] * 2 if s != 1 else None, dilations=[d] * 2 if d != 1 else None,
        group=f["group"] if f["group"] != 1 else None, offset_group=og if og != 1 else None,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    yield from map(deform_conv, pairwise(BASE, offset_group=[2], group=[2], mask=[False], stride=[2]))
    rest = vary(
        BASE, offset_group=[4], group=[CIN], offsets=["zero", "outside", "constant"], kernel=[1, 5, (1, 3)], dilation=[2],
        pads=["none", "asymmetric"], bias=[False], weights=["computed"], dtype=["float16", "float64"], dynamic=["batch", "spatial"], opset=[22],
    )  # fmt: skip
    yield from map(deform_conv, list(rest)[1:])
    for changed in (
        {"mask": False, "bias": False},
        {"mask": False, "offsets": "zero"},
        {"mask": False, "offsets": "outside"},
        {"mask": False, "dynamic": "batch"},
        {"mask": False, "opset": 22},
        {"group": 2, "offset_group": 2, "mask": False},
        {"kernel": 5, "dilation": 2},
        {"dtype": "float16", "mask": False},
        {"dtype": "bfloat16", "opset": 22},
    ):
        yield deform_conv({**BASE, **changed})
    for f in vary(BASE, mask=[False], offset_group=[2]):
        yield deform_conv(f, context=True)
