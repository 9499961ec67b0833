"""Which nodes of your ONNX model will break on which runtime, and why.

`check(path_or_model, targets)` returns a `Report`; see opcompat.checker for its fields.
"""

from typing import Any

__version__ = "0.1.0"
__all__ = ["CheckError", "ModelError", "Report", "StoreError", "__version__", "check"]

_HOMES = {"check": "checker", "Report": "checker", "CheckError": "checker", "ModelError": "model", "StoreError": "store"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
