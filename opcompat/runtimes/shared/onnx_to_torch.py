"""ONNX as PyTorch, for runtimes whose models come from there: each operator as the function of torch from which torch.onnx makes that operator,
where there is one, else as what a person would write with a few of them.

What only constants decide, such as a shape that Reshape wants, is computed beforehand, as torch.export does it.
https://docs.pytorch.org/docs/stable/onnx_export.html
"""

import math

import numpy as np

_TORCH = {
    1: "float32", 2: "uint8", 3: "int8", 4: "uint16", 5: "int16", 6: "int32", 7: "int64", 9: "bool", 10: "float16", 11: "float64",
    12: "uint32", 13: "uint64", 16: "bfloat16", 17: "float8_e4m3fn", 18: "float8_e4m3fnuz", 19: "float8_e5m2", 20: "float8_e5m2fnuz",
}  # fmt: skip
_RAW = {"bfloat16": "bfloat16", "float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz", "float8e5m2": "float8_e5m2"}
_RAW["float8e5m2fnuz"] = "float8_e5m2fnuz"
_QUANTA = {"int8": (-128, 127), "uint8": (0, 255), "int16": (-32768, 32767), "uint16": (0, 65535), "int32": (-(2**31), 2**31 - 1)}
_LIMIT = 1 << 16  # elements of a constant that is computed beforehand


class CannotFeed(Exception):
    pass


class Node:
    """One ONNX node: its attributes, which of its inputs are constant, and the constants derived from them."""

    def __init__(self, proto, opset, onnx):
        self.op, self.opset, self.inputs, self.outputs = proto.op_type, opset, list(proto.input), list(proto.output)
        self.attributes = {a.name: onnx.helper.get_attribute_value(a) for a in proto.attribute}
        self.statics, self.arrays, self.derived, self.owner, self.turn = {}, {}, [], None, 0

    def __call__(self, name, default=None):
        value = self.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def has(self, index):
        return index < len(self.inputs) and bool(self.inputs[index])

    def is_static(self, index):
        return self.has(index) and self.inputs[index] in self.statics

    def static(self, index, default=None):
        """Return the constant input as an array. Raises CannotFeed where it is computed."""
        if not self.has(index):
            return default
        if self.inputs[index] not in self.statics:
            raise CannotFeed("input %d of %s is computed, and its function in PyTorch takes a constant" % (index, self.op))
        if index not in self.arrays:  # while torch.export looks on, no tensor can be read
            self.arrays[index] = self.statics[self.inputs[index]].float().numpy() if self.is_odd(index) else self.statics[self.inputs[index]].numpy()
        return self.arrays[index]

    def is_odd(self, index):
        return str(self.statics[self.inputs[index]].dtype) == "torch.bfloat16"

    def ints(self, index, name=None, default=None):
        """Return a list of integers that an attribute holds, or since a later opset an input."""
        if self.has(index):
            return [int(v) for v in self.static(index).ravel()]
        value = self.attributes.get(name, default) if name else default
        return None if value is None else list(value)

    def constant(self, make):
        """Return make(), computed once and kept as a buffer of the module."""
        self.turn += 1
        if self.owner is None:
            self.derived.append(make())
            return self.derived[-1]
        return getattr(self.owner, "derived_%s_%d" % (self.key, self.turn - 1))


class Translator:
    """Holds one method an operator, named like it; it gets the Node and its inputs, and returns a tensor or several."""

    def __init__(self):
        import onnx
        import torch

        self.onnx, self.torch, self.F = onnx, torch, torch.nn.functional
        import torch.ao.quantization.fx._decomposed  # (registers the operators of quantised graphs)

        same = "Relu Sigmoid Tanh Abs Neg Sqrt Exp Log Erf Floor Ceil Round Sin Cos Tan Asin Acos Atan Sinh Cosh Asinh Acosh Atanh Sign Reciprocal"
        self.direct = {name: getattr(torch, name.lower()) for name in same.split()}
        F = self.F
        self.direct.update(
            Softsign=F.softsign, HardSwish=F.hardswish, Mish=F.mish, IsNaN=torch.isnan, Det=torch.linalg.det, Not=torch.logical_not,
            And=torch.logical_and, Or=torch.logical_or, Xor=torch.logical_xor, Equal=torch.eq, Greater=torch.gt, Less=torch.lt,
            GreaterOrEqual=torch.ge, LessOrEqual=torch.le, Where=torch.where, Add=torch.add, Sub=torch.sub, Mul=torch.mul,
            MatMul=torch.matmul, BitwiseAnd=torch.bitwise_and, BitwiseOr=torch.bitwise_or, BitwiseXor=torch.bitwise_xor,
            BitwiseNot=torch.bitwise_not,
        )  # fmt: skip

    # ---- models

    def translate(self, path, inputs, dtypes):
        """Return (module, arguments, outputs): the model as an nn.Module, its sample inputs, and what the module makes of them.

        Raises CannotFeed for what has no translation here, for sizes that are open, and for what PyTorch itself does not compute.
        """
        model = self.onnx.load(path)
        opsets = {o.domain or "ai.onnx": o.version for o in model.opset_import}
        graph = model.graph
        if model.functions or graph.sparse_initializer:
            raise CannotFeed("functions and sparse initializers are not translated")
        for value in graph.input:
            if value.type.WhichOneof("value") != "tensor_type":
                raise CannotFeed("inputs that are no tensors are not translated")
            if value.name in inputs and any(not d.HasField("dim_value") for d in value.type.tensor_type.shape.dim):
                raise CannotFeed("the model is exported with fixed sizes, and input %s has open ones" % value.name)
        env = {name: self.tensor(array, dtypes[name]) for name, array in inputs.items()}
        statics = {}
        for value in graph.initializer:
            if value.name not in inputs:
                statics[value.name] = self.constant(value)
        env.update(statics)
        steps = []
        for number, proto in enumerate(graph.node):
            node = Node(proto, opsets.get("ai.onnx", 1), self.onnx)
            node.key, node.statics = str(number), statics
            if proto.domain not in ("", "ai.onnx"):
                raise CannotFeed("%s is made from no function of PyTorch" % proto.op_type)
            call = self.direct_call if proto.op_type in self.direct else getattr(self, proto.op_type, None)
            if call is None:
                raise CannotFeed("%s is not translated to PyTorch" % proto.op_type)
            made = self.attempt(call, node, [env[name] if name else None for name in node.inputs])
            env.update((name, tensor) for name, tensor in zip(node.outputs, made) if name)
            if self.is_foreseen(node, made):
                statics.update((name, tensor) for name, tensor in zip(node.outputs, made) if name)
            else:
                steps.append((call, node))
        wanted = [o.name for o in graph.output]
        if any(name in statics for name in wanted):
            raise CannotFeed("an output depends on nothing but constants and sizes: PyTorch's exporter leaves no operator for it")
        module = self.module(steps, list(inputs), statics, wanted)
        return module, tuple(env[name] for name in inputs), [self.array(env[name]) for name in wanted]

    def attempt(self, call, node, values):
        node.turn = 0
        try:
            with self.torch.no_grad():
                made = call(node, *values)
        except CannotFeed:
            raise
        except Exception as error:
            text = str(error).strip().splitlines() or [type(error).__name__]
            raise CannotFeed("PyTorch itself, or this translation, does not compute %s: %s" % (node.op, text[0][:300])) from error
        return list(made) if isinstance(made, (tuple, list)) else [made]

    def is_foreseen(self, node, made):
        if node.op in ("Shape", "Size", "Constant"):
            return True
        small = all(not t.is_floating_point() and not t.is_complex() and t.numel() <= _LIMIT for t in made)
        return small and node.op not in ("ConstantOfShape", "Range", "EyeLike") and all(n in node.statics for n in node.inputs if n)

    def module(self, steps, names, statics, wanted):
        torch = self.torch

        class Translated(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.used = {}
                self.quantised = any(node.op.endswith("uantizeLinear") or node.op.startswith("QLinear") for _, node in steps)
                for _, node in steps:
                    node.owner = self
                    for turn, tensor in enumerate(node.derived):
                        self.register_buffer("derived_%s_%d" % (node.key, turn), tensor)
                    for name in node.inputs:
                        if name in statics and name not in self.used:
                            self.used[name] = "constant_%d" % len(self.used)
                            self.register_buffer(self.used[name], statics[name])

            def forward(self, *arguments):
                env = dict(zip(names, arguments))
                env.update((name, getattr(self, attribute)) for name, attribute in self.used.items())
                for call, node in steps:
                    node.turn = 0
                    made = call(node, *(env[name] if name else None for name in node.inputs))
                    made = made if isinstance(made, (tuple, list)) else [made]
                    env.update((name, tensor) for name, tensor in zip(node.outputs, made) if name)
                return tuple(env[name] for name in wanted)

        return Translated().eval()

    def tensor(self, array, dtype):
        if dtype == "string" or array.dtype.kind in "OU":
            raise CannotFeed("PyTorch has no strings")
        if dtype in _RAW:
            return self.fresh(array.copy().view("u%d" % array.itemsize)).view(getattr(self.torch, _RAW[dtype]))
        if dtype not in _TORCH.values():
            raise CannotFeed("no tensor of dtype %s can be made here" % dtype)
        return self.fresh(np.array(array, order="C"))

    def fresh(self, array):
        """Return a tensor with torch's own strides: numpy's of an array without elements hold zeros."""
        return self.torch.from_numpy(array).clone(memory_format=self.torch.contiguous_format)

    def constant(self, proto):
        kind = _TORCH.get(proto.data_type)
        if kind is None:
            raise CannotFeed("no constant of data type %d can be made here" % proto.data_type)
        array = self.onnx.numpy_helper.to_array(proto)
        if kind == "bfloat16" or kind.startswith("float8"):
            return self.fresh(np.array(array, np.float32)).to(getattr(self.torch, kind))
        return self.fresh(np.array(array, order="C"))

    def array(self, tensor):
        """Return a tensor as an array; (array, dtype) where numpy has no such dtype."""
        tensor = tensor.detach().contiguous()
        for name, kind in _RAW.items():
            if tensor.dtype == getattr(self.torch, kind):
                return tensor.view(self.torch.uint16 if name == "bfloat16" else self.torch.uint8).numpy(), name
        if tensor.is_complex():
            raise CannotFeed("an output is complex")
        return tensor.numpy()

    # ---- helpers

    def shape(self, x):
        """Return the sizes of a tensor as plain numbers, of which torch.jit.trace makes no operators."""
        state = self.torch._C._get_tracing_state()
        self.torch._C._set_tracing_state(None)
        try:
            return tuple(x.shape)
        finally:
            self.torch._C._set_tracing_state(state)

    def direct_call(self, n, *x):
        if n.op in ("Add", "Sub", "Mul") and n.opset < 7 and n("broadcast", 0):
            raise CannotFeed("broadcasting of before opset 7 is not translated")
        return self.direct[n.op](*x)

    def only_first(self, n):
        if any(n.outputs[1:]):
            raise CannotFeed("the other outputs of %s have no function in PyTorch" % n.op)

    def pads(self, n, sizes, kernel, strides, dilations):
        """Return (begin, end) paddings of a convolution or pooling."""
        auto = n("auto_pad", "NOTSET")
        if auto in ("SAME_UPPER", "SAME_LOWER"):
            total = [max(0, (-(-s // t) - 1) * t + (k - 1) * d + 1 - s) for s, k, t, d in zip(sizes, kernel, strides, dilations)]
            less, more = [t // 2 for t in total], [t - t // 2 for t in total]
            return (less, more) if auto == "SAME_UPPER" else (more, less)
        given = list(n("pads") or [0] * (2 * len(kernel))) if auto != "VALID" else [0] * (2 * len(kernel))
        return given[: len(kernel)], given[len(kernel) :]

    def padded(self, x, begin, end, value=0.0):
        flat = [p for pair in reversed(list(zip(begin, end))) for p in pair]
        return self.F.pad(x, flat, value=value)

    def window(self, n, x):
        """Return kernel, strides, dilations, begin and end of a pooling."""
        kernel = list(n("kernel_shape"))
        strides, dilations = list(n("strides") or [1] * len(kernel)), list(n("dilations") or [1] * len(kernel))
        return (kernel, strides, dilations, *self.pads(n, list(self.shape(x)[2:]), kernel, strides, dilations))

    def axes(self, n, x, index=1):
        """Return the axes of a reduction; [] where there is nothing to reduce."""
        axes = n.ints(index, "axes")
        if not axes:
            return [] if n("noop_with_empty_axes", 0) else list(range(x.ndim))
        return [a % x.ndim for a in axes]

    def reduced(self, n, x, function):
        axes = self.axes(n, x)
        if not axes and x.ndim:
            return self.elementwise_of(n.op, x)
        return function(axes, bool(n("keepdims", 1)))

    def elementwise_of(self, op, x):
        if op in ("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceLogSumExp"):
            return x
        if op in ("ReduceL1", "ReduceL2"):
            return self.torch.abs(x)
        return self.torch.square(x) if op == "ReduceSumSquare" else self.torch.log(x)

    def positive(self, n, index, size, idx):
        """Return indices as torch wants them: 64 bits, none negative."""
        torch = self.torch
        if n.is_static(index):
            return n.constant(lambda: torch.where(idx < 0, idx + size, idx).long())
        if not hasattr(n, "has_negative"):
            n.has_negative = bool((idx < 0).any())
        idx = idx.long()
        return torch.where(idx < 0, idx + size, idx) if n.has_negative else idx

    def scalar(self, n, index, default=None):
        value = n.static(index)
        return default if value is None or value.size == 0 else value.reshape(()).item()

    # ---- activations

    def Elu(self, n, x):
        return self.F.elu(x, n("alpha", 1.0))

    def Celu(self, n, x):
        return self.F.celu(x, n("alpha", 1.0))

    def Selu(self, n, x):
        alpha, gamma = n("alpha", 1.67326319217681884765625), n("gamma", 1.05070102214813232421875)
        if abs(alpha - 1.6732632) < 1e-4 and abs(gamma - 1.0507010) < 1e-4:
            return self.F.selu(x)
        return gamma * self.F.elu(x, alpha)

    def LeakyRelu(self, n, x):
        return self.F.leaky_relu(x, n("alpha", 0.01))

    def PRelu(self, n, x, slope):
        if not x.is_floating_point():  # F.prelu has no integers
            return self.torch.where(x >= 0, x, slope * x)
        if math.prod(self.shape(slope)) == 1 or (
            x.ndim > 1 and slope.ndim == x.ndim - 1 and self.shape(slope)[0] == self.shape(x)[1] and math.prod(self.shape(slope)) == self.shape(x)[1]
        ):
            flat = n.constant(lambda: slope.reshape(-1)) if n.is_static(1) else slope.reshape(-1)
            return self.F.prelu(x, flat)
        return self.torch.where(x >= 0, x, slope * x)

    def HardSigmoid(self, n, x):
        alpha, beta = n("alpha", 0.2), n("beta", 0.5)
        if abs(alpha - 1 / 6) < 1e-4 and beta == 0.5:
            return self.F.hardsigmoid(x)
        return self.torch.clamp(x * alpha + beta, 0.0, 1.0)

    def Softplus(self, n, x):
        return self.F.softplus(x)

    def Gelu(self, n, x):
        return self.F.gelu(x, approximate=n("approximate", "none"))

    def Swish(self, n, x):
        alpha = n("alpha", 1.0)
        return self.F.silu(x) if alpha == 1.0 else x * self.torch.sigmoid(alpha * x)

    def ThresholdedRelu(self, n, x):
        return self.F.threshold(x, n("alpha", 1.0), 0.0)

    def Shrink(self, n, x):
        bias, lambd = n("bias", 0.0), n("lambd", 0.5)
        if bias == 0 and x.is_floating_point():
            return self.F.hardshrink(x, lambd)
        if bias == lambd and x.is_floating_point():
            return self.F.softshrink(x, lambd)
        zero = self.torch.zeros_like(x)
        made = self.torch.where(x < -lambd, x + bias, self.torch.where(x > lambd, x - bias, zero))
        return made if made.dtype == x.dtype else made.to(x.dtype)

    def Clip(self, n, x, low=None, high=None):
        if n.opset < 11:
            low, high = n("min"), n("max")
        elif any(n.has(i) and not n.is_static(i) for i in (1, 2)):
            return self.torch.clamp(x, low, high)
        else:
            low, high = self.scalar(n, 1), self.scalar(n, 2)
        if low is None and high is None:
            return x
        return self.torch.clamp(x, low, high)

    def flattened(self, n, x, function):
        """Softmax and its kin before opset 13 work on all axes from one on."""
        if n.opset >= 13:
            return function(x, n("axis", -1))
        axis = n("axis", 1) % max(x.ndim, 1)
        if axis == x.ndim - 1:
            return function(x, axis)
        return function(x.flatten(axis), -1).reshape(self.shape(x))

    def Softmax(self, n, x):
        return self.flattened(n, x, lambda x, axis: self.F.softmax(x, axis))

    def LogSoftmax(self, n, x):
        return self.flattened(n, x, lambda x, axis: self.F.log_softmax(x, axis))

    def Hardmax(self, n, x):
        def hard(x, axis):
            where = self.torch.argmax(x, axis, keepdim=True)
            return self.torch.zeros_like(x).scatter(axis, where, 1.0)

        return self.flattened(n, x, hard)

    def Dropout(self, n, x, *_):
        self.only_first(n)
        if n.has(2) and bool(self.scalar(n, 2)):
            raise CannotFeed("training is not translated")
        return self.F.dropout(x, n("ratio", 0.5), training=False)

    def Identity(self, n, x):
        return x

    # ---- arithmetic

    def Div(self, n, a, b):
        if a.is_floating_point():
            return self.torch.div(a, b)
        return self.torch.div(a, b, rounding_mode="trunc")

    def Mod(self, n, a, b):
        return self.torch.fmod(a, b) if n("fmod", 0) else self.torch.remainder(a, b)

    def Pow(self, n, a, b):
        if n.is_static(1) and math.prod(self.shape(b)) == 1 and b.ndim <= a.ndim:
            return self.torch.pow(a, n.static(1).reshape(()).item()).to(a.dtype)
        return self.torch.pow(a, b).to(a.dtype)

    def BitShift(self, n, a, b):
        return (self.torch.bitwise_left_shift if n("direction") == "LEFT" else self.torch.bitwise_right_shift)(a, b)

    def chained(self, function, values):
        made = values[0]
        for value in values[1:]:
            made = function(made, value)
        return made

    def Max(self, n, *x):
        return self.chained(self.torch.maximum, x)

    def Min(self, n, *x):
        return self.chained(self.torch.minimum, x)

    def Sum(self, n, *x):
        return self.chained(self.torch.add, x)

    def Mean(self, n, *x):
        return self.chained(self.torch.add, x) / len(x)

    def IsInf(self, n, x):
        if n("detect_negative", 1) and n("detect_positive", 1):
            return self.torch.isinf(x)
        if not n("detect_negative", 1) and not n("detect_positive", 1):
            raise CannotFeed("IsInf of neither sign has no function in PyTorch")
        return self.torch.isposinf(x) if n("detect_positive", 1) else self.torch.isneginf(x)

    def Cast(self, n, x):
        kind = _TORCH.get(n("to"))
        if kind is None:
            raise CannotFeed("PyTorch has no dtype number %s" % n("to"))
        if kind.startswith("float8"):
            raise CannotFeed("PyTorch's casts to float8 neither saturate nor overflow as ONNX's do")
        return x.to(getattr(self.torch, kind))

    def CastLike(self, n, x, like):
        if str(like.dtype).startswith("torch.float8"):
            raise CannotFeed("PyTorch's casts to float8 do not saturate")
        return x.to(like.dtype)

    def BitCast(self, n, x):
        kind = _TORCH.get(n("to"))
        if kind is None:
            raise CannotFeed("PyTorch has no dtype number %s" % n("to"))
        return x.view(getattr(self.torch, kind))

    def Gemm(self, n, a, b, c=None):
        alpha, beta = n("alpha", 1.0), n("beta", 1.0)
        if n("transA", 0):
            a = a.t()
        if n("transB", 0) and alpha == beta == 1.0 and (c is None or c.ndim == 1):
            return self.F.linear(a, b, c)
        if n("transB", 0):
            b = b.t()
        if c is None or not a.is_floating_point():
            made = self.torch.matmul(a, b)
            made = made if alpha == 1.0 else made * alpha
            return made if c is None else made + (c if beta == 1.0 else c * beta)
        return self.torch.addmm(c, a, b, beta=beta, alpha=alpha)

    def Einsum(self, n, *x):
        return self.torch.einsum(n("equation"), *x)

    def CumSum(self, n, x, axis):
        return self.cumulated(n, x, self.torch.cumsum, self.torch.sub)

    def CumProd(self, n, x, axis):
        return self.cumulated(n, x, self.torch.cumprod, None)

    def cumulated(self, n, x, function, undo):
        axis = int(self.scalar(n, 1))
        if n("exclusive", 0) and undo is None:
            raise CannotFeed("an exclusive product has no function in PyTorch")
        made = self.torch.flip(x, [axis]) if n("reverse", 0) else x
        made = function(made, axis, dtype=x.dtype)
        made = self.torch.flip(made, [axis]) if n("reverse", 0) else made
        return undo(made, x) if n("exclusive", 0) else made

    # ---- reductions

    def ReduceSum(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.sum(x, axes, keep, dtype=x.dtype))

    def ReduceMean(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.mean(x, axes, keep))

    def ReduceMax(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.amax(x, axes, keep))

    def ReduceMin(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.amin(x, axes, keep))

    def ReduceProd(self, n, x, *_):
        def product(axes, keep):
            made = x
            for axis in sorted(axes, reverse=True):
                made = self.torch.prod(made, axis, keep, dtype=x.dtype)
            return made

        return self.reduced(n, x, product)

    def ReduceL1(self, n, x, *_):
        if not x.is_floating_point():
            return self.reduced(n, x, lambda axes, keep: self.torch.sum(self.torch.abs(x), axes, keep, dtype=x.dtype))
        return self.reduced(n, x, lambda axes, keep: self.torch.linalg.vector_norm(x, 1, axes, keep))

    def ReduceL2(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.linalg.vector_norm(x, 2, axes, keep))

    def ReduceSumSquare(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.sum(self.torch.square(x), axes, keep, dtype=x.dtype))

    def ReduceLogSum(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.log(self.torch.sum(x, axes, keep, dtype=x.dtype)))

    def ReduceLogSumExp(self, n, x, *_):
        return self.reduced(n, x, lambda axes, keep: self.torch.logsumexp(x, axes, keep))

    def ArgMax(self, n, x):
        return self.argument(n, x, self.torch.argmax)

    def ArgMin(self, n, x):
        return self.argument(n, x, self.torch.argmin)

    def argument(self, n, x, function):
        axis, keep = n("axis", 0), bool(n("keepdims", 1))
        if n("select_last_index", 0):  # PyTorch chooses the first of equal elements
            return self.shape(x)[axis] - 1 - function(self.torch.flip(x, [axis]), axis, keep)
        return function(x, axis, keep)

    def TopK(self, n, x, *_):
        k = int(self.scalar(n, 1)) if n.has(1) else n("k")
        return self.torch.topk(x, k, n("axis", -1), bool(n("largest", 1)), bool(n("sorted", 1)))

    # ---- convolutions and poolings

    def Conv(self, n, x, w, b=None):
        rank = x.ndim - 2
        strides, dilations = list(n("strides") or [1] * rank), list(n("dilations") or [1] * rank)
        begin, end = self.pads(n, list(self.shape(x)[2:]), list(self.shape(w)[2:]), strides, dilations)
        if begin != end:
            x, begin = self.padded(x, begin, end), [0] * rank
        function = {1: self.F.conv1d, 2: self.F.conv2d, 3: self.F.conv3d}[rank]
        return function(x, w, b, strides, begin, dilations, n("group", 1))

    def ConvTranspose(self, n, x, w, b=None):
        rank, kernel = x.ndim - 2, list(self.shape(w)[2:])
        strides, dilations = list(n("strides") or [1] * rank), list(n("dilations") or [1] * rank)
        extra, auto = list(n("output_padding") or [0] * rank), n("auto_pad", "NOTSET")
        if n("output_shape") or auto.startswith("SAME"):
            shape = list(n("output_shape") or [s * t for s, t in zip(self.shape(x)[2:], strides)])[-rank:]
            total = [(s - 1) * t + e + (k - 1) * d + 1 - o for s, t, e, k, d, o in zip(self.shape(x)[2:], strides, extra, kernel, dilations, shape)]
            extra = [e + max(0, -t) for e, t in zip(extra, total)]
            total = [max(0, t) for t in total]
            half = [t // 2 for t in total]
            begin, end = [t - h for t, h in zip(total, half)], half
            if auto == "SAME_UPPER":
                begin, end = end, begin
        else:
            begin, end = self.pads(n, list(self.shape(x)[2:]), kernel, strides, dilations)
        both = [min(p) for p in zip(begin, end)]
        function = {1: self.F.conv_transpose1d, 2: self.F.conv_transpose2d, 3: self.F.conv_transpose3d}[rank]
        made = function(x, w, b, strides, both, extra, n("group", 1), dilations)
        for axis in range(rank):
            first, last = begin[axis] - both[axis], end[axis] - both[axis]
            if first or last:
                made = self.torch.narrow(made, axis + 2, first, self.shape(made)[axis + 2] - first - last)
        return made

    def MaxPool(self, n, x):
        kernel, strides, dilations, begin, end = self.window(n, x)
        indexed = any(n.outputs[1:])
        if indexed and (begin != end or n("storage_order", 0)):
            raise CannotFeed("PyTorch's indices of the largest elements know no uneven padding and no other order")
        if begin != end:  # as small as can be, not -inf, which not every runtime can write down
            least = (self.torch.finfo if x.is_floating_point() else self.torch.iinfo)(x.dtype).min
            x, begin = self.padded(x, begin, end, least), [0] * len(kernel)
        function = {1: self.F.max_pool1d, 2: self.F.max_pool2d, 3: self.F.max_pool3d}[len(kernel)]
        made = function(x, kernel, strides, begin, dilations, bool(n("ceil_mode", 0)), indexed)
        if not indexed:
            return made
        planes, area = math.prod(self.shape(x)[:2]), math.prod(self.shape(x)[2:])  # ONNX counts over the whole tensor, PyTorch in each plane
        first = n.constant(lambda: (self.torch.arange(planes) * area).reshape(*self.shape(x)[:2], *[1] * len(kernel)))
        return made[0], made[1] + first

    def AveragePool(self, n, x):
        kernel, strides, dilations, begin, end = self.window(n, x)
        if set(dilations) != {1}:
            raise CannotFeed("PyTorch's average pooling has no dilations")
        counted = bool(n("count_include_pad", 0))
        function, ceil = {1: self.F.avg_pool1d, 2: self.F.avg_pool2d, 3: self.F.avg_pool3d}[len(kernel)], bool(n("ceil_mode", 0))
        if begin == end:
            return function(x, kernel, strides, begin, ceil, counted)
        made = function(self.padded(x, begin, end), kernel, strides, 0, ceil, True)
        if counted:
            return made
        ones = self.torch.ones(1, 1, *self.shape(x)[2:], dtype=x.dtype)  # uneven padding that does not count: by what share of a window is none
        return made / n.constant(lambda: function(self.padded(ones, begin, end), kernel, strides, 0, ceil, True))

    def LpPool(self, n, x):
        kernel, strides, dilations, begin, end = self.window(n, x)
        if set(dilations) != {1}:
            raise CannotFeed("PyTorch's power-average pooling has no dilations")
        x = self.padded(x, begin, end) if any(begin + end) else x
        x = self.torch.abs(x) if n("p", 2) % 2 else x  # lp_pool takes the sign for part of the number
        function = {1: self.F.lp_pool1d, 2: self.F.lp_pool2d, 3: self.F.lp_pool3d}[len(kernel)]
        size = (kernel[0], strides[0]) if len(kernel) == 1 else (kernel, strides)  # lp_pool1d takes no lists
        return function(x, float(n("p", 2)), *size, bool(n("ceil_mode", 0)))

    def GlobalAveragePool(self, n, x):
        return {3: self.F.adaptive_avg_pool1d, 4: self.F.adaptive_avg_pool2d, 5: self.F.adaptive_avg_pool3d}[x.ndim](x, 1)

    def GlobalMaxPool(self, n, x):
        return {3: self.F.adaptive_max_pool1d, 4: self.F.adaptive_max_pool2d, 5: self.F.adaptive_max_pool3d}[x.ndim](x, 1)

    def GlobalLpPool(self, n, x):
        return self.torch.linalg.vector_norm(x, n("p", 2), list(range(2, x.ndim)), True)

    def Col2Im(self, n, x, *_):
        rank = len(n.ints(1))
        pads = list(n("pads") or [0] * (2 * rank))
        if pads[:rank] != pads[rank:]:
            raise CannotFeed("PyTorch's fold has no uneven padding")
        strides, dilations = n("strides") or [1] * rank, n("dilations") or [1] * rank
        return self.F.fold(x, n.ints(1), n.ints(2), list(dilations), pads[:rank], list(strides))

    # ---- normalisations

    def BatchNormalization(self, n, x, scale, b, mean, var):
        self.only_first(n)
        if n("training_mode", 0) or not n("spatial", 1):
            raise CannotFeed("training is not translated")
        return self.F.batch_norm(x, mean, var, scale, b, False, 0.1, n("epsilon", 1e-5))

    def InstanceNormalization(self, n, x, scale, b):
        return self.F.instance_norm(x, None, None, scale, b, True, 0.1, n("epsilon", 1e-5))

    def GroupNormalization(self, n, x, scale, b):
        groups = n("num_groups")
        if n.opset < 21:  # one scale a group
            each = self.shape(x)[1] // groups
            scale = n.constant(lambda: scale.repeat_interleave(each)) if n.is_static(1) else scale.repeat_interleave(each)
            b = n.constant(lambda: b.repeat_interleave(each)) if n.is_static(2) else b.repeat_interleave(each)
        return self.F.group_norm(x, groups, scale, b, n("epsilon", 1e-5))

    def LayerNormalization(self, n, x, scale, b=None):
        shape = list(self.shape(x)[n("axis", -1) % x.ndim :])
        if any(n.outputs[1:]):
            made = self.torch.native_layer_norm(x, shape, None, None, n("epsilon", 1e-5))
            return made[0] * scale if b is None else made[0] * scale + b, made[1], made[2]
        if list(self.shape(scale)) == shape and (b is None or list(self.shape(b)) == shape):
            return self.F.layer_norm(x, shape, scale, b, n("epsilon", 1e-5))
        made = self.F.layer_norm(x, shape, None, None, n("epsilon", 1e-5)) * scale
        return made if b is None else made + b

    def RMSNormalization(self, n, x, scale):
        shape = list(self.shape(x)[n("axis", -1) % x.ndim :])
        if list(self.shape(scale)) == shape:
            return self.F.rms_norm(x, shape, scale, n("epsilon", 1e-5))
        return self.F.rms_norm(x, shape, None, n("epsilon", 1e-5)) * scale

    def LRN(self, n, x):
        if n("size") % 2 == 0:
            raise CannotFeed("PyTorch's local_response_norm centres an even size elsewhere")
        return self.F.local_response_norm(x, n("size"), n("alpha", 1e-4), n("beta", 0.75), n("bias", 1.0))

    def LpNormalization(self, n, x):
        return self.F.normalize(x, n("p", 2), n("axis", -1), 0.0)

    def MeanVarianceNormalization(self, n, x):
        axes = list(n("axes") or [0, 2, 3])
        centred = x - self.torch.mean(x, axes, True)
        return centred / (self.torch.sqrt(self.torch.mean(centred * centred, axes, True)) + 1e-9)

    # ---- shapes

    def Constant(self, n):
        for name, value in n.attributes.items():
            if name == "value":
                return self.constant(value)
            if name in ("value_float", "value_floats"):
                return self.torch.tensor(value, dtype=self.torch.float32)
            if name in ("value_int", "value_ints"):
                return self.torch.tensor(value, dtype=self.torch.int64)
        raise CannotFeed("this kind of constant is not translated")

    def Shape(self, n, x):
        return self.torch.tensor(list(self.shape(x))[slice(n("start", 0), n("end"))], dtype=self.torch.int64)

    def Size(self, n, x):
        return self.torch.tensor(math.prod(self.shape(x)), dtype=self.torch.int64)

    def Reshape(self, n, x, *_):
        shape = n.ints(1, "shape")
        if not n("allowzero", 0):
            shape = [self.shape(x)[i] if s == 0 else s for i, s in enumerate(shape)]
        return self.torch.reshape(x, shape)

    def Flatten(self, n, x):
        axis = n("axis", 1)
        axis = axis + x.ndim if axis < 0 else axis
        if axis == 1 and x.ndim > 1:
            return self.torch.flatten(x, 1)
        return self.torch.reshape(x, [math.prod(self.shape(x)[:axis]), math.prod(self.shape(x)[axis:])])

    def Transpose(self, n, x):
        return self.torch.permute(x, list(n("perm") or range(x.ndim)[::-1]))

    def Squeeze(self, n, x, *_):
        axes = n.ints(1, "axes")
        return self.torch.squeeze(x) if axes is None else self.torch.squeeze(x, tuple(axes))

    def Unsqueeze(self, n, x, *_):
        axes = n.ints(1, "axes")
        rank = x.ndim + len(axes)
        for axis in sorted(a % rank for a in axes):
            x = self.torch.unsqueeze(x, axis)
        return x

    def Concat(self, n, *x):
        return self.torch.cat(x, n("axis", 1))

    def Split(self, n, x, *_):
        axis, sizes = n("axis", 0), n.ints(1, "split")
        if sizes is None:
            parts = n("num_outputs") or len(n.outputs)
            each = -(-self.shape(x)[axis] // parts)
            sizes = [each] * (parts - 1) + [self.shape(x)[axis] - each * (parts - 1)]
        return self.torch.split(x, sizes, axis)

    def Slice(self, n, x, *_):
        starts, ends = n.ints(1, "starts"), n.ints(2, "ends")
        axes, steps = n.ints(3, "axes"), n.ints(4)
        for index, (start, end) in enumerate(zip(starts, ends)):
            axis, step = (axes[index] if axes else index) % x.ndim, steps[index] if steps else 1
            size = self.shape(x)[axis]
            where = range(size)[start if start >= -size or step > 0 else 0 : end if end >= -size else None : step]
            if step < 0 and end < -size and start < -size:
                raise CannotFeed("a slice backwards from before the beginning is not translated")
            if not len(where):
                x = self.torch.narrow(x, axis, 0, 0)
            elif step > 0:
                x = x[(slice(None),) * axis + (slice(where[0], where[-1] + 1, step),)]
            else:  # torch has no steps backwards
                x = self.torch.flip(x[(slice(None),) * axis + (slice(where[-1], where[0] + 1, -step),)], [axis])
        return x

    def Pad(self, n, x, *_):
        pads, mode = n.ints(1, "pads"), n("mode", "constant")
        axes = [a % x.ndim for a in n.ints(3)] if n.has(3) else list(range(x.ndim))
        begin, end = [0] * x.ndim, [0] * x.ndim
        for index, axis in enumerate(axes):
            begin[axis], end[axis] = pads[index], pads[index + len(axes)]
        flat = [p for pair in reversed(list(zip(begin, end))) for p in pair]
        while len(flat) > 2 and not any(flat[-2:]):
            flat = flat[:-2]
        value = (self.scalar(n, 2, 0) if n.opset >= 11 else n("value", 0.0)) if mode == "constant" else None
        return self.F.pad(x, flat, {"constant": "constant", "edge": "replicate", "reflect": "reflect", "wrap": "circular"}[mode], value)

    def CenterCropPad(self, n, x, *_):
        axes = [a % x.ndim for a in n("axes") or range(x.ndim)]
        begin, end = [0] * x.ndim, [0] * x.ndim
        for axis, size in zip(axes, n.ints(1)):
            more = size - self.shape(x)[axis]
            if more < 0:
                x = self.torch.narrow(x, axis, -more // 2, size)
            else:
                begin[axis], end[axis] = more // 2, more - more // 2
        return self.padded(x, begin, end) if any(begin + end) else x

    def ReverseSequence(self, n, x, lengths):
        time, batch = n("time_axis", 0), n("batch_axis", 1)
        where = self.torch.arange(self.shape(x)[time]).reshape([-1 if axis == time else 1 for axis in range(x.ndim)])
        lengths = lengths.reshape([-1 if axis == batch else 1 for axis in range(x.ndim)])
        return self.torch.gather(x, time, self.torch.where(where < lengths, lengths - 1 - where, where).expand(self.shape(x)))

    def Expand(self, n, x, *_):
        return x.expand(np.broadcast_shapes(tuple(self.shape(x)), tuple(n.ints(1))))

    def Tile(self, n, x, *_):
        return self.torch.tile(x, n.ints(1))

    def DepthToSpace(self, n, x):
        b = n("blocksize")
        if n("mode", "DCR") == "CRD":
            return self.F.pixel_shuffle(x, b)
        size, c, h, w = self.shape(x)
        return x.reshape(size, b, b, c // b**2, h, w).permute(0, 3, 4, 1, 5, 2).reshape(size, c // b**2, h * b, w * b)

    def SpaceToDepth(self, n, x):
        b = n("blocksize")
        if n("mode", "DCR") != "DCR":
            raise CannotFeed("this mode is not translated")
        size, c, h, w = self.shape(x)
        return x.reshape(size, c, h // b, b, w // b, b).permute(0, 3, 5, 1, 2, 4).reshape(size, c * b * b, h // b, w // b)

    def Trilu(self, n, x, *_):
        return (self.torch.triu if n("upper", 1) else self.torch.tril)(x, int(self.scalar(n, 1, 0)))

    def ConstantOfShape(self, n, shape):
        if not hasattr(n, "filler"):
            filler = self.constant(n("value")).reshape(()) if n("value") is not None else self.torch.tensor(0.0)
            n.filler = filler.item(), filler.dtype
        return self.torch.full(n.ints(0), n.filler[0], dtype=n.filler[1])

    def Range(self, n, start, limit, delta):
        return self.torch.arange(*(self.scalar(n, i) for i in range(3)), dtype=start.dtype)

    def EyeLike(self, n, x):
        if n("k", 0):
            raise CannotFeed("PyTorch's eye has no other diagonal")
        return self.torch.eye(*self.shape(x), dtype=getattr(self.torch, _TORCH[n("dtype")]) if n("dtype") else x.dtype)

    # ---- indices

    def Gather(self, n, x, idx):
        axis = n("axis", 0) % x.ndim
        if n.is_static(1) and idx.ndim == 0:
            return self.torch.select(x, axis, int(n.static(1)))
        if n.is_static(0) and axis == 0 and x.ndim == 2 and x.is_floating_point():
            return self.F.embedding(self.positive(n, 1, self.shape(x)[0], idx), x)
        if idx.ndim == 1:
            return self.torch.index_select(x, axis, self.positive(n, 1, self.shape(x)[axis], idx))
        return x[(slice(None),) * axis + (idx.long() if idx.dtype != self.torch.int64 else idx,)]

    def GatherElements(self, n, x, idx):
        axis = n("axis", 0) % x.ndim
        return self.torch.gather(x, axis, self.positive(n, 1, self.shape(x)[axis], idx))

    def GatherND(self, n, x, idx):
        batch = n("batch_dims", 0)
        idx = idx.long()
        if batch == 0:
            return x[tuple(self.torch.unbind(idx, -1))]
        if batch > 1 or idx.ndim < 2:
            raise CannotFeed("more than one batch dimension is not translated")
        rows = n.constant(lambda: self.torch.arange(self.shape(x)[0]).reshape([-1] + [1] * (idx.ndim - 2)))
        return x[(rows, *self.torch.unbind(idx, -1))]

    def ScatterElements(self, n, x, idx, updates):
        axis, how = n("axis", 0) % x.ndim, n("reduction", "none")
        idx = self.positive(n, 1, self.shape(x)[axis], idx)
        if how == "none":
            return self.torch.scatter(x, axis, idx, updates)
        if how == "add":
            return self.torch.scatter_add(x, axis, idx, updates)
        return self.torch.scatter_reduce(x, axis, idx, updates, {"mul": "prod", "max": "amax", "min": "amin"}[how])

    Scatter = ScatterElements

    def ScatterND(self, n, x, idx, updates):
        how = n("reduction", "none")
        if how not in ("none", "add"):
            raise CannotFeed("index_put takes no %s" % how)
        return self.torch.index_put(x, tuple(self.torch.unbind(idx.long(), -1)), updates, accumulate=how == "add")

    def OneHot(self, n, idx, depth, values):
        size, axis = int(self.scalar(n, 1)), n("axis", -1)
        if axis in (-1, idx.ndim) and n.is_static(2) and n.static(2).ravel().tolist() == [0, 1]:
            return self.F.one_hot(self.positive(n, 0, size, idx), size).to(values.dtype)
        idx = self.torch.unsqueeze(self.positive(n, 0, size, idx), axis)
        shape = [1] * idx.ndim
        shape[axis] = size
        return self.torch.where(idx == self.torch.arange(size).reshape(shape), values[1], values[0])

    def NonZero(self, n, x):
        return self.torch.nonzero(x).t()

    def Compress(self, n, x, condition):
        x, axis = (x.flatten(), 0) if n("axis") is None else (x, n("axis") % x.ndim)
        size = self.shape(condition)[0]
        x = x if self.shape(x)[axis] == size else x.narrow(axis, 0, size)  # a condition may be shorter
        return x[(slice(None),) * axis + (condition,)]

    # ---- vision, attention, recurrence

    def Resize(self, n, x, *_):
        roi = n.static(1) if n.opset >= 11 and n.has(1) else None
        scales = n.static(1 if n.opset < 11 else 2)
        sizes = n.ints(3) if n.opset >= 11 and n.has(3) else None
        mode, way = n("mode", "nearest"), n("coordinate_transformation_mode", "half_pixel" if n.opset >= 11 else "asymmetric")
        axes = [a % x.ndim for a in n("axes") or range(x.ndim)]
        if way == "tf_crop_and_resize" or n("exclude_outside", 0) or n("keep_aspect_ratio_policy", "stretch") != "stretch":
            raise CannotFeed("F.interpolate has no %s" % (way if "crop" in way else "exclude_outside or aspect ratio"))
        del roi
        factor, size = [1.0] * x.ndim, list(self.shape(x))
        for index, axis in enumerate(axes):
            if sizes:
                size[axis] = sizes[index]
            else:
                factor[axis] = float(scales.ravel()[index])
                size[axis] = int(self.shape(x)[axis] * factor[axis])
        if size[:2] != list(self.shape(x)[:2]) or factor[:2] != [1.0, 1.0]:
            raise CannotFeed("F.interpolate does not resize batch and channels")
        return self.interpolated(n, x, mode, way, size[2:] if sizes else None, None if sizes else factor[2:])

    def interpolated(self, n, x, mode, way, size, factor):
        if mode == "nearest":
            rounding = n("nearest_mode", "round_prefer_floor" if n.opset >= 11 else "floor")
            if (way, rounding) == ("asymmetric", "floor"):
                return self.F.interpolate(x, size, factor, "nearest")
            if way == "half_pixel" and rounding.startswith("round"):
                return self.F.interpolate(x, size, factor, "nearest-exact")
            raise CannotFeed("F.interpolate has no nearest with %s and %s" % (way, rounding))
        if way not in ("align_corners", "half_pixel", "pytorch_half_pixel"):
            raise CannotFeed("F.interpolate has no %s for %s" % (way, mode))
        if mode == "cubic" and abs(n("cubic_coeff_a", -0.75) + 0.75) > 1e-6:
            raise CannotFeed("F.interpolate has no other coefficient than -0.75")
        name = {"linear": {3: "linear", 4: "bilinear", 5: "trilinear"}, "cubic": {4: "bicubic"}}[mode][x.ndim]
        return self.F.interpolate(x, size, factor, name, way == "align_corners", antialias=bool(n("antialias", 0)))

    def Upsample(self, n, x, *_):
        factor = [float(s) for s in (n.static(1).ravel() if n.has(1) else n("scales"))]
        if n("mode", "nearest") != "nearest" or factor[:2] != [1.0, 1.0]:
            raise CannotFeed("F.interpolate has no linear mode of Upsample's kind")
        return self.F.interpolate(x, None, factor[2:], "nearest")

    def GridSample(self, n, x, grid):
        mode = {"linear": "bilinear", "cubic": "bicubic"}.get(n("mode", "linear"), n("mode", "linear"))
        return self.F.grid_sample(x, grid, mode, n("padding_mode", "zeros"), bool(n("align_corners", 0)))

    def AffineGrid(self, n, theta, *_):
        return self.F.affine_grid(theta, n.ints(1), bool(n("align_corners", 0)))

    def Attention(self, n, q, k, v, mask=None, past_k=None, past_v=None, *others):
        if any(o is not None for o in others):
            raise CannotFeed("attention over lengths that are computed is not translated")
        heads, joined = n("q_num_heads"), q.ndim == 3
        if joined:
            size, length, _ = self.shape(q)
            q = q.reshape(size, length, heads, -1).transpose(1, 2)
            k, v = (t.reshape(size, self.shape(t)[1], n("kv_num_heads"), -1).transpose(1, 2) for t in (k, v))
        if past_k is not None:
            k, v = self.torch.cat([past_k, k], 2), self.torch.cat([past_v, v], 2)
        causal, before = bool(n("is_causal", 0)), self.shape(past_k)[2] if past_k is not None else 0
        windows = [n("left_window_size", -1), n("right_window_size", -1)]
        written = bool(n("softcap", 0.0)) or any(n.outputs[3:])
        seen = None
        if max(windows) >= 0 or (causal and (written or mask is not None or before)):
            seen = n.constant(lambda: self.seen(self.shape(q)[2], self.shape(k)[2], before, 0 if causal else windows[1], windows[0]))
            causal = False
        if mask is not None and self.shape(mask)[-1] < self.shape(k)[2]:
            raise CannotFeed("masks that are shorter than the keys are not translated")
        if mask is not None and seen is not None:
            mask = mask & seen if mask.dtype == self.torch.bool else mask.masked_fill(~seen, -math.inf)
        elif seen is not None:
            mask = seen
        weights = None
        if written:  # scaled_dot_product_attention has no softcap and does not show its weights
            made, weights = self.attention(n, q, k, v, mask)
        else:
            groups = {"enable_gqa": True} if self.shape(q)[1] != self.shape(k)[1] else {}
            made = self.F.scaled_dot_product_attention(q, k, v, mask, 0.0, causal, scale=n("scale"), **groups)
        if joined:
            made = made.transpose(1, 2).reshape(self.shape(made)[0], self.shape(made)[2], -1)
        return made, k, v, weights

    def seen(self, queries, keys, before, right, left):
        """Return which keys each query may look at; -1 for no bound."""
        ahead = self.torch.arange(keys)[None, :] - self.torch.arange(queries)[:, None] - before
        return (ahead <= (right if right >= 0 else keys)) & (-ahead <= (left if left >= 0 else keys + before))

    def attention(self, n, q, k, v, mask):
        torch, times = self.torch, self.shape(q)[1] // self.shape(k)[1]
        if times > 1:
            k, v = k.repeat_interleave(times, 1), v.repeat_interleave(times, 1)
        scores = torch.matmul(q, k.transpose(2, 3)) * (n("scale") or self.shape(q)[-1] ** -0.5)
        cap, mode, shown = n("softcap", 0.0), n("qk_matmul_output_mode", 0), scores
        if cap:
            scores = torch.tanh(scores / cap) * cap
        shown = scores if mode == 1 or cap else shown
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf) if mask.dtype == torch.bool else scores + mask
        probabilities = torch.softmax(scores, -1)
        return torch.matmul(probabilities, v), (shown, shown, scores, probabilities)[mode]

    def RotaryEmbedding(self, n, x, cos, sin, positions=None):
        torch, flat = self.torch, x.ndim == 3
        if flat:
            size, length, width = self.shape(x)
            x = x.reshape(size, length, n("num_heads"), width // n("num_heads"))
        else:
            x = x.transpose(1, 2)
        if positions is not None:
            cos, sin = cos[positions], sin[positions]
        cos, sin, turned = cos.unsqueeze(2), sin.unsqueeze(2), n("rotary_embedding_dim", 0) or self.shape(x)[-1]
        part, rest = x[..., :turned], x[..., turned:]
        if n("interleaved", 0):
            one, two = part[..., 0::2], part[..., 1::2]
            made = torch.stack((cos * one - sin * two, sin * one + cos * two), -1).flatten(-2)
        else:
            one, two = part[..., : turned // 2], part[..., turned // 2 :]
            made = torch.cat((cos * one - sin * two, sin * one + cos * two), -1)
        made = torch.cat((made, rest), -1) if self.shape(rest)[-1] else made
        return made.flatten(2) if flat else made.transpose(1, 2)

    def gates(self, n, order, w, r, b, direction):
        """Return the constants of one direction as torch stacks them."""
        size = n("hidden_size")
        pick = [g * size + i for g in order for i in range(size)]
        half = len(pick)
        made = [w[direction][pick], r[direction][pick]]
        if b is not None:
            made += [b[direction][:half][pick], b[direction][half:][pick]]
        return made

    def recurrent(self, n, x, w, r, b, sequence, states, order, function, names):
        if n("clip") or sequence is not None:
            raise CannotFeed("clip and sequence lengths have no function in PyTorch")
        if n("layout", 0):  # batches first
            x, states = x.transpose(0, 1), [None if s is None else s.transpose(0, 1) for s in states]
        given = [a.decode().lower() if isinstance(a, bytes) else a.lower() for a in n("activations") or []]
        count = self.shape(w)[0]
        if given and given != names * count:
            raise CannotFeed("these activations have no function in PyTorch")
        if not (n.is_static(1) and n.is_static(2)) or (b is not None and not n.is_static(3)):
            raise CannotFeed("computed weights are not translated")
        weights = []
        for direction in range(count):
            for index in range(2 if b is None else 4):
                weights.append(n.constant(lambda d=direction, i=index: self.gates(n, order, w, r, b, d)[i].contiguous()))
        shape = (count, self.shape(x)[1], n("hidden_size"))
        states = [self.torch.zeros(shape, dtype=x.dtype) if s is None else s for s in states]
        backwards = n("direction", "forward") == "reverse"
        x = self.torch.flip(x, [0]) if backwards else x
        made = function(x, states[0] if len(states) == 1 else states, weights, b is not None, 1, 0.0, False, count == 2, False)
        y = made[0].reshape(self.shape(x)[0], self.shape(x)[1], count, -1).transpose(1, 2) if count == 2 else made[0].unsqueeze(1)
        y = self.torch.flip(y, [0]) if backwards else y
        if n("layout", 0):
            return (y.permute(2, 0, 1, 3), *(m.transpose(0, 1) for m in made[1:]))
        return (y, *made[1:])

    def LSTM(self, n, x, w, r, b=None, sequence=None, h=None, c=None, p=None):
        if p is not None or n("input_forget", 0):
            raise CannotFeed("PyTorch's LSTM has no peepholes and no coupled gates")
        return self.recurrent(n, x, w, r, b, sequence, [h, c], [0, 2, 3, 1], self.torch.lstm, ["sigmoid", "tanh", "tanh"])

    def GRU(self, n, x, w, r, b=None, sequence=None, h=None):
        function = self.torch.gru if n("linear_before_reset", 0) else self.gru_in_steps
        return self.recurrent(n, x, w, r, b, sequence, [h], [1, 0, 2], function, ["sigmoid", "tanh"])

    def gru_in_steps(self, x, h, weights, biased, layers, dropout, training, both, first):
        """A GRU that resets before it multiplies, which torch.gru does not: step by step."""
        torch, F, count, each = self.torch, self.F, 2 if both else 1, 4 if biased else 2
        all_y, all_h = [], []
        for direction in range(count):
            w, r, *biases = weights[direction * each : (direction + 1) * each]
            bw, br = biases or (None, None)
            size, state, y = self.shape(r)[1], h[direction], []
            length = self.shape(x)[0]
            for step in range(length)[:: -1 if direction else 1]:
                given = F.linear(x[step], w, bw)
                reset, update = torch.sigmoid(given[:, : 2 * size] + F.linear(state, r[: 2 * size], br if br is None else br[: 2 * size])).chunk(2, 1)
                new = torch.tanh(given[:, 2 * size :] + F.linear(reset * state, r[2 * size :], br if br is None else br[2 * size :]))
                state = (1 - update) * new + update * state
                y.append(state)
            all_y.append(torch.stack(y[:: -1 if direction else 1]))
            all_h.append(state)
        return torch.cat(all_y, -1), torch.stack(all_h)

    def RNN(self, n, x, w, r, b=None, sequence=None, h=None):
        kinds = {a.decode().lower() for a in n("activations") or [b"tanh"]}
        kind = kinds.pop() if len(kinds) == 1 else ""
        if kind not in ("tanh", "relu"):
            raise CannotFeed("PyTorch's RNN has tanh or relu")
        return self.recurrent(n, x, w, r, b, sequence, [h], [0], getattr(self.torch, "rnn_" + kind), [kind])

    # ---- losses, signals

    def SoftmaxCrossEntropyLoss(self, n, x, target, weight=None):
        if any(n.outputs[1:]):
            logarithms = self.F.log_softmax(x, 1)
            return self.NegativeLogLikelihoodLoss(n, logarithms, target, weight), logarithms
        return self.F.cross_entropy(x, target.long(), weight, ignore_index=n("ignore_index", -100), reduction=n("reduction", "mean"))

    def NegativeLogLikelihoodLoss(self, n, x, target, weight=None):
        return self.F.nll_loss(x, target.long(), weight, ignore_index=n("ignore_index", -100), reduction=n("reduction", "mean"))

    def DFT(self, n, x, *_):
        axis = (int(self.scalar(n, 2)) if n.has(2) else -2) if n.opset >= 20 else n("axis", 1)
        axis = axis % x.ndim
        length = int(self.scalar(n, 1)) if n.has(1) else None
        if n("inverse", 0) and (n("onesided", 0) or self.shape(x)[-1] == 1):
            raise CannotFeed("this inverse transform is not translated")
        if self.shape(x)[-1] == 1:
            x = x.squeeze(-1)
            made = (self.torch.fft.rfft if n("onesided", 0) else self.torch.fft.fft)(x, length, axis)
        else:
            if n("onesided", 0):
                raise CannotFeed("a one-sided transform of complex numbers has no function in PyTorch")
            made = (self.torch.fft.ifft if n("inverse", 0) else self.torch.fft.fft)(self.torch.view_as_complex(x), length, axis)
        return self.torch.view_as_real(made)

    def STFT(self, n, x, step, window=None, length=None):
        if self.shape(x)[-1] != 1 and x.ndim == 3:
            raise CannotFeed("torch.stft of complex signals is not translated")
        size = int(self.scalar(n, 3)) if n.has(3) else self.shape(window)[0]
        x = x.squeeze(-1) if x.ndim == 3 else x
        made = self.torch.stft(x, size, int(self.scalar(n, 1)), window=window, center=False, onesided=bool(n("onesided", 1)), return_complex=True)
        return self.torch.view_as_real(made.transpose(1, 2))

    # ---- quantised graphs

    def QuantizeLinear(self, n, x, scale, zero=None):
        return self.quantised(n, x, scale, zero, "quantize", zero.dtype if zero is not None else self.torch.uint8)

    def DequantizeLinear(self, n, x, scale, zero=None):
        if x.dtype == self.torch.int32 and n.is_static(0) and n.is_static(1) and scale.ndim < 2:
            # a bias, which PyTorch's quantised graphs keep as float32
            return n.constant(lambda: x.to(scale.dtype) * scale)
        return self.quantised(n, x, scale, zero, "dequantize", x.dtype)

    def QLinearMatMul(self, n, a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero):
        a = self.quantised(n, a, a_scale, a_zero, "dequantize", a.dtype, 1, -2)
        b = self.quantised(n, b, b_scale, b_zero, "dequantize", b.dtype, 4, -1)
        return self.quantised(n, self.torch.matmul(a, b), y_scale, y_zero, "quantize", y_zero.dtype, 6)

    def QLinearConv(self, n, x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias=None):
        x = self.quantised(n, x, x_scale, x_zero, "dequantize", x.dtype, 1)
        if bias is not None:
            if not n.is_static(8):
                raise CannotFeed("a computed bias of integers is not translated")
            whole = bias
            bias = n.constant(lambda: whole.float() * (x_scale * w_scale).reshape(-1))
        w = self.quantised(n, w, w_scale, w_zero, "dequantize", w.dtype, 4, 0)
        return self.quantised(n, self.Conv(n, x, w, bias), y_scale, y_zero, "quantize", y_zero.dtype, 6)

    def DynamicQuantizeLinear(self, n, x):
        library, kind = self.torch.ops.quantized_decomposed, self.torch.uint8
        scale, zero = library.choose_qparams.tensor(x, 0, 255, 1.1920928955078125e-07, kind)
        return library.quantize_per_tensor.tensor(x, scale, zero, 0, 255, kind), scale.float().reshape(()), zero.to(kind).reshape(())

    def MatMulInteger(self, n, a, b, a_zero=None, b_zero=None):
        a, b = a.to(self.torch.int32), b.to(self.torch.int32)
        if a_zero is not None:
            a = a - (a_zero.unsqueeze(-1) if a_zero.ndim == 1 and math.prod(self.shape(a_zero)) > 1 else a_zero).to(self.torch.int32)
        return self.torch.matmul(a, b if b_zero is None else b - b_zero.to(self.torch.int32))

    def ConvInteger(self, n, x, w, x_zero=None, w_zero=None):
        x, w = x.float(), w.float()  # PyTorch convolves no integers
        if w_zero is not None:
            w_zero = w_zero.reshape([-1] + [1] * (w.ndim - 1)) if w_zero.ndim == 1 else w_zero
        x = x if x_zero is None else x - x_zero.float()
        return self.Conv(n, x, w if w_zero is None else w - w_zero.float()).to(self.torch.int32)

    def quantised(self, n, x, scale, zero, what, dtype, at=1, axis=None):
        kind = str(dtype).rsplit(".", 1)[-1]
        if kind not in _QUANTA or scale.dtype != self.torch.float32 or n("block_size", 0) or n("output_dtype", 0):
            raise CannotFeed("quantisation to %s with these scales has no operator in PyTorch" % kind)
        if what == "quantize" and x.dtype != self.torch.float32:
            raise CannotFeed("only float32 is quantised")
        library, limits = self.torch.ops.quantized_decomposed, _QUANTA[kind]
        if math.prod(self.shape(scale)) == 1:
            shift = int(self.scalar(n, at + 1, 0) or 0)
            return getattr(library, what + "_per_tensor").default(x, float(self.scalar(n, at)), shift, *limits, dtype)
        if not n.is_static(at) or scale.ndim != 1:
            raise CannotFeed("computed scales and blocks of them have no operator in PyTorch")
        shifts = n.constant(lambda: self.torch.zeros(self.shape(scale), dtype=self.torch.int64) if zero is None else zero.long())
        return getattr(library, what + "_per_channel").default(x, scale, shifts, (n("axis", 1) if axis is None else axis) % x.ndim, *limits, dtype)
