"""A user's model, opened cheaply and safely: nodes, types and small constants of every graph and function body, never the weights.

The file is mapped and its large tensors are cut out before protobuf sees it, so a 10 GB model costs what its graph costs.
Wire format: https://protobuf.dev/programming-guides/encoding/
"""

import gc
import mmap
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import count
from pathlib import Path
from typing import Any

from opcompat.bare_onnx import core, pb

KEEP_TENSOR_BYTES = 4096
"""Tensors up to this size keep their values: axes, shapes and scales decide support; weights do not."""
MAX_FILE_BYTES = 64 << 30
MAX_NODES = 1_000_000
MAX_FIELDS = 5_000_000
"""Protobuf fields looked at while skimming, and with that time and memory: a graph of MAX_NODES has three million."""
MAX_INFERENCE_NODES = 200_000
MAX_FUNCTION_NODES = 20_000

DTYPES = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 8: "string", 9: "bool", 10: "float16",
    11: "float64", 12: "uint32", 13: "uint64", 14: "complex64", 15: "complex128", 16: "bfloat16", 17: "float8e4m3fn", 18: "float8e4m3fnuz",
    19: "float8e5m2", 20: "float8e5m2fnuz", 21: "uint4", 22: "int4", 23: "float4e2m1", 24: "float8e8m0", 25: "uint2", 26: "int2",
}  # fmt: skip
"""onnx.TensorProto.DataType -> the name used in facts."""


class ModelError(Exception):
    """The model cannot be checked; the text is one sentence for the user, whatever names the model put into it."""

    def __init__(self, text: str):
        text = re.sub(r"[\x00-\x1f\x7f-\x9f]", "\ufffd", text)
        super().__init__(text if len(text) < 800 else f"{text[:400]} ... {text[-300:]}")


@contextmanager
def uncollected() -> Iterator[None]:
    """Keep Python from looking for garbage: a large model makes millions of objects that all stay, and looking through them again and again
    takes up to half of the time."""
    was = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was:
            gc.enable()


@dataclass(frozen=True)
class Value:
    """What is known of one tensor: dtype name, shape (None = dynamic dimension; shape None = unknown rank), small constant or None."""

    dtype: str = "unknown"
    shape: tuple[int | None, ...] | None = None
    const: bool = False
    tensor: Any = None


_UNKNOWN = Value()


@dataclass(eq=False, slots=True)
class Node:
    """One node with the scope it lives in; path names it uniquely inside the model, holder is the path of the node whose body it is in.

    What is asked of every node is copied out of its NodeProto, where each look costs ten times as much.
    """

    proto: Any
    path: str
    scope: "Scope"
    holder: str = ""
    op_type: str = field(init=False)
    domain: str = field(init=False)
    input: tuple[str, ...] = field(init=False)
    output: tuple[str, ...] = field(init=False)
    attribute: Any = field(init=False)
    makers: frozenset[str] = field(init=False)
    """The operators, other than Constant, that feed it inside its scope."""

    def __post_init__(self) -> None:
        proto = self.proto
        self.op_type, self.input, self.output = proto.op_type, tuple(proto.input), tuple(proto.output)
        self.attribute = proto.attribute
        producer = self.scope.producer
        self.makers = frozenset([producer[i].op_type for i in self.input if i in producer]) - {"Constant"}
        self.domain = "" if proto.domain == "ai.onnx" else proto.domain


@dataclass(eq=False)
class Scope:
    """One graph or function body: its values, producers and consumers, and the scope around it."""

    opsets: Mapping[str, int]
    values: dict[str, Value]
    outer: "Scope | None" = None
    producer: dict[str, Node] = field(default_factory=dict)
    consumers: dict[str, list[Node]] = field(default_factory=dict)
    outputs: frozenset[str] = frozenset()
    nodes: list[Node] = field(default_factory=list)
    by_type: dict[str, list[Node]] = field(default_factory=dict)

    def value(self, name: str) -> Value:
        scope: Scope | None = self
        while scope is not None:
            if name in scope.values:
                return scope.values[name]
            scope = scope.outer
        return _UNKNOWN

    def defines(self, name: str) -> bool:
        return name in self.values or (self.outer is not None and self.outer.defines(name))


@dataclass(frozen=True)
class Model:
    """An opened model. `nodes` holds the main graph first, in order, then every nested body."""

    name: str
    sha256: str
    ir_version: int
    opsets: dict[str, int]
    main: Scope
    nodes: list[Node]
    notes: tuple[str, ...] = ()


# ---- cutting large tensors out of the serialized model ------------------------------------------------------------------------

# message -> {field number: message inside it}; only these can hold tensors
_INSIDE: dict[str, dict[int, str]] = {
    "Model": {7: "Graph", 25: "Function", 20: "Training"},
    "Training": {1: "Graph", 2: "Graph"},
    "Graph": {1: "Node", 5: "Tensor", 15: "Sparse"},
    "Function": {7: "Node", 11: "Attribute"},
    "Node": {5: "Attribute"},
    "Attribute": {5: "Tensor", 6: "Graph", 10: "Tensor", 11: "Graph", 22: "Sparse", 23: "Sparse"},
    "Sparse": {1: "Tensor", 2: "Tensor"},
    "Tensor": {},
}
_TENSOR_DATA = frozenset({4, 5, 6, 7, 9, 10, 11})
_EXTERNAL = b"\x70\x01"  # TensorProto.data_location = EXTERNAL: "values exist, but not here"


def _varint(data: memoryview, at: int, end: int) -> tuple[int, int]:
    value = shift = 0
    while at < end:
        byte = data[at]
        value |= (byte & 0x7F) << shift
        at += 1
        if byte < 0x80:
            return value, at
        shift += 7
        if shift > 63:
            break
    raise ModelError(f"damaged at byte {at}")


def _encode(value: int) -> bytes:
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    out.append(value)
    return bytes(out)


def _skim(data: memoryview, at: int, end: int, message: str, out: list[Any], fields: Iterator[int], depth: int = 0) -> int:
    """Append the slices of data[at:end] that remain without large tensors to out; return their total length in bytes. `fields` counts them."""
    if depth > 100:
        raise ModelError("nested more than 100 messages deep")
    inside, total, kept_from, cut = _INSIDE[message], 0, at, False

    def keep(upto: int) -> int:
        if upto > kept_from:
            out.append(data[kept_from:upto])
        return upto - kept_from

    while at < end:
        start = at
        key = data[at]
        if key < 0x80:
            at += 1
        else:
            key, at = _varint(data, at, end)
        number, wire = key >> 3, key & 7
        if not number:
            raise ModelError(f"damaged at byte {start}")
        if next(fields) > MAX_FIELDS:
            raise ModelError(f"more than {MAX_FIELDS:,} fields: too large to check")
        if wire == 2:
            length, at = _varint(data, at, end)
            after = at + length
            if after > end:
                raise ModelError(f"truncated: byte {at} announces {length} bytes, {end - at} are left")
            if length > KEEP_TENSOR_BYTES:
                if message == "Tensor" and number in _TENSOR_DATA:
                    total += keep(start)
                    kept_from, cut = after, True
                elif number in inside:
                    total += keep(start)
                    pieces: list[Any] = []
                    size = _skim(data, at, after, inside[number], pieces, fields, depth + 1)
                    head = _encode(key) + _encode(size)
                    out.append(head)
                    out.extend(pieces)
                    total += len(head) + size
                    kept_from = after
            at = after
        elif wire == 0:
            _, at = _varint(data, at, end)
        elif wire in (1, 5):
            at += 8 if wire == 1 else 4
            if at > end:
                raise ModelError(f"truncated at byte {end}")
        else:
            raise ModelError(f"damaged at byte {start}")
    total += keep(end)
    if cut:
        out.append(_EXTERNAL)
        total += len(_EXTERNAL)
    return total


def _parse(data: memoryview) -> Any:
    """Return the ModelProto of serialized data, without its large tensors."""
    pieces: list[Any] = []
    _skim(data, 0, len(data), "Model", pieces, count())
    try:
        return pb.ModelProto.FromString(b"".join(pieces))
    except Exception as error:  # protobuf raises its own DecodeError, whose home moves between releases
        raise ModelError("protobuf cannot decode it") from error


def read(path: Path) -> tuple[Any, str]:
    """Return (ModelProto without large tensors, sha256 of the skimmed graph). Raises ModelError with a sentence that names path."""
    try:
        if path.is_dir():
            raise ModelError(f"{path} is a folder: give the .onnx file inside it")
        if not path.is_file():
            raise ModelError(f"{path} does not exist" if not path.exists() else f"{path} is not a regular file")
        size = path.stat().st_size
        if size == 0:
            raise ModelError(f"{path} is empty: export the model again")
        if size > MAX_FILE_BYTES:
            raise ModelError(f"{path} is larger than {MAX_FILE_BYTES >> 30} GiB: store the weights as external data")
        with path.open("rb") as file:
            mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)  # closed by its last reference: slices of it may outlive an error
        try:
            proto = _parse(memoryview(mapped))
        except ModelError as error:
            raise ModelError(f"{path} is not a readable ONNX file ({error})") from None
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}") from None
    if not proto.HasField("graph") or not (proto.ir_version or proto.opset_import) or not (proto.graph.node or proto.graph.output):
        raise ModelError(f"{path} is not an ONNX model (no graph in it)")
    try:
        _check_external(proto, path)
    except ModelError as error:
        raise ModelError(str(error) if str(path) in str(error) else f"{path}: {error}") from None
    return proto, _digest(proto)


def _digest(proto: Any) -> str:
    import hashlib

    return hashlib.sha256(proto.SerializeToString(deterministic=True)).hexdigest()


# ---- external data: checked by name and size, never opened -------------------------------------------------------------------


def _tensors(graph: Any) -> Iterator[Any]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield sparse.values
        yield sparse.indices
    for node in graph.node:
        yield from _node_tensors(node)


def _node_tensors(node: Any) -> Iterator[Any]:
    for attribute in node.attribute:
        if attribute.type == 4:
            yield attribute.t
        yield from attribute.tensors
        for inner in ([attribute.g] if attribute.type == 5 else []) + list(attribute.graphs):
            yield from _tensors(inner)


def _check_external(proto: Any, path: Path) -> None:
    folder = path.resolve().parent
    sizes: dict[str, int] = {}
    tensors = [*_tensors(proto.graph), *(t for f in proto.functions for n in f.node for t in _node_tensors(n))]
    for tensor in tensors:
        if tensor.data_location != 1 or not tensor.external_data:
            continue
        _text(tensor.name, *(text for e in tensor.external_data for text in (e.key, e.value)))
        entry = {e.key: e.value for e in tensor.external_data}
        location = entry.get("location", "")
        what = f"{path}: weights of {tensor.name!r}"
        if not location or "\0" in location or Path(location).is_absolute() or location[0] in "/\\" or ":" in location[:2]:
            raise ModelError(f"{what} name the external file {location!r}, which must be a relative path")
        if location not in sizes:
            try:
                file = (folder / location).resolve()
                present = file.is_file()
            except (OSError, RuntimeError):  # too long a name, a link that leads to itself
                raise ModelError(f"{what} name the external file {location[:80]!r}, which cannot be opened") from None
            if not file.is_relative_to(folder):
                raise ModelError(f"{what} lie outside the model's folder ({location!r}): move them beside the model")
            if not present:
                raise ModelError(f"{what} are in {location!r}, which is missing: copy it beside the model")
            sizes[location] = file.stat().st_size
        try:
            offset, length = int(entry.get("offset") or 0), int(entry.get("length") or 0)
        except ValueError:
            raise ModelError(f"{what} have an offset or length that is not a number") from None
        if min(offset, length) < 0 or offset + length > sizes[location]:
            raise ModelError(f"{what} end beyond {location!r} ({sizes[location]} bytes): the file is incomplete")


# ---- graphs --------------------------------------------------------------------------------------------------------------------


def _text(*names: Any) -> None:
    """Refuse names that are not text: protobuf hands out strings that are no UTF-8 as bytes."""
    try:
        "".join(names)
    except TypeError:
        wrong = next(n for n in names if not isinstance(n, str))
        raise ModelError(f"a name in it is not UTF-8 text ({wrong[:40]!r})") from None


@lru_cache(maxsize=4096)
def _value(serialized: bytes) -> Value:
    """Return the Value a serialized TypeProto describes; optional and sequence types keep their kind as dtype. Models repeat few types often."""
    value_type = pb.TypeProto.FromString(serialized)
    kind = value_type.WhichOneof("value")
    if kind == "tensor_type":
        tensor = value_type.tensor_type
        shape = tuple(d.dim_value if d.WhichOneof("value") == "dim_value" and d.dim_value >= 0 else None for d in tensor.shape.dim)
        return Value(DTYPES.get(tensor.elem_type, "unknown"), shape if tensor.HasField("shape") else None)
    return Value(kind.removesuffix("_type") if kind else "unknown")


def _constant(tensor: Any) -> Value:
    return Value(DTYPES.get(tensor.data_type, "unknown"), tuple(tensor.dims), True, tensor if tensor.data_location != 1 else None)


def _constant_node(node: Any) -> Value | None:
    for a in node.attribute:
        if a.name == "value":
            return _constant(a.t)
        if a.name in ("value_float", "value_int", "value_string"):
            return Value({"value_float": "float32", "value_int": "int64", "value_string": "string"}[a.name], (), True)
        if a.name in ("value_floats", "value_ints"):
            dtype, number, data = ("float32", 1, a.floats) if a.name == "value_floats" else ("int64", 7, a.ints)
            tensor = pb.TensorProto(data_type=number, dims=[len(data)])
            (tensor.float_data if number == 1 else tensor.int64_data).extend(data)
            return Value(dtype, (len(data),), True, tensor)
    return None


def _label(node: Any, index: int, used: set[str]) -> str:
    label = str(node.name)
    if not label or label in used:
        label = f"{label or node.op_type}#{index}"
        while label in used:
            label += "'"
    used.add(label)
    return label


@dataclass
class _Walk:
    functions: dict[tuple[str, str], Any]
    out: list[Node] = field(default_factory=list)
    bodies: list[tuple[Node, str, Any]] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)
    inlined: int = 0

    def scope(
        self, graph: Any, opsets: Mapping[str, int], outer: Scope | None, path: str, holder: str = "", inputs: Mapping[str, Value] | None = None
    ) -> Scope:
        """Build the scope of a GraphProto; its nodes are appended to `out`, nested bodies are queued. Raises ModelError on dangling values."""
        _text(*(v.name for part in (graph.input, graph.output, graph.value_info, graph.initializer) for v in part))
        scope = Scope(opsets, {}, outer)
        scope.outputs = frozenset(o.name for o in graph.output)
        typed = {v.name: _value(v.type.SerializeToString()) for v in [*graph.value_info, *graph.output]}
        for value in graph.input:
            scope.values[value.name] = (inputs or {}).get(value.name) or _value(value.type.SerializeToString())
        for tensor in graph.initializer:
            scope.values[tensor.name] = _constant(tensor)
        for sparse in graph.sparse_initializer:
            scope.values[sparse.values.name] = Value(DTYPES.get(sparse.values.data_type, "unknown"), tuple(sparse.dims), True)
        labels: set[str] = set()
        for index, proto in enumerate(graph.node):
            node = Node(proto, "", scope, holder)
            _text(proto.name, node.op_type, node.domain, *node.input, *node.output, *[a.name for a in node.attribute])
            node.path = path + _label(proto, index, labels)
            for name in filter(None, node.input):
                if name not in scope.values and not scope.defines(name):
                    later = any(name in n.output for n in graph.node)
                    why = "which only a later node makes: the graph has a cycle or is not sorted" if later else "which nothing makes"
                    raise ModelError(f"node {node.path!r} ({node.op_type}) reads {name!r}, {why}")
                scope.consumers.setdefault(name, []).append(node)
            constant = _constant_node(proto) if node.op_type == "Constant" else None
            for name in filter(None, node.output):
                scope.values[name] = constant or typed.get(name, _UNKNOWN)
                scope.producer[name] = node
            scope.nodes.append(node)
            scope.by_type.setdefault(node.op_type, []).append(node)
            self.out.append(node)
            for attribute in node.attribute:
                if attribute.type not in (5, 10):
                    continue
                for number, inner in enumerate([attribute.g] if attribute.type == 5 else attribute.graphs):
                    tag = attribute.name + (f"[{number}]" if attribute.graphs else "")
                    self.bodies.append((node, f"{node.path}.{tag}/", inner))
            if (node.domain, node.op_type) in self.functions:
                self.bodies.append((node, f"{node.path}/", self.functions[node.domain, node.op_type]))
        if len(self.out) > MAX_NODES:
            raise ModelError(f"more than {MAX_NODES} nodes: too large to check")
        return scope

    def drain(self) -> None:
        while self.bodies:
            node, path, body = self.bodies.pop(0)
            if path.count("/") > 64:
                raise ModelError(f"{node.op_type} at {node.path[:60]!r} is nested more than 64 bodies deep, or a function calls itself")
            if isinstance(body, pb.FunctionProto):
                self.inlined += len(body.node)
                if self.inlined > MAX_FUNCTION_NODES:
                    self.notes.append(f"function bodies hold over {MAX_FUNCTION_NODES} nodes when expanded; the rest of them was not looked at")
                    self.bodies.clear()
                    return
                self.function(node, path, body)
            else:
                self.scope(body, node.scope.opsets, node.scope, path, node.path)

    def function(self, call: Node, path: str, body: Any) -> None:
        """Walk a model-local function as its call sees it: argument types and attributes filled in, shapes inferred inside."""
        opsets = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in body.opset_import} or dict(call.scope.opsets)
        given = {a.name: a for a in call.proto.attribute}
        defaults = {a.name: a for a in body.attribute_proto}
        arguments = dict(zip(body.input, (call.scope.value(n) if n else Value() for n in call.proto.input), strict=False))
        graph = pb.GraphProto(name=body.name)
        for name in body.input:
            value = arguments.get(name, Value())
            info = graph.input.add(name=name)
            if value.dtype in _NUMBERS:
                info.type.tensor_type.elem_type = _NUMBERS[value.dtype]
                if value.shape is not None:
                    info.type.tensor_type.shape.SetInParent()
                    for dim in value.shape:
                        added = info.type.tensor_type.shape.dim.add()
                        if dim is not None:
                            added.dim_value = dim
        graph.output.extend(pb.ValueInfoProto(name=n) for n in body.output)
        for node in body.node:
            copy = graph.node.add()
            copy.CopyFrom(node)
            for attribute in list(copy.attribute):
                if attribute.ref_attr_name:
                    source, name = given.get(attribute.ref_attr_name) or defaults.get(attribute.ref_attr_name), attribute.name
                    copy.attribute.remove(attribute)
                    if source is not None:
                        copy.attribute.add().CopyFrom(source)
                        copy.attribute[-1].name = name
        model = pb.ModelProto(ir_version=10, graph=graph)
        model.opset_import.extend(body.opset_import)
        self.scope(_infer(model).graph, opsets, None, path, call.path, arguments)


_NUMBERS = {name: number for number, name in DTYPES.items()}


_LIKE_FIRST_INPUT = {
    ("", "GroupNormalization"),
    ("", "MeanVarianceNormalization"),
    *(("com.microsoft", op) for op in ("Gelu", "FastGelu", "QuickGelu", "BiasGelu", "SkipLayerNormalization", "SkipSimplifiedLayerNormalization")),
    *(("com.microsoft", op) for op in ("QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearSoftmax")),
    *(("com.microsoft", op) for op in ("BiasAdd", "GroupNorm", "Inverse", "RotaryEmbedding", "Trilu")),
}
"""(domain, op_type) that onnx infers nothing for, and whose first output has the type and shape of the first input."""


def _infer(proto: Any) -> Any:
    """Return proto with every shape that onnx can infer written in; proto itself where inference gives up."""
    aside = {}
    for index, node in enumerate(proto.graph.node):
        if (node.domain, node.op_type) in _LIKE_FIRST_INPUT and node.input and node.output:
            aside[index] = pb.NodeProto.FromString(node.SerializeToString())
            node.CopyFrom(pb.NodeProto(op_type="Identity", input=node.input[:1], output=node.output[:1]))
    inferred = proto
    try:
        inferred = pb.ModelProto.FromString(core.shape_inference.infer_shapes(proto.SerializeToString(), False, False, True))
    except Exception:  # inference is a help, not a gate: values it cannot type stay unknown
        return proto
    finally:
        for index, node in aside.items():
            for model in (proto, inferred):
                model.graph.node[index].CopyFrom(node)
    return inferred


def _expanded(proto: Any) -> int:
    """Return how many nodes shape inference would visit: function bodies count at every call, capped."""
    functions = {(f.domain, f.name): f for f in proto.functions}
    sizes: dict[tuple[str, str], int] = {}

    def size(nodes: Any, depth: int) -> int:
        total = 0
        for node in nodes:
            key = (node.domain, node.op_type)
            total += 1
            if key in functions:
                if depth > 32:
                    return MAX_INFERENCE_NODES + 1
                if key not in sizes:
                    sizes[key] = size(functions[key].node, depth + 1)
                total += sizes[key]
            for attribute in node.attribute:
                if attribute.type not in (5, 10):
                    continue
                for graph in ([attribute.g] if attribute.type == 5 else []) + list(attribute.graphs):
                    total += size(graph.node, depth + 1)
            if total > MAX_INFERENCE_NODES:
                break
        return total

    return size(proto.graph.node, 0)


def of_proto(proto: Any, name: str, sha256: str = "", infer: bool = True) -> Model:
    """Return the Model of a ModelProto that is already in memory (its large tensors may be missing)."""
    _text(*(o.domain for part in (proto, *proto.functions) for o in part.opset_import))
    _text(*(name for f in proto.functions for name in (f.name, f.domain, *f.input, *f.output)))
    notes: list[str] = []
    if infer and _expanded(proto) <= MAX_INFERENCE_NODES:
        graph = _infer(proto)
    else:
        graph = proto
        if infer:
            notes.append(f"over {MAX_INFERENCE_NODES} nodes: shapes were not inferred, so only those written in the model are known")
    opsets = {("" if o.domain == "ai.onnx" else o.domain): o.version for o in proto.opset_import}
    walk = _Walk({(f.domain, f.name): f for f in proto.functions}, notes=notes)
    main = walk.scope(graph.graph, opsets, None, "")
    walk.drain()
    return Model(name, sha256 or _digest(proto), proto.ir_version, opsets, main, walk.out, tuple(walk.notes))


def _fix_dims(proto: Any, dims: Mapping[str, int]) -> None:
    """Write sizes for named dynamic dimensions into inputs, outputs and inner values. Raises ModelError for a name the model lacks."""
    missing = set(dims)
    named: set[str] = set()
    for value in [*proto.graph.input, *proto.graph.output, *proto.graph.value_info]:
        for dim in value.type.tensor_type.shape.dim:
            _text(dim.dim_param)
            named.add(dim.dim_param)
            if dim.dim_param in dims:
                missing.discard(dim.dim_param)
                dim.dim_value = dims[dim.dim_param]
    if missing:
        there = ", ".join(sorted(named - {""})) or "none with a name"
        raise ModelError(f"there is no dynamic dimension {sorted(missing)[0]!r}, there are: {there}")


@uncollected()
def open_model(path: str | Path, dims: Mapping[str, int] | None = None) -> Model:
    """Open an ONNX file for checking, dynamic dimensions fixed as `dims` says. Raises ModelError with one sentence if that cannot be done."""
    path = Path(path)
    proto, sha256 = read(path)
    try:
        _fix_dims(proto, dims or {})
        return of_proto(proto, path.name, sha256)
    except ModelError as error:
        raise ModelError(f"{path}: {error}") from None
