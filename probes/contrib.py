"""com.microsoft operators that ONNX Runtime's optimisers write into saved models, by optional inputs, attributes and dtype; see also
`contrib_attention` and `quantised`. No other tool defines them, so every probe carries its answer in numpy."""

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Graph, Probe, const, data, describe, finish, vary

FAMILY = "contrib"
PLAIN = {"rank": 3, "dtype": "float32", "dynamic": "none"}
SKIP = {"beta": True, "bias": False, "skip": "same", "sum": False, "dtype": "float32", "dynamic": "none"}
MATMUL = {"rank": 4, "transA": 0, "transB": 0, "alpha": "default", "batches": "kept", "B": "computed", "dtype": "float32"}
CONV = {"activation": "Relu", "Z": False, "bias": True, "group": 1, "dynamic": "none"}
CONV_ACTIVATIONS: dict[str, tuple[list[float] | None, Callable[[Array], Array]]] = {
    "Relu": (None, lambda x: np.maximum(x, 0)), "Sigmoid": (None, lambda x: 1 / (1 + np.exp(-x))), "Tanh": (None, np.tanh),
    "LeakyRelu": ([0.1], lambda x: np.where(x < 0, 0.1 * x, x)), "Clip": ([-0.4, 0.9], lambda x: np.clip(x, -0.4, 0.9)),
    "HardSigmoid": ([0.2, 0.5], lambda x: np.clip(0.2 * x + 0.5, 0, 1)),
}  # fmt: skip


def microsoft(
    op: str, name: str, inputs: Mapping[str, Array | Const | None], compute: Callable[..., list[Array]], used: Sequence[int] = (0,), free: str = "",
    **attributes: Any,
) -> Probe:  # fmt: skip
    """compute takes all inputs by name in float64 and returns the used outputs; free names the inputs whose batch is dynamic."""
    graph = Graph()
    feeds = {k: v for k, v in inputs.items() if isinstance(v, np.ndarray)}
    fixed = {k: v.array for k, v in inputs.items() if isinstance(v, Const)}
    ends = graph(op, *(k if k in feeds else v for k, v in inputs.items()), outputs=max(used) + 1, domain="com.microsoft", mark=True, **attributes)
    ends = [ends] if isinstance(ends, str) else list(ends)
    graph.nodes[-1].output[:] = [e if i in used else "" for i, e in enumerate(ends)]
    dtype = next(v.dtype for v in [*feeds.values(), *fixed.values()] if v.dtype.kind == "f")

    def answer(fed: dict[str, Array]) -> list[Array]:
        wide = {k: v.astype(np.float64) if v.dtype.kind == "f" else v for k, v in {**fixed, **fed}.items()}
        return [a.astype(dtype) if a.dtype.kind == "f" else a for a in compute(**{k: wide.get(k) for k in inputs})]

    made = answer(feeds)
    shapes: list[list[int | str]] = [["N", *a.shape[1:]] if free else list(a.shape) for a in made]
    dynamic = {k: ["N", *feeds[k].shape[1:]] for k in free.split()}
    proto = finish(graph, feeds, [ends[i] for i in used], 17, dynamic, {"com.microsoft": 1}, [str(a.dtype) for a in made], shapes)
    return Probe(f"{FAMILY}/{op}:{name}", FAMILY, proto, feeds, graph.marked, answer=answer)


def gelu(x: Array) -> Array:
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2)))


def fast_gelu(x: Array) -> Array:
    return 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


def activations() -> Iterator[Probe]:
    for op, compute, bias, factors in (
        ("Gelu", lambda X: [gelu(X)], False, {"rank": [2, 4], "dynamic": ["batch"]}),
        ("FastGelu", lambda X, bias: [fast_gelu(X if bias is None else X + bias)], False, {"rank": [2], "dtype": ["float16"], "dynamic": ["batch"]}),
        ("FastGelu", lambda X, bias: [fast_gelu(X + bias)], True, {}),
        ("BiasGelu", lambda A, B: [gelu(A + B)], True, {"rank": [2], "dynamic": ["batch"]}),
        ("QuickGelu", lambda X: [X / (1 + np.exp(-1.702 * X))], False, {"rank": [4], "dynamic": ["batch"]}),
    ):
        for f in vary(PLAIN, **factors):
            x = data(*{2: (5, 8), 3: (2, 5, 8), 4: (2, 8, 3, 4)}[f["rank"]], dtype=f["dtype"], low=-3, high=3)
            names = ("A", "B") if op == "BiasGelu" else ("X", "bias")
            inputs: dict[str, Array | Const | None] = {names[0]: x}
            if bias or op == "FastGelu":
                inputs[names[1]] = const(data(8, dtype=f["dtype"], seed=1)) if bias else None
            name = "bias=present" if bias and op == "FastGelu" else describe(PLAIN, f)
            yield microsoft(op, name, inputs, compute, free=names[0] if f["dynamic"] == "batch" else "")
    silu = {"X": data(2, 5, 8, low=-3, high=3)}
    yield microsoft("QuickGelu", "alpha=1.0", silu, lambda X: [X / (1 + np.exp(-X))], alpha=1.0)


def skip(op: str, f: dict) -> Probe:
    dtype, simple = f["dtype"], op == "SkipSimplifiedLayerNormalization"
    shapes = {"input": (2, 5, 8), "skip": {"same": (2, 5, 8), "one batch": (1, 5, 8), "no batch": (5, 8)}[f["skip"]]}
    inputs: dict[str, Array | Const | None] = {k: data(*s, dtype=dtype, low=-2, high=2, seed=i) for i, (k, s) in enumerate(shapes.items())}
    inputs["gamma"] = const(data(8, dtype=dtype, low=0.5, high=1.5))
    if not simple:
        inputs["beta"] = const(data(8, dtype=dtype, seed=1)) if f["beta"] else None
    inputs["bias"] = const(data(8, dtype=dtype, seed=2)) if f["bias"] else None

    def compute(input: Array, skip: Array, gamma: Array, bias: Array | None, beta: Array | None = None) -> list[Array]:
        total = input + skip + (0 if bias is None else bias)
        centred = total if simple else total - total.mean(-1, keepdims=True)
        made = centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gamma + (0 if beta is None else beta)
        return [made, total][: 2 if f["sum"] else 1]

    name, free = describe(SKIP, f), "input skip" if f["dynamic"] == "batch" else ""
    return microsoft(op, name, inputs, compute, (0, 3) if f["sum"] else (0,), free, epsilon=1e-5)


def matmul(f: dict) -> Probe:
    lead = {2: (), 3: (2,), 4: (2, 3)}[f["rank"]]
    a = (*lead, 6, 5) if f["transA"] else (*lead, 5, 6)
    b = (*lead, 4, 6) if f["transB"] else (*lead, 6, 4)
    if f["batches"] == "inside A":  # rows come first, batches after: as a Transpose of heads that the optimiser folded away
        a = (a[-2], *lead, a[-1])
    values = {"A": data(*a, dtype=f["dtype"]), "B": data(*b, dtype=f["dtype"], seed=1)}
    alpha = 1.0 if f["alpha"] == "default" else f["alpha"]

    def compute(A: Array, B: Array) -> list[Array]:
        A = np.moveaxis(A, 0, -2) if f["batches"] == "inside A" else A
        return [alpha * ((A.swapaxes(-1, -2) if f["transA"] else A) @ (B.swapaxes(-1, -2) if f["transB"] else B))]

    inputs = {"A": values["A"], "B": Const(values["B"]) if f["B"] == "constant" else values["B"]}
    return microsoft(
        "FusedMatMul", describe(MATMUL, f), inputs, compute, transA=f["transA"] or None, transB=f["transB"] or None,
        alpha=None if f["alpha"] == "default" else f["alpha"], transBatchA=1 if f["batches"] == "inside A" else None,
    )  # fmt: skip


def conv(f: dict) -> Probe:
    batch = 2 if f["dynamic"] == "batch" else 1
    inputs = {
        "X": data(batch, 4, 6, 7, low=-2, high=2), "W": const(data(4, 4 // f["group"], 3, 3)), "B": const(data(4)) if f["bias"] else None,
        "Z": data(batch, 4, 6, 7, seed=1) if f["Z"] else None,
    }  # fmt: skip
    params, function = CONV_ACTIVATIONS[f["activation"]]

    def compute(X: Array, W: Array, B: Array | None, Z: Array | None) -> list[Array]:
        windows = np.lib.stride_tricks.sliding_window_view(np.pad(X, ((0, 0), (0, 0), (1, 1), (1, 1))), (3, 3), (2, 3))
        grouped = windows.reshape(batch, f["group"], 4 // f["group"], *windows.shape[2:])
        made = np.einsum("ngchwij,gocij->ngohw", grouped, W.reshape(f["group"], -1, *W.shape[1:])).reshape(X.shape)
        return [function(made + (0 if B is None else B[:, None, None]) + (0 if Z is None else Z))]

    return microsoft(
        "FusedConv", describe(CONV, f), inputs, compute, free=("X Z" if f["Z"] else "X") if batch == 2 else "", activation=f["activation"],
        activation_params=params, kernel_shape=[3, 3], pads=[1] * 4, group=None if f["group"] == 1 else f["group"],
    )  # fmt: skip


def embedding() -> Probe:
    tables = {k: const(data(n, 8, seed=s)) for s, (k, n) in enumerate((("word", 10), ("position", 5), ("segment", 2)))}
    ids, segments = np.array([[3, 1, 9, 4, 7], [2, 8, 0, 5, 6]], np.int32), np.array([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]], np.int32)
    inputs = {"ids": ids, "segments": segments, **tables, "gamma": const(data(8, low=0.5, high=1.5)), "beta": const(data(8, seed=3))}
    inputs["mask"] = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32)

    def compute(ids: Array, segments: Array, word: Array, position: Array, segment: Array, gamma: Array, beta: Array, mask: Array) -> list[Array]:
        total = word[ids] + position + segment[segments]
        centred = total - total.mean(-1, keepdims=True)
        return [centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gamma + beta, mask.sum(1).astype(np.int32)]

    return microsoft("EmbedLayerNormalization", "base", inputs, compute, (0, 1), epsilon=1e-5)


GEMM = {"activation": "Relu", "transA": 0, "transB": 0, "C": True, "scales": "default", "B": "constant", "dynamic": "none"}
GROUPS = {"activation": 0, "groups": 2, "dynamic": "none"}
ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "Relu": lambda x: np.maximum(x, 0), "LeakyRelu": lambda x: np.where(x < 0, 0.1 * x, x), "Tanh": np.tanh,
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
}  # fmt: skip


def gemm(f: dict) -> Probe:
    """Gemm with the activation that followed it."""
    a, b = data(*((6, 4) if f["transA"] else (4, 6))), data(*((5, 6) if f["transB"] else (6, 5)), seed=1)
    alpha, beta = (1.0, 1.0) if f["scales"] == "default" else (0.5, 2.0)
    inputs = {"A": a, "B": const(b) if f["B"] == "constant" else b, "C": const(data(5)) if f["C"] else None}

    def compute(A: Array, B: Array, C: Array | None) -> list[Array]:
        made = alpha * ((A.T if f["transA"] else A) @ (B.T if f["transB"] else B)) + (0 if C is None else beta * C)
        return [ACTIVATIONS[f["activation"]](made)]

    scales = {} if f["scales"] == "default" else {"alpha": alpha, "beta": beta}
    slope = {"activation_alpha": 0.1} if f["activation"] == "LeakyRelu" else {}
    flags = {k: 1 for k in ("transA", "transB") if f[k]}
    free = "A" if f["dynamic"] == "batch" else ""
    return microsoft("FusedGemm", describe(GEMM, f), inputs, compute, free=free, activation=f["activation"], **scales, **slope, **flags)


def group_norm(f: dict) -> Probe:
    """Channels last, as Stable Diffusion's optimiser writes it; activation 1 is SiLU."""
    x = data(2, 3, 4, 8, low=-2, high=2)

    def compute(X: Array, gamma: Array, beta: Array) -> list[Array]:
        apart = X.reshape(2, 12, f["groups"], -1)
        apart = (apart - apart.mean((1, 3), keepdims=True)) / np.sqrt(apart.var((1, 3), keepdims=True) + 1e-5)
        made = apart.reshape(X.shape) * gamma + beta
        return [made / (1 + np.exp(-made)) if f["activation"] else made]

    inputs = {"X": x, "gamma": const(data(8, low=0.5, high=1.5)), "beta": const(data(8, seed=1))}
    free = "X" if f["dynamic"] == "batch" else ""
    given = {"channels_last": 1, "activation": f["activation"], "groups": f["groups"], "epsilon": 1e-5}
    return microsoft("GroupNorm", describe(GROUPS, f), inputs, compute, free=free, **given)


def distances(A: Array, B: Array) -> Array:
    return ((A[:, None] - B[None]) ** 2).sum(-1)


def unrepeated(ids: Array, scores: Array) -> list[Array]:
    """Tokens that would repeat a pair already said get minus infinity."""
    made = scores.copy()
    for row, line in enumerate(ids):
        for first, second in itertools.pairwise(line):
            if first == line[-1]:
                made[row, second] = -np.inf
    return [made]


def nhwc(X: Array, W: Array, B: Array) -> list[Array]:
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(X, ((0, 0), (1, 1), (1, 1), (0, 0))), (3, 3), (1, 2))
    return [np.einsum("nhwcij,oijc->nhwo", windows, W) + B]


def stretched(X: Array, pads: Array) -> list[Array]:
    return [np.pad(X, pads.reshape(2, -1).T)]


def rarer() -> Iterator[Probe]:
    """Operators with fewer choices; some exist on graphics cards only."""
    tokens, bias = data(2, 5, 8, low=-2, high=2), const(data(8, seed=1))
    split_bias = const(data(16, seed=1))
    for free in ("", "X"):
        name = "dynamic=batch" if free else "base"
        yield microsoft("BiasAdd", name, {"X": tokens, "bias": bias, "skip": data(2, 5, 8, seed=2)}, lambda X, bias, skip: [X + bias + skip],
                        free="X skip" if free else "")  # fmt: skip
        wide = {"X": data(2, 5, 16, low=-2, high=2), "bias": split_bias}
        yield microsoft("BiasSplitGelu", name, wide, lambda X, bias: [(X + bias)[..., :8] * gelu((X + bias)[..., 8:])], free=free)
        square = {"X": data(2, 3, 3) + 2 * np.eye(3, dtype=np.float32)}
        yield microsoft("Inverse", name, square, lambda X: [np.linalg.inv(X)], free=free)
        yield microsoft("GemmFastGelu", name, {"X": tokens, "W": const(data(8, 6)), "bias": const(data(6))},
                        lambda X, W, bias: [fast_gelu(X @ W + bias)], free=free)  # fmt: skip
    for axis in (0, 1, -1):
        inputs = {"X": data(3, 4), "axis": const(axis, "int32")}
        yield microsoft("ExpandDims", f"axis={axis}", inputs, lambda X, axis: [np.expand_dims(X, int(axis))])
    points = {"A": data(4, 3), "B": data(5, 3, seed=1)}
    yield microsoft("CDist", "metric=euclidean", points, lambda A, B: [np.sqrt(distances(A, B))], metric="euclidean")
    yield microsoft("CDist", "metric=sqeuclidean", points, lambda A, B: [distances(A, B)], metric="sqeuclidean")
    for flags in ({}, {"transA": 1}, {"transB": 1}, {"alpha": 0.5}):
        a, b = data(2, *((6, 5) if "transA" in flags else (5, 6))), data(2, *((4, 6) if "transB" in flags else (6, 4)), seed=1)

        def multiply(A: Array, B: Array, flags: dict = flags) -> list[Array]:
            return [flags.get("alpha", 1) * (A.swapaxes(1, 2) if "transA" in flags else A) @ (B.swapaxes(1, 2) if "transB" in flags else B)]

        yield microsoft("TransposeMatMul", describe({}, flags), {"A": a, "B": b}, multiply, **flags)
    ids = np.array([[1, 2, 3, 1], [4, 4, 0, 4]], np.int64)
    yield microsoft("NGramRepeatBlock", "ngram_size=2", {"ids": ids, "scores": data(2, 6)}, unrepeated, ngram_size=2)
    for form in ("constant", "computed"):
        pads = np.array([0, 1, 0, 2], np.int64)
        yield microsoft("Pad", f"pads={form}", {"X": data(3, 4), "pads": Const(pads) if form == "constant" else pads}, stretched)
    repeated = np.array([2, 1, 1, 3, 4, 3, -2.5], np.float32)

    def unique(X: Array) -> list[Array]:
        """In the order of first appearance."""
        _, first, inverse, counts = np.unique(X, return_index=True, return_inverse=True, return_counts=True)
        order = np.argsort(first)
        place = np.empty_like(order)
        place[order] = np.arange(order.size)
        return [X[np.sort(first)], place[inverse], counts[order]]

    yield microsoft("Unique", "base", {"X": repeated}, unique, (0, 1, 2))
    for upper in (0, 1):
        yield microsoft("Trilu", f"upper={upper}", {"X": data(4, 5)}, lambda X, u=upper: [np.triu(X) if u else np.tril(X)], upper=upper)
    image = {"X": data(1, 5, 6, 4), "W": const(data(8, 3, 3, 4)), "B": const(data(8))}
    yield microsoft("NhwcConv", "base", image, nhwc, kernel_shape=[3, 3], pads=[1] * 4)
    rows = {"data": data(2, 3, 4), "indices": np.array([[0, 1], [1, 2]], np.int64)}
    yield microsoft("GatherND", "pairs", rows, lambda data, indices: [data[indices[:, 0], indices[:, 1]]])


def probes() -> Iterator[Probe]:
    yield from activations()
    for f in vary(SKIP, beta=[False], bias=[True], skip=["one batch", "no batch"], sum=[True], dtype=["float16"], dynamic=["batch"]):
        yield skip("SkipLayerNormalization", f)
    for f in vary(SKIP, bias=[True], sum=[True], dynamic=["batch"]):
        yield skip("SkipSimplifiedLayerNormalization", f)
    for f in vary(MATMUL, rank=[2, 3], transA=[1], transB=[1], alpha=[0.125], batches=["inside A"], B=["constant"]):
        yield matmul(f)
    yield matmul({**MATMUL, "transB": 1, "alpha": 0.125})
    for f in vary(CONV, activation=list(CONV_ACTIVATIONS), Z=[True], bias=[False], group=[2], dynamic=["batch"]):
        yield conv(f)
    yield embedding()
    for f in vary(
        GEMM, activation=["LeakyRelu", "Tanh", "Sigmoid"], transA=[1], transB=[1], C=[False], scales=["given"], B=["computed"], dynamic=["batch"]
    ):
        yield gemm(f)
    for f in vary(GROUPS, activation=[1], groups=[4], dynamic=["batch"]):
        yield group_norm(f)
    yield from rarer()
