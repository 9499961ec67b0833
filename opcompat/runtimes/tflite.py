"""TensorFlow Lite: onnx2tf converts without TensorFlow (`flatbuffer_direct`, its default), ai-edge-litert runs on the CPU with XNNPACK, its
default too.

The converter is half of the target: what its graph rewrites break is broken for whoever comes from ONNX. `keep_shape_absolutely_input_names`
names every input, so that inputs keep their ONNX layout; outputs come channels-last where the converter likes it so.
https://github.com/PINTO0309/onnx2tf, https://ai.google.dev/edge/litert
"""

import contextlib
import gc
import importlib
import io
import os
import re
import shutil

import numpy as np

_CHANNELS_LAST = re.compile("CONV|POOL_2D|RESIZE|DEPTH|L2_NORM|LOCAL_RESPONSE")  # kernels that know no other layout


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "tflite"
    ALIASES = ("litert", "onnx2tf", "tensorflow-lite")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.12"
    PACKAGES = {"onnx2tf": "2.6.9"}  # which pins all that it needs: ai-edge-litert 2.1.2 since its 2.0.27
    OLDER: tuple = ({"PACKAGES": {"onnx2tf": "2.4.3"}}, {"PACKAGES": {"onnx2tf": "2.3.19"}})  # before 2.3 it needs TensorFlow
    LICENCE = ""
    SIZE_MB = 536
    NEEDS = ""
    TARGETS = {"tflite/cpu": {"route": "onnx2tf flatbuffer_direct, onnxsim on, inputs keep their shapes", "delegate": "XNNPACK (default)"}}
    ASIDE = ("the converter asked for the network",)
    ABOUT = "TFLite (LiteRT) on the CPU with XNNPACK, one thread; models converted by onnx2tf without TensorFlow."

    def __init__(self, options):
        from importlib import metadata

        import onnx
        import onnx2tf
        import onnx2tf_alone

        with contextlib.suppress(ImportError):  # needed before 2.5 only if it is there
            import onnxsim  # noqa: F401 (for the process that simplifies)
        self.onnx, self.convert, self.metadata, self.refused = onnx, onnx2tf.convert, metadata, []
        self.listen()
        # before a GroupNorm of com.microsoft it looks for nvidia-smi, and then makes no use of it
        importlib.import_module("onnx2tf.onnx2tf").check_cuda_enabled = lambda: True
        onnx2tf_alone.settle()
        self.start()
        gc.freeze()  # the converter collects garbage twice a model

    def listen(self):
        """Note why the converter refuses an operator: it swallows that where it makes a placeholder instead, and tells only the operator's name."""
        from onnx2tf.tflite_builder.op_registry import NodeValidationError

        made = NodeValidationError.__init__

        def noted(error, *args, **others):
            made(error, *args, **others)
            if error.reason_code != "custom_op_candidate_disabled":  # says what the placeholder says
                self.refused.append((error.node_op, str(error)))

        NodeValidationError.__init__ = noted

    def start(self):
        """Import what runs the converted model."""
        from ai_edge_litert import interpreter

        self.interpreter = interpreter

    def versions(self):
        return {name: self.metadata.version(name) for name in ("onnx2tf", "ai-edge-litert")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        return self.with_converted(self.run, model, inputs, dtypes, stage)

    def opened(self, model, inputs, dtypes, outputs, stage):
        return self.with_converted(self.loaded, model, inputs, dtypes, stage)

    def with_converted(self, use, model, inputs, dtypes, stage):
        """Return what `use` (run, or loaded) makes of the converted model, whose file is gone afterwards."""
        folder = os.path.join(os.path.dirname(model), "onnx2tf-%d" % os.getpid())  # one name: the converter caches by it
        os.mkdir(folder)
        try:
            stage("convert")
            path = self.converted(model, list(inputs), folder)
            kinds = {o.name: o.type.tensor_type for o in self.onnx.load(model).graph.output}
            shapes = {n: [d.dim_value or -1 for d in k.shape.dim] if k.HasField("shape") else None for n, k in kinds.items()}
            return use(path, inputs, shapes, dtypes, stage)
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def converted(self, model, names, folder):
        """Return the path of the .tflite. onnx2tf overwrites its input, exits instead of raising, and calls placeholders a success."""
        copy = shutil.copy(model, os.path.join(folder, "model.onnx"))
        said = io.StringIO()
        self.refused.clear()
        try:
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                self.convert(
                    input_onnx_file_path=copy,
                    output_folder_path=folder,
                    tflite_backend="flatbuffer_direct",
                    keep_shape_absolutely_input_names=names or None,
                )
        except (Exception, SystemExit) as error:
            chain = [error]
            while chain[-1].__cause__ is not None:
                chain.append(chain[-1].__cause__)
            words = [str(e) for e in chain[-1:] if not isinstance(e, SystemExit)] or re.findall(r"ERROR:.*", said.getvalue())
            raise RuntimeError(" ".join(words) or said.getvalue()[-500:] or "onnx2tf exits without a word") from error
        placeholders = re.search(r"Custom ops lowered: .*?(?:onnx_ops=\[(.*?)\].*)?$", re.sub(r"\x1b\[[0-9;]*m", "", said.getvalue()), re.M)
        if placeholders:
            named = (placeholders[1] or "").split(", ")
            raise RuntimeError(" | ".join([*dict.fromkeys(why for op, why in self.refused if op in named), placeholders[0]]))
        made = os.path.join(folder, "model_float32.tflite")
        if not os.path.exists(made):
            raise RuntimeError("onnx2tf wrote no model_float32.tflite, but %s" % sorted(os.listdir(folder)))
        return made

    def run(self, path, inputs, declared, dtypes, stage):
        """Run the .tflite at that path; `declared` is output name -> shape in the ONNX model, -1 or None where it tells none."""
        infer, read = self.loaded(path, inputs, declared, dtypes, stage)
        return read(infer())

    def loaded(self, path, inputs, declared, dtypes, stage):
        """Load and feed the .tflite; return (infer, read) as `opened` does."""
        stage("load")
        interpreter = self.interpreter.Interpreter(path, num_threads=1)
        wanted = {detail["name"]: detail for detail in interpreter.get_input_details()}
        if not set(wanted) <= set(inputs):
            raise RuntimeError("the converted model has inputs %s instead of %s" % (sorted(wanted), sorted(inputs)))
        feeds = {name: self.feed(inputs[name], detail) for name, detail in wanted.items()}
        for name, detail in wanted.items():
            if list(detail["shape"]) != list(feeds[name].shape):
                interpreter.resize_tensor_input(detail["index"], feeds[name].shape)
        makers = {tensor: op["op_name"] for op in interpreter._get_ops_details() for tensor in op["outputs"]}
        interpreter.allocate_tensors()
        stage("run")
        for name, detail in wanted.items():
            interpreter.set_tensor(detail["index"], feeds[name])
        return interpreter.invoke, lambda _: self.outputs(interpreter, declared, dtypes, makers)

    def outputs(self, interpreter, declared, dtypes, makers):
        """Return what `probe` does; makers: tensor -> the TFLite operator that makes it."""
        details = interpreter.get_output_details()
        named = {detail["name"]: detail for detail in details}
        if set(declared) <= set(named):
            details = [named[name] for name in declared]
        made = []
        for detail, (name, shape) in zip(details, declared.items()):
            # tensors without elements are made, only the binding does not read all of them ("Invalid tensor size.")
            array = interpreter.get_tensor(detail["index"]) if np.prod(detail["shape"]) else np.zeros(detail["shape"], detail["dtype"])
            if dtypes[name] == "string":  # the binding gives bytes
                array = np.array([v.decode() if isinstance(v, bytes) else str(v) for v in array.ravel()], object).reshape(array.shape)
            array = self.unshift(array, dtypes[name], detail)
            made.append(self.channels_first(array, shape, makers.get(detail["index"], ""), set(makers.values())))
        return made, {"placement": "native", "units": self.units(interpreter._get_ops_details())}

    def feed(self, array, detail):
        """Return the array in the dtype and layout that the converter chose for this input."""
        name, signature, kind = detail["name"], list(map(int, detail["shape_signature"])), np.dtype(detail["dtype"])
        array = self.laid_out(array, name, signature)
        if array.dtype.kind in "OU":
            return array.astype(object)
        if array.dtype == np.uint8 and kind == np.int8 and detail["quantization"][0]:
            return (array ^ 128).view(np.int8)  # its zero point is shifted too
        made = array.astype(kind)
        if array.dtype != kind and not np.array_equal(made, array, equal_nan=array.dtype.kind == "f"):
            raise RuntimeError("the converter made input %s %s of %s, which does not hold its values" % (name, kind, array.dtype))
        return made

    def laid_out(self, array, name, signature):
        """Return the array in the shape of this input: beside some operators the converter moves channels last, whatever it was told."""

        def fits(shape):
            return len(signature) == len(shape) and all(s in (-1, n) for s, n in zip(signature, shape))

        if array.shape == () and signature == [1]:
            return array.reshape(1)
        if fits(array.shape):
            return array
        if array.ndim > 2 and fits(np.moveaxis(array, 1, -1).shape):
            return np.ascontiguousarray(np.moveaxis(array, 1, -1))
        # seen of Flatten where it is the first of the model only, so it says nothing of the operator
        raise CannotFeed("the converter made input %s %s of shape %s" % (name, signature, list(array.shape)))

    def unshift(self, array, dtype, detail):
        """Undo the shift by which the converter makes quantised uint8 int8."""
        return array.view(np.uint8) ^ 128 if dtype == "uint8" and array.dtype == np.int8 and detail["quantization"][0] else array

    def channels_first(self, array, shape, op, ops):
        """Return an output in its ONNX layout. Where its shape does not tell which it has, `op` that made it must, or all the graph's `ops`."""
        if shape == [] and array.shape == (1,):  # as the converter holds scalars
            return array.reshape(())
        shape = [-1] * array.ndim if shape is None else shape

        def fits(wanted):
            return all(w in (-1, n) for w, n in zip(wanted, array.shape))

        if len(shape) != array.ndim or array.ndim not in (3, 4, 5) or not fits([shape[0], *shape[2:], shape[1]]):
            return array
        if fits(shape):
            layouts = [o for o in ops if o == "TRANSPOSE" or _CHANNELS_LAST.search(o)]
            if op == "TRANSPOSE" or not layouts or array.size in array.shape:
                return array
            if not _CHANNELS_LAST.search(op):
                raise CannotFeed("nothing tells whether this output of %s is channels-first or channels-last" % op)
        return np.moveaxis(array, -1, 1)

    def units(self, ops):
        """Say which kernels took which TFLite operators: a DELEGATE took all that lies between its inputs and its outputs."""
        producer = {tensor: op for op in ops if op["op_name"] != "DELEGATE" for tensor in op["outputs"]}
        taken = set()
        for delegate in (op for op in ops if op["op_name"] == "DELEGATE"):
            edge, todo = set(delegate["inputs"]), list(delegate["outputs"])
            while todo:
                op = producer.get(todo.pop())
                if op is not None and op["index"] not in taken:
                    taken.add(op["index"])
                    todo += [t for t in op["inputs"] if t not in edge]
        kinds = {("XNNPACK " if op["index"] in taken else "builtin ") + op["op_name"] for op in ops if op["op_name"] != "DELEGATE"}
        return sorted(kinds)


class Gpu(Runtime):
    """The GPU delegate's compatibility analyser: what TensorFlow says of each operator when asked, without a GPU and without numbers.

    Of TensorFlow 2.17.1, since 2.18 and later approve everything. https://www.tensorflow.org/lite/guide/model_analyzer
    """

    NAME = "tflite-gpu"
    EVIDENCE = "declared"
    REFUSES = "Ceil"
    PACKAGES = {"tensorflow-cpu": "2.17.1", "onnx2tf": "2.6.9"}
    OLDER = ()
    OVERRIDES = ("numpy==1.26.4", "protobuf==4.25.9", "ml-dtypes==0.5.4", "opencv-python; python_version < '3'")  # onnx2tf pins others
    SIZE_MB = 1500
    TARGETS = {"tflite/gpu": {"route": Runtime.TARGETS["tflite/cpu"]["route"], "asked": "Analyzer.analyze(gpu_compatibility=True)"}}
    ABOUT = "TFLite's GPU delegate as TensorFlow 2.17.1's compatibility analyser declares it for what onnx2tf converts; nothing is run."

    def start(self):
        from tensorflow import lite
        from tensorflow.lite.python import schema_py_generated

        self.lite, self.schema = lite, schema_py_generated

    def versions(self):
        return {name: self.metadata.version(name) for name in ("tensorflow-cpu", "onnx2tf")}

    def run(self, path, inputs, declared, dtypes, stage):
        with open(path, "rb") as file:
            model = self.schema.Model.GetRootAs(file.read(), 0)
        if not any(model.Subgraphs(k).OperatorsLength() for k in range(model.SubgraphsLength())):
            raise CannotFeed("no operator is left to ask the analyser about, which would crash")
        stage("compile")
        said = io.StringIO()
        with contextlib.redirect_stdout(said):
            self.lite.experimental.Analyzer.analyze(model_path=path, gpu_compatibility=True)
        text = said.getvalue()
        warnings = self.warnings(text)
        own = self.without_company(warnings, path, text) if self.op else warnings
        if own:
            raise RuntimeError(" | ".join(dict.fromkeys(words for *_, words in own)))
        if warnings:
            refused = " | ".join(dict.fromkeys(words for *_, words in warnings))
            raise CannotFeed("only Quantize and Dequantize around this operator are refused: %s" % refused)
        if "looks compatible with GPU delegate" not in text:
            raise CannotFeed("the analyser gives no answer")
        kinds = set(re.findall(r"^  T#.*?type:(\w+)\b(?! RO)", text, re.M))
        if kinds - {"FLOAT32", "FLOAT16"}:
            raise CannotFeed("the analyser looks at no dtype, and tensors here are %s" % ", ".join(sorted(kinds)))
        return None, {"placement": "native", "units": sorted(set(re.findall(r"Op#\d+ (\w+)\(", text)))}

    def warnings(self, text):
        """Return [(operator, its tensors, the output last, words)] of what the analyser refuses; it prints each warning below the operator's line."""
        found, operator = [], ("", [])
        for line in text.splitlines():
            kind = re.match(r" *Op#\d+ (\w+)\(", line)
            if kind:
                operator = (kind[1], re.findall(r"T#\d+", line))
            refusal = re.match(r"GPU COMPATIBILITY WARNING: (?!Subgraph#)(.*)", line)
            if refusal:
                found.append((*operator, refusal[1]))
        return found

    def without_company(self, warnings, path, text):
        """Leave out what is refused of Quantize and Dequantize around the operator under test; the converter names tensors after theirs."""
        nodes = self.onnx.load(os.path.join(os.path.dirname(path), "model.onnx")).graph.node
        made = {name for node in nodes if node.op_type in {"QuantizeLinear", "DequantizeLinear"} - {self.op} for name in node.output}
        names = dict(re.findall(r"^  (T#\d+)\((.*?)\) shape", text, re.M))

        def company(kind, tensors):
            called = {names.get(tensor, "") for tensor in tensors}
            steps = {name.split("_onnx_requant_")[0] for name in called if "_onnx_requant_" in name}  # of a Quantize written out
            return bool(steps & made) or (kind in ("QUANTIZE", "DEQUANTIZE") and names.get(tensors[-1]) in made)

        return [warning for warning in warnings if not company(*warning[:2])]
