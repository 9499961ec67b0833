"""MNN, Alibaba's engine for phones: its converter called from Python, then its CPU backend at high precision.

The converter is called as a function: the commands `mnnconvert` and `mnnquant` install a package that reports usage. MNN knows float32, int32,
int8 and uint8; the converter turns every other type into one of them, and results are turned back here. https://mnn-docs.readthedocs.io
"""

import os
import re

import numpy as np


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "mnn"
    ALIASES = ()
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"MNN": "3.6.1", "onnx": "1.23.0"}
    OLDER = ()
    LICENCE = ""
    SIZE_MB = 145
    NEEDS = ""
    TARGETS = {"mnn/cpu": {"route": "mnnconvert, expression API", "precision_mode": "high"}}
    ABOUT = "MNN's CPU backend, precision high, one thread; models converted by its own converter with default options."

    def __init__(self, options):
        import _tools
        import MNN
        import MNN.expr
        import MNN.nn
        import onnx

        self.onnx, self.mnn, self.expr, self.nn, self.convert = onnx, MNN, MNN.expr, MNN.nn, _tools.mnnconvert

    def versions(self):
        return {"MNN": self.mnn.version()}

    def probe(self, model, inputs, dtypes, outputs, stage):
        graph, given, units = self.off_the_edge(model)
        stage("convert")
        made = model + ".mnn"
        done = self.convert(["mnnconvert", "-f", "ONNX", "--modelFile", given, "--MNNModel", made, "--bizCode", "probe"])
        if not done or not os.path.exists(made):
            raise RuntimeError("the converter gives no model")
        stage("load")
        manager = self.nn.create_runtime_manager(({"backend": "CPU", "precision": "high", "numThread": 1},))
        net = self.nn.load_module_from_file(made, list(inputs), list(outputs), runtime_manager=manager)
        wanted = [v.dtype for v in net.get_info()["inputs"]]
        stage("run")
        results = net.onForward([self.feed(inputs[n], dtypes[n], kind) for n, kind in zip(inputs, wanted)])
        if len(results) != len(outputs):
            if any(dtypes[n] == "bfloat16" for n in inputs):
                raise CannotFeed("the binding feeds no bfloat16: MNN holds such an input as float, and constants beside it as bfloat16")
            raise RuntimeError("MNN gives %d outputs instead of %d" % (len(results), len(outputs)))
        declared = {o.name: o.type.tensor_type for o in graph.output}
        quantisers = {name: node for node in graph.node if node.op_type == "QuantizeLinear" for name in node.output}
        ranks = [len(k.shape.dim) if k.HasField("shape") else None for k in (declared[n] for n in outputs)]
        zeros = {node.output[2] for node in graph.node if node.op_type == "DynamicQuantizeLinear" and len(node.output) > 2}
        made = [self.array(v, dtypes[n], rank, quantisers.get(n)) for v, n, rank in zip(results, outputs, ranks)]
        for name, array in zip(outputs, made):
            if name in zeros and array.dtype == np.float32 and array.min() >= -128 and array.max() <= 127:
                raise CannotFeed("MNN keeps a zero point 128 lower, which it undoes only within the graph")
        return made, {"placement": "native", "units": units}

    def off_the_edge(self, model):
        """Return (graph, model to convert, units): some nodes get a neighbour where they stand at the graph's edge, because only there they fail.
        The converter removes a Dropout unless that leaves the graph's input as its output, and asks for the node in front of a Cast to uint8
        (3.6.1: RemoveTestNoUseOps.cpp, ConvDeQuantizeLinearFuseToConvInt8.cpp); of a recurrent node without Y, Y comes as the graph's Y_h."""
        proto, helper, added = self.onnx.load(model), self.onnx.helper, []
        graph = proto.graph
        ranks, leaving = {i.name: len(i.type.tensor_type.shape.dim) for i in graph.input}, {o.name for o in graph.output}
        for node in list(graph.node):
            recurrent = node.op_type in ("GRU", "LSTM", "RNN") and not node.output[0]
            if recurrent or (node.op_type == "Dropout" and len(node.output) == 1 and node.input[0] in ranks):
                for index, out in enumerate(node.output):
                    if out in leaving:
                        node.output[index] = out + "_inside"
                        graph.node.append(helper.make_node("Identity", [node.output[index]], [out]))
                        added.append("in front of an Identity")
            elif node.op_type == "Cast" and node.input[0] in ranks and node.attribute[0].i == self.onnx.TensorProto.UINT8:
                source, node.input[0] = node.input[0], node.input[0] + "_inside"
                graph.node.insert(0, helper.make_node("Transpose", [source], [node.input[0]], perm=range(ranks[source])))
                added.append("behind a Transpose")
        if not added:
            return graph, model, ["CPU"]
        self.onnx.save(proto, model + ".inside.onnx")
        return graph, model + ".inside.onnx", ["CPU, " + " and ".join(dict.fromkeys(added))]

    def feed(self, array, dtype, kind):
        """Return MNN's variable of an input; kind: the type that the converted model has for it."""
        e = self.expr
        if array.dtype.name != dtype:
            raise CannotFeed("the binding feeds no %s" % dtype)
        held = {e.float: "float32", e.int: "int32", e.int8: "int8", e.uint8: "uint8"}.get(kind)
        if held is None:
            raise CannotFeed("the binding feeds no %s" % kind)
        made = array.astype(held)
        if made.dtype.kind != "f" and not np.array_equal(made, array):
            raise CannotFeed("MNN holds %s as %s, which has not all values fed" % (dtype, held))
        if kind == e.int8:  # the binding makes no constant of this type
            return e.cast(e.const(made.astype(np.int32), list(made.shape), e.NCHW, e.int), e.int8)
        return e.const(made, list(made.shape), e.NCHW, kind)

    def array(self, variable, dtype, rank, quantiser):
        """Return an output in its ONNX dtype where MNN's holds the same values. A tensor without dimensions has one in MNN, and what a
        one-dimensional Conv leaves has one more, which is gone within the graph."""
        e = self.expr
        if dtype.startswith(("bfloat16", "float8")):
            raise CannotFeed("the binding reads no %s" % dtype)
        if variable.data_format == e.NC4HW4:
            variable = e.convert(variable, e.NCHW)
        if 0 in variable.shape:
            return np.zeros(variable.shape, dtype)
        array = np.array(variable.read())
        if (rank, array.ndim) in ((0, 1), (3, 4)) and array.shape[-1] == 1:
            array = array.reshape(array.shape[:-1])
        if quantiser is not None and dtype in ("int8", "uint8") and (dtype == "int8" or len(quantiser.input) < 3):
            raise CannotFeed("MNN keeps quantised numbers in a form of its own, which is undone only within the graph")
        if dtype == "uint8" and array.dtype == np.int8:  # quantised numbers, whose bits are right
            return array.view(np.uint8)
        if dtype in ("bool", "int16", "uint16", "uint32", "uint64", "float64") and array.dtype in (np.int32, np.float32):
            made = array.astype(dtype)
            return made if np.array_equal(made, array, equal_nan=array.dtype.kind == "f") else array
        return array

    def explain(self, error, log):
        """Return what MNN printed: it says little otherwise."""
        lines = [re.sub(r"^\[[\d:]+\] \S*:\d+: ", "", line).strip() for line in log.splitlines()]
        dull = r"^$|^Start to|ensors ?: |Converted Success|device supports|use high precision|ONNX Model|^MNN version"
        lines = [line for line in dict.fromkeys(lines) if not re.search(dull, line)]
        reasons = [line for line in lines if re.search("Not Support|support", line)] or lines
        return " | ".join([*reasons, str(error)] if reasons else [str(error)])[:1000]
