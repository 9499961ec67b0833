"""Opening models: what is kept, what is refused, and that weights are never read."""

import os
from pathlib import Path

import numpy as np
import onnx
import pytest
from conftest import conv_model
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from opcompat import model as models
from opcompat import patterns, probe
from opcompat.model import ModelError, open_model
from opcompat.probe import data, single_op
from opcompat.signature import Signatures, signature

info = helper.make_tensor_value_info


def refused(path: Path) -> str:
    with pytest.raises(ModelError) as caught:
        open_model(path)
    text = str(caught.value)
    assert "\n" not in text and str(path) in text
    return text


def test_large_tensors_are_cut_out_and_small_ones_kept(tmp_path: Path) -> None:
    graph = helper.make_graph(
        [helper.make_node("MatMul", ["x", "w"], ["m"]), helper.make_node("Reshape", ["m", "s"], ["y"])], "g",
        [info("x", TensorProto.FLOAT, [4, 1000])], [info("y", TensorProto.FLOAT, None)],
        [numpy_helper.from_array(np.zeros((1000, 1000), np.float32), "w"), numpy_helper.from_array(np.array([2, -1]), "s")],
    )  # fmt: skip
    path = tmp_path / "m.onnx"
    onnx.save(helper.make_model(graph), path)
    opened = open_model(path)
    assert opened.main.value("w").tensor is None and opened.main.value("w").shape == (1000, 1000)
    assert opened.main.value("s").tensor is not None
    proto, _ = models.read(path)
    assert proto.ByteSize() < 5000
    assert opened.main.value("m").shape == (4, 1000)


def test_skimming_keeps_everything_else(model: Path) -> None:
    proto, _ = models.read(model)
    assert proto.SerializeToString(deterministic=True) == conv_model().SerializeToString(deterministic=True)


@pytest.mark.parametrize("data", [b"", b"hello, this is text\n" * 50, os.urandom(4096), b"\x0a\xff\xff\xff\xff\x0f", b"\x00" * 100])
def test_not_a_model(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "bad.onnx"
    path.write_bytes(data)
    refused(path)


def test_missing_folder_truncated_and_other_protobuf(tmp_path: Path, model: Path) -> None:
    assert "does not exist" in refused(tmp_path / "none.onnx")
    assert "folder" in refused(tmp_path)
    data = model.read_bytes()
    for cut in (len(data) // 3, len(data) // 2, len(data) - 1):
        path = tmp_path / "cut.onnx"
        path.write_bytes(data[:cut])
        assert "truncated" in refused(path) or "damaged" in refused(path) or "decode" in refused(path) or "no graph" in refused(path)
    other = tmp_path / "tensor.onnx"
    other.write_bytes(numpy_helper.from_array(np.zeros(3), "t").SerializeToString())
    refused(other)


def test_cyclic_and_dangling(tmp_path: Path) -> None:
    for inputs, word in ((["b"], "cycle"), (["nowhere"], "nothing makes")):
        nodes = [helper.make_node("Relu", inputs, ["a"]), helper.make_node("Relu", ["a"], ["b"])]
        graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, [1])], [info("b", TensorProto.FLOAT, [1])])
        path = tmp_path / "bad.onnx"
        path.write_bytes(helper.make_model(graph).SerializeToString())
        assert word in refused(path)


@pytest.mark.parametrize(
    ("entries", "word"),
    [
        ({"location": "../secret"}, "outside"), ({"location": "/etc/passwd"}, "relative"), ({"location": "gone.bin"}, "missing"),
        ({"location": "link"}, "outside"), ({"location": "short.bin", "offset": "0", "length": "400"}, "incomplete"),
        ({"location": "short.bin", "offset": "x"}, "not a number"), ({"location": "short.bin", "offset": "-5"}, "incomplete"),
        ({"location": ""}, "relative"),
    ],
)  # fmt: skip
def test_external_data_is_judged_by_name_and_size(tmp_path: Path, entries: dict[str, str], word: str) -> None:
    (tmp_path / "secret").write_bytes(b"x" * 400)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "short.bin").write_bytes(b"x" * 10)
    (folder / "link").symlink_to(tmp_path / "secret")
    proto = conv_model()
    tensor = proto.graph.initializer[0]
    tensor.ClearField("raw_data")
    tensor.data_location = TensorProto.EXTERNAL
    for key, value in entries.items():
        tensor.external_data.add(key=key, value=value)
    path = folder / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    assert word in refused(path)


def test_external_weights_are_never_opened(tmp_path: Path) -> None:
    proto = conv_model()
    onnx.save(proto, tmp_path / "m.onnx", save_as_external_data=True, location="w.bin", size_threshold=0)
    with (tmp_path / "w.bin").open("r+b") as file:
        file.truncate(1 << 40)  # sparse: reading it would not end
    assert len(open_model(tmp_path / "m.onnx").nodes) == 2


def test_unknown_opset_and_domain_are_no_error(tmp_path: Path) -> None:
    proto = conv_model(opset=99)
    proto.ir_version = 77
    proto.graph.node[1].domain = "com.example"
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    opened = open_model(path)
    assert [signature(n)["since_version"] for n in opened.nodes]


def test_bodies_and_functions_are_walked(tmp_path: Path) -> None:
    branch = helper.make_graph([helper.make_node("Neg", ["x"], ["n"], name="neg")], "b", [], [info("n", TensorProto.FLOAT, [2])])
    function = helper.make_function("local", "Twice", ["a"], ["z"], [helper.make_node("Add", ["a", "a"], ["z"])], [helper.make_opsetid("", 17)])
    nodes = [
        helper.make_node("If", ["c"], ["i"], name="choose", then_branch=branch, else_branch=branch),
        helper.make_node("Twice", ["i"], ["y"], name="twice", domain="local"),
    ]
    graph = helper.make_graph(nodes, "g", [info("c", TensorProto.BOOL, []), info("x", TensorProto.FLOAT, [2])], [info("y", TensorProto.FLOAT, [2])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)], functions=[function])
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    opened = open_model(path)
    assert [n.path for n in opened.nodes] == ["choose", "twice", "choose.else_branch/neg", "choose.then_branch/neg", "twice/Add#0"]
    add = opened.nodes[-1]
    assert signature(add)["dtype"] == "float32" and signature(add)["A.rank"] == 1


def test_a_function_that_calls_itself_is_refused(tmp_path: Path) -> None:
    call = helper.make_node("F", ["a"], ["z"], domain="local")
    function = helper.make_function("local", "F", ["a"], ["z"], [call], [helper.make_opsetid("", 17), helper.make_opsetid("local", 1)])
    graph = helper.make_graph([helper.make_node("F", ["x"], ["y"], domain="local")], "g", [info("x", 1, [2])], [info("y", 1, [2])])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17), helper.make_opsetid("local", 1)], functions=[function])
    path = tmp_path / "m.onnx"
    path.write_bytes(proto.SerializeToString())
    assert "calls itself" in refused(path)


def test_omitted_defaults_do_not_change_facts() -> None:
    short, full = conv_model(), conv_model()
    full.graph.node[0].attribute.extend(
        [helper.make_attribute("strides", [1, 1]), helper.make_attribute("dilations", [1, 1]), helper.make_attribute("auto_pad", "NOTSET")]
    )
    del short.graph.node[0].attribute[:]
    short.graph.node[0].attribute.extend([helper.make_attribute("pads", [1] * 4), helper.make_attribute("kernel_shape", [3, 3])])
    first, second = (signature(models.of_proto(m, "m").nodes[0]) for m in (short, full))
    assert first == second
    del short.graph.node[0].attribute[1]  # no default: some runtimes do not look at the weights for it
    assert signature(models.of_proto(short, "m").nodes[0]) == {**first, "kernel_shape.present": False}


def test_an_attribute_that_exporters_always_write_is_a_fact_where_it_is_left_out() -> None:
    written, left_out = (single_op("f", "MaxPool", "n", {"X": data(1, 2, 5, 5)}, kernel_shape=[3, 3], strides=s).facts for s in ([1, 1], None))
    assert left_out == {**written, "strides.present": False}


def test_dims_can_be_fixed(tmp_path: Path) -> None:
    proto = conv_model()
    proto.graph.input[0].type.tensor_type.shape.dim[0].dim_param = "N"
    path = tmp_path / "m.onnx"
    onnx.save(proto, path)
    assert signature(open_model(path).nodes[0])["dynamic"] == "batch"
    assert signature(open_model(path, {"N": 1}).nodes[0])["dynamic"] == "none"
    with pytest.raises(ModelError, match="there are: N"):
        open_model(path, {"M": 1})


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.data())
def test_mutated_models_open_or_are_refused_in_one_sentence(tmp_path: Path, data: st.DataObject) -> None:
    raw = bytearray(conv_model(group=2).SerializeToString())
    for _ in range(data.draw(st.integers(1, 6))):
        raw[data.draw(st.integers(0, len(raw) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path / "mutated.onnx"
    path.write_bytes(bytes(raw))
    try:
        opened = open_model(path)
        for node in opened.nodes:
            signature(node)
    except ModelError as error:
        assert "\n" not in str(error)


def test_shapes_pass_operators_that_onnx_infers_nothing_for() -> None:
    nodes = [
        helper.make_node("GroupNormalization", ["x", "s", "s"], ["g"], num_groups=2),
        helper.make_node("Gelu", ["g"], ["h"], domain="com.microsoft"),
        helper.make_node("Relu", ["h"], ["y"]),
    ]
    scale = numpy_helper.from_array(np.ones(4, np.float32), "s")
    shape = [1, 4, 5, 5]
    graph = helper.make_graph(nodes, "g", [info("x", TensorProto.FLOAT, shape)], [info("y", TensorProto.FLOAT, shape)], [scale])
    proto = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21), helper.make_opsetid("com.microsoft", 1)])
    before = proto.SerializeToString(deterministic=True)
    opened = models.of_proto(proto, "m")
    assert signature(opened.nodes[2])["X.rank"] == 4 and [n.op_type for n in opened.nodes] == ["GroupNormalization", "Gelu", "Relu"]
    assert proto.SerializeToString(deterministic=True) == before


@pytest.mark.parametrize("old", [b"conv", b"Relu", b"pads"])
def test_names_that_are_no_text_are_refused(tmp_path: Path, old: bytes) -> None:
    path = tmp_path / "m.onnx"
    path.write_bytes(conv_model().SerializeToString().replace(old, b"\xff" + old[1:]))
    assert "UTF-8" in refused(path)


def test_the_first_input_of_a_pattern_feeds_it() -> None:
    """Not just any of them, from run to run: its facts are the pattern's."""
    names = [f"in{i}" for i in range(9)]
    nodes = [helper.make_node("Sum", names, ["s"]), helper.make_node("Relu", ["s"], ["y"])]
    graph = helper.make_graph(nodes, "g", [info(n, TensorProto.FLOAT, [2 + i]) for i, n in enumerate(names)], [info("y", TensorProto.FLOAT, None)])
    proto = helper.make_model(graph)
    (template,) = patterns.templates([("sum-relu", proto.SerializeToString())], frozenset({"Sum", "Relu"}))
    (match,) = patterns.matches(template, models.of_proto(proto, "m").main)
    assert match.feed.shape == (2,) and [n.op_type for n in match.nodes] == ["Relu", "Sum"]


def test_equal_labels_get_paths_of_their_own(tmp_path: Path) -> None:
    proto = conv_model()
    for name in ("Relu#3", "", "Relu#3", "Relu#3#4"):
        proto.graph.node.add(op_type="Relu", name=name, input=["y"], output=[f"z{len(proto.graph.node)}"])
    paths = [n.path for n in models.of_proto(proto, "m").nodes]
    assert len(set(paths)) == len(paths)


def test_signatures_taken_once_are_those_of_every_node() -> None:
    """Nodes that share a signature have it: whole networks, and one graph that repeats small differences."""
    b = probe.Graph()
    ends = []
    for k, shape in enumerate(([0, -1], [0, -1], [2, 12], [2, 12])):
        ends.append(b("Reshape", "X", probe.const(shape)))
        ends.append(b("Softmax", "X", axis=k % 2 + 1))
        ends.append(b("Add", "X", probe.Const(np.ones((3, 4) if k < 2 else (4,), np.float32))))
    mixed = probe.finish(b, {"X": probe.data(2, 3, 4)}, ends, 17)
    examples = sorted((Path(__file__).parent.parent / "examples").glob("*.onnx"))
    for opened in [models.of_proto(mixed, "mixed"), *map(open_model, examples)]:
        signatures = Signatures({n.op_type for n in opened.nodes})
        for node in opened.nodes:
            facts, told = signatures(node)
            assert facts == signature(node) and told == frozenset(facts.items())
        assert len(signatures.kept) < len(opened.nodes) or not signatures.alone
