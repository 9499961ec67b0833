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
    ASIDE = ("due to its ONNX opset", "does not support a single Quantize/Dequantize node")  # of the whole model, of a lone node
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
        options = self.ort.SessionOptions()
        options.log_severity_level = 0  # the validator's reasons appear only there
        options.intra_op_num_threads = 1
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        options.add_provider_for_devices(self.devices, self.provider)
        if not self.options["float"] and any("float" in d for d in dtypes.values()):
            with open(model, "rb") as file:
                if b"QuantizeLinear" not in file.read():  # a QDQ graph is float at its ends only
                    raise CannotFeed("v68 has no float units; the host simulates them in float32, which says nothing of the chip")
        stage("compile")
        session = self.ort.InferenceSession(model, options)
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
        if reasons and "fallback to CPU EP has been explicitly disabled" in text:
            return " | ".join(reasons[:4])
        return " | ".join([*reasons[:4], text])

    def tidy(self, log):
        return "\n".join(line for line in log.splitlines() if "[E:" in line or "<E>" in line)
