"""NVIDIA TensorRT itself: its ONNX parser, builder and engine, with nothing beside it that could take a node. https://docs.nvidia.com/deeplearning/tensorrt/"""

import ctypes
import glob
import os
import sys

import numpy as np


class CannotFeed(Exception):
    pass


class Refused(Exception):
    pass


class Runtime:
    NAME = "tensorrt"
    ALIASES = ("trt", "jetson")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"tensorrt-cu13": "11.4.0.106", "nvidia-cuda-runtime": "13.0.96", "numpy": "2.4.6"}
    LICENCE = "NVIDIA TensorRT SDK licence (inside the tensorrt-cu13 wheels)"
    SIZE_MB = 4500
    NEEDS = (
        "an NVIDIA GPU with a driver for CUDA 13, and NVIDIA's own package index: "
        "what PyPI holds as tensorrt-cu13 fetches its wheels from NVIDIA's own index while it installs"
    )
    BY_NAME = True
    ADDRESS_SPACE_GB = 0  # CUDA reserves more than any machine has
    TIMEOUT_S = 300  # the builder times kernels
    TARGETS = {"tensorrt/gpu": {"tf32": False}}
    ABOUT = "TensorRT: ONNX parser, engine built and run for each probe, strongly typed, without TF32."

    def __init__(self, options):
        import tensorrt

        self.trt, self.options = tensorrt, options
        import nvidia_gpu

        self.device = nvidia_gpu.find()
        self.cuda = Cuda()
        self.said = said = []

        class Logger(tensorrt.ILogger):
            def __init__(self):
                tensorrt.ILogger.__init__(self)

            def log(self, severity, msg):
                if severity in (tensorrt.ILogger.Severity.ERROR, tensorrt.ILogger.Severity.INTERNAL_ERROR):
                    said.append(msg)

        self.logger = Logger()
        self.builder = tensorrt.Builder(self.logger)
        self.runtime = tensorrt.Runtime(self.logger)
        if self.builder is None or self.runtime is None:
            raise RuntimeError("TensorRT cannot start: %s" % "; ".join(said[:3]))

    def versions(self):
        return {"tensorrt": self.trt.__version__, **self.device}

    def probe(self, model, inputs, dtypes, outputs, stage):
        del self.said[:]
        stage("load")
        flags = getattr(self.trt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED", None)  # always so since 11
        network = self.builder.create_network(0 if flags is None else 1 << int(flags))
        parser = self.trt.OnnxParser(network, self.logger)
        if not parser.parse_from_file(model):
            errors = [parser.get_error(i) for i in range(parser.num_errors)]
            raise Refused(" | ".join(e.desc() for e in errors) or self.words("the parser refuses the model and does not say why"))
        stage("compile")
        engine = self.runtime.deserialize_cuda_engine(self.plan(network, inputs))
        if engine is None:
            raise Refused(self.words("the engine cannot be read back"))
        stage("run")
        return self.run(engine, inputs, dtypes, outputs), {"placement": "native", "units": ["TensorRT"]}

    def plan(self, network, inputs):
        """Build the engine, for exactly the shapes (and the values that decide shapes) of these inputs where the model leaves them open."""
        config = self.builder.create_builder_config()
        if not self.options["tf32"]:
            config.clear_flag(self.trt.BuilderFlag.TF32)
        profile, used = self.builder.create_optimization_profile(), False
        for index in range(network.num_inputs):
            tensor = network.get_input(index)
            array = inputs[tensor.name]
            if -1 in tuple(tensor.shape):
                profile.set_shape(tensor.name, array.shape, array.shape, array.shape)
                used = True
            if tensor.is_shape_tensor:
                values = [int(v) for v in np.ravel(array)]
                profile.set_shape_input(tensor.name, values, values, values)
                used = True
        if used:
            config.add_optimization_profile(profile)
        plan = self.builder.build_serialized_network(network, config)
        if plan is None:
            raise Refused(self.words("the builder gives no engine and does not say why"))
        return plan

    def run(self, engine, inputs, dtypes, outputs):
        context, kept = engine.create_execution_context(), []
        allocator = allocator_class(self.trt)(self.cuda)
        try:
            for name in (engine.get_tensor_name(i) for i in range(engine.num_io_tensors)):
                if engine.get_tensor_mode(name) == self.trt.TensorIOMode.INPUT:
                    array = self.fed(inputs[name], dtypes[name], self.kind(engine, name))
                    context.set_input_shape(name, array.shape)
                    if engine.get_tensor_location(name) == self.trt.TensorLocation.HOST:
                        kept.append(array)
                        context.set_tensor_address(name, array.ctypes.data)
                    else:
                        context.set_tensor_address(name, allocator.store(name, array))
                else:
                    context.set_output_allocator(name, allocator)
            if not context.execute_async_v3(0):
                raise Refused(self.words("the engine does not run and does not say why"))
            self.cuda.wait()
            return [self.read(allocator, name, self.kind(engine, name)) for name in outputs]
        finally:
            allocator.free()

    def kind(self, engine, name):
        """Return the dtype fact of a tensor of the engine."""
        text = str(engine.get_tensor_dtype(name)).split(".")[-1]
        names = {"FLOAT": "float32", "HALF": "float16", "BF16": "bfloat16", "FP8": "float8e4m3fn", "BOOL": "bool", "UINT8": "uint8"}
        return names.get(text, text.lower())

    def fed(self, array, dtype, kind):
        if dtype != kind:
            raise CannotFeed("the engine takes %s where the model has %s" % (kind, dtype))
        return np.asarray(array, order="C")

    def read(self, allocator, name, kind):
        raw = {"bfloat16": "uint16", "float8e4m3fn": "uint8"}.get(kind, kind)
        try:
            stored = np.dtype(raw)
        except TypeError:
            raise CannotFeed("outputs of %s cannot be read" % kind) from None
        array = allocator.load(name, stored)
        return array if raw == kind else (array, kind)

    def words(self, otherwise):
        return " | ".join(self.said[:4]) or otherwise


def allocator_class(trt):
    """Return the class that gives outputs their memory once their shape is known; its base exists only with the SDK."""

    class Allocator(trt.IOutputAllocator):
        def __init__(self, cuda):
            trt.IOutputAllocator.__init__(self)
            self.cuda, self.blocks, self.shapes = cuda, {}, {}

        def reallocate_output_async(self, tensor_name, memory, size, alignment, stream):
            if tensor_name in self.blocks:
                self.cuda.free(self.blocks.pop(tensor_name))
            self.blocks[tensor_name] = self.cuda.allocate(size)
            return self.blocks[tensor_name]

        def notify_shape(self, tensor_name, shape):
            self.shapes[tensor_name] = tuple(shape)

        def store(self, name, array):
            self.blocks[name] = self.cuda.allocate(array.nbytes)
            self.cuda.copy(self.blocks[name], array.ctypes.data, array.nbytes, 1)
            return self.blocks[name]

        def load(self, name, dtype):
            array = np.empty(self.shapes[name], dtype)
            if array.nbytes:
                self.cuda.copy(array.ctypes.data, self.blocks[name], array.nbytes, 2)
            return array

        def free(self):
            while self.blocks:
                self.cuda.free(self.blocks.popitem()[1])

    return Allocator


class Cuda:
    """The five functions of CUDA's runtime that moving arrays takes."""

    def __init__(self):
        wheels = os.path.join(sys.prefix, "lib", "python*", "site-packages", "nvidia", "*", "lib", "libcudart.so.*")
        try:
            self.library = ctypes.CDLL(next(iter(sorted(glob.glob(wheels))), "libcudart.so"))
        except OSError as error:
            raise RuntimeError("CUDA's runtime library cannot be loaded: %s" % error) from None
        self.library.cudaGetErrorString.restype = ctypes.c_char_p
        count = ctypes.c_int()
        self.check(self.library.cudaGetDeviceCount(ctypes.byref(count)))

    def check(self, code):
        if code:
            raise RuntimeError("CUDA: %s" % self.library.cudaGetErrorString(code).decode())

    def allocate(self, size):
        address = ctypes.c_void_p()
        self.check(self.library.cudaMalloc(ctypes.byref(address), ctypes.c_size_t(max(size, 1))))
        return address.value

    def free(self, address):
        self.check(self.library.cudaFree(ctypes.c_void_p(address)))

    def copy(self, to, source, size, way):
        self.check(self.library.cudaMemcpy(ctypes.c_void_p(to), ctypes.c_void_p(source), ctypes.c_size_t(size), way))

    def wait(self):
        self.check(self.library.cudaDeviceSynchronize())
