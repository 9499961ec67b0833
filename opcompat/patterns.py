"""Find a pattern probe's graph inside a user's graph: same operators, wiring and scalar constants; sizes and other constants are free."""

from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

from opcompat.bare_onnx import pb
from opcompat.model import Node, Scope, Value, of_proto
from opcompat.schema import small_values

TAKES_AXES = frozenset({"ReduceMean", "ReduceSum", "ReduceMax", "Squeeze", "Unsqueeze"})
"""Operators whose second input says what they do, not how large things are."""
COMMUTATIVE = frozenset({"Add", "Mul", "Sum", "Max", "Min"})
Bound = dict[str, str]
Covered = tuple[Node, ...]
Ways = Iterator[tuple[Bound, Covered]]
"""Every way to continue: template value -> user value, and the user's nodes used so far."""


@dataclass(frozen=True)
class Template:
    """A pattern's graph. `key` is equal for spellings that differ only in sizes, dtypes or opset."""

    name: str
    scope: Scope
    root: str
    inputs: tuple[str, ...]
    key: tuple[Any, ...]

    @property
    def operators(self) -> frozenset[str]:
        return frozenset(n.op_type for n in self.scope.nodes)


@dataclass(frozen=True)
class Match:
    """A place where a pattern occurs: the nodes it covers and the value that feeds its first input."""

    name: str
    nodes: tuple[Node, ...]
    feed: Value
    template: tuple[Node, ...]


def templates(patterns: Sequence[tuple[str, bytes]], operators: frozenset[str]) -> list[Template]:
    """Return one template per distinct spelling whose operators all occur among `operators`, largest first."""
    found: dict[tuple[Any, ...], Template] = {}
    for name, data in patterns:
        proto = pb.ModelProto.FromString(data)
        if len(proto.graph.output) != 1 or not {n.op_type for n in proto.graph.node} <= operators:
            continue
        scope = of_proto(proto, name, "-", infer=False).main
        key = (name, *((n.op_type, tuple(_kind(scope, i) for i in n.input)) for n in proto.graph.node))
        found.setdefault(key, Template(name, scope, proto.graph.output[0].name, tuple(i.name for i in proto.graph.input), key))
    return sorted(found.values(), key=lambda t: (-len(t.scope.nodes), t.name))


def _kind(scope: Scope, name: str) -> Any:
    value = scope.value(name)
    return _scalar(value) if value.const else name


def _scalar(value: Value) -> float | None:
    numbers = small_values(value) if value.const else None
    return round(float(numbers[0]), 4) if numbers and len(numbers) == 1 else None


def matches(template: Template, scope: Scope, taken: Set[Node] = frozenset()) -> Iterator[Match]:
    """Yield the places in one graph where the template occurs and covers no node in `taken`; places never overlap."""
    root = template.scope.producer[template.root]
    used: set[Node] = set(taken)
    for node in scope.by_type.get(root.op_type, ()):
        if node in used or not root.makers <= node.makers:
            continue
        for bound, group in _node(template, root, scope, node, {}, ()):
            if any(n in used for n in group) or not _closed(scope, group, node):
                continue
            used.update(group)
            first = next((i for i in template.inputs if i in bound), "")
            yield Match(template.name, group, scope.value(bound.get(first, "")), tuple(template.scope.nodes))
            break


def _closed(scope: Scope, group: Sequence[Node], root: Node) -> bool:
    """Say whether nothing outside the group reads its inner values: else no runtime may fuse it."""
    inner = [o for n in group if n is not root for o in n.output]
    return not any(o in scope.outputs or any(r not in group for r in scope.consumers.get(o, [])) for o in inner)


def _attributes(node: Node) -> Mapping[str, Any]:
    return {a.name: (a.i, a.s, tuple(a.ints), round(a.f, 4)) for a in node.attribute if a.type in (1, 2, 3, 7)} if node.attribute else {}


def _node(template: Template, mine: Node, scope: Scope, theirs: Node, bound: Bound, covered: Covered) -> Ways:
    """mine and theirs are of one operator, and theirs has the makers that mine has."""
    if mine.domain != theirs.domain or len(mine.input) != len(theirs.input) or _attributes(mine) != _attributes(theirs):
        return
    if mine.op_type in TAKES_AXES and len(mine.input) > 1:
        wanted, given = (small_values(s.value(p.input[1])) for s, p in ((template.scope, mine), (scope, theirs)))
        if wanted != given:
            return
    orders = [list(theirs.input)]
    if mine.op_type in COMMUTATIVE and len(mine.input) == 2:
        orders.append(orders[0][::-1])
    for order in orders:
        yield from _inputs(
            template, list(zip(mine.input, order, strict=True)), scope, bound, (*covered, theirs) if theirs not in covered else covered
        )


def _inputs(template: Template, pairs: list[tuple[str, str]], scope: Scope, bound: Bound, covered: Covered) -> Ways:
    if not pairs:
        yield bound, covered
        return
    (mine, theirs), rest = pairs[0], pairs[1:]
    for next_bound, next_covered in _value(template, mine, scope, theirs, bound, covered):
        yield from _inputs(template, rest, scope, next_bound, next_covered)


def _value(template: Template, mine: str, scope: Scope, theirs: str, bound: Bound, covered: Covered) -> Ways:
    if bound.get(mine, theirs) != theirs:
        return
    if mine in bound or not mine:
        if bool(mine) == bool(theirs):
            yield bound, covered
        return
    maker = template.scope.producer.get(mine)
    if maker is not None and maker.op_type != "Constant":
        other = scope.producer.get(theirs)
        if other is not None and other.op_type == maker.op_type and maker.makers <= other.makers:
            yield from _node(template, maker, scope, other, {**bound, mine: theirs}, covered)
        return
    value = template.scope.value(mine)
    if mine in template.inputs or (scope.value(theirs).const and (_scalar(value) is None or _scalar(value) == _scalar(scope.value(theirs)))):
        yield {**bound, mine: theirs}, covered
