"""Random operators with certain answers: probabilities of 0 and 1, one possible class, samples asked only whether they lie where they must.

Varied are the dtype that is asked for, seeds, parameters and shapes given by an attribute or by another tensor."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Graph, Probe, const, data, describe, np_dtype, pattern, single_op, vary

FAMILY = "random_values"
CODES = {"float32": 1, "float16": 10, "float64": 11, "int32": 6, "int64": 7, "bool": 9}
NUMBERS = {"dtype": "absent", "parameters": "absent", "seed": True, "dynamic": "none", "opset": 17}


def samples(op: str, f: dict) -> Probe:
    """Y = X where every sample lies inside its range, or, of a normal distribution, nearer than 50 deviations; else X + 1."""
    like, normal = op.endswith("Like"), "Normal" in op
    x = data(2, 6)
    given: dict[str, float] = {}
    if f["parameters"] == "given":
        given = {"mean": 3.0, "scale": 0.5} if normal else {"low": 2.0, "high": 4.0}
    centre, reach = (given.get("mean", 0.0), 50 * given.get("scale", 1.0)) if normal else ((3.0, 1.0) if given else (0.5, 0.5))

    def make(g: Graph) -> Any:
        more: dict[str, Any] = {"dtype": CODES.get(f["dtype"]), "seed": 3.0 if f["seed"] else None, **given}
        made = g(op, "X", mark=True, **more) if like else g(op, mark=True, shape=[2, 6], **more)
        kind = "float32" if f["dtype"] == "absent" else f["dtype"]
        far = g("Greater", g("Abs", g("Sub", made, const(centre, kind))), const(reach, kind))
        return g("Add", "X", g("Cast", far, to=1))

    free = {"X": ["N", 6]} if f["dynamic"] == "batch" else None
    return pattern(FAMILY, op, describe(NUMBERS, f), make, {"X": x}, opset=f["opset"], dynamic=free)


def bernoulli(f: dict) -> Probe:
    p = data(3, 8, dtype="bool").astype(np_dtype(f["dtype"]))
    free = {"X": ["N", 8]} if f["dynamic"] == "batch" else None
    to = None if f["to"] == "absent" else CODES[f["to"]]
    kind = f["dtype"] if f["to"] == "absent" else f["to"]
    return single_op(
        FAMILY, "Bernoulli", describe(BERNOULLI, f), {"X": p}, opset=f["opset"], dynamic=free, dtype=to, seed=2.0 if f["seed"] else None,
        answer=lambda feeds: [feeds["X"].astype(np_dtype(kind))],
    )  # fmt: skip


def multinomial(f: dict) -> Probe:
    """All weight lies on one class of each row."""
    classes = np.array([2, 0, 4])
    x = np.where(np.arange(5) == classes[:, None], 0.0, -1e4).astype(np_dtype(f["dtype"]))
    to = None if f["to"] == "absent" else CODES[f["to"]]
    free = {"X": ["N", 5]} if f["dynamic"] == "batch" else None
    wanted = np.repeat(classes[:, None], f["samples"], 1).astype("int32" if f["to"] == "absent" else f["to"])
    return single_op(
        FAMILY, "Multinomial", describe(MULTINOMIAL, f), {"X": x}, opset=f["opset"], dynamic=free, dtype=to,
        sample_size=None if f["samples"] == 1 else f["samples"], seed=2.0 if f["seed"] else None, answer=lambda feeds: [wanted],
    )  # fmt: skip


BERNOULLI = {"dtype": "float32", "to": "absent", "seed": True, "dynamic": "none", "opset": 17}
MULTINOMIAL = {"dtype": "float32", "to": "absent", "samples": 4, "seed": True, "dynamic": "none", "opset": 17}


def probes() -> Iterator[Probe]:
    for op in ("RandomUniform", "RandomNormal", "RandomUniformLike", "RandomNormalLike"):
        for f in vary(
            NUMBERS, dtype=["float32", "float16", "float64"], parameters=["given"], seed=[False], dynamic=["batch"] if op.endswith("Like") else [],
            opset=[11, 22],
        ):  # fmt: skip
            yield samples(op, f)
    for f in vary(BERNOULLI, dtype=["float64", "float16"], to=["int32", "bool", "float64"], seed=[False], dynamic=["batch"], opset=[15, 22]):
        yield bernoulli(f)
    for f in vary(MULTINOMIAL, dtype=["float64", "float16"], to=["int64"], samples=[1], seed=[False], dynamic=["batch"], opset=[11, 22]):
        yield multinomial(f)
