"""Optionals, made and taken apart inside the graph so that tensors go in and come out; SequenceMap over a sequence made inside."""

from collections.abc import Iterator
from typing import Any

import numpy as np
from onnx import TensorProto, helper

from opcompat.probe import Answer, Array, Graph, Probe, const, data, finish

FAMILY = "optional"
FLOAT = helper.make_tensor_type_proto(TensorProto.FLOAT, [3, 4])


def declared(
    op: str, name: str, make: Any, feeds: dict[str, Array], kind: int, dims: list[int | str], opset: int, answer: Answer, **free: Any
) -> Probe:
    """onnx infers no shape through optionals and sequences: it is declared."""
    graph = Graph()
    made = make(graph)
    proto = finish(graph, feeds, [], opset, free)
    proto.graph.output.append(helper.make_tensor_value_info(made, kind, dims))
    return Probe(f"{FAMILY}/{op}:{name}", FAMILY, proto, feeds, graph.marked, op, answer=answer)


def has(g: Graph, value: str | None, mark: str) -> Any:
    """0 or 1 added to X, by whether the optional holds something; without a value it is an empty one."""
    held = g("Optional", value, type=None if value else FLOAT, mark=mark == "Optional")
    there = g("OptionalHasElement", held, mark=mark == "OptionalHasElement")
    return g("Add", "X", g("Cast", there, to=TensorProto.FLOAT))


def mapped(g: Graph, inputs: int) -> Any:
    body_graph = Graph()
    names = ["each", "other"][:inputs]
    body_graph("Mul" if inputs == 2 else "Neg", *names)
    infos = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [3, 4]) for n in names]
    result = helper.make_tensor_value_info("made", TensorProto.FLOAT, [3, 4])
    body_graph.nodes[0].output[0] = "made"
    body = helper.make_graph(body_graph.nodes, "each", infos, [result])
    sequence = g("SequenceConstruct", "X", "Y")
    made = g("SequenceMap", sequence, *["X"][: inputs - 1], body=body, mark=True)
    return g("ConcatFromSequence", made, axis=0)


def probes() -> Iterator[Probe]:
    x, y = data(3, 4), data(3, 4, seed=1)
    one = {"X": x}
    for opset in (15, 18):
        for op in ("Optional", "OptionalHasElement"):
            yield declared(op, f"full,opset={opset}", lambda g, o=op: has(g, "X", o), one, 1, [3, 4], opset, lambda v: [v["X"] + np.float32(1)])
            yield declared(op, f"empty,opset={opset}", lambda g, o=op: has(g, None, o), one, 1, [3, 4], opset, lambda v: [v["X"]])

        def taken(g: Graph) -> Any:
            return g("Neg", g("OptionalGetElement", g("Optional", "X"), mark=True))

        yield declared("OptionalGetElement", f"of a tensor,opset={opset}", taken, one, 1, [3, 4], opset, lambda v: [-v["X"]])

        def member(g: Graph) -> Any:
            held = g("Optional", g("SequenceConstruct", "X", "Y"))
            return g("SequenceAt", g("OptionalGetElement", held, mark=True), const(1))

        yield declared("OptionalGetElement", f"of a sequence,opset={opset}", member, {"X": x, "Y": y}, 1, [3, 4], opset, lambda v: [v["Y"]])
    plain = lambda g: g("Neg", g("OptionalGetElement", "X", mark=True))  # noqa: E731
    yield declared("OptionalGetElement", "no optional", plain, one, 1, [3, 4], 18, lambda v: [-v["X"]])

    def absent(g: Graph) -> Any:
        there = g("OptionalHasElement", mark=True)
        return g("Add", "X", g("Cast", there, to=TensorProto.FLOAT))

    yield declared("OptionalHasElement", "input=absent", absent, one, 1, [3, 4], 18, lambda v: [v["X"]])
    for inputs in (1, 2):
        wanted: Answer = (
            (lambda v: [np.concatenate([-v["X"], -v["Y"]])]) if inputs == 1 else (lambda v: [np.concatenate([v["X"] ** 2, v["Y"] * v["X"]])])
        )
        name = "base" if inputs == 1 else "additional input"
        yield declared("SequenceMap", name, lambda g, n=inputs: mapped(g, n), {"X": x, "Y": y}, 1, [6, 4], 17, wanted)
