"""OpenVINO's CPU, GPU and NPU plugins. By default the CPU's computes in bfloat16 where the CPU has it, so the default and the float32 hint are
two targets. Compiling for one device leaves nothing to another: that takes HETERO or AUTO, which are not used.

https://docs.openvino.ai
"""

import inspect

import numpy as np


class CannotFeed(Exception):
    pass


class Plugin:
    """What the runtimes below share. It has no NAME, so it is none itself."""

    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"openvino": "2026.4.1"}
    LICENCE = ""
    SIZE_MB = 180
    DEVICE = "CPU"

    def __init__(self, options):
        import openvino

        # before 2023.1 everything was in a module of its own
        self.ov, self.options = openvino if hasattr(openvino, "Core") else __import__("openvino.runtime").runtime, options
        self.core = self.ov.Core()
        self.look()
        names = {"bfloat16": "bf16", "float8e4m3fn": "f8e4m3", "float8e5m2": "f8e5m2", "string": "string"}
        self.kinds = {dtype: getattr(self.ov.Type, name) for dtype, name in names.items() if hasattr(self.ov.Type, name)}

    def look(self):
        """Raise where there is no such device; they may be numbered: GPU.0, GPU.1."""
        there = self.core.available_devices
        if not any(name.split(".")[0] == self.DEVICE for name in there):
            raise RuntimeError("OpenVINO sees no %s here, only %s" % (self.DEVICE, ", ".join(there) or "nothing"))

    def versions(self):
        return {"openvino": self.ov.get_version().split("-")[0], "device": self.core.get_property(self.DEVICE, "FULL_DEVICE_NAME")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        infer, read = self.ready(model, inputs, dtypes, outputs, stage)
        return read(infer())

    def ready(self, model, inputs, dtypes, outputs, stage):
        config = {"PERFORMANCE_HINT": "LATENCY", **self.options["config"]}
        if self.DEVICE == "CPU":
            config["INFERENCE_NUM_THREADS"] = 1
        stage("load")
        read = self.core.read_model(model)
        stage("compile")
        compiled = self.core.compile_model(read, self.DEVICE, config)
        stage("run")
        request = compiled.create_infer_request()
        feeds = {port: self.tensor(inputs[name], dtypes[name]) for port, name in self.pairs(compiled.inputs, inputs)}
        # where it can be said, outputs are not copied: read() takes them from the request
        without_copies = {"share_outputs": True} if "share_outputs" in inspect.signature(request.infer).parameters else {}
        about = {"placement": "native", "units": [self.DEVICE]}
        return lambda: request.infer(feeds, **without_copies), lambda _: (self.arrays(request, len(compiled.outputs)), about)

    def pairs(self, ports, inputs):
        """Return (port, input's name). An input that the operator does not need, or of no elements, may have none: it became a constant."""
        found = {name: port for port in ports for name in port.names & inputs.keys()}
        others = [port for port in ports if not port.names & inputs.keys()]
        left = [name for name in inputs if name not in found]
        surplus = len(left) - len(others)
        for port in others:  # a tensor that is also an output may go by the output's name only: such ports come in order
            shape = port.get_partial_shape()
            fitting = [name for name in left if shape.compatible(self.ov.PartialShape(list(inputs[name].shape)))]
            if not fitting or (surplus and len(fitting) > 1):
                raise CannotFeed("which of the inputs %s is the port %s?" % (", ".join(left), port))
            found[fitting[0]] = port
            left.remove(fitting[0])
        return [(port, name) for name, port in found.items()]

    def arrays(self, request, count):
        made = []
        for index in range(count):
            tensor = request.get_output_tensor(index)
            dtype = next((d for d, kind in self.kinds.items() if kind == tensor.element_type), "")
            if dtype == "string":
                made.append(np.asarray(tensor.str_data, dtype=object))
            elif dtype:
                made.append((np.array(tensor.data).view(np.uint16 if dtype == "bfloat16" else np.uint8), dtype))
            else:
                made.append(np.array(tensor.data))
        return made

    def tensor(self, array, dtype):
        if dtype == "string" and dtype in self.kinds:
            return self.ov.Tensor(array.astype(str))
        if dtype in self.kinds:
            made = self.ov.Tensor(self.kinds[dtype], self.ov.Shape(list(array.shape)))
            made.data.view(array.dtype)[...] = array
            return made
        if dtype in ("string", "int4", "uint4") or dtype.startswith("float8"):
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return self.ov.Tensor(np.asarray(array, order="C"))


class Runtime(Plugin):
    NAME = "openvino"
    ALIASES = ("ov",)
    OLDER = (
        {"PACKAGES": {"openvino": "2026.1.0"}},
        {"PACKAGES": {"openvino": "2025.4.1"}},
        {"PACKAGES": {"openvino": "2025.1.0"}},
        {"PACKAGES": {"openvino": "2024.6.0"}},
        {"PACKAGES": {"openvino": "2024.2.0", "numpy": "1.26.4"}},
        {"PACKAGES": {"openvino": "2023.3.0", "numpy": "1.26.4"}},
        {"PACKAGES": {"openvino": "2023.0.2", "numpy": "1.24.4"}},
    )
    NEEDS = ""
    TARGETS = {
        "openvino/cpu": {"config": {}, "precision": "bfloat16"},
        "openvino/cpu-f32": {"config": {"INFERENCE_PRECISION_HINT": "f32"}},
    }
    ABOUT = "OpenVINO CPU plugin: default precision (bfloat16 where the CPU has it), and with the float32 hint."

    def look(self):
        pass  # the CPU's plugin is part of the package

    def versions(self):
        return {"openvino": self.ov.get_version().split("-")[0]}

    def opened(self, model, inputs, dtypes, outputs, stage):
        return self.ready(model, inputs, dtypes, outputs, stage)


class Query(Plugin):
    """The CPU's plugin, only asked which nodes it would take (Core.query_model). It has no NAME: opcompat/sources/openvino_query.py asks it."""

    EVIDENCE = "declared"

    def look(self):
        pass

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("load")
        read = self.core.read_model(model)
        stage("compile")
        taken = self.core.query_model(read, self.DEVICE)
        left = sorted({op.get_type_name() for op in read.get_ordered_ops() if op.get_friendly_name() not in taken})
        if left:
            raise RuntimeError("query_model leaves out " + ", ".join(left))
        return None, {"placement": "native", "units": [self.DEVICE]}


class Gpu(Plugin):
    NAME = "openvino-gpu"
    NEEDS = "an Intel GPU and its OpenCL driver (intel-opencl-icd)"
    BY_NAME = True
    ADDRESS_SPACE_GB = 0
    DEVICE = "GPU"
    TARGETS = {"openvino/gpu": {"config": {}, "precision": "float16"}}
    ABOUT = "OpenVINO's GPU plugin, default precision (float16), no other device beside it."


class Npu(Plugin):
    NAME = "openvino-npu"
    NEEDS = "an Intel NPU (Core Ultra), its driver and its compiler (intel-driver-compiler-npu)"
    BY_NAME = True
    ADDRESS_SPACE_GB = 0
    DEVICE = "NPU"
    TARGETS = {"openvino/npu": {"config": {}, "precision": "float16"}}
    ABOUT = "OpenVINO's NPU plugin, float16, no other device beside it."
