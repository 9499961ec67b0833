"""Operators that ONNX Runtime hands to NNAPI and Core ML, from the tables its package brings for choosing a mobile runtime.

https://onnxruntime.ai/docs/execution-providers/CoreML-ExecutionProvider.html
"""

from collections.abc import Iterator
from typing import Any

from opcompat import env
from opcompat.sources import Table, header
from opcompat.sources._tables import NEWEST_UNTOLD, Remark, Row, absent, cells, covered, listed, package_folder

TWO_D = {"X.rank": 4}
SCALES: Remark = ({}, "scales and zero points are constant")
REMARKS: dict[str, dict[str, Remark]] = {
    "": {
        "Only 2D Pool is supported.": (TWO_D, ""),
        "Only 2D Pool is supported currently. 3D and 5D support can be added if needed.": (TWO_D, ""),
        "Only 2D Conv is supported.": (TWO_D, ""),
        "Only 1D/2D Conv is supported.": ({"X.rank": {"min": 3, "max": 4}}, ""),
        "Weights and bias should be constant.": ({"W.const": True, "B.const": True}, ""),
        "Weight and bias must be constant.": ({"W.const": True, "B.const": True}, ""),
        "Bias if provided must be constant.": ({"B.const": True}, ""),
        "Input B must be constant.": ({"B.const": True}, ""),
        "Input B should be constant.": ({"B.const": True}, ""),
        "If provided, `splits` must be constant.": ({"split.const": True}, ""),
        "Input axes should be constant.": ({"axes.const": True}, ""),
        "starts/ends/axes/steps must be constant initializers.": ({f"{n}.const": True for n in ("starts", "ends", "axes", "steps")}, ""),
        "Only DCR mode DepthToSpace is supported.": ({"mode": "DCR"}, ""),
        "Only supports cases when both inputs are fp32.": ({"dtype": "float32", "T1.dtype": "float32"}, ""),
        "All quantization scales and zero points should be constant.": SCALES,
    },
    "ArgMax": {}, "And": {"Both inputs must be bool.": ({"dtype": "bool"}, "")},
    "ConvTranspose": {
        "padding_type of SAME_UPPER/SAME_LOWER is not supported.": ({"auto_pad": {"not": ["SAME_UPPER", "SAME_LOWER"]}}, ""),
        "kernel_shape must have default values.": ({}, "kernel_shape has its default values"),
        "output_shape is not supported.": ({"output_shape": False}, ""),
        "output_padding must have default values.": ({"output_padding": False}, ""),
    },
    "DepthToSpace": {"If 'mode' is 'CRD' the input must have a fixed shape.": ({}, "in mode CRD the shape is fixed")},
    "GatherND": {"batch_dims must be 0.": ({"batch_dims": 0}, "")},
    "Gather": {
        "Input `indices` with scalar value is not supported.": ({"indices.rank": {"min": 1}}, ""),
        "Input indices should be constant if not int32 type.": ({}, "indices are constant or int32"),
    },
    "Gemm": {"If input B is not constant, transB should be 1.": ({}, "B is constant or transB is 1")},
    "GridSample": {
        "4D input.": (TWO_D, ""),
        "'mode' of 'linear' or 'zeros'.": ({"mode": ["linear", "bilinear", "nearest"]}, "the table's words are: mode of linear or zeros"),
        "(mode==linear && padding_mode==reflection && align_corners==0) is not supported.": ({}, "not reflection without align_corners"),
    },
    "MatMul": {"Only support for transA == 0, alpha == 1.0 and beta == 1.0 is currently implemented.": ({}, "")},  # it has none of these
    "Pad": {
        "Only constant mode and last two dim padding is supported.": ({"mode": "constant", "pads": ["spatial", "nothing"]}, ""),
        "Input pads and constant_value should be constant.": ({"pads.const": True, "constant_value.const": True}, ""),
        "If provided, axes should be constant.": ({"axes.const": True}, ""),
        "Only constant mode Pad is supported.": ({"mode": "constant"}, ""),
        "Input pads values should be non-negative.": ({"pads.negative": False}, ""),
    },
    "PRelu": {
        "Input slope should be constant.": ({"slope.const": True}, ""),
        "Input slope should either have shape [C, 1, 1] or have 1 element.": ({}, "slope has shape [C, 1, 1] or one element"),
    },
    "QLinearAveragePool": {"Only 2D Pool is supported.": ({"in0.rank": 4}, "")},
    "QLinearConv": {
        "Weights and bias should be constant.": ({"w.const": True, "B.const": True}, ""),
        "Only 2D Conv is supported.": ({"x.rank": 4}, ""),
    },
    "Reciprocal": {"this ask for a `epislon` (default 1e-4) where onnx don't provide": ({}, "")},
    "Resize": {
        "Only 2D Resize is supported.": ({"X.rank": 4, "resizes": ["spatial", "channels last"]}, ""),
        "See [resize_op_builder.cc](https://github.com/microsoft/onnxruntime/blob/main/onnxruntime/core/providers/coreml/builders/impl/"
        "resize_op_builder.cc) implementation. There are too many permutations to describe the valid combinations.": (
            {}, "which combinations of modes, the table says, are too many to describe"
        ),
        "4D input.": (TWO_D, ""),
        "`coordinate_transformation_mode` == `asymmetric`.": ({"coordinate_transformation_mode": "asymmetric"}, ""),
        "`mode` == `linear` or `nearest`.": ({"mode": ["linear", "nearest"]}, ""),
        "`nearest_mode` == `floor`.": ({"nearest_mode": "floor"}, ""),
        "`exclude_outside` == false": ({"exclude_outside": 0}, ""),
        "`scales` or `sizes` must be constant.": ({"scales.const": True, "sizes.const": True}, ""),
    },
    "Shape": {
        "Attribute `start` with non-default value is not supported.": ({"start": 0}, ""),
        "Attribute `end` is not supported.": ({}, "end is not given"),
    },
    "Slice": {
        "Inputs `starts`, `ends`, `axes`, and `steps` should be constant. Empty slice is not supported.": (
            {**{f"{n}.const": True for n in ("starts", "ends", "axes", "steps")}, "empty result": False}, ""
        ),
    },
    "Split": {
        "Number of splits must evenly divide split axis size. Input split should be constant if provided.": (
            {"split.const": True, "equal parts": True}, ""
        ),
    },
    "Tile": {
        "`repeats` may be a constant initializer or a runtime tensor (MLProgram only). Input rank up to 5.": ({"input.rank": {"max": 5}}, ""),
    },
    "Where": {"`X`/`Y` branches must be float or float16.": ({"dtype": ["float32", "float16"]}, "")},
}  # fmt: skip
"""Operator ("" for all) -> the table's remark -> what it means in facts."""
NAMES = {"Argmax": "ArgMax"}
FILES = {
    "nnapi_supported_ops.md": ("ort-nnapi/npu", "Android's NNAPI through ONNX Runtime's execution provider"),
    "coreml_supported_neuralnetwork_ops.md": ("ort-coreml/neuralnetwork", "Core ML's NeuralNetwork format through ONNX Runtime's execution provider"),
    "coreml_supported_mlprogram_ops.md": ("ort-coreml/mlprogram", "Core ML's MLProgram format through ONNX Runtime's execution provider"),
}


def meaning(op_type: str, sentences: list[str]) -> Remark:
    """Return limits and what stays in words of the remarks on an operator; an unknown remark stays in its words."""
    limits: dict[str, Any] = {}
    words = []
    for sentence in sentences:
        found = REMARKS.get(op_type, {}).get(sentence) or REMARKS[""].get(sentence) or ({}, sentence[:200])
        limits.update(found[0])
        words += [found[1]] if found[1] else []
    return limits, "; ".join(words)


class Source:
    NAME = "ort-mobile"
    ABOUT = "The tables of operators for NNAPI and Core ML inside the onnxruntime package."
    RUNTIME = "ort"

    def rows(self, environment: env.Environment, progress: Any) -> Iterator[Table]:
        """Yield header and rows for each of the three tables."""
        folder = package_folder(environment, "onnxruntime") / "tools" / "mobile_helpers"
        for file, (target, about) in FILES.items():
            rows: list[Row] = []
            for name, remark in cells(folder / file):
                domain, _, op_type = name.replace("ai.onnx.", "ai.onnx:").partition(":")
                op_type = NAMES.get(op_type, op_type)
                said = meaning(op_type, [s.strip() for s in remark.split("<br/>") if s.strip()])
                if domain == "ai.onnx":
                    rows += listed(op_type, lambda schema: schema.since_version <= NEWEST_UNTOLD, said)
                else:
                    status = "partial" if said[0] or said[1] else "supported"
                    rows.append({"op_type": op_type, "domain": domain, "status": status, "when": {}, "limits": said[0], "unchecked": said[1]})
            rows += absent({o: set(range(99)) for o in covered(rows)}, "not in the package's table of what is handed over", True)
            version = environment.packages["onnxruntime"]
            words = f"{about}: its own table inside the package."
            title = f"onnxruntime/tools/mobile_helpers/{file}"
            yield (
                target.replace("/", "-"),
                header(
                    target, "declared", words, fallback="ort/cpu", title=title, publisher="Microsoft, ONNX Runtime", version=version, date="2026-11"
                ),
                rows,
            )
