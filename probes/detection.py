"""NonMaxSuppression, alone and with the gathering of what it selected, and TopK: limits constant, computed or omitted, batches, classes, axes.

Few accelerators take a result whose size depends on data or on a computed limit."""

from collections.abc import Iterator

import numpy as np

from opcompat.probe import Array, Const, Graph, Probe, const, describe, np_dtype, pairwise, pattern, single_op, vary

FAMILY = "detection"
NMS = {
    "classes": 1, "batch": 1, "format": "corners", "max_output": 4, "iou": 0.5, "score": 0.25, "limits": "constant", "written": "vector",
    "boxes": "normalised", "dynamic": "none", "opset": 17,
}  # fmt: skip
TOPK = {
    "axis": -1, "k": 3, "rank": 2, "form": "constant", "largest": 1, "sorted": 1, "dtype": "float32", "dynamic": "none", "opset": 17,
}  # fmt: skip
SHAPES: dict[int, tuple[int, ...]] = {1: (12,), 2: (4, 8), 3: (2, 5, 6), 4: (1, 5, 4, 6)}
SUPPRESS = {"form": "Slice, Gather", "classes": 1, "scores": "classes first", "limits": "constant", "batch": 1, "dynamic": "none", "opset": 17}
DIMS = {"none": (0, 0), "batch": ("N", 0), "boxes": (0, "A"), "all": ("N", "A")}
LARGEST = 2**63 - 1


def shuffled(*shape: int, seed: int = 0) -> Array:
    """Distinct whole numbers from 0 in any order: neither scores nor ranks can tie."""
    return np.random.default_rng(seed).permutation(int(np.prod(shape))).reshape(shape)


def scores_of(batch: int, classes: int) -> Array:
    """Scores such that overlap and limit decide in even classes, overlap and the least score in odd ones; the boxes roll on from class to class."""
    orders, y = ([2, 3, 7, 6, 0, 5, 1, 4], [3, 2, 5, 4, 1, 7, 6, 0]), np.zeros((batch * classes, 8), np.float32)
    for j in range(batch * classes):
        y[j, (np.array(orders[j % 2]) + j // 2 * 2) % 8] = 0.95 - 0.003 * j - (0.17 if j % 2 else 0.08) * np.arange(8)
    return y.clip(0.01).reshape(batch, classes, 8)


def boxes_of(batch: int, written: str = "corners") -> Array:
    """Eight boxes in four pairs; the overlap is near 0.64 within the first three pairs, small in the last, 0 between pairs."""
    i = np.arange(8)
    y, x = 0.25 + 0.5 * (i // 4) + 0.02 * (i % 2), 0.25 + 0.5 * (i // 2 % 2) + np.where(i == 7, 0.15, 0.04 * (i % 2))
    h, w = 0.3 - 0.002 * i, 0.24 + 0.001 * i
    one = [x, y, w, h] if written == "centre" else [y - h / 2, x - w / 2, y + h / 2, x + w / 2]
    one = [*one[2:], *one[:2]] if written == "flipped" else one
    return (np.stack(one, -1) + 0.01 * np.arange(batch)[:, None, None] * (1, 1, 0, 0 if written == "centre" else 1)).astype(np.float32)


def suppress(boxes: Array, scores: Array, limit: int, iou: float, least: float | None, centre: bool) -> Array:
    """NonMaxSuppression in numpy: by batch and class, best score first; the reference evaluator fails on omitted inputs and scalars."""
    kept = []
    for b, c in np.ndindex(*scores.shape[:2]):
        box = boxes[b].astype(np.float64)
        first, second = (box[:, :2] - box[:, 2:] / 2, box[:, :2] + box[:, 2:] / 2) if centre else (box[:, :2], box[:, 2:])
        low, high = np.minimum(first, second), np.maximum(first, second)
        chosen: list[int] = []
        for i in np.argsort(-scores[b, c], kind="stable"):
            shared = [np.prod(np.clip(np.minimum(high[i], high[j]) - np.maximum(low[i], low[j]), 0, None)) for j in chosen]
            areas = np.prod(high - low, 1)
            free = all(s <= iou * (areas[i] + areas[j] - s) for s, j in zip(shared, chosen, strict=True))
            if len(chosen) < limit and (least is None or scores[b, c, i] > least) and free:
                chosen.append(int(i))
        kept += [[b, c, i] for i in chosen]
    return np.array(kept, np.int64).reshape(-1, 3)


def nms(f: dict) -> Probe:
    batch = 2 if f["dynamic"] in ("batch", "all") else f["batch"]
    feeds: dict[str, Array | Const | None] = {"boxes": boxes_of(batch, f["format"]) * np.float32(100 if f["boxes"] == "pixels" else 1)}
    feeds["scores"] = scores_of(batch, f["classes"])
    for name, dtype in (("max_output", np.int64), ("iou", np.float32), ("score", np.float32)):
        computed = f["limits"] in ("computed", "max_output computed" if name == "max_output" else "thresholds computed")
        if f[name] != "absent":
            value = np.full([] if f["written"] == "scalar" else [1], f[name], dtype)
            feeds[name] = value if computed else Const(value)
        else:
            feeds[name] = None
    given = {k: None if f[k] == "absent" else f[k] for k in ("max_output", "iou", "score")}

    def answer(inputs: dict[str, Array]) -> list[Array]:
        return [suppress(inputs["boxes"], inputs["scores"], given["max_output"] or 0, given["iou"] or 0, given["score"], f["format"] == "centre")]

    n, a = "N" if f["dynamic"] in ("batch", "all") else f["batch"], "A" if f["dynamic"] in ("boxes", "all") else 8
    return single_op(
        FAMILY, "NonMaxSuppression", describe(NMS, f), feeds, opset=f["opset"], answer=answer,
        dynamic={"boxes": [n, a, 4], "scores": [n, f["classes"], a]}, center_point_box=1 if f["format"] == "centre" else None,
        output_dtypes=["int64"], output_shapes=[["selected", 3]],
    )  # fmt: skip


def nms_gather(g: Graph, f: dict) -> str:
    limit, overlap, least = ("K", "I", "S") if f["limits"] == "computed" else (const([4]), const([0.5]), const([0.25]))
    if f["form"].startswith("torchvision"):
        around = "boxes"
        if f["form"] == "torchvision by class":
            apart = g("Mul", g("Cast", "classes", to=1), g("Add", g("ReduceMax", "boxes", keepdims=0), const(1.0)))
            around = g("Add", "boxes", g("Unsqueeze", apart, const([1])))
        picked = g("NonMaxSuppression", g("Unsqueeze", around, const([0])), g("Unsqueeze", "scores", const([0, 1])), const([LARGEST]), const([0.5]))
        index = g("Squeeze", g("Gather", picked, const([2]), axis=1), const([1]))
        return str(g("Gather", "boxes", index, axis=0))
    ranked = g("Transpose", "scores", perm=[0, 2, 1]) if f["scores"] == "classes last" else "scores"
    picked = g("NonMaxSuppression", "boxes", ranked, limit, overlap, least)
    if "GatherND" in f["form"] or "rows" in f["form"]:
        found = g("GatherND", "boxes", g("Gather", picked, const([0, 2]), axis=1))
        if f["form"] == "rows of box, score and class":
            labels = g("Cast", g("Gather", picked, const([0, 1]), axis=1), to=1)
            found = g("Concat", labels, found, g("Unsqueeze", g("GatherND", ranked, picked), const([1])), axis=1)
        return str(found)
    if f["form"].startswith("Slice"):
        index = g("Squeeze", g("Slice", picked, const([2]), const([3]), const([1])), const([1]))
    else:
        index = g("Gather", picked, const(2), axis=1)
    return str(g("Gather", g("Squeeze", "boxes", const([0])), index, axis=0))


def nms_tail(f: dict) -> Probe:
    b, c = (2 if f["dynamic"] in ("batch", "all") else f["batch"]), f["classes"]
    if f["form"].startswith("torchvision"):
        feeds = {"boxes": boxes_of(1)[0], "scores": scores_of(1, 1)[0, 0]}
        feeds |= {"classes": np.arange(8) // 3} if f["form"] == "torchvision by class" else {}
        dynamic = {k: ["A", *v.shape[1:]] for k, v in feeds.items()} if f["dynamic"] != "none" else {}
    else:
        last, (n, a) = f["scores"] == "classes last", DIMS[f["dynamic"]]
        feeds = {"boxes": boxes_of(b), "scores": scores_of(b, c).transpose(0, 2, 1).copy() if last else scores_of(b, c)}
        n, a = n or b, a or 8
        dynamic = {"boxes": [n, a, 4], "scores": [n, a, c] if last else [n, c, a]}
    if f["limits"] == "computed":
        feeds |= {"K": np.array([4]), "I": np.array([0.5], np.float32), "S": np.array([0.25], np.float32)}
    return pattern(FAMILY, "nms-gather", describe(SUPPRESS, f), lambda g: nms_gather(g, f), feeds, opset=f["opset"], dynamic=dynamic)


def top_k(f: dict, context: bool = False) -> Probe:
    """Unsorted results have no order: they are summed. `form=from shape` limits k by the size of the axis, as detectors do."""
    shape, dtype = SHAPES[f["rank"]], f["dtype"]
    x = shuffled(*shape, seed=f["rank"])
    x = (x - (0 if dtype.startswith("u") else x.size // 2)).astype(np_dtype(dtype)) / (np_dtype(dtype).type(4) if "float" in dtype else 1)
    feeds, k = {"X": x.astype(np_dtype(dtype))}, np.array([f["k"]], np.int64)
    dynamic = {"none": None, "batch": {"X": ["N", *shape[1:]]}, "all": {"X": list("NCHW"[: f["rank"]])}}[f["dynamic"]]
    axis = 0 if f["rank"] == 1 and f["axis"] != -1 else f["axis"]
    attributes = {"axis": None if axis == -1 else axis, "largest": None if f["largest"] else 0, "sorted": None if f["sorted"] else 0}
    name = describe(TOPK, f)
    if f["form"] == "from shape" or (not f["sorted"] and f["k"] > 1):

        def build(g: Graph) -> list[str]:
            limit = g("Min", const(k), g("Gather", g("Shape", "X"), const([f["rank"] - 1]))) if f["form"] == "from shape" else const(k)
            values, indices = g("TopK", "X", limit, outputs=2, mark=True, **attributes)
            return [values, indices] if f["sorted"] else [g("ReduceSum", v, const([-1])) for v in (values, g("Cast", indices, to=1))]

        return pattern(FAMILY, "TopK", name, build, feeds, opset=f["opset"], dynamic=dynamic)
    inputs: dict[str, Array | Const] = {**feeds} if f["opset"] < 10 else {**feeds, "k": k if f["form"] == "computed" else Const(k)}
    attributes |= {"k": f["k"]} if f["opset"] < 10 else {}
    return single_op(FAMILY, "TopK", name, inputs, opset=f["opset"], outputs=2, dynamic=dynamic, context=context, **attributes)


def probes() -> Iterator[Probe]:
    yield from map(nms, pairwise(NMS, classes=[3], batch=[2], format=["centre", "flipped"]))
    rest = vary(
        {**NMS, "classes": 3}, max_output=[0, 1, LARGEST, "absent"], iou=[0.0, 0.9, "absent"], score=["absent", 0.99], written=["scalar"],
        limits=["computed", "max_output computed", "thresholds computed"], boxes=["pixels"], dynamic=["batch", "boxes", "all"], opset=[10, 11, 13],
    )  # fmt: skip
    yield from map(nms, list(rest)[1:])
    yield nms({**NMS, "iou": "absent", "score": "absent"})
    yield nms({**NMS, "max_output": LARGEST, "score": "absent"})
    yield nms({**NMS, "batch": 2, "classes": 3, "dynamic": "all", "limits": "computed"})

    many = {"form": "GatherND", "batch": 2, "classes": 3}
    rows = {"form": "rows of box, score and class", "classes": 3}
    for f in [
        *vary(
            SUPPRESS, form=["Gather", "GatherND", "rows of box, score and class", "torchvision", "torchvision by class"], classes=[3],
            scores=["classes last"], limits=["computed"], dynamic=["boxes"], opset=[13, 21],
        ),
        *({**SUPPRESS, **many, **g} for g in ({}, {"scores": "classes last"}, {"dynamic": "batch"}, {"dynamic": "all", "limits": "computed"})),
        *({**SUPPRESS, **rows, **g} for g in ({}, {"batch": 2}, {"scores": "classes last"}, {"scores": "classes last", "dynamic": "all"})),
        {**SUPPRESS, "form": "torchvision", "dynamic": "boxes"}, {**SUPPRESS, "form": "torchvision by class", "dynamic": "boxes"},
    ]:  # fmt: skip
        yield nms_tail(f)

    rest = vary(
        TOPK, axis=[0, -2, 1], k=[1, 8], rank=[1, 3, 4], form=["computed", "from shape"], largest=[0], sorted=[0], opset=[9, 10, 11, 24],
        dtype=["float16", "float64", "int8", "uint8", "int32", "int64"], dynamic=["batch", "all"],
    )  # fmt: skip
    yield from map(top_k, rest)
    for changed in (
        {"rank": 4, "axis": 1}, {"rank": 3, "axis": 1}, {"k": 1, "sorted": 0}, {"largest": 0, "axis": 0}, {"form": "computed", "dynamic": "batch"},
        {"form": "from shape", "dynamic": "all"}, {"dtype": "bfloat16", "opset": 24}, {"dtype": "int32", "largest": 0},
    ):  # fmt: skip
        yield top_k({**TOPK, **changed})
    for f in vary({**TOPK, "rank": 4, "axis": 1}, largest=[0]):
        yield top_k(f, context=True)
