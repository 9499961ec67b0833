"""The template of a runtime file, and the stand-in the tests drive: it computes Relu and misbehaves on demand.

A runtime file declares one class `Runtime` with the attributes below and two methods (and a subclass of it, with a NAME of its own, for
targets that need another environment). It runs inside the runtime's own environment,
so it may import the standard library and numpy at the top, the SDK only inside methods, and nothing of opcompat.
"""

import os
import tempfile
import time

import numpy as np


class Runtime:
    NAME = "fake"
    ALIASES = ()  # other names that people type for all its targets
    HIDDEN = True  # not offered to users
    REVISION = 1  # raise it when this file changes what it measures: its results are then due again
    PYTHON = ""  # "" = the Python that runs opcompat; else a version that the environment must have
    PACKAGES: dict = {}  # package -> pinned version; the first one names the runtime's version
    NPM: dict = {}  # the same of npm packages, which lie in node/node_modules of the environment; where there are any, the first names the version
    NO_DEPS = ()  # names of PACKAGES to install without what they ask for
    OLDER = ()  # attributes that differ for versions of the past, newest first: ({"PACKAGES": {...}}, ...)
    OVERRIDES = ()  # requirements that stand whatever the packages ask for, as in uv's --overrides
    EVIDENCE = "measured"  # or "declared": the SDK is only asked; probe() returns None for arrays where it says yes, in stage compile
    REFUSES = ""  # operator with one float32 input that is refused in stage compile: a negative control where unknown ones prove little
    LICENCE = ""  # what a user must accept before the environment is installed
    SIZE_MB = 0  # of the environment on disk
    NEEDS = ""  # hardware or system software without which it is unavailable
    BY_NAME = False  # installed and probed only when named: what needs hardware that few have
    ADDRESS_SPACE_GB = 12  # that the child may reserve; 0 for no limit
    TIMEOUT_S = 60  # without an answer that count as a timeout
    TARGETS: dict = {"fake/cpu": {}}  # target -> options handed to __init__ and recorded with every result
    ABOUT = "A stand-in for tests."

    def __init__(self, options):
        """Import the SDK and get ready; whatever is raised here makes the target unavailable, with that reason."""
        self.options = options

    def versions(self):
        """Return {package or library: version} as the SDK itself reports it."""
        return {"fake": self.options.get("version", "1.0")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        """Run one model file. Call stage(name) before each stage; return (arrays in output order, {"placement": ..., "units": [...]}).

        inputs: name -> array; dtypes: input or output name -> dtype fact (bfloat16 and the like arrive as raw unsigned integers).
        Where the file itself translates the model first (to PyTorch, say), "translated" in the dict holds the arrays that its translation computes:
        if they are wrong, it is not the runtime's fault (an exception may carry them as an attribute of that name).
        self.op is the operator under test ("" in a pattern), to tell whether it or only its company was left to another device.
        A refusal is an exception in the SDK's own words. Raise an exception class called CannotFeed where the fault is this file's.
        Optional: `explain(error, log)` returns a better message, `tidy(log)` a shorter log; a refusal whose message holds one of the
        class's `ASIDE` words says nothing of the operator and is not recorded as a fact.
        """
        infer, read = self.opened(model, inputs, dtypes, outputs, stage)
        return read(infer())

    def opened(self, model, inputs, dtypes, outputs, stage):
        """Optional, for targets whose times mean something: take what `probe` takes, open the model and feed it; return (infer, read).

        infer() does one inference and nothing else, on one thread, again and again; read(what it returned) returns what `probe` returns.
        """
        declares = self.options.get("declares", False)
        stage("compile" if declares else "load")
        with open(model, "rb") as file:
            text = file.read()
        acts = [act for word, act in self.options.get("acts", {}).items() if word.encode() in text]
        for act in acts:
            self.act(act)
        about = {"placement": "native", "units": ["fake"]}
        if declares:
            return lambda: None, lambda made: (made, about)
        stage("run")

        def infer():
            end = time.process_time() + (0.004 if "slow" in acts else 0)
            while time.process_time() < end:
                pass
            return [np.maximum(a, 0) for a in inputs.values()][: len(outputs)]

        return infer, lambda made: (made, about)

    def act(self, name):
        if name == "crash":
            os.abort()
        if name == "hang":
            time.sleep(3600)
        if name == "refuse":
            raise RuntimeError("fake: no kernel for this")
        if name == "spoil":  # all that follow are refused
            self.options["acts"] = {"probe": "refuse"}
        if name == "litter":
            tempfile.mkdtemp(prefix="opcompat-litter-")
        if name == "poison":  # the next probe dies, not this one
            self.options["acts"] = {"probe": "crash"}
