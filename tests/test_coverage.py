"""`opcompat coverage`: rows come from the probes themselves."""

import json
import subprocess
import sys

import numpy as np
from onnx import defs

from opcompat import coverage, probe
from opcompat.probe import Const, Probe, const, data, single_op

CONV = """\
Conv
probes 9, node tests 0
versions 1 11 of 1 11 22
dtypes float16 float32
ranks 1 4 5
dynamic batch none
B absent constant
W computed constant
X computed
attributes group kernel_shape pads
context
"""


def told(row: coverage.Coverage) -> str:
    lines = [row.op_type, f"probes {row.probes}, node tests {row.node_tests}"]
    lines.append(f"versions {' '.join(map(str, sorted(row.covered_versions)))} of {' '.join(map(str, row.versions))}")
    for name in ("dtypes", "ranks", "dynamic"):
        lines.append(" ".join([name, *map(str, sorted(getattr(row, name)))]))
    lines += [" ".join([name, *sorted(ways)]) for name, ways in sorted(row.forms.items())]
    lines.append(" ".join(["attributes", *sorted(k for k, v in row.attributes.items() if len(v) > 1)]))
    lines += [name for name in ("batches", "empty", "quantised", "context") if getattr(row, name)]
    return "\n".join(lines) + "\n"


def row_of(*probes: Probe) -> coverage.Coverage:
    return next(r for r in coverage.measure(probes) if r.probes)


def test_snapshot(conv_probes: list[Probe]) -> None:
    named = ("base", "rank=3", "group=2", "bias=False", "weights=computed", "dtype=float16", "dynamic=batch", "opset=7", "base,between=Conv")
    assert told(row_of(*(p for p in conv_probes if p.id.split(":")[1] in named))) == CONV


def test_each_factor_shows() -> None:
    plain = single_op("f", "Add", "p", {"A": data(1, 3), "B": Const(data(3))})
    row = row_of(plain)
    assert not row.batches and not row.empty and row.forms == {"A": {"computed"}, "B": {"constant"}} and row.ranks == {1, 2}
    assert row_of(plain, single_op("f", "Add", "b", {"A": data(2, 3), "B": data(3)})).batches
    assert row_of(single_op("f", "Add", "e", {"A": data(0, 3), "B": data(0, 3)})).empty
    assert row_of(single_op("f", "Clip", "c", {"X": data(2), "min": None, "max": const(1.0)})).forms["min"] == {"absent"}
    given, left = (single_op("f", "LeakyRelu", str(a), {"X": data(2)}, alpha=a) for a in (0.5, None))
    assert row_of(left, given).attributes["alpha"] == row_of(given, left).attributes["alpha"] == {"0.5", ""}
    assert row_of(single_op("f", "Relu", "d", {"X": np.zeros((2, 3), np.float32)}, dynamic={"X": ["N", 3]})).dynamic == {"batch"}


def test_what_no_probe_reaches(conv_probes: list[Probe]) -> None:
    few = coverage.unreached(coverage.measure(conv_probes))
    assert few["Relu"] and "Conv" not in few
    rows = coverage.measure(probe.load())
    reached = {r.op_type for r in rows if r.domain == "com.microsoft"}
    assert not reached & set(coverage.UNREACHED)
    assert set(coverage.unreached(rows)) == {f"com.microsoft:{n}" for n in coverage.UNREACHED}


def test_command() -> None:
    done = subprocess.run([sys.executable, "-m", "opcompat.cli", "coverage", "-f", "json"], capture_output=True, text=True, check=True)
    found = json.loads(done.stdout)
    assert found["summary"]["ai.onnx operators"] == len({s.name for s in defs.get_all_schemas_with_history() if s.domain == ""})
    assert len(found["operators"]) > 300 and found["node tests left out"]
