"""DFT, STFT, window functions and mel weights, as audio models have them in front: axis, direction, length, one side only, complex input, window and
frame length given or left out, constant or computed, dtype, opset. Answers come from numpy's FFT."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Answer, Array, Const, Graph, Probe, const, data, describe, pattern, single_op, vary

FAMILY = "signal"
DFT = {
    "axis": 1, "input": "real", "inverse": 0, "onesided": 0, "length": "absent", "rank": 3, "dtype": "float32", "dynamic": "none", "opset": 20,
}  # fmt: skip
STFT = {"window": "constant", "frame_length": "absent", "onesided": 1, "step": "constant", "input": "real", "dtype": "float32", "dynamic": "none"}
WINDOW = {"size": "computed", "type": "int64", "periodic": 1, "dtype": "float32"}
WINDOWS = {"HannWindow": (0.5, 0.5, 0.0), "HammingWindow": (25 / 46, 21 / 46, 0.0), "BlackmanWindow": (0.42, 0.5, 0.08)}
MEL = {"size": "constant", "bins": 6, "length": 32, "edges": "wide"}


def parts(value: Array, dtype: str) -> Array:
    """Complex numbers as a last axis of two."""
    return np.stack([value.real, value.imag], -1).astype(dtype)


def whole(x: Array) -> Array:
    return x[..., 0].astype(np.float64) + (1j * x[..., 1] if x.shape[-1] == 2 else 0)


def dft(f: dict) -> Probe:
    """onesided=1 of a real signal gives half of the spectrum; onesided=1 and inverse=1 together are left out, for their meaning changed."""
    lead = (2, 8, 6, 5)[: f["rank"] - 1]
    x = data(*lead, 2 if f["input"] == "complex" else 1, dtype=f["dtype"])
    size = {"absent": None, "shorter": 6, "longer": 12, "computed": 10}[f["length"]]
    axis = f["axis"]

    def answer(feeds: dict[str, Array]) -> list[Array]:
        signal, along = whole(feeds["X"]), axis if axis >= 0 else axis + 1
        made = (np.fft.ifft if f["inverse"] else np.fft.fft)(signal, size, along)
        return [parts(made.take(range(made.shape[along] // 2 + 1), along) if f["onesided"] else made, f["dtype"])]

    inputs: dict[str, Array | Const | None] = {"X": x, "length": None}
    if size is not None:
        inputs["length"] = np.array(size, np.int64) if f["length"] == "computed" else const(size)
    more: dict[str, Any] = {k: 1 for k in ("inverse", "onesided") if f[k]}
    if f["opset"] < 20:
        more["axis"] = axis
    else:
        inputs["axis"] = const(axis)
    shape = list(answer({"X": x})[0].shape)
    free = {"X": ["N", *x.shape[1:]]} if f["dynamic"] == "batch" else None
    declared: dict[str, Any] = {"output_dtypes": [f["dtype"]], "output_shapes": [["N" if free else shape[0], *shape[1:]]]}
    return single_op(FAMILY, "DFT", describe(DFT, f), inputs, opset=f["opset"], dynamic=free, answer=answer, **declared, **more)


def stft(f: dict) -> Probe:
    x = data(2, 32, 2 if f["input"] == "complex" else 1, dtype=f["dtype"])
    x = x[..., 0] if f["input"] == "rank 2" else x
    taper = np.hanning(8).astype(f["dtype"]) if f["window"] != "absent" else np.ones(8, f["dtype"])
    given = {"constant": Const(taper), "computed": taper, "absent": None}[f["window"]]

    def answer(feeds: dict[str, Array]) -> list[Array]:
        signal = feeds["X"] if feeds["X"].ndim == 2 else whole(feeds["X"])
        frames = np.stack([signal[:, i : i + 8] for i in range(0, 25, 4)], 1) * feeds.get("window", taper)
        made = np.fft.fft(frames)
        return [parts(made[..., :5] if f["onesided"] else made, f["dtype"])]

    step = np.array(4, np.int64)
    inputs: dict[str, Array | Const | None] = {"X": x, "step": step if f["step"] == "computed" else Const(step), "window": given}
    inputs["length"] = None if f["frame_length"] == "absent" else const(8)
    free = {"X": ["N", *x.shape[1:]]} if f["dynamic"] == "batch" else None
    shape = ["N" if free else 2, 7, 5 if f["onesided"] else 8, 2]
    declared: dict[str, Any] = {"output_dtypes": [f["dtype"]], "output_shapes": [shape]}
    sided = None if f["onesided"] else 0
    return single_op(FAMILY, "STFT", describe(STFT, f), inputs, dynamic=free, answer=answer, onesided=sided, **declared)


def window(op: str, f: dict) -> Probe:
    """A window of a constant size is joined to a signal, for a graph without inputs is another matter."""
    first, second, third = WINDOWS[op]
    phase = 2 * np.pi * np.arange(10) / (10 if f["periodic"] else 9)
    made = (first - second * np.cos(phase) + third * np.cos(2 * phase)).astype(f["dtype"])
    code = None if f["dtype"] == "float32" else {"float64": 11, "float16": 10}[f["dtype"]]
    more: dict[str, Any] = {"periodic": None if f["periodic"] else 0, "output_datatype": code}
    size = np.array(10, f["type"])
    if f["size"] == "computed":
        answer: Answer = lambda feeds: [made]  # noqa: E731
        return single_op(
            FAMILY, op, describe(WINDOW, f), {"size": size}, answer=answer, output_dtypes=[f["dtype"]], output_shapes=[["T"]], **more,
        )  # fmt: skip
    x = data(2, 10, dtype=f["dtype"])
    return pattern(
        FAMILY, op, describe(WINDOW, f), lambda g: g("Mul", "X", g(op, Const(size), mark=True, **more)), {"X": x},
        answer=lambda feeds: [feeds["X"] * made],
    )  # fmt: skip


def mel(f: dict) -> Probe:
    """Triangles on the mel scale, times a spectrum. Their corners are rounded down to bins, so that edges between bins matter."""
    low, high = {"wide": (0.0, 8000.0), "narrow": (300.0, 3000.0)}[f["edges"]]
    numbers = {"bins": f["bins"], "length": f["length"], "rate": 16000}
    spectrum = data(3, f["length"] // 2 + 1, low=0, high=1)

    def make(g: Graph) -> Any:
        sizes = [const(v) if f["size"] == "constant" or k != "bins" else k for k, v in numbers.items()]
        return g("MatMul", "X", g("MelWeightMatrix", *sizes, const(low), const(high), mark=True))

    feeds = {"X": spectrum, **({"bins": np.array(f["bins"], np.int64)} if f["size"] == "computed" else {})}
    declared: dict[str, Any] = {"output_dtypes": ["float32"], "output_shapes": [[3, f["bins"] if f["size"] == "constant" else "M"]]}
    return pattern(FAMILY, "MelWeightMatrix", describe(MEL, f), make, feeds, **declared)


def probes() -> Iterator[Probe]:
    for f in vary(
        DFT, axis=[2, -2, -3], input=["complex"], inverse=[1], onesided=[1], length=["shorter", "longer", "computed"], rank=[4, 5],
        dtype=["float64"], dynamic=["batch"], opset=[17],
    ):  # fmt: skip
        if f["axis"] not in (2, -3):  # those need an axis more
            yield dft({**f, "inverse": 1, "input": "complex"} if f["inverse"] else f)
    for changed in ({"axis": 2, "rank": 4}, {"axis": -3, "rank": 4}, {"opset": 17, "onesided": 1}, {"opset": 17, "axis": 2, "rank": 4}):
        yield dft({**DFT, **changed})
    for f in vary(
        STFT, window=["computed", "absent"], frame_length=["given"], onesided=[0], step=["computed"], input=["complex"], dtype=["float64"],
        dynamic=["batch"],
    ):  # fmt: skip
        f = {**f, "frame_length": "given"} if f["window"] == "absent" else f
        yield stft({**f, "onesided": 0} if f["input"] == "complex" else f)
    yield stft({**STFT, "input": "rank 2", "frame_length": "given"})  # as PyTorch's exporter writes it
    for op in WINDOWS:
        for f in vary(WINDOW, size=["constant"], type=["int32"], periodic=[0], dtype=["float64", "float16"]):
            yield window(op, f)
        yield window(op, {**WINDOW, "size": "constant", "periodic": 0})
    for f in vary(MEL, size=["computed"], bins=[10], length=[64], edges=["narrow"]):
        yield mel({**f, "length": 128} if f["bins"] == 10 or f["edges"] == "narrow" else f)
