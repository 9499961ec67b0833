"""Matrix products and recurrent layers: Einsum, Gemm, computed and dynamic operands, single rows, LSTM, GRU and RNN against MatMul by FLOPs."""

from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

from opcompat.probe import Const, Graph, Probe, const, data, pattern, single_op
from opcompat.timing import YARDSTICK, Timing, timing, weights

FAMILY = "timing"
STEPS, HIDDEN = 32, 256
GATES = {"LSTM": 4, "GRU": 3, "RNN": 1}


def product(name: str, a: Sequence[int], b: Sequence[int], computed: bool = False, **more: Any) -> Probe:
    second = data(*b, seed=1) if computed else Const(weights(*b, low=-0.1, high=0.1))
    return single_op(FAMILY, "MatMul", name, {"A": data(*a), "B": second}, **more)


def flops(p: Probe, b: Sequence[int]) -> float:
    return 2.0 * prod(p.inputs["A"].shape) * b[-1]


def products() -> Iterator[Timing]:
    square = (768, 768)
    plain = product("128x768x768", (128, 768), square)
    free = product("dynamic rows", (128, 768), square, dynamic={"A": ["N", 768]})
    yield timing(free, plain, what="MatMul with a dynamic number of rows", than="one with a fixed number", marks=("dynamic",))
    computed = product("computed", (128, 768), square, computed=True)
    yield timing(computed, plain, what="MatMul with a computed second operand", than="one with a constant operand", marks=("B.const",))
    gemm = {"A": data(128, 768), "B": Const(weights(*square, low=-0.1, high=0.1)), "C": Const(weights(768))}
    for turned in (0, 1):
        subject = single_op(FAMILY, "Gemm", f"transB={turned}", gemm, transB=turned)
        yield timing(subject, plain, what=f"Gemm with transB={turned}", than="MatMul of the same FLOPs", marks=("transB", "transA", "B.const"))
    turned = single_op(FAMILY, "Gemm", "transA=1", {**gemm, "A": data(768, 128)}, transA=1)
    yield timing(turned, plain, what="Gemm with transA=1", than="MatMul of the same FLOPs", marks=("transB", "transA", "B.const"))
    one = product("1 row", (1, 768), square)
    yield timing(one, plain, what="MatMul of one row", than="one of 128 rows, by FLOPs", work=(1, 128), marks=("B.const",), limit=YARDSTICK)
    a, b = (12, 197, 64), (12, 64, 197)
    batched = product("heads", a, b, computed=True)
    wide = (flops(batched, b), flops(plain, square))
    yield timing(
        batched, plain, what="MatMul of 12 heads (197x64x197)", than="a 2-D MatMul, by FLOPs", work=wide, marks=("A.rank", "B.const"), limit=YARDSTICK
    )
    broadcast = single_op(FAMILY, "MatMul", "broadcast", {"A": data(12, 197, 64), "B": data(64, 197)})
    yield timing(broadcast, batched, what="MatMul that broadcasts its batch", than="one with equal batches", marks=("batch broadcast", "B.const"))
    whole = {"A": data(128, 768), "B": Const(weights(768, 768, low=-0.1, high=0.1))}
    for channels, height, width, rows in ((768, 8, 16, plain), (64, 56, 56, product("3136x64x64", (3136, 64), (64, 64)))):
        inputs = {"X": data(1, channels, height, width), "W": Const(weights(channels, channels, 1, 1, low=-0.1, high=0.1))}
        conv = single_op(FAMILY, "Conv", f"1x1,channels={channels}", inputs, kernel_shape=[1, 1])
        text = f"a 1x1 Conv of {channels} channels ({height}x{width})"
        yield timing(conv, rows, what=text, than="MatMul of the same FLOPs", marks=("kernel.max", "grouping", "stride.max"))
    q, k = data(1, 12, 197, 64), data(1, 12, 197, 64, seed=1)
    heads = product("heads, 4-D", (1, 12, 197, 64), (1, 12, 64, 197), computed=True)
    for name, equation, inputs, single in (
        ("matrices", "ij,jk->ik", whole, plain),
        ("batched", "bij,bjk->bik", {"A": data(*a), "B": data(*b, seed=1)}, batched),
        ("heads", "bhid,bhjd->bhij", {"A": q, "B": k}, heads),
        ("tokens first", "bihd,bjhd->bhij", {"A": data(1, 197, 12, 64), "B": data(1, 197, 12, 64, seed=1)}, heads),
    ):
        subject = single_op(FAMILY, "Einsum", name, inputs, equation=equation)
        yield timing(subject, single, what=f"Einsum {equation}", than="MatMul of the same FLOPs", marks=("equation",))


def recurrent() -> Iterator[Timing]:
    """A layer of 256 over 32 steps against as many single-row MatMuls as it needs, which is how fast steps that wait for each other can be."""
    for op_type, gates in GATES.items():
        for batch in (1, 8):
            inputs = {
                "X": data(STEPS, batch, HIDDEN), "W": Const(weights(1, gates * HIDDEN, HIDDEN, low=-0.1, high=0.1)),
                "R": Const(weights(1, gates * HIDDEN, HIDDEN, low=-0.1, high=0.1)), "B": Const(weights(1, 2 * gates * HIDDEN)),
            }  # fmt: skip
            layer = single_op(FAMILY, op_type, f"batch={batch}", inputs, hidden_size=HIDDEN)

            def steps(g: Graph, n: int = gates) -> Any:
                x, w = "A", g.const(weights(HIDDEN, n * HIDDEN, low=-0.1, high=0.1))
                for _ in range(STEPS):
                    x = g("Slice", g("MatMul", x, w), const([0]), const([HIDDEN]), const([1]))
                return x

            chain = pattern(FAMILY, "MatMul", f"{STEPS} in a row", steps, {"A": data(batch, HIDDEN)})
            yield timing(
                layer, chain, what=f"{op_type} of 256 over 32 steps (batch {batch})", than="its MatMuls one after the other, by FLOPs", work=(2, 1),
                marks=("direction",), limit=YARDSTICK,
            )  # fmt: skip


def probes() -> Iterator[Probe]:
    yield from products()
    yield from recurrent()
