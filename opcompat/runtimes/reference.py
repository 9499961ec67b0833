"""ONNX's own ReferenceEvaluator: the other oracle. https://onnx.ai/onnx/api/reference.html"""

import numpy as np


class Runtime:
    NAME = "reference"
    ALIASES = ()
    HIDDEN = True
    PYTHON = ""
    PACKAGES = {}
    LICENCE = ""
    SIZE_MB = 0
    NEEDS = ""
    TARGETS = {"reference/cpu": {}}
    ABOUT = "ONNX's reference implementation in Python, used as an oracle."

    def __init__(self, options):
        import onnx
        import onnx.reference

        self.onnx = onnx

    def versions(self):
        return {"onnx": self.onnx.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        import ml_dtypes

        kinds = {"float8e4m3fn": "float8_e4m3fn", "float8e4m3fnuz": "float8_e4m3fnuz", "float8e5m2": "float8_e5m2", "float8e5m2fnuz": "float8_e5m2fnuz"}
        names = {v: k for k, v in kinds.items()}
        stage("load")
        evaluator = self.onnx.reference.ReferenceEvaluator(model)
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
            extra = hasattr(ml_dtypes, str(array.dtype))
            made.append((array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8), names.get(str(array.dtype), str(array.dtype))) if extra else array)
        return made, {"placement": "native", "units": []}
