"""Relations: what turns the raw attributes and constants of an operator into facts that decide support, one function per kind of operator.

A relation looks at a View of the node and writes into its facts; the attributes it takes do not become facts of their own.
"""

from collections.abc import Callable
from math import prod
from typing import Any

from opcompat.model import DTYPES, Node, Value
from opcompat.schema import Facts, Formal, attribute_value, defaults, formals, small_values


def place(axis: Any, rank: int | None) -> str:
    """Name an axis by its place, so that ranks can be compared: batch, channel, last, inner, past the last; unknown without a rank."""
    if axis is None:
        return "none"
    if rank is None:
        return "unknown"
    position = int(axis) + rank if axis < 0 else int(axis)
    if position >= rank - 1:
        return "last" if position == rank - 1 else "past the last"
    return {0: "batch", 1: "channel"}.get(position, "inner")


class View:
    """What a relation may look at: inputs by formal name, attributes with defaults, and the facts so far."""

    def __init__(self, node: Node, opset: int) -> None:
        self.node, self.opset, self.facts = node, opset, Facts()
        self.key = (node.domain, node.op_type, opset)
        given = {a.name: attribute_value(a) for a in node.attribute}
        self.given = set(given)
        self.attributes: dict[str, Any] = {**defaults(*self.key), **given}
        self.inputs: dict[str, Value] = {}
        self.variadic: list[Value] = []
        self.types: dict[str, str] = {}
        self.formals = formals(*self.key)
        for index, name in enumerate(node.input):
            formal = self.formals[min(index, len(self.formals) - 1)] if self.formals else Formal(f"in{index}", f"in{index}", True, False)
            if formal.variadic:
                self.variadic.append(node.scope.value(name))
            elif name:
                self.inputs[formal.name] = node.scope.value(name)
                self.types[formal.name] = formal.type_name
        outputs = [node.scope.value(o) for o in node.output if o]
        self.output = outputs[0] if outputs else Value()

    def rank(self, formal: str) -> int | None:
        value = self.inputs.get(formal)
        return None if value is None or value.shape is None else len(value.shape)

    def shape(self, formal: str) -> tuple[int | None, ...] | None:
        value = self.inputs.get(formal)
        return value.shape if value else None

    def numbers(self, formal: str) -> list[float] | None:
        value = self.inputs.get(formal)
        return small_values(value) if value else None

    def take(self, *names: str) -> list[Any]:
        """Return attributes and remove them from those that become raw facts."""
        return [self.attributes.pop(n, None) for n in names]


Relation = Callable[[View], None]
RELATIONS: dict[str, Relation] = {}


def relation(*op_types: str) -> Callable[[Relation], Relation]:
    """Register the function that turns raw attributes of these operators into relations."""

    def register(function: Relation) -> Relation:
        RELATIONS.update(dict.fromkeys(op_types, function))
        return function

    return register


def _window(view: View, weights: str | None) -> None:
    """kernel_shape, strides, dilations, pads -> sizes and kinds shared by convolution and pooling."""
    kernel, strides, dilations, pads, auto_pad = view.take("kernel_shape", "strides", "dilations", "pads", "auto_pad")
    if not kernel and weights and (shape := view.shape(weights)):
        kernel = list(shape[2:])
        view.facts["kernel_shape.present"] = False  # what exporters leave out is rare, and refused by some
    if kernel and all(isinstance(k, int) for k in kernel):
        view.facts["kernel.max"] = max(kernel)
        view.facts["kernel.even"] = any(k % 2 == 0 for k in kernel)
        view.facts["kernel.square"] = len(set(kernel)) == 1
    view.facts["stride.max"] = max(strides or [1])
    view.facts["stride.equal"] = len(set(strides or [1])) == 1
    view.facts["dilation.max"] = max(dilations or [1])
    view.facts["auto_pad"] = auto_pad or "NOTSET"
    if (auto_pad or "NOTSET") == "NOTSET":
        pads = pads or [0]
        half = len(pads) // 2
        if not any(pads):
            kind = "none"
        elif min(pads) < 0:
            kind = "negative"
        else:
            kind = "symmetric" if pads[:half] == pads[half:] else "asymmetric"
        view.facts["padding"] = kind
        if kind == "asymmetric":  # exporters pad behind, as SAME_UPPER does; causal networks pad before
            wider = [(b > a) - (b < a) for b, a in zip(pads, pads[half:], strict=False)]
            view.facts["pads.wider"] = "behind" if max(wider) <= 0 else "before" if min(wider) >= 0 else "either"
        if kernel and all(isinstance(k, int) for k in kernel):
            reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations or [1] * len(kernel), strict=False)]
            view.facts["pads as wide as the kernel"] = any(p >= r for p, r in zip(pads, reach * 2, strict=False))


@relation("Conv", "ConvInteger", "QLinearConv", "ConvTranspose", "DeformConv")
def _conv(view: View) -> None:
    weights = {"ConvInteger": "w", "QLinearConv": "w"}.get(view.node.op_type, "W")
    _window(view, weights)
    (group,) = view.take("group")
    group, shape = group or 1, view.shape(weights)
    kind = "none" if group == 1 else "few"
    if group > 1 and shape and len(shape) > 1 and shape[0] is not None and shape[1] is not None:
        transposed = view.node.op_type == "ConvTranspose"
        per_in, per_out = (shape[0] // group, shape[1]) if transposed else (shape[1], shape[0] // group)
        if per_in == 1:
            kind = "depthwise" if per_out == 1 else "depthwise multiplier"
        else:
            view.facts["group channels multiple of 4"] = per_in % 4 == 0 and per_out % 4 == 0
    view.facts["grouping"] = kind
    if view.node.op_type == "ConvTranspose":
        output_padding, output_shape = view.take("output_padding", "output_shape")
        view.facts["output_padding"] = any(output_padding or [])
        view.facts["output_shape"] = bool(output_shape)
    if view.node.op_type == "QLinearConv" and (scale := view.rank("w_scale")) is not None:
        view.facts["weights quantised"] = "per channel" if scale and (view.shape("w_scale") or (1,))[0] != 1 else "per tensor"


@relation("MaxPool", "AveragePool", "LpPool", "QLinearAveragePool", "MaxUnpool")
def _pool(view: View) -> None:
    _window(view, None)


@relation("Resize", "Upsample")
def _resize(view: View) -> None:
    rank, values, by = view.rank("X"), None, "scales"
    if view.node.op_type == "Upsample" and "scales" in view.attributes:
        (values,) = view.take("scales")
    elif "sizes" in view.inputs:
        by, sizes, shape = "sizes", view.numbers("sizes"), view.shape("X")
        if sizes and shape and len(sizes) == len(shape) and all(shape):
            values = [s / d for s, d in zip(sizes, shape, strict=True) if d]
    else:
        values = view.numbers("scales")
    axes = view.attributes.pop("axes", None)
    view.facts["axes.given"] = axes is not None
    view.facts["axes.negative"] = any(a < 0 for a in axes or [])
    view.facts["by"] = by
    if values:
        full = dict(zip(axes or range(len(values)), values, strict=False))
        changed = [v for v in values if v != 1]
        up, down = any(v > 1 for v in changed), any(v < 1 for v in changed)
        view.facts["direction"] = "mixed" if up and down else "up" if up else "down" if down else "same"
        view.facts["whole factor"] = all(float(v).is_integer() for v in values)
        if by == "scales" and (shape := view.shape("X")) and all(shape):
            sizes = [v * (shape[a] or 0) for a, v in full.items() if -len(shape) <= a < len(shape)]
            view.facts["exact size"] = all(abs(s - round(s)) < 1e-3 for s in sizes)
        if rank:
            moved = sorted(a % rank for a, v in full.items() if v != 1)
            known = {"spatial": list(range(2, rank)), "channels last": list(range(1, rank - 1)), "all": list(range(rank))}
            inside = all(a > 1 for a in moved)
            view.facts["resizes"] = "nothing" if not moved else "spatial" if inside else next((k for k, v in known.items() if v == moved), "other")
    coefficient, mode = view.attributes.get("cubic_coeff_a"), view.attributes.get("mode")
    view.take("cubic_coeff_a")
    if mode == "cubic":
        view.facts["cubic_coeff_a"] = f"{coefficient:g}" if isinstance(coefficient, float) else "unknown"
    elif not view.attributes.get("antialias"):
        view.take("exclude_outside")
    if mode != "nearest":
        view.take("nearest_mode")
    if view.attributes.get("coordinate_transformation_mode") != "tf_crop_and_resize":
        view.take("extrapolation_value")


@relation("Reshape")
def _reshape(view: View) -> None:
    values = view.numbers("shape")
    if values is not None:
        view.facts["output rank"] = len(values)
        view.facts["copies dims"] = 0 in values
        view.facts["infers a dim"] = -1 in values
    elif view.output.shape is not None:
        view.facts["output rank"] = len(view.output.shape)


def _places(axes: list[float] | None, rank: int | None) -> str:
    """Name several axes by their places: one place, or `several`."""
    found = {place(a, rank) for a in axes or []}
    return "none" if not found else found.pop() if len(found) == 1 else "several"


@relation("Slice")
def _slice(view: View) -> None:
    steps, starts, ends, axes = (view.numbers(n) for n in ("steps", "starts", "ends", "axes"))
    rank, shape = view.rank("data"), view.shape("data")
    if "starts" in view.attributes:
        starts, ends, axes = view.take("starts", "ends", "axes")
    if steps:
        view.facts["step"] = "negative" if min(steps) < 0 else "one" if max(steps) == 1 else "over one"
    elif "steps" not in view.inputs:
        view.facts["step"] = "one"
    if starts is not None:
        axes = axes or list(range(len(starts)))
        view.facts["start.negative"] = any(s < 0 for s in starts)
        view.facts["axes"] = _places(axes, rank)
        view.facts["axes.count"] = len(starts)
        view.facts["axes.negative"] = any(a < 0 for a in axes)
        if ends and shape and len(axes) == len(ends):
            sizes = [shape[int(a)] for a in axes if -len(shape) <= a < len(shape)]
            beyond = any(s is not None and e > s for e, s in zip(ends, sizes, strict=False))
            view.facts["end"] = "negative" if min(ends) < 0 else "beyond the dimension" if beyond else "inside"
    if view.output.shape is not None and 0 in view.output.shape:
        view.facts["empty result"] = True


@relation("Pad")
def _pad(view: View) -> None:
    values = view.numbers("pads")
    if "pads" in view.attributes:
        (values,) = view.take("pads")
    rank, axes = view.rank("data"), view.numbers("axes")
    if values:
        half = len(values) // 2
        padded = [i for i in range(half) if values[i] or values[i + half]]
        places = [int(axes[i]) if axes and i < len(axes) else i for i in padded]
        view.facts["pads.negative"] = min(values) < 0
        if rank and rank > 2:
            outside = {place(p, rank) for p in places} & {"batch", "channel"}
            view.facts["pads"] = "nothing" if not padded else "spatial" if not outside else "batch" if "batch" in outside else "channel"
        view.facts["padding"] = "symmetric" if values[:half] == values[half:] else "asymmetric"
        view.facts["pads.max"] = int(max(values))


@relation("Cast")
def _cast(view: View) -> None:
    (to,) = view.take("to")
    view.facts["from to"] = f"{view.inputs['input'].dtype} to {DTYPES.get(to, 'unknown')}" if "input" in view.inputs else "unknown"
    for name in ("dtype", "T1.dtype"):
        view.facts.pop(name, None)


@relation("Gather", "GatherElements", "ScatterElements", "GatherND", "ScatterND", "Scatter")
def _gather(view: View) -> None:
    values = view.numbers("indices")
    if values is not None:
        view.facts["indices.negative"] = any(v < 0 for v in values)
    if view.output.shape is not None:
        view.facts["output rank"] = len(view.output.shape)
    shape, picked, axis = view.shape("data"), view.shape("indices"), view.attributes.get("axis") or 0
    if "Elements" in view.node.op_type and shape and picked and len(shape) == len(picked) and None not in (*shape, *picked):
        pairs = list(zip(shape, picked, strict=True))
        del pairs[axis : axis + 1 or None]
        view.facts["indices.narrower"] = any(a != b for a, b in pairs)


@relation("Compress")
def _compress(view: View) -> None:
    (axis,) = view.take("axis")
    shape, (length, *_) = view.shape("input") or (), view.shape("condition") or (None,)
    view.facts["axis"] = place(axis, view.rank("input"))
    chosen = shape if axis is None else shape[axis : axis + 1 or None]
    if length is not None and (sizes := [d for d in chosen if d is not None]) and len(sizes) == len(chosen):
        view.facts["condition.shorter"] = length < prod(sizes)


@relation("DFT", "STFT")
def _spectrum(view: View) -> None:
    shape = view.shape("input" if view.node.op_type == "DFT" else "signal") or (None,)
    view.facts["complex"] = shape[-1] == 2


@relation("Transpose")
def _transpose(view: View) -> None:
    (perm,) = view.take("perm")
    rank = view.rank("data")
    if perm is None and rank is not None:
        perm = list(range(rank))[::-1]
    if perm is not None:
        n = len(perm)
        kinds = {
            "identity": list(range(n)),
            "swaps last two": [*range(n - 2), n - 1, n - 2] if n > 1 else None,
            "to channels last": [0, *range(2, n), 1] if n > 2 else None,
            "to channels first": [0, n - 1, *range(1, n - 1)] if n > 2 else None,
            "swaps heads": [0, 2, 1, 3] if n == 4 else None,
            "reverses": list(range(n))[::-1],
        }
        view.facts["perm"] = next((k for k, p in kinds.items() if p == perm), "moves batch" if perm and perm[0] else "other")


def _broadcast(view: View, a: Value | None, b: Value | None) -> None:
    if a is None or b is None or a.shape is None or b.shape is None:
        return
    first, second = a.shape, b.shape
    if first == second:
        kind = "none"
    elif all(d == 1 for d in first) or all(d == 1 for d in second):
        kind = "scalar"
    else:
        n = max(len(first), len(second))
        left, right = ((1,) * (n - len(s)) + tuple(s) for s in (first, second))
        grows_left = any(x == 1 and y != 1 for x, y in zip(left, right, strict=True))
        grows_right = any(y == 1 and x != 1 for x, y in zip(left, right, strict=True))
        kind = "both" if grows_left and grows_right else "one" if grows_left or grows_right else "none"
    view.facts["broadcast"] = kind


@relation(
    "Add", "Sub", "Mul", "Div", "Pow", "Mod", "And", "Or", "Xor", "Equal", "Greater", "Less", "GreaterOrEqual", "LessOrEqual",
    "PRelu", "BitShift", "BitwiseAnd", "BitwiseOr", "BitwiseXor",
)  # fmt: skip
def _binary(view: View) -> None:
    values = list(view.inputs.values())
    if len(values) > 1:
        _broadcast(view, values[0], values[1])
    if view.node.op_type == "Pow":
        exponent = view.numbers("Y")
        view.facts["exponent"] = f"{exponent[0]:g}" if exponent and len(set(exponent)) == 1 else "several" if exponent else "computed"


@relation("Max", "Min", "Sum", "Mean")
def _variadic_binary(view: View) -> None:
    if len(view.variadic) > 1:
        _broadcast(view, view.variadic[0], view.variadic[1])


@relation("Where")
def _where(view: View) -> None:
    _broadcast(view, view.inputs.get("X"), view.inputs.get("condition"))


@relation("MatMul", "MatMulInteger", "QLinearMatMul")
def _matmul(view: View) -> None:
    values = [v for n, v in view.inputs.items() if n in ("A", "B", "a", "b")]
    if len(values) == 2 and values[0].shape is not None and values[1].shape is not None:
        left, right = values[0].shape[:-2], values[1].shape[:-2]
        view.facts["batch broadcast"] = bool(left or right) and left != right


def _axes(view: View, axes: list[float] | None, rank: int | None) -> None:
    if axes is None:
        view.facts["axes"] = "computed" if "axes" in view.inputs else "all"
    elif rank is not None:
        positions = {int(a) % rank if rank else 0 for a in axes}
        if len(positions) == rank:
            kind = "all"
        elif positions == {rank - 1}:
            kind = "last"
        elif rank > 2 and positions == set(range(2, rank)):
            kind = "spatial"
        elif rank > 1 and len(positions) == 1 and positions <= {0, 1}:
            kind = place(positions.pop(), rank)
        else:
            kind = "with batch" if 0 in positions else "other"
        view.facts["axes"] = kind
        view.facts["axes.negative"] = any(a < 0 for a in axes)


@relation(
    "ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1", "ReduceL2", "ReduceLogSum", "ReduceLogSumExp",
    "ReduceSumSquare", "MeanVarianceNormalization",
)  # fmt: skip
def _reduce(view: View) -> None:
    (axes,) = view.take("axes") if "axes" in view.attributes else (view.numbers("axes"),)
    _axes(view, axes, view.rank("data") if "data" in view.inputs else view.rank("X"))


@relation("Squeeze", "Unsqueeze")
def _squeeze(view: View) -> None:
    (axes,) = view.take("axes") if "axes" in view.attributes else (view.numbers("axes"),)
    if axes is not None:
        view.facts["axes.count"] = len(axes)
        view.facts["axes.negative"] = any(a < 0 for a in axes)


@relation("QuantizeLinear", "DequantizeLinear")
def _quantize(view: View) -> None:
    scale = next((n for n in view.inputs if "scale" in n), "")
    shape, rank = view.shape(scale), next((len(v.shape) for v in view.inputs.values() if v.shape is not None), None)
    (axis,) = view.take("axis")
    if shape is not None:
        per = "tensor" if len(shape) == 0 or shape == (1,) else "channel" if len(shape) == 1 else "block"
        view.facts["per"] = per
        if per != "tensor":
            view.facts["axis"] = place(axis, rank)
    view.facts["from constant"] = next(iter(view.inputs.values()), Value()).const
    view.facts["in an island"] = _in_island(view.node)
    zero = next((v for n, v in view.inputs.items() if "zero_point" in n), None)
    if view.node.op_type == "QuantizeLinear":
        view.facts["to"] = zero.dtype if zero else DTYPES.get(view.attributes.pop("output_dtype", 0), "uint8")


def _in_island(node: Node) -> bool:
    """Say whether a Q feeds only DQs, or a DQ takes from a Q or a constant and feeds other operators: runtimes then see one quantised operator."""
    scope = node.scope
    if node.op_type == "QuantizeLinear":
        readers = scope.consumers.get(node.output[0], []) if node.output else []
        return bool(readers) and all(r.op_type == "DequantizeLinear" for r in readers)
    if not node.input:
        return False
    maker = scope.producer.get(node.input[0])
    return scope.value(node.input[0]).const or (maker is not None and maker.op_type == "QuantizeLinear")


@relation("NonMaxSuppression")
def _nms(view: View) -> None:
    scores = view.shape("scores")
    if scores and len(scores) == 3:
        view.facts["several classes"] = scores[1] != 1
        view.facts["several batches"] = scores[0] != 1
    for fact, name in (("limit", "max_output_boxes_per_class"), ("iou", "iou_threshold")):
        value = view.numbers(name)
        given = name in view.inputs
        view.facts[fact] = "computed" if given and not value else "over zero" if value and value[0] > 0 else "zero"


@relation("Einsum")
def _einsum(view: View) -> None:
    (equation,) = view.take("equation")
    letters: dict[str, str] = {}
    text = "".join(
        letters.setdefault(c, "abcdefghijklmnopqrstuvwxyz"[len(letters) % 26]) if c.isalpha() else c for c in str(equation or "") if c != " "
    )
    view.facts["equation"] = text[:40]
    left, _, right = text.partition("->")
    terms = left.split(",")
    view.facts["terms"] = len(terms)
    view.facts["ellipsis"] = "..." in text
    view.facts["repeated index"] = any(len(set(t)) < len(t.replace("...", "")) for t in terms)
    view.facts["explicit output"] = "->" in text
    names = {c for t in terms for c in t if c.isalpha()}
    view.facts["contracts"] = bool(names - set(right)) if "->" in text else True


@relation("Split")
def _split(view: View) -> None:
    sizes = view.numbers("split")
    if "split" in view.attributes:
        (sizes,) = view.take("split")
    view.facts["equal parts"] = sizes is None or len(set(sizes)) == 1
    view.facts["outputs"] = len(view.node.output)


@relation("LSTM", "GRU", "RNN")
def _recurrent(view: View) -> None:
    activations, _, _, clip, _ = view.take("activations", "activation_alpha", "activation_beta", "clip", "hidden_size")
    view.facts["activations"] = " ".join(activations) if activations else "default"
    view.facts["clip"] = clip is not None
    view.facts["outputs used"] = " ".join(f"{n}" for n, o in zip(("Y", "Y_h", "Y_c"), view.node.output, strict=False) if o)


@relation("CumSum", "CumProd")
def _cumulative(view: View) -> None:
    axis = view.numbers("axis")
    view.facts["axis"] = place(axis[0], view.rank("x")) if axis else "computed"


@relation("Gemm")
def _gemm(view: View) -> None:
    c, out = view.shape("C"), view.output.shape
    if c is not None:
        whole = tuple(c) == tuple(out or ()) and len(c) == 2
        view.facts["C.form"] = "scalar" if all(d == 1 for d in c) else "full" if whole else "column" if len(c) == 2 and c[1] == 1 else "row"


@relation("Expand", "Tile")
def _expand(view: View) -> None:
    before, after = view.shape("input"), view.output.shape
    if before is not None and after is not None and len(before) == len(after):
        view.facts["grows"] = _places([i for i, (x, y) in enumerate(zip(before, after, strict=True)) if x != y], len(after))
    elif before is not None and after is not None:
        view.facts["grows"] = "rank"


@relation("ConstantOfShape")
def _constant_of_shape(view: View) -> None:
    if view.output.shape is not None:
        view.facts["output rank"] = len(view.output.shape)


@relation("Clip")
def _clip(view: View) -> None:
    low, high = view.numbers("min"), view.numbers("max")
    if view.key[2] < 11:
        low, high = ([v] if v is not None and abs(v) < 3e38 else None for v in view.take("min", "max"))
    view.facts["range"] = "relu6" if (low, high) == ([0], [6]) else "two sided" if low and high else "one sided or computed"


@relation("AffineGrid")
def _affine_grid(view: View) -> None:
    size = view.numbers("size")
    view.facts["output rank"] = len(size) if size else "unknown"


@relation("Attention")
def _attention(view: View) -> None:
    query, key, value = (view.shape(n) for n in ("Q", "K", "V"))
    heads, kv_heads = view.take("q_num_heads", "kv_num_heads")
    if query and key and value and len(query) == len(key) == len(value):
        several = (query[1], key[1]) if len(query) == 4 else (heads, kv_heads)
        view.facts["shared heads"] = several[0] != several[1]
        view.facts["equal lengths"] = query[-2] == key[-2]
        view.facts["equal widths"] = key[-1] == value[-1] if len(query) == 4 else "unknown"
    mask = view.shape("attn_mask")
    if mask is not None:
        view.facts["mask broadcast"] = 1 in mask[:-2] or len(mask) < 4


@relation("LRN")
def _lrn(view: View) -> None:
    (size,) = view.take("size")
    view.facts["size.even"] = bool(size and size % 2 == 0)
