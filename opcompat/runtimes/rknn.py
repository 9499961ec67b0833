"""Rockchip's RKNN compiler for its NPUs, asked without a chip: where does it put each layer? https://github.com/airockchip/rknn-toolkit2

What RKNN(verbose=True) prints is the evidence: the layer table names OpType, dtype and target (NPU or CPU) of every layer. No numbers are
read: the toolkit's simulator is ONNX Runtime and says nothing of a chip. Float models are compiled as they are; the chips that know
integers only (options: quantised) get models quantised with the probe's own inputs as calibration, and models with QuantizeLinear or
DequantizeLinear as they are (the toolkit refuses to quantise those once more).

- An operator that the compiler does not know becomes a layer on the CPU too, with the words "unsupport Operator ... will be treated as a
  custom operator": the user would have to write it, so that is a refusal.
- Reshape, Transpose, Cast and the like that are not the operator under test are moves around a layer, as are layers without a name
  (normalisation of inputs). They count only where nothing else implements the model; the company of a lone operator does not count.
- native: all is on the NPU; mixed: such moves or company are on the CPU; fallback: some layer that computes is on the CPU.

The toolkit dies of signals often and leaves files where it stands: each probe has a process, forked, and a folder of its own.
"""

import json
import os
import re
import shutil
import signal
import sys
import tempfile

import numpy as np

_NEWEST_OPSET = 19
_ROW = re.compile(r"^D RKNN: \[[^\]]*\] \d+ +(\S+) +(\S+) +(CPU|NPU|GPU) .*? (\S*)\s*$", re.M)
_MOVES = {"Reshape", "Transpose", "Cast", "exDataConvert"}
_DEADLY = {  # last words of a compiler that dies of something else than the operator
    "Can not find quantize information": "quantised, a model without any float dies; with a Cast to float behind it some of them compile",
    "clip_truncate < 0": "it dies of the scales that the calibration set gives; with other data the same model compiles",
}
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "rknn"
    ALIASES = ("rockchip", "rknn-toolkit2")
    HIDDEN = False
    REVISION = 1
    EVIDENCE = "declared"
    REFUSES = "Unique"
    PYTHON = "3.11"
    PACKAGES = {
        "rknn-toolkit2": "2.5.0",
        "onnx": "1.18.0",
        "onnxruntime": "1.26.0",  # which folds constants and tries the model: what it lacks is refused
        "torch": "2.13.0",  # the toolkit asks for 2.4 at most; it uses little of it
        "numpy": "1.26.4",
        "protobuf": "4.25.4",
        "setuptools": "79.0.1",  # the last ones bring no pkg_resources
        "opencv-python-headless": "4.11.0.86",  # for opencv-python, which needs libraries of a desktop
        "scipy": "1.17.1",
        "psutil": "7.2.2",
        "ruamel.yaml": "0.19.1",
        "fast-histogram": "0.14",
        "tqdm": "4.70.1",
    }
    NO_DEPS = ("rknn-toolkit2",)
    OLDER: tuple = ()
    LICENCE = "licence of Rockchip's RKNN Toolkit2 SDK (for Rockchip's chips; no reverse engineering; see the LICENSE of its repository)"
    SIZE_MB = 1480
    NEEDS = ""
    TIMEOUT_S = 30  # it loops for ever over some models; most take a tenth of a second
    TARGETS = {
        "rknn/" + chip: {"target_platform": chip, "quantised": chip == "rv1106", "asked": "layer table of RKNN(verbose=True).build"}
        for chip in ("rk3588", "rk3576", "rk3566", "rk3562", "rv1126b", "rv1106")
    }
    ASIDE = (
        "of model are constants",  # nothing is left to compile
        "Not support input data type",  # of the graph's own inputs
        "Failed to construct locale",  # which this machine lacks
    )
    ABOUT = (
        "RKNN-Toolkit2's compiler for Rockchip's NPUs, float16 (rv1106: int8): which layers it puts on the NPU, which on the CPU. "
        "It puts there what it knows no better place for; no chip was asked whether its library can do it."
    )

    def __init__(self, options):
        from importlib import metadata

        import onnx
        import onnxruntime
        from rknn.api import RKNN

        RKNN(verbose=False)  # imports what it needs: not once a fork
        self.metadata, self.onnx, self.sdk, self.options = metadata, onnx, RKNN, options
        onnxruntime.set_default_logger_severity(4)

    def versions(self):
        return {name: self.metadata.version(name) for name in ("rknn-toolkit2", "onnxruntime", "onnx")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        folder = tempfile.mkdtemp(prefix="rknn-", dir=os.path.dirname(model))
        try:
            graph = self.onnx.load(model)
            self.has_codes = any(n.op_type in ("QuantizeLinear", "DequantizeLinear") for n in graph.graph.node)
            answer, log = self.forked(model, inputs, folder, stage, self.deadly(inputs, dtypes))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        if "error" in answer:
            raise self.refusal(answer["error"], graph)
        unknown = re.findall(r"Meet RKNN unsupport Operator: .*", log)
        if unknown:
            raise RuntimeError(" | ".join(dict.fromkeys(unknown)))
        return None, self.placement(log, {node.op_type for node in graph.graph.node})

    def deadly(self, inputs, dtypes):
        """Return what the compiler may die of that says nothing of the operator; "" for nothing."""
        if any(dtypes[name] == "int8" for name in inputs):
            return "the compiler dies of an int8 input of the graph, which says nothing of int8 within it"
        if self.options["quantised"] and not any("float" in dtype or dtype == "uint8" for dtype in dtypes.values()):
            return "quantised, a model without any float dies; with a Cast to float behind it the same operator compiles"
        return ""

    def forked(self, model, inputs, folder, stage, deadly):
        """Compile in a process forked off this one; return (its answer, its log). If it dies, so does this one, of the same."""
        log = os.path.join(folder, "log")
        read, write = os.pipe()
        sys.stdout.flush()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            try:
                with os.fdopen(write, "w", buffering=1) as said:
                    self.compile(model, inputs, folder, log, said)
            finally:
                os._exit(0)
        os.close(write)
        answer = None
        with os.fdopen(read) as said:
            for line in said:
                word, _, rest = line.partition(" ")
                if word == "stage":
                    stage(rest.strip())
                else:
                    answer = json.loads(rest)
        status = os.waitpid(pid, 0)[1]
        with open(log, errors="replace") as file:
            text = _COLOUR.sub("", file.read())
        if answer is None and self.options["quantised"]:
            deadly = deadly or next((why for words, why in _DEADLY.items() if words in text[-300:]), "")
        if answer is None and deadly:
            raise CannotFeed(deadly)
        if answer is None:
            shutil.rmtree(folder, ignore_errors=True)
            sys.stderr.write(text[-1000:])
            sys.stderr.flush()
            if os.WIFSIGNALED(status):
                signal.signal(os.WTERMSIG(status), signal.SIG_DFL) if os.WTERMSIG(status) != signal.SIGKILL else None
                os.kill(os.getpid(), os.WTERMSIG(status))
            os._exit(os.WEXITSTATUS(status) or 1)
        return answer, text

    def compile(self, model, inputs, folder, log, said):
        """Compile, in the forked process; write stages and the answer to `said`."""
        descriptor = os.open(log, os.O_WRONLY | os.O_CREAT)
        os.dup2(descriptor, 1)
        os.dup2(descriptor, 2)
        os.chdir(folder)
        tempfile.tempdir = folder
        answer = {}
        try:
            rknn = self.sdk(verbose=True)
            said.write("stage load\n")
            done = rknn.config(target_platform=self.options["target_platform"]) or rknn.load_onnx(model=model)
            if not done:
                said.write("stage compile\n")
                dataset = self.calibration(model, inputs, folder)
                done = rknn.build(do_quantization=dataset is not None, dataset=dataset)
            sys.stdout.flush()
            if done:
                with open(log, errors="replace") as file:
                    errors = re.findall(r"^E (.*)", _COLOUR.sub("", file.read()), re.M)
                answer["error"] = " | ".join(errors[-3:]) or "returned %s" % done
        except Exception as error:
            answer["error"] = str(error) or type(error).__name__
        sys.stdout.flush()
        said.write("answer %s\n" % json.dumps(answer))

    def calibration(self, model, inputs, folder):
        """Return the path of the calibration set, None where the model is to be compiled as it is."""
        if not self.options["quantised"] or self.has_codes:
            return None
        for k, array in enumerate(inputs.values()):
            np.save(os.path.join(folder, "%d.npy" % k), array)
        with open(os.path.join(folder, "dataset.txt"), "w") as file:
            file.write(" ".join("%d.npy" % k for k in range(len(inputs))) + "\n")
        return os.path.join(folder, "dataset.txt")

    def refusal(self, text, model):
        """Return the exception for what the toolkit said: the last error of its traceback, and where it came from if it says little."""
        lines = _COLOUR.sub("", text).strip().splitlines()
        last = max([k for k, line in enumerate(lines) if re.match(r"[A-Za-z_][\w.]*: ", line)], default=0)
        words = " ".join(" ".join(lines[last:]).split())
        frames = re.findall(r'File "rknn/\S+", line \d+, in (\S+)', text)
        if frames and (".rules." in frames[-1] or not words.startswith(("ValueError", "onnxruntime"))):
            # a bug of the rule that is named, which disable_rules leaves out
            words += " (in %s)" % frames[-1].replace("rknn.api.", "")
        nodes = model.graph.node
        if words.startswith("IndexError") and len(nodes) > 1 and any(n.op_type == "DequantizeLinear" and len(n.input) == 2 for n in nodes):
            # the toolkit reads the third input where there is none; among several nodes that is seldom the node under test
            return CannotFeed(words + ": of a DequantizeLinear without zero point somewhere in the model")
        if "get_input_img" in words and any(not i.type.tensor_type.shape.dim for i in model.graph.input):
            return CannotFeed(words + ": an input without dimensions cannot be calibrated, which says nothing of such tensors within a graph")
        integers = any(i.type.tensor_type.elem_type not in (1, 10, 11, 16) for i in model.graph.input)
        if "Non-zero status code returned while running" in words and (integers or "running Clip node" in words):
            # axes, sizes, divisors, bounds. Of real numbers only the bounds of a Clip can be wrong: what else fails then is a refusal
            return CannotFeed(words + ": tried on data of the toolkit's own, which cannot be given to it")
        opsets = {o.domain: o.version for o in model.opset_import}
        if "Unsupport onnx opset" in words:
            newest = 0
            # of a lone operator's company only what its facts need: codes that are not of 8 bits, or blocks
            wide = any(t.data_type in (4, 5, 21, 22) for t in model.graph.initializer)
            wide = wide or any(a.name == "block_size" and a.i for n in nodes for a in n.attribute)
            for node in nodes:
                if node.op_type != "Constant" and node.domain == "" and (wide or self.op in ("", node.op_type)):
                    known = self.onnx.defs.has(node.op_type)  # if not, it is newer than this onnx
                    newest = max(newest, self.onnx.defs.get_schema(node.op_type, opsets[""], "").since_version if known else opsets[""])
            if newest <= _NEWEST_OPSET:
                return CannotFeed(words + " That is the model's opset: the operator is no newer")
        return RuntimeError(words)

    def placement(self, log, op_types):
        table = log[log.rfind("Network Layer Information Table") :]
        table = table[: table.find("Feature Tensor Information Table")]
        layers = [row for row in _ROW.findall(table) if row[0] not in ("InputOperator", "OutputOperator")]
        if not layers:
            if "Network Layer Information Table" not in log:
                raise CannotFeed("the compiler printed no table of layers")
            return {"placement": "native", "units": ["no layer is left of it"]}
        units = sorted({"%s %s %s" % (target, kind, dtype) for kind, dtype, target, name in layers if ":" in name})
        # of a pattern its Reshapes do not decide, of a lone operator not its company: where the rest is on the NPU it is mixed
        company = op_types - {self.op} if self.op else set()
        computing = [row for row in layers if ":" in row[3] and row[0] not in _MOVES - {self.op}]
        own = [row for row in computing if row[0] not in company] if computing else layers
        if any(target != "NPU" for _, _, target, _ in own):
            return {"placement": "fallback", "units": units}
        return {"placement": "native" if all(row[2] == "NPU" for row in layers) else "mixed", "units": units}
