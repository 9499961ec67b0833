"""OpenVINO's CPU plugin. By default it computes in bfloat16 on CPUs that have it, so the default and the float32 hint are two targets.

https://docs.openvino.ai
"""

import numpy as np


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "openvino"
    ALIASES = ("ov",)
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"openvino": "2026.4.1"}
    LICENCE = ""
    SIZE_MB = 180
    NEEDS = ""
    TARGETS = {
        "openvino/cpu": {"config": {}, "precision": "bfloat16"},
        "openvino/cpu-f32": {"config": {"INFERENCE_PRECISION_HINT": "f32"}},
    }
    ABOUT = "OpenVINO CPU plugin: default precision (bfloat16 where the CPU has it), and with the float32 hint."

    def __init__(self, options):
        import openvino

        self.ov, self.options = openvino, options
        self.core = openvino.Core()

    def versions(self):
        return {"openvino": self.ov.__version__.split("-")[0]}

    def probe(self, model, inputs, dtypes, outputs, stage):
        config = {"PERFORMANCE_HINT": "LATENCY", "INFERENCE_NUM_THREADS": 1, **self.options["config"]}
        stage("load")
        read = self.core.read_model(model)
        stage("compile")
        compiled = self.core.compile_model(read, "CPU", config)
        stage("run")
        request = compiled.create_infer_request()
        feeds = {}
        for port, name in zip(compiled.inputs, inputs, strict=True):  # in order: a tensor that is also an output may go by the output's name only
            feeds[port] = self.tensor(inputs[name], dtypes[name])
        request.infer(feeds)
        made = []
        for index in range(len(compiled.outputs)):
            tensor = request.get_output_tensor(index)
            kind = tensor.element_type
            if kind == self.ov.Type.string:
                made.append(np.asarray(tensor.str_data, dtype=object))
            elif kind == self.ov.Type.bf16:
                made.append((np.array(tensor.data).view(np.uint16), "bfloat16"))
            elif kind in (self.ov.Type.f8e4m3, self.ov.Type.f8e5m2):
                made.append((np.array(tensor.data).view(np.uint8), "float8e4m3fn" if kind == self.ov.Type.f8e4m3 else "float8e5m2"))
            else:
                made.append(np.array(tensor.data))
        return made, {"placement": "native", "units": ["CPU"]}

    def tensor(self, array, dtype):
        kinds = {"bfloat16": self.ov.Type.bf16, "float8e4m3fn": self.ov.Type.f8e4m3, "float8e5m2": self.ov.Type.f8e5m2}
        if dtype in kinds:
            made = self.ov.Tensor(kinds[dtype], self.ov.Shape(list(array.shape)))
            made.data.view(array.dtype)[...] = array
            return made
        if dtype in ("int4", "uint4", "float8e4m3fnuz", "float8e5m2fnuz"):
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return self.ov.Tensor(array.astype(str)) if dtype == "string" else self.ov.Tensor(np.asarray(array, order="C"))
