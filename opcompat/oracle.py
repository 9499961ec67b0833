"""Reference outputs of probes from the two oracles (ONNX's ReferenceEvaluator, ONNX Runtime with optimisations off), kept by digest."""

import hashlib
import inspect
import json
from collections.abc import Callable, Collection, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from opcompat import env
from opcompat.compare import Reference, settle
from opcompat.probe import Array, Probe, np_dtype
from opcompat.runner import Target
from opcompat.runtimes import all_runtimes

Answers = list[tuple[str, Array]] | str
ORACLES: dict[str, tuple[str, dict[str, Any]]] = {
    "reference": ("reference", {}),
    "ort": ("ort", {"optimisation": "ORT_DISABLE_ALL"}),
}


def _save(path: Path, answers: Answers) -> None:
    if isinstance(answers, str):
        body: Any = answers
    else:
        body = [[d, list(a.shape), [str(s) for s in a.ravel()] if d == "string" else np.ascontiguousarray(a).tobytes().hex()] for d, a in answers]
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(".part")
    temporary.write_text(json.dumps(body))
    temporary.replace(path)


def _load(path: Path) -> Answers | None:
    try:
        body = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    if isinstance(body, str):
        return body
    made: list[tuple[str, Array]] = []
    for dtype, shape, values in body:
        array = np.array(values, object) if dtype == "string" else np.frombuffer(bytes.fromhex(values), np_dtype(dtype))
        made.append((dtype, array.reshape(shape)))
    return made


def references(
    probes: Sequence[Probe], progress: Callable[[int, int], None] = lambda done, total: None, asked: Collection[str] = tuple(ORACLES)
) -> Callable[[Probe], Reference]:
    """Compute what is missing of the oracles' answers to these probes; return the function that settles the answer of one probe."""
    folders = {}
    total = len(asked) * len(probes)
    finished = 0
    for name, (runtime_name, options) in ((n, ORACLES[n]) for n in asked):
        runtime = all_runtimes()[runtime_name]
        found = env.install(runtime)
        version = next(iter(runtime.PACKAGES.values()), "") or _onnx_version()
        source = hashlib.sha256(Path(inspect.getfile(runtime)).read_bytes()).hexdigest()[:8]
        folders[name] = env.cache() / "answers" / f"{name}-{version}-{source}"
        missing = [p for p in probes if not (folders[name] / f"{p.digest}.json").exists()]
        finished += len(probes) - len(missing)
        progress(finished, total)
        if missing:
            with Target(runtime, options, found.python, timeout=30) as target:
                for probe, raw, _, _ in target.raw(missing):
                    answer: Answers = raw.outputs if raw.outputs is not None else f"{raw.outcome} at {raw.stage}: {raw.message[:300]}"
                    _save(folders[name] / f"{probe.digest}.json", answer)
                    finished += 1
                    progress(finished, total)

    known: dict[str, Reference] = {}

    def settled(probe: Probe) -> Reference:
        if probe.digest not in known:
            known[probe.digest] = read(probe)
        return known[probe.digest]

    def read(probe: Probe) -> Reference:
        answers: dict[str, Answers] = dict.fromkeys(ORACLES, "not asked")
        for name, folder in folders.items():
            answer = _load(folder / f"{probe.digest}.json")
            answers[name] = "no answer kept" if answer is None else answer
        return settle(probe, answers["reference"], answers["ort"])

    return settled


def _onnx_version() -> str:
    import onnx

    return onnx.__version__
