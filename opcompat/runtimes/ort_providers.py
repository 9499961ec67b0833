"""ONNX Runtime's other execution providers: OpenVINO, CUDA, TensorRT, MIGraphX. https://onnxruntime.ai/docs/execution-providers/

A provider in the list of those available proves nothing: what it does not take goes to ONNX Runtime's CPU provider, all of it where its
libraries or the device are missing. So one Relu must open with that switched off before anything is believed; and of every probe the graph's
assignment tells who took what; the units name the operators. A probe is `mixed` where only the company of the operator under test went to the
CPU, and `fallback` where it itself did, or is a function of which a part did.
"""

import ctypes
import os
import sys
import tempfile

import numpy as np

# one Relu over four float32, opset 13, as onnx serialises it
_RELU = bytes.fromhex("08083a330a0c0a0158120159220452656c751201725a0f0a0158120a0a08080112040a020804620f0a0159120a0a08080112040a02080442040a00100d")


_OPENVINO = "[OpenVINO-EP] "  # before OpenVINO's own words
_COMPANY = "opcompat company "


def _company():
    """Return four nodes (Tanh of Sigmoid, twice) with an input and an output of their own: appended to a serialised model, they are added to its
    graph, unconnected, since protobuf merges what it finds twice."""

    def field(number, content):
        return bytes((number << 3 | 2, len(content))) + content

    def value(number):
        return b"%s%d" % (_COMPANY.encode(), number)

    graph = b""
    for k, operator in enumerate((b"Sigmoid", b"Tanh", b"Sigmoid", b"Tanh")):
        graph += field(1, field(1, value(k)) + field(2, value(k + 1)) + field(3, value(k)) + field(4, operator))
    for k, number in (0, 11), (4, 12):  # input and output: four float32, as in the Relu above
        graph += field(number, field(1, value(k)) + bytes.fromhex("120a0a08080112040a020804"))
    return b"\x3a" + bytes((len(graph) & 127 | 128, len(graph) >> 7)) + graph


class CannotFeed(Exception):
    pass


class Provider:
    """What the runtimes below share. It has no NAME, so it is none itself."""

    ALIASES: tuple = ()
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES: dict = {}
    LICENCE = ""
    TARGETS: dict = {}
    PROVIDER = ""
    op = ""  # the operator under test, which the worker sets

    def __init__(self, options):
        import onnxruntime

        self.ort, self.options = onnxruntime, options
        self.device = self.prepare()
        if self.PROVIDER not in onnxruntime.get_available_providers():
            raise RuntimeError("this build of ONNX Runtime has no %s, only %s" % (self.PROVIDER, ", ".join(onnxruntime.get_available_providers())))
        with tempfile.TemporaryDirectory() as folder:
            self.control(os.path.join(folder, "relu.onnx"), os.path.join(folder, "log"))
        onnxruntime.set_default_logger_severity(4)

    def prepare(self):
        """Load libraries and look for the device; return {what: name} of it. Raise where there is none."""
        return {}

    def control(self, model, log):
        """Raise unless the provider takes a Relu. Why it could not be loaded is told on standard error only."""
        with open(model, "wb") as file:
            file.write(_RELU)
        sys.stderr.flush()
        kept = os.dup(2)
        try:
            with open(log, "wb") as file:
                os.dup2(file.fileno(), 2)
            self.ort.set_default_logger_severity(3)
            taken = self.taken(self.session(model, {"session.disable_cpu_ep_fallback": "1"}))
            refused = None if list(taken) == [self.PROVIDER] else "%s takes no Relu" % self.PROVIDER
        except Exception as error:
            refused = str(error)
        finally:
            os.dup2(kept, 2)
            os.close(kept)
        if refused is not None:
            with open(log, "rb") as file:
                words = file.read().decode("utf-8", "replace")
            lines = [line.split("] ", 1)[-1].replace("\033[m", "").strip() for line in words.splitlines() if "[E:" in line or "Error" in line]
            raise RuntimeError("; ".join([*lines[:2], refused])[:600])

    def versions(self):
        return {next(iter(self.PACKAGES)): self.ort.__version__, **self.device}

    def session(self, model, entries):
        options = self.ort.SessionOptions()
        options.log_severity_level = 4
        options.intra_op_num_threads = 1
        for key, value in {"session.record_ep_graph_assignment_info": "1", **entries}.items():
            options.add_session_config_entry(key, value)
        # enable_fallback: else the Python class opens the model on the CPU where the provider fails, and only prints that it does
        return self.ort.InferenceSession(model, options, providers=[(self.PROVIDER, self.options["provider"])], enable_fallback=0)

    def placed(self, model):
        """Return a session of the model, and who took what of it."""
        session = self.session(model, {})
        return session, self.taken(session)

    def taken(self, session):
        """Return provider -> operators that it took, of the graph as optimised."""
        found = {}
        for part in session.get_provider_graph_assignment_info():
            found.setdefault(str(part.ep_name), set()).update(str(node.op_type) for node in part.get_nodes() if not node.name.startswith(_COMPANY))
        return {name: sorted(operators) for name, operators in sorted(found.items()) if operators}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("compile")
        session, taken = self.placed(model)
        alone = list(taken) == [self.PROVIDER]
        left = {operator for name, operators in taken.items() if name != self.PROVIDER for operator in operators}
        company = self.op in taken.get(self.PROVIDER, ()) and self.op not in left
        about = {
            # of a graph folded into constants nobody was given anything
            "placement": "native" if alone else "mixed" if company else "fallback" if taken else "unknown",
            "units": list(taken) if alone else ["%s: %s" % (name, ", ".join(operators)) for name, operators in taken.items()],
        }
        stage("run")
        if "string" in (dtypes[name] for name in inputs):  # the binding makes no OrtValue of strings, but feeds them as arrays
            return session.run(outputs, {i.name: inputs[i.name] for i in session.get_inputs()}), about
        feeds = {i.name: self.value(inputs[i.name], dtypes[i.name]) for i in session.get_inputs()}
        return [self.array(v) for v in session.run_with_ort_values(outputs, feeds)], about

    def value(self, array, dtype):
        numbers = {"bfloat16": 16, "float8e4m3fn": 17, "float8e4m3fnuz": 18, "float8e5m2": 19, "float8e5m2fnuz": 20}
        if dtype in numbers:
            return self.ort.OrtValue.ortvalue_from_numpy_with_onnx_type(array, numbers[dtype])
        if dtype in ("int4", "uint4"):
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return self.ort.OrtValue.ortvalue_from_numpy(array)

    def array(self, value):
        kind = value.data_type()
        name = kind[len("tensor(") : -1] if kind.startswith(("tensor(float8", "tensor(bfloat16")) else ""
        if name:
            width = 2 if name == "bfloat16" else 1
            raw = ctypes.string_at(value.data_ptr(), int(np.prod(value.shape())) * width)
            return np.frombuffer(raw, np.uint16 if width == 2 else np.uint8).reshape(value.shape()), name
        if kind in ("tensor(int4)", "tensor(uint4)"):
            raise CannotFeed("the Python binding cannot read a %s output" % kind)
        if not kind.startswith("tensor"):
            raise CannotFeed("the output is a %s, not a tensor" % kind)
        return value.numpy()


class OpenVino(Provider):
    NAME = "ort-openvino"
    ALIASES = ("onnxruntime-openvino",)
    PACKAGES = {"onnxruntime-openvino": "1.24.1"}
    SIZE_MB = 350
    NEEDS = ""
    PROVIDER = "OpenVINOExecutionProvider"
    TARGETS = {"ort-openvino/cpu": {"provider": {"device_type": "CPU", "num_of_threads": "1"}}}
    ASIDE = ("Failed to construct locale",)  # of StringNormalizer: what this machine has installed
    ABOUT = "ONNX Runtime's OpenVINO provider on the CPU. Where it leaves an operator to ONNX Runtime's own CPU provider, that falls back."

    def placed(self, model):
        """A graph of up to three nodes that begins with a Cast, an LSTM, a Pad and others is left to the CPU for being so small, and so is a lone
        Reshape, Expand or RoiAlign (IsOpSupportedOnlyInModel and SpecialConditionForClusterSizeOne in the provider's source), which no network is.
        So what OpenVINO does not take whole is opened once more in company, which counts if OpenVINO then takes all of it, or dies of taking it."""
        edge = False
        for graph in model, self.read(model) + _company():
            try:
                session = self.session(graph, {"session.disable_cpu_ep_fallback": "1"})
                return session, self.taken(session)
            except Exception as error:
                # OpenVINO left out the only node, a Dropout, and cannot tell the input from the output; no network has that
                edge = "Input names mismatch" in str(error)
                if _OPENVINO in str(error) and not edge:
                    raise
        session, taken = super().placed(model)
        if edge:
            return session, {}
        if list(taken) in ([], [self.PROVIDER]):  # float16 for which the CPU has no kernel is cast, and nobody is said to have taken it
            known = self.op and self.op not in taken.get(self.PROVIDER, ())
            taken = {"CPUExecutionProvider": [self.op if known else "float16 operators"], **taken}
        return session, taken

    def probe(self, model, inputs, dtypes, outputs, stage):
        inputs, dtypes = {**inputs, _COMPANY + "0": np.zeros(4, np.float32)}, {**dtypes, _COMPANY + "0": "float32"}
        if self.op == "Unsqueeze" and "axes" in inputs:  # the provider knows computed axes by this name and leaves them; others it takes
            model = self.read(model).replace(b"\x0a\x04axes", b"\x0a\x04axis")
            inputs["axis"], dtypes["axis"] = inputs["axes"], dtypes["axes"]
        return super().probe(model, inputs, dtypes, outputs, stage)

    def read(self, model):
        if isinstance(model, bytes):
            return model
        with open(model, "rb") as file:
            return file.read()

    def explain(self, error, log):
        """Leave out the C++ signatures around OpenVINO's own words."""
        return str(error).partition(_OPENVINO)[2]


_CUDA = {
    "nvidia-cuda-runtime": "13.0.96",
    "nvidia-cuda-nvrtc": "13.0.88",
    "nvidia-cublas": "13.0.2.14",
    "nvidia-cudnn-cu13": "9.28.1.4",
    "nvidia-cufft": "12.0.0.61",
    "nvidia-curand": "10.4.0.35",
}


class Cuda(Provider):
    NAME = "ort-cuda"
    ALIASES: tuple = ("cuda", "onnxruntime-gpu")
    PACKAGES = {"onnxruntime-gpu": "1.31.1", **_CUDA}
    LICENCE = "NVIDIA's licences of CUDA's libraries and cuDNN, which come as wheels"
    SIZE_MB = 2600
    NEEDS = "an NVIDIA GPU with a driver for CUDA 13, on Linux x86-64"
    BY_NAME = True
    ADDRESS_SPACE_GB = 0  # CUDA reserves more than any machine has
    PROVIDER = "CUDAExecutionProvider"
    TARGETS = {"ort/cuda": {"provider": {"use_tf32": "0"}}}
    ABOUT = "ONNX Runtime's CUDA provider, without TF32. Where it leaves an operator to ONNX Runtime's own CPU provider, that falls back."

    def prepare(self):
        import nvidia_gpu

        found = nvidia_gpu.find()
        self.ort.preload_dlls()
        return found


class TensorRt(Cuda):
    NAME = "ort-tensorrt"
    ALIASES = ("onnxruntime-tensorrt",)
    PACKAGES = {"onnxruntime-gpu": "1.31.1", "tensorrt-cu13-libs": "10.16.1.11", **_CUDA}
    LICENCE = "NVIDIA's licences of TensorRT, CUDA's libraries and cuDNN, which come as wheels"
    SIZE_MB = 6500
    NEEDS = (
        "an NVIDIA GPU with a driver for CUDA 13, on Linux x86-64, and NVIDIA's own package index: "
        "what PyPI holds as tensorrt-cu13-libs fetches the wheel from NVIDIA's own index while it installs"
    )
    PROVIDER = "TensorrtExecutionProvider"
    TIMEOUT_S = 300  # an engine is built for every probe
    TARGETS = {"ort/tensorrt": {"provider": {"device_id": "0"}, "precision": "float16"}}  # TF32 is on, and cannot be switched off here
    ABOUT = "ONNX Runtime's TensorRT provider. Where it leaves an operator to ONNX Runtime's own CPU provider, that falls back."

    def prepare(self):
        found = super().prepare()
        import tensorrt_libs

        folder = os.path.dirname(tensorrt_libs.__file__)
        for name in ("libnvinfer.so.10", "libnvinfer_plugin.so.10", "libnvonnxparser.so.10"):
            ctypes.CDLL(os.path.join(folder, name), mode=ctypes.RTLD_GLOBAL)
        return found


class MiGraphX(Provider):
    NAME = "ort-migraphx"
    ALIASES = ("migraphx", "onnxruntime-migraphx")
    PACKAGES = {"onnxruntime-migraphx": "1.27.1"}
    SIZE_MB = 190
    NEEDS = "an AMD GPU with ROCm 7 and its MIGraphX libraries, on Linux x86-64"
    BY_NAME = True
    ADDRESS_SPACE_GB = 0
    TIMEOUT_S = 300  # kernels are compiled for every probe
    PROVIDER = "MIGraphXExecutionProvider"
    TARGETS = {"ort-migraphx/gpu": {"provider": {"device_id": "0"}}}
    ABOUT = "ONNX Runtime's MIGraphX provider for AMD GPUs. Where it leaves an operator to ONNX Runtime's own CPU provider, that falls back."

    def prepare(self):
        return amd()


def amd(nodes="/sys/class/kfd/kfd/topology/nodes"):
    """Return the first AMD GPU's architecture, as the kernel tells it. Raise where there is none."""
    for node in sorted(os.listdir(nodes)) if os.path.isdir(nodes) else ():
        with open(os.path.join(nodes, node, "properties")) as file:
            properties = dict(line.split(None, 1) for line in file if " " in line)
        number = int(properties.get("gfx_target_version", "0"))
        if number:  # 90010 is gfx90a; processors have none
            return {"device": "gfx%d%x%x" % (number // 10000, number // 100 % 100, number % 100)}
    raise RuntimeError("no AMD GPU: the kernel's driver for ROCm (%s) shows none" % nodes)
