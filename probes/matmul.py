"""Matrix products: ranks and batch broadcasting, constant or computed right side, Gemm's options by opset, Einsum equations, Det.

The trace Einsum `ii->i` stays last: one runtime answers it rightly and corrupts its heap for whatever comes next."""

from collections.abc import Iterator

from opcompat.probe import Const, Probe, data, describe, pairwise, single_op, vary

FAMILY = "matmul"
SHAPES: dict[str, tuple[tuple[int, ...], tuple[int, ...]]] = {
    "2x2 square": ((4, 4), (4, 4)),
    "2x2": ((6, 8), (8, 5)), "3x3": ((2, 6, 8), (2, 8, 5)), "4x4": ((1, 3, 6, 8), (1, 3, 8, 5)), "5x5": ((1, 2, 3, 4, 6), (1, 2, 3, 6, 5)),
    "3x2": ((2, 6, 8), (8, 5)), "4x2": ((1, 3, 6, 8), (8, 5)), "5x2": ((1, 2, 3, 4, 6), (6, 5)), "2x3": ((6, 8), (2, 8, 5)),
    "4x3": ((2, 3, 6, 8), (3, 8, 5)),
    "1x1": ((8,), (8,)), "1x2": ((8,), (8, 5)), "2x1": ((6, 8), (8,)), "1x3": ((8,), (2, 8, 5)), "3x1": ((2, 6, 8), (8,)),
    "one batch": ((2, 3, 6, 8), (1, 3, 8, 5)), "both batches": ((2, 1, 6, 8), (1, 3, 8, 5)), "row": ((1, 8), (8, 5)), "column": ((6, 8), (8, 1)),
}  # fmt: skip
"""Shapes by the ranks of A and B, or by how the batches meet."""
MATMUL = {"ranks": "4x4", "B": "computed", "A": "computed", "dtype": "float32", "dynamic": "none", "opset": 17}
GEMM = {"transA": 0, "transB": 0, "alpha": 1.0, "beta": 1.0, "C": "row", "B": "constant", "dtype": "float32", "dynamic": "none", "opset": 17}


def matmul(f: dict) -> Probe:
    first, second = SHAPES[f["ranks"]]
    kept = [*first[1:-2], *first[-1:]] if len(first) > 2 else []
    dynamic = {
        "none": {}, "batch": {"A": ["N", *first[1:]]}, "both batches": {"A": ["N", *first[1:]], "B": ["N", *second[1:]]},
        "rows": {"A": [*first[:1], *kept[:-1], "M", *first[-1:]]}, "all": {"A": [*"NCMK"][-len(first) :], "B": [*"NCKO"][-len(second) :]},
    }[f["dynamic"]]  # fmt: skip
    values = {"A": data(*first, dtype=f["dtype"]), "B": data(*second, dtype=f["dtype"], seed=1)}
    inputs = {name: Const(value) if f[name] == "constant" else value for name, value in values.items()}
    return single_op(FAMILY, "MatMul", describe(MATMUL, f), inputs, opset=f["opset"], dynamic=dynamic)


def gemm(f: dict) -> Probe:
    a = data(*((8, 6) if f["transA"] else (6, 8)), dtype=f["dtype"])
    b = data(*((5, 8) if f["transB"] else (8, 5)), dtype=f["dtype"], seed=1)
    shapes = {"scalar": (), "one": (1,), "row": (5,), "row of rank 2": (1, 5), "column": (6, 1), "full": (6, 5), "computed": (5,)}
    c = None if f["C"] == "absent" else data(*shapes[f["C"]], dtype=f["dtype"], seed=2)
    return single_op(
        FAMILY, "Gemm", describe(GEMM, f),
        {"A": a, "B": b if f["B"] == "computed" else Const(b), "C": c if c is None or f["C"] == "computed" else Const(c)},
        opset=f["opset"], dynamic={"A": ["N", 8]} if f["dynamic"] == "batch" else None, alpha=None if f["alpha"] == 1 else f["alpha"],
        beta=None if f["beta"] == 1 else f["beta"], transA=f["transA"] or None, transB=f["transB"] or None,
    )  # fmt: skip


EQUATIONS: list[tuple[str, list[tuple[int, ...]]]] = [
    ("bij,bjk->bik", [(2, 3, 4), (2, 4, 5)]), ("bhid,bhjd->bhij", [(1, 2, 3, 4), (1, 2, 5, 4)]), ("bhij,bhjd->bhid", [(1, 2, 3, 5), (1, 2, 5, 4)]),
    ("bchw,bkc->bkhw", [(1, 4, 3, 5), (1, 6, 4)]), ("b...ij,b...jk->b...ik", [(1, 2, 3, 4, 5), (1, 2, 3, 5, 2)]),
    ("...ij,...kj->...ik", [(2, 3, 4, 5), (2, 3, 6, 5)]), ("...ij,jk->...ik", [(2, 3, 4, 5), (5, 6)]),
    ("ij->ji", [(3, 4)]), ("bijk->bkij", [(1, 3, 4, 5)]), ("ij->i", [(3, 4)]), ("ij->", [(3, 4)]), ("i,j->ij", [(3,), (4,)]), ("i,i->", [(5,), (5,)]),
    ("ij,jk", [(3, 4), (4, 5)]), ("ij,jk,kl->il", [(3, 4), (4, 5), (5, 2)]), ("ij, jk -> ik", [(3, 4), (4, 5)]), ("ij,ij->ij", [(3, 4), (3, 4)]),
]  # fmt: skip


def einsum(equation: str, shapes: list[tuple[int, ...]], dtype: str = "float32", constant: bool = False, dynamic: bool = False) -> Probe:
    values = {"ABC"[i]: data(*s, dtype=dtype, seed=i) for i, s in enumerate(shapes)}
    inputs = {k: Const(v) if constant and k == "B" else v for k, v in values.items()}
    dims = {k: ["N", *v.shape[1:]] for k, v in values.items() if dynamic and not (constant and k == "B")}
    named = ("" if dtype == "float32" else f",dtype={dtype}") + (",B=constant" if constant else "") + (",dynamic=batch" if dynamic else "")
    return single_op(FAMILY, "Einsum", f"equation={equation}{named}".replace(" ", "_"), inputs, dynamic=dims, equation=equation)


def probes() -> Iterator[Probe]:
    ranks = list(SHAPES)
    for f in vary(MATMUL, ranks=ranks, B=["constant"], A=["constant"], dtype=["float16", "float64", "int32", "int64", "bfloat16"], opset=[9],
                  dynamic=["batch", "both batches", "rows", "all"]):  # fmt: skip
        yield matmul(f)
    for name in ("2x2", "3x2", "4x2", "5x2", "2x1"):
        yield matmul({**MATMUL, "ranks": name, "B": "constant"})
    for dynamic in ("batch", "rows"):
        yield matmul({**MATMUL, "ranks": "3x2", "B": "constant", "dynamic": dynamic})
    yield matmul({**MATMUL, "ranks": "3x2", "B": "constant", "dtype": "float16"})
    for ranks in ("2x2", "2x2 square"):
        yield matmul({**MATMUL, "ranks": ranks, "A": "constant"})
    both = pairwise(GEMM, transA=[1], transB=[1])
    single = vary(
        GEMM, alpha=[0.5], beta=[2.0], C=["absent", "scalar", "one", "row of rank 2", "column", "full", "computed"], B=["computed"],
        dtype=["float16", "float64", "bfloat16", "int32"], dynamic=["batch"], opset=[7, 9, 11],
    )  # fmt: skip
    more = [{**GEMM, "C": "absent", "opset": 11}, {**GEMM, "transB": 1, "dynamic": "batch"}, {**GEMM, "C": "absent", "dtype": "float16"}]
    for f in [*both, *list(single)[1:], *more]:
        yield gemm(f)
    for equation, shapes in EQUATIONS:
        yield einsum(equation, shapes)
    for equation, shapes in EQUATIONS[:2]:
        yield einsum(equation, shapes, dtype="float16")
        yield einsum(equation, shapes, dynamic=True)
        yield einsum(equation, shapes, constant=True)
    yield einsum("ij,jk->ik", [(3, 4), (4, 5)], dtype="int32")
    for name, shape, opset in (("base", (3, 3), 17), ("batched", (2, 3, 3), 17), ("rank=4", (1, 2, 4, 4), 17), ("opset=22", (3, 3), 22)):
        yield single_op(FAMILY, "Det", name, {"X": data(*shape, low=-2, high=2)}, opset=opset)
    yield single_op(FAMILY, "Det", "dynamic=batch", {"X": data(2, 3, 3, low=-2, high=2)}, dynamic={"X": ["N", 3, 3]})
    yield einsum("ii->", [(4, 4)])
    yield einsum("bii->bi", [(2, 4, 4)])
    yield einsum("ii->i", [(4, 4)])
