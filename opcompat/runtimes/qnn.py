"""Qualcomm QNN HTP through ONNX Runtime's QNN provider on the host: Qualcomm's own validator, offline finaliser and numeric simulation.

CPU fallback is off, so a session that opens ran wholly on QNN. No device is involved: acceptance is the compiler's word. On v68 float
operators would be simulated in float32, which the chip cannot do: only integer and QDQ models are tried there. https://onnxruntime.ai/docs/execution-providers/QNN-ExecutionProvider.html
"""

import os
import re

import numpy as np

_SOC = {"v68": "30", "v69": "36", "v73": "43", "v75": "57", "v81": "87"}


_REASONS = (
    r"(QNNExecutionProvider cannot be used with this model due to its ONNX opset[^\x1b\n]*)",
    r"(QNN EP does not support a single Quantize/Dequantize node[^\x1b\n]*)",
    r"(backendValidateOpConfig\(\) failed for node `[^`]*` of type `\w+` with error code \d+)",
    r"(Failed to pre-register [^\x1b\n]*)",
    r"REASON *: *([^\x1b\n]*)",
    r"(Cannot get shape[^\x1b\n]*)",
    r"<E> ([^\x1b\n]*)",
)
_OF_THE_EDGE = (  # what is said of float64 and the like at a graph's ends
    *("backendValidateOpConfig", "Failed to add node", "Failed to create", "Failed to pre-register"),
    *("Unsupported FP64 data type in graph IO", "Operators of type `Dropout`"),
)
_QUANTIZE = b'"\x0eQuantizeLinear'  # the operator as protobuf writes it, not DynamicQuantizeLinear
_CAST_TO_FLOAT = (b"\n\x02to\x18\x01", b"\n\x02to\x18\n")  # the attribute `to` of float32 and float16
_AFFINITY = "filtered off QNN by the op_affinity provider option"


class CannotFeed(Exception):
    pass


class Runtime:
    NAME = "qnn"
    ALIASES = ("hexagon", "qualcomm", "onnxruntime-qnn")
    HIDDEN = False
    REVISION = 1
    PYTHON = "3.11"
    PACKAGES = {"onnxruntime-qnn": "2.7.0", "onnxruntime": "1.32.0"}
    OLDER = (
        {"PACKAGES": {"onnxruntime-qnn": "2.5.0", "onnxruntime": "1.28.0"}},
        {"PACKAGES": {"onnxruntime-qnn": "2.3.0", "onnxruntime": "1.26.0"}},
    )
    LICENCE = "Qualcomm AI Stack License (the QNN libraries inside the onnxruntime-qnn wheel; see its Qualcomm_LICENSE file)"
    SIZE_MB = 464
    NEEDS = ""
    TARGETS = {
        "qnn/htp-" + arch: {"htp_arch": arch[1:], "soc_model": soc, "precision": "float16", "float": arch != "v68"} for arch, soc in _SOC.items()
    }
    # of the whole model, of a lone node
    ASIDE = ("due to its ONNX opset", "does not support a single Quantize/Dequantize node", "at the graph's edge")
    ABOUT = "QNN HTP compiler and simulator for v68 (SM8350) to v81 (SM8850), float16 precision, CPU fallback off."

    def __init__(self, options):
        import onnxruntime
        import onnxruntime_qnn

        self.ort, self.options = onnxruntime, options
        self.qnn_version = onnxruntime_qnn.__version__
        onnxruntime.set_default_logger_severity(4)
        provider = "QNNExecutionProvider"
        onnxruntime.register_execution_provider_library(provider, onnxruntime_qnn.get_library_path())
        self.devices = [d for d in onnxruntime.get_ep_devices() if d.ep_name == provider]
        if not self.devices:
            raise RuntimeError("the QNN provider offers no device on this machine")
        self.provider = {
            "backend_path": os.path.join(os.path.dirname(onnxruntime_qnn.__file__), "libQnnHtp.so"),
            "htp_arch": options["htp_arch"],
            "soc_model": options["soc_model"],
            "enable_htp_fp16_precision": "1",
            "offload_graph_io_quantization": "0",
        }

    def versions(self):
        return {"onnxruntime-qnn": self.qnn_version, "onnxruntime": self.ort.__version__}

    def probe(self, model, inputs, dtypes, outputs, stage):
        self.edge = ""
        options = self.ort.SessionOptions()
        options.log_severity_level = 0  # the validator's reasons appear only there
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.add_provider_for_devices(self.devices, self.provider)
        if not self.options["float"]:
            with open(model, "rb") as file:
                text = file.read()
            floats = any("float" in d for d in dtypes.values()) or any(cast in text for cast in _CAST_TO_FLOAT)
            if floats and _QUANTIZE not in text:  # a QDQ graph is float at its ends only
                raise CannotFeed("v68 has no float units; the host simulates them in float32, which says nothing of the chip")
        self.edge = self._edge({d for name, d in dtypes.items() if name not in outputs}, [dtypes[name] for name in outputs])
        stage("compile")
        session = self.ort.InferenceSession(model, options)
        self.edge = ""
        session.disable_fallback()
        units = sorted({str(g.ep_name) for g in session.get_provider_graph_assignment_info()})
        stage("run")
        names = [i.name for i in session.get_inputs()]
        for dtype in (dtypes[name] for name in names):  # only now: most such models are refused, which is an answer
            if dtype not in ("string", "bool") and not hasattr(np, dtype):
                raise CannotFeed("the Python binding takes no %s input" % dtype)
        made = session.run(outputs, {name: inputs[name] for name in names})
        placement = "native" if units in ([], ["QNNExecutionProvider"]) else "mixed"  # Shape of a known shape is folded, nothing is placed
        return list(made), {"placement": placement, "units": units or ["no node is left of it"]}

    def _edge(self, ins, outs):
        """Name what a model has at its edge that is refused there only; between other nodes the same node is taken, which docs/audit/qnn.md shows."""
        if "float64" in ins or "float64" in outs:
            return "float64"  # inside a graph it is computed in float16
        taken = {"float32", "float16", "bool", "uint8", "int32", "int64"}
        if self.op in ("Cast", "CastLike", "Gather", "GatherND") and "int64" in outs and ins <= taken:
            return "an int64 result"  # inside a graph it is an int32
        if self.op == "Identity" or (self.op == "Dropout" and len(outs) == 1):
            return "a node that ONNX Runtime takes out"
        return "a float16 input" if self.op == "MatMulNBits" and "float16" in ins else ""

    def explain(self, error, log):
        """ORT only says that nodes were left over; the validator's reasons are in the verbose log."""
        lines = [line for line in log.splitlines() if not re.search(r"`Transpose(_token_\d+)?`|\(Transpose\)", line)] or log.splitlines()
        found = re.findall("|".join(_REASONS), "\n".join(lines))
        reasons = list(dict.fromkeys(next(filter(None, f)).strip()[:300] for f in found if any(f)))
        if any("backendValidateOpConfig" in r for r in reasons):
            reasons = [r for r in reasons if not r.startswith("Failed to add node")]
        lone = "does not support a single Quantize/Dequantize node"  # said too of those left over when the operator between them is refused
        reasons = [r for r in reasons if lone not in r] or reasons
        text = str(error)
        if self.edge and "Load model from" not in text and all(r.startswith(_OF_THE_EDGE) for r in reasons[:1]):
            text = "%s at the graph's edge" % self.edge
        if reasons and _AFFINITY in reasons[0]:
            allow = '{"op_type": {"%s": "htp"}}' % self.op
            return "%s It is off by default; op_affinity names a JSON file, and %s in it lets HTP take it." % (reasons[0], allow)
        if reasons and "fallback to CPU EP has been explicitly disabled" in text:
            return " | ".join(reasons[:4])
        return " | ".join([*reasons[:4], text])

    def tidy(self, log):
        return "\n".join(line for line in log.splitlines() if "[E:" in line or "<E>" in line)
