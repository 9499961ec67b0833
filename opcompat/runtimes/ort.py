"""ONNX Runtime's CPU provider, and the same with optimisations off as one of the two oracles. https://onnxruntime.ai"""

import numpy as np


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "ort"
    ALIASES = ("onnxruntime",)
    HIDDEN = False
    REVISION = 2
    PYTHON = "3.11"
    PACKAGES = {"onnxruntime": "1.32.0"}
    OLDER = (
        {"PACKAGES": {"onnxruntime": "1.28.0"}},
        {"PACKAGES": {"onnxruntime": "1.24.4"}},
        {"PACKAGES": {"onnxruntime": "1.22.1"}},
        {"PACKAGES": {"onnxruntime": "1.20.1"}},
        {"PACKAGES": {"onnxruntime": "1.18.1", "numpy": "1.26.4"}},
        {"PACKAGES": {"onnxruntime": "1.17.3", "numpy": "1.26.4"}},
        {"PACKAGES": {"onnxruntime": "1.15.1", "numpy": "1.26.4"}},
    )
    LICENCE = ""
    SIZE_MB = 76
    NEEDS = ""
    TARGETS = {"ort/cpu": {"optimisation": "ORT_ENABLE_ALL"}}
    ABOUT = "ONNX Runtime, default CPU execution provider, all optimisations on, one thread."

    def __init__(self, options):
        import onnxruntime

        self.ort, self.options = onnxruntime, options
        onnxruntime.set_default_logger_severity(4)

    def versions(self):
        return {"onnxruntime": self.ort.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        infer, read = self.opened(model, inputs, dtypes, outputs, stage)
        return read(infer())

    def opened(self, model, inputs, dtypes, outputs, stage):
        options = self.ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        options.graph_optimization_level = getattr(self.ort.GraphOptimizationLevel, self.options["optimisation"])
        stage("load")
        session = self.ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
        stage("run")
        about = {"placement": "native", "units": ["CPUExecutionProvider"]}
        if "string" in (dtypes[name] for name in inputs):  # the binding makes no OrtValue of strings, but feeds them as arrays
            return lambda: session.run(outputs, inputs), lambda made: (made, about)
        feeds = {i.name: self.value(inputs[i.name], dtypes[i.name]) for i in session.get_inputs()}
        return lambda: session.run_with_ort_values(outputs, feeds), lambda made: ([self.array(v) for v in made], about)

    def value(self, array, dtype):
        numbers = {"bfloat16": 16, "float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20}
        if dtype in numbers:
            if not hasattr(self.ort.OrtValue, "ortvalue_from_numpy_with_onnx_type"):
                raise CannotFeed("the Python binding of this version takes no %s input" % dtype)
            return self.ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, numbers[dtype])
        if dtype in ("int4", "uint4"):
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return self.ort.OrtValue.ortvalue_from_numpy(array)

    def array(self, value):
        kind = value.data_type()
        name = kind[len("tensor(") : -1] if kind.startswith(("tensor(float8", "tensor(bfloat16")) else ""
        if name or kind in ("tensor(int4)", "tensor(uint4)"):
            import ctypes

            if not name:
                raise CannotFeed("the Python binding cannot read a %s output" % kind)
            count = int(np.prod(value.shape()))
            width = 2 if name == "bfloat16" else 1
            raw = ctypes.string_at(value.data_ptr(), count * width)
            return np.frombuffer(raw, np.uint16 if width == 2 else np.uint8).reshape(value.shape()), name
        if not kind.startswith("tensor"):
            raise CannotFeed("the output is a %s, not a tensor" % kind)
        return value.numpy()
