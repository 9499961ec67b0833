"""NeoML, ABBYY's engine, on the CPU through its own ONNX reader. https://github.com/neoml-lib/neoml

Tensors are handed over as `neoml.Onnx.Backend` does it: NeoML knows float32 and int32, and seven dimensions.
"""

import numpy as np


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "neoml"
    ALIASES = ()
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"neoml": "2.0.210", "numpy": "1.26.4", "scipy": "1.17.1", "onnx": "1.23.0"}
    NO_DEPS = ("neoml",)  # it asks for onnx 1.14, of which it uses a base class only; a newer one knows of newer operators
    OLDER = ()
    LICENCE = ""
    SIZE_MB = 294
    NEEDS = ""
    TARGETS = {"neoml/cpu": {"route": "neoml.Onnx.load_from_file"}}
    ABOUT = "NeoML on the CPU, one thread; models read by its own ONNX importer."

    def __init__(self, options):
        from importlib import metadata

        import neoml.Blob
        import neoml.MathEngine
        import neoml.Onnx
        import onnx

        self.neoml, self.onnx, self.metadata = neoml, onnx, metadata
        self.engine = neoml.MathEngine.CpuMathEngine()

    def versions(self):
        return {"neoml": self.metadata.version("neoml")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("load")
        try:
            network, info = self.neoml.Onnx.load_from_file(model, self.engine)
        except Exception as error:
            if "Unsupported opset version" in str(error) and self.newest(self.onnx.load(model)) <= 19:
                raise CannotFeed("the opset of the model is refused, not its operators, which older opsets have too") from error
            raise
        feeds = {name: self.blob(inputs[name], dtypes[name]) for name in info["inputs"]}
        stage("run")
        graph = self.onnx.load(model).graph
        try:
            results = network.run(feeds)
        except Exception as error:
            if "layer has no output" in str(error) and {i.name for i in graph.input} - {name for n in graph.node for name in n.input}:
                raise CannotFeed("a model with an input that nothing reads is refused, whatever its operators") from error
            raise
        declared = {o.name: o.type.tensor_type for o in graph.output}
        ranks = [len(declared[n].shape.dim) if declared[n].HasField("shape") else None for n in outputs]
        made = [self.array(results[n], dtypes[n], rank) for n, rank in zip(outputs, ranks)]
        return made, {"placement": "native", "units": ["CPU"]}

    def newest(self, model):
        """Return the opset since which the newest of the model's operators of ai.onnx is as it is."""
        opset = next((o.version for o in model.opset_import if o.domain == ""), 1)
        found = [self.onnx.defs.get_schema(n.op_type, opset) for n in model.graph.node if n.domain == "" and self.onnx.defs.has(n.op_type)]
        return max((schema.since_version for schema in found), default=99)

    def blob(self, array, dtype):
        if array.dtype.name != dtype:
            raise CannotFeed("NeoML has no %s, nor has numpy" % dtype)
        made = np.array(array, np.float32 if array.dtype.kind == "f" else np.int32, order="C")
        if made.dtype.kind == "i" and not np.array_equal(made, array):
            raise CannotFeed("NeoML holds %s as int32, which has not all values fed" % dtype)
        return self.neoml.Blob.asblob(self.engine, made, list(made.shape) + [1] * (7 - made.ndim), copy=True)

    def array(self, blob, dtype, rank):
        """Return an output in the rank and dtype that the model declares, where NeoML's holds the same."""
        shape = list(blob.shape)
        array = np.array(blob.asarray(copy=True)).reshape(shape)
        if rank is None:
            raise CannotFeed("the model does not tell how many of NeoML's dimensions the output has")
        while len(shape) > rank and shape[-1] == 1:
            shape.pop()
        array = array.reshape(shape)
        if dtype in ("string", "bfloat16") or dtype.startswith("float8") or dtype.endswith("int4"):
            raise CannotFeed("NeoML has no %s, nor has numpy" % dtype)
        made = array.astype(dtype)  # what is not 0 is true, as its backend has it
        return made if dtype == "bool" or dtype.startswith("float") or np.array_equal(made, array) else array
