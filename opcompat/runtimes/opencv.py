"""OpenCV 5's dnn module on the CPU: its new graph engine, and the classic one it falls back to by itself unless told otherwise.

https://docs.opencv.org/5.x/d6/d0f/group__dnn.html
"""

import os
import re
from importlib.metadata import version

import numpy as np


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "opencv"
    ALIASES = ("cv2", "opencv5")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"opencv-python-headless": "5.0.0.93"}
    OLDER = tuple(
        {"PACKAGES": {"opencv-python-headless": release, "numpy": numpy}, "TARGETS": {"opencv/cpu": {"engine": ""}}}
        for release, numpy in (
            ("4.14.0.94", "2.2.6"),
            ("4.12.0.88", "2.2.6"),
            ("4.11.0.86", "1.26.4"),
            ("4.10.0.84", "1.26.4"),
            ("4.8.1.78", "1.26.4"),
            ("4.7.0.72", "1.26.4"),
            ("4.5.5.64", "1.26.4"),
        )
    )
    LICENCE = ""
    SIZE_MB = 211
    NEEDS = ""
    TARGETS = {"opencv/cpu": {"engine": "ENGINE_NEW"}, "opencv/cpu-classic": {"engine": "ENGINE_CLASSIC"}}
    ABOUT = "OpenCV dnn on the CPU: its new engine; the classic one is a target of its own. Before 5 there was one, with float32 values only."
    ASIDE = (
        "blob data type = ",  # the binding of older versions passes no such array
        "find layer for output name",  # the classic engine has made a constant of it, as of Shape: inside a graph that is no trouble
        "inputs.size() == requiredOutputs",  # the classic engine wants every input of the graph used
        "fromBuf >= 0",  # the new engine lacks a buffer for what a Loop gives straight to the graph's outputs; with any node behind it is right
    )

    def __init__(self, options):
        os.environ["OPENCV_LOG_LEVEL"] = "INFO"  # the reason of an empty network is told there only
        import cv2

        self.cv2, self.options = cv2, options
        cv2.setNumThreads(1)

    def versions(self):
        return {"opencv-python-headless": version("opencv-python-headless"), "opencv": self.cv2.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        infer, read = self.opened(model, inputs, dtypes, outputs, stage)
        return read(infer())

    def opened(self, model, inputs, dtypes, outputs, stage):
        dnn = self.cv2.dnn
        for dtype in dtypes.values():
            if dtype in ("string", "bfloat16", "int4", "uint4") or dtype.startswith("float8"):
                raise CannotFeed("the Python binding passes no %s" % dtype)
        stage("load")
        engine = {"engine": getattr(dnn, self.options["engine"])} if self.options["engine"] else {}  # before 5 there was one
        classic = self.options["engine"] == "ENGINE_CLASSIC"
        net = dnn.readNetFromONNX(model, **engine)
        if net.empty():
            raise RuntimeError("readNetFromONNX returned an empty network without an exception")
        stage("run")
        for name, array in inputs.items():
            array = np.asarray(array, order="C")
            if not engine:  # all values are float32; before 4.11 the binding takes the last of three dimensions for channels unless told not to
                array = self.cv2.Mat(array.astype(np.float32), wrap_channels=False)
            elif classic and array.dtype == np.float16:
                array = array.astype(np.float32)  # "we only load FP16 Tensor as FP32 Mat" (getMatFromTensor): next to these it takes no float16
            net.setInput(array, name)
        shifts = classic and any(dtypes[name] == "uint8" for name in inputs) and self.in_int8(net)

        def infer():
            try:
                return net.forward(outputs)  # by name: the classic engine re-sorts unnamed outputs
            except self.cv2.error as error:
                edge = self.edge(str(error), inputs) if classic else ""
                if edge:
                    raise CannotFeed(edge) from error
                raise

        return infer, lambda made: self.arrays(made, [dtypes[name] for name in outputs], bool(engine), shifts)

    def edge(self, text, inputs):
        """What the classic engine refuses of an input of the graph only; what is 0-d inside a graph runs, and what is int64 there stays so."""
        if any(np.ndim(array) == 0 for array in inputs.values()) and "idx < (size_t)(dims" in text:
            return "this engine takes no 0-d input of the graph"
        wide = any(np.asarray(array).dtype == np.int64 for array in inputs.values())
        if wide and ("(CV_32SC1)" in text or "indices are outside of range" in text):  # beside int64 constants, or read as int64 all the same
            return "this engine holds an int64 input of the graph as int32"
        return ""

    def in_int8(self, net):
        """Whether the classic engine made int8 layers of quantised operators: they want a uint8 input as int8 with its zero point shifted."""
        kinds = (net.getLayer(k).type for k in range(1, len(net.getLayerNames()) + 1))
        return any(kind in ("Dequantize", "Requantize") or kind.endswith("Int8") for kind in kinds)

    def arrays(self, made, kinds, exact, shifts=False):
        """Check what forward() gave and return it as `probe` does; exact: this version knows dtypes; shifts: it takes uint8 inputs for int8."""
        if any(m is None for m in made):
            raise CannotFeed("the Python binding gives None for an empty output")
        if any(kind == "uint8" and m.dtype == np.int8 for kind, m in zip(kinds, made)):
            raise CannotFeed("this engine gives int8 for a uint8 output")
        if shifts:
            raise CannotFeed("this engine wants int8, its zero point shifted, for a uint8 input of a quantised operator")
        if exact:
            made = [np.asarray(m) for m in made]
            narrowed = [kind == "uint64" and m.dtype == np.int32 and (m >= 0).all() for kind, m in zip(kinds, made)]  # by the classic engine
            wider = [kind == "float16" and m.dtype == np.float32 for kind, m in zip(kinds, made)]
            held = {"CPU, %s held as %s" % (kind, m.dtype) for kind, m, n, w in zip(kinds, made, narrowed, wider) if n or w}
            about = {"placement": "native", "units": sorted(held) or ["CPU"]}
            return [m.astype(np.uint64) if n else m for m, n in zip(made, narrowed)], about
        kinds = [np.dtype(kind) for kind in kinds]
        inexact = {"CPU, %s held as %s" % (kind, m.dtype) for kind, m in zip(kinds, made) if m.dtype != kind}
        return [self.meant(np.asarray(m), kind) for m, kind in zip(made, kinds)], {"placement": "native", "units": sorted(inexact) or ["CPU"]}

    def meant(self, array, kind):
        """Before 5 every value is a float32, so 1.0 is what a bool or an integer may be; what no `kind` can be stays as it is."""
        if array.dtype != np.float32 or array.dtype == kind:
            return array
        with np.errstate(all="ignore"):
            cast = array.astype(kind)
        return cast if kind.kind == "f" or np.array_equal(cast.astype(np.float32), array) else array

    def explain(self, error, log):
        """The exception may be a bare `Unknown C++ exception`; the reason is then on stderr."""
        text = str(error)
        if len(text) > 70 or isinstance(error, CannotFeed):
            return text
        log = re.sub(r"\n\t", " ", log)  # the unsupported operators, one a line
        lines = [line for line in log.splitlines() if re.search("ERROR|WARN.*nsupported|error|not supported", line)]
        told = [re.sub(r"^\[[^]]*\] (global )?(\S+\.cpp:\d+ )?", "", line) for line in lines]
        return " | ".join([text, *dict.fromkeys(told)])[:1500]

    def tidy(self, log):
        return "\n".join(line for line in log.splitlines() if "INFO" not in line)
