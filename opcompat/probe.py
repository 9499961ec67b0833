"""Probe: a small ONNX model with inputs, and the little language that families in probes/ are written in."""

import hashlib
import importlib.util
import itertools
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path
from typing import Any

import ml_dtypes
import numpy as np
import onnx
from onnx import helper, numpy_helper

from opcompat import model as models
from opcompat.schema import Facts
from opcompat.signature import pattern_facts, signature

Array = np.ndarray[Any, np.dtype[Any]]
Answer = Callable[[dict[str, Array]], Sequence[Array]]


@dataclass(frozen=True)
class Tolerance:
    """Loosened limits for one probe: absolute and relative to the largest reference magnitude; the reason is required."""

    absolute: float
    relative: float
    reason: str


@dataclass(frozen=True)
class Probe:
    """A model, its inputs and what it is about. Two probes with the same digest are the same probe."""

    id: str
    family: str
    proto: onnx.ModelProto
    inputs: dict[str, Array]
    focus: int | None
    """Index of the node under test; None for a pattern, which is about all its nodes."""
    pattern: str = ""
    context: bool = False
    """True where the node or pattern under test stands between two Convs, as in a network."""
    tolerance: Tolerance | None = None
    answer: Answer | None = None
    """Reference outputs in numpy, for what the oracles get wrong."""
    expected: tuple[Array, ...] | None = None
    """Outputs that the source of the probe demands: one oracle more."""
    dispute: str = ""
    """Why no answer is right beyond doubt, where the standard leaves it open: such a probe convicts nobody."""

    @cached_property
    def model(self) -> bytes:
        return bytes(self.proto.SerializeToString(deterministic=True))

    @cached_property
    def digest(self) -> str:
        """16 hex digits over model, inputs and what the probe is about."""
        hashed = hashlib.sha256(self.model + f"{self.focus} {self.pattern if self.focus is None else ''}".encode())
        for name, array in self.inputs.items():
            data = "\0".join(map(str, array.ravel())).encode() if array.dtype.kind in "OU" else np.ascontiguousarray(array).tobytes()
            hashed.update(f"{name}{array.dtype}{array.shape}".encode() + data)
        return hashed.hexdigest()[:16]

    @cached_property
    def facts(self) -> Facts:
        """The signature of the node under test, computed just as the checker computes it; of a pattern, those of its first input."""
        opened = models.of_proto(self.proto, self.id)
        if self.focus is not None:
            return signature(opened.main.nodes[self.focus])
        nodes = opened.main.nodes[1:-1] if self.context else opened.main.nodes
        first = opened.main.nodes[0].output[0] if self.context else self.proto.graph.input[0].name
        return pattern_facts(opened.main.value(first), self.opset, nodes)

    @property
    def domain(self) -> str:
        return "pattern" if self.focus is None else str(self.proto.graph.node[self.focus].domain)

    @property
    def op_type(self) -> str:
        return self.pattern if self.focus is None else str(self.proto.graph.node[self.focus].op_type)

    @property
    def opset(self) -> int:
        return next((o.version for o in self.proto.opset_import if o.domain in ("", "ai.onnx")), 1)


# ---- factors ---------------------------------------------------------------------------------------------------------------------

Factors = dict[str, Any]


def grid(**factors: Sequence[Any]) -> Iterator[Factors]:
    """Yield every combination of the factors' values."""
    for values in itertools.product(*factors.values()):
        yield dict(zip(factors, values, strict=True))


def vary(base: Mapping[str, Any], **factors: Sequence[Any]) -> Iterator[Factors]:
    """Yield the base, then the base with one factor changed at a time: the failing factor can then be named."""
    yield dict(base)
    for name, values in factors.items():
        for value in values:
            if base.get(name) != value:
                yield {**base, name: value}


def pairwise(base: Mapping[str, Any], **factors: Sequence[Any]) -> Iterator[Factors]:
    """Yield what `vary` yields, then the base with every two factors changed together."""
    yield from vary(base, **factors)
    for (first, left), (second, right) in itertools.combinations(factors.items(), 2):
        for a, b in itertools.product(left, right):
            if base.get(first) != a and base.get(second) != b:
                yield {**base, first: a, second: b}


def describe(base: Mapping[str, Any], factors: Mapping[str, Any]) -> str:
    """Name factors by how they differ from the base: `group=4,dtype=float16`, or `base`."""
    changed = [f"{k}={_short(v)}" for k, v in factors.items() if base.get(k, None) != v or k not in base]
    return ",".join(changed) or "base"


def _short(value: Any) -> str:
    return "x".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


# ---- data ------------------------------------------------------------------------------------------------------------------------


def np_dtype(name: str) -> np.dtype[Any]:
    """Return the numpy dtype of a fact's dtype name; bfloat16, int4 and float8 come from ml_dtypes, string is object."""
    names = {"float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz", "float8e5m2": "float8_e5m2", "float8e5m2fnuz": "float8_e5m2fnuz"}
    extra = names.get(name, name)
    if name == "string":
        return np.dtype(object)
    return np.dtype(getattr(ml_dtypes, extra)) if hasattr(ml_dtypes, extra) else np.dtype(name)


def data(*shape: int, dtype: str = "float32", low: float = -1.0, high: float = 1.0, seed: int = 0) -> Array:
    """Return the same pseudo-random array for the same arguments: uniform in [low, high), integers included, bool as a coin."""
    rng = np.random.default_rng(zlib.crc32(repr((shape, dtype, low, high, seed)).encode()))
    if dtype == "bool":
        return np.asarray(rng.random(shape) < 0.5)
    if dtype == "string":
        return np.array([f"s{i}" for i in range(int(np.prod(shape)))], object).reshape(shape)
    kind = np_dtype(dtype)
    if "int" in dtype:
        if (low, high) == (-1.0, 1.0):
            low, high = (0, 8) if dtype.startswith("u") else (-8, 8)
        return np.asarray(rng.integers(int(low), int(high), shape)).astype(kind)
    return np.asarray(rng.uniform(low, high, shape)).astype(kind)


@dataclass(frozen=True)
class Const:
    """An input given as an initializer instead of at run time."""

    array: Array


def const(values: Any, dtype: str | None = None) -> Const:
    """Return an initializer; Python integers become int64 and floats float32 unless dtype says otherwise."""
    array = values if isinstance(values, np.ndarray) else np.asarray(values)
    if dtype:
        array = array.astype(np_dtype(dtype))
    elif not isinstance(values, np.ndarray) and array.dtype == np.float64:
        array = array.astype(np.float32)
    return Const(array)


# ---- models ----------------------------------------------------------------------------------------------------------------------


class Graph:
    """Collects nodes and initializers. Calling it adds a node and returns its output name (a tuple of names for several)."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.initializers: list[onnx.TensorProto] = []
        self.marked: int | None = None

    def __call__(self, op_type: str, *inputs: str | Const | None, outputs: int = 1, domain: str = "", mark: bool = False, **attributes: Any) -> Any:
        """Add a node; None is an omitted optional input. mark=True makes it the node under test."""
        names = [self.const(i.array) if isinstance(i, Const) else (i or "") for i in inputs]
        while names and not names[-1]:
            names.pop()
        made = [f"v{len(self.nodes)}_{k}" for k in range(outputs)]
        if mark:
            self.marked = len(self.nodes)
        attributes = {k: v for k, v in attributes.items() if v is not None}
        self.nodes.append(helper.make_node(op_type, names, made, name=f"{op_type}_{len(self.nodes)}", domain=domain, **attributes))
        return made[0] if outputs == 1 else tuple(made)

    def const(self, values: Any, dtype: str | None = None) -> str:
        array = values if isinstance(values, np.ndarray) and dtype is None else const(values, dtype).array
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(array, name))
        return name


def finish(
    graph: Graph,
    inputs: Mapping[str, Array],
    outputs: Sequence[str],
    opset: int,
    dynamic: Mapping[str, Sequence[int | str]] | None = None,
    domains: Mapping[str, int] | None = None,
    output_dtypes: Sequence[str] | None = None,
    output_shapes: Sequence[Sequence[int | str]] | None = None,
) -> onnx.ModelProto:
    """Return the checked model of a graph, with every shape that onnx infers written in (some runtimes refuse outputs without one).

    output_dtypes and output_shapes declare what onnx cannot infer: operators of other domains, computed shapes.
    """
    dynamic = dynamic or {}
    infos = [
        helper.make_tensor_value_info(
            n, onnx.TensorProto.STRING if a.dtype == object else helper.np_dtype_to_tensor_dtype(a.dtype), list(dynamic.get(n, a.shape))
        )
        for n, a in inputs.items()
    ]
    names = {name: number for number, name in models.DTYPES.items()}
    dtypes = [names[d] for d in output_dtypes] if output_dtypes else [0] * len(outputs)
    shapes: Sequence[Sequence[int | str] | None] = output_shapes or [None] * len(outputs)
    made = [helper.make_tensor_value_info(n, d, s) if d else onnx.ValueInfoProto(name=n) for n, d, s in zip(outputs, dtypes, shapes, strict=True)]
    built = helper.make_graph(graph.nodes, "probe", infos, made, graph.initializers)
    opsets = [helper.make_opsetid("", opset), *(helper.make_opsetid(d, v) for d, v in (domains or {}).items())]
    proto = helper.make_model(built, opset_imports=opsets, producer_name="opcompat")
    proto.ir_version = max(7, helper.find_min_ir_version_for(opsets, ignore_unknown=True))
    proto = onnx.shape_inference.infer_shapes(proto, data_prop=True)
    onnx.checker.check_model(proto)
    return proto


def single_op(
    family: str,
    op_type: str,
    name: str,
    inputs: Mapping[str, Array | Const | None],
    *,
    opset: int = 17,
    outputs: int = 1,
    domain: str = "",
    dynamic: Mapping[str, Sequence[int | str]] | None = None,
    context: bool = False,
    between: str = "Conv",
    tolerance: Tolerance | None = None,
    answer: Answer | None = None,
    output_dtypes: Sequence[str] | None = None,
    output_shapes: Sequence[Sequence[int | str]] | None = None,
    **attributes: Any,
) -> Probe:
    """Return a probe of one node. Inputs come in schema order: an array is fed at run time, a Const is an initializer, None is omitted.

    context=True puts the node between two 1x1 Convs, or two Adds, as `between` says; its first input and output must then be float32 of rank 4 with
    known channels.
    """
    graph = Graph()
    feeds = {k: v for k, v in inputs.items() if isinstance(v, np.ndarray)}
    values: list[str | Const | None] = [k if isinstance(v, np.ndarray) else v for k, v in inputs.items()]
    if context:
        first = next(iter(inputs))
        values[0] = _neighbour(graph, between, first, feeds[first].shape[1], 1.5)
    made = graph(op_type, *values, outputs=outputs, domain=domain, mark=True, **attributes)
    ends = [made] if outputs == 1 else list(made)
    domains = {domain: 1} if domain else None
    if context:
        alone = finish(graph, feeds, ends, opset, dynamic, domains)
        ends[0] = _neighbour(graph, between, ends[0], alone.graph.output[0].type.tensor_type.shape.dim[1].dim_value, 0.75)
        name += f",between={between}"
    proto = finish(graph, feeds, ends, opset, dynamic, domains, output_dtypes, output_shapes)
    return Probe(f"{family}/{op_type}:{name}", family, proto, feeds, graph.marked, "", context, tolerance, answer)


def pattern(
    family: str,
    pattern_name: str,
    name: str,
    make: Callable[[Graph], str | Sequence[str]],
    inputs: Mapping[str, Array],
    *,
    opset: int = 17,
    dynamic: Mapping[str, Sequence[int | str]] | None = None,
    domains: Mapping[str, int] | None = None,
    context: bool = False,
    tolerance: Tolerance | None = None,
    answer: Answer | None = None,
    output_dtypes: Sequence[str] | None = None,
    output_shapes: Sequence[Sequence[int | str]] | None = None,
) -> Probe:
    """Return a probe of a few operators. If `make` marked a node, the probe is about that node in this surrounding (QDQ); else about the pattern.

    context=True puts the pattern between two 1x1 Convs, as for single_op; the only input is then called `fed`, and its static shape is kept.
    """
    graph, feeds = Graph(), dict(inputs)
    ends = make(graph)
    ends = [ends] if isinstance(ends, str) else list(ends)
    if context:
        ((first, x),) = inputs.items()
        feeds = {"fed": x}
        alone = finish(graph, inputs, ends, opset, dynamic, domains, output_dtypes, output_shapes)
        _neighbour(graph, "Conv", "fed", x.shape[1], 1.5)
        front = graph.nodes.pop()
        front.output[0] = first
        graph.nodes.insert(0, front)
        ends[0] = _neighbour(graph, "Conv", ends[0], alone.graph.output[0].type.tensor_type.shape.dim[1].dim_value, 0.75)
        name += ",between=Conv"
    proto = finish(graph, feeds, ends, opset, None if context else dynamic, domains, output_dtypes, output_shapes)
    return Probe(f"{family}/{pattern_name}:{name}", family, proto, feeds, graph.marked, pattern_name, context, tolerance, answer)


def _neighbour(graph: Graph, op_type: str, name: str, channels: int, factor: float) -> str:
    """A 1x1 Conv that multiplies by the factor, or an Add of it."""
    if op_type == "Add":
        return str(graph("Add", name, const(factor)))
    return str(graph("Conv", name, const(np.eye(channels, dtype=np.float32)[:, :, None, None] * np.float32(factor)), kernel_shape=[1, 1]))


# ---- families --------------------------------------------------------------------------------------------------------------------


def folder() -> Path:
    """Return the folder of probe families: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "_probes"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "probes"


@lru_cache(maxsize=None)
def _modules(where: Path) -> dict[str, Any]:
    found = {}
    for path in sorted(where.glob("[a-z]*.py")):
        spec = importlib.util.spec_from_file_location(f"opcompat_probes_{path.stem}", path)
        if spec is None or spec.loader is None:
            continue
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        found[path.stem] = module
    return found


@lru_cache(maxsize=None)
def _members(family: str, where: Path) -> tuple[Probe, ...]:
    return tuple(_modules(where)[family].probes())


def families(where: Path | None = None) -> dict[str, Any]:
    """Return family name -> module, for every file of the folder, in name order."""
    return _modules(where or folder())


def members(family: str, where: Path | None = None) -> tuple[Probe, ...]:
    """Return the probes of one family; made once in a process."""
    return _members(family, where or folder())


def load(only: Sequence[str] = (), where: Path | None = None) -> list[Probe]:
    """Return the probes of all families (or of those named), refusing two with one id."""
    probes: dict[str, Probe] = {}
    for name in families(where):
        if only and name not in only:
            continue
        for probe in members(name, where):
            if probe.id in probes:
                raise ValueError(f"two probes are called {probe.id!r}")
            probes[probe.id] = probe
    return list(probes.values())


def sample(probes: Sequence[Probe], share: int) -> list[Probe]:
    """Return one in `share` probes, but some of every operator, in an order in which every beginning is such a sample too.

    So what a campaign has when it is stopped speaks of all operators. An operator's first probe is its plainest, to which the others are
    compared; then digests decide, as good as chance.
    """
    by_operator: dict[tuple[str, str], list[Probe]] = {}
    for p in probes:
        by_operator.setdefault((p.domain, p.op_type), []).append(p)
    ranked = []
    for first, *others in by_operator.values():
        chosen = [first, *sorted(others, key=lambda p: p.digest)]
        ranked += [(place / len(chosen), p) for place, p in enumerate(chosen[: -(-len(chosen) // share)])]
    return [p for _, p in sorted(ranked, key=lambda r: r[0])]
