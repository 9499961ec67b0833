"""ncnn, Tencent's engine for phones: pnnx converts, ncnn runs on the CPU or on Vulkan in float32. https://github.com/Tencent/ncnn

pnnx is told the shapes and values of all inputs, or it would invent some; it runs the model on them. Inputs and outputs are handed over as the
script that pnnx writes beside the model does it. ncnn's layers compute in float32 whatever the model says, but the script hands integers over as
int32 (as Embed wants its indices): where it matters which, nothing is said. The file runs under other Pythons and numpys too.
"""

import hashlib
import importlib.util
import os
import re
import shutil
import signal
import subprocess
import sys

import numpy as np

_INPUT = re.compile(r'ex\.input\("in(\d+)", ncnn\.Mat\(in\d+\.numpy\(\)(?:, batch_index=(\d+))?\)\.clone\(\)\)')
_OUTPUT = re.compile(r"out\.append\(torch\.from_numpy\(out(\d+)\.numpy\((?:batch_index=(\d+))?\)\)\)")
_SOFTWARE, _NVIDIA = 3, 0x10DE  # ncnn's type of a device that is a CPU; the vendor's number


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "ncnn"
    ALIASES: tuple = ("pnnx",)
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"ncnn": "1.0.20261020", "pnnx": "20261020", "numpy": "2.4.6"}
    NO_DEPS = ("ncnn", "pnnx")  # they would bring OpenCV and PyTorch, which nothing here needs
    OLDER = ()
    LICENCE = ""
    SIZE_MB = 170
    NEEDS = "for ncnn/vulkan a Vulkan loader and Mesa's lavapipe (Debian: libvulkan1, mesa-vulkan-drivers)"
    TARGETS = {
        "ncnn/cpu": {"route": "pnnx, fp16=0, shapes fixed", "device": "cpu"},
        "ncnn/vulkan": {"route": "pnnx, fp16=0, shapes fixed", "device": "vulkan", "driver": "lavapipe, in software"},
    }
    ASIDE = (
        *("Unsupported model IR version", "MaxIdx() > -1 was false"),  # of the whole model; of one that pnnx has emptied
        # of the numbers pnnx makes up, 7 for every integer whatever it is given: axes longer than that are converted
        *("out of data bounds", "Out of range value in index tensor", "invalid index found", "position_ids value"),
        *("Invalid sequence length", "exceeds max_sequence_length"),
    )
    ABOUT = "ncnn on the CPU, and on Vulkan through Mesa's software driver; float32, one thread; models converted by pnnx."

    def __init__(self, options):
        import ncnn

        self.ncnn, self.options = ncnn, options
        where = importlib.util.find_spec("pnnx").submodule_search_locations[0]  # not imported: it would import torch
        self.pnnx = os.path.join(where, "pnnx")
        if options["device"] != "cpu":
            ncnn.create_gpu_instance()
            self.device = self.choose([ncnn.get_gpu_info(k) for k in range(ncnn.get_gpu_count())])

    def choose(self, found):
        """Return the number of the Vulkan device to use. Raises where it is not there."""
        for number, device in enumerate(found):
            if device.type() == _SOFTWARE:
                return number
        raise RuntimeError("no software Vulkan device (lavapipe); found: %s" % ([d.device_name() for d in found] or "none"))

    def versions(self):
        from importlib import metadata

        return {name: metadata.version(name) for name in ("ncnn", "pnnx")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("convert")
        path = self.converted(model, inputs, dtypes)
        return self.run(path, list(inputs.values()), [dtypes[name] for name in outputs], stage)

    def converted(self, model, inputs, dtypes):
        """Return where the converted model lies; kept in the environment, since converting takes far longer than running it on each device."""
        with open(model, "rb") as file:
            key = hashlib.sha256(file.read())
        for name, array in inputs.items():
            if array.dtype.name != dtypes[name]:
                raise CannotFeed("numpy has no %s to hand to pnnx" % dtypes[name])
            key.update(("%s%s" % (array.dtype, array.shape)).encode() + array.tobytes())
        kept = os.path.join(sys.prefix, "converted", key.hexdigest()[:32])
        if not os.path.exists(kept):
            folder = os.path.join(os.path.dirname(model), "pnnx-%d" % os.getpid())
            os.mkdir(folder)
            try:
                shutil.copy(model, os.path.join(folder, "m.onnx"))
                self.convert(folder, inputs)
                making = "%s.%d" % (kept, os.getpid())
                shutil.copytree(folder, making, ignore=shutil.ignore_patterns("*.onnx", "*.npy", "m.pnnx.*", "m_pnnx.py"))
                try:
                    os.rename(making, kept)
                except OSError:
                    shutil.rmtree(making, ignore_errors=True)
                    if not os.path.exists(kept):  # or the other device's process was faster
                        raise
            except OSError as error:
                raise CannotFeed("the converted model cannot be kept: %s" % error) from error
            finally:
                shutil.rmtree(folder, ignore_errors=True)
        with open(os.path.join(kept, "log"), "rb") as file:
            os.write(2, file.read())
        return os.path.join(kept, "m")

    def convert(self, folder, inputs):
        """Have pnnx write m.ncnn.param, m.ncnn.bin and m_ncnn.py; die of the signal it dies of."""
        for number, array in enumerate(inputs.values()):
            np.save(os.path.join(folder, "in%d.npy" % number), array)
        if any(array.dtype in (np.uint16, np.uint32, np.uint64) for array in inputs.values()):  # it reads no such file
            told = ",".join("[%s]%s%d" % (",".join(map(str, a.shape)), a.dtype.kind, a.dtype.itemsize * 8) for a in inputs.values())
            told = "inputshape=" + told
        else:
            told = "input=" + ",".join("in%d.npy" % number for number in range(len(inputs)))
        command = [self.pnnx, "m.onnx", "fp16=0", *([told] if inputs else [])]
        done = subprocess.run(command, cwd=folder, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        with open(os.path.join(folder, "log"), "wb") as file:
            file.write(done.stdout)
        if done.returncode or not os.path.exists(os.path.join(folder, "m.ncnn.param")):
            os.write(2, done.stdout)
        if done.returncode < 0:
            name = signal.Signals(-done.returncode).name
            if re.search(b"ort (CreateSession|Run) failed", done.stdout):  # it does not stop there
                raise RuntimeError("pnnx dies (%s)" % name)
            os.kill(os.getpid(), -done.returncode)
            signal.pause()
        if done.returncode or not os.path.exists(os.path.join(folder, "m.ncnn.param")):
            raise RuntimeError("pnnx ends with status %d" % done.returncode)

    def run(self, path, arrays, dtypes, stage):
        stage("load")
        net = self.ncnn.Net()
        net.opt.num_threads = 1
        for name in ("use_fp16_packed", "use_fp16_storage", "use_fp16_arithmetic", "use_bf16_storage"):
            setattr(net.opt, name, False)
        net.opt.use_vulkan_compute = self.options["device"] != "cpu"
        if net.opt.use_vulkan_compute:
            net.set_vulkan_device(self.device)
        if net.load_param(path + ".ncnn.param") or net.load_model(path + ".ncnn.bin"):
            raise RuntimeError("ncnn does not load the model")
        layers = [layer for layer in net.layers() if layer.type not in ("Input", "Split")]
        if not layers:
            raise CannotFeed("pnnx leaves nothing of this model to run")
        about = self.placement(layers)
        with open(path + "_ncnn.py") as file:
            script = file.read()
        feeds, results = dict(_INPUT.findall(script)), dict(_OUTPUT.findall(script))
        if script.count("ex.input(") != len(feeds) or script.count("out.append(") != len(results):
            raise CannotFeed(
                "pnnx's script hands tensors over in a way that is not known here: %s" % re.findall(r"ex\.input.*|out\.append.*", script)
            )
        if len(results) != len(dtypes):
            raise RuntimeError("the converted model has %d outputs instead of %d" % (len(results), len(dtypes)))
        with open(path + ".ncnn.param") as file:
            embedded = {name for line in file if line.startswith("Embed ") for name in line.split()[4:5]}
        stage("run")
        fed = {"in" + number: (arrays[int(number)], int(batch or 233)) for number, batch in feeds.items()}
        made = self.infer(net, fed, results, dtypes, embedded, "float32")
        if any(array.dtype.kind in "iub" and name not in embedded for name, (array, _) in fed.items()):
            other = self.infer(net, fed, results, dtypes, embedded, "int32")
            if not all(np.array_equal(x, y) for x, y in zip(made, other)):
                raise CannotFeed("ncnn's layers take float32, and pnnx hands integers over as int32, which gives something else")
        return made, about

    def infer(self, net, fed, results, dtypes, embedded, held):
        extractor = net.create_extractor()
        for name, (array, batch) in fed.items():
            whole = array.dtype.kind in "iub"
            array = self.held(array, "int32" if name in embedded else held if whole else "float32")  # a Mat does not keep it alive
            if extractor.input(name, self.ncnn.Mat(array, batch_index=batch).clone()):
                raise RuntimeError("ncnn does not take input %s" % name)
        return [self.fetch(extractor, k, results[str(k)], dtype) for k, dtype in enumerate(dtypes)]

    def placement(self, layers):
        """Tell which layers run on Vulkan: those whose support of it stands once the model is loaded."""
        if not self.options["device"].startswith("vulkan"):
            return {"placement": "native", "units": sorted({layer.type for layer in layers})}
        on, off = ({layer.type for layer in layers if bool(layer.support_vulkan) == wanted} for wanted in (True, False))
        units = ["vulkan " + name for name in sorted(on)] + ["cpu " + name for name in sorted(off)]
        return {"placement": "native" if not off else "mixed" if on else "fallback", "units": units}

    def held(self, array, dtype):
        made = np.array(array, dtype, order="C", ndmin=1)
        if array.dtype.kind in "iu" and not np.array_equal(made.astype(np.float64), array.astype(np.float64).reshape(made.shape)):
            raise CannotFeed("ncnn holds integers as %s, which has not all values fed" % dtype)
        return made

    def fetch(self, extractor, number, batch, dtype):
        failed, mat = extractor.extract("out%d" % number)
        if failed:
            raise RuntimeError("ncnn gives no output out%d (%d)" % (number, failed))
        if mat.empty():
            raise RuntimeError("ncnn gives an empty output out%d" % number)
        if mat.elemsize != 4 or mat.elempack != 1:
            raise CannotFeed("the output has %d bytes an element, packed by %d" % (mat.elemsize, mat.elempack))
        array = np.array(mat.numpy(batch_index=int(batch or 233)))
        if array.shape == (1,):
            raise CannotFeed("ncnn has no tensor without dimensions, so this one may stand for such a one or not")
        if dtype == "float64":
            return array.astype(dtype)
        if dtype in ("float32", "float16", "bfloat16"):
            return array
        # whole numbers up to 2^24 are told from the bits of an int32, which as float32 would be tiny
        values = array if np.array_equal(array, np.trunc(array)) else array.view(np.int32)
        made = values.astype(dtype)
        return made if np.array_equal(made, values) else values

    def explain(self, error, log):
        """Put the reasons that pnnx and ncnn print before their errors, which lack them."""
        lines = [re.sub(r"\x1b\[[\d;]*m", "", line).strip() for line in log.splitlines()]
        for wanted in (
            r"not exists or registered",
            r"ort (?:CreateSession|Run) failed",
            r"not supported|unsupported|not implemented|abort|failed|rror:",
        ):
            reasons = list(dict.fromkeys(line for line in lines if re.search(wanted, line)))
            if reasons:
                short = [r if len(r) < 300 else "%s ... %s" % (r[:40], r[-250:]) for r in reasons[:6]]  # ONNX Runtime's begin with its source
                return " | ".join([*short, str(error)])
        return str(error)


class Nvidia(Runtime):
    """The same on an NVIDIA GPU."""

    NAME = "ncnn-nvidia"
    ALIASES = ()
    BY_NAME = True
    ADDRESS_SPACE_GB = 0  # the driver reserves more than it uses
    NEEDS = "an NVIDIA GPU, NVIDIA's driver with Vulkan (libGLX_nvidia) and a Vulkan loader (Debian: libvulkan1)"
    TARGETS = {"ncnn/vulkan-nvidia": {"route": "pnnx, fp16=0, shapes fixed", "device": "vulkan"}}
    ABOUT = "ncnn on Vulkan on an NVIDIA GPU; float32; models converted by pnnx."

    def choose(self, found):
        for number, device in enumerate(found):
            if device.vendor_id() == _NVIDIA:
                return number
        raise RuntimeError("no Vulkan device of NVIDIA; found: %s" % ([d.device_name() for d in found] or "none"))
