"""com.microsoft operators that ONNX Runtime's quantisers write: quantised layers whole (QGemm, QLinear*), products of integers that give floats,
dynamic quantisation, weights of 4 and 8 bits in blocks, quantised attention, embedding and LSTM; see also `quantised`.

Varied are dtypes, zero points, optional inputs, granularity and block size. No other tool defines them: every probe carries its answer in numpy."""

import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Probe, Tolerance, const, data, describe, single_op, vary

FAMILY = "contrib_quantised"
Inputs = dict[str, Array | Const | None]
LIMITS = {"uint8": (0, 255), "int8": (-128, 127), "uint16": (0, 65535), "int16": (-32768, 32767)}
QUANTUM = Tolerance(1.01, 0, "one output quantum")
CHOSEN = Tolerance(0.01, 0.01, "runtimes may quantise the other side to 8 bits")
DYNAMIC = Tolerance(0.05, 0.01, "inputs are quantised to 8 bits, and runtimes round halves differently")


def microsoft(
    op: str, name: str, inputs: Inputs, compute: Callable[..., Array], dtype: str, free: str = "", outputs: int = 1, **attributes: Any
) -> Probe:
    """compute takes all inputs by name, integers as int64 and floats as float64; dtype is that of the result. free names the inputs with N rows."""
    fixed = {k: v.array if isinstance(v, Const) else v for k, v in inputs.items()}
    tolerance = attributes.pop("tolerance", QUANTUM if "int" in dtype else None)

    def answer(fed: dict[str, Array]) -> list[Array]:
        given = {k: fed.get(k, v) for k, v in fixed.items()}
        wide = {k: v if v is None or v.dtype == bool else v.astype(np.float64 if v.dtype.kind == "f" else np.int64) for k, v in given.items()}
        made = compute(**wide)
        return [a.astype(dtype) for a in (made if isinstance(made, list) else [made])]

    shapes: list[Sequence[int | str]] = [["N", *a.shape[1:]] if free else a.shape for a in answer({})]
    dynamic = {k: ["N", *np.shape(fixed[k])[1:]] for k in free.split()}
    return single_op(
        FAMILY, op, name, inputs, domain="com.microsoft", outputs=outputs, output_dtypes=[dtype] * outputs, output_shapes=shapes, dynamic=dynamic,
        answer=answer, tolerance=tolerance, **attributes,
    )  # fmt: skip


def codes(*shape: int, dtype: str = "uint8", seed: int = 0) -> Array:
    low, high = LIMITS[dtype]
    return data(*shape, dtype=dtype, low=low, high=high, seed=seed)


def point(dtype: str) -> Const:
    return Const(np.asarray({"uint8": 120, "int8": -5, "uint16": 30000, "int16": -7}[dtype], dtype))


def stored(real: Array, scale: Any, zero: Any, dtype: str) -> Array:
    return np.clip(np.round(real / scale) + zero, *LIMITS[dtype])


def step(value: float) -> Const:
    return const(np.float32(value))


PRODUCT = {"A": "uint8", "B": "int8", "per": "tensor", "zero": True, "bias": False, "rank": 2, "weights": "constant", "dynamic": "none"}


def product(op: str, f: dict) -> Probe:
    """Integers times integers, scaled to floats; DynamicQuantizeMatMul quantises A first."""
    lead = {2: (4,), 3: (2, 4)}[f["rank"]]
    a = data(*lead, 16, low=-1, high=3) if op.startswith("Dynamic") else codes(*lead, 16, dtype=f["A"])
    b = codes(16, 5, dtype=f["B"], seed=1)
    scale = Const(np.linspace(0.005, 0.01, 5).astype(np.float32)) if f["per"] == "channel" else step(0.008)
    b_zero = None if not f["zero"] else Const(np.full(5, 3, f["B"])) if f["per"] == "channel" else Const(np.asarray(3, f["B"]))
    inputs: Inputs = {"A": a, "B": Const(b) if f["weights"] == "constant" else b}
    if op.startswith("Dynamic"):
        inputs |= {"b_scale": scale, "b_zero": b_zero}
    else:
        inputs |= {"a_scale": step(0.02), "b_scale": scale, "a_zero": point(f["A"]) if f["zero"] else None, "b_zero": b_zero}
    inputs["bias"] = const(data(5)) if f["bias"] else None

    def compute(A: Array, B: Array, b_scale: Array, b_zero: Array | None, bias: Array | None, **v: Any) -> Array:
        if op.startswith("Dynamic"):
            low, high = min(A.min(), 0.0), max(A.max(), 0.0)
            a_scale = (high - low) / 255
            a_zero = np.round(-low / a_scale)
            A = np.clip(np.round(A / a_scale) + a_zero, 0, 255)
        else:
            a_scale, a_zero = v["a_scale"], v["a_zero"]
        made = (A - (0 if a_zero is None else a_zero)) @ (B - (0 if b_zero is None else b_zero)) * a_scale * b_scale
        return made + (0 if bias is None else bias)

    own = {"tolerance": DYNAMIC} if op.startswith("Dynamic") else {}
    return microsoft(op, describe(PRODUCT, f), inputs, compute, "float32", "A" if f["dynamic"] == "batch" else "", **own)


GEMM = {"type": "uint8", "weights": "same", "transB": 0, "transA": 0, "per": "tensor", "C": True, "output": "quantised", "alpha": 1.0}


def gemm(f: dict) -> Probe:
    kind = f["type"] if f["weights"] == "same" else f["weights"]
    a = codes(*((16, 4) if f["transA"] else (4, 16)), dtype=f["type"])
    b = codes(*((5, 16) if f["transB"] else (16, 5)), dtype=kind, seed=1)
    scale = Const(np.linspace(0.008, 0.012, 5).astype(np.float32)) if f["per"] == "channel" else step(0.01)
    zero = Const(np.full(5, 0 if kind == "int8" else 128, kind)) if f["per"] == "channel" else Const(np.asarray(0 if kind == "int8" else 128, kind))
    quantised = f["output"] == "quantised"
    inputs: Inputs = {"A": a, "a_scale": step(0.02), "a_zero": point(f["type"]), "B": Const(b), "b_scale": scale, "b_zero": zero}
    inputs["C"] = Const(data(5, dtype="int32", low=-500, high=500)) if f["C"] else None
    inputs |= {"y_scale": step(0.6) if quantised else None, "y_zero": point(f["type"]) if quantised else None}

    def compute(A: Array, a_scale: Any, a_zero: Any, B: Array, b_scale: Any, b_zero: Any, C: Array | None, y_scale: Any, y_zero: Any) -> Array:
        left, right = A - a_zero, (B - (b_zero[:, None] if f["transB"] and b_zero.ndim else b_zero))
        sums = (left.T if f["transA"] else left) @ (right.T if f["transB"] else right)
        real = f["alpha"] * (sums + (0 if C is None else C)) * a_scale * b_scale
        return stored(real, y_scale, y_zero, f["type"]) if quantised else real

    dtype = f["type"] if quantised else "float32"
    flags: dict[str, Any] = {k: 1 for k in ("transA", "transB") if f[k]}
    return microsoft("QGemm", describe(GEMM, f), inputs, compute, dtype, alpha=f["alpha"], **flags)


def layers() -> Iterator[Probe]:
    """One input: dequantise, compute, quantise. What leaves the range of the output is clamped, so scales fit the values."""

    def spatial(X: Array) -> Array:
        return X.mean((2, 3), keepdims=True)

    def soft(axis: int) -> Callable[[Array], Array]:
        def function(X: Array) -> Array:
            found = np.exp(X - X.max(axis, keepdims=True))
            return found / found.sum(axis, keepdims=True)

        return function

    last = {"opset": 13, "axis": -1}
    for dtype in ("uint8", "int8"):
        cases: dict[str, tuple[str, Callable[[Array], Array], float, int | None, dict[str, Any]]] = {
            "QLinearSoftmax:axis=-1": ("QLinearSoftmax", soft(-1), 1 / 256, LIMITS[dtype][0], last),
            "QLinearSoftmax:axis=1": ("QLinearSoftmax", soft(1), 1 / 256, LIMITS[dtype][0], {"opset": 13, "axis": 1}),
            "QLinearSigmoid:full range": ("QLinearSigmoid", lambda X: 1 / (1 + np.exp(-X)), 1 / 256, LIMITS[dtype][0], {}),
            "QLinearLeakyRelu:alpha=0.3": ("QLinearLeakyRelu", lambda X: np.where(X < 0, 0.3 * X, X), 0.02, None, {"alpha": 0.3}),
            "QLinearReduceMean:spatial": ("QLinearReduceMean", spatial, 0.01, None, {"axes": [2, 3], "keepdims": 1}),
            "QLinearGlobalAveragePool:channels_last=1": (
                "QLinearGlobalAveragePool", lambda X: X.mean((1, 2), keepdims=True), 0.01, None, {"channels_last": 1},
            ),
        }  # fmt: skip
        for label, (op, function, scale, start, more) in cases.items():
            op_name, _, name = label.partition(":")
            zero = point(dtype) if start is None else Const(np.asarray(start, dtype))
            inputs: Inputs = {"X": codes(2, 4, 5, 6, dtype=dtype), "xs": step(0.02), "xz": point(dtype), "ys": step(scale), "yz": zero}

            def compute(X: Array, xs: Any, xz: Any, ys: Any, yz: Any, function: Any = function, dtype: str = dtype) -> Array:
                return stored(function((X - xz) * xs), ys, yz, dtype)

            given = {**more}
            if "opset" in given:
                yield softmax_probe(name, dtype, inputs, compute, given)
            else:
                yield microsoft(op, f"{name},dtype={dtype}", inputs, compute, dtype, **given)
            if op_name == "QLinearSigmoid":
                yield microsoft(op, f"dynamic=batch,dtype={dtype}", inputs, compute, dtype, free="X", **given)


def softmax_probe(name: str, dtype: str, inputs: Inputs, compute: Any, given: dict[str, Any]) -> Probe:
    """QLinearSoftmax has an attribute called opset, which single_op takes for the model's: it is added afterwards."""
    from onnx import helper

    made = microsoft("QLinearSoftmax", f"{name},dtype={dtype}", inputs, compute, dtype, axis=given["axis"])
    made.proto.graph.node[0].attribute.append(helper.make_attribute("opset", given["opset"]))
    return made


def pairs() -> Iterator[Probe]:
    """Two inputs, each with its own scale: sums and products with broadcasting, selection, joining."""
    for dtype in ("uint8", "int8"):
        for op in ("QLinearAdd", "QLinearMul"):
            for name, shape in (("B=row", (6,)), ("B=channel", (4, 1, 1)), ("B=scalar", ())):
                inputs: Inputs = {
                    "A": codes(2, 4, 5, 6, dtype=dtype), "as_": step(0.02), "az": point(dtype), "B": Const(codes(*shape, dtype=dtype, seed=1)),
                    "bs": step(0.015), "bz": point(dtype), "ys": step(0.045), "yz": point(dtype),
                }  # fmt: skip

                def compute(A: Array, as_: Any, az: Any, B: Array, bs: Any, bz: Any, ys: Any, yz: Any, op: str = op, dtype: str = dtype) -> Array:
                    left, right = (A - az) * as_, (B - bz) * bs
                    return stored(left + right if op == "QLinearAdd" else left * right, ys, yz, dtype)

                yield microsoft(op, f"{name},dtype={dtype}", inputs, compute, dtype)
        inputs = {
            "C": data(2, 4, 5, dtype="bool"), "X": codes(2, 4, 5, dtype=dtype), "xs": step(0.02), "xz": point(dtype),
            "Y": codes(2, 4, 5, dtype=dtype, seed=1), "ys": step(0.015), "yz": point(dtype), "zs": step(0.03), "zz": point(dtype),
        }  # fmt: skip

        def choose(C: Array, X: Array, xs: Any, xz: Any, Y: Array, ys: Any, yz: Any, zs: Any, zz: Any, dtype: str = dtype) -> Array:
            return stored(np.where(C, (X - xz) * xs, (Y - yz) * ys), zs, zz, dtype)

        yield microsoft("QLinearWhere", f"dtype={dtype}", inputs, choose, dtype)
        for axis in (-1, 0):
            three: Inputs = {"ys": step(0.03), "yz": point(dtype)}
            for i, scale in enumerate((0.02, 0.03, 0.015)):
                three |= {f"x{i}": codes(2, 3, 4, dtype=dtype, seed=i), f"s{i}": step(scale), f"z{i}": point(dtype)}

            def join(ys: Any, yz: Any, axis: int = axis, dtype: str = dtype, **v: Any) -> Array:
                return stored(np.concatenate([(v[f"x{i}"] - v[f"z{i}"]) * v[f"s{i}"] for i in range(3)], axis), ys, yz, dtype)

            yield microsoft("QLinearConcat", f"inputs=3,axis={axis},dtype={dtype}", three, join, dtype, axis=axis)


def edges() -> Iterator[Probe]:
    """Quantize- and DequantizeLinear of com.microsoft: 16 bits before opset 21."""
    for kind in ("uint16", "int16", "uint8"):
        for per in ("tensor", "channel"):
            count = 4 if per == "channel" else 0
            base = 1 / 16384 if "16" in kind else 0.01
            scale = Const(np.linspace(base, 2 * base, count).astype(np.float32)) if count else step(base)
            middle = {"uint16": 32768, "int16": 0, "uint8": 128}[kind]
            zero = Const(np.full(count, middle, kind)) if count else Const(np.asarray(middle, kind))
            around = (1, -1, 1) if count else ()

            def down(x: Array, s: Array, z: Array, kind: str = kind, around: Any = around) -> Array:
                return stored(x, s.reshape(around), z.reshape(around), kind)

            def up(x: Array, s: Array, z: Array, around: Any = around) -> Array:
                return (x - z.reshape(around)) * s.reshape(around)

            more = {"axis": 1} if count else {}
            real = data(2, 4, 5, low=-0.9, high=0.9)
            yield microsoft("QuantizeLinear", f"to={kind},per={per}", {"x": real, "s": scale, "z": zero}, down, kind, **more)
            whole = codes(2, 4, 5, dtype=kind)
            yield microsoft("DequantizeLinear", f"from={kind},per={per}", {"x": whole, "s": scale, "z": zero}, up, "float32", **more)


BLOCKS = {"bits": 4, "block": 16, "zero": "absent", "bias": False, "K": 32, "rank": 3, "dtype": "float32", "level": 0, "dynamic": "none"}


def blocks(f: dict) -> Probe:
    """Weights of N=8 rows and K columns, packed two (4 bits) or one (8 bits) a byte, low half first; one scale for each block of a row."""
    bits, size, k, n = f["bits"], f["block"], f["K"], 8
    count = math.ceil(k / size)
    whole = data(n, count * size, dtype="uint8", low=0, high=2**bits, seed=1)
    packed = whole.reshape(n, count, size)
    packed = packed[..., ::2] | packed[..., 1::2] << 4 if bits == 4 else packed
    scales = data(n, count, low=0.01, high=0.03, seed=2).astype(f["dtype"])
    zeros = data(n, count, dtype="uint8", low=4, high=12, seed=3)
    padded = np.concatenate([zeros, np.zeros((n, count % 2), np.uint8)], 1)
    kept = padded[:, ::2] | padded[:, 1::2] << 4 if bits == 4 else zeros
    inputs: Inputs = {
        "A": data(*{2: (3,), 3: (2, 3)}[f["rank"]], k, dtype=f["dtype"]), "B": Const(packed.astype(np.uint8)), "scales": Const(scales),
        "zeros": Const(kept.astype(np.uint8)) if f["zero"] == "given" else None, "index": None,
        "bias": Const(data(n).astype(f["dtype"])) if f["bias"] else None,
    }  # fmt: skip
    start = zeros.astype(float) if f["zero"] == "given" else np.full((n, count), 2.0 ** (bits - 1))

    def compute(A: Array, bias: Array | None, **rest: Any) -> Array:
        real = ((whole.reshape(n, count, size) - start[..., None]) * scales.astype(np.float64)[..., None]).reshape(n, -1)[:, :k]
        return A @ real.T + (0 if bias is None else bias)

    return microsoft(
        "MatMulNBits", describe(BLOCKS, f), inputs, compute, f["dtype"], "A" if f["dynamic"] == "batch" else "", K=k, N=n, bits=bits, block_size=size,
        accuracy_level=f["level"] or None, tolerance=CHOSEN,
    )  # fmt: skip


def table(bits: int, zero: bool, axis: int) -> Probe:
    """An embedding whose rows are stored in blocks of 16."""
    whole = data(6, 32, dtype="uint8", low=0, high=2**bits)
    packed = (whole[:, ::2] | whole[:, 1::2] << 4) if bits == 4 else whole
    scales, zeros = data(6, 2, low=0.01, high=0.03, seed=1), data(6, 2, dtype="uint8", low=4, high=12, seed=2)
    kept = (zeros[:, ::2] | zeros[:, 1::2] << 4) if bits == 4 else zeros
    inputs: Inputs = {
        "data": Const(packed),
        "indices": np.array([[0, 3], [5, 2]], np.int64),
        "scales": Const(scales),
        "zeros": Const(kept) if zero else None,
    }

    def compute(indices: Array, **rest: Any) -> Array:
        start = zeros.astype(float) if zero else np.full((6, 2), 2.0 ** (bits - 1))
        return ((whole.reshape(6, 2, 16) - start[..., None]) * scales[..., None]).reshape(6, 32)[indices]

    name = f"bits={bits},zero={'given' if zero else 'absent'}"
    return microsoft("GatherBlockQuantized", name, inputs, compute, "float32", bits=bits, block_size=16, gather_axis=axis, quantize_axis=1)


ATTENTION = {"type": "uint8", "weights": "int8", "mask": False, "unidirectional": 0, "dynamic": "none"}


def attention(f: dict) -> Probe:
    """Attention whose packed projection is quantised: two heads over 5 tokens of width 8."""
    inputs: Inputs = {
        "x": codes(2, 5, 8, dtype=f["type"]), "w": Const(codes(8, 24, dtype=f["weights"], seed=1)), "bias": const(data(24, seed=3)),
        "xs": step(0.02), "ws": step(0.004), "mask": np.array([5, 3], np.int32) if f["mask"] else None, "xz": point(f["type"]),
        "wz": Const(np.asarray(0 if f["weights"] == "int8" else 128, f["weights"])),
    }  # fmt: skip

    def compute(x: Array, w: Array, bias: Array, xs: Any, ws: Any, mask: Array | None, xz: Any, wz: Any) -> Array:
        q, k, v = np.split((x - xz) @ (w - wz) * xs * ws + bias, 3, -1)
        q, k, v = (a.reshape(2, 5, 2, 4).swapaxes(1, 2) for a in (q, k, v))
        scores = q @ k.swapaxes(2, 3) / 2
        if mask is not None:
            scores = scores + np.where(np.arange(5) < mask[:, None], 0, -10000.0)[:, None, None]
        if f["unidirectional"]:
            scores = np.where(np.tril(np.ones((5, 5), bool)), scores, -10000.0)
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        return (weights / weights.sum(-1, keepdims=True) @ v).swapaxes(1, 2).reshape(2, 5, 8)

    free = "x" if f["dynamic"] == "batch" else ""
    more = {"num_heads": 2, "unidirectional": f["unidirectional"] or None}
    return microsoft("QAttention", describe(ATTENTION, f), inputs, compute, "float32", free, **more)


def recurrent(direction: str) -> Probe:
    """LSTM with weights of 8 bits, stored with their inputs first; the state is quantised as it runs."""
    ways, hidden, features = 2 if direction == "bidirectional" else 1, 4, 3
    w, r = codes(ways, features, 4 * hidden, dtype="int8"), codes(ways, hidden, 4 * hidden, dtype="int8", seed=1)
    inputs: Inputs = {
        "X": data(5, 2, features), "W": Const(w), "R": Const(r), "B": const(data(ways, 8 * hidden, low=-0.5, high=0.5)), "lengths": None, "h": None,
        "c": None, "P": None, "ws": Const(np.full(ways, 0.005, np.float32)), "wz": Const(np.zeros(ways, np.int8)),
        "rs": Const(np.full(ways, 0.004, np.float32)), "rz": Const(np.zeros(ways, np.int8)),
    }  # fmt: skip

    def compute(X: Array, W: Array, R: Array, B: Array, **rest: Any) -> list[Array]:
        y, last = np.zeros((5, ways, 2, hidden)), []
        for d in range(ways):
            h = c = np.zeros((2, hidden))
            for t in range(5) if d == 0 else range(4, -1, -1):
                gates = X[t] @ (W[d] * 0.005) + h @ (R[d] * 0.004) + B[d][: 4 * hidden] + B[d][4 * hidden :]
                i, o, f, g = np.split(gates, 4, -1)
                i, o, f = (1 / (1 + np.exp(-a)) for a in (i, o, f))
                c = f * c + i * np.tanh(g)
                h = o * np.tanh(c)
                y[t, d] = h
            last.append((h, c))
        return [y, np.stack([h for h, _ in last]), np.stack([c for _, c in last])]

    return microsoft(
        "DynamicQuantizeLSTM", f"direction={direction}", inputs, compute, "float32", outputs=3, hidden_size=hidden, direction=direction,
        tolerance=DYNAMIC,
    )  # fmt: skip


def embedding(mask: bool) -> Probe:
    sizes = {"word": (10, 8), "position": (5, 8), "segment": (2, 8), "gamma": (8,), "beta": (8,)}
    held = {k: codes(*s, dtype="uint8", seed=i) for i, (k, s) in enumerate(sizes.items())}
    ids, segments = np.array([[3, 1, 9, 4, 7], [2, 8, 0, 5, 6]], np.int32), np.array([[0, 0, 1, 1, 1], [0, 1, 1, 0, 0]], np.int32)
    inputs: Inputs = {"ids": ids, "segments": segments, **{k: Const(v) for k, v in held.items()}}
    inputs["mask"] = np.array([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]], np.int32) if mask else None
    inputs |= {f"{k}_scale": step(0.01) for k in sizes} | {f"{k}_zero": point("uint8") for k in sizes}

    def compute(ids: Array, segments: Array, **v: Any) -> Array:
        word, position, segment, gamma, beta = ((v[k] - 120) * np.float64(np.float32(0.01)) for k in sizes)
        total = word[ids] + position + segment[segments]
        centred = total - total.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5) * gamma + beta

    return microsoft("QEmbedLayerNormalization", "base", inputs, compute, "float32", epsilon=1e-5)


CONV = {"type": "uint8", "weights": "int8", "per": "tensor", "bias": False, "group": 1, "channels_last": 1}


def conv(f: dict) -> Probe:
    """QLinearConv with channels last, as the optimiser lays it out for the CPU, or not; weights stay (out, in, rows, columns)."""
    inner, last = 4 // f["group"], f["channels_last"]
    x = codes(*((1, 6, 7, 4) if last else (1, 4, 6, 7)), dtype=f["type"])
    weight = codes(4, inner, 3, 3, dtype=f["weights"], seed=1)
    scale = Const(np.linspace(0.008, 0.012, 4).astype(np.float32)) if f["per"] == "channel" else step(0.01)
    inputs: Inputs = {
        "x": x, "xs": step(0.02), "xz": point(f["type"]), "w": Const(weight), "ws": scale,
        "wz": Const(np.asarray(0 if f["weights"] == "int8" else 128, f["weights"])), "ys": step(0.6), "yz": point(f["type"]),
        "B": Const(data(4, dtype="int32", low=-500, high=500)) if f["bias"] else None,
    }  # fmt: skip

    def compute(x: Array, xs: Any, xz: Any, w: Array, ws: Any, wz: Any, ys: Any, yz: Any, B: Array | None) -> Array:
        real = np.pad((x if last else np.moveaxis(x, 1, -1)) - xz, ((0, 0), (1, 1), (1, 1), (0, 0)))
        windows = np.lib.stride_tricks.sliding_window_view(real, (3, 3), (1, 2)).reshape(1, 6, 7, f["group"], inner, 3, 3)
        made = np.einsum("nhwgcij,gocij->nhwgo", windows, (w - wz).reshape(f["group"], -1, inner, 3, 3)).reshape(1, 6, 7, 4)
        made = (made + (0 if B is None else B)) * xs * ws
        return stored(made if last else np.moveaxis(made, -1, 1), ys, yz, f["type"])

    more = {"channels_last": last, "kernel_shape": [3, 3], "pads": [1] * 4, "group": None if f["group"] == 1 else f["group"]}
    return microsoft("QLinearConv", describe(CONV, f), inputs, compute, f["type"], **more)


def probes() -> Iterator[Probe]:
    wide: dict[str, list[Any]] = {"B": ["uint8"], "per": ["channel"], "zero": [False], "bias": [True], "rank": [3], "weights": ["computed"]}
    for f in vary(PRODUCT, A=["int8"], **wide, dynamic=["batch"]):
        yield product("MatMulIntegerToFloat", f)
    for f in vary(PRODUCT, **wide, dynamic=["batch"]):
        yield product("DynamicQuantizeMatMul", f)
    for f in vary(GEMM, type=["int8"], weights=["int8"], transB=[1], transA=[1], per=["channel"], C=[False], output=["float32"], alpha=[0.5]):
        yield gemm(f)
    yield gemm({**GEMM, "transB": 1, "per": "channel", "type": "int8"})
    yield from layers()
    yield from pairs()
    yield from edges()
    for f in vary(BLOCKS, bits=[8], block=[32], zero=["given"], bias=[True], K=[40], rank=[2], dtype=["float16"], level=[4], dynamic=["batch"]):
        yield blocks(f)
    yield blocks({**BLOCKS, "zero": "given", "bits": 8})
    for bits in (4, 8):
        for zero in (False, True):
            yield table(bits, zero, 0)
    for f in vary(ATTENTION, type=["int8"], weights=["uint8"], mask=[True], unidirectional=[1], dynamic=["batch"]):
        yield attention(f)
    for direction in ("forward", "bidirectional"):
        yield recurrent(direction)
    for f in vary(CONV, type=["int8"], weights=["uint8"], per=["channel"], bias=[True], group=[2], channels_last=[0]):
        yield conv(f)
