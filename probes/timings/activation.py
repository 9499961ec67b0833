"""Activations and other work on each element: GELU, SiLU, HardSwish and Mish in every spelling against the single operator, powers, division,
broadcasting."""

from collections.abc import Iterator
from typing import Any

from opcompat.probe import Const, Graph, Probe, const, data, pattern, single_op
from opcompat.timing import MOVED, YARDSTICK, Timing, family, timing, weights

FAMILY = "timing"
SHAPES = {3: (1, 128, 3072), 4: (1, 64, 56, 56)}


def one(op_type: str, rank: int, opset: int = 20, **attributes: Any) -> Probe:
    return single_op(FAMILY, op_type, "alone", {"x": data(*SHAPES[rank], low=-3, high=3)}, opset=opset, **attributes)


def spelled() -> Iterator[Timing]:
    singles = {
        "gelu-erf": one("Gelu", 3), "gelu-tanh": one("Gelu", 3, approximate="tanh"), "gelu-tanh-pow": one("Gelu", 3, approximate="tanh"),
        "gelu-sigmoid": one("Gelu", 3), "silu": one("Sigmoid", 4), "hardswish-primitives": one("HardSwish", 4),
        "hardswish-hardsigmoid": one("HardSwish", 4), "mish-primitives": one("Mish", 4),
    }  # fmt: skip
    for name, (rank, spellings) in family("activation_patterns").SPELLINGS.items():
        for spelling, spell in spellings.items():

            def make(graph: Graph, spell: Any = spell) -> str:
                def g(op_type: str, *inputs: Any, **attributes: Any) -> Any:
                    return graph(op_type, *[i if isinstance(i, str) else const(i) for i in inputs], **attributes)

                return str(spell(g))

            subject = pattern(FAMILY, name, spelling, make, {"x": data(*SHAPES[rank], low=-3, high=3)})
            single = singles[name]
            than = f"one {single.op_type} of the same elements"
            limit = 0.5 if name == "silu" else 2 / 3  # no operator of its own at this opset: a Mul more than what it is compared with
            yield timing(subject, single, what=f"{name} ({spelling})", than=than, marks=("spelling",), limit=limit)


def scaled() -> Iterator[Timing]:
    """What single operators cost, in Relus of the same elements."""
    for op_type in ("Gelu", "Erf", "HardSwish", "Mish", "Sigmoid", "Tanh", "Exp", "Softplus"):
        than = "Relu of the same elements"
        yield timing(one(op_type, 4), one("Relu", 4), what=op_type, than=than, marks=("since_version",), limit=YARDSTICK)


def paired() -> Iterator[Timing]:
    x = {"x": data(*SHAPES[4], low=0.1, high=2)}

    def binary(op_type: str, name: str, second: Any) -> Probe:
        return single_op(FAMILY, op_type, name, {**x, "y": second})

    scalar = binary("Mul", "scalar", const(2.0))
    same = "Mul of the same elements"
    for exponent in (2.0, 3.0, 0.5):
        yield timing(
            binary("Pow", f"exponent={exponent:g}", const(exponent)), scalar, what=f"Pow with exponent {exponent:g}", than=same, marks=("exponent",),
            limit=MOVED,
        )  # fmt: skip
    yield timing(binary("Div", "constant", const(3.0)), scalar, what="Div by a constant", than=same, marks=("broadcast", "B.const"))
    whole = binary("Add", "equal shapes", data(*SHAPES[4], seed=1))
    for name, shape in (("channels", (64, 1, 1)), ("columns", (56,)), ("rows", (1, 1, 56, 1)), ("gate", (1, 64, 1, 1))):
        subject = binary("Mul" if name == "gate" else "Add", f"broadcast={name}", data(*shape) if name == "gate" else Const(weights(*shape)))
        yield timing(
            subject, whole, what=f"{subject.op_type} broadcasting {name}", than="Add of equal shapes", marks=("broadcast", "B.const"), limit=0.5
        )
    slope = {"x": data(*SHAPES[4]), "slope": Const(weights(64, 1, 1))}
    yield timing(
        single_op(FAMILY, "PRelu", "channels", slope), one("LeakyRelu", 4), what="PRelu by channel", than="LeakyRelu of the same elements",
        marks=("broadcast",),
    )  # fmt: skip
    clip = single_op(FAMILY, "Clip", "relu6", {"x": data(*SHAPES[4]), "min": const(0.0), "max": const(6.0)})
    yield timing(clip, one("Relu", 4), what="Clip to 0..6", than="Relu of the same elements", marks=("range",))
    where = {"condition": data(*SHAPES[4], dtype="bool"), "x": data(*SHAPES[4]), "y": data(*SHAPES[4], seed=2)}
    yield timing(
        single_op(FAMILY, "Where", "equal shapes", where), whole, what="Where", than="Add of the same elements", marks=("broadcast",), limit=MOVED
    )


def probes() -> Iterator[Probe]:
    yield from spelled()
    yield from scaled()
    yield from paired()
