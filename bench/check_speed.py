"""Speed of `opcompat check` against what users run today, side by side: a fresh ONNX Runtime session, `onnx.load`, an empty Python.

python bench/check_speed.py        (needs the ort environment: it is installed on first use; makes 440 MB of models in the cache folder)
Exits 1 where a limit is missed, except that of the last two rows (10,000 nodes), which is informative.
The base in use is opcompat's own; $OPCOMPAT_DB overrides it.
"""

import subprocess
import sys
import time
from pathlib import Path
from statistics import median

import onnx
from models import Builder, write
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table

from opcompat import env
from opcompat.runtimes import all_runtimes

PAIRS = 9
CHECK_LIMIT, HELP_LIMIT, LOAD_LIMIT = 0.8, 0.4, 3.0
OPCOMPAT = str(Path(sys.executable).with_name("opcompat"))
SESSION = "import onnxruntime, sys; onnxruntime.InferenceSession(sys.argv[1], providers=['CPUExecutionProvider'])"
LOAD = "import onnx, sys; onnx.load(sys.argv[1])"
LARGE = 10_000


def seconds(command: list[str], allowed: tuple[int, ...] = (0,)) -> float:
    """Run a command to its end and return how long it took. `opcompat check` exits 1 where something breaks."""
    started = time.perf_counter()
    done = subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    taken = time.perf_counter() - started
    if done.returncode not in allowed:
        raise SystemExit(f"{' '.join(command)}: exit status {done.returncode}\n{done.stderr[-2000:]}")
    return taken


def race(left: list[str], right: list[str]) -> tuple[list[float], list[float]]:
    """Time both commands PAIRS times after a warm-up, taking turns at going first."""
    times: tuple[list[float], list[float]] = ([], [])
    for number in range(-1, PAIRS):
        order = ((0, left), (1, right)) if number % 2 else ((1, right), (0, left))
        for side, command in order:
            taken = seconds(command, (0, 1) if "check" in command else (0,))
            if number >= 0:
                times[side].append(taken)
    return times


def large_model(path: Path) -> Path:
    """Write a chain of 10,000 nodes of five operators over tensors of 20 sizes."""
    b = Builder()
    x = "x"
    while len(b.nodes) < LARGE:
        width = 8 + len(b.nodes) // 5 % 20
        x = b.node("Relu", b.node("Add", b.node("MatMul", x, b.weight(8, width)), b.weight(1, width)))
        x = b.node("MatMul", b.node("Sigmoid", x), b.weight(width, 8))
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, ["N", 8]) for n in ("x", x)]
    onnx.save(b.model(info[:1], info[1:], opset=17), path)
    return path


def spread(times: list[float]) -> str:
    return f"{median(times):.2f} ({min(times):.2f}-{max(times):.2f})"


def main() -> int:
    folder = env.cache() / "bench"
    python = str(env.install(all_runtimes()["ort"]).python)
    rows: list[tuple[str, list[float], list[float], str, float, float]] = []
    for path in write(folder):
        mine, theirs = race([OPCOMPAT, "check", str(path), "--target", "all"], [python, "-c", SESSION, str(path)])
        ratio = median(m / t for m, t in zip(mine, theirs, strict=True))
        rows.append((f"check {path.name} / new ORT session", mine, theirs, "ratio", ratio, CHECK_LIMIT))
    mine, theirs = race([OPCOMPAT, "--help"], [sys.executable, "-c", "pass"])
    gap = median(m - t for m, t in zip(mine, theirs, strict=True))
    rows.append(("--help - python -c pass", mine, theirs, "seconds", gap, HELP_LIMIT))
    path = large_model(folder / "large.onnx")
    for target in ("ort/cpu", "all"):
        mine, theirs = race([OPCOMPAT, "check", str(path), "--target", target], [sys.executable, "-c", LOAD, str(path)])
        ratio = median(m / t for m, t in zip(mine, theirs, strict=True))
        rows.append((f"check {LARGE:,} nodes, {target} / onnx.load", mine, theirs, "ratio", ratio, LOAD_LIMIT))

    table = Table(box=None, pad_edge=False, title=f"whole processes, seconds: median (min-max) of {PAIRS} interleaved pairs", title_justify="left")
    for heading in ("what", "opcompat", "other", "per pair", "limit", ""):
        table.add_column(heading, no_wrap=True)
    for what, mine, theirs, unit, value, limit in rows:
        table.add_row(what, spread(mine), spread(theirs), f"{value:.2f} {unit}", f"{limit:g}", "ok" if value <= limit else "OVER")
    Console(width=120).print(table)
    return int(any(value > limit for *_, value, limit in rows if limit != LOAD_LIMIT))


if __name__ == "__main__":
    raise SystemExit(main())
