"""The list of TensorFlow operations that the converter of TensorFlow.js knows (tensorflowjs/op_list). https://github.com/tensorflow/tfjs

It names operations of TensorFlow. Which one an ONNX operator becomes is written down here, as onnx2tf's SavedModels have it; operators that
become several, or another by their form, are left out. The list is one for all backends, and forms are not told.
"""

import json
from collections.abc import Iterator
from typing import Any

from opcompat import env
from opcompat.sources import SourceError, Table, header
from opcompat.sources._tables import Row, package_folder

FLOATS = ["float16", "float32"]
NUMBERS = [*FLOATS, "int32", "int64"]
ANY = ["bool", *NUMBERS]
ROUTE: list[tuple[Row, str]] = [
    ({"dtype": FLOATS}, """Acos Acosh Asin Asinh Atan Atanh BatchNormalization=FusedBatchNormV3 Ceil Cos Cosh Elu Exp Floor GlobalAveragePool=Mean
        GlobalMaxPool=Max LRN LeakyRelu Log LogSoftmax Reciprocal Round Selu Sigmoid Sin Sinh Softmax Softplus Sqrt Sum=AddN Tan Tanh"""),
    ({"dtype": NUMBERS}, """Abs Add=AddV2 ArgMax ArgMin Clip=ClipByValue CumProd=Cumprod CumSum=Cumsum Div=RealDiv Einsum Erf Gemm=MatMul Greater
        GreaterOrEqual=GreaterEqual Less LessOrEqual=LessEqual MatMul=BatchMatMulV2 Max=Maximum Min=Minimum Mod=FloorMod Mul Neg PRelu=Prelu Pow
        Range ReduceMean=Mean ReduceProd=Prod ReduceSum=Sum Relu Sign Sub TopK=TopKV2"""),
    ({"dtype": ANY}, """Concat=ConcatV2 DepthToSpace Equal Expand=BroadcastTo Flatten=Reshape Gather=GatherV2 GatherND=GatherNd NonZero=Where
        ReduceMax=Max ReduceMin=Min Reshape ScatterND=ScatterNd Shape Size Slice=StridedSlice Split=SplitV Squeeze Tile Transpose
        Unsqueeze=ExpandDims Where=SelectV2"""),
    ({}, """And=LogicalAnd Cast ConstantOfShape=Fill Identity IsNaN=IsNan NonMaxSuppression=NonMaxSuppressionV5 Not=LogicalNot OneHot
        Or=LogicalOr"""),
    ({"X.rank": 4, "dtype": FLOATS}, "AveragePool=AvgPool"),
    ({"X.rank": 5, "dtype": FLOATS}, "AveragePool=AvgPool3D"),
    ({"X.rank": 4, "dtype": FLOATS, "outputs": 1}, "MaxPool"),
    ({"X.rank": 5, "dtype": FLOATS, "outputs": 1}, "MaxPool=MaxPool3D"),
    ({"X.rank": 4, "dtype": FLOATS, "grouping": "none"}, "Conv=Conv2D ConvTranspose=Conv2DBackpropInput"),
    ({"X.rank": 5, "dtype": FLOATS, "grouping": "none"}, "Conv=Conv3D"),
    ({"X.rank": 4, "dtype": FLOATS, "grouping": ["depthwise", "depthwise multiplier"]}, "Conv=DepthwiseConv2dNative"),
    ({"dtype": ANY, "mode": "constant"}, "Pad=PadV2"),
    ({"dtype": ANY, "mode": "reflect"}, "Pad=MirrorPad"),
    ({"X.rank": 4, "mode": "linear"}, "Resize=ResizeBilinear"),
    ({"X.rank": 4, "mode": "nearest"}, "Resize=ResizeNearestNeighbor"),
]  # fmt: skip
ABOUT = "TensorFlow.js's converter: whether it knows the operation of TensorFlow that onnx2tf makes of an operator; one list for all backends."


class Source:
    NAME = "tfjs-converter"
    ABOUT = "Which operations of TensorFlow the converter of TensorFlow.js knows."
    RUNTIME = "tfjs"

    def rows(self, environment: env.Environment, progress: Any) -> Iterator[Table]:
        """Yield header and rows for each backend."""
        known: set[str] = set()
        for path in sorted((package_folder(environment, "tensorflowjs") / "op_list").glob("*.json")):
            known.update(entry["tfOpName"] for entry in json.loads(path.read_text()))
        if not known:
            raise SourceError("tensorflowjs holds no list of operations that can be read")
        rows = []
        for when, names in ROUTE:
            for name in names.split():
                op_type, _, operation = name.partition("=")
                operation = operation or op_type
                row = {"op_type": op_type, "domain": "", "runtime_op": operation, "when": {k: v for k, v in when.items() if k != "outputs"}}
                if operation in known:
                    rows.append({**row, "status": "supported", "limits": {k: v for k, v in when.items() if k == "outputs"}})
                else:
                    rows.append({**row, "status": "unsupported", "note": f"the converter's list has no {operation}"})
        for backend in ("cpu", "wasm", "webgl"):
            yield (
                f"tfjs-{backend}",
                header(
                    f"tfjs/{backend}", "declared", ABOUT, title="tensorflowjs/op_list", publisher="Google, TensorFlow.js",
                    version=environment.packages["tensorflowjs"], date="2024-10", aliases=[] if backend == "cpu" else [backend],
                ),
                rows,
            )  # fmt: skip
