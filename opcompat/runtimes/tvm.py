"""Apache TVM: its ONNX frontend imports into Relax, LLVM compiles for the CPU, the Relax VM runs. https://tvm.apache.org/docs/

Everything is compiled, so there is no fallback. The frontend looks at names of operators only, not at their domains.
"""

import os
import re
import warnings

import numpy as np

_RAW = {"bfloat16": "bfloat16", **{"float8" + kind: "float8_" + kind for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz")}}


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "tvm"
    ALIASES = ("apache-tvm", "relax")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"apache-tvm": "0.27.0.post1", "onnx": "1.23.2", "numpy": "2.4.6", "scipy": "1.17.1", "ml-dtypes": "0.6.0"}
    OLDER: tuple = ()
    LICENCE = ""
    SIZE_MB = 570
    NEEDS = ""
    TARGETS = {"tvm/cpu": {"route": "relax.frontend.onnx.from_onnx, default pipeline", "target": "llvm"}}
    ABOUT = "Apache TVM: ONNX imported into Relax, compiled by LLVM for a generic CPU, run by its virtual machine on one thread."

    def __init__(self, options):
        os.environ["TVM_NUM_THREADS"] = "1"
        import ml_dtypes
        import onnx
        import tvm
        from tvm import relax
        from tvm.relax.frontend.onnx import from_onnx

        warnings.simplefilter("ignore")
        self.onnx, self.tvm, self.relax, self.from_onnx, self.extra = onnx, tvm, relax, from_onnx, ml_dtypes
        self.target = tvm.target.Target(options["target"])

    def versions(self):
        from importlib import metadata

        return {name: metadata.version(name) for name in ("apache-tvm", "onnx")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("convert")
        proto = self.onnx.load(model)
        module = self.from_onnx(proto, keep_params_in_input=False)
        constants = {i.name for i in proto.graph.initializer}
        feeds = [self.tensor(inputs[i.name], dtypes[i.name]) for i in proto.graph.input if i.name not in constants]
        stage("compile")
        machine = self.relax.VirtualMachine(self.tvm.compile(module, target=self.target), self.tvm.cpu())
        stage("run")
        made = self.flat(machine["main"](*feeds))
        return [self.array(value, dtypes[name]) for value, name in zip(made, outputs)] + made[len(outputs) :], {
            "placement": "native",
            "units": ["llvm"],
        }

    def tensor(self, array, dtype):
        if dtype in _RAW:
            array = array.view(getattr(self.extra, _RAW[dtype]))
        elif array.dtype.kind not in "fiub" or dtype != str(array.dtype):
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return self.tvm.runtime.tensor(array)

    def flat(self, value):
        if isinstance(value, self.tvm.runtime.ShapeTuple):  # what becomes of Shape where nothing follows it
            return [np.array([int(value[k]) for k in range(len(value))], np.int64)]
        return [value] if hasattr(value, "numpy") else [leaf for part in value for leaf in self.flat(part)]

    def array(self, value, dtype):
        array = value if isinstance(value, np.ndarray) else value.numpy()
        name = {v: k for k, v in _RAW.items()}.get(str(array.dtype))
        if name is None:
            return array
        return array.view(np.uint16 if array.dtype.itemsize == 2 else np.uint8), name

    def explain(self, error, log):
        """TVM puts a C++ traceback around what it says."""
        lines = [line.strip() for line in str(error).splitlines()]
        said = [line for line in lines if line and not re.match(r"Traceback|File \"|\d+: |at /|\[bt\]", line)]
        where = re.findall(r"Error converting operator \w+", log)[-1:]
        return ": ".join([*where, type(error).__name__, " ".join(said[-6:])[:1500] or "no word"])
