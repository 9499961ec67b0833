"""ONNX Runtime Web in Node (wasm) and in headless Chromium (webgl, webgpu, webgpu-jsep), and its frozen predecessor ONNX.js.

ort_web.js beside this file drives both libraries. With webgpu the fallback to the CPU provider is off, so a pass is the provider's; what is
refused only for that is opened once more with it and counts as a fallback. webgl has no other provider to fall back on. Chromium's adapters are
SwiftShader, in software: what the libraries accept and compute is theirs, speed means nothing. https://onnxruntime.ai/docs/tutorials/web/
"""

import base64
import re

import numpy as np

# the software adapter's sin, exp and pow hold about 12 bits, as those of many GPUs do: numbers are judged as of float16
_CHROMIUM = {"host": "Chromium", "adapter": "software adapter (SwiftShader)", "precision": "float16"}


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "ort-web"
    ALIASES: tuple = ("onnxruntime-web", "ortweb")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    NPM = {"onnxruntime-web": "1.30.0", "playwright-core": "1.65.1"}
    PACKAGES = {"numpy": "2.4.6"}
    LICENCE = ""
    SIZE_MB = 220
    NEEDS = "Node 20 or newer; for all but wasm Chromium too"
    ADDRESS_SPACE_GB = 0  # wasm and Chromium reserve far more than they use
    TARGETS = {
        "ort-web/wasm": {"host": "Node", "backend": "wasm", "threads": 1},
        "ort-web/webgl": {"backend": "webgl", "build": "webgl", "int64": False, **_CHROMIUM},
        "ort-web/webgpu": {"backend": "webgpu", "build": "webgpu", "fallback": "off; on where that refuses", **_CHROMIUM},
        "ort-web/webgpu-jsep": {"backend": "webgpu", "build": "all", "fallback": "off; on where that refuses", **_CHROMIUM},
    }
    ASIDE = (
        "requires f16 but the device does not support it",  # SwiftShader has no shader-f16
        "Unsupported model IR version",  # of the whole model
        "unsupported data type: 1",  # of a model's input or output, which are JavaScript's: bfloat16 and beyond
        "unsupported data type: 2",
        "is not allowed to be called recursively",  # JSEP, some time after another kernel threw
    )
    ABOUT = "ONNX Runtime Web: wasm in Node, webgl and webgpu (native and JSEP builds) in Chromium on SwiftShader."
    DTYPES: tuple = ("float32", "float64", "float16", "int8", "uint8", "int16", "uint16", "int32", "uint32", "int64", "uint64", "bool", "string")

    def __init__(self, options):
        from node_process import Node

        self.options = options
        build = options.get("build", self.NAME)
        self.node = Node("ort_web.js", options["host"], options["backend"], build, flags=self.flags())
        if "adapter" in options and "swiftshader" not in (adapter := str(self.node.known["adapters"])).lower():
            raise RuntimeError("no software adapter, but %s" % adapter)

    def flags(self):
        return []

    def versions(self):
        return self.node.known["versions"]

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("load")
        try:
            loaded = self.node.ask(do="load", path=model)
        except Exception as error:
            if len(outputs) == 1 and re.search("(Provider type|an implementation) for Dropout", str(error)):
                raise CannotFeed("Dropout stands at the graph's edge, where the library does not remove it: %s" % error) from None
            raise
        feeds = {name: self.feed(array, dtypes[name]) for name, array in inputs.items()}
        stage("run")
        ran = self.node.ask(do="run", inputs=feeds, outputs=outputs)
        self.node.ask(do="close")
        if any("'f16' type used without" in line for line in ran["said"]):  # JSEP goes on, and gives zeros
            raise CannotFeed("a program requires f16, which the software adapter lacks")
        return [self.array(made, dtypes[name]) for made, name in zip(ran["made"], outputs)], self.placed(loaded, ran["said"])

    def feed(self, array, dtype):
        if dtype in ("int64", "uint64") and not self.options.get("int64", True):
            narrow = array.astype(dtype.replace("64", "32"))
            if not np.array_equal(narrow, array):
                raise CannotFeed("the library has no %s tensors, and 32 bits do not hold the values" % dtype)
            array, dtype = narrow, str(narrow.dtype)
        if dtype not in self.DTYPES:
            raise CannotFeed("the library has no %s tensors" % dtype)
        if dtype == "string":
            return {"dtype": dtype, "dims": list(array.shape), "strings": [str(s) for s in array.ravel()]}
        return {"dtype": dtype, "dims": list(array.shape), "data": base64.b64encode(np.asarray(array, order="C").tobytes()).decode()}

    def array(self, made, dtype):
        if made is None:
            raise CannotFeed("the output is no tensor, or one of a type that JavaScript lacks")
        if made["dtype"] == "string":
            return np.array(made["strings"], object).reshape(made["dims"])
        array = np.frombuffer(base64.b64decode(made["data"]), made["dtype"]).reshape(made["dims"])
        narrowed = not self.options.get("int64", True) and "%s as %s" % (dtype, array.dtype) in ("int64 as int32", "uint64 as uint32")
        return array.astype(dtype) if narrowed else array

    def placed(self, loaded, said):
        backend = self.options["backend"]
        if backend != "webgpu":
            return {"placement": "native", "units": ["CPUExecutionProvider" if backend == "wasm" else backend]}
        nodes: dict = {}
        unit = ""
        for line in said:
            found = re.search(r"odes?(?:\(s\))? placed on \[(\w+)\]\. Number of nodes: (\d+)", line)
            if found:
                unit = found.group(1)
                nodes[unit] = int(found.group(2))
            elif unit and re.search(r"\]   Memcpy\w+ \(", line):
                nodes[unit] -= 1  # only moves tensors between the two
        units = sorted(unit for unit, count in nodes.items() if count)
        theirs = [unit for unit in units if unit != "CPUExecutionProvider"]
        placement = "unknown" if not units else "fallback" if not theirs else "native" if theirs == units else "mixed"
        return {"placement": placement, "units": units}

    def tidy(self, log):
        return "\n".join(re.sub(r"\x1b\[[0-9;]*m", "", line) for line in log.splitlines() if "[V:onnxruntime" not in line)


class Onnxjs(Runtime):
    """ONNX.js, frozen in 2020 and still shipped. Its wasm backend takes 21 operators and leaves the others to the cpu backend."""

    NAME = "onnxjs"
    ALIASES = ("onnx.js",)
    NPM = {"onnxjs": "0.1.8", "playwright-core": "1.65.1"}
    SIZE_MB = 105
    NEEDS = "Node 20 or newer; for webgl Chromium too"
    TARGETS = {
        "onnxjs/cpu": {"host": "Node", "backend": "cpu", "int64": False},
        "onnxjs/wasm": {"host": "Node", "backend": "wasm", "int64": False, "cpuFallback": True, "workers": 0},
        "onnxjs/webgl": {"backend": "webgl", "int64": False, **_CHROMIUM},
    }
    ABOUT = "ONNX.js 0.1.8: cpu and wasm in Node, webgl in Chromium on SwiftShader."
    DTYPES = ("float32", "float64", "int8", "uint8", "int16", "uint16", "int32", "uint32", "bool", "string")

    def flags(self):
        return ["--no-experimental-fetch"] if self.options["host"] == "Node" else []  # with it the library takes Node for a browser

    def placed(self, loaded, said):
        if self.options["host"] == "Chromium":
            return {"placement": "native", "units": ["webgl"]}
        units = sorted(set(loaded["units"]))
        wanted = self.options["backend"].capitalize()
        mine = [unit for unit in units if unit.startswith(wanted)]
        return {"placement": "native" if mine == units else "mixed" if mine else "fallback", "units": units}
