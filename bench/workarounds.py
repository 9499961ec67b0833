"""Speed of every executable workaround before and after: one node of a realistic size, original and rewritten, timed in turns in one process.

python bench/workarounds.py [NAME...] [--write]     (needs the environments ort and openvino: they are installed on first use)
One thread, default optimisations, CPU time. --write puts the table, with the probes the base in use knows as rescued, in
docs/workarounds-measured.md.
"""

import argparse
import json
import pickle
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import numpy as np
import onnx

from opcompat import env
from opcompat.probe import Const, Probe, const, data, single_op
from opcompat.runfiles import database_path
from opcompat.runtimes import all_runtimes
from opcompat.store import Base
from opcompat.workarounds import Workaround, all_workarounds

PAIRS, ENOUGH = 9, 0.02
PAGE = Path(__file__).resolve().parents[1] / "docs" / "workarounds-measured.md"
CHILD = """
import json, pickle, sys, time
runtime, pairs, enough, models, feeds = *pickle.load(open(sys.argv[1], "rb")),
def ort(model):
    import onnxruntime
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads, options.log_severity_level = 1, 4
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    return lambda: session.run(None, feeds)
def openvino(model):
    import openvino
    core = openvino.Core()
    hints = {"INFERENCE_NUM_THREADS": 1, "PERFORMANCE_HINT": "LATENCY", "INFERENCE_PRECISION_HINT": "f32"}
    request = core.compile_model(core.read_model(model), "CPU", hints).create_infer_request()
    return lambda: request.infer(feeds)
def seconds(run, times):
    started = time.process_time()  # of all threads: what else the machine does is left out
    for _ in range(times):
        run()
    return (time.process_time() - started) / times
runs = []
for model in models:
    try:
        run = {"ort": ort, "openvino": openvino}[runtime](model)
        seconds(run, 2)
        runs.append((run, max(1, int(enough / seconds(run, 3)))))
    except Exception:
        runs.append(None)
print("TIMES " + json.dumps([[None if r is None else seconds(*r) for r in runs] for _ in range(pairs)]))
"""
X = data(1, 64, 56, 56, low=-3, high=3)
ROWS = data(1, 128, 768)
TURNED = ("Acosh", 1.0, 3.0), ("Atanh", -0.9, 0.9), ("Asin", -0.9, 0.9)


def _case(op: str, inputs: Any, opset: int = 17, **more: Any) -> Probe:
    named = inputs if isinstance(inputs, dict) else {f"i{k}": v for k, v in enumerate(inputs if isinstance(inputs, tuple) else (inputs,))}
    return single_op("bench", op, "realistic", named, opset=opset, **more)


def _microsoft(op: str, inputs: tuple[Any, ...], shape: tuple[int, ...], dtype: str = "float32", **more: Any) -> Probe:
    return _case(op, inputs, domain="com.microsoft", output_dtypes=[dtype], output_shapes=[shape], **more)


def cases() -> Iterator[tuple[str, Probe]]:
    """Yield (workaround, one node of a size that networks have)."""
    window, pads = {"kernel_shape": [3, 3], "strides": [2, 2]}, {"pads": [1] * 4}
    like_x = {"output_dtypes": ["float32"], "output_shapes": [X.shape]}
    for name, op, opset, attributes in (
        ("inverse-hyperbolic-to-log", "Asinh", 17, {}), ("hyperbolic-to-exp", "Sinh", 17, {}), ("tan-to-sin-cos", "Tan", 17, {}),
        ("softsign-to-abs", "Softsign", 17, {}), ("swish-to-sigmoid", "Swish", 24, {}), ("shrink-to-where", "Shrink", 17, {}),
        ("selu-to-elu", "Selu", 17, {}), ("celu-to-elu", "Celu", 17, {}), ("hardsigmoid-to-clip", "HardSigmoid", 17, {}),
        ("hardswish-to-clip", "HardSwish", 17, {}), ("gelu-to-primitives", "Gelu", 20, {}), ("mish-to-primitives", "Mish", 18, {}),
        ("erf-to-exp", "Erf", 17, {}), ("tanh-to-sigmoid", "Tanh", 17, {}), ("reduce-to-sum", "ReduceL2", 17, {"axes": [2, 3]}),
        ("reducelogsumexp-to-sum", "ReduceLogSumExp", 17, {"axes": [1]}),
        ("mean-variance-normalization-to-primitives", "MeanVarianceNormalization", 17, like_x),
        ("reduce-in-steps", "ReduceMean", 17, {"axes": [0, 2, 3]}), ("lp-normalization-to-reduce", "LpNormalization", 17, {"axis": 1}),
        ("global-pool-to-reduce", "GlobalMaxPool", 17, {}), ("global-lp-pool-to-reduce", "GlobalLpPool", 17, {}),
        ("lp-pool-to-average-pool", "LpPool", 17, {**window, **pads}), ("ceil-mode-to-pad", "AveragePool", 17, {**window, "ceil_mode": 1}),
        ("explicit-pads", "MaxPool", 17, {**window, "auto_pad": "SAME_UPPER"}), ("flatten-softmax", "Softmax", 11, {"axis": 1}),
        ("lrn-to-conv", "LRN", 17, {"size": 5}), ("idle-to-identity", "Dropout", 17, {}), ("constant-in-place", "Shape", 17, {}),
    ):  # fmt: skip
        yield name, _case(op, X, opset, **attributes)
    yield "arcus-to-atan", _case("Asin", data(1, 64, 56, 56, low=-0.9, high=0.9))
    yield "prelu-to-relu", _case("PRelu", (X, const(data(64, 1, 1))))
    yield "clip-to-min-max", _case("Clip", (X, const(0.0), const(6.0)))
    yield "pow-to-mul", _case("Pow", (X, const(2.0)))
    yield "xor-to-and-or", _case("Xor", (X > 0, X > 1))
    yield "bool-where-to-logic", _case("Where", (X > 0, X > 1, X > 2))
    yield "castlike-to-cast", _case("CastLike", (X, const(np.zeros(1, np.float16))))
    yield "sum-mean-to-add", _case("Mean", (X, X + 1, X + 2))
    channel = {k: const(data(64, low=0.5, high=1.5, seed=s)) for s, k in enumerate(("scale", "bias", "mean", "variance"))}
    affine = {k: channel[k] for k in ("scale", "bias")}
    yield "batch-normalization-to-scale", _case("BatchNormalization", {"X": X, **channel})
    yield "instance-normalization-flat", _case("InstanceNormalization", {"X": data(1, 64, 8, 28, 28), **affine})
    yield "group-normalization-to-instance-normalization", _case("GroupNormalization", {"X": X, **affine}, 21, num_groups=8, **like_x)
    gain = const(data(768, low=0.5, high=1.5))
    for name in ("layer-normalization-to-primitives", "explicit-epsilon"):
        yield name, _case("LayerNormalization", (ROWS, gain, gain))
    like_rows = {"output_dtypes": ["float32"], "output_shapes": [ROWS.shape]}
    yield "rms-normalization-to-primitives", _case("RMSNormalization", (ROWS, gain), 23, **like_rows)
    yield "hardmax-to-argmax", _case("Hardmax", data(64, 1000))
    yield "onehot-to-equal", _case("OneHot", (data(256, dtype="int64", low=0, high=1000), const(1000), const([0.0, 1.0])))
    yield "trilu-to-where", _case("Trilu", data(1, 12, 128, 128))
    yield "cumsum-to-matmul", _case("CumSum", (data(64, 512), const(1)))
    yield "pad-to-gather", _case("Pad", (X, const([0, 0, 3, 3, 0, 0, 3, 3])), mode="reflect")
    yield "pad-axes-in-full", _case("Pad", (X, const([1, 1, 1, 1]), None, const([2, 3])), 18)
    yield "pad-value-to-where", _case("Pad", (X, const([0, 0, 1, 1, 0, 0, 1, 1]), np.asarray(2, np.float32)))
    square = const(data(64, 64, 3, 3))
    yield "dilated-kernel-in-full", _case("Conv", (X, square), dilations=[2, 2], pads=[2] * 4)
    yield "split-grouped-conv", _case("Conv", (X, const(data(64, 16, 3, 3))), group=4, **pads)
    yield "split-grouped-conv-transpose", _case("ConvTranspose", (X, const(data(64, 16, 2, 2))), group=4, strides=[2, 2])
    yield "conv1d-to-conv2d", _case("Conv", (data(1, 64, 1000), const(data(64, 64, 5))), pads=[2, 2])
    yield "matmul-of-vectors", _case("MatMul", (data(768), const(data(768, 768))))
    yield "gemm-to-matmul", _case("Gemm", (data(64, 768), const(data(768, 768)), const(data(768))), alpha=0.5)
    sizes = (X, None, const([1.0, 1.0, 2.0, 2.0]))
    yield "resize-to-matmul", _case("Resize", sizes, mode="linear")
    yield "resize-nearest-to-gather", _case("Resize", sizes, mode="nearest", nearest_mode="floor", coordinate_transformation_mode="asymmetric")
    yield "einsum-to-matmul", _case("Einsum", (data(12, 128, 64), data(12, 128, 64)), equation="bik,bjk->bij")
    places = {"offset": data(1, 18, 56, 56), "B": const(data(64)), "mask": data(1, 9, 56, 56, low=0.0)}
    yield "deform-conv-to-grid-sample", _case("DeformConv", {"X": X, "W": square, **places}, 19, pads=[1] * 4, kernel_shape=[3, 3])
    yield "grid-sample-to-gather", _case("GridSample", (X, data(1, 56, 56, 2)))
    yield "affine-grid-to-matmul", _case("AffineGrid", (data(1, 2, 3), const([1, 3, 224, 224])), 20)
    yield "center-crop-pad-to-slice-pad", _case("CenterCropPad", (X, const([48, 64])), 18, axes=[2, 3])
    yield "col2im-to-conv-transpose", _case("Col2Im", (data(1, 64 * 9, 56 * 56), const([56, 56]), const([3, 3])), 18, pads=[1] * 4)
    yield "det-to-products", _case("Det", data(1000, 3, 3))
    every = np.arange(64 * 56 * 56).reshape(1, 64, 28, 2, 28, 2)[:, :, :, 0, :, 0]
    yield "max-unpool-to-scatter", _case("MaxUnpool", (data(1, 64, 28, 28), np.ascontiguousarray(every)), kernel_shape=[2, 2], strides=[2, 2])
    yield "reverse-sequence-to-gather", _case("ReverseSequence", (data(64, 8, 256), const([64, 50, 40, 30, 20, 10, 5, 1])))
    yield "gathernd-to-gather", _case("GatherND", (data(8, 1000, 64), data(8, 100, 1, dtype="int64", low=0, high=999)), batch_dims=1)
    yield "positive-indices", _case("Gather", (X, const([-1, -3, -5])), axis=1)
    yield "compress-to-gather", _case("Compress", (X, const(np.arange(64) % 2 == 0)), axis=1)
    byte = {"dtype": "uint8", "low": 0, "high": 255}
    yield "integer-product-to-float", _case("MatMulInteger", (data(64, 256, **byte), const(data(256, 256, **byte))))
    yield "dynamic-quantize-to-primitives", _case("DynamicQuantizeLinear", X, 11, outputs=3)
    scale, zero = const(0.02), const(np.asarray(128, np.uint8))
    images = (data(1, 64, 56, 56, seed=k, **byte) for k in range(2))
    yield "qlinear-to-qdq", _microsoft("QLinearAdd", (*(i for image in images for i in (image, scale, zero)), scale, zero), X.shape, "uint8")
    yield "fused-gelu-apart", _microsoft("FastGelu", (ROWS, gain), ROWS.shape)
    yield "fused-normalization-apart", _microsoft("SkipLayerNormalization", (ROWS, ROWS + 1, gain, gain), ROWS.shape)
    yield "fused-matmul-apart", _microsoft("FusedMatMul", (data(12, 128, 64), data(12, 128, 64)), (12, 128, 128), transB=1, alpha=0.125)
    yield "fused-conv-apart", _microsoft("FusedConv", (X, square), X.shape, activation="Relu", **pads)
    heads = tuple(data(1, 128, 768, seed=s) for s in range(3))
    yield "fused-attention-apart", _microsoft("MultiHeadAttention", heads, ROWS.shape, num_heads=12)
    yield "attention-to-primitives", _case("Attention", tuple(data(1, 12, 128, 64, seed=s) for s in range(3)), 23)
    angles = tuple(const(data(1, 128, 32, seed=s)) for s in range(2))
    yield "rotary-embedding-to-primitives", _case("RotaryEmbedding", (data(1, 12, 128, 64), *angles), 23)
    gates: tuple[Const, ...] = (const(data(1, 512, 64, low=-0.1, high=0.1)), const(data(1, 512, 128, low=-0.1, high=0.1)))
    yield "unroll-recurrent", _case("LSTM", (data(32, 1, 64), *gates), hidden_size=128)


def rewritten(recipe: Workaround, original: Probe) -> onnx.ModelProto:
    proto = onnx.ModelProto()
    proto.CopyFrom(original.proto)
    assert recipe.rewrite is not None and original.focus is not None
    recipe.rewrite(proto, original.focus)
    return onnx.shape_inference.infer_shapes(proto, data_prop=True)


def times(runtime: str, original: Probe, proto: onnx.ModelProto) -> list[list[float | None]]:
    """Return PAIRS of (seconds before, seconds after); None where the runtime does not run it."""
    python = str(env.install(all_runtimes()[runtime]).python)
    with tempfile.NamedTemporaryFile() as file:
        file.write(pickle.dumps((runtime, PAIRS, ENOUGH, [original.model, proto.SerializeToString()], original.inputs)))
        file.flush()
        done = subprocess.run([python, "-c", CHILD, file.name], capture_output=True, text=True, timeout=600)
    lines = [line for line in done.stdout.splitlines() if line.startswith("TIMES ")]
    return json.loads(lines[-1][6:]) if lines else [[None, None]]


def said(found: list[list[float | None]]) -> str:
    """Say how many times the time of the original the rewritten node takes: median, and quartiles over the pairs."""
    if found[0][1] is None:
        return "refused" if found[0][0] is None else "refused after"
    after = median(a for _, a in found if a is not None) * 1e3
    ratios = [a / b for b, a in found if a is not None and b is not None]
    if not ratios:
        return f"refused before, {after:.3g} ms after"
    low, middle, high = quantiles(ratios, n=4)
    return f"{middle:.2f}x ({low:.2f}-{high:.2f}), {after:.3g} ms"


def rescued(base: Base, recipe: Workaround) -> str:
    """Say on which targets how many of the probes that broke pass once rewritten, by the base."""
    operators, measured = [o.split(":")[-1] for o in recipe.operators], [n for n, t in base.targets().items() if t.evidence == "measured"]
    proofs = base.evidence([f"workaround/{recipe.name}"], measured)
    originals = base.evidence([*operators, *{name for name, _ in base.patterns()}], measured)
    told = []
    for target in measured:
        broken = {e.probe for (t, _), tried in originals.items() if t == target for e in tried if not e.good}
        tried = [e for (t, _), es in proofs.items() if t == target for e in es if e.probe.split(":", 1)[1] in broken]
        if tried:
            told.append(f"{target} {sum(e.good for e in tried)}/{len(tried)}")
    return ", ".join(told)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args()
    recipes = {w.name: w for w in all_workarounds() if w.rewrite is not None}
    made = dict(cases())
    if missing := recipes.keys() - made.keys():
        raise SystemExit(f"no case for {', '.join(sorted(missing))}")
    rows = ["| rewrite | node | ONNX Runtime | OpenVINO | rescued: of its probes that broke, so many pass |", "|---|---|---|---|---|"]
    print(*rows, sep="\n")
    with Base(database_path()) as base:
        for name in sorted(recipes):
            if options.names and name not in options.names:
                continue
            proto = rewritten(recipes[name], made[name])
            told = [said(times(runtime, made[name], proto)) for runtime in ("ort", "openvino")]
            rows.append(f"| {name} | {made[name].op_type} | {' | '.join(told)} | {rescued(base, recipes[name])} |")
            print(rows[-1], flush=True)
    if options.write:
        head = "# Workarounds, measured\n\nMade by `python bench/workarounds.py --write`. CPU time after the rewrite over that before, medians "
        head += f"(quartiles) of {PAIRS} pairs taken in turns on one thread; then the time after.\n"
        PAGE.write_text("\n".join([head, *rows]) + "\n")


if __name__ == "__main__":
    main()
