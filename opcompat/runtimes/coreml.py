"""Core ML's converter on Linux: the model as PyTorch (`shared/onnx_to_torch.py`), traced or exported, then coremltools to an ML program.

It converts or does not; nothing is run, and nothing tells which unit of a device would take an operator. https://apple.github.io/coremltools
"""

import gc
import logging
import warnings

import numpy as np

_EDGES = ("float32", "float16", "float64", "int32", "int64")  # the others are no inputs or outputs of ML programs, and are cast just inside


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "coreml"
    ALIASES = ("coremltools", "ane")
    HIDDEN = False
    REVISION = 1
    EVIDENCE = "declared"
    REFUSES = "Det"
    PYTHON = "3.11"
    PACKAGES = {"coremltools": "9.0", "torch": "2.13.0", "onnx": "1.22.0"}
    OLDER = ()
    LICENCE = ""
    SIZE_MB = 905
    NEEDS = ""
    TIMEOUT_S = 180  # importing torch and what registers operators takes its time on a busy machine
    TARGETS = {
        "coreml/convert": {
            "route": "torch.jit.trace of a translation to PyTorch; torch.export where it is quantised",
            "deployment": "iOS18",
            "form": "mlprogram",
        }
    }
    ABOUT = (
        "coremltools' converter asked on Linux, each ONNX operator as the function of PyTorch from which torch.onnx makes it, sizes fixed, "
        "traced, or exported by torch.export where the trace is refused; nothing is run, and where an operator would run is not known."
    )

    def __init__(self, options):
        warnings.filterwarnings("ignore")
        logging.disable(logging.WARNING)
        import coremltools
        import torch
        from onnx_to_torch import Translator

        torch.set_num_threads(1)
        self.ct, self.torch, self.options, self.translator = coremltools, torch, options, Translator()
        self.quiet()
        self.target = getattr(coremltools.target, options["deployment"])
        gc.collect()
        gc.freeze()

    def quiet(self):
        """Do without progress bars."""
        import functools

        import tqdm

        tqdm.tqdm.__init__ = functools.partialmethod(tqdm.tqdm.__init__, disable=True)

    def versions(self):
        return {"coremltools": self.ct.__version__, "torch": self.torch.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("convert")
        module, arguments, translated = self.translator.translate(model, inputs, dtypes)
        about = {"placement": "unknown", "units": [], "translated": translated}
        wrapped, given = self.edges(module, arguments)
        # traces of quantised operators are not what the converter knows by their names, exported programs are
        ways = [self.exported] if module.quantised else [self.traced, self.exported]
        first = None
        for way in ways:
            try:
                made, specs = way(wrapped, given)
                stage("compile")
                return None, self.converted(made, specs, about, any(not a.ndim for a in arguments))
            except Exception as error:
                first = error if first is None or isinstance(first, CannotFeed) else first  # what one way refuses, the other may take
        first.translated = translated
        raise first

    def converted(self, traced, specs, about, scalars):
        options = {"convert_to": "mlprogram", "minimum_deployment_target": self.target, "skip_model_load": True}
        try:
            made = self.ct.convert(traced, **specs, **options)
        except ValueError as error:
            if "not found in context" not in str(error):
                raise
            for spec in specs.get("inputs", ()):  # an affine grid finds its input by the trace's own name only
                spec.name = None
            made = self.ct.convert(traced, **specs, **options)
        program = made._mil_program.functions["main"]
        for index, (value, wanted) in enumerate(zip(program.outputs, about["translated"])):
            shape, right = list(value.shape), list(np.shape(wanted[0] if isinstance(wanted, tuple) else wanted))
            if all(isinstance(size, (int, np.integer)) for size in shape) and shape not in (right, right or [1]):  # scalars may come as [1]
                if scalars:  # the converter takes them for [1] throughout
                    raise CannotFeed("an input without dimensions is fed as [1], and the output has shape %s instead of %s" % (shape, right))
                raise RuntimeError("the converted program's output %d has shape %s instead of %s" % (index, [int(s) for s in shape], right))
        about["units"] = sorted({op.op_type for op in program.operations if op.op_type != "const"})
        return about

    def edges(self, module, arguments):
        """Return the module between casts of what ML programs neither take nor give, scalars among it, and what is then given to it."""
        torch = self.torch
        kinds, shapes = [a.dtype for a in arguments], [tuple(a.shape) for a in arguments]

        def edge(tensor):
            """Return the tensor as an ML program can take or give it; where none can hold its dtype inside either, the converter says so itself."""
            if str(tensor.dtype)[6:] in _EDGES:
                return tensor
            return tensor.to(torch.float32 if tensor.is_floating_point() else torch.int32)

        class Edges(torch.nn.Module):
            def __init__(self):
                super().__init__()
                self.inner = module

            def forward(self, *given):
                given = [g if shape else g.reshape(()) for g, shape in zip(given, shapes)]
                made = self.inner(*(g if g.dtype == kind else g.to(kind) for g, kind in zip(given, kinds)))
                return tuple(edge(m) for m in made)

        given = [edge(a) for a in arguments]
        return Edges().eval(), tuple(g if g.ndim else g.reshape(1) for g in given)

    def exported(self, wrapped, given):
        try:
            with self.torch.no_grad():
                return self.torch.export.export(wrapped, given).run_decompositions({}), {}
        except Exception as error:
            raise CannotFeed("PyTorch does not export it: %s" % str(error)[:300]) from error

    def traced(self, wrapped, given):
        try:
            with self.torch.no_grad():
                traced = self.torch.jit.trace(wrapped, given, check_trace=False)
        except Exception as error:
            raise CannotFeed("PyTorch does not trace it: %s" % str(error)[:300]) from error
        types = {"float16": np.float16, "int32": np.int32, "int64": np.int32}
        specs = [
            self.ct.TensorType(name="given_%d" % index, shape=tuple(g.shape), dtype=types.get(str(g.dtype)[6:], np.float32))
            for index, g in enumerate(given)
        ]
        return traced, {"inputs": specs}

    def explain(self, error, log):
        """Name the exception where its text alone says nothing."""
        known = type(error).__name__ in ("ValueError", "NotImplementedError", "RuntimeError", "CannotFeed")
        return str(error) if known else "%s: %s" % (type(error).__name__, error)
