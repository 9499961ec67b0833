"""Activations spelled in primitives as exporters write them: GELU four ways, SiLU, HardSwish and Mish, by spelling, rank, dtype and opset.

Runtimes fuse some spellings and miss others, so each order of operators is a probe of its own under the pattern's name."""

from collections.abc import Callable, Iterator
from typing import Any

from opcompat.probe import Graph, Probe, const, data, describe, np_dtype, pattern, vary

FAMILY = "activation_patterns"
BASE = {"rank": 4, "dtype": "float32", "dynamic": "none", "opset": 17}
ROOT_HALF, ROOT_TWO, ROOT_TWO_OVER_PI, CUBIC = 0.7071067811865476, 1.4142135623730951, 0.7978845608028654, 0.044715
SHAPES: dict[int, tuple[int, ...]] = {2: (5, 8), 3: (2, 5, 8), 4: (1, 6, 5, 4)}

Call = Callable[..., Any]
"""Adds a node; numbers among its inputs become scalar initializers of the pattern's dtype."""


def erf_last_half(g: Call, by: str = "Div") -> Any:
    """torch.nn.GELU: x * (1 + erf(x / sqrt 2)) * 0.5."""
    return g("Mul", g("Mul", "x", g("Add", scaled_erf(g, by), 1.0)), 0.5)


def scaled_erf(g: Call, by: str) -> Any:
    return g("Erf", g("Div", "x", ROOT_TWO) if by == "Div" else g("Mul", "x", ROOT_HALF))


def erf_first_half(g: Call, by: str = "Mul") -> Any:
    """x * 0.5 * (1 + erf(x * 0.7071))."""
    return g("Mul", g("Mul", "x", 0.5), g("Add", scaled_erf(g, by), 1.0))


def erf_inner_half(g: Call, by: str = "Div") -> Any:
    """x times the normal distribution's cumulative function, as BERT's code has it."""
    return g("Mul", "x", g("Mul", g("Add", scaled_erf(g, by), 1.0), 0.5))


def erf_half_on_sum(g: Call) -> Any:
    """onnxscript: 0.5 * (x * (erf + 1))."""
    return g("Mul", 0.5, g("Mul", "x", g("Add", scaled_erf(g, "Div"), 1.0)))


def tanh_of(g: Call, cube: Any) -> Any:
    return g("Add", g("Tanh", g("Mul", g("Add", "x", g("Mul", cube, CUBIC)), ROOT_TWO_OVER_PI)), 1.0)


def tanh_mul(g: Call) -> Any:
    """torch's gelu(approximate="tanh")."""
    return g("Mul", g("Mul", "x", tanh_of(g, g("Mul", "x", g("Mul", "x", "x")))), 0.5)


def tanh_mul_first_half(g: Call) -> Any:
    return g("Mul", g("Mul", "x", 0.5), tanh_of(g, g("Mul", g("Mul", "x", "x"), "x")))


def tanh_fast(g: Call) -> Any:
    """transformers' gelu_fast: the cube is factored out, 1 + 0.044715 x x."""
    factor = g("Add", g("Mul", g("Mul", "x", CUBIC), "x"), 1.0)
    return g("Mul", g("Mul", "x", 0.5), g("Add", g("Tanh", g("Mul", g("Mul", "x", ROOT_TWO_OVER_PI), factor)), 1.0))


def tanh_pow(g: Call) -> Any:
    """transformers' gelu_new."""
    return g("Mul", g("Mul", "x", 0.5), tanh_of(g, g("Pow", "x", 3.0)))


def tanh_pow_last_half(g: Call) -> Any:
    return g("Mul", g("Mul", "x", tanh_of(g, g("Pow", "x", 3.0))), 0.5)


def tanh_pow_inner_half(g: Call) -> Any:
    return g("Mul", "x", g("Mul", tanh_of(g, g("Pow", "x", 3.0)), 0.5))


def gelu_sigmoid(g: Call) -> Any:
    return g("Mul", "x", g("Sigmoid", g("Mul", "x", 1.702)))


def silu(g: Call) -> Any:
    return g("Mul", "x", g("Sigmoid", "x"))


def relu6(g: Call) -> Any:
    return g("Clip", g("Add", "x", 3.0), 0.0, 6.0)


def hardswish(g: Call) -> Any:
    return g("Div", g("Mul", "x", relu6(g)), 6.0)


def hardswish_inner(g: Call) -> Any:
    return g("Mul", "x", g("Div", relu6(g), 6.0))


def hardswish_sixth(g: Call) -> Any:
    return g("Mul", "x", g("Mul", relu6(g), 1 / 6))


def hardswish_last_sixth(g: Call) -> Any:
    return g("Mul", g("Mul", "x", relu6(g)), 1 / 6)


def hardsigmoid(g: Call) -> Any:
    """torch.nn.Hardswish: beta is left to its default."""
    return g("Mul", "x", g("HardSigmoid", "x", alpha=1 / 6))


def hardsigmoid_beta(g: Call) -> Any:
    return g("Mul", "x", g("HardSigmoid", "x", alpha=1 / 6, beta=0.5))


def mish(g: Call) -> Any:
    return g("Mul", "x", g("Tanh", g("Softplus", "x")))


def mish_exp(g: Call) -> Any:
    """Softplus in primitives too, as darknet's converters write it."""
    return g("Mul", "x", g("Tanh", g("Log", g("Add", g("Exp", "x"), 1.0))))


SPELLINGS: dict[str, tuple[int, dict[str, Callable[[Call], Any]]]] = {
    "gelu-erf": (3, {
        "last half": erf_last_half, "first half": erf_first_half, "inner half": erf_inner_half, "half times product": erf_half_on_sum,
        "last half,by=Mul": lambda g: erf_last_half(g, "Mul"), "first half,by=Div": lambda g: erf_first_half(g, "Div"),
        "inner half,by=Mul": lambda g: erf_inner_half(g, "Mul"),
    }),
    "gelu-tanh": (3, {"last half": tanh_mul, "first half": tanh_mul_first_half, "factored": tanh_fast}),
    "gelu-tanh-pow": (3, {"first half": tanh_pow, "last half": tanh_pow_last_half, "inner half": tanh_pow_inner_half}),
    "gelu-sigmoid": (3, {"last sigmoid": gelu_sigmoid}),
    "silu": (4, {"last sigmoid": silu}),
    "hardswish-primitives": (4, {
        "last Div": hardswish, "inner Div": hardswish_inner, "inner Mul": hardswish_sixth, "last Mul": hardswish_last_sixth,
    }),
    "hardswish-hardsigmoid": (4, {"default beta": hardsigmoid, "given beta": hardsigmoid_beta}),
    "mish-primitives": (4, {"Softplus": mish, "Log of Exp": mish_exp}),
}  # fmt: skip
"""Pattern -> rank of its base and its spellings, the commonest first."""


def activation(name: str, base: dict, f: dict, spell: Callable[[Call], Any]) -> Probe:
    shape = SHAPES[f["rank"]] if f["dynamic"] == "none" else (3, *SHAPES[f["rank"]][1:])
    reach = 5.0 if name.startswith("hard") else 3.0
    kind = np_dtype(f["dtype"])

    def make(graph: Graph) -> str:
        def g(op_type: str, *inputs: Any, **attributes: Any) -> Any:
            return graph(op_type, *[i if isinstance(i, str) else const(i, kind.name) for i in inputs], **attributes)

        return str(spell(g))

    dynamic = {"none": None, "batch": {"x": ["N", *shape[1:]]}, "all": {"x": ["N", *"CHW"[: len(shape) - 1]]}}[f["dynamic"]]
    x = data(*shape, dtype=f["dtype"], low=-reach, high=reach)
    return pattern(FAMILY, name, describe(base, f), make, {"x": x}, opset=f["opset"], dynamic=dynamic)


def probes() -> Iterator[Probe]:
    for name, (rank, spellings) in SPELLINGS.items():
        first = next(iter(spellings))
        base = {**BASE, "rank": rank, "spelling": first}
        for f in vary(base, rank=[2, 3, 4], dtype=["float16"], dynamic=["batch", "all"], opset=[13, 20], spelling=list(spellings)):
            yield activation(name, base, f, spellings[f["spelling"]])
