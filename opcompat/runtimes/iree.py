"""IREE: its ONNX importer (torch-mlir's), its compiler and its runtime. https://iree.dev/guides/ml-frameworks/onnx/

Models are imported as `iree-import-onnx MODEL` does, without raising their opset. For the CPU they run too; for Vulkan they are compiled to
SPIR-V only. All is compiled for the one device: there is no fallback.
"""

import os
import re

import numpy as np

_KEEP_F64 = "--iree-input-demote-f64-to-f32=false"
_RAW = {"bfloat16": "bfloat16", **{"float8" + kind: "float8_" + kind for kind in ("e4m3fn", "e4m3fnuz", "e5m2", "e5m2fnuz")}}


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "iree"
    ALIASES = ()
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"iree-base-compiler": "3.13.0", "iree-base-runtime": "3.13.0", "onnx": "1.23.2", "numpy": "2.4.6"}
    OLDER: tuple = ()
    LICENCE = ""
    SIZE_MB = 590
    NEEDS = ""
    TARGETS = {
        "iree/cpu": {
            "flags": [
                "--iree-hal-target-backends=llvm-cpu",
                "--iree-llvmcpu-target-cpu=generic",
                _KEEP_F64,
            ],
            "driver": "local-sync",
        }
    }
    ABOUT = "IREE: ONNX imported by torch-mlir, compiled by LLVM for a generic CPU, run on one thread."

    def __init__(self, options):
        import iree.compiler.api
        import iree.runtime
        import ml_dtypes
        import onnx
        from iree.compiler.tools.import_onnx import __main__ as importer

        self.onnx, self.importer, self.api, self.runtime, self.options = onnx, importer, iree.compiler.api, iree.runtime, options
        self.extra = ml_dtypes  # which the runtime itself uses for the dtypes that numpy lacks

    def versions(self):
        from importlib import metadata

        return {name: metadata.version(name) for name in self.PACKAGES if name != "numpy"}

    def probe(self, model, inputs, dtypes, outputs, stage):
        binary = self.compiled(model, stage)
        stage("load")
        context = self.runtime.SystemContext(config=self.runtime.Config(self.options["driver"]))
        module = self.runtime.VmModule.copy_buffer(context.instance, binary)
        context.add_vm_module(module)
        name = next(n for n in module.function_names if not n.startswith("__") and not n.endswith("$async"))
        graph = self.onnx.load(model).graph
        constants = {i.name for i in graph.initializer}
        feeds = [self.feed(inputs[i.name], dtypes[i.name]) for i in graph.input if i.name not in constants]
        stage("run")
        made = context.modules[module.name][name](*feeds)
        made = made if isinstance(made, (tuple, list)) else [made]
        arrays = [self.array(value, dtype) for value, dtype in zip(made, [dtypes[name] for name in outputs] + [""] * len(made))]
        return arrays, {"placement": "native", "units": ["llvm-cpu"]}

    def compiled(self, model, stage):
        """Import and compile a model; return the module, an exception says that it is refused and `explain` why."""
        stage("convert")
        text = model + ".mlir"
        proto = self.onnx.load(model)
        # what shape inference wrote of an output beside its declaration, which IREE believes where the two differ
        declared = {o.name for o in proto.graph.output}
        for value in [v for v in proto.graph.value_info if v.name in declared]:
            proto.graph.value_info.remove(value)
        self.onnx.save(proto, model)
        # by default inputs and outputs of float64 become float32, and who feeds float64 is refused; of other models the default stands
        edges = {v.type.tensor_type.elem_type for v in [*proto.graph.input, *proto.graph.output]}
        flags = [f for f in self.options["flags"] if f != _KEEP_F64] + [_KEEP_F64] * (self.onnx.TensorProto.DOUBLE in edges)
        try:
            self.importer.main(self.importer.parse_arguments([model, "-o", text]))
            stage("compile")
            session = self.api.Session()
            session.set_flags(*flags)
            invocation = session.invocation()
            invocation.enable_console_diagnostics()
            if not invocation.parse_source(self.api.Source.open_file(session, text)) or not invocation.execute():
                raise RuntimeError("refused")
            output = self.api.Output.open_membuffer()
            invocation.output_vm_bytecode(output)
            return bytes(output.map_memory())
        finally:
            if os.path.exists(text):
                os.remove(text)

    def feed(self, array, dtype):
        if dtype in _RAW:
            return array.view(getattr(self.extra, _RAW[dtype]))
        if array.dtype.kind not in "fiub" or dtype != str(array.dtype):
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return array

    def array(self, value, dtype):
        """Return an output; the compiler's integers have no sign and its bool is a byte, so the binding cannot tell them apart."""
        array = np.asarray(value.to_host() if hasattr(value, "to_host") else value)
        name = {v: k for k, v in _RAW.items()}.get(str(array.dtype))
        if name is not None:
            return array.view("uint%d" % (8 * array.dtype.itemsize)), name
        if array.dtype.kind in "iu" and str(array.dtype).lstrip("u") == dtype.lstrip("u"):
            return array.view(dtype)
        return array.astype(bool) if dtype == "bool" and array.dtype.itemsize == 1 else array

    def explain(self, error, log):
        said = re.findall(r"error: (.*)", log)
        if str(error) != "refused" or not said:
            return ""
        operators = re.findall(r'name = "(onnx\.\w+)"', said[0])  # the message ends in MLIR, where the operator hardly shows
        return " | ".join([*operators[:1], *(line[:400] for line in said[:2])])


class Vulkan(Runtime):
    """Compiled to SPIR-V for IREE's default Vulkan profile; nothing is run."""

    NAME = "iree-vulkan"
    EVIDENCE = "declared"
    REFUSES = "Softsign"
    TARGETS = {"iree/vulkan-spirv": {"flags": ["--iree-hal-target-backends=vulkan-spirv"], "asked": "whether it compiles"}}
    ABOUT = "IREE's compiler for Vulkan (SPIR-V, default profile): which models it compiles. Nothing is run."

    def probe(self, model, inputs, dtypes, outputs, stage):
        self.compiled(model, stage)
        return None, {"placement": "native", "units": ["vulkan-spirv"]}
