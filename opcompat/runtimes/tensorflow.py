"""TensorFlow's route: onnx2tf builds a Keras model, which TensorFlow runs as one graph on the CPU, or converts for TensorFlow Lite or TensorFlow.js.

The converter is half of either target: what it breaks is broken for whoever comes from ONNX. The Keras model is what onnx2tf saves as SavedModel and
what it makes the .tflite of; both files are left out where nobody reads them. Operators that TensorFlow Lite lacks become TensorFlow's own in the
.tflite (Flex); the interpreter that comes with TensorFlow has no Flex delegate, and refuses them in its own words.
https://github.com/PINTO0309/onnx2tf, https://ai.google.dev/edge/litert/conversion/tensorflow/ops_select
"""

import base64
import contextlib
import gc
import hashlib
import io
import json
import os
import re
import shutil
import sys

import numpy as np

_PLACE = re.compile(r"(?<![\w./])/(?:[\w.+@-]+/)+(?=[\w.+-]+\.py\b)")  # a folder of this machine, which TensorFlow names in errors
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")
_CHANNELS_LAST = re.compile("Conv|Pool|Resize|Upsample|SpaceToDepth|DepthToSpace|GridSample|RoiAlign|Unpool|LRN|Col2Im")
_ROUTE = "onnx2tf tf_converter, onnxsim on, -kat or else -k for inputs, "


class CannotFeed(Exception):
    pass


class Route:
    """From ONNX to a Keras model, and to TensorFlow's numbers."""

    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    OVERRIDES = ("tensorflow; python_version < '3'", "opencv-python; python_version < '3'")  # the same without CUDA and windows
    LICENCE = ""
    ASIDE = ("the converter asked for the network", "CUDA must be available")

    def __init__(self, options):
        from importlib import metadata

        os.environ.update(TF_CPP_MIN_LOG_LEVEL="3", TF_NUM_INTRAOP_THREADS="1", TF_NUM_INTEROP_THREADS="1", CUDA_VISIBLE_DEVICES="")
        import onnx
        import onnx2tf
        import onnx2tf_alone
        import onnxruntime
        import onnxsim  # noqa: F401 (for the process that simplifies)
        import tensorflow
        import tf_keras

        # photographs that the converter fetches for its trial runs where all inputs could be images; any numbers will do
        images = np.random.default_rng(0).random((20, 128, 128, 3), np.float32)
        sys.modules["onnx2tf.onnx2tf"].download_test_image_data = lambda: images
        self.options, self.onnx, self.convert, self.tf, self.keras = options, onnx, onnx2tf.convert, tensorflow, tf_keras
        self.metadata, self.ort, self.quiet = metadata, onnxruntime, onnxruntime.SessionOptions()
        self.quiet.log_severity_level, self.quiet.intra_op_num_threads = 4, 1
        onnx2tf_alone.settle()
        gc.freeze()

    def versions(self):
        return {"tensorflow": self.tf.__version__, "onnx2tf": self.metadata.version("onnx2tf")}

    def converted(self, model, inputs, dtypes, outputs):
        """Return the Keras model and what reads its outputs. Inputs keep their ONNX layout.

        The converter is told first to take them as they are, and where that fails or computes something else than ONNX Runtime, which
        it brings to compare with, to transpose them as images. Neither suits all models, and which one does is left to trying.
        """
        tensors = {name for name, array in inputs.items() if 3 <= array.ndim <= 5}
        made: list = []
        failed = None
        for images in [set(), tensors] if tensors else [set()]:
            try:
                one = self.attempt(model, inputs, outputs, dtypes, images)
            except RuntimeError as error:
                failed = failed or error
                if "No module named" in str(error):
                    break
                continue
            made.append((self.distance(model, *one, inputs, dtypes, outputs) if tensors else 0, len(made), one))
            if made[-1][0] < 1e-4:
                break
        if not made:
            raise failed
        return min(made)[-1]

    def distance(self, model, keras, read, inputs, dtypes, outputs):
        """Return how far off ONNX Runtime's answer (or the reference's) the model is, relative to its largest value; 0 where nobody knows."""
        from onnx.reference import ReferenceEvaluator

        pairs = []
        for run in (
            lambda: self.ort.InferenceSession(model, self.quiet, providers=["CPUExecutionProvider"]).run(outputs, inputs),
            lambda: ReferenceEvaluator(model).run(outputs, inputs),
        ):
            with contextlib.suppress(Exception):  # it does not run there, or gives strings
                pairs = pairs or [np.asarray(want, np.float64) for want in run()]
        if not pairs:
            return 0
        try:
            worst = 0
            for array, right in zip(read(self.graph(keras, inputs, dtypes, lambda name: None)[0]()), pairs):
                left, known = np.asarray(array, np.float64), np.isfinite(right)
                if left.shape != right.shape or not np.array_equal(left[~known], right[~known], equal_nan=True):
                    return np.inf
                size = np.max(np.abs(right), initial=0, where=known) or 1
                worst = max(worst, np.max(np.abs(left - right), initial=0, where=known) / size)
            return np.inf if np.isnan(worst) else worst
        except Exception:
            return np.inf

    def attempt(self, model, inputs, outputs, dtypes, images):
        """Convert; onnx2tf overwrites its input and exits instead of raising."""
        self.keras.backend.clear_session()
        folder = os.path.join(os.path.dirname(model), "onnx2tf-%d" % os.getpid())
        os.mkdir(folder)
        said = io.StringIO()
        keep = {
            "keep_ncw_or_nchw_or_ncdhw_input_names": [name for name in inputs if name in images] or None,
            "keep_shape_absolutely_input_names": [name for name in inputs if name not in images] or None,
        }
        try:
            copy = shutil.copy(model, os.path.join(folder, "model.onnx"))
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                keras = self.convert(input_onnx_file_path=copy, output_folder_path=folder, disable_model_save=True, **keep)
        except (Exception, SystemExit) as error:
            chain = [error]
            while chain[-1].__cause__ is not None:
                chain.append(chain[-1].__cause__)
            text = re.sub(_COLOUR, "", said.getvalue())
            words = [self.words(e) for e in chain[-1:] if not isinstance(e, SystemExit)] or re.findall(r"ERROR:.*", text)
            raise RuntimeError(" ".join(words) or text[-500:] or type(chain[-1]).__name__) from error
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        layouts = self.layouts(model, keras, outputs)
        return keras, lambda made: [self.answer(a, dtypes[n], *layouts[n], layouts[""]) for a, n in zip(made, outputs)]

    def layouts(self, model, keras, outputs):
        """Return output name -> its ONNX shape and whether the converter says that it is channels-last; for "" the model's operators.

        None of these where nothing could be channels-last: no input of an image's rank, no operator that has a layout, no output said to be.
        """
        graph = self.onnx.load(model).graph
        kinds = {o.name: o.type.tensor_type for o in graph.output}
        last = getattr(keras, "onnx_output_layouts", {})
        made = {n: ([d.dim_value or -1 for d in k.shape.dim] if k.HasField("shape") else None, bool(last.get(n))) for n, k in kinds.items()}
        ops = [node.op_type for node in graph.node]
        images = [i for i in graph.input if 3 <= len(i.type.tensor_type.shape.dim) <= 5]
        return {**made, "": ops if images or any(map(_CHANNELS_LAST.search, ops)) or any(said for _, said in made.values()) else []}

    def explain(self, error, log):
        text = re.sub(_PLACE, "", str(error))
        causes = list(dict.fromkeys(re.findall("error: (.*)", text))) if re.search(r"MLIR|\.py:\d+:\d+: error: ", text) else []
        return " ".join(causes) or text

    def tidy(self, log):
        return "\n".join(re.sub(_PLACE, "", line) for line in log.splitlines() if not re.match(r"[IWE]0000 |WARNING|INFO", line))

    def words(self, error):
        text = re.sub(_COLOUR, "", str(error))
        return text if len(text) > 20 or isinstance(error, RuntimeError) else "%s: %s" % (type(error).__name__, text)  # KeyError: 16

    def graph(self, keras, inputs, dtypes, stage):
        stage("load")
        wanted = keras.inputs
        feeds = [self.tf.constant(self.feed(inputs[t.name], dtypes[t.name], t.dtype.as_numpy_dtype, t.shape.rank), t.dtype) for t in wanted]
        specs = [self.tf.TensorSpec(t.shape, t.dtype) for t in wanted]
        function = self.tf.function(lambda *a: keras(a), input_signature=specs).get_concrete_function()
        graph = function.graph.as_graph_def()
        if "PyFunc" in {node.op for part in (graph.node, *(f.node_def for f in graph.library.function)) for node in part}:
            # "Could not find callback with key=pyfunc_0 in the registry", says TensorFlow of the saved model in any other process
            raise RuntimeError("the graph calls Python functions of the converter (PyFunc), which a saved model does not hold")
        stage("run")

        def infer():
            made = function(*feeds)
            return [t.numpy() for t in (made if isinstance(made, (list, tuple)) else [made])]

        return infer, {"placement": "native", "units": ["TensorFlow CPU"]}

    def ranked(self, array, rank):
        return array.reshape(1) if (array.ndim, rank) == (0, 1) else array  # as the converter holds scalars

    def feed(self, array, dtype, kind, rank):
        """Return an input in the dtype and rank that the converter chose."""
        array, kind = self.ranked(array, rank), np.dtype(kind)
        if dtype == "string":
            return array.astype(object)
        if dtype != str(array.dtype):  # TensorFlow makes numpy know bfloat16 and its like
            raise CannotFeed("nothing tells how to feed %s" % dtype)
        if kind.kind == "V" and kind != array.dtype:
            raise RuntimeError("the converter made a %s input %s" % (dtype, self.tf.as_dtype(kind).name))
        made = array.astype(kind)
        if array.dtype != kind and not np.array_equal(made, array, equal_nan=array.dtype.kind == "f"):
            raise CannotFeed("the converter made an input %s of %s, which does not hold its values" % (kind, array.dtype))
        return made

    def answer(self, array, dtype, shape, last, ops):
        """Return an output in its ONNX layout; last: whether the converter says that it is channels-last; ops: as `layouts` has them."""
        array = np.asarray(array, object if dtype == "string" else None)
        if dtype == "string":
            array = np.array([v.decode() if isinstance(v, bytes) else str(v) for v in array.ravel()], object).reshape(array.shape)
        if shape == [] and array.shape == (1,):
            return array.reshape(())
        shape = [-1] * array.ndim if shape is None else shape

        def fits(wanted):
            return all(w in (-1, n) for w, n in zip(wanted, array.shape))

        if not ops or len(shape) != array.ndim or array.ndim not in (3, 4, 5) or not fits([shape[0], *shape[2:], shape[1]]):
            return array
        if fits(shape) and not last:
            if array.size in array.shape or not any(map(_CHANNELS_LAST.search, ops)):
                return array
            raise CannotFeed("nothing tells whether this output is channels-first or channels-last")
        return np.moveaxis(array, -1, 1)


class Runtime(Route):
    NAME = "tensorflow"
    ALIASES: tuple = ("tf", "keras", "savedmodel")
    PACKAGES = {"tensorflow-cpu": "2.19.0", "onnx2tf": "1.29.24", "opencv-python-headless": "4.11.0.86"}  # onnx2tf pins what it needs
    SIZE_MB = 1700
    NEEDS = ""
    TARGETS: dict = {
        "tensorflow/cpu": {"route": _ROUTE + "Keras model as one graph", "run": "graph"},
        "tflite-tf/cpu": {"route": _ROUTE + "float32 .tflite", "run": "tflite", "delegate": "XNNPACK (default)"},
    }
    ABOUT = "TensorFlow on the CPU, and the TensorFlow Lite interpreter in its package; models converted by onnx2tf through TensorFlow. One thread."

    def probe(self, model, inputs, dtypes, outputs, stage):
        infer, read = self.opened(model, inputs, dtypes, outputs, stage)
        return read(infer())

    def opened(self, model, inputs, dtypes, outputs, stage):
        stage("convert")
        keras, read = self.converted(model, inputs, dtypes, outputs)
        infer, about = (self.lite if self.options["run"] == "tflite" else self.graph)(keras, inputs, dtypes, stage)
        return infer, lambda made: (read(made), about)

    def lite(self, keras, inputs, dtypes, stage):
        lite = self.tf.lite
        converter = lite.TFLiteConverter.from_keras_model(keras)
        converter.target_spec.supported_ops = [lite.OpsSet.TFLITE_BUILTINS, lite.OpsSet.SELECT_TF_OPS]
        converter.unfold_batchmatmul = False
        content = converter.convert()
        stage("load")
        interpreter = lite.Interpreter(model_content=content, num_threads=1)
        wanted, given = interpreter.get_input_details(), [detail["index"] for detail in interpreter.get_output_details()]
        names = {detail["index"]: detail["name"].replace("serving_default_", "").split(":")[0] for detail in wanted}
        signatures = list(interpreter._get_full_signature_list().values())  # none where the converter had to freeze the model itself
        if signatures:
            names = {index: name for name, index in signatures[0]["inputs"].items()}
            given = [signatures[0]["outputs"][name] for name in keras.output_names]
        feeds = {}
        for detail in wanted:
            name = names[detail["index"]]
            feeds[detail["index"]] = feed = self.feed(inputs[name], dtypes[name], detail["dtype"], len(detail["shape_signature"]))
            if list(detail["shape"]) != list(feed.shape):
                interpreter.resize_tensor_input(detail["index"], feed.shape)
        ops = [op["op_name"] for op in interpreter._get_ops_details()]
        interpreter.allocate_tensors()
        stage("run")
        for index, feed in feeds.items():
            interpreter.set_tensor(index, feed)

        def infer():
            interpreter.invoke()
            made = {detail["index"]: detail for detail in interpreter.get_output_details()}
            # tensors without elements are made, only the binding does not read them ("Invalid tensor size.")
            return [interpreter.get_tensor(k) if np.prod(made[k]["shape"]) else np.zeros(made[k]["shape"], made[k]["dtype"]) for k in given]

        return infer, {"placement": "native", "units": sorted(set(ops))}


class Tfjs(Route):
    """TensorFlow.js in Node and in headless Chromium, driven by tfjs.js beside this file: the Keras model saved, and converted by tensorflowjs.

    Its three targets share converted models through a folder in the environment. TensorFlow.js has float32, int32, bool and strings: what a model
    declares as another number is computed in these, and read as what it stands for where that holds the values.
    https://github.com/tensorflow/tfjs/tree/master/tfjs-converter
    """

    NAME = "tfjs"
    ALIASES = ("tensorflow.js", "tensorflowjs")
    NPM = {"@tensorflow/tfjs": "4.22.0", "@tensorflow/tfjs-backend-wasm": "4.22.0", "playwright-core": "1.65.1"}
    PACKAGES = {**Runtime.PACKAGES, "tensorflowjs": "4.22.0"}
    NO_DEPS = ("tensorflowjs",)  # it would bring TensorFlow Decision Forests, JAX and Flax, which this route does without
    SIZE_MB = 2050
    NEEDS = "Node 20 or newer; for webgl Chromium too"
    ADDRESS_SPACE_GB = 0  # wasm and Chromium reserve far more than they use
    TIMEOUT_S = 120  # the first conversion imports TensorFlow
    TARGETS = {  # of webgl, the software adapter's sin, exp and pow hold about 12 bits
        "tfjs/cpu": {"host": "Node", "backend": "cpu", "precision": "float32"},
        "tfjs/wasm": {"host": "Node", "backend": "wasm", "threads": 1, "precision": "float32"},
        "tfjs/webgl": {"host": "Chromium", "backend": "webgl", "adapter": "SwiftShader (software)", "cpu forward": False, "precision": "float16"},
    }
    ABOUT = "TensorFlow.js: cpu and wasm in Node, webgl in Chromium on SwiftShader; models converted by onnx2tf to SavedModel, then by tensorflowjs."

    def __init__(self, options):
        from importlib import metadata

        from node_process import Node

        self.options, self.metadata, self.tf = options, metadata, None
        self.node = Node("tfjs.js", options["host"], options["backend"])
        if not self.node.known["float32"] or "swiftshader" not in self.node.known.get("adapter", "swiftshader").lower():
            raise RuntimeError("no software adapter that draws float32, but %s" % self.node.known["adapter"])

    def versions(self):
        of = {name: self.metadata.version(name) for name in self.PACKAGES}
        return {"@tensorflow/tfjs": self.NPM["@tensorflow/tfjs"], **of, **self.node.known["versions"]}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("convert")
        made = self.shared(model, inputs, dtypes, outputs)
        if "refused" in made:
            raise RuntimeError(made["refused"])
        stage("load")
        names = made["outputs"]
        loaded = self.node.ask(do="load", json=made["json"], weights=made["weights"], outputs=names)
        if loaded["lost"]:
            raise CannotFeed("nothing tells which output of the graph model is %s" % ", ".join(loaded["lost"]))
        wanted = loaded["wanted"]
        known = {name.lower(): name for name in inputs}  # some of its names are the graph's, which has no capitals
        feeds = {}
        for name, rank in wanted.items():
            if name.lower() not in known:
                raise CannotFeed("nothing tells which input becomes %s" % name)
            feeds[name] = self.given(self.ranked(inputs[known[name.lower()]], rank), dtypes[known[name.lower()]])
        stage("run")
        ran = self.node.ask(do="run", inputs=feeds)["made"]
        self.node.ask(do="close")
        layouts = made["layouts"]
        answers = [self.answer(self.read(a, dtypes[n]), dtypes[n], *layouts[n], layouts[""]) for a, n in zip(ran, outputs)]
        return answers, {"placement": "native", "units": [self.options["backend"]]}

    def shared(self, model, inputs, dtypes, outputs):
        """Return the converted model, or why there is none, from the folder or made now."""
        with open(model, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        folder = os.path.join(sys.prefix, "converted-%d" % self.REVISION)
        os.makedirs(folder, exist_ok=True)
        path = os.path.join(folder, digest[:32])
        with contextlib.suppress(OSError, ValueError), open(path) as file:
            return json.load(file)
        made = self.made(model, inputs, dtypes, outputs)
        with open("%s.%d" % (path, os.getpid()), "w") as file:
            json.dump(made, file)
        os.replace(file.name, path)
        return made

    def made(self, model, inputs, dtypes, outputs):
        if self.tf is None:
            import types

            os.environ["TF_ENABLE_ONEDNN_OPTS"] = "0"  # or graphs get operators of this CPU, which TensorFlow.js refuses
            for name in ("tensorflow_hub", "tensorflow_decision_forests", "jax", "jax.experimental", "jax.experimental.jax2tf"):
                sys.modules[name] = types.ModuleType(name)  # imported at its top, and not used for saved models
            sys.modules["jax.experimental"].jax2tf = sys.modules["jax.experimental.jax2tf"]
            super().__init__(self.options)
            from tensorflowjs.converters import tf_saved_model_conversion_v2

            self.js = tf_saved_model_conversion_v2
        folder = os.path.join(os.path.dirname(model), "tfjs-%d" % os.getpid())
        os.mkdir(folder)
        try:
            keras, _ = self.converted(model, inputs, dtypes, outputs)
            saved, files = os.path.join(folder, "saved"), os.path.join(folder, "js")
            said = io.StringIO()
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                self.save(keras, saved)
                self.js.convert_tf_saved_model(saved, files)
            with open(os.path.join(files, "model.json")) as file:
                told = json.load(file)
            weights = b""
            for part in (path for group in told.get("weightsManifest", ()) for path in group["paths"]):
                with open(os.path.join(files, part), "rb") as file:
                    weights += file.read()
            names, layouts = list(keras.output_names), self.layouts(model, keras, outputs)
            return {"json": told, "weights": base64.b64encode(weights).decode(), "outputs": names, "layouts": layouts}
        except Exception as error:
            return {"refused": self.words(error)}
        finally:
            shutil.rmtree(folder, ignore_errors=True)

    def save(self, keras, folder):
        """Save the Keras model as onnx2tf does."""
        try:
            self.tf.saved_model.save(keras, folder)
        except (KeyError, AssertionError):
            specs = [self.tf.TensorSpec(t.shape, t.dtype, t.name) for t in keras.inputs]
            archive = self.keras.export.ExportArchive()
            archive.add_endpoint(name="serving_default", fn=lambda *inputs: keras(inputs), input_signature=specs)
            archive.write_out(folder)

    def given(self, array, dtype):
        """Return an input in the one of the library's dtypes that stands for its own."""
        if dtype == "string":
            return {"dtype": dtype, "dims": list(array.shape), "strings": [str(s) for s in array.ravel()]}
        if dtype != str(array.dtype) or array.dtype.kind not in "fiub":
            raise CannotFeed("the library has no %s tensors" % dtype)
        kind = "bool" if dtype == "bool" else "float32" if array.dtype.kind == "f" else "int32"
        made = np.asarray(array.astype(kind), order="C")
        if kind == "int32" and not np.array_equal(made, array):
            raise CannotFeed("the library has no %s tensors, and 32 bits do not hold the values" % dtype)
        return {"dtype": kind, "dims": list(array.shape), "data": base64.b64encode(made.tobytes()).decode()}

    def read(self, made, dtype):
        if made is None:
            raise CannotFeed("the output is no tensor of numbers")
        if made["dtype"] == "string":
            return np.array(made["strings"], object).reshape(made["dims"])
        array = np.frombuffer(base64.b64decode(made["data"]), made["dtype"])
        if None in made["dims"] or array.size != np.prod(made["dims"]):
            return array  # of a shape that is none (NaN is null in JSON) or that its data do not fill: left to be judged as what it is
        array = array.reshape(made["dims"])
        if (made["dtype"], dtype[:5]) == ("float32", "float") or (made["dtype"] == "int32" and "int" in dtype):
            with contextlib.suppress(TypeError):
                stands = array.astype(dtype)
                if array.dtype.kind == "f" or np.array_equal(stands, array):
                    return stands
        return array
