"""LSTM, GRU and RNN: direction, lengths, initial states, peepholes, activations, layout, which outputs are used, what is constant; as exporters
wrap them. onnx's reference ignores sequence_lens, activations, clip and input_forget, so those carry their own answer."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Graph, Probe, const, data, describe, finish, pattern, vary

FAMILY = "recurrent"
STEPS, FEATURES, HIDDEN = 5, 3, 4
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}
BASE = {
    "direction": "forward", "batch": 1, "lengths": "absent", "bias": "constant", "initial": "absent", "weights": "constant", "activations": "absent",
    "clip": False, "layout": 0, "outputs": "all", "hidden_size": "given", "dtype": "float32", "dynamic": "none", "opset": 17,
}  # fmt: skip
OWN: dict[str, dict[str, Any]] = {"LSTM": {"peepholes": False, "input_forget": 0}, "GRU": {"linear_before_reset": 0}, "RNN": {}}
FUNCTIONS = {
    "Sigmoid": lambda x: 1 / (1 + np.exp(-x)), "Tanh": np.tanh, "Relu": lambda x: np.maximum(x, 0), "Softsign": lambda x: x / (1 + np.abs(x)),
    "HardSigmoid": lambda x: np.clip(0.2 * x + 0.5, 0, 1), "LeakyRelu": lambda x: np.where(x < 0, 0.1 * x, x),
}  # fmt: skip
DEFAULTS = {"LSTM": ("Sigmoid", "Tanh", "Tanh"), "GRU": ("Sigmoid", "Tanh"), "RNN": ("Tanh",)}
CLIP = 0.8
ALPHA, BETA = {"HardSigmoid": 0.2, "LeakyRelu": 0.1}, {"HardSigmoid": 0.5}


def cell(op: str, f: dict, v: dict[str, Array], d: int, x: Array, h: Array, c: Array) -> tuple[Array, Array]:
    """One step of one sequence, in one direction."""
    first, *others = [FUNCTIONS[a] for a in (DEFAULTS[op] if f["activations"] == "absent" else f["activations"])]

    def bound(a: Array) -> Array:
        return np.clip(a, -CLIP, CLIP) if f["clip"] else a

    w, r = np.split(v["W"][d] @ x, GATES[op]), np.split(v["R"][d] @ h, GATES[op])
    wb, rb = (np.split(b, GATES[op]) for b in np.split(v["B"][d], 2))
    plain = [a + b + p + q for a, b, p, q in zip(w, r, wb, rb, strict=True)]
    if op == "RNN":
        return first(bound(plain[0])), c
    if op == "GRU":
        z, reset = first(bound(plain[0])), first(bound(plain[1]))
        hidden = reset * (r[2] + rb[2]) if f["linear_before_reset"] else np.split(v["R"][d] @ (reset * h), 3)[2] + rb[2]
        return (1 - z) * others[0](bound(w[2] + wb[2] + hidden)) + z * h, c
    pi, po, pf = np.split(v["P"][d], 3)
    i = first(bound(plain[0] + pi * c))
    forget = 1 - i if f["input_forget"] else first(bound(plain[2] + pf * c))
    c = forget * c + i * others[0](bound(plain[3]))
    return first(bound(plain[1] + po * c)) * others[1](c), c


def unrolled(op: str, f: dict, v: dict[str, Array]) -> list[Array]:
    """Y, Y_h and Y_c by the spec: Y is zero past a sequence's end, and going backwards starts at that end."""
    ways, kind = v["W"].shape[0], v["X"].dtype
    v = {k: a.astype(np.float64) for k, a in v.items()}
    x, h0, c0 = (v[k].swapaxes(0, 1) if f["layout"] else v[k] for k in ("X", "initial_h", "initial_c"))
    y, h, c = np.zeros((x.shape[0], ways, x.shape[1], HIDDEN)), h0.copy(), c0.copy()
    for d in range(ways):
        for b in range(x.shape[1]):
            order = range(int(v["sequence_lens"][b]))
            for t in order if d == 0 and f["direction"] != "reverse" else reversed(order):
                h[d, b], c[d, b] = cell(op, f, v, d, x[t, b], h[d, b], c[d, b])
                y[t, d, b] = h[d, b]
    made = [y.transpose(2, 0, 1, 3), h.swapaxes(0, 1), c.swapaxes(0, 1)] if f["layout"] else [y, h, c]
    return [a.astype(kind) for a in made[: 3 if op == "LSTM" else 2]]


def parameters(op: str, ways: int, dtype: str = "float32", features: int = FEATURES, seed: int = 0) -> dict[str, Array]:
    gates = GATES[op] * HIDDEN
    shapes = {"W": (ways, gates, features), "R": (ways, gates, HIDDEN), "B": (ways, 2 * gates)}
    return {k: data(*s, dtype=dtype, low=-0.8, high=0.8, seed=seed) for k, s in shapes.items()}


def recurrent(op: str, f: dict) -> Probe:
    f = {**BASE, **OWN[op], **f}
    ways, n, dtype = 2 if f["direction"] == "bidirectional" else 1, f["batch"], f["dtype"]
    x, state = data(STEPS, n, FEATURES, dtype=dtype, low=-2, high=2), (ways, n, HIDDEN)
    states = {k: data(*state, dtype=dtype, seed=s) for s, k in enumerate(("initial_h", "initial_c"))}
    if f["layout"]:
        x, states = np.ascontiguousarray(x.swapaxes(0, 1)), {k: np.ascontiguousarray(a.swapaxes(0, 1)) for k, a in states.items()}
    lengths = np.array({"whole": [STEPS], "absent": [STEPS], "mixed, none whole": [3, 1, 4]}.get(f["lengths"], [5, 2, 4]), np.int32)
    full = {"X": x, **parameters(op, ways, dtype), "sequence_lens": lengths, **states, "P": data(ways, 3 * HIDDEN, dtype=dtype)}
    used = ["X", "W", "R", *["B"] * (f["bias"] != "absent"), *["sequence_lens"] * (f["lengths"] != "absent")]
    used += [k for k in ("initial_h", "initial_c") if f["initial"] != "absent" and (op == "LSTM" or k == "initial_h")]
    used += ["P"] * bool(f.get("peepholes"))
    fed = {"X"} | ({"W", "R", "B"} if f["weights"] == "computed" else {"B"} if f["bias"] == "computed" else set())
    fed |= (set(states) if f["initial"] == "computed" else set()) | ({"sequence_lens"} if f["lengths"].startswith("computed") else set())
    feeds = {k: full[k] for k in full if k in fed and k in used}
    named: list[Any] = ["X", "W", "R", "B", "sequence_lens", "initial_h", "initial_c", "P"]
    inputs = [None if k not in used else k if k in feeds else Const(full[k]) for k in (named if op == "LSTM" else named[:6])]
    for k in full:
        full[k] = full[k] if k in used else np.full_like(full[k], STEPS) if k == "sequence_lens" else np.zeros_like(full[k])
    given = () if f["activations"] == "absent" else f["activations"] * ways
    graph, total = Graph(), 3 if op == "LSTM" else 2
    made = graph(
        op, *inputs, outputs=1 if f["outputs"] == "Y" else total, mark=True, hidden_size=HIDDEN if f["hidden_size"] == "given" else None,
        direction=None if f["direction"] == "forward" else f["direction"], clip=CLIP if f["clip"] else None, layout=f["layout"] or None,
        activations=list(given) or None, activation_alpha=[ALPHA[a] for a in given if a in ALPHA] or None,
        activation_beta=[BETA[a] for a in given if a in BETA] or None, linear_before_reset=f.get("linear_before_reset") or None,
        input_forget=f.get("input_forget") or None,
    )  # fmt: skip
    keep = {"all": list(range(total)), "Y": [0]}.get(f["outputs"], [1])
    if f["outputs"] == "Y_h":
        graph.nodes[-1].output[:] = ["", made[1]]
    dims = {"batch": [STEPS, "N", FEATURES], "sequence": ["S", n, FEATURES], "both": ["S", "N", FEATURES]}
    dynamic = {} if f["dynamic"] == "none" else {"X": dims[f["dynamic"]]}
    proto = finish(graph, feeds, [made] if f["outputs"] == "Y" else [made[k] for k in keep], f["opset"], dynamic)
    special = f["lengths"] != "absent" or f["activations"] != "absent" or f["clip"] or f.get("input_forget")

    def answer(fed: dict[str, Array]) -> list[Array]:
        outputs = unrolled(op, f, {**full, **fed})
        return [outputs[k] for k in keep]

    name = describe({**BASE, **OWN[op]}, f)
    return Probe(f"{FAMILY}/{op}:{name}", FAMILY, proto, feeds, graph.marked, answer=answer if special else None)


def layer(g: Graph, op: str, x: str, ways: int, features: int, seed: int = 0, **states: Any) -> Any:
    """A layer as PyTorch writes it: every output named, hidden_size given, GRU linear_before_reset."""
    w = parameters(op, ways, features=features, seed=seed)
    direction = "bidirectional" if ways == 2 else None
    before = 1 if op == "GRU" else None
    given = [x, Const(w["W"]), Const(w["R"]), Const(w["B"]), None, states.get("h"), states.get("c")][: 7 if op == "LSTM" else 6]
    return g(op, *given, outputs=3 if op == "LSTM" else 2, mark=True, hidden_size=HIDDEN, direction=direction, linear_before_reset=before)


def both_ways(g: Graph, y: str) -> str:
    return str(g("Reshape", g("Transpose", y, perm=[0, 2, 1, 3]), const([0, 0, -1])))


def wrapped() -> Iterator[Probe]:
    """torch's batch_first with states made from the input's shape; two layers; a text recogniser's sequence head behind a Conv."""
    x = data(2, STEPS, FEATURES, low=-2, high=2)
    base = {"dynamic": "none"}
    for op in GATES:

        def first(g: Graph, op: str = op) -> Any:
            turned = g("Transpose", "X", perm=[1, 0, 2])
            count = g("Unsqueeze", g("Gather", g("Shape", turned), const(1), axis=0), const([0]))
            zeros = g("Expand", const(np.zeros((1, 1, HIDDEN)), "float32"), g("Concat", const([1]), count, const([HIDDEN]), axis=0))
            y, *rest = layer(g, op, turned, 1, FEATURES, h=zeros, c=zeros)
            return [g("Transpose", g("Squeeze", y, const([1])), perm=[1, 0, 2]), *rest]

        def stacked(g: Graph, op: str = op) -> Any:
            lower = both_ways(g, layer(g, op, "X", 2, FEATURES)[0])
            return both_ways(g, layer(g, op, lower, 2, 2 * HIDDEN, seed=1)[0])

        def recogniser(g: Graph, op: str = op) -> Any:
            image = g("Conv", "X", Const(data(6, 2, 2, 3)), kernel_shape=[2, 3], pads=[0, 1, 0, 1])
            turned = g("Transpose", g("Squeeze", image, const([2])), perm=[2, 0, 1])
            y = both_ways(g, layer(g, op, turned, 2, 6)[0])
            return g("Softmax", g("Add", g("MatMul", y, Const(data(2 * HIDDEN, 5))), Const(data(5))), axis=2)

        for f in vary(base, dynamic=["both"]):
            free = {"X": ["N", "S", FEATURES]} if f["dynamic"] == "both" else None
            yield pattern(FAMILY, f"{op}-batch-first", describe(base, f), first, {"X": x}, dynamic=free)
        if op != "RNN":
            yield pattern(FAMILY, f"{op}-stacked-bidirectional", "base", stacked, {"X": data(STEPS, 1, FEATURES, low=-2, high=2)})
            yield pattern(FAMILY, f"{op}-after-Conv", "base", recogniser, {"X": data(1, 2, 2, 7)})


def probes() -> Iterator[Probe]:
    ways = ["reverse", "bidirectional"]
    lstm: dict[str, list[Any]] = {
        "direction": ways, "batch": [3], "lengths": ["whole"], "bias": ["absent", "computed"], "initial": ["constant", "computed"],
        "weights": ["computed"], "activations": [("Sigmoid", "Tanh", "Tanh"), ("HardSigmoid", "Tanh", "Tanh"), ("Sigmoid", "Relu", "Relu")],
        "clip": [True], "layout": [1],
        "outputs": ["Y", "Y_h", "Y_h read"], "hidden_size": ["absent"], "peepholes": [True], "input_forget": [1], "dtype": ["float16", "float64"],
        "dynamic": ["batch", "sequence", "both"], "opset": [7, 22],
    }  # fmt: skip
    gru: dict[str, list[Any]] = {
        "direction": ways, "batch": [3], "lengths": ["whole"], "bias": ["absent"], "initial": ["computed"], "weights": ["computed"],
        "activations": [("Sigmoid", "Tanh"), ("HardSigmoid", "Tanh"), ("Sigmoid", "LeakyRelu")], "clip": [True], "layout": [1],
        "outputs": ["Y", "Y_h"], "linear_before_reset": [1], "dtype": ["float16"], "dynamic": ["batch", "both"], "opset": [7, 22],
    }  # fmt: skip
    rnn: dict[str, list[Any]] = {
        "direction": ways, "initial": ["computed"], "weights": ["computed"], "activations": [("Relu",), ("Softsign",)], "clip": [True],
        "outputs": ["Y_h"], "dtype": ["float16"], "dynamic": ["both"], "opset": [7, 22],
    }  # fmt: skip
    for op, factors in (("LSTM", lstm), ("GRU", gru), ("RNN", rnn)):
        base = {**BASE, **OWN[op]}
        for f in vary(base, **factors):
            yield recurrent(op, {**f, "batch": 2} if f["dynamic"] != "none" else f)
        for more in ({}, {"direction": "bidirectional"}, {"direction": "reverse"}, {"lengths": "computed mixed"})[: 2 if op == "RNN" else 4]:
            yield recurrent(op, {**base, "batch": 3, "lengths": "mixed", **more})
        if op != "RNN":
            yield recurrent(op, {**base, "direction": "bidirectional", "dynamic": "both", "batch": 2})
            yield recurrent(op, {**base, "direction": "bidirectional", "initial": "computed", "outputs": "Y"})
    yield recurrent("LSTM", {"batch": 3, "lengths": "mixed, none whole"})
    yield recurrent("LSTM", {"bias": "absent", "initial": "constant"})
    yield recurrent("LSTM", {"batch": 3, "outputs": "Y"})
    for op in GATES:
        yield recurrent(op, {"initial": "computed", "dtype": "float16"})
    for op in ("LSTM", "GRU"):
        yield recurrent(op, {"lengths": "whole", "initial": "constant"})
    yield recurrent("GRU", {"lengths": "whole", "initial": "constant", "linear_before_reset": 1})
    yield recurrent("LSTM", {"direction": "bidirectional", "layout": 1, "batch": 2, "initial": "computed"})
    yield recurrent("LSTM", {"dtype": "bfloat16", "opset": 22})
    yield recurrent("GRU", {"linear_before_reset": 1, "direction": "bidirectional"})
    yield from wrapped()
