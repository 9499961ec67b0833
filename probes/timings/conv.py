"""Convolutions of 56 x 56 x 64 images: grouped, depthwise, dilated, strided, long and large kernels, 1-D, 3-D, transposed, deformable, each against a
plain Conv by the FLOPs it does."""

from collections.abc import Iterator, Sequence
from math import prod

from opcompat.probe import Const, Graph, Probe, const, data, pattern, single_op
from opcompat.timing import MOVED, YARDSTICK, Timing, timing, weights

FAMILY = "timing"
SHAPE_1D = ("kernel.max", "grouping", "stride.max", "dilation.max")
SHAPE = ("kernel.max", "kernel.square", "stride.max", "dilation.max")


def conv(
    name: str, cin: int = 64, out: int = 64, kernel: Sequence[int] = (3, 3), group: int = 1, stride: int = 1, dilation: int = 1,
    size: Sequence[int] = (56, 56), op_type: str = "Conv", pads: Sequence[int] | None = None, computed: bool = False,
    dynamic: Sequence[int | str] | None = None,
) -> Probe:  # fmt: skip
    n = len(kernel)
    half = [dilation * (k - 1) // 2 for k in kernel]
    shape = (cin, out // group, *kernel) if op_type == "ConvTranspose" else (out, cin // group, *kernel)
    weight = weights(*shape, low=-0.2, high=0.2)
    return single_op(
        FAMILY, op_type, name, {"X": data(1, cin, *size), "W": weight if computed else Const(weight), "B": Const(weights(out))}, group=group,
        kernel_shape=list(kernel), strides=[stride] * n, dilations=[dilation] * n, pads=list(pads or half * 2),
        dynamic={"X": dynamic} if dynamic else None,
    )  # fmt: skip


def flops(p: Probe) -> float:
    """Multiplications and additions of a Conv or ConvTranspose of fixed shape."""
    graph = p.proto.graph
    node = graph.node[p.focus or 0]
    weight = next(list(t.dims) for t in graph.initializer if t.name == node.input[1])
    around = p.inputs["X"].shape if node.op_type == "ConvTranspose" else [d.dim_value for d in graph.output[0].type.tensor_type.shape.dim]
    return 2.0 * prod(around) * prod(weight[1:])


def against(subject: Probe, baseline: Probe, what: str, than: str, marks: Sequence[str], **more: float) -> Timing:
    return timing(subject, baseline, what=what, than=than, marks=marks, work=(flops(subject), flops(baseline)), **more)


def grouped() -> Iterator[Timing]:
    dense, odd = "a dense Conv of the same FLOPs", "group channels multiple of 4"
    marks = ("grouping", *SHAPE)
    for k, counts in ((3, (2, 4, 8, 16, 32)), (1, (2, 4, 8))):
        for g in counts:
            subject = conv(f"{k}x{k},groups={g}", kernel=(k, k), group=g)
            plain = conv("dense", 64, round(64 / g / 4) * 4 or 4, kernel=(k, k))  # the same input, as many FLOPs
            yield against(subject, plain, f"a {k}x{k} Conv in {g} groups of {64 // g} channels (56x56)", dense, (*marks, odd))
    for g in (2, 6):
        subject = conv(f"3x3,groups={g},channels=60", 60, 60, group=g)
        plain = conv("dense", 60, 60 // g)
        yield against(subject, plain, f"a 3x3 Conv in {g} groups of {60 // g} channels (56x56)", dense, (*marks, odd))
    wide = conv("3x3,groups=32,channels=256", 256, 256, group=32, size=(14, 14))
    yield against(wide, conv("dense", 256, 8, size=(14, 14)), "a 3x3 Conv in 32 groups of 8 channels (14x14)", dense, (*marks, odd))
    for k, stride in ((3, 1), (3, 2), (5, 1), (7, 1)):
        subject = conv(f"{k}x{k},depthwise,stride={stride}", kernel=(k, k), group=64, stride=stride)
        text = f"a {k}x{k} depthwise Conv of 64 channels (56x56, stride {stride})"
        yield against(subject, conv("dense", 64, 4, kernel=(k, k), stride=stride), text, dense, marks, limit=YARDSTICK)
    for c, size in ((64, (56, 56)), (96, (28, 28))):
        twofold = conv(f"3x3,depthwise multiplier=2,channels={c}", c, 2 * c, group=c, size=size)
        plain = conv("depthwise", 2 * c, 2 * c, group=2 * c, size=size)
        yield against(twofold, plain, f"a depthwise 3x3 Conv with two outputs for each of {c} channels", "one with one output", marks)


def shaped() -> Iterator[Timing]:
    """Half the throughput is what a 3x3 Conv may win by Winograd's algorithm, which the others cannot use."""
    square = conv("3x3")
    plain, half = "a 3x3 Conv of the same FLOPs", 0.5
    for d in (2, 4):
        yield against(
            conv(f"3x3,dilation={d}", dilation=d), square, f"a 3x3 Conv with dilation {d} (56x56x64)", plain, (*SHAPE, "grouping"), limit=half
        )
    yield against(
        conv("3x3,stride=2", stride=2, size=(112, 112)), square, "a 3x3 Conv with stride 2 (112x112x64)", plain, (*SHAPE, "grouping"), limit=half
    )
    deep = conv("3x3,stride=2,channels=128", 128, 128, stride=2, size=(28, 28))
    few = conv("dense", 128, 128, size=(14, 14))
    yield against(deep, few, "a 3x3 Conv with stride 2 (28x28x128)", plain, (*SHAPE, "grouping"), limit=half)
    for kernel in ((1, 7), (7, 1), (5, 5), (7, 7)):
        name = "x".join(map(str, kernel))
        yield against(conv(name, kernel=kernel), square, f"a {name} Conv (56x56x64)", plain, (*SHAPE, "grouping"), limit=half)
    pads = conv("3x3,pads=asymmetric", pads=(0, 0, 2, 2))
    yield against(pads, square, "a 3x3 Conv padded on two sides only", "one padded on all sides", (*SHAPE, "grouping", "padding"))
    computed = conv("3x3,weights=computed", computed=True)
    marks = (*SHAPE, "grouping", "W.const")
    yield timing(computed, square, what="a 3x3 Conv with computed weights", than="one with constant weights", marks=marks)
    for name, dynamic in (("batch", ["N", 64, 56, 56]), ("spatial", ["N", 64, "H", "W"])):
        free = conv(f"3x3,dynamic={name}", dynamic=dynamic)
        yield timing(
            free, square, what=f"a 3x3 Conv with dynamic dimensions ({name})", than="one of fixed shape", marks=(*SHAPE, "grouping", "dynamic")
        )
    line = conv("1-D,3", kernel=(3,), size=(3136,))
    yield against(line, conv("1x3", kernel=(1, 3), size=(1, 3136)), "a 1-D Conv of 64 channels", "the same Conv in 2-D", SHAPE_1D)
    space = conv("3-D,3x3x3", 16, 16, kernel=(3, 3, 3), size=(16, 28, 28))
    yield against(space, square, "a 3x3x3 Conv (16x28x28x16)", plain, ("kernel.max", "grouping", "stride.max", "dilation.max"), limit=half)


def transposed() -> Iterator[Timing]:
    def resized(g: Graph) -> str:
        up = g("Resize", "X", None, const([1.0, 1.0, 2.0, 2.0]), mode="nearest", coordinate_transformation_mode="asymmetric", nearest_mode="floor")
        return str(g("Conv", up, Const(weights(64, 64, 3, 3, low=-0.2, high=0.2)), pads=[1] * 4, kernel_shape=[3, 3], mark=True))

    x = {"X": data(1, 64, 28, 28)}
    route = pattern(FAMILY, "Conv", "resized", resized, x)
    marks = ("grouping", "kernel.max", "stride.max")
    for k, pads in ((2, [0] * 4), (4, [1] * 4)):
        subject = conv(f"{k}x{k},stride=2", kernel=(k, k), stride=2, size=(28, 28), op_type="ConvTranspose", pads=pads)
        text = f"a {k}x{k} ConvTranspose with stride 2 (28x28x64)"
        yield timing(subject, route, what=text, than="Resize and a 3x3 Conv to the same size", marks=marks)
    plain = conv("dense", 64, 16, kernel=(4, 4), stride=2, size=(28, 28), op_type="ConvTranspose", pads=[1] * 4)
    subject = conv("4x4,stride=2,groups=4", kernel=(4, 4), stride=2, group=4, size=(28, 28), op_type="ConvTranspose", pads=[1] * 4)
    yield against(subject, plain, "a 4x4 ConvTranspose in 4 groups", "a dense one of the same FLOPs", marks)
    each = conv("4x4,stride=2,depthwise", kernel=(4, 4), stride=2, group=64, size=(28, 28), op_type="ConvTranspose", pads=[1] * 4)
    grown = single_op(FAMILY, "Resize", "linear", {"X": x["X"], "roi": None, "scales": const([1.0, 1.0, 2.0, 2.0])}, mode="linear")
    yield timing(each, grown, what="a depthwise 4x4 ConvTranspose with stride 2", than="a linear Resize to the same size", marks=marks, limit=MOVED)
    offset = data(1, 18, 28, 28)
    weight = Const(weights(64, 64, 3, 3, low=-0.2, high=0.2))
    bent = single_op(FAMILY, "DeformConv", "3x3", {**x, "W": weight, "offset": offset}, opset=19, kernel_shape=[3, 3], pads=[1] * 4)
    yield against(bent, conv("3x3", size=(28, 28)), "a 3x3 DeformConv (28x28x64)", "a 3x3 Conv of the same FLOPs", ("kernel.max",), limit=MOVED)


def probes() -> Iterator[Probe]:
    yield from grouped()
    yield from shaped()
    yield from transposed()
