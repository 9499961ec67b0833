"""Evidence that somebody else holds as tables: what an installed SDK's own tables declare, what a third party reports. One file per source.

A source's file declares one class `Source`: NAME, ABOUT, what to install (PYTHON, PACKAGES, NPM, NO_DEPS, as a runtime file does; or RUNTIME, the
name of a runtime whose environment it reads), and `rows(environment, progress)`, which yields a Table for each file to write.
"""

import importlib
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from opcompat import claims, env
from opcompat.runtimes import all_runtimes

Table = tuple[str, dict[str, Any], list[dict[str, Any]]]
"""Name of the file without its ending, header, rows."""
MAX_FILE_MB = 4


class SourceError(Exception):
    """A source cannot be read; the text is one sentence."""


def header(target: str, evidence: str, about: str, **more: Any) -> dict[str, Any]:
    """Return a header with the fields that are empty in most files."""
    usual: dict[str, Any] = {"requires": None, "related": [], "fallback": None, "aliases": []}
    return {"target": target, "evidence": evidence, **usual, "about": about, **more}


def all_sources() -> dict[str, Any]:
    """Return every source by name, found by listing this folder."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("*.py")):
        if not path.name.startswith("_"):
            source = importlib.import_module(f"opcompat.sources.{path.stem}").Source
            found[source.NAME] = source
    return found


def environment_of(source: Any) -> env.Environment:
    """Install what the source needs unless it is there. Raises EnvError."""
    if runtime := getattr(source, "RUNTIME", ""):
        return env.install(all_runtimes()[runtime])
    return env.install(source)


def write(names: Sequence[str], folder: Path, progress: Callable[[str], None]) -> Iterator[str]:
    """Read the sources (all for no names), write a file for each of their tables into the folder and yield a line about each."""
    known = all_sources()
    if unknown := [n for n in names if n not in known]:
        raise SourceError(f"unknown source {unknown[0]!r}: there are {', '.join(known)}")
    for name in names or known:
        progress(f"{name}: installing")
        environment = environment_of(known[name])
        for stem, head, rows in known[name]().rows(environment, lambda text, name=name: progress(f"{name}: {text}")):
            path = folder / f"{stem}.jsonl"
            lines = list(serialized(head, rows))
            folder.mkdir(parents=True, exist_ok=True)
            part = path.with_suffix(".part")
            part.write_text("".join(line + "\n" for line in lines))
            claims.read(part)
            part.replace(path)
            yield f"{path.name}: {len(lines) - 1} rows about {len({(r['domain'], r['op_type']) for r in rows})} operators of {head['target']}"


def serialized(head: dict[str, Any], rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """Yield the lines of a file: empty fields left out, rows in order, none twice."""
    yield json.dumps(head, ensure_ascii=False)
    slim = [{k: v for k, v in row.items() if v or k in ("op_type", "domain")} for row in rows]
    ordered = sorted((r["domain"], r["op_type"], r.get("runtime_op", ""), json.dumps(r, ensure_ascii=False)) for r in slim)
    yield from dict.fromkeys(line for *_, line in ordered)
