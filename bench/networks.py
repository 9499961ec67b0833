"""What `opcompat check` says of whole networks, against what the runtimes really do with them: the examples and the bench networks.

python bench/networks.py [--timeout 300] [--examples] [TARGET ...]
Takes the targets whose environments are installed (opcompat env) unless some are named; makes 440 MB of models in the cache folder unless only the
examples are wanted. The base in use is opcompat's own; $OPCOMPAT_DB overrides it.
"""

import argparse
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import models
import numpy as np
import onnx
from rich.console import Console
from rich.table import Table

from opcompat import checker, env, probe, runner
from opcompat.model import open_model
from opcompat.runfiles import database_path
from opcompat.runtimes import measured_targets
from opcompat.store import Base

TOLERANCE = 0.05
"""Of the largest number of an output: what bfloat16 and int8 do to a whole network stays below, what wrong operators do does not."""


def fixed(path: Path) -> onnx.ModelProto:
    """Return the model with every named dimension of its inputs and outputs set to 1, shapes that depend on data left open."""
    model = onnx.load(path)
    names = {d.dim_param for v in model.graph.input for d in v.type.tensor_type.shape.dim if d.dim_param}
    for value in (*model.graph.input, *model.graph.output):
        for d in value.type.tensor_type.shape.dim:
            if d.dim_param in names:
                d.dim_value = 1
    return model


def feeds(model: onnx.ModelProto) -> dict[str, np.ndarray]:
    """Return random images, or for integer inputs ones (valid token ids and masks)."""
    made = {}
    for value in model.graph.input:
        shape = [d.dim_value for d in value.type.tensor_type.shape.dim]
        dtype = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
        made[value.name] = probe.data(*shape) if dtype == np.float32 else np.ones(shape, dtype)
    return made


def off(outputs: list[Any], reference: list[Any]) -> float:
    """Return the largest difference from the reference, relative to the largest number of the output it is in; infinite for another shape."""
    if [o.shape for o in outputs] != [r.shape for r in reference]:
        return float("inf")
    gaps = (np.abs(o.astype(float) - r).max(initial=0) / max(np.abs(r).max(initial=0), 1e-9) for o, r in zip(outputs, reference, strict=True))
    return float(max(gaps))


def networks(timeout: float, paths: list[Path], wanted: list[str]) -> None:
    """Print, for each network and target, what was predicted, whether it really loads and runs, and how far off ort/cpu its outputs are."""
    table = Table(box=None, pad_edge=False, title="whole networks: predicted and real", title_justify="left")
    for heading in ("network", "target", "predicted", "works", "back", "breaks", "unknown", "really", "off by", "agree", "stage and message"):
        table.add_column(heading, no_wrap=heading != "stage and message")
    runtimes = measured_targets()
    installed = {name: found.python for name, runtime in runtimes.items() if (found := env.find(runtime)) is not None}
    with Base(database_path()) as base:
        known = [t for t in wanted or sorted(installed, key=lambda t: (t != "ort/cpu", t)) if t in base.targets() and t in installed]
    tally: Counter[str] = Counter()
    for path in paths:
        model = fixed(path)
        names = {d.dim_param: 1 for v in onnx.load(path, load_external_data=False).graph.input for d in v.type.tensor_type.shape.dim if d.dim_param}
        network = probe.Probe(f"network/{path.stem}", "network", model, feeds(model), None)
        reference: list[Any] = []
        for r in checker.check(open_model(path, names), known).targets if known else ():
            runtime = runtimes[r.target]
            try:
                with runner.Target(runtime, runtime.TARGETS[r.target], installed[r.target], timeout) as target:
                    raw = target.alone([network])[0]
            except runner.Unavailable as error:
                table.add_row(path.stem, r.target, r.verdict, *[""] * 7, f"unavailable: {error}")
                continue
            outputs = [a for _, a in raw.outputs or ()]
            reference = reference or outputs  # ort/cpu comes first
            distance = off(outputs, reference) if outputs else 0.0
            right = raw.outcome == "pass" and distance <= TOLERANCE
            agree = "-" if r.verdict == "unknown" or raw.outcome == "broken" else "yes" if right == (r.verdict != "breaks") else "NO"
            tally[agree] += 1
            cells = [str(r.counts.get(v, 0)) for v in ("works", "falls_back", "breaks", "unknown")]
            text = "" if raw.outcome == "pass" else f"{raw.stage}: {' '.join(raw.message.split())[:110]}"
            really = "wrong" if raw.outcome == "pass" and not right else "runs" if right else raw.outcome
            table.add_row(path.stem, r.target, r.verdict, *cells, really, f"{distance:.1g}" if outputs else "", agree, text)
            print(f"{path.stem}, {r.target}: {r.verdict}, {really}", file=sys.stderr, flush=True)
    Console(width=190, highlight=False, markup=False).print(table)
    print(f"predicted rightly {tally['yes']}, wrongly {tally['NO']}; unknown, or not expressible there, {tally['-']}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", default=300, type=float, help="seconds a runtime may take for one network")
    parser.add_argument("--examples", action="store_true", help="only the examples, which are small")
    parser.add_argument("targets", nargs="*", metavar="TARGET")
    asked = parser.parse_args()
    examples = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.onnx"))
    networks(asked.timeout, examples if asked.examples else [*examples, *models.write(env.cache() / "bench")], asked.targets)
