"""Adapters for hardware that is not here, driven against stand-ins of their SDKs: control flow only, no word about what the hardware does."""

import ctypes
import importlib
import sys
import types
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from opcompat import runner
from opcompat.probe import Graph, Probe, finish
from opcompat.runtimes import all_runtimes

HARDWARE = ("ort-cuda", "ort-tensorrt", "ort-migraphx", "tensorrt", "openvino-gpu", "openvino-npu")

ONNXRUNTIME = '''
"""As much of onnxruntime as the adapter uses; computes Relu. $MODE: whole, or without its libraries."""
import os, sys
import numpy as np

__version__ = "9.9"
MISSING = os.environ["MODE"] == "without libraries"

class SessionOptions:
    def __init__(self):
        self.entries = {}
    def add_session_config_entry(self, key, value):
        self.entries[key] = value

class OrtValue:
    def __init__(self, array):
        self.array = array
    @staticmethod
    def ortvalue_from_numpy(array):
        return OrtValue(array)
    def data_type(self):
        return "tensor(float)"
    def numpy(self):
        return self.array

class Thing:
    def __init__(self, **all):
        self.__dict__.update(all)
    def get_nodes(self):
        return self.nodes

class InferenceSession:
    def __init__(self, model, options, providers, enable_fallback):
        assert enable_fallback == 0 and options.entries["session.record_ep_graph_assignment_info"] == "1"
        (name, chosen), = providers
        text = open(model, "rb").read()
        if b"NoSuchOperator" in text:
            raise RuntimeError("NoSuchOperator is not a registered function/op")
        operators = [name for name in ("Relu", "Softmax") if name.encode() in text]
        if MISSING:
            where = "2026 [E:onnxruntime:Default, provider_bridge.cc:1] "
            print(where + "Failed to load library libx.so: liby.so.13: cannot open", file=sys.stderr, flush=True)
        self.parts = []
        for operator in operators:
            taker = "CPUExecutionProvider" if MISSING or operator != "Relu" else name
            if taker != name and options.entries.get("session.disable_cpu_ep_fallback") == "1":
                raise RuntimeError("fallback to CPU EP has been explicitly disabled by the user.")
            self.parts.append(Thing(ep_name=taker, nodes=[Thing(op_type=operator, name=operator)]))
    def get_provider_graph_assignment_info(self):
        return self.parts
    def get_inputs(self):
        return [Thing(name="X")]
    def run_with_ort_values(self, outputs, feeds):
        return [OrtValue(np.maximum(feeds["X"].array, 0))]

def get_available_providers():
    return ["TensorrtExecutionProvider", "CUDAExecutionProvider", "MIGraphXExecutionProvider", "CPUExecutionProvider"]
def set_default_logger_severity(level):
    pass
def preload_dlls():
    print("loaded")
'''

OPENVINO = """
import os
class Type:
    bf16 = f8e4m3 = f8e5m2 = string = None
class Core:
    available_devices = os.environ["MODE"].split()
    def get_property(self, device, name):
        return "Stand-in of " + device
    def read_model(self, path):
        return path
    def compile_model(self, model, device, config):
        raise RuntimeError("compiling for %s with %s" % (device, sorted(config)))
def get_version():
    return "2026.9.9-1-stand-in"
"""


@pytest.fixture
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a function (SDK's module, its text, mode) -> a Python whose path holds that module; no tool of a vendor is on the path of programs."""
    monkeypatch.setenv("PATH", str(tmp_path / "tools"))
    (tmp_path / "tools").mkdir()

    def make(module: str, text: str, mode: str) -> Path:
        (tmp_path / "sdk").mkdir(exist_ok=True)
        (tmp_path / "sdk" / f"{module}.py").write_text(text)
        monkeypatch.setenv("MODE", mode)
        python = tmp_path / "python"
        python.write_text(f'#!/bin/sh\nPYTHONPATH={tmp_path / "sdk"} exec {sys.executable} "$@"\n')
        python.chmod(0o755)
        return python

    return make


def nvidia_smi(folder: Path, text: str, code: int = 0) -> None:
    (folder / "tools" / "nvidia-smi").write_text(f"#!/bin/sh\necho '{text}'\nexit {code}\n")
    (folder / "tools" / "nvidia-smi").chmod(0o755)


def opened(name: str, python: Path) -> runner.Target:
    runtime = all_runtimes()[name]
    return runner.Target(runtime, next(iter(runtime.TARGETS.values())), python, 30.0)


def reason(name: str, python: Path) -> str:
    with opened(name, python) as target, pytest.raises(runner.Unavailable) as caught:
        runner.check_canaries(target)
    return str(caught.value)


@pytest.mark.parametrize("name", HARDWARE)
def test_what_needs_hardware_says_so_and_is_probed_only_by_name(name: str) -> None:
    runtime = all_runtimes()[name]
    assert runtime.NEEDS and runtime.BY_NAME and not runtime.HIDDEN


@pytest.mark.parametrize("name", HARDWARE)
def test_without_the_sdk_it_is_unavailable(name: str, stand_in: Any) -> None:
    module = {"ort": "onnxruntime"}.get(name.split("-")[0], name.split("-")[0])
    assert reason(name, stand_in(module, "raise ImportError('it is not here')", "")) == "ImportError: it is not here"


def test_without_a_gpu_it_is_unavailable(stand_in: Any, tmp_path: Path) -> None:
    python = stand_in("onnxruntime", ONNXRUNTIME, "whole")
    assert "no NVIDIA driver" in reason("ort-cuda", python)
    nvidia_smi(tmp_path, "No devices were found", 6)
    assert "no NVIDIA GPU: nvidia-smi says 'No devices were found'" in reason("ort-cuda", python)
    if not Path("/sys/class/kfd").exists():
        assert "no AMD GPU" in reason("ort-migraphx", python)


def test_a_provider_that_is_listed_but_cannot_be_loaded_is_unavailable_with_its_reason(stand_in: Any, tmp_path: Path) -> None:
    python = stand_in("onnxruntime", ONNXRUNTIME, "without libraries")
    nvidia_smi(tmp_path, "NVIDIA Stand-in, 580.1")
    said = reason("ort-cuda", python)
    assert "Failed to load library libx.so: liby.so.13: cannot open" in said and "fallback to CPU EP has been explicitly disabled" in said


def both(under_test: int | None) -> Probe:
    """Softmax, then Relu; under test is the node of that number, or the two as a pattern."""
    graph = Graph()
    end = graph("Relu", graph("Softmax", "X"))
    array = np.ones((2, 2), np.float32)
    return Probe("test/both", "test", finish(graph, {"X": array}, [end], 13), {"X": array}, under_test, "" if under_test is not None else "both")


def test_what_the_cpu_took_falls_back_and_the_device_is_told(stand_in: Any, tmp_path: Path) -> None:
    python = stand_in("onnxruntime", ONNXRUNTIME, "whole")
    nvidia_smi(tmp_path, "NVIDIA Stand-in, 580.1")
    with opened("ort-cuda", python) as target:
        runner.check_canaries(target)
        assert target.versions == {"onnxruntime-gpu": "9.9", "device": "NVIDIA Stand-in", "driver": "580.1"}
        raws = target.alone([runner.canaries()[0], runner.unary("Softmax"), both(1), both(0), both(None)])
    shared = ("CPUExecutionProvider: Softmax", "CUDAExecutionProvider: Relu")
    assert [(r.placement, r.units) for r in raws] == [
        ("native", ("CUDAExecutionProvider",)), ("fallback", shared[:1]), ("mixed", shared), ("fallback", shared), ("fallback", shared),
    ]  # fmt: skip


def test_the_kernel_tells_which_amd_gpu_there_is(tmp_path: Path) -> None:
    module = importlib.import_module("opcompat.runtimes.ort_providers")
    for node, number in (("0", 0), ("1", 90010), ("2", 110000)):
        (tmp_path / node).mkdir()
        (tmp_path / node / "properties").write_text(f"cpu_cores_count 1\ngfx_target_version {number}\n")
    assert module.amd(str(tmp_path)) == {"device": "gfx90a"}


@pytest.mark.parametrize("device", ["GPU", "NPU"])
def test_openvino_compiles_for_the_device_and_no_other(device: str, stand_in: Any) -> None:
    name = f"openvino-{device.lower()}"
    assert f"OpenVINO sees no {device} here, only CPU" in reason(name, stand_in("openvino", OPENVINO, "CPU"))
    python = stand_in("openvino", OPENVINO, f"CPU {device}.0")
    with opened(name, python) as target:
        raw = target.alone([runner.canaries()[0]])[0]
        assert target.versions == {"openvino": "2026.9.9", "device": f"Stand-in of {device}"}
    assert (raw.stage, raw.message) == ("compile", f"compiling for {device} with ['PERFORMANCE_HINT']")


# ---- TensorRT: its stand-in and a stand-in for the GPU's memory, in this process ---------------------------------------------------------


class Memory:
    """The functions of CUDA's runtime that the adapter uses, on the host's memory."""

    def __init__(self) -> None:
        self.blocks: dict[int, Any] = {}

    def allocate(self, size: int) -> int:
        block = ctypes.create_string_buffer(max(size, 1))
        self.blocks[ctypes.addressof(block)] = block
        return ctypes.addressof(block)

    def free(self, address: int) -> None:
        del self.blocks[address]

    def copy(self, to: int, source: int, size: int, way: int) -> None:
        ctypes.memmove(to, source, size)

    def wait(self) -> None:
        pass


class Say:
    """Answers every attribute that is not given with a function that does nothing."""

    def __init__(self, **given: Any) -> None:
        self.__dict__.update(given)

    def __getattr__(self, name: str) -> Any:
        return lambda *_: None


def tensorrt(refuses: str, calls: list[Any]) -> Any:
    """Return a module that parses, builds and runs a Relu over X, or refuses in one of these stages."""
    module: Any = types.ModuleType("tensorrt")
    severity = Say(ERROR="error", INTERNAL_ERROR="internal")

    class Base:
        Severity = severity

        def __init__(self) -> None:
            pass

    class Context(Say):
        def __init__(self) -> None:
            self.__dict__.update(address={}, allocator=None, shape=())

        def set_input_shape(self, name: str, shape: Any) -> None:
            self.__dict__["shape"] = shape

        def set_tensor_address(self, name: str, address: int) -> None:
            self.address[name] = address

        def set_output_allocator(self, name: str, allocator: Any) -> None:
            self.__dict__["allocator"] = allocator

        def execute_async_v3(self, stream: int) -> bool:
            if refuses == "run":
                return False
            size = int(np.prod(self.shape)) * 4
            fed = np.frombuffer(ctypes.string_at(self.address["X"], size), np.float32)
            made = np.maximum(fed, 0)
            where = self.allocator.reallocate_output_async("Y", 0, size, 256, 0)
            self.allocator.notify_shape("Y", self.shape)
            ctypes.memmove(where, made.ctypes.data, size)
            return True

    engine = Say(
        num_io_tensors=2, get_tensor_name=lambda i: "XY"[i], get_tensor_mode=lambda name: "in" if name == "X" else "out",
        get_tensor_dtype=lambda name: "DataType.FLOAT", get_tensor_location=lambda name: "device", create_execution_context=Context,
    )  # fmt: skip

    class Builder(Say):
        def __init__(self, logger: Any) -> None:
            self.__dict__["logger"] = logger

        def create_network(self, flags: int) -> Any:
            return Say(num_inputs=1, get_input=lambda i: Say(name="X", shape=(-1, 2), is_shape_tensor=False))

        def create_builder_config(self) -> Any:
            return Say(clear_flag=lambda flag: calls.append(("clear", flag)), add_optimization_profile=lambda p: calls.append("profile"))

        def create_optimization_profile(self) -> Any:
            return Say(set_shape=lambda name, *shapes: calls.append((name, shapes)))

        def build_serialized_network(self, network: Any, config: Any) -> Any:
            if refuses == "compile":
                self.logger.log("error", "no tactic for this")
                return None
            return b"plan"

    class Parser:
        num_errors = 1

        def __init__(self, network: Any, logger: Any) -> None:
            pass

        def parse_from_file(self, path: str) -> bool:
            return refuses != "load"

        def get_error(self, index: int) -> Any:
            return Say(desc=lambda: "operator not supported")

    module.ILogger, module.IOutputAllocator, module.Builder, module.OnnxParser = Base, Base, Builder, Parser
    module.Runtime = lambda logger: Say(deserialize_cuda_engine=lambda plan: engine)
    module.NetworkDefinitionCreationFlag, module.BuilderFlag = Say(STRONGLY_TYPED=1), Say(TF32="TF32")
    module.TensorIOMode, module.TensorLocation = Say(INPUT="in"), Say(HOST="host")
    module.__version__ = "11.0"
    return module


@pytest.mark.parametrize(("refuses", "words"), [
    ("", ""), ("load", "operator not supported"), ("compile", "no tactic for this"), ("run", "the engine does not run and does not say why"),
])  # fmt: skip
def test_tensorrt_parses_builds_and_runs_or_says_what_refused(refuses: str, words: str, monkeypatch: pytest.MonkeyPatch) -> None:
    adapter = importlib.import_module("opcompat.runtimes.tensorrt")
    calls: list[Any] = []
    memory = Memory()
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt(refuses, calls))
    monkeypatch.setattr(adapter, "Cuda", lambda: memory)
    monkeypatch.setitem(sys.modules, "nvidia_gpu", SimpleNamespace(find=lambda: {"device": "Stand-in"}))
    runtime = adapter.Runtime(adapter.Runtime.TARGETS["tensorrt/gpu"])
    assert runtime.versions() == {"tensorrt": "11.0", "device": "Stand-in"}
    array = np.linspace(-1, 1, 4, dtype=np.float32).reshape(2, 2)
    stages: list[str] = []

    def probe() -> Any:
        return runtime.probe("model.onnx", {"X": array}, {"X": "float32", "Y": "float32"}, ["Y"], stages.append)

    if refuses:
        with pytest.raises(adapter.Refused, match=words):
            probe()
        assert stages[-1] == refuses
    else:
        made, about = probe()
        np.testing.assert_array_equal(made[0], np.maximum(array, 0))
        assert about == {"placement": "native", "units": ["TensorRT"]} and stages == ["load", "compile", "run"]
        assert calls == [("clear", "TF32"), ("X", ((2, 2), (2, 2), (2, 2))), "profile"]
    assert not memory.blocks, "what was allocated is freed"
