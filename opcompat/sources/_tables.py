"""What the readers of operator tables share: where a package lies, which versions a range of versions holds, which types a row speaks of.

Such tables name operators, versions and a remark, and no types. A row is read as speaking of float32 (bool where an operator takes nothing
else), because that is what an operator is listed for; of other types nothing is said.
"""

import re
import subprocess
from collections.abc import Callable, Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import onnx

from opcompat import env
from opcompat.sources import SourceError

Row = dict[str, Any]
Remark = tuple[dict[str, Any], str]
"""Limits, and in words what no fact expresses."""
TYPES = "which types it takes"
NEWEST_UNTOLD = 21
"""Where a table tells no versions, versions of operators that came later are not claimed."""


def package_folder(environment: env.Environment, package: str) -> Path:
    """Return where a Python package of an environment lies, without importing it."""
    code = f"import importlib.util as u; print(u.find_spec({package!r}).submodule_search_locations[0])"
    done = subprocess.run([str(environment.python), "-I", "-c", code], capture_output=True, text=True)
    if done.returncode:
        raise SourceError(f"{package} is not in the environment of {environment.python}")
    return Path(done.stdout.strip())


def node_folder(environment: env.Environment, package: str) -> Path:
    """Return where an npm package of an environment lies."""
    return environment.python.parent.parent / "node" / "node_modules" / package


def cells(path: Path) -> Iterator[list[str]]:
    """Yield the cells of each row of the tables in a markdown file, without headings. Raises SourceError."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except OSError as error:
        raise SourceError(f"{path.name} cannot be read: {error.strerror}") from None
    heading = True
    for line in lines:
        if line.startswith("|"):
            found = [c.strip() for c in line.strip().removeprefix("|").removesuffix("|").split("|")]
            if not heading and not re.fullmatch(r"[\s:|-]+", line):
                yield found
            heading = False
        else:
            heading = True


@cache
def schemas() -> dict[str, list[Any]]:
    """Return the schemas of every operator of ai.onnx, oldest first, without what was only deprecated."""
    found: dict[str, list[Any]] = {}
    for schema in sorted(onnx.defs.get_all_schemas_with_history(), key=lambda s: s.since_version):
        if schema.domain == "" and not schema.deprecated:
            found.setdefault(schema.name, []).append(schema)
    return found


def ranges(text: str) -> list[tuple[int, int | None]]:
    """Read `7-12, 13+` as [(7, 12), (13, None)]."""
    found: list[tuple[int, int | None]] = []
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        found.append((int(low.rstrip("+")), int(high) if dash else None if low.endswith("+") else int(low)))
    return found


def first_type(schema: Any) -> Row:
    """Return the condition on the type of an operator's first input that makes it an ordinary one; empty where none is."""
    if not schema.inputs or not schema.type_constraints or schema.name == "Cast":  # whose facts tell both types in one
        return {}
    name = schema.inputs[0].type_str
    allowed = next((set(c.allowed_type_strs) for c in schema.type_constraints if c.type_param_str == name), set())
    fact = "dtype" if name == "T" else f"{name}.dtype"
    if "tensor(float)" in allowed:
        return {fact: "float32"}
    return {fact: "bool"} if allowed == {"tensor(bool)"} else {}


def listed(op_type: str, versions: Callable[[Any], bool], remark: Remark, words: str = "") -> Iterator[Row]:
    """Yield rows for an operator of ai.onnx, for those of its schemas that `versions` accepts."""
    limits, unchecked = remark
    groups: dict[tuple[Any, ...], list[int]] = {}
    for schema in schemas().get(op_type, []):
        if versions(schema):
            inputs = {i.name for i in schema.inputs}
            here = {n: v for n, v in limits.items() if not n.endswith((".rank", ".const")) or n.rpartition(".")[0] in inputs}
            kept = tuple(sorted((n, repr(v)) for n, v in here.items()))
            groups.setdefault((tuple(first_type(schema).items()), kept), []).append(schema.since_version)
    for (types, kept), since in groups.items():
        when: Row = {"since_version": since[0] if len(since) == 1 else since, **dict(types)}
        if op_type not in ("QuantizeLinear", "DequantizeLinear"):
            when["quantised"] = "none"  # of what lies between quantised tensors the tables do not speak
        untold = "; ".join(t for t in (unchecked, "" if types else TYPES) if t)
        chosen = {n: limits[n] for n, _ in kept}
        status = "partial" if chosen or untold else "supported"
        yield {"op_type": op_type, "domain": "", "status": status, "when": when, "limits": chosen, "unchecked": untold, "note": words}


def absent(known: Mapping[str, set[int]], note: str, inlines: bool) -> Iterator[Row]:
    """Yield a row for every operator of ai.onnx, or every version of one, that a complete table lacks. known: operator -> versions it has.

    inlines: the runtime replaces an operator that it lacks by the function that ONNX defines it with, if there is one: nothing is said of it.
    """
    for op_type, history in schemas().items():
        lacking = [s for s in history if s.since_version not in known.get(op_type, ()) and op_type != "Constant"]
        missing = [s.since_version for s in lacking if not (inlines and (s.has_function or s.has_context_dependent_function))]
        if not missing:
            continue
        when = {} if len(missing) == len(history) else {"since_version": missing[0] if len(missing) == 1 else missing}
        yield {"op_type": op_type, "domain": "", "status": "unsupported", "when": when, "note": note}


def covered(rows: list[Row]) -> dict[str, set[int]]:
    """Return the versions of each operator of ai.onnx that rows speak of."""
    found: dict[str, set[int]] = {}
    for row in rows:
        if row["domain"] == "" and "since_version" in row["when"]:
            since = row["when"]["since_version"]
            found.setdefault(row["op_type"], set()).update(since if isinstance(since, list) else [since])
    return found
