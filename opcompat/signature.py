"""Node -> facts: what decides whether a runtime takes an operator. Probes and the checker use this one function, so they can be compared.

Facts are flat and scalar. `X.rank` speaks of the input the schema calls X, `dtype` of the type variable T (`T1.dtype` of T1), a bare name
of an attribute or of a relation (`grouping`, `padding`, `broadcast`...). Raw shapes and channel counts are left out on purpose: they seldom
decide support.
"""

from collections.abc import Iterable, Set
from typing import Any

from opcompat.model import DTYPES, Node, Value
from opcompat.relations import RELATIONS, View, place
from opcompat.schema import GRAPH, TENSOR, Facts, attribute_value, defaults, in_fields, schema

WRITTEN = {
    **dict.fromkeys(("MaxPool", "AveragePool", "LpPool"), "strides"),
    **dict.fromkeys(("LSTM", "GRU", "RNN"), "hidden_size"),
    **dict.fromkeys(("Softmax", "LogSoftmax", "Hardmax", "LayerNormalization"), "axis"),
}
"""Operator -> an attribute with a default that exporters always write. Where it is left out, some runtimes refuse or go wrong: that is a fact."""

_DYNAMIC = ("none", "batch", "other", "unknown")


def _dynamic(value: Value) -> str:
    if value.shape is None:
        return "unknown"
    if all(d is not None for d in value.shape):
        return "none"
    return "batch" if all(d is not None for d in value.shape[1:]) else "other"


def _tensor_facts(facts: Facts, prefix: str, type_name: str, value: Value) -> None:
    """rank and const of one input; its dtype under the name of its type variable; the most dynamic shape of all inputs as `dynamic`."""
    if type_name:
        facts.setdefault("dtype" if type_name == "T" else f"{type_name}.dtype", value.dtype)
    facts[f"{prefix}.rank"] = "unknown" if value.shape is None else len(value.shape)
    facts[f"{prefix}.const"] = value.const
    if not value.const:
        facts["dynamic"] = max(str(facts.get("dynamic", "none")), _dynamic(value), key=_DYNAMIC.index)
    if value.shape is not None and 0 in value.shape:
        facts["empty"] = True


def signature(node: Node) -> Facts:
    """Return the facts of one node; its scope supplies types, constants and the quantisation around it."""
    opset = node.scope.opsets.get(node.domain, 1 if node.domain else 0)
    found = schema(node.domain, node.op_type, opset)
    view = View(node, opset)
    facts = view.facts
    facts["since_version"] = found.since_version if found is not None else opset
    for formal in view.formals:
        if formal.variadic:
            facts[f"{formal.name}.count"] = len(view.variadic)
            if view.variadic:
                longest = max(view.variadic, key=lambda v: 99 if v.shape is None else len(v.shape))
                _tensor_facts(facts, formal.name, formal.type_name, longest)
                facts[f"{formal.name}.const"] = any(v.const for v in view.variadic)
        elif formal.optional:
            facts[f"{formal.name}.present"] = formal.name in view.inputs
    for name, value in view.inputs.items():
        _tensor_facts(facts, name, view.types[name], value)
    if (written := WRITTEN.get(node.op_type, "")) and written not in view.given:
        facts[f"{written}.present"] = False
    for made in node.output if node.op_type == "If" else ():  # what its bodies read is no input of it
        facts["dynamic"] = max(str(facts.get("dynamic", "none")), _dynamic(node.scope.value(made)), key=_DYNAMIC.index)
    used = sum(1 for o in node.output if o)
    if used > 1:
        facts["outputs"] = used
    if (rule := RELATIONS.get(node.op_type)) and node.domain in ("", "com.microsoft"):
        rule(view)
    _attribute_facts(view)
    if node.op_type not in ("QuantizeLinear", "DequantizeLinear"):
        facts["quantised"] = _quantised(node)
        if facts["quantised"] != "none" and (grain := _weights_quantised(node)):
            facts["weights quantised"] = grain
    return facts


class Signatures:
    """`signature` of the nodes of one model, as facts and as a set of them; taken once of nodes that nothing tells apart, most of a large model."""

    def __init__(self, operators: Set[str]) -> None:
        self.kept: dict[Any, tuple[Facts, frozenset[tuple[str, Any]]]] = {}
        self.alone = operators.isdisjoint(("QuantizeLinear", "DequantizeLinear"))  # else facts come from the nodes around it too

    def __call__(self, node: Node) -> tuple[Facts, frozenset[tuple[str, Any]]]:
        key = self._key(node) if self.alone and all(a.type not in (5, 10) for a in node.attribute) else node
        if key not in self.kept:
            facts = signature(node)
            self.kept[key] = facts, frozenset(facts.items())
        return self.kept[key]

    def _key(self, node: Node) -> tuple[Any, ...]:
        """All that `signature` looks at: attributes, and types of inputs and outputs, which are the same objects where they are equal."""
        scope = node.scope

        def told(name: str) -> Any:
            value = scope.value(name) if name else None
            if value is None or not value.const or (value.tensor is not None and in_fields(value.tensor)):
                return id(value)
            return value.dtype, value.shape, value.tensor.raw_data if value.tensor is not None else b""

        kind = (node.op_type, node.domain, id(scope.opsets), *(a.SerializeToString() for a in node.attribute))
        return kind, tuple(map(told, node.input)), tuple(id(scope.value(o)) if o else 0 for o in node.output)


def _attribute_facts(view: View) -> None:
    """Turn the attributes that no relation took into facts: floats count only as default or other, lists by their length."""
    usual = defaults(*view.key)
    for attribute in view.node.attribute:
        if attribute.type == TENSOR:
            view.facts[f"{attribute.name}.dtype"] = DTYPES.get(attribute.t.data_type, "unknown")
            view.facts[f"{attribute.name}.rank"] = len(attribute.t.dims)
        elif attribute.type == GRAPH:
            body = attribute.g
            inside = {o for n in body.node for o in n.output} | {t.name for t in body.initializer} | {i.name for i in body.input}
            outside = any(i not in inside for n in body.node for i in n.input if i)
            nested = any(a.type == GRAPH for n in body.node for a in n.attribute)
            view.facts["body reads outside"] = outside or bool(view.facts.get("body reads outside"))
            view.facts["body has inner bodies"] = nested or bool(view.facts.get("body has inner bodies"))
    for name, value in view.attributes.items():
        if value is None or name in view.facts:
            continue
        if name == "axis" and isinstance(value, int):
            rank = next((len(v.shape) for v in [*view.inputs.values(), *view.variadic] if v.shape is not None), None)
            view.facts["axis"] = place(value, rank)
            view.facts["axis.negative"] = value < 0
        elif isinstance(value, float):
            view.facts[name] = "default" if value == usual.get(name) else "other"
            view.facts[f"{name}.explicit"] = name in view.given
        elif isinstance(value, list):
            view.facts[f"{name}.count"] = len(value)
        elif isinstance(value, int) and name in ("to", "dtype", "output_dtype", "stash_type", "softmax_precision"):
            view.facts[name] = DTYPES.get(value, "default" if value == 0 else "unknown")
        elif isinstance(value, str):
            view.facts[name] = value[:60]
        else:
            view.facts[name] = value


def _quantised(node: Node) -> str:
    """Say whether the node sits in a QDQ island: `none`, or the stored dtype of its first dequantised input (`open` without a Q after it)."""
    scope = node.scope
    stored = ""
    for name in node.input:
        maker = scope.producer.get(name)
        if maker is not None and maker.op_type == "DequantizeLinear" and maker.input:
            stored = scope.value(maker.input[0]).dtype
            break
    if not stored:
        return "none"
    readers = [r for o in node.output for r in scope.consumers.get(o, [])]
    closed = bool(readers) and all(r.op_type == "QuantizeLinear" for r in readers)
    return stored if closed else f"{stored} open"


def _weights_quantised(node: Node) -> str:
    """Say how finely the stored constant behind the second input is scaled; empty where there is none."""
    maker = node.scope.producer.get(node.input[1]) if len(node.input) > 1 else None
    if maker is None or maker.op_type != "DequantizeLinear" or len(maker.input) < 2 or not node.scope.value(maker.input[0]).const:
        return ""
    shape = node.scope.value(maker.input[1]).shape
    return "" if shape is None else "per tensor" if shape in ((), (1,)) else "per channel" if len(shape) == 1 else "per block"


def _spelled(node: Node) -> str:
    given = {a.name: attribute_value(a) for a in node.attribute}
    texts = [
        f"{k}={'x'.join(map(str, v)) if isinstance(v, list) else v}" for k, v in sorted(given.items()) if not isinstance(v, float) and v is not None
    ]
    return f"{node.op_type}({','.join(texts)})" if texts else node.op_type


def pattern_facts(value: Value, opset: int, nodes: Iterable[Node]) -> Facts:
    """Return the facts of a pattern: its first input, the model's opset, and its spelling (operators and attributes, in the probe's order)."""
    facts: Facts = {"opset": opset, "spelling": " ".join(map(_spelled, nodes))}
    _tensor_facts(facts, "input", "T", value)
    return facts
