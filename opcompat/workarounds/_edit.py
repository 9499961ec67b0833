"""Collect the nodes that will replace one node; nothing in the model changes until `done`, so a rewrite may refuse at any point before it."""

from collections.abc import Sequence
from typing import Any

from opcompat.workarounds import Refused


class Edit:
    """A replacement in the making. Calling it adds a node and returns its output name (a list of names for several outputs)."""

    def __init__(self, model: Any, index: int):
        from opcompat.model import of_proto

        self.model, self.node = model, model.graph.node[index]
        self.index, self.scope = index, of_proto(model, "edit", "-").main
        self.opset = next((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), 1)
        self.nodes: list[Any] = []
        self.tensors: list[Any] = []
        self.stem = self.node.name or self.node.output[0]

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
        """Return the numpy array of an initializer; refuses values that are computed."""
        from onnx import numpy_helper

        for tensor in self.model.graph.initializer:
            if tensor.name == name:
                return numpy_helper.to_array(tensor)
        raise Refused(f"{name!r} is not an initializer of the model")

    def const(self, values: Any, like: str | None = None) -> str:
        """Add an initializer: a float in the dtype of the value `like`, integers as int64, an array as it is. Return its name."""
        import numpy as np
        from onnx import numpy_helper

        from opcompat.probe import np_dtype

        array = values if isinstance(values, np.ndarray) else np.asarray(values, np_dtype(self.dtype(like)) if like else np.int64)
        name = f"{self.stem}/c{len(self.tensors)}"
        self.tensors.append(numpy_helper.from_array(array, name))
        return name

    def __call__(self, op_type: str, *inputs: str, outputs: int = 1, **attributes: Any) -> Any:
        from onnx import helper

        made = [f"{self.stem}/{op_type}_{len(self.nodes)}_{k}" for k in range(outputs)]
        name = f"{self.stem}/{op_type}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op_type, list(inputs), made, name=name, **{k: v for k, v in attributes.items() if v is not None}))
        return made[0] if outputs == 1 else made

    def mean(self, value: str, axes: Sequence[int]) -> str:
        """Add a ReduceMean that keeps dimensions; its axes moved from attribute to input at opset 18."""
        if self.opset < 18:
            return str(self("ReduceMean", value, axes=list(axes), keepdims=1))
        return str(self("ReduceMean", value, self.const(list(axes)), keepdims=1))

    def done(self, output: str) -> None:
        """Put the collected nodes where the node was; `output` takes over its first output's name."""
        graph = self.model.graph
        for node in self.nodes:
            node.output[:] = [self.node.output[0] if o == output else o for o in node.output]
            node.input[:] = [self.node.output[0] if i == output else i for i in node.input]
        later = list(graph.node)[self.index + 1 :]
        del graph.node[self.index :]
        graph.node.extend([*self.nodes, *later])
        graph.initializer.extend(self.tensors)

    def only_output(self) -> None:
        """Refuse a node whose further outputs are used."""
        if any(self.node.output[1:]):
            raise Refused("its further outputs are used")
