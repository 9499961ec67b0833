"""What `opcompat check` says of whole networks, against what the runtimes really do with them: the example and the bench networks.

python bench/networks.py [--timeout 300]        (needs the environments of the runtimes: opcompat env; makes 440 MB of models in the cache folder)
The base in use is opcompat's own; $OPCOMPAT_DB overrides it. Part (c) of bench/accuracy.py.
"""

import argparse
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

TARGETS = ("ort/cpu", "openvino/cpu", "opencv/cpu", "qnn/htp-v73")


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


def off(outputs: list[Any], reference: list[Any]) -> str:
    """Return the largest difference from the reference, relative to the largest number of the output it is in."""
    if [o.shape for o in outputs] != [r.shape for r in reference]:
        return "shape"
    gaps = (np.abs(o.astype(float) - r).max(initial=0) / max(np.abs(r).max(initial=0), 1e-9) for o, r in zip(outputs, reference, strict=True))
    return f"{max(gaps):.1g}"


def networks(timeout: float) -> None:
    """Print, for each network and target, what was predicted, whether it really loads and runs, and how far off ort/cpu its outputs are."""
    table = Table(box=None, pad_edge=False, title="(c) whole networks: predicted and real", title_justify="left")
    for heading in ("network", "target", "predicted", "works", "back", "breaks", "unknown", "really", "off by", "agree", "stage and message"):
        table.add_column(heading, no_wrap=heading != "stage and message")
    examples = sorted((Path(__file__).resolve().parents[1] / "examples").glob("*.onnx"))
    with Base(database_path()) as base:
        known = [t for t in TARGETS if t in base.targets()]
    for path in [*examples, *models.write(env.cache() / "bench")]:
        model = fixed(path)
        names = {d.dim_param: 1 for v in onnx.load(path, load_external_data=False).graph.input for d in v.type.tensor_type.shape.dim if d.dim_param}
        reports = {r.target: r for r in checker.check(open_model(path, names), known).targets} if known else {}
        network = probe.Probe(f"network/{path.stem}", "network", model, feeds(model), None)
        reference: list[Any] = []
        for name in TARGETS:
            runtime = measured_targets()[name]
            found = env.find(runtime)
            if name not in reports or found is None:
                table.add_row(path.stem, name, "no evidence in the base" if found else "not installed")
                continue
            with runner.Target(runtime, runtime.TARGETS[name], found.python, timeout) as target:
                raw = target.alone([network])[0]
            r = reports[name]
            runs = raw.outcome == "pass"
            agree = "-" if r.verdict == "unknown" else "yes" if runs == (r.verdict != "breaks") else "NO"
            cells = [str(r.counts.get(v, 0)) for v in ("works", "falls_back", "breaks", "unknown")]
            outputs = [a for _, a in raw.outputs or ()]
            reference = reference or outputs  # ort/cpu comes first
            text = "" if runs else f"{raw.stage}: {' '.join(raw.message.split())[:110]}"
            table.add_row(path.stem, name, r.verdict, *cells, "runs" if runs else raw.outcome, off(outputs, reference) if runs else "", agree, text)
    Console(width=170, highlight=False, markup=False).print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--timeout", default=300, type=float, help="seconds a runtime may take for one network")
    networks(parser.parse_args().timeout)
