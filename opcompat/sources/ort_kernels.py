"""ONNX Runtime's own registry: every kernel its CPU provider was built with, with versions and types. https://onnxruntime.ai

The registry of the CUDA provider cannot be read on a machine without CUDA: asking for it ends the process.
"""

import json
import subprocess
from collections.abc import Iterator
from typing import Any

from opcompat import env
from opcompat.sources import SourceError, Table, header
from opcompat.sources._tables import Row, absent, schemas

SCRIPT = """
import json
import onnxruntime.capi.onnxruntime_pybind11_state as state
print(json.dumps([[k.domain, k.op_name, k.provider, list(k.version_range), dict(k.type_constraints)] for k in state.get_all_opkernel_def()]))
"""
LAST = 2**31 - 1
TYPES = {
    "float": "float32", "double": "float64", "float16": "float16", "bfloat16": "bfloat16", "int8": "int8", "uint8": "uint8", "int16": "int16",
    "uint16": "uint16", "int32": "int32", "uint32": "uint32", "int64": "int64", "uint64": "uint64", "bool": "bool", "string": "string",
    "int4": "int4", "uint4": "uint4", "int2": "int2", "uint2": "uint2", "float8e4m3fn": "float8e4m3fn", "float8e4m3fnuz": "float8e4m3fnuz",
    "float8e5m2": "float8e5m2", "float8e5m2fnuz": "float8e5m2fnuz", "float4e2m1": "float4e2m1", "complex64": "complex64", "complex128": "complex128",
}  # fmt: skip


def kernels(environment: env.Environment) -> list[Any]:
    """Return (domain, operator, provider, [first, last version], type variable -> types) of every kernel."""
    done = subprocess.run([str(environment.python), "-I", "-c", SCRIPT], capture_output=True, text=True)
    try:
        return list(json.loads(done.stdout))
    except ValueError:
        raise SourceError(f"onnxruntime {environment.packages.get('onnxruntime', '')} does not tell its kernels") from None


def types_of(names: list[str]) -> list[str]:
    """Return the tensor types among a type variable's, in our names."""
    return sorted(TYPES[n[7:-1]] for n in names if n.startswith("tensor(") and n[7:-1] in TYPES)


class Source:
    NAME = "ort-kernels"
    ABOUT = "The kernels that ONNX Runtime's CPU provider was built with."
    RUNTIME = "ort"

    def rows(self, environment: env.Environment, progress: Any) -> Iterator[Table]:
        """Yield header and rows of the CPU provider."""
        found: dict[tuple[str, int], list[tuple[Any, dict[str, list[str]]]]] = {}
        rest: set[str] = set()
        for domain, op_type, provider, (first, last), constraints in kernels(environment):
            if provider != "CPUExecutionProvider":
                continue
            if domain == "com.microsoft":
                rest.add(op_type)
            for schema in schemas().get(op_type, []) if domain == "" else ():
                since = schema.since_version
                # a kernel without an end stands for the version it starts with only
                if since == first or (last != LAST and first <= since <= last):
                    found.setdefault((op_type, since), []).append((schema, constraints))
        rows: list[Row] = []
        for (op_type, since), kinds in found.items():
            for limits, untold in alternatives(kinds):
                row = {"op_type": op_type, "domain": "", "status": "partial" if untold else "supported", "unchecked": untold}
                # other types of an operator that ONNX defines by a function are computed by that: they are not spoken of
                inlined = kinds[0][0].has_function or kinds[0][0].has_context_dependent_function
                rows.append({**row, "when": {"since_version": since, **(limits if inlined else {})}, "limits": {} if inlined else limits})
        rows = list(merged(rows))
        for op_type in sorted(rest):
            rows.append({"op_type": op_type, "domain": "com.microsoft", "status": "partial", "when": {}, "unchecked": "which types its kernel takes"})
        known: dict[str, set[int]] = {}
        for op_type, since in found:
            known.setdefault(op_type, set()).add(since)
        rows += absent(known, "the CPU provider was built without a kernel for it", True)
        version = environment.packages["onnxruntime"]
        yield (
            "ort-cpu-kernels",
            header(
                "ort/cpu", "declared", "ONNX Runtime's CPU execution provider: the kernels it was built with.",
                title="onnxruntime_pybind11_state.get_all_opkernel_def()", publisher="Microsoft, ONNX Runtime", version=version, date="2026-11",
            ),
            rows,
        )  # fmt: skip


def alternatives(kinds: list[tuple[Any, dict[str, list[str]]]]) -> Iterator[tuple[Row, str]]:
    """Yield (limits, words) of the kernels of one version of an operator; kernels that differ in the types of one variable are one."""
    left: list[dict[str, frozenset[str]]] = []
    for _, constraints in kinds:
        new = {variable: frozenset(types_of(names)) for variable, names in constraints.items()}
        for old in left:
            if old.keys() == new.keys() and len(differ := [v for v in new if new[v] != old[v]]) <= 1:
                old.update({v: old[v] | new[v] for v in differ})
                break
        else:
            left.append(new)
    schema = kinds[0][0]
    inputs = {i.type_str for i in schema.inputs}
    for kernel in left:
        limits: Row = {}
        untold = []
        for variable, types in sorted(kernel.items()):
            allowed = next((set(c.allowed_type_strs) for c in schema.type_constraints if c.type_param_str == variable), set())
            if set(types_of(list(allowed))) <= types:
                continue  # no limit beyond the operator's own
            # what has no kernel in float16 is computed in float32, between two casts that ONNX Runtime inserts
            wide = sorted(types | {"float16"}) if "float32" in types else sorted(types)
            if not wide or any(not n.startswith("tensor(") for n in allowed):
                untold.append(f"{variable} is of a type that the kernel takes")
            elif schema.name == "Cast" or variable not in inputs:
                untold.append(f"{variable} is one of {', '.join(sorted(types))}"[:200])
            else:
                limits["dtype" if variable == "T" else f"{variable}.dtype"] = wide[0] if len(wide) == 1 else wide
        yield limits, "; ".join(untold)[:480]


def merged(rows: list[Row]) -> Iterator[Row]:
    """Join rows that differ in the version only."""
    groups: dict[str, list[Row]] = {}
    for row in rows:
        when = {n: v for n, v in row["when"].items() if n != "since_version"}
        groups.setdefault(json.dumps([row["op_type"], when, row["limits"], row["unchecked"]]), []).append(row)
    for group in groups.values():
        since = sorted({r["when"]["since_version"] for r in group})
        yield {**group[0], "when": {**group[0]["when"], "since_version": since[0] if len(since) == 1 else since}}
