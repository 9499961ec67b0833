"""Losses of classification, which training graphs and evaluation models carry: reduction, class weights, ignored labels, ranks up to images, label
and data dtypes, the log-probabilities output, opsets. Answers are in numpy."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Probe, data, describe, np_dtype, single_op, vary

FAMILY = "loss"
BASE = {
    "reduction": "mean", "weight": "absent", "ignored": "absent", "rank": 2, "labels": "int64", "outputs": 1, "dtype": "float32", "dynamic": "none",
    "opset": 13,
}  # fmt: skip
SHAPES = {2: (6, 5), 3: (2, 5, 4), 4: (2, 5, 3, 4), 5: (1, 5, 2, 3, 2)}


def loss(op: str, f: dict) -> Probe:
    shape = SHAPES[f["rank"]]
    scores = data(*shape, dtype=f["dtype"], low=-2, high=2)
    labels = data(shape[0], *shape[2:], dtype="int64", low=0, high=5, seed=1).astype(f["labels"])
    ignored = {"absent": None, "a class": 2, "another": -1}[f["ignored"]]
    if ignored == -1:
        labels.flat[::3] = -1
    weight = data(5, dtype=f["dtype"], low=0.5, high=1.5)

    def answer(feeds: dict[str, Array]) -> list[Array]:
        x = feeds["scores"].astype(np.float64)
        if op == "SoftmaxCrossEntropyLoss":
            x = x - x.max(1, keepdims=True)
            x = x - np.log(np.exp(x).sum(1, keepdims=True))
        found = feeds["labels"].astype(np.int64)
        share = feeds.get("weight", weight).astype(np.float64)[found % 5] if f["weight"] != "absent" else np.ones(found.shape)
        share = np.where(found == ignored, 0.0, share) if ignored is not None else share
        each = -np.take_along_axis(x, (found % 5)[:, None], 1)[:, 0] * share
        made = {"none": each, "sum": each.sum(), "mean": each.sum() / share.sum()}[f["reduction"]]
        return [np.asarray(a).astype(np_dtype(f["dtype"])) for a in (made, x)[: f["outputs"]]]

    inputs: dict[str, Array | Const | None] = {"scores": scores, "labels": labels}
    if f["weight"] != "absent":
        inputs["weight"] = Const(weight) if f["weight"] == "constant" else weight
    free: dict[str, Any] | None = None
    if f["dynamic"] == "batch":
        free = {"scores": ["N", *shape[1:]], "labels": ["N", *shape[2:]]}
    return single_op(
        FAMILY, op, describe(BASE, f), inputs, opset=f["opset"], outputs=f["outputs"], dynamic=free, answer=answer,
        reduction=None if f["reduction"] == "mean" else f["reduction"], ignore_index=ignored,
    )  # fmt: skip


def probes() -> Iterator[Probe]:
    wide: dict[str, list[Any]] = {
        "reduction": ["none", "sum"], "weight": ["constant", "computed"], "ignored": ["a class", "another"], "rank": [3, 4, 5], "labels": ["int32"],
        "dtype": ["float16", "float64"], "dynamic": ["batch"],
    }  # fmt: skip
    for f in vary(BASE, **wide, opset=[12, 22]):
        yield loss("NegativeLogLikelihoodLoss", f)
    for f in vary(BASE, **wide, outputs=[2], opset=[12]):
        yield loss("SoftmaxCrossEntropyLoss", f)
    for op in ("NegativeLogLikelihoodLoss", "SoftmaxCrossEntropyLoss"):
        for changed in ({"weight": "constant", "ignored": "a class"}, {"weight": "constant", "reduction": "none"}, {"rank": 4, "reduction": "none"}):
            yield loss(op, {**BASE, **changed})
