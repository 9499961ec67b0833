"""ONNX's own node tests of one node with tensors in and out. No factor varies on purpose, but every operator has some, and all inputs (axes, shapes,
scales too) are fed at run time.

They come with the installed onnx package, where every test runs at import; what they make is kept in the cache, by onnx's version and by this file.
Their expected outputs are a third oracle, their tolerance is their own. https://github.com/onnx/onnx/blob/main/docs/OnnxBackendTest.md
"""

import contextlib
import hashlib
import json
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import numpy_helper

from opcompat import env
from opcompat.model import DTYPES
from opcompat.probe import Array, Probe, Tolerance, np_dtype

FAMILY = "node_tests"
UNFED = {"int4", "uint4", "int2", "uint2", "float4e2m1", "float8e8m0"}
"""Dtypes that runtimes' Python bindings neither take nor give."""
RANDOM = ("test_bernoulli", "test_training_dropout")
CERTAIN = ("test_training_dropout_zero_ratio",)
LOCALISED = ("test_strnormalizer_export_monday",)
OPEN = {"test_roialign_mode_max": "the standard does not say whether max is over interpolated samples or over weighted corners"}
"""Tests that decide what the standard's text leaves open: they convict nobody."""


def reason(name: str, proto: onnx.ModelProto) -> str:
    """Say why a test is left out; empty if it is not."""
    if "_expanded" in name:
        return "a function body written out: its operators have probes of their own"
    values = [v.type for v in (*proto.graph.input, *proto.graph.output)]
    if any(t.WhichOneof("value") != "tensor_type" for t in values):
        return "sequences or optionals go in or come out"
    if len(proto.graph.node) != 1:
        return "more than one node"
    if UNFED & {DTYPES.get(t.tensor_type.elem_type, "") for t in values}:
        return "dtypes of less than a byte, or float8e8m0, go in or come out"
    if name.startswith(RANDOM) and not name.startswith(CERTAIN):
        return "the outputs are random"
    if name.startswith(LOCALISED) and "nochangecase" not in name:
        return "locales of the machine decide"
    return ""


def packed(tensor: Any) -> list[Any]:
    """[shape, values]: strings as they are, numbers as hexadecimal bytes."""
    array = numpy_helper.to_array(tensor) if isinstance(tensor, onnx.TensorProto) else np.asarray(tensor)
    if array.dtype.kind in "OUS":
        return [list(array.shape), [v.decode() if isinstance(v, bytes) else str(v) for v in array.ravel()]]
    return [list(array.shape), np.ascontiguousarray(array).tobytes().hex()]


def unpacked(held: list[Any], value: onnx.ValueInfoProto) -> Array:
    shape, values = held
    if isinstance(values, list):
        return np.array(values, object).reshape(shape)
    return np.frombuffer(bytes.fromhex(values), np_dtype(DTYPES[value.type.tensor_type.elem_type])).reshape(shape)


def extracted() -> dict[str, Any]:
    """Run onnx's tests: {"cases": [name, tolerances, model, inputs, outputs], "left out": reason -> count}. Takes 10 to 20 seconds."""
    if sys.stderr.isatty():
        sys.stderr.write(f"opcompat: making the node tests of onnx {onnx.__version__}, once: some 10 s\n")
    state, cases, left = np.random.get_state(), [], Counter[str]()
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from onnx.backend.test.loader import load_model_tests

        tests = load_model_tests(kind="node")
    np.random.set_state(state)
    for test in sorted(tests, key=lambda t: str(t.name)):
        if why := reason(test.name, test.model):
            left[why] += 1
            continue
        ((inputs, outputs),) = test.data_sets
        model = test.model.SerializeToString(deterministic=True).hex()
        cases.append([test.name, test.rtol, test.atol, model, [packed(t) for t in inputs], [packed(t) for t in outputs]])
    return {"cases": cases, "left out": dict(left.most_common())}


def kept() -> dict[str, Any]:
    """What `extracted` made, from the cache if it is there (in a folder that cannot be written, it is made at every call)."""
    rules = hashlib.sha256(Path(__file__).read_bytes()).hexdigest()[:8]
    path = env.cache() / "node_tests" / f"onnx-{onnx.__version__}-{rules}.json"
    with contextlib.suppress(OSError, ValueError):
        return dict(json.loads(path.read_text()))
    made = extracted()
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        part = path.with_suffix(".part")
        part.write_text(json.dumps(made))
        part.replace(path)
    return made


def left_out() -> dict[str, int]:
    """Why node tests are no probes, and how many."""
    return dict(kept()["left out"])


def probe(name: str, rtol: float, atol: float, model: str, inputs: Sequence[Any], outputs: Sequence[Any]) -> Probe:
    """Integers, quantised values and narrow floats are judged as elsewhere: the tests' tolerance is meant for float32."""
    proto = onnx.ModelProto.FromString(bytes.fromhex(model))
    graph = proto.graph
    feeds = {v.name: unpacked(a, v) for v, a in zip(graph.input, inputs, strict=True)}
    expected = tuple(unpacked(a, v) for v, a in zip(graph.output, outputs, strict=True))
    wide = {a.dtype.name for a in expected} & {"float32", "float64"} and "Quantize" not in graph.node[0].op_type
    own = Tolerance(atol, rtol, "the node test's own") if wide else None
    return Probe(f"{FAMILY}/{graph.node[0].op_type}:{name}", FAMILY, proto, feeds, 0, tolerance=own, expected=expected, dispute=OPEN.get(name, ""))


def probes() -> Iterator[Probe]:
    for case in kept()["cases"]:
        yield probe(*case)
