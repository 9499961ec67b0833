"""Operators of ONNX Runtime Web's backends, from the tables inside its npm package. https://www.npmjs.com/package/onnxruntime-web"""

import re
from collections.abc import Callable, Iterator
from typing import Any

from opcompat import env
from opcompat.sources import SourceError, Table, header
from opcompat.sources._tables import Remark, Row, absent, cells, covered, listed, node_folder, ranges, schemas

AXES = "Input 'axes' if present should be a constant"
RECURRENT = "activations of Relu, Tanh, Sigmoid only, no clip, sequence_lens constant and full"
REMARKS: dict[str, Remark] = {
    "need perf optimization": ({}, ""),
    "need perf optimization; need implementing activation": ({}, ""),
    "need perf optimization; conv3d is not supported; need implementing activation": ({"X.rank": {"max": 4}}, ""),
    "need perf optimization; ConvTranspose3d is not supported; need implementing activation": ({"X.rank": {"max": 4}}, ""),
    "no GPU kernel": ({}, ""),
    "no GPU kernel; an ORT warning is generated - need to fix": ({}, ""),
    "CoordinateTransformMode align_corners is not supported with downsampling": ({}, "align_corners does not make smaller"),
    "Only supports 4-D input, 2-D 'kernel_shape'": ({"X.rank": 4}, ""),
    "Only supports 'training_mode' value is 0, one output": ({"training_mode": 0, "outputs": {"max": 1}}, ""),
    "Only supports 3-D or 4-D input and 'W' (weight)": (
        {"X.rank": {"min": 3, "max": 4}, "W.rank": {"min": 3, "max": 4}, "x.rank": {"min": 3, "max": 4}, "w.rank": {"min": 3, "max": 4}}, ""
    ),
    "'axis' input should be a constant": ({"axis.const": True}, ""),
    "'shape' input should be a constant": ({"shape.const": True}, ""),
    "Only supports test mode": ({}, "inference only"),
    "Only supports 'batch_dims' == 0": ({"batch_dims": 0}, ""),
    "Only supports 4-D input": ({"X.rank": 4}, ""),
    "Only supports 4-D input, 'p' value is 2": ({"X.rank": 4, "p": 2}, ""),
    "Only supports 4-D input, 2-D 'kernel_shape', 'p' value is 2": ({"X.rank": 4, "p": 2}, ""),
    "Only supports 4-D input, 2-D 'kernel_shape', 'storage_order' != 1, one output": ({"X.rank": 4, "storage_order": 0, "outputs": {"max": 1}}, ""),
    "modes == 'wrap' is not supported": ({"mode": {"not": "wrap"}}, ""),
    AXES: ({"axes.const": True}, ""),
    "Input 'shape' should be a constant, 0 dimension value in 'shape' is not supported": ({"shape.const": True}, "no 0 in shape"),
    "Only supports 4-D input, antialias == 0, exclude_outside == 0, keep_aspect_ratio_policy == 'stretch', 'linear' and 'nearest' modes, "
    "input 'scales' and 'sizes' if present must be a constant": (
        {"X.rank": 4, "antialias": 0, "exclude_outside": 0, "keep_aspect_ratio_policy": "stretch", "mode": ["linear", "nearest"],
         "scales.const": True, "sizes.const": True}, ""
    ),
    "Only supports 'reduction' == 'none'": ({"reduction": "none"}, ""),
    "Input 'starts', 'ends', 'axes', and 'steps' if present must be a constant": (
        {f"{n}.const": True for n in ("starts", "ends", "axes", "steps")}, ""
    ),
    "Input 'split' if present should be a constant": ({"split.const": True}, ""),
    "Input 'repeats' should be a constant": ({"repeats.const": True}, ""),
    "Input 'k' (option 'diagonal' for WebNN) if present should be a constant": ({"k.const": True}, ""),
}  # fmt: skip
LONG: dict[str, Remark] = {"GRU": ({}, f"layout 0, {RECURRENT}"), "LSTM": ({}, f"layout and input_forget 0, {RECURRENT}")}


def exactly(spans: list[tuple[int, int | None]]) -> Callable[[Any], bool]:
    """Versions as ONNX Runtime's registry of kernels reads them: one without an end stands for the version it starts with only."""
    return lambda schema: any(low == schema.since_version or (high is not None and low <= schema.since_version <= high) for low, high in spans)


def opsets(spans: list[tuple[int, int | None]]) -> Callable[[Any], bool]:
    """Versions as numbers of opsets: those of an operator that are in force in one of them."""

    def inside(schema: Any) -> bool:
        later = [s.since_version for s in schemas()[schema.name] if s.since_version > schema.since_version]
        last = min(later) - 1 if later else None
        return any((high is None or schema.since_version <= high) and (last is None or last >= low) for low, high in spans)

    return inside


class Source:
    NAME = "ort-web"
    ABOUT = "The tables of operators of WebGL, WebGPU and WebNN inside the npm package onnxruntime-web."
    RUNTIME = "ort-web"

    def rows(self, environment: env.Environment, progress: Any) -> Iterator[Table]:
        """Yield header and rows for each of the three tables."""
        folder = node_folder(environment, "onnxruntime-web") / "docs"
        version = environment.packages["onnxruntime-web"]
        for backend, device, read, about, fallback in (
            ("webgl", "webgl", _webgl, "ONNX Runtime Web's WebGL backend: its own table inside the package.", None),
            (
                "webgpu",
                "webgpu-jsep",
                _webgpu,
                "ONNX Runtime Web's WebGPU backend of JavaScript kernels: its own table inside the package.",
                "ort/cpu",
            ),
            ("webnn", "webnn", _webnn, "ONNX Runtime Web's WebNN backend: its own table inside the package; platforms differ.", "ort/cpu"),
        ):
            file = f"{backend}-operators.md"
            rows = list(read(list(cells(folder / file))))
            if not rows:
                raise SourceError(f"{file} of onnxruntime-web {version} holds no operator that can be read")
            rows += absent(covered(rows), "not in the package's table of the backend", backend != "webgl")
            yield (
                f"ort-web-{device}",
                header(
                    f"ort-web/{device}", "declared", about, fallback=fallback, title=f"onnxruntime-web/docs/{file}",
                    publisher="Microsoft, ONNX Runtime Web", version=version, date="2026-09",
                ),
                rows,
            )  # fmt: skip


def _name(cell: str) -> str:
    return re.sub(r"\[([^]]*)\]\([^)]*\)", r"\1", cell)


def _webgl(lines: list[list[str]]) -> Iterator[Row]:
    for operator, versions in lines:
        spans = ranges(_name(versions)) if versions else []
        yield from listed(_name(operator), opsets(spans), ({}, ""))


def _webgpu(lines: list[list[str]]) -> Iterator[Row]:
    for operator, domains, remark in lines:
        yield from _row(operator, domains, remark, exactly)


def _webnn(lines: list[list[str]]) -> Iterator[Row]:
    for operator, domains, _, remark in lines:
        yield from _row(operator, domains, remark, opsets)


def _row(operator: str, domains: str, remark: str, reading: Callable[[list[tuple[int, int | None]]], Callable[[Any], bool]]) -> Iterator[Row]:
    told = REMARKS.get(remark) or LONG.get(operator) or ({}, remark[:300])
    for domain, versions in re.findall(r"([a-z.]+)\(([^)]*)\)", domains):
        if domain == "ai.onnx":
            yield from listed(operator, reading(ranges(versions)), told)
        elif domain == "com.microsoft":
            words = told[1] or "which types it takes and which inputs it may leave out"
            yield {"op_type": operator, "domain": domain, "status": "partial", "when": {}, "limits": told[0], "unchecked": words}
