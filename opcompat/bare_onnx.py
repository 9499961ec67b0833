"""Reach onnx's protobuf classes and C++ core without running `import onnx`, which costs more than a whole check (bench/check_speed.py).

A later plain `import onnx` in the same process works as usual and shares the modules loaded here.
"""

import importlib
import importlib.util
import sys
from types import ModuleType
from typing import Any


def _submodule(name: str) -> Any:
    if "onnx" in sys.modules:
        return importlib.import_module(f"onnx.{name}")
    spec = importlib.util.find_spec("onnx")
    if spec is None or spec.submodule_search_locations is None:
        raise ModuleNotFoundError("onnx is not installed")
    package = ModuleType("onnx")
    package.__path__ = list(spec.submodule_search_locations)
    sys.modules["onnx"] = package
    try:
        return importlib.import_module(f"onnx.{name}")
    finally:
        del sys.modules["onnx"]


pb: Any = _submodule("onnx_ml_pb2")
core: Any = _submodule("onnx_cpp2py_export")
