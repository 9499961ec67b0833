"""ONNX's own ReferenceEvaluator: the other oracle. https://onnx.ai/onnx/api/reference.html"""

import numpy as np


class Runtime:
    NAME = "reference"
    ALIASES = ()
    HIDDEN = True
    REVISION = 1
    PYTHON = ""
    PACKAGES: dict = {}
    LICENCE = ""
    SIZE_MB = 0
    NEEDS = ""
    TARGETS: dict = {"reference/cpu": {}}
    ABOUT = "ONNX's reference implementation in Python, used as an oracle."

    def __init__(self, options):
        import onnx
        import onnx.reference

        self.onnx = onnx

    def versions(self):
        return {"onnx": self.onnx.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        import ml_dtypes

        names = {
            "float8_e4m3fn": "float8e4m3fn",
            "float8_e4m3fnuz": "float8e4m3fnuz",
            "float8_e5m2": "float8e5m2",
            "float8_e5m2fnuz": "float8e5m2fnuz",
        }
        kinds = {v: k for k, v in names.items()}
        stage("load")
        evaluator = self.onnx.reference.ReferenceEvaluator(model, new_ops=self.extra(model))
        stage("run")
        feeds = {}
        for name, array in inputs.items():
            kind = getattr(ml_dtypes, kinds.get(dtypes[name], dtypes[name]), None)
            feeds[name] = array.view(kind) if kind is not None and array.dtype != kind else array
        made = []
        for value in evaluator.run(outputs, feeds):
            if isinstance(value, (list, dict)) or value is None:
                raise TypeError("an output is not a tensor")
            array = np.asarray(value)
            name = str(array.dtype)
            if hasattr(ml_dtypes, name):
                made.append((array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8), names.get(name, name)))
            else:
                made.append(array)
        return made, {"placement": "native", "units": []}

    def extra(self, model):
        """DequantizeLinear before version 19 has no implementation: supply one, since every QDQ model of that age needs it."""
        from onnx.reference.op_run import OpRun

        def run(self, codes, scale, zero_point=None, axis=1, **newer):
            around = [1] * codes.ndim
            if scale.size > 1:
                around[axis] = scale.size
                scale = scale.reshape(around)
            zero = np.float32(0) if zero_point is None else zero_point.astype(np.float32).reshape(scale.shape)
            return (((codes.astype(np.float32) - zero) * scale).astype(np.float32).reshape(codes.shape),)

        opset = next((o.version for o in self.onnx.load(model).opset_import if o.domain == ""), 19)
        return [type("DequantizeLinear", (OpRun,), {"op_domain": "", "_run": run})] if opset < 19 else []
