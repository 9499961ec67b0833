"""Core ML's converter on Linux: the model as PyTorch (`_onnx_to_torch.py`), traced, then coremltools to an ML program.

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
        "coremltools' converter asked on Linux, each ONNX operator as the function of PyTorch from which torch.onnx makes it, sizes fixed; "
        "nothing is run, and where an operator would run is not known."
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
        traced, specs = self.traced(module, arguments)
        stage("compile")
        try:
            return None, self.converted(traced, specs, about)
        except Exception as error:
            error.translated = translated
            raise

    def converted(self, traced, specs, about):
        made = self.ct.convert(traced, **specs, convert_to="mlprogram", minimum_deployment_target=self.target, skip_model_load=True)
        program = made._mil_program.functions["main"]
        for index, (value, wanted) in enumerate(zip(program.outputs, about["translated"])):
            shape, right = list(value.shape), list(np.shape(wanted[0] if isinstance(wanted, tuple) else wanted))
            if all(isinstance(size, (int, np.integer)) for size in shape) and shape not in (right, right or [1]):  # scalars may come as [1]
                raise RuntimeError("the converted program's output %d has shape %s instead of %s" % (index, [int(s) for s in shape], right))
        about["units"] = sorted({op.op_type for op in program.operations if op.op_type != "const"})
        return about

    def traced(self, module, arguments):
        torch = self.torch
        kinds, shapes = [a.dtype for a in arguments], [tuple(a.shape) for a in arguments]

        class Edges(torch.nn.Module):
            """The model between casts of what ML programs neither take nor give, scalars among it."""

            def __init__(self):
                super().__init__()
                self.inner = module

            def forward(self, *given):
                given = [g if shape else g.reshape(()) for g, shape in zip(given, shapes)]
                made = self.inner(*(g if g.dtype == kind else g.to(kind) for g, kind in zip(given, kinds)))
                return tuple(m if str(m.dtype)[6:] in _EDGES else m.to(torch.int32) for m in made)

        given = [a if str(a.dtype)[6:] in _EDGES else a.to(torch.int32) for a in arguments]
        given = [g if g.ndim else g.reshape(1) for g in given]
        if any(a.dtype in (torch.uint32, torch.uint64, torch.bfloat16) or str(a.dtype).startswith("torch.float8") for a in arguments):
            raise CannotFeed("an ML program has no such input, and no cast to it")
        if module.quantised:  # traces of these operators are not what the converter knows by their names, exported programs are
            with torch.no_grad():
                return torch.export.export(Edges().eval(), tuple(given)).run_decompositions({}), {}
        try:
            with torch.no_grad():
                traced = torch.jit.trace(Edges().eval(), tuple(given), check_trace=False)
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
