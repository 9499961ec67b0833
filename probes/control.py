"""Control flow and sequences: If, Loop and Scan with constant or computed conditions and trip counts, and the operators on sequences of tensors.

Few runtimes take bodies that read values from outside, change shape or nest, so those are what varies."""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from opcompat.probe import Answer, Array, Graph, Probe, const, data, describe, finish, pattern, vary

FAMILY = "control"
Make = Callable[[Graph], Any]
Dims = Sequence[int | str]
FLOAT, INT64, BOOL = TensorProto.FLOAT, TensorProto.INT64, TensorProto.BOOL


def body(name: str, make: Make, outputs: Sequence[tuple[int, Dims]], inputs: Sequence[tuple[str, int, Dims]] = ()) -> onnx.GraphProto:
    """A subgraph, which may read values of the graph around it; its own names get a prefix, for they must differ from those outside."""
    graph = Graph()
    made = make(graph)
    ends = [made] if isinstance(made, str) else list(made)
    own = {o for n in graph.nodes for o in n.output} | {t.name for t in graph.initializers}
    renamed = {o: f"{name}_{o}" for o in own}
    for node in graph.nodes:
        node.input[:] = [renamed.get(i, i) for i in node.input]
        node.output[:] = [renamed[o] for o in node.output]
    for tensor in graph.initializers:
        tensor.name = renamed[tensor.name]
    infos = [helper.make_tensor_value_info(n, t, list(s)) for n, t, s in inputs]
    results = [helper.make_tensor_value_info(renamed.get(e, e), t, list(s)) for e, (t, s) in zip(ends, outputs, strict=True)]
    return helper.make_graph(graph.nodes, name, infos, results, graph.initializers)


def declared(
    op: str, name: str, make: Make, feeds: dict[str, Array], outputs: Sequence[Dims], opset: int = 17, answer: Answer | None = None, **dynamic: Dims,
) -> Probe:  # fmt: skip
    """A probe whose float32 outputs are declared, for onnx infers no shape for values that a loop carries or that come out of a sequence."""
    graph = Graph()
    made = make(graph)
    proto = finish(graph, feeds, [], opset, dynamic)
    for output, dims in zip([made] if isinstance(made, str) else made, outputs, strict=True):
        proto.graph.output.append(helper.make_tensor_value_info(output, FLOAT, list(dims)))
    return Probe(f"{FAMILY}/{op}:{name}", FAMILY, proto, feeds, graph.marked, op, answer=answer)


def nested(g: Graph) -> str:
    inner = [body(n, lambda g, op=op: g(op, "X"), [(FLOAT, [2, 3])]) for n, op in (("inner_then", "Abs"), ("inner_else", "Exp"))]
    return str(g("If", "C", then_branch=inner[0], else_branch=inner[1]))


BRANCHES: dict[str, tuple[Make, Make]] = {
    "compute": (lambda g: g("Add", "X", "X"), lambda g: g("Neg", "X")),
    "constants": (lambda g: g("Constant", value=numpy_helper.from_array(data(2, 3, seed=1))), lambda g: g("Identity", const(data(2, 3, seed=2)))),
    "pass": (lambda g: g("Add", "X", "X"), lambda g: g("Identity", "X")),
    "differ in size": (lambda g: g("Concat", "X", "X", axis=0), lambda g: g("Identity", "X")),
    "nested": (nested, lambda g: g("Neg", "X")),
    "convolve": (
        lambda g: g("Conv", "X", const(data(2, 2, 1, 1)), kernel_shape=[1, 1]),
        lambda g: g("Conv", "X", const(data(2, 2, 1, 1, seed=1)), kernel_shape=[1, 1]),
    ),
    "two outputs": (lambda g: [g("Add", "X", "X"), g("Exp", "X")], lambda g: [g("Neg", "X"), g("Abs", "X")]),
}


def branching() -> Iterator[Probe]:
    """If: where the condition comes from, what the branches do and whether they agree in shape."""
    base = {"condition": "computed", "taken": True, "branches": "compute", "rank": 0, "dynamic": "none", "opset": 17}
    wide = {"condition": ["constant", "from data"], "taken": [False], "branches": list(BRANCHES), "rank": [1], "opset": [11, 13, 19, 21, 23, 24, 25]}
    fixed = {**base, "condition": "constant"}
    found = [*vary(base, **wide, dynamic=["batch"]), {**fixed, "taken": False}]
    found += [{**fixed, "branches": b} for b in ("differ in size", "convolve")]
    for f in found:
        kind, first = f["branches"], "N" if f["dynamic"] == "batch" else 2
        shape: Dims = [1, 2, 3, 3] if kind == "convolve" else [first, 3]
        sizes = [[4, 3], [2, 3]] if kind == "differ in size" else [shape, shape]
        results = 2 if kind == "two outputs" else 1
        made = [body(n, m, [(FLOAT, s)] * results) for n, m, s in zip(("then", "else"), BRANCHES[kind], sizes, strict=True)]
        condition = np.array([f["taken"]] if f["rank"] == 1 else f["taken"])

        def build(g: Graph, f: dict = f, made: list[onnx.GraphProto] = made, condition: Any = condition) -> Any:
            chosen = const(condition) if f["condition"] == "constant" else "C"
            if f["condition"] == "from data":
                chosen = g("Greater", g("ReduceSum", "X", keepdims=0), const(-100.0))
            return g("If", chosen, outputs=2 if f["branches"] == "two outputs" else 1, mark=True, then_branch=made[0], else_branch=made[1])

        x = data(*(2 if d == "N" else int(d) for d in shape))
        feeds = {"X": x, "C": condition} if f["condition"] == "computed" else {"X": x}
        yield pattern(FAMILY, "If", describe(base, f), build, feeds, opset=f["opset"], dynamic={"X": shape} if f["dynamic"] == "batch" else None)


def looped(f: dict) -> Answer:
    """The reference evaluator concatenates scan outputs instead of stacking them, and takes an absent condition for a false one."""

    def answer(inputs: dict[str, Array]) -> list[Array]:
        x, scanned = inputs["X"], []
        total, product, rounds = x, x, int(inputs.get("M", np.array(4)))
        for step in range(3 if f["ends"] == "by condition" else rounds):
            value = total + (x if f["reads"] == "X" else total) if f["carried"] else x * np.float32(step)
            total, product = value, product * np.float32(0.5)
            scanned.append(value)
        stacked = np.stack(scanned)
        return [*[total, product][: f["carried"]], *[stacked, -stacked][: f["scanned"]]]

    return answer


def looping() -> Iterator[Probe]:
    """Loop: trip count and condition constant, computed or absent; carried values and scan outputs; a body that reads X from outside or not."""
    base = {
        "trips": "constant",
        "condition": "constant",
        "carried": 1,
        "scanned": 1,
        "ends": "by count",
        "reads": "X",
        "dynamic": "none",
        "opset": 17,
    }
    alone = [{**base, "reads": "nothing", "scanned": n} for n in (1, 0)]
    wide = {"trips": ["computed"], "condition": ["computed", "absent"], "carried": [0, 2], "scanned": [0, 2], "opset": [11, 13, 19, 21, 23, 24, 25]}
    early = {**base, "ends": "by condition"}
    for f in [
        *vary(base, **wide, dynamic=["batch"]),
        *alone,
        early,
        {**early, "trips": "absent", "scanned": 0},
        {**base, "trips": "computed", "scanned": 0},
    ]:
        shape: Dims = ["N" if f["dynamic"] == "batch" else 2, 3]

        def step(g: Graph, f: dict = f) -> list[str]:
            going = g("Less", "step", const(2)) if f["ends"] == "by condition" else g("Identity", "going")
            value = g("Add", "sum", "X" if f["reads"] == "X" else "sum") if f["carried"] else g("Mul", "X", g("Cast", "step", to=FLOAT))
            second = [g("Mul", "product", const(0.5))] if f["carried"] == 2 else []
            return [going, *([value] if f["carried"] else []), *second, *[g(op, value) for op in ("Identity", "Neg")[: f["scanned"]]]]

        carried = [(n, FLOAT, shape) for n in ("sum", "product")[: f["carried"]]]
        count = f["carried"] + f["scanned"]
        made = body("loop", step, [(BOOL, []), *[(FLOAT, shape)] * count], [("step", INT64, []), ("going", BOOL, []), *carried])

        def build(g: Graph, f: dict = f, made: onnx.GraphProto = made, count: int = count) -> Any:
            trips = {"constant": const(4), "computed": "M", "absent": None}[f["trips"]]
            going = {"constant": const(True), "computed": "C", "absent": None}[f["condition"]]
            return g("Loop", trips, going, *("X", "X")[: f["carried"]], outputs=count, mark=True, body=made)

        feeds = {"X": data(2, 3)}
        if f["trips"] == "computed":
            feeds["M"] = np.array(3, np.int64)
        if f["condition"] == "computed":
            feeds["C"] = np.array(True)
        rounds: int | str = "T" if f["trips"] != "constant" or f["condition"] == "computed" else 3 if f["ends"] == "by condition" else 4
        outputs = [shape] * f["carried"] + [[rounds, *shape]] * f["scanned"]
        yield declared("Loop", describe(base, f), build, feeds, outputs, f["opset"], looped(f), X=shape)


def backwards(inputs: dict[str, Array]) -> list[Array]:
    """The reference evaluator only scans forwards."""
    sums = np.cumsum(np.concatenate([inputs["S"][None], inputs["X"][::-1]]), 0)
    return [sums[-1], sums[1:]]


def scanning() -> Iterator[Probe]:
    base = {"inputs": 1, "direction": 0, "outside": False, "dynamic": "none", "opset": 17}
    for f in vary(base, inputs=[2], direction=[1], outside=[True], dynamic=["length"], opset=[9, 11, 19, 21, 23, 24, 25]):

        def step(g: Graph, f: dict = f) -> list[str]:
            total = g("Add", "state", "x")
            if f["inputs"] == 2:
                total = g("Mul", total, "y")
            return [g("Mul", total, "W") if f["outside"] else total, g("Identity", total)]

        scanned = [(n, FLOAT, [3]) for n in "xy"[: f["inputs"]]]
        made = body("scan", step, [(FLOAT, [3]), (FLOAT, [3])], [("state", FLOAT, [3]), *scanned])

        def build(g: Graph, f: dict = f, made: onnx.GraphProto = made) -> Any:
            way = [1] * f["inputs"] if f["direction"] else None
            return g("Scan", "S", *"XY"[: f["inputs"]], outputs=2, mark=True, body=made, num_scan_inputs=f["inputs"], scan_input_directions=way)

        feeds = {"S": data(3), "X": data(5, 3), **({"Y": data(5, 3, seed=1)} if f["inputs"] == 2 else {}), **({"W": data(3)} if f["outside"] else {})}
        dims: dict[str, Dims] | None = {"X": ["T", 3]} if f["dynamic"] != "none" else None
        answer = backwards if f["direction"] else None
        yield pattern(FAMILY, "Scan", describe(base, f), build, feeds, opset=f["opset"], dynamic=dims, answer=answer)


def sequences() -> Iterator[Probe]:
    """Sequences made and taken apart inside the graph, so that tensors go in and come out."""
    x, y = data(4, 6), data(4, 6, seed=1)
    both = {"X": x, "Y": y}

    def pair(g: Graph, **attributes: Any) -> Any:
        return g("SequenceConstruct", "X", "Y", **attributes)

    def last(g: Graph, sequence: str) -> Any:
        return g("SequenceAt", sequence, const(-1))

    index = {**both, "I": np.array(1, np.int64)}
    cases: dict[str, tuple[str, Make, dict[str, Any], Dims]] = {
        "base": ("SequenceConstruct", lambda g: last(g, g("SequenceConstruct", "X", "Y", "X", mark=True)), both, [4, 6]),
        "position=first": ("SequenceAt", lambda g: g("SequenceAt", pair(g), const(0), mark=True), both, [4, 6]),
        "position=negative": ("SequenceAt", lambda g: g("SequenceAt", pair(g), const(-1), mark=True), both, [4, 6]),
        "position=computed": ("SequenceAt", lambda g: g("SequenceAt", pair(g), "I", mark=True), index, [4, 6]),
        "at the end": ("SequenceInsert", lambda g: last(g, g("SequenceInsert", g("SequenceConstruct", "X"), "Y", mark=True)), both, [4, 6]),
        "before the first": ("SequenceInsert", lambda g: last(g, g("SequenceInsert", pair(g), "Y", const(0), mark=True)), both, [4, 6]),
        "the last": ("SequenceErase", lambda g: last(g, g("SequenceErase", pair(g), mark=True)), both, [4, 6]),
        "then Insert": ("SequenceEmpty", lambda g: last(g, g("SequenceInsert", g("SequenceEmpty", mark=True), "X")), {"X": x}, [4, 6]),
        "axis=0": ("ConcatFromSequence", lambda g: g("ConcatFromSequence", pair(g), axis=0, mark=True), both, [8, 6]),
        "axis=-1": ("ConcatFromSequence", lambda g: g("ConcatFromSequence", pair(g), axis=-1, mark=True), both, [4, 12]),
        "axis=1,new_axis": ("ConcatFromSequence", lambda g: g("ConcatFromSequence", pair(g), axis=1, new_axis=1, mark=True), both, [4, 2, 6]),
    }
    for name, (op, make, feeds, dims) in cases.items():
        yield declared(op, name, make, feeds, [dims])
    yield pattern(FAMILY, "SequenceLength", "base", lambda g: g("SequenceLength", pair(g), mark=True), both)
    pieces: dict[str, tuple[Any, int | None, int | None, Dims]] = {
        "base": (None, None, None, [1, 6]), "keepdims=0": (None, None, 0, [6]), "axis=1": (None, 1, None, [4, 1]),
        "parts=2": (const(2), None, None, [2, 6]), "sizes=1x3": (const([1, 3]), None, None, [3, 6]),
    }  # fmt: skip
    for name, (parts, axis, keep, dims) in pieces.items():

        def taken(g: Graph, parts: Any = parts, axis: int | None = axis, keep: int | None = keep) -> Any:
            return last(g, g("SplitToSequence", "X", parts, axis=axis, keepdims=keep, mark=True))

        yield declared("SplitToSequence", name, taken, {"X": x}, [dims])


def probes() -> Iterator[Probe]:
    for section in (branching, looping, scanning, sequences):
        yield from section()
