"""ExecuTorch, the successor of PyTorch Mobile: the model as PyTorch (`shared/onnx_to_torch.py`), torch.export, to_edge_transform_and_lower with the
partitioner of a backend, to_executorch, and the Python binding of its runtime.

What the partitioner leaves to ExecuTorch's own kernels has fallen back. https://docs.pytorch.org/executorch/stable/
"""

import contextlib
import functools
import gc
import logging
import re
import warnings

import numpy as np


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "executorch"
    ALIASES: tuple = ("pytorch-mobile", "torch-mobile")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"executorch": "1.4.1", "torch": "2.13.0", "onnx": "1.22.0"}  # 1.5 wants a torch that is not on the index for CPUs
    OLDER = ()
    LICENCE = ""
    SIZE_MB = 1300
    NEEDS = ""
    TIMEOUT_S = 180  # a first model takes long on a busy machine
    TARGETS: dict = {"executorch/xnnpack": {"route": "torch.export of a translation to PyTorch", "partitioner": "XnnpackPartitioner"}}
    ABOUT = "ExecuTorch on the CPU with XNNPACK; each ONNX operator as the function of PyTorch from which torch.onnx makes it, sizes fixed."

    def __init__(self, options):
        from importlib import metadata

        warnings.filterwarnings("ignore")
        logging.disable(logging.WARNING)
        import executorch.exir as exir
        import torch
        from onnx_to_torch import Translator

        torch.set_num_threads(1)
        self.options, self.metadata, self.torch, self.exir = options, metadata, torch, exir
        self.translator = Translator()
        self.hasten()
        self.start()
        gc.collect()
        gc.freeze()  # thousands of operators stay, and every collection would walk them

    def start(self):
        import executorch.kernels.quantized  # noqa: F401 (kernels of quantised graphs, which the binding lacks without)
        from executorch.backends.xnnpack.partition.xnnpack_partitioner import XnnpackPartitioner
        from executorch.extension.pybindings.portable_lib import _load_for_executorch_from_buffer

        self.partitioner, self.load = XnnpackPartitioner, _load_for_executorch_from_buffer

    def hasten(self):
        """Keep what torch.export works out anew for every model though it depends on none: nearly all of its time."""
        import torch._export.utils as utils
        import torch._subclasses.fake_impls as fakes
        import torch.export.exported_program as exported

        utils._collect_all_valid_cia_ops_for_namespace = functools.lru_cache(None)(utils._collect_all_valid_cia_ops_for_namespace)
        original, kept = exported._override_composite_implicit_decomp, {}
        composite = self.torch._C.DispatchKey.CompositeImplicitAutograd

        @contextlib.contextmanager
        def override(decompositions):
            """As the original, but what it registers for an operator in one state is remembered and put in place at once."""
            keys = {op: (op, tuple(op.py_kernels.items()), op in fakes.op_implementations_dict) for op in decompositions}
            new = {op: call for op, call in decompositions.items() if keys[op] not in kept}
            if new:
                with original(new):
                    for op in new:
                        kept[keys[op]] = (dict(op.py_kernels), None if keys[op][2] else fakes.op_implementations_dict[op])
            before = {op: dict(op.py_kernels) for op in decompositions}
            for op, call in decompositions.items():
                kernels, rule = kept[keys[op]]
                op.py_kernels.clear()
                op.py_kernels.update(kernels)
                op.py_kernels[composite] = call
                op._dispatch_cache.clear()
                if rule is not None:
                    fakes.op_implementations_dict[op] = rule
            try:
                yield
            finally:
                for op, kernels in before.items():
                    op.py_kernels.clear()
                    op.py_kernels.update(kernels)
                    op._dispatch_cache.clear()
                    fakes._deregister_op_impl(op)

        exported._override_composite_implicit_decomp = override

    def versions(self):
        return {name: self.metadata.version(name) for name in ("executorch", "torch")}

    def probe(self, model, inputs, dtypes, outputs, stage):
        stage("convert")
        module, arguments, translated = self.translator.translate(model, inputs, dtypes)
        about = {"placement": "native", "units": [], "translated": translated}
        try:
            with self.torch.no_grad():
                exported = self.torch.export.export(module, arguments)
                stage("compile")
                return self.finish(self.lowered(exported), arguments, about, stage)
        except Exception as error:
            error.translated = translated
            raise

    def lowered(self, exported):
        config = self.exir.EdgeCompileConfig(_check_ir_validity=False)
        return self.exir.to_edge_transform_and_lower(exported, partitioner=[self.partitioner()], compile_config=config)

    def finish(self, edge, arguments, about, stage):
        taken = self.delegated(edge)
        program = edge.to_executorch()
        left = self.kernels(program)
        about["units"] = ["%s %s" % (type(self.partitioner()).__name__[: -len("Partitioner")], name) for name in taken]
        about["units"] += ["portable %s" % name for name in left]
        about["placement"] = "unknown" if not taken and not left else "native" if not left else "mixed" if taken else "fallback"
        return self.run(program, arguments, stage), about

    def run(self, program, arguments, stage):
        stage("load")
        loaded = self.load(program.buffer)
        stage("run")
        return [self.array(value) for value in loaded.run_method("forward", tuple(arguments))]

    def array(self, value):
        if not isinstance(value, self.torch.Tensor):
            return np.asarray(value)
        made = self.translator.array(value)
        return (made[0].copy(), made[1]) if isinstance(made, tuple) else made.copy()

    def delegated(self, edge):
        """Return the names of the operators that the backend has taken."""
        module = edge.exported_program().graph_module
        taken = set()
        for node in module.graph.nodes:
            if node.op == "call_function" and "executorch_call_delegate" in str(node.target):
                inner = getattr(module, node.args[0].target).original_module
                taken |= {self.name(n) for n in inner.graph.nodes if n.op == "call_function"}
        return sorted(taken - {"getitem"})

    def name(self, node):
        target = getattr(node.target, "_op", node.target)
        called = "." not in str(target) or str(target).startswith("<")  # a function of Python, not an operator
        return getattr(target, "__name__", str(target)) if called else str(target).rsplit(".", 1)[0]

    def kernels(self, program):
        """Return the names of the operators that the program calls itself; its own primitives, such as views, compute nothing."""
        plan = program.executorch_program.execution_plan[0]
        calls = [i.instr_args for chain in plan.chains for i in chain.instructions]
        names = {plan.operators[call.op_index].name for call in calls if type(call).__name__ == "KernelCall"}
        return sorted(name.replace("::", ".") for name in names if not name.startswith("executorch_prim::"))

    def explain(self, error, log):
        """Add what the runtime said on its log to an error that only has a number, and the class where the text alone says nothing."""
        plain = type(error).__name__ in ("RuntimeError", "ValueError", "InternalError", "NotImplementedError", "CannotFeed", "ExportError")
        text = str(error).strip() if plain else "%s: %s" % (type(error).__name__, error)
        text = text.split(" Here is the node in the graph module")[0].split("\nHere is the node in the graph module")[0]
        said = re.findall(r"^\[(?!cpuinfo|operator_registry)\w+\.(?:cpp|h):\d+\] (?!arg \d|There are)(.*)", log, re.M)
        if "flatc" in text:  # the words are on its own log, the message is a command with a folder of its own
            words = re.findall(r"error: (.*)", log)
            return "flatc refuses the serialised program: %s" % (words[-1] if words else "no reason given")
        if "error: 0x" in text and said:
            return text.split("\n")[0] + " | " + " | ".join(list(dict.fromkeys(said))[:3])
        return text

    def tidy(self, log):
        return "\n".join(line for line in log.splitlines() if "cpuinfo" not in line and "Failed to load" not in line)


class Lower(Runtime):
    """Backends that are not here to run: their partitioners choose, their lowering makes the backend's program, and nothing is run.

    What they leave needs a kernel of ExecuTorch's own, which this package has or has not.
    """

    NAME = "executorch-lower"
    ALIASES: tuple = ()
    EVIDENCE = "declared"
    REFUSES = "Det"
    TARGETS = {
        "executorch/coreml": {"route": Runtime.TARGETS["executorch/xnnpack"]["route"], "partitioner": "CoreMLPartitioner", "deployment": "iOS18"},
        "executorch/vulkan": {"route": Runtime.TARGETS["executorch/xnnpack"]["route"], "partitioner": "VulkanPartitioner"},
    }
    ABOUT = "What ExecuTorch's partitioner for this backend takes and can lower, without its device and without numbers; else as executorch/xnnpack."

    def start(self):
        import executorch.kernels.quantized  # noqa: F401
        import tqdm
        from executorch.extension.pybindings.portable_lib import _get_operator_names

        self.known = set(_get_operator_names())
        tqdm.tqdm.__init__ = functools.partialmethod(tqdm.tqdm.__init__, disable=True)
        if self.options["partitioner"] == "VulkanPartitioner":
            from executorch.backends.vulkan import patterns
            from executorch.backends.vulkan.partitioner.vulkan_partitioner import VulkanPartitioner as partitioner

            for entry in patterns.fusable_patterns.values():  # graphs that it exports anew for every model
                if entry.get_graphs_fn is not None:
                    entry.get_graphs_fn = functools.lru_cache(None)(entry.get_graphs_fn)
        else:
            import coremltools
            from executorch.backends.apple.coreml.compiler import CoreMLBackend
            from executorch.backends.apple.coreml.partition import CoreMLPartitioner

            target = getattr(coremltools.target, self.options["deployment"])
            specs = CoreMLBackend.generate_compile_specs(minimum_deployment_target=target)
            partitioner = functools.partial(CoreMLPartitioner, compile_specs=specs)
        self.partitioner = partitioner

    def run(self, program, arguments, stage):
        plan = program.executorch_program.execution_plan[0]
        names = {op.name + ("." + op.overload if op.overload else "") for op in plan.operators if not op.name.startswith("executorch_prim::")}
        missing = sorted(names - self.known)
        if missing:
            raise RuntimeError("the partitioner leaves %s, and this package has no kernel for it" % ", ".join(missing))
        return None
