"""What onnx says of an operator (schemas, formal inputs, default attributes), and the values that attributes and small constants hold.

Schemas: https://onnx.ai/onnx/operators/
"""

import math
import struct
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from opcompat.bare_onnx import core, pb
from opcompat.model import Value

Fact = str | int | bool
Facts = dict[str, Fact]

FLOAT, INT, STRING, TENSOR, GRAPH, FLOATS, INTS, STRINGS = range(1, 9)
"""onnx.AttributeProto.AttributeType."""


@lru_cache(maxsize=None)
def schema(domain: str, op_type: str, opset: int) -> Any:
    """Return onnx's OpSchema in force at that opset, or None where onnx knows no such operator."""
    try:
        return core.defs.get_schema(op_type, opset, domain)
    except Exception:  # SchemaError lives in the bypassed package
        return None


@dataclass(frozen=True)
class Formal:
    """A formal input of a schema; type_name is its type variable, or "" where the schema fixes the dtype."""

    name: str
    type_name: str
    optional: bool
    variadic: bool


@lru_cache(maxsize=None)
def formals(domain: str, op_type: str, opset: int) -> tuple[Formal, ...]:
    found = schema(domain, op_type, opset)
    if found is None:
        return ()
    option = core.defs.OpSchema.FormalParameterOption
    return tuple(
        Formal(i.name, "" if "(" in i.type_str else i.type_str, i.option == option.Optional, i.option == option.Variadic) for i in found.inputs
    )


def _plain(value: Any) -> Any:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else value


def attribute_value(attribute: Any) -> Any:
    """Return the Python value of an AttributeProto; None for graphs and other kinds that are no facts."""
    kind = attribute.type
    if kind == FLOAT:
        return attribute.f
    if kind == INT:
        return attribute.i
    if kind == STRING:
        return _plain(attribute.s)
    if kind == INTS:
        return list(attribute.ints)
    if kind == FLOATS:
        return list(attribute.floats)
    if kind == STRINGS:
        return [_plain(s) for s in attribute.strings]
    return None


@lru_cache(maxsize=None)
def defaults(domain: str, op_type: str, opset: int) -> dict[str, Any]:
    found = schema(domain, op_type, opset)
    if found is None:
        return {}
    out = {}
    for name, attribute in found.attributes.items():
        raw = attribute._default_value
        if raw:
            out[name] = attribute_value(pb.AttributeProto.FromString(raw))
    return out


# data_type -> (field for typed data, struct code of raw data); float16 and bfloat16 keep their bits in int32_data
_STORED = {
    1: ("float_data", "f"), 2: ("int32_data", "B"), 3: ("int32_data", "b"), 4: ("int32_data", "H"), 5: ("int32_data", "h"), 6: ("int32_data", "i"),
    7: ("int64_data", "q"), 9: ("int32_data", "?"), 10: ("int32_data", "e"), 11: ("double_data", "d"), 16: ("int32_data", "H"),
}  # fmt: skip


def in_fields(tensor: Any) -> bool:
    """Say whether a tensor's numbers stand in a typed field instead of raw_data."""
    return tensor.data_type in _STORED and len(getattr(tensor, _STORED[tensor.data_type][0])) > 0


def small_values(value: Value) -> list[float] | None:
    """Return the numbers of a small constant tensor (flattened), or None if they are not known."""
    tensor = value.tensor
    if tensor is None or tensor.data_type not in _STORED:
        return None
    name, code = _STORED[tensor.data_type]
    typed = list(getattr(tensor, name))
    if typed and tensor.data_type == 10:
        found = [v for (v,) in struct.iter_unpack("<e", b"".join(struct.pack("<H", bits & 0xFFFF) for bits in typed))]
    elif typed:
        found = typed
    else:
        size = struct.calcsize(code)
        found = [v for (v,) in struct.iter_unpack(f"<{code}", tensor.raw_data[: len(tensor.raw_data) // size * size])]
    if tensor.data_type == 16:
        found = [struct.unpack("<f", struct.pack("<I", (bits & 0xFFFF) << 16))[0] for bits in found]
    return found if len(found) == math.prod(tensor.dims) else None
