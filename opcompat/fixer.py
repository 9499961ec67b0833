"""`opcompat fix`: apply executable workarounds to nodes that break, prove that the numbers stay the same, and check again."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import onnx

from opcompat import env
from opcompat.checker import Finding, Report, check
from opcompat.compare import Judgement, is_quantised, judge
from opcompat.model import DTYPES, read
from opcompat.oracle import ORACLES
from opcompat.probe import Array, Probe, data
from opcompat.runfiles import database_path, replacing
from opcompat.runner import Target
from opcompat.runtimes import all_runtimes
from opcompat.store import Base
from opcompat.workarounds import Refused, all_workarounds
from opcompat.workarounds._edit import shapes


class FixError(Exception):
    """The model was not repaired; the text is one sentence for the user."""


def _broken(report: Report) -> dict[str, Finding]:
    """Return path -> finding of main-graph nodes that break somewhere and have an executable workaround."""
    found: dict[str, Finding] = {}
    for target in report.targets:
        for f in target.findings:
            if f.verdict in ("breaks", "falls_back") and any(w.executable for w in f.workarounds):
                for path in f.nodes:
                    found.setdefault(path, f)
    return found


def harmful(targets: Sequence[str]) -> dict[str, str]:
    """Return workaround -> a target among these on which it breaks most probes that pass untouched: helping one target must not break another."""
    recipes = {f"workaround/{w.name}": w for w in all_workarounds() if w.rewrite is not None}
    operators = {o.split(":")[-1] for w in recipes.values() for o in w.operators}
    found: dict[str, str] = {}
    with Base(database_path()) as base:
        evidence = base.evidence(sorted({*recipes, *operators}), targets)
    passing = {(target, e.probe) for (target, _), tried in evidence.items() for e in tried if e.good}
    for (target, (_, name)), tried in evidence.items():
        if name in recipes:
            kept = [e.good for e in tried if (target, e.probe.split(":", 1)[1]) in passing]
            if 2 * sum(kept) < len(kept):
                found[recipes[name].name] = target
    return found


def rewrite(proto: onnx.ModelProto, report: Report, harm: Mapping[str, str] | None = None) -> tuple[list[str], list[str]]:
    """Apply the first executable workaround that does not refuse to each broken node, in place. Return what was done and what was refused.

    harm: workarounds to leave out -> the target they would break.
    """
    by_name = {w.name: w for w in all_workarounds()}
    broken = _broken(report)
    paths = report.model.paths[: report.model.main_graph_nodes]
    done, refused = [], []
    for index in range(len(paths) - 1, -1, -1):  # from the end: indexes of earlier nodes stay what they were
        finding = broken.get(paths[index])
        for advice in finding.workarounds if finding else ():
            recipe = by_name[advice.name].rewrite
            if recipe is None:
                continue
            if harm and advice.name in harm:
                refused.append(f"{paths[index]}: {advice.name} left out: most of its probes break on {harm[advice.name]}")
                continue
            try:
                recipe(proto, index)
            except Refused as reason:
                refused.append(f"{paths[index]}: {advice.name} refused: {reason}")
                continue
            done.append(f"{paths[index]}: {advice.name}")
            break
    return done[::-1], refused[::-1]


def _feeds(proto: onnx.ModelProto) -> dict[str, Array]:
    """Return random inputs for a whole model; dynamic dimensions become 1, integers stay small so that they can be indices."""
    constants = {t.name for t in proto.graph.initializer}
    feeds: dict[str, Array] = {}
    for value in proto.graph.input:
        if value.name not in constants:
            shape = [d.dim_value or 1 for d in value.type.tensor_type.shape.dim]
            dtype = DTYPES.get(value.type.tensor_type.elem_type, "float32")
            feeds[value.name] = data(*shape, dtype=dtype, low=0, high=2) if "int" in dtype else data(*shape, dtype=dtype)
    return feeds


def same_numbers(before: onnx.ModelProto, after: onnx.ModelProto) -> Judgement:
    """Run both models on the same random inputs in ONNX Runtime, optimisations off, and compare. Raises FixError if one does not run."""
    name, options = ORACLES["ort"]
    runtime = all_runtimes()[name]
    feeds = _feeds(before)
    outputs = []
    with Target(runtime, options, env.install(runtime).python, timeout=300) as target:
        for which, proto in (("original", before), ("repaired", after)):
            raw = target.alone([Probe(which, "fix", proto, feeds, None)])[0]
            if raw.outputs is None:
                raise FixError(f"the {which} model does not run in ONNX Runtime, so nothing can be proved: {raw.message[:200]}")
            outputs.append(raw.outputs)
    return judge(outputs[1], outputs[0], quantised=is_quantised(before))


def fix(path: Path, out: Path, targets: Sequence[str]) -> Iterator[str]:
    """Repair the model at path for these targets, write it to out, and yield what happened line by line. Raises FixError, writing nothing."""
    if out.exists() and out.samefile(path):
        raise FixError(f"{out} is the model itself: choose another --out")
    read(path)  # refuses what must not be loaded
    report = check(path, targets)
    proto = onnx.load(path)
    original = onnx.ModelProto()
    original.CopyFrom(proto)
    done, refused = rewrite(proto, report, harmful([t.target for t in report.targets]))
    yield from refused
    if not done:
        raise FixError(f"{path} has no node that breaks on {', '.join(targets)} and has a workaround that can be applied: see `opcompat check`")
    try:
        del proto.graph.value_info[:]
        proto.graph.value_info.extend(shapes(proto))  # some runtimes infer fewer shapes themselves and then refuse the node
        onnx.checker.check_model(proto)
    except onnx.checker.ValidationError as error:
        raise FixError(f"the repaired model is not valid ONNX, please report this: {str(error).splitlines()[0]}") from None
    yield from done
    found = same_numbers(original, proto)
    if not found.same:
        raise FixError(f"the repaired model gives other numbers ({found.message}), so it was not written")
    _save(proto, out)
    yield f"same numbers as before in ONNX Runtime (largest difference {found.max_abs or 0:.2g}); written to {out}"
    after = check(out, targets)
    for old, new in zip(report.targets, after.targets, strict=True):
        yield f"{new.target}: breaks {old.counts['breaks']} -> {new.counts['breaks']}, unknown {old.counts['unknown']} -> {new.counts['unknown']}"


def _save(proto: Any, out: Path) -> None:
    with replacing(out) as part:
        try:
            onnx.save(proto, part)
        except ValueError:  # over protobuf's 2 GB
            onnx.save(proto, part, save_as_external_data=True, location=f"{out.name}.data")
