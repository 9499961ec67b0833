"""RoiAlign and MaxRoiPool: pooling method, coordinate mode, sampling ratio, scale, several images, regions beyond the image or within a cell."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Probe, data, describe, np_dtype, pairwise, single_op, vary

FAMILY = "regions"
ALIGN = {
    "mode": "avg", "coordinates": "half_pixel", "sampling_ratio": 2, "scale": 0.5, "images": 1, "rois": "inside", "out": (2, 3), "given": "computed",
    "dtype": "float32", "dynamic": "none", "opset": 16,
}  # fmt: skip
ROIS = {
    "inside": [[1.25, 0.75, 6.25, 5.5], [0.5, 2.25, 4.75, 6], [3, 1.25, 7, 4]], "on cells": [[1, 1, 7, 5], [2, 2, 8, 6], [1, 2, 7, 6]],
    "beyond": [[-2.25, -1.5, 3.5, 4.25], [4.5, 3.25, 11.25, 9.5]], "tiny": [[2.25, 3.25, 2.75, 3.5], [4.5, 1.25, 4.75, 3]],
}  # fmt: skip
MAXROI = {"pooled": (2, 3), "scale": 1.0, "images": 1, "rois": "computed", "dtype": "float32", "dynamic": "none", "opset": 17}


def aligned(x: Array, rois: Array, which: Array, f: dict) -> Array:
    """RoiAlign in numpy; the reference evaluator shifts by half a pixel at opset 10 too. `max` takes the largest weighted corner, as in onnx."""
    half, sizes = (0.5 if f["coordinates"] == "half_pixel" else 0.0), x.shape[2:]
    y = np.zeros((len(rois), x.shape[1], *f["out"]))
    for r, roi in enumerate(rois.astype(np.float64) * f["scale"] - half):
        image, corners = x[which[r]].astype(np.float64), []
        for axis in (0, 1):
            start, span = roi[1 - axis], roi[3 - axis] - roi[1 - axis]
            span = span if half else max(span, 1)
            per = f["sampling_ratio"] or int(np.ceil(span / f["out"][axis]))
            at = start + (np.arange(f["out"][axis] * per) + 0.5) * span / (f["out"][axis] * per)
            inside, at = (at >= -1) & (at <= sizes[axis]), np.clip(at, 0, sizes[axis] - 1)
            low = np.floor(at).astype(int)
            high = np.minimum(low + 1, sizes[axis] - 1)
            corners.append([(low, (1 - at + low) * inside), (high, (at - low) * inside)])
        parts = np.stack([image[:, a][:, :, b] * v[:, None] * w for a, v in corners[0] for b, w in corners[1]])
        parts = parts.max(0) if f["mode"] == "max" else parts.sum(0)
        cells = parts.reshape(x.shape[1], f["out"][0], -1, f["out"][1], parts.shape[2] // f["out"][1])
        y[r] = cells.max((2, 4)) if f["mode"] == "max" else cells.mean((2, 4))
    return y.astype(x.dtype)


def roi_align(f: dict, context: bool = False) -> Probe:
    rois = np.array(ROIS[f["rois"]]) / f["scale"]
    x = data(f["images"], 3, 7, 8, dtype=f["dtype"], low=0.1 if f["mode"] == "max" else -1)
    which = np.arange(len(rois), dtype=np.int64)[::-1] % f["images"]

    def answer(inputs: dict[str, Array]) -> list[Array]:
        return [aligned(inputs["X"] * x.dtype.type(1.125 if context else 1), rois, which, f)]

    given: Any = Const if f["given"] == "constant" else np.ascontiguousarray
    listed: dict = {"rois": ["R", 4], "which": ["R"]}
    free = {"none": None, "rois": listed, "all": {"X": ["N", 3, "H", "W"], **listed}}[f["dynamic"]]
    probe = single_op(
        FAMILY, "RoiAlign", describe(ALIGN, f), {"X": x, "rois": given(rois.astype(np_dtype(f["dtype"]))), "which": given(which)}, opset=f["opset"],
        dynamic=free, context=context, answer=answer, mode="max" if f["mode"] == "max" else None, output_height=f["out"][0], output_width=f["out"][1],
        sampling_ratio=f["sampling_ratio"] or None, spatial_scale=f["scale"] if f["scale"] != 1 else None,
        coordinate_transformation_mode=None if f["coordinates"] == "half_pixel" or f["opset"] < 16 else f["coordinates"],
    )  # fmt: skip
    # on whole cells both readings of "max" agree
    open_text = "the standard does not say whether max is over interpolated samples or over weighted corners"
    return replace(probe, dispute=open_text) if f["mode"] == "max" and f["rois"] != "on cells" else probe


def max_roi_pool(f: dict, context: bool = False) -> Probe:
    """Corners are rounded and inclusive, bins may overlap by a cell; one without a cell gives 0."""
    rois = np.array([[0, 1.25, 0.75, 6.25, 5.25], [f["images"] - 1, 0.25, 2.25, 4.75, 6], [0, 3, 1.25, 9.25, 4]]) * ([1] + [1 / f["scale"]] * 4)
    x, rois = data(f["images"], 3, 7, 8, dtype=f["dtype"]), rois.astype(np_dtype(f["dtype"]))
    h, w = f["pooled"]

    def answer(inputs: dict[str, Array]) -> list[Array]:
        image, y = inputs["X"] * x.dtype.type(1.125 if context else 1), np.zeros((len(rois), 3, h, w), x.dtype)
        for r, (which, *ends) in enumerate(rois.astype(np.float64)):
            left, top, right, bottom = (round(e * f["scale"]) for e in ends)
            high, wide = max(bottom - top + 1, 1), max(right - left + 1, 1)
            for i, j in np.ndindex(h, w):
                rows, columns = (slice(s + at * n // of, s - -(at + 1) * n // of) for s, at, n, of in ((top, i, high, h), (left, j, wide, w)))
                cells = image[int(which), :, rows, columns]
                y[r, :, i, j] = cells.max((1, 2)) if cells.size else 0
        return [y]

    free = {"none": None, "rois": {"rois": ["R", 5]}, "all": {"X": ["N", 3, "H", "W"], "rois": ["R", 5]}}[f["dynamic"]]
    return single_op(
        FAMILY, "MaxRoiPool", describe(MAXROI, f), {"X": x, "rois": Const(rois) if f["rois"] == "constant" else rois}, opset=f["opset"], dynamic=free,
        context=context, answer=answer, pooled_shape=f["pooled"], spatial_scale=f["scale"] if f["scale"] != 1 else None,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    pairs = pairwise(ALIGN, mode=["max"], coordinates=["output_half_pixel"], sampling_ratio=[0])
    rest = vary(
        ALIGN, sampling_ratio=[1], scale=[1.0, 0.0625], images=[2], rois=["beyond", "tiny"], out=[(1, 1), (7, 7)], given=["constant"],
        dtype=["float16", "float64"], dynamic=["rois", "all"], opset=[22],
    )  # fmt: skip
    yield from map(roi_align, [*pairs, *list(rest)[1:]])
    for changed in (
        {"opset": 10, "coordinates": "output_half_pixel"}, {"opset": 10, "coordinates": "output_half_pixel", "sampling_ratio": 0},
        {"rois": "tiny", "coordinates": "output_half_pixel"}, {"mode": "max", "rois": "on cells"}, {"images": 2, "dynamic": "all"},
    ):  # fmt: skip
        yield roi_align({**ALIGN, **changed})
    for f in vary(ALIGN, coordinates=["output_half_pixel"], sampling_ratio=[0]):
        yield roi_align(f, context=True)

    rest = vary(MAXROI, pooled=[(1, 1), (7, 7)], scale=[0.5], images=[2], rois=["constant"], dtype=["float16"], dynamic=["rois", "all"], opset=[22])
    for f in rest:
        yield max_roi_pool(f)
    yield max_roi_pool(MAXROI, context=True)
