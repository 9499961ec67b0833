"""Normalisations and attention in primitives against the single operator; reductions and Softmax over inner axes against the last one."""

from collections.abc import Iterator
from typing import Any

from opcompat.probe import Const, Graph, Probe, const, data, pattern, single_op
from opcompat.timing import MOVED, YARDSTICK, Timing, timing, weights

FAMILY = "timing"
WORDS, IMAGE, HEADS = (1, 384, 768), (1, 64, 56, 56), (1, 12, 197, 64)


def layer(name: str) -> Probe:
    inputs = {"x": data(*WORDS), "scale": Const(weights(768, low=0.5, high=1.5)), "bias": Const(weights(768))}
    return single_op(FAMILY, "LayerNormalization", name, inputs)


def mean(g: Graph, x: str) -> Any:
    return g("ReduceMean", x, axes=[-1], keepdims=1)


def layer_primitives(g: Graph) -> str:
    centred = g("Sub", "x", mean(g, "x"))
    y = g("Div", centred, g("Sqrt", g("Add", mean(g, g("Pow", centred, const(2.0))), const(1e-5))))
    return str(g("Add", g("Mul", y, Const(weights(768, low=0.5, high=1.5))), Const(weights(768))))


def rms_primitives(g: Graph) -> str:
    root = g("Sqrt", g("Add", mean(g, g("Pow", "x", const(2.0))), const(1e-5)))
    return str(g("Mul", Const(weights(768, low=0.5, high=1.5)), g("Mul", "x", g("Div", const(1.0), root))))


def group_primitives(g: Graph) -> str:
    grouped = g("Reshape", "x", const([0, 32, -1]))
    normal = g("InstanceNormalization", grouped, Const(weights(32, low=1, high=1.01)), Const(weights(32)), epsilon=1e-5)
    back = g("Reshape", normal, const([0, *IMAGE[1:]]))
    return str(g("Add", g("Mul", back, Const(weights(64, 1, 1, low=0.5, high=1.5))), Const(weights(64, 1, 1))))


def instance_primitives(g: Graph) -> str:
    def average(x: str) -> Any:
        return g("ReduceMean", x, axes=[2, 3], keepdims=1)

    centred = g("Sub", "x", average("x"))
    y = g("Div", centred, g("Sqrt", g("Add", average(g("Pow", centred, const(2.0))), const(1e-5))))
    return str(g("Add", g("Mul", y, Const(weights(64, 1, 1, low=0.5, high=1.5))), Const(weights(64, 1, 1))))


def normalisations() -> Iterator[Timing]:
    word, image = {"x": data(*WORDS)}, {"x": data(*IMAGE)}
    channel = {**image, "scale": Const(weights(64, low=0.5, high=1.5)), "bias": Const(weights(64))}
    instance = single_op(FAMILY, "InstanceNormalization", "alone", channel)
    for name, make, inputs, single in (
        ("layernorm-primitives", layer_primitives, word, layer("alone")), ("rmsnorm-primitives", rms_primitives, word, layer("alone")),
        ("groupnorm-primitives", group_primitives, image, instance), ("instancenorm-primitives", instance_primitives, image, instance),
    ):  # fmt: skip
        subject = pattern(FAMILY, name, "realistic", make, inputs)
        yield timing(subject, single, what=name, than=f"one {single.op_type} of the same elements", marks=("spelling",))
    batch = {**channel, "mean": Const(weights(64)), "var": Const(weights(64, low=0.5, high=1.5))}
    plain = single_op(FAMILY, "BatchNormalization", "alone", batch)
    yield timing(
        instance, plain, what="InstanceNormalization", than="BatchNormalization of the same elements", marks=("since_version",), limit=YARDSTICK
    )
    rms = single_op(FAMILY, "RMSNormalization", "alone", {"x": word["x"], "scale": Const(weights(768, low=0.5, high=1.5))}, opset=23)
    yield timing(rms, layer("alone"), what="RMSNormalization", than="LayerNormalization of the same elements", marks=("since_version",))


def attention() -> Iterator[Timing]:
    q, k, v = (data(*HEADS, seed=s) for s in range(3))
    turned = {"Q": q, "K": k.swapaxes(2, 3).copy(), "V": v}

    def make(g: Graph) -> str:
        scores = g("Div", g("MatMul", "Q", "K"), const(8.0))
        return str(g("MatMul", g("Softmax", scores, axis=-1), "V"))

    def products(g: Graph) -> str:
        return str(g("MatMul", g("MatMul", "Q", "K"), "V"))

    bare = pattern(FAMILY, "MatMul", "two", products, turned)
    spelled = pattern(FAMILY, "attention-primitives", "realistic", make, turned)
    yield timing(spelled, bare, what="attention in primitives (12 heads, 197 tokens)", than="its two MatMuls", marks=("spelling",), limit=MOVED)
    single = single_op(FAMILY, "Attention", "12 heads", {"Q": q, "K": k, "V": v}, opset=23)
    yield timing(single, spelled, what="Attention (12 heads, 197 tokens)", than="the same in primitives", marks=("since_version",))


def over_axes() -> Iterator[Timing]:
    for shape in ((1, 21, 96, 96), (1, 64, 56, 56)):
        x, size = {"x": data(*shape)}, "x".join(map(str, shape[1:]))
        last = single_op(FAMILY, "Softmax", "last", x, axis=-1)
        mean = single_op(FAMILY, "ReduceMean", "last", x, axes=[3])
        for axis, place in ((1, "channel"), (2, "inner")):
            subject = single_op(FAMILY, "Softmax", f"axis={place},{size}", x, axis=axis)
            yield timing(subject, last, what=f"Softmax over axis {axis} ({size})", than="Softmax over the last axis", marks=("axis",))
        for name, axes in (("channel", [1]), ("spatial", [2, 3]), ("inner", [2])):
            subject = single_op(FAMILY, "ReduceMean", f"axes={name},{size}", x, axes=axes)
            yield timing(subject, mean, what=f"ReduceMean over {name} axes ({size})", than="ReduceMean over the last axis", marks=("axes",))
    log = single_op(FAMILY, "LogSoftmax", "last", x, axis=-1)
    yield timing(log, last, what="LogSoftmax", than="Softmax of the same elements", marks=("axis",))
    for op_type in ("ReduceMax", "ReduceSumSquare", "ReduceL2", "ReduceLogSumExp"):
        for name, axes in (("last", [3]), ("channel", [1])):
            subject = single_op(FAMILY, op_type, f"axes={name}", x, axes=axes)
            limit = YARDSTICK if op_type == "ReduceLogSumExp" else MOVED
            yield timing(subject, mean, what=f"{op_type} over {name} axes", than="ReduceMean over the last axis", marks=("axes",), limit=limit)
    top = single_op(FAMILY, "ArgMax", "channel", x, axis=1)
    yield timing(
        top, single_op(FAMILY, "ReduceMax", "channel", x, axes=[1]), what="ArgMax over channels", than="ReduceMax", marks=("axis",), limit=MOVED
    )


def probes() -> Iterator[Probe]:
    yield from normalisations()
    yield from attention()
    yield from over_axes()
