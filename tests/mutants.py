"""Hostile models, made from a seed or by hand, and the process that opens them all: `python tests/mutants.py FOLDER CASE...`.

The process announces each case on stdout before it starts it, and says how it ended: so that a hang, a death or a greedy case has a name.
Seconds are of processor time: how busy the machine is does not count.
"""

import io
import json
import os
import random
import resource
import sys
import time
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import onnx
from google.protobuf.descriptor import FieldDescriptor
from onnx import AttributeProto, GraphProto, ModelProto, NodeProto, TensorProto, helper

from opcompat import checker, model, probe, report
from opcompat.runfiles import database_path
from opcompat.store import Base

MEMORY_BYTES = 2 << 30
FAMILIES = ("control", "qdq", "attention_patterns", "resize", "recurrent", "detection", "conv", "rearrange")
INTEGERS = (-(2**63), -(2**31), -1, 0, 1, 2, 7, 64, 2**31 - 1, 2**31, 2**62, 2**63 - 1)
TEXTS = ("", "\0", "ai.onnx", "../../x", "/etc/passwd", "[bold red]", "<script>|`", "\x1b[31m\n\r", "é\U0001f600", "X", "Y", "x" * 5000)
FLOATS = (0.0, -1.0, float("nan"), float("inf"), 3e38, 1e-45)
HOSTILE_ENTRIES = (
    {"location": "../secret"}, {"location": "/etc/passwd"}, {"location": "link"}, {"location": "missing"}, {"location": "pipe"}, {"location": "."},
    {"location": "w.bin", "offset": str(2**63), "length": "8"}, {"location": "w.bin", "offset": "-8"}, {"location": "w.bin", "length": "9" * 5000},
    {"location": "w.bin", "offset": "٣"}, {"location": "w.bin", "offset": "1e3"}, {"location": "w.bin", "length": "0x10"}, {"offset": "1"}, {},
    {"location": "a\0b"}, {"location": "C:\\x"}, {"location": "\\\\host\\x"}, {"location": "x" * 5000}, {"location": "w.bin/../w.bin", "length": "4"},
    {"location": "loop/loop"}, {"location": "w.bin", "checksum": "no"}, {"location": "é\ud7ff"},
)  # fmt: skip


# ---- by seed: bytes, fields, external data ---------------------------------------------------------------------------------------------


def _bytes(rng: random.Random, data: bytes) -> bytes:
    made = bytearray(data)
    if rng.random() < 0.2:
        del made[rng.randrange(len(made)) :]
    for _ in range(rng.choice((1, 1, 2, 4, 16))):
        at = rng.randrange(len(made) + 1)
        act = rng.randrange(4)
        if act == 0:
            made[at : at + 1] = bytes([rng.randrange(256)])
        elif act == 1:
            del made[at : at + rng.randrange(1, 9)]
        elif act == 2:
            made[at:at] = rng.randbytes(rng.randrange(1, 9))
        else:
            there = rng.randrange(len(made) + 1)
            made[at : at + 8] = made[there : there + 8]
    return bytes(made)


def _messages(message: Any) -> Iterator[Any]:
    yield message
    for descriptor, value in message.ListFields():
        if descriptor.type == FieldDescriptor.TYPE_MESSAGE:
            for inner in value if descriptor.is_repeated else [value]:
                yield from _messages(inner)


def _scalar(rng: random.Random, kind: int) -> Any:
    if kind == FieldDescriptor.TYPE_STRING:
        return rng.choice(TEXTS)
    if kind == FieldDescriptor.TYPE_BYTES:
        return rng.choice((b"", b"\xff\xfe", b"linear", rng.randbytes(9)))
    if kind in (FieldDescriptor.TYPE_FLOAT, FieldDescriptor.TYPE_DOUBLE):
        return rng.choice(FLOATS)
    value = rng.choice(INTEGERS)
    if kind == FieldDescriptor.TYPE_INT32:
        return max(-(2**31), min(value, 2**31 - 1))
    return abs(value) if kind == FieldDescriptor.TYPE_UINT64 else value


def _fields(rng: random.Random, proto: ModelProto) -> ModelProto:
    for _ in range(rng.choice((1, 1, 2, 3, 8))):
        everything = list(_messages(proto))
        message = rng.choice(everything)
        field = rng.choice([d for d, _ in message.ListFields()] if rng.random() < 0.7 and message.ListFields() else message.DESCRIPTOR.fields)
        alike = [m for m in everything if m.DESCRIPTOR is field.message_type]
        present = getattr(message, field.name)
        if field.is_repeated:
            act = rng.randrange(4)
            if act == 0 or (act < 3 and not present):
                message.ClearField(field.name)
            elif act == 1:
                del present[rng.randrange(len(present))]
            elif act == 2:
                kept = list(present)
                copies = [rng.choice(kept) for _ in range(rng.choice((1, 3, 60)))]
                present.extend([c.__deepcopy__() for c in copies] if field.message_type else copies)
            elif field.message_type:
                present.append(rng.choice(alike) if alike else field.message_type._concrete_class())
            else:
                present.append(_scalar(rng, field.type))
        elif rng.random() < 0.2:
            message.ClearField(field.name)
        elif field.message_type:
            copy = rng.choice(alike).__deepcopy__() if alike else field.message_type._concrete_class()
            present.CopyFrom(copy)
        elif field.enum_type:
            setattr(message, field.name, rng.choice(field.enum_type.values).number)
        else:
            setattr(message, field.name, _scalar(rng, field.type))
    return proto


def _external(rng: random.Random, proto: ModelProto) -> ModelProto:
    tensors = [m for m in _messages(proto) if isinstance(m, TensorProto)] or [proto.graph.initializer.add(name="hostile", data_type=1, dims=[2])]
    for tensor in rng.sample(tensors, min(len(tensors), 2)):
        tensor.ClearField("raw_data")
        tensor.data_location = TensorProto.EXTERNAL
        for key, value in rng.choice(HOSTILE_ENTRIES).items():
            tensor.external_data.add(key=key, value=value)
    return proto


def _no_text(rng: random.Random, data: bytes) -> bytes:
    """Make one of the strings of a serialized model no UTF-8."""
    names = [s.encode() for m in _messages(ModelProto.FromString(data)) for d, v in m.ListFields() if d.type == 9
             for s in (v if d.is_repeated else [v]) if s]  # fmt: skip
    old = rng.choice(names)
    return data.replace(old, b"\xff" + old[1:], rng.choice((1, -1)))


def mutant(seed: int, sources: list[bytes]) -> bytes:
    """Return the serialized model of a seed; equal seeds and sources give equal bytes."""
    rng = random.Random(seed)
    data = rng.choice(sources)
    kind = rng.random()
    if kind < 0.4:
        return _bytes(rng, data)
    if kind < 0.8:
        return _fields(rng, ModelProto.FromString(data)).SerializeToString(deterministic=True)
    if kind < 0.9:
        return _external(rng, ModelProto.FromString(data)).SerializeToString(deterministic=True)
    return _no_text(rng, data)


# ---- by hand ---------------------------------------------------------------------------------------------------------------------------


def _info(name: str, shape: Any = (2,)) -> Any:
    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)


def _model(nodes: list[NodeProto], inputs: tuple[str, ...] = ("x",), output: str = "y", opset: int = 17, **more: Any) -> ModelProto:
    graph = GraphProto(name="g", node=nodes, input=[_info(i) for i in inputs], output=[_info(output)])
    imports = [helper.make_opsetid("", opset), helper.make_opsetid("local", 1)]
    return ModelProto(ir_version=8, graph=graph, opset_import=imports, **more)


def _field(number: int, data: bytes) -> bytes:
    """Serialize one length-delimited protobuf field."""
    return model._encode(number << 3 | 2) + model._encode(len(data)) + data


def _nested(depth: int) -> bytes:
    """If in If in If, written as bytes: deeper than protobuf itself would write."""
    graph = b""
    for _ in range(depth):
        body = _field(1, b"then_branch") + b"\xa0\x01\x05" + _field(6, graph)
        graph = _field(1, _field(1, b"c") + _field(2, b"y") + _field(4, b"If") + _field(5, body)) + _field(12, _field(1, b"y"))
    return b"\x08\x08" + _field(7, graph + _field(11, _field(1, b"c"))) + _field(8, b"\x10\x11")


def _function(name: str, calls: list[str]) -> Any:
    """A function of one input whose nodes call others in a chain."""
    names = ["a", *(f"v{i}" for i in range(len(calls) - 1)), "z"]
    nodes = [helper.make_node(c, [names[i]], [names[i + 1]], domain="local" if c.startswith("F") else "") for i, c in enumerate(calls)]
    return helper.make_function("local", name, ["a"], ["z"], nodes, [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])


def _calls(functions: list[Any], name: str = "F0") -> bytes:
    return _model([helper.make_node(name, ["x"], ["y"], domain="local")], functions=functions).SerializeToString()


def _chain(count: int, op_type: str = "Relu", name: str = "") -> ModelProto:
    names = ["x", *(f"v{i}" for i in range(count - 1)), "y"]
    return _model([NodeProto(op_type=op_type, name=name, input=[names[i]], output=[names[i + 1]]) for i in range(count)])


def _branches(count: int) -> bytes:
    body = GraphProto(name="b", node=[NodeProto(op_type="Relu", input=["x"], output=["r"])], output=[_info("r")])
    node = NodeProto(op_type="Many", domain="local", input=["x"], output=["y"])
    node.attribute.add(name="bodies", type=AttributeProto.GRAPHS, graphs=[body] * count)
    return _model([node]).SerializeToString()


def _node(op_type: str = "Conv", inputs: Any = ("x",), outputs: Any = ("y",), **attributes: Any) -> bytes:
    return _model([helper.make_node(op_type, inputs, outputs, **attributes)]).SerializeToString()


def _shape(dims: list[int]) -> bytes:
    proto = _chain(3)
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.CopyFrom(_info(value.name, dims))
    proto.graph.initializer.add(name="w", data_type=1, dims=dims)
    proto.graph.node.add(op_type="Add", input=["y", "w"], output=["z"])
    return proto.SerializeToString()


def _attention(count: int) -> bytes:
    """Softmax and MatMul by the thousand, all reading the same values: everything almost matches every attention pattern."""
    nodes = [NodeProto(op_type="MatMul", input=["x", "x"], output=["s"]), NodeProto(op_type="Softmax", input=["s"], output=["p"])]
    nodes += [NodeProto(op_type=("Mul", "Add", "MatMul")[i % 3], input=["p", "x"], output=[f"m{i}"]) for i in range(count)]
    nodes += [NodeProto(op_type="Mul", input=[f"m{i}", f"m{i}"], output=[f"q{i}"]) for i in range(count)]
    return _model(nodes, output="q0").SerializeToString()


def _ladder(count: int) -> bytes:
    """Each node reads its predecessor twice: as many paths as 2 to the count."""
    names = ["x", *(f"v{i}" for i in range(count - 1)), "y"]
    return _model([NodeProto(op_type=("Add", "Mul")[i % 2], input=[names[i]] * 2, output=[names[i + 1]]) for i in range(count)]).SerializeToString()


def _convs(count: int) -> bytes:
    """Convs of which no two have the same facts."""
    nodes = [helper.make_node("Conv", ["x", "x"], [f"y{i}"], kernel_shape=[i, 1], dilations=[i % 97 + 1, i % 89 + 1]) for i in range(1, count + 1)]
    return _model(nodes, output="y1").SerializeToString()


LARGE: dict[str, Callable[[], bytes]] = {
    "100,000 nodes": lambda: _chain(100_000).SerializeToString(),
    "100,000 equal names": lambda: _chain(100_000, name="same").SerializeToString(),
    "100,000 unknown operators": lambda: _chain(100_000, op_type="Nobody").SerializeToString(),
    "100,000 different operators": lambda: _model(
        [NodeProto(op_type=f"Nobody{i}", input=["x"], output=[f"y{i}"]) for i in range(100_000)], output="y0"
    ).SerializeToString(),
    "30,000 different Convs": lambda: _convs(30_000),
    "600 different Convs": lambda: _convs(600),
    "50,000 bodies": lambda: _branches(50_000),
    "30,000 of almost every pattern": lambda: _attention(15_000),
    "40,000 nodes and 2 to the 40,000 paths": lambda: _ladder(40_000),
    "functions that double 60 times": lambda: _calls([*(_function(f"F{i}", [f"F{i + 1}"] * 2) for i in range(60)), _function("F60", ["Relu"])]),
    "a function of 3,000 nodes called 300 times": lambda: _model(
        [NodeProto(op_type="F0", domain="local", input=["x"], output=[f"y{i}"]) for i in range(300)],
        output="y0",
        functions=[_function("F0", ["Relu"] * 3000)],
    ).SerializeToString(),
    "two million integers": lambda: _node(kernel_shape=[3] * 2_000_000),
}
SMALL: dict[str, Callable[[], bytes]] = {
    **{f"If nested {n} deep": lambda n=n: _nested(n) for n in (10, 30, 60, 200, 5000)},
    "a function that calls itself": lambda: _calls([_function("F0", ["F0"])]),
    "functions that call each other": lambda: _calls([_function("F0", ["F1"]), _function("F1", ["Relu", "F0"])]),
    "functions 500 deep": lambda: _calls([*(_function(f"F{i}", [f"F{i + 1}"]) for i in range(500)), _function("F500", ["Relu"])]),
    "2,000 functions of one name": lambda: _calls([_function("F0", ["Relu"])] * 2000),
    "a cycle": lambda: _model([helper.make_node("Relu", ["y"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]).SerializeToString(),
    "a node that reads itself": lambda: _node("Relu", ["y"]),
    "a million floats": lambda: _node("Nobody", scales=[0.5] * 1_000_000),
    "a kernel of huge numbers": lambda: _node(kernel_shape=[2**63 - 1] * 4, strides=[-(2**63)] * 4, pads=[2**63 - 1] * 3, group=2**63 - 1),
    "group 0": lambda: _node(inputs=("x", "x"), group=0),
    "100,000 inputs": lambda: _node("Concat", ["x"] * 100_000, axis=0),
    "100,000 outputs": lambda: _node("Split", ["x"], [f"y{i}" for i in range(100_000)]),
    "no inputs and no outputs": lambda: _model(
        [NodeProto(op_type=o) for o in ("Conv", "QuantizeLinear", "DequantizeLinear", "If", "Loop", "LSTM", "Gather", "Resize")]
    ).SerializeToString(),
    "20,000 attributes": lambda: _node("Nobody", **{f"a{i}": i for i in range(20_000)}),
    "an equation of a million letters": lambda: _node("Einsum", ["x", "x"], equation="ij," * 333_333 + "->i"),
    "5,000 dimensions": lambda: _shape([2] * 5000),
    "dimensions of 2**63 - 1": lambda: _shape([2**63 - 1] * 8),
    "negative dimensions": lambda: _shape([-1, -(2**63), 0]),
    "opset 2**63 - 1": lambda: _model([helper.make_node("Relu", ["x"], ["y"])], opset=2**63 - 1).SerializeToString(),
    "opset -1": lambda: _model([helper.make_node("Relu", ["x"], ["y"])], opset=-1).SerializeToString(),
    "50,000 opset imports": lambda: (
        _model([helper.make_node("Relu", ["x"], ["y"])]).SerializeToString() + _field(8, _field(1, b"d") + b"\x10\x01") * 50_000
    ),
    "no opset import": lambda: b"\x08\x08" + _field(7, _chain(3).graph.SerializeToString()),
    "40 MB of empty nodes": lambda: b"\x08\x08" + _field(7, b"\x0a\x00" * 20_000_000),
    "100 MB of zeros": lambda: b"\0" * 100_000_000,
    "a million empty graphs": lambda: b"\x3a\x00" * 1_000_000,
    "an unfinished varint": lambda: b"\xff" * 100_000,
    "a length of 2**63": lambda: b"\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f",
}  # fmt: skip


# ---- the process -----------------------------------------------------------------------------------------------------------------------


def sources() -> list[bytes]:
    """Return the serialized models that seeds mutate: a sample of probes, and the smallest example."""
    made = [p.model for p in probe.load(list(FAMILIES))][::7]
    return [m for m in made if len(m) < 20_000] + [(Path(__file__).parent.parent / "examples" / "classifier_int8.onnx").read_bytes()]


def look(path: Path, base: Base) -> tuple[str, float]:
    """Check a model on all targets and write its report in every format. Return `checked`, or `refused` where one sentence said why it cannot be,
    and the seconds of the slowest command: opening, checking and one format."""
    started = time.process_time()
    try:
        found = checker.check(model.open_model(path), ["all"], base)
    except (model.ModelError, checker.CheckError) as error:
        assert "\n" not in str(error) and len(str(error)) < 1000, f"not one short sentence: {str(error)[:2000]}"
        return "refused", time.process_time() - started
    checked, slowest, made = time.process_time() - started, 0.0, {}
    text = io.StringIO()
    writers = {"json": report.json_pieces, "sarif": lambda r: report.sarif_pieces(r, "x"), "markdown": report.to_markdown, "html": report.to_html}
    for name, write in {"text": lambda r: report.print_text(r, text), **writers}.items():
        started = time.process_time()
        made[name] = "".join(write(found) or ())
        slowest = max(slowest, time.process_time() - started)
    assert not set(text.getvalue()) & {"\x1b", "\x07", "\r"}, "control characters reach the terminal"
    for name in ("json", "sarif"):
        made[name].encode()
        if len(made[name]) < 50_000_000:  # reading takes many times the memory of writing
            json.loads(made.pop(name), parse_constant=lambda word: sys.exit(f"{word} is no JSON"))
    return "checked", checked + slowest


def main(folder: Path, cases: list[str]) -> None:
    """Make and check each case (a seed, a range of seeds, or a name) inside the memory limit; one JSON line before and one after it."""
    home = folder / "model"
    home.mkdir(parents=True, exist_ok=True)
    (folder / "secret").write_bytes(b"x" * 400)
    (home / "w.bin").write_bytes(b"x" * 64)
    for name, to in (("link", "../secret"), ("loop", "loop")):
        if not (home / name).is_symlink():
            (home / name).symlink_to(to)
    if not (home / "pipe").exists():
        os.mkfifo(home / "pipe")
    path = home / "m.onnx"
    known = sources()
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    with Base(database_path()) as base:
        for case in (str(s) for c in cases for s in (range(*map(int, c.split("-"))) if c[0].isdigit() and "-" in c and " " not in c else [c])):
            data = mutant(int(case), known) if case.isdigit() else {**LARGE, **SMALL}[case]()
            path.write_bytes(data)
            sys.stdout.write(json.dumps({"case": case}) + "\n")
            sys.stdout.flush()
            seconds = 0.0
            try:
                end, seconds = look(path, base)
            except Exception:
                end = traceback.format_exc(limit=-6)
            peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
            told = {"end": end, "seconds": round(seconds, 2), "peak_mb": peak, "bytes": len(data)}
            sys.stdout.write(json.dumps(told) + "\n")
            sys.stdout.flush()


if __name__ == "__main__":
    assert onnx.__version__
    main(Path(sys.argv[1]), sys.argv[2:])
