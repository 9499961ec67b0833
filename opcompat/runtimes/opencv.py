"""OpenCV 5's dnn module on the CPU: its new graph engine, and the classic one it falls back to by itself unless told otherwise.

https://docs.opencv.org/5.x/d6/d0f/group__dnn.html
"""

import re

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
    LICENCE = ""
    SIZE_MB = 211
    NEEDS = ""
    TARGETS = {"opencv/cpu": {"engine": "ENGINE_NEW"}, "opencv/cpu-classic": {"engine": "ENGINE_CLASSIC"}}
    ABOUT = "OpenCV 5 dnn on the CPU; the new engine, and the classic engine as a target of its own."

    def __init__(self, options):
        import cv2

        self.cv2, self.options = cv2, options
        cv2.setNumThreads(1)
        cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_INFO)  # the reason of an empty network is told there only

    def versions(self):
        return {"opencv-python-headless": Runtime.PACKAGES["opencv-python-headless"], "opencv": self.cv2.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        dnn = self.cv2.dnn
        for dtype in dtypes.values():
            if dtype in ("string", "bfloat16", "int4", "uint4") or dtype.startswith("float8"):
                raise CannotFeed("the Python binding passes no %s" % dtype)
        stage("load")
        net = dnn.readNetFromONNX(model, engine=getattr(dnn, self.options["engine"]))
        if net.empty():
            raise RuntimeError("readNetFromONNX returned an empty network without an exception")
        stage("run")
        for name, array in inputs.items():
            net.setInput(np.asarray(array, order="C"), name)
        made = net.forward(outputs)  # by name: the classic engine re-sorts unnamed outputs
        if any(m is None for m in made):
            raise CannotFeed("the Python binding gives None for an empty output")
        if any(dtypes[name] == "uint8" and m.dtype == np.int8 for name, m in zip(outputs, made)):
            raise CannotFeed("this engine gives int8 for a uint8 output")
        return [np.asarray(m) for m in made], {"placement": "native", "units": ["CPU"]}

    def explain(self, error, log):
        """The exception may be a bare `Unknown C++ exception`; the reason is then on stderr."""
        text = str(error)
        if len(text) > 70:
            return text
        lines = [line for line in log.splitlines() if re.search("ERROR|WARN.*nsupported|error|not supported", line)]
        told = [re.sub(r"^\[[^]]*\] (global )?(\S+\.cpp:\d+ )?", "", line) for line in lines]
        return " | ".join([text, *dict.fromkeys(told)])[:1500]

    def tidy(self, log):
        return "\n".join(line for line in log.splitlines() if "INFO" not in line)
