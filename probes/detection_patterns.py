"""Tails of detectors as exporters write them: TopK followed by the gathering of boxes, and the decoding of boxes from a head's outputs.

How indices and channels are taken apart, classes and batches vary: each alone can move a network's end off an accelerator."""

import itertools
from collections.abc import Iterator

import numpy as np

from opcompat.probe import Array, Const, Graph, Probe, const, data, describe, pattern, vary

FAMILY = "detection_patterns"
TOP = {"form": "GatherElements", "scores": "one class", "takes": "boxes", "k": "constant", "batch": 1, "dynamic": "none", "opset": 17}
DECODE = {"form": "deltas", "parts": "Split", "dynamic": "none", "opset": 17}


def scores(*shape: int) -> Array:
    """Distinct, far enough apart not to tie after a Sigmoid."""
    return ((np.random.default_rng(0).permutation(int(np.prod(shape))) + 0.5) / np.prod(shape)).reshape(shape).astype(np.float32)


def topk_gather(g: Graph, f: dict) -> str:
    """As in DETR-like heads: over one score each, the best class, or all classes at once (box = index / classes)."""
    ranked = g("Sigmoid", "scores")
    if f["scores"] == "best class":
        ranked = g("ReduceMax", ranked, axes=[-1], keepdims=0) if f["opset"] < 18 else g("ReduceMax", ranked, const([-1]), keepdims=0)
    elif f["scores"] == "all classes":
        ranked = g("Reshape", ranked, const([0, -1]))
    k = const([3])
    if f["k"] == "from shape":
        k = g("Min", const([1000]), g("Gather", g("Shape", ranked), const([1])))
    best, index = g("TopK", ranked, k, outputs=2, axis=1)
    label = g("Mod", index, const(3)) if f["takes"] == "boxes, scores and labels" else ""
    index = g("Div", index, const(3)) if f["scores"] == "all classes" else index
    if f["form"] == "Gather":
        found = g("Gather", "boxes", g("Squeeze", index, const([0])), axis=1)
    elif f["form"] == "GatherND":
        found = g("GatherND", "boxes", g("Unsqueeze", index, const([-1])), batch_dims=1)
    else:
        deep = g("Unsqueeze", index, const([-1]))
        wide = g("Tile", deep, const([1, 1, 4])) if f["form"] == "Tile, GatherElements" else g("Expand", deep, const([1, 1, 4]))
        found = g("GatherElements", "boxes", wide, axis=1)
    if f["takes"] == "boxes":
        return str(found)
    return str(g("Concat", found, g("Unsqueeze", best, const([-1])), g("Unsqueeze", g("Cast", label, to=1), const([-1])), axis=2))


def apart(g: Graph, f: dict, x: str, sizes: list[int], axis: int = 2) -> list[str]:
    if f["parts"] == "Split":
        return list(g("Split", x, const(sizes), outputs=len(sizes), axis=axis))
    ends = np.cumsum([0, *sizes])
    if f["parts"] == "Slice":
        return [g("Slice", x, const([a]), const([b]), const([axis])) for a, b in itertools.pairwise(ends)]
    return [g("Gather", x, const(list(range(a, b))), axis=axis) for a, b in itertools.pairwise(ends)]


def from_distances(g: Graph, f: dict, x: str) -> str:
    """YOLOv8: distances to the sides of a box from its anchor point, times the stride."""
    points = Const(np.stack([np.arange(8) % 4 + 0.5, np.arange(8) // 4 + 0.5])[None].astype(np.float32))
    near, far = apart(g, f, x, [2, 2], axis=1)
    low, high = g("Sub", points, near), g("Add", points, far)
    middle = g("Div", g("Add", low, high), const(2.0))
    return str(g("Mul", g("Concat", middle, g("Sub", high, low), axis=1), Const(np.repeat([8, 16], 4)[None].astype(np.float32))))


def box_decode(g: Graph, f: dict) -> str:
    anchors = Const(np.concatenate([data(1, 8, 2, low=1, high=6), data(1, 8, 2, low=1, high=3)], 2))
    cells, stride = Const(np.stack([np.arange(8) % 4, np.arange(8) // 4], -1)[None].astype(np.float32)), const(8.0)
    if f["form"] in ("distances", "distribution"):
        sides = "X"
        if f["form"] == "distribution":  # the expected distance over 4 bins a side
            bins = g("Transpose", g("Reshape", "X", const([0, 4, 4, 8])), perm=[0, 2, 1, 3])
            sides = g(
                "Reshape",
                g("Conv", g("Softmax", bins, axis=1), Const(np.arange(4, dtype=np.float32).reshape(1, 4, 1, 1)), kernel_shape=[1, 1]),
                const([0, 4, 8]),
            )
        return from_distances(g, f, sides)
    if f["form"] == "centre to corners":
        x, y, w, h = apart(g, f, "X", [1, 1, 1, 1])
        w, h = (g("Mul", side, const(0.5)) for side in (w, h))
        return str(g("Concat", g("Sub", x, w), g("Sub", y, h), g("Add", x, w), g("Add", y, h), axis=2))
    if f["form"] == "yolov5":
        xy, wh, rest = apart(g, f, g("Sigmoid", "X"), [2, 2, 3])
        xy = g("Mul", g("Add", g("Sub", g("Mul", xy, const(2.0)), const(0.5)), cells), stride)
        wh = g("Mul", g("Pow", g("Mul", wh, const(2.0)), const(2.0)), Const(data(1, 8, 2, low=10, high=30)))
        return str(g("Concat", xy, wh, rest, axis=2))
    if f["form"] == "yolox":
        xy, wh, rest = apart(g, f, "X", [2, 2, 3])
        return str(g("Concat", g("Mul", g("Add", xy, cells), stride), g("Mul", g("Exp", wh), stride), g("Sigmoid", rest), axis=2))
    (xy, wh), (middle, size) = apart(g, f, "X", [2, 2]), apart(g, f, g("Identity", anchors), [2, 2])
    wh = g("Mul", wh, const(0.2))
    wh = g("Clip", wh, None, const(4.135)) if f["form"] == "deltas, clipped" else wh
    middle = g("Add", g("Mul", g("Mul", xy, const(0.1)), size), middle)
    half = g("Mul", g("Mul", g("Exp", wh), size), const(0.5))
    return str(g("Concat", g("Sub", middle, half), g("Add", middle, half), axis=2))


def best(f: dict) -> Probe:
    b = 2 if f["dynamic"] in ("batch", "all") else f["batch"]
    feeds = {"scores": scores(b, 8, *([] if f["scores"] == "one class" else [3])), "boxes": data(b, 8, 4)}
    free = ["N", "A" if f["dynamic"] == "all" else 8]
    dynamic = {k: [*free, *v.shape[2:]] for k, v in feeds.items()} if f["dynamic"] != "none" else None
    return pattern(FAMILY, "topk-gather", describe(TOP, f), lambda g: topk_gather(g, f), feeds, opset=f["opset"], dynamic=dynamic)


def probes() -> Iterator[Probe]:
    every = {"scores": "all classes", "takes": "boxes, scores and labels"}
    for f in [
        *vary(
            TOP, form=["Tile, GatherElements", "GatherND", "Gather"], scores=["best class", "all classes"], k=["from shape"], batch=[2],
            dynamic=["batch", "all"], opset=[13, 21],
        ),
        *({**TOP, **every, **g} for g in ({}, {"batch": 2}, {"dynamic": "batch"}, {"form": "GatherND", "batch": 2}, {"form": "Gather"})),
        {**TOP, "k": "from shape", "dynamic": "all"}, {**TOP, "scores": "best class", "opset": 18}, {**TOP, "form": "GatherND", "dynamic": "batch"},
    ]:  # fmt: skip
        yield best(f)

    forms = ["deltas, clipped", "centre to corners", "yolov5", "yolox", "distances", "distribution"]
    others = [{"form": form, "parts": parts} for form in ("centre to corners", "yolov5", "distances") for parts in ("Slice", "Gather")]
    dynamic = [{"form": form, "dynamic": "batch"} for form in forms[1:]]
    for f in [*vary(DECODE, form=forms, parts=["Slice"], dynamic=["batch"], opset=[13, 18]), *({**DECODE, **g} for g in [*others, *dynamic])]:
        batch, depth = 2 if f["dynamic"] != "none" else 1, 7 if f["form"].startswith("yolo") else 4
        shape = {"distances": (4, 8), "distribution": (16, 8)}.get(f["form"], (8, depth))
        x = data(batch, *shape, low=0.3 if f["form"] in ("distances", "centre to corners") else -1.5, high=2.0)
        free_batch = {"X": ["N", *shape]} if f["dynamic"] != "none" else None
        yield pattern(FAMILY, "box-decode", describe(DECODE, f), lambda g, f=f: box_decode(g, f), {"X": x}, opset=f["opset"], dynamic=free_batch)
