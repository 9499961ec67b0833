"""Large models: `opcompat.check` of 10,000 and 100,000 nodes beside `onnx.load` of the same file, and 10 GB of external weights beside none.

python bench/large_models.py        (makes 60 MB of models in the cache folder, and a sparse file that claims 10 GB and takes none)
Whole processes, interleaved. Limits: 10,000 nodes on one target 3x of onnx.load, the same weights 1.1x of none; 100,000 nodes, whose answer is
printed as well, 10 seconds and 2,000 MB.
Exits 1 where a limit is missed. The base in use is opcompat's own; $OPCOMPAT_DB overrides it.
"""

import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import numpy as np
import onnx
from models import Builder
from onnx import TensorProto, helper
from rich.console import Console
from rich.table import Table

from opcompat import env

LOAD = "import onnx, sys; onnx.load(sys.argv[1])"
CHECK = "import opcompat, sys; opcompat.check(sys.argv[1], sys.argv[2:])"
PRINT = "import sys; from opcompat import check, report; report.print_text(check(sys.argv[1], sys.argv[2:]))"
MOST_SECONDS, MOST_MB = 10, 2000
WEIGHT_BYTES = 10 << 30


def mixed(nodes: int) -> onnx.ModelProto:
    """Return a network of at least `nodes` nodes: residual blocks of many widths, groups and strides, and transformer layers, in turn."""
    b = Builder()
    image, tokens = "image", "tokens"
    half, one, sqrt2 = (b.const(np.float32(v)) for v in (0.5, 1, 2**0.5))
    split, merge = b.const(np.array([0, 0, 4, 4], np.int64)), b.const(np.array([0, 0, 16], np.int64))
    block = 0
    while len(b.nodes) < nodes:
        with b.module(f"block{block}"):
            group, kernel, dilation = (1, 2, 8)[block % 3], (1, 3, 5)[block // 3 % 3], 1 + block // 9 % 3
            pad = kernel // 2 * dilation
            weights = b.weight(8, 8 // group, kernel, kernel)
            y = b.node("Conv", image, weights, group=group, kernel_shape=[kernel] * 2, pads=[pad] * 4, dilations=[dilation] * 2)
            ones, zeros = b.const(np.ones(8, np.float32)), b.const(np.zeros(8, np.float32))
            y = b.node(("Relu", "Sigmoid", "HardSwish", "Elu")[block % 4], b.node("BatchNormalization", y, ones, zeros, zeros, ones))
            image = b.node("Add", b.node("MaxPool", y, kernel_shape=[3, 3], pads=[1] * 4), image)
            if block % 2:
                image = b.node("Transpose", b.node("Transpose", image, perm=[0, 2, 3, 1]), perm=[0, 3, 1, 2])
            q, k, v = (b.node("Reshape", b.node("Add", b.node("MatMul", tokens, b.weight(16, 16)), b.weight(16)), split) for _ in range(3))
            q, v = (b.node("Transpose", t, perm=[0, 2, 1, 3]) for t in (q, v))
            scores = b.node("Div", b.node("MatMul", q, b.node("Transpose", k, perm=[0, 2, 3, 1])), sqrt2)
            y = b.node("MatMul", b.node("Softmax", scores, axis=-1), v)
            y = b.node("Reshape", b.node("Transpose", y, perm=[0, 2, 1, 3]), merge)
            y = b.node("LayerNormalization", b.node("Add", y, tokens), b.weight(16), b.weight(16), axis=-1)
            erf = b.node("Add", b.node("Erf", b.node("Div", y, sqrt2)), one)
            tokens = b.node("Mul", b.node("Mul", y, erf), half)
        block += 1
    info = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, s)
        for n, s in (("image", ["N", 8, 16, 16]), ("tokens", ["N", 12, 16]), (image, ["N", 8, 16, 16]), (tokens, ["N", 12, 16]))
    ]
    return b.model(info[:2], info[2:], opset=17)


def write(folder: Path) -> dict[str, Path]:
    """Write the models unless they are there; return them by what is special about them."""
    folder.mkdir(parents=True, exist_ok=True)
    found = {f"{n:,} nodes": folder / f"mixed_{n}.onnx" for n in (10_000, 100_000)} | {"10 GB": folder / "mixed_external.onnx"}
    for path, nodes in zip(found.values(), (10_000, 100_000, 10_000), strict=True):
        if not path.exists():
            model = mixed(nodes)
            if path == found["10 GB"]:
                tensors = [t for t in model.graph.initializer if len(t.raw_data) > 16]
                for number, tensor in enumerate(tensors):
                    onnx.external_data_helper.set_external_data(tensor, "weights.bin", number * (WEIGHT_BYTES // len(tensors)), len(tensor.raw_data))
                    tensor.ClearField("raw_data")
                with (folder / "weights.bin").open("wb") as file:
                    file.truncate(WEIGHT_BYTES)
            path.write_bytes(model.SerializeToString())
    return found


def spent(code: str, *arguments: object) -> tuple[float, int]:
    """Return processor seconds (wall time on a machine that does nothing else, and steadier on one that does) and MB of a whole Python process."""
    process = subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise SystemExit(f"{arguments}: exit status {status}")
    return usage.ru_utime + usage.ru_stime, usage.ru_maxrss >> 10


def main() -> int:
    models = write(env.cache() / "bench")
    small, large, external = models["10,000 nodes"], models["100,000 nodes"], models["10 GB"]
    rows = [
        ("10,000 nodes, one target / onnx.load", (CHECK, small, "ort/cpu"), (LOAD, small), 3.0, 7),
        ("10,000 nodes, all targets / onnx.load", (CHECK, small, "all"), (LOAD, small), None, 7),
        ("100,000 nodes, one target / onnx.load", (PRINT, large, "ort/cpu"), (LOAD, large), None, 3),
        ("100,000 nodes, all targets / onnx.load", (PRINT, large, "all"), (LOAD, large), None, 3),
        ("10,000 nodes, 10 GB of external weights / inside", (CHECK, external, "ort/cpu"), (CHECK, small, "ort/cpu"), 1.1, 7),
    ]
    table = Table(box=None, pad_edge=False, title="processor seconds of whole processes: median (min-max), interleaved", title_justify="left")
    for heading in ("what", "first", "second", "ratio per pair", "limit", "MB of the first", ""):
        table.add_column(heading, no_wrap=True)
    missed = False
    for what, mine, theirs, limit, pairs in rows:
        spent(*mine)
        times, peak = [], 0
        for _ in range(pairs):
            (first, memory), (second, _) = spent(*mine), spent(*theirs)
            times.append((first, second))
            peak = max(peak, memory)
        ratio = median(a / b for a, b in times)
        over = (limit is not None and ratio > limit) or median(a for a, _ in times) > MOST_SECONDS or peak > MOST_MB
        missed |= over
        sides = [f"{median(side):.2f} ({min(side):.2f}-{max(side):.2f})" for side in zip(*times, strict=True)]
        spread = f"{ratio:.2f} ({min(a / b for a, b in times):.2f}-{max(a / b for a, b in times):.2f})"
        table.add_row(what, *sides, spread, "" if limit is None else f"{limit:g}", f"{peak:,}", "OVER" if over else "ok")
    Console(width=150).print(table)
    return int(missed)


if __name__ == "__main__":
    raise SystemExit(main())
