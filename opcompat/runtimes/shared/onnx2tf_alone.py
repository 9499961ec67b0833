"""onnx2tf without the network, and without a new process for every model it simplifies. https://github.com/PINTO0309/onnx2tf"""

import multiprocessing
import os
import socket
import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool

NETWORK = "the converter asked for the network, which probing does without"


def offline(*_, **__):
    raise OSError(NETWORK)


class Simplifier:
    """Does what onnx2tf's `onnxsim IN OUT` would, in a process forked off this one, which has imported it already; it may crash alone."""

    def __init__(self):
        self.pool, self.check_output = None, subprocess.check_output

    def __call__(self, command, **others):
        if command[0] != "onnxsim":
            return self.check_output(command, **others)
        if self.pool is None:
            fork = multiprocessing.get_context("fork")
            # the reply descriptor is closed there: the runner knows of this process's death by its end
            self.pool = ProcessPoolExecutor(1, fork, os.close, (int(sys.argv[3]),))
        try:
            self.pool.submit(exec, "import sys, onnxsim; sys.argv = %r; onnxsim.main()" % command).result()
        except BrokenProcessPool:
            self.pool = None
            raise
        return b""


def settle():
    """Cut the converter off the network, and let it simplify as above."""
    subprocess.check_output = Simplifier()
    socket.getaddrinfo = offline
