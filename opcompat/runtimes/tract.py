"""tract, Sonos' inference engine in Rust, through its Python binding: the shortest runtime file, see docs/add-a-runtime.md. https://github.com/sonos/tract"""

import os
from importlib import metadata


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "tract"
    ALIASES = ()
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"tract": "0.23.9"}
    OLDER = ()
    LICENCE = ""
    SIZE_MB = 106
    NEEDS = ""
    TARGETS = {"tract/cpu": {"route": "onnx.load, into_model, into_runnable"}}
    ABOUT = "tract on the CPU, one thread, optimised as its documentation shows."

    def __init__(self, options):
        os.environ["RUST_BACKTRACE"] = "0"  # or backtraces bury the messages
        import tract

        self.tract, self.onnx = tract, tract.onnx()

    def versions(self):
        return {"tract": metadata.version("tract")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("load")
        network = self.onnx.load(model)
        names = [network.input_name(k) for k in range(network.input_count())]
        stage("compile")
        runnable = network.into_model().into_runnable()
        stage("run")
        made = runnable.run([self.feed(inputs[name], dtypes[name]) for name in names])
        return [self.array(tensor) for tensor in made], {"placement": "native", "units": ["tract"]}

    def feed(self, array, dtype):
        if array.dtype.name != dtype:
            raise CannotFeed("the Python binding takes no %s input" % dtype)
        return array

    def array(self, tensor):
        try:
            return tensor.to_numpy()
        except self.tract.TractError as error:
            if "in the public API" in str(error):
                raise CannotFeed("the Python binding hands out no such output: %s" % error) from error
            if "TDim" not in str(error):
                raise
        try:
            return tensor.convert_to(self.tract.DatumType.I64).to_numpy()  # dimensions are numbers of a type of their own
        except self.tract.TractError as error:
            raise CannotFeed("a dimension that is dynamic, as an output of the graph: %s" % error) from error  # inside a graph it is right
