"""Collect the nodes that will replace one node; nothing in the model changes until `done`, so a rewrite may refuse at any point before it."""

from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

from opcompat.workarounds import Refused

if TYPE_CHECKING:
    from opcompat.model import Scope

HALVES = ("float16", "bfloat16")


def _names(graph: Any) -> Iterator[str]:
    """Yield every name that a graph and its nested graphs use."""
    for value in (*graph.input, *graph.output, *graph.initializer):
        yield value.name
    for node in graph.node:
        yield node.name
        yield from node.input
        yield from node.output
        for a in node.attribute:
            for inner in [a.g] if a.type == 5 else a.graphs:
                yield from _names(inner)


def _read(graph: Any) -> set[str]:
    """Return the names that somebody reads: nodes, the outputs of the graph, nested graphs."""
    found = {o.name for o in graph.output}
    for node in graph.node:
        found.update(node.input)
        for a in node.attribute:
            for inner in [a.g] if a.type == 5 else a.graphs:
                found |= _read(inner)
    return found


def _light(model: Any) -> Any:
    """Return a copy without the data of large initializers: types and shapes need none of it, and copying it for every node costs minutes."""
    copy = type(model)(ir_version=model.ir_version, opset_import=model.opset_import, functions=model.functions)
    graph = model.graph
    copy.graph.MergeFrom(type(graph)(name=graph.name, node=graph.node, input=graph.input, output=graph.output, value_info=graph.value_info))
    copy.graph.sparse_initializer.MergeFrom(graph.sparse_initializer)
    for tensor in graph.initializer:
        added = copy.graph.initializer.add(name=tensor.name, data_type=tensor.data_type, dims=tensor.dims)
        if tensor.ByteSize() <= 4096:
            added.CopyFrom(tensor)
        else:
            added.data_location = 1  # external: a value exists, but not here
    return copy


def shapes(model: Any) -> list[Any]:
    """Return a ValueInfoProto for every inner value of the main graph whose shape onnx can infer; none where its inference fails."""
    import onnx

    try:
        inferred = onnx.shape_inference.infer_shapes(_light(model), data_prop=True)
    except (ValueError, onnx.shape_inference.InferenceError):
        return []
    return list(inferred.graph.value_info)


class Edit:
    """A replacement in the making. Calling it adds a node and returns its output name (a list of names for several outputs)."""

    def __init__(self, model: Any, index: int):
        self.model, self.node, self.index = model, model.graph.node[index], index
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.stem = self.node.name or self.node.output[0]

    @cached_property
    def scope(self) -> "Scope":
        from opcompat.model import of_proto

        return of_proto(_light(self.model), "edit", "-").main

    @cached_property
    def taken(self) -> set[str]:
        return set(_names(self.model.graph))

    def fresh(self, name: str) -> str:
        """Return the name, or the name with a mark where the model uses it already: node names need not be unique."""
        while name in self.taken:
            name += "_"
        self.taken.add(name)
        return name

    def attribute(self, name: str, default: Any = None) -> Any:
        """Return an attribute of the replaced node (ints as a list, strings as str), or default."""
        from onnx import helper

        for a in self.node.attribute:
            if a.name == name:
                value = helper.get_attribute_value(a)
                return value.decode() if isinstance(value, bytes) else list(value) if a.type == 7 else value
        return default

    def attributes(self, *without: str) -> dict[str, Any]:
        """Return all attributes of the replaced node but those named."""
        return {a.name: self.attribute(a.name) for a in self.node.attribute if a.name not in without}

    def need_opset(self, low: int, why: str) -> None:
        if self.opset < low:
            raise Refused(f"{why} needs opset {low}, the model has {self.opset}")

    def shape(self, name: str) -> tuple[int | None, ...]:
        """Return an input's shape; None for a dynamic dimension. Refuses where the rank is not known."""
        shape = self.scope.value(name).shape
        if shape is None:
            raise Refused(f"the rank of {name!r} is not known: write shapes into the model first")
        return shape

    def dtype(self, name: str) -> str:
        found = self.scope.value(name).dtype
        if found == "unknown":
            raise Refused(f"the dtype of {name!r} is not known: write shapes into the model first")
        return found

    def array(self, name: str) -> Any:
        """Return the numpy array of a constant; refuses values that are computed, or that a caller may feed instead of the initializer."""
        from onnx import numpy_helper

        graph = self.model.graph
        held = [t for t in graph.initializer if t.name == name]
        if held and self.model.ir_version >= 4 and any(i.name == name for i in graph.input):
            raise Refused(f"{name!r} is a graph input: its initializer is only a default")
        held += [a.t for n in graph.node if n.op_type == "Constant" and n.output[0] == name for a in n.attribute if a.name == "value"]
        if not held:
            raise Refused(f"{name!r} is not an initializer of the model")
        if held[0].data_location == 1:
            raise Refused(f"the data of {name!r} lie in another file: load the model with them")
        return numpy_helper.to_array(held[0])

    def const(self, values: Any, like: str | None = None) -> str:
        """Add an initializer: numbers or an array in the dtype of the value `like`; without one, integers as int64 and an array as it is."""
        import numpy as np
        from onnx import numpy_helper

        from opcompat.probe import np_dtype

        array = np.asarray(values)
        if like:
            array = array.astype(np_dtype(self.dtype(like)))
        elif not isinstance(values, (np.ndarray, np.generic)):
            array = array.astype(np.int64)
        name = self.fresh(f"{self.stem}/c{len(self.tensors)}")
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        from onnx import helper

        made = [self.fresh(f"{self.stem}/{op_type}_{len(self.nodes)}_{k}") for k in range(outputs)]
        name = self.fresh(f"{self.stem}/{op_type}_{len(self.nodes)}")
        self.nodes.append(helper.make_node(op_type, list(inputs), made, name=name, **{k: v for k, v in attributes.items() if v is not None}))
        return made[0] if outputs == 1 else made

    def static(self, name: str) -> tuple[int, ...]:
        """Return an input's shape; refuses dynamic dimensions."""
        shape = self.shape(name)
        if any(d is None for d in shape):
            raise Refused(f"{name!r} has a dynamic dimension: give it a size first")
        return tuple(d for d in shape if d is not None)

    def numbers(self, at: int) -> list[Any] | None:
        """Return the flat values of a constant input, None where the node has no such input; refuses computed ones."""
        return self.array(self.node.input[at]).ravel().tolist() if self.given(at) else None

    def given(self, at: int) -> bool:
        return len(self.node.input) > at and bool(self.node.input[at])

    def with_axes(self, op_type: str, value: str, axes: Sequence[int], **attributes: Any) -> str:
        """Add a Reduce, Squeeze or Unsqueeze; its axes moved from attribute to input at opset 13 or 18."""
        since = 13 if op_type in ("ReduceSum", "Squeeze", "Unsqueeze") else 18
        if self.opset < since:
            return str(self(op_type, value, axes=list(axes), **attributes))
        return str(self(op_type, value, self.const(list(axes)), **attributes))

    def reduced_axes(self) -> list[int]:
        """Return the axes that the replaced Reduce names as attribute or constant input, from 0; all where it names none."""
        rank, named = len(self.shape(self.node.input[0])), self.attribute("axes") or self.numbers(1)
        if not named and self.attribute("noop_with_empty_axes", 0):
            raise Refused("it reduces nothing")
        return sorted(int(a) % rank for a in named) if named else list(range(rank))

    def mean(self, value: str, axes: Sequence[int]) -> str:
        """Add a ReduceMean that keeps dimensions."""
        return self.with_axes("ReduceMean", value, axes, keepdims=1)

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        self.need_opset(5, "Reshape to a constant shape")
        return str(self("Reshape", value, self.const(list(shape))))

    def split(self, value: str, sizes: Sequence[int], axis: int) -> list[str]:
        """Cut a value along an axis; the sizes moved from attribute to input at opset 13."""
        if len(sizes) == 1:
            return [value]
        more = [self.const(list(sizes))] if self.opset >= 13 else []
        made: list[str] = self("Split", value, *more, outputs=len(sizes), axis=axis, split=None if more else list(sizes))
        return made

    def cast(self, value: str, dtype: str) -> str:
        from opcompat.model import DTYPES

        return str(self("Cast", value, to=next(number for number, name in DTYPES.items() if name == dtype)))

    def done(self, *outputs: str) -> None:
        """Put the collected nodes where the node was; `outputs` take over its outputs' names ("" for unused ones).

        Initializers that nobody reads any more go.
        """
        from onnx import helper

        graph, gone = self.model.graph, set(self.node.input)
        made = {o for node in self.nodes for o in node.output}
        outputs = tuple(o if not o or (o in made and o not in outputs[:k]) else self("Identity", o) for k, o in enumerate(outputs))
        names = {new: old for new, old in zip(outputs, self.node.output, strict=False) if new and old}
        for node in self.nodes:
            node.output[:] = [names.get(o, o) for o in node.output]
            node.input[:] = [names.get(i, i) for i in node.input]
        later = list(graph.node)[self.index + 1 :]
        del graph.node[self.index :]
        graph.node.extend([*self.nodes, *later])
        gone = (gone - _read(graph)) & {t.name for t in graph.initializer}
        if self.model.ir_version >= 4:
            gone -= {i.name for i in graph.input}
        for held in (graph.initializer, graph.input):
            for at in reversed([k for k, t in enumerate(held) if t.name in gone]):
                del held[at]
        graph.initializer.extend(self.tensors)
        if self.model.ir_version < 4:  # initializers had to be inputs too
            graph.input.extend(helper.make_tensor_value_info(t.name, t.data_type, list(t.dims)) for t in self.tensors)

    def only_output(self) -> None:
        """Refuse a node whose further outputs are used."""
        if any(self.node.output[1:]):
            raise Refused("its further outputs are used")
