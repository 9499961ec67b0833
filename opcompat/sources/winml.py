"""winml-cli's rule tables: what compiled and ran on six targets of Windows ML when its makers tried. https://github.com/microsoft/winml-cli

The wheel (MIT) says for three million combinations of conditions whether a model of one operator compiled, with the CPU switched off, and ran.
Its conditions are its own, so each model is made again with its own generators (`_winml_models.py`, in the wheel's environment) and our
signature function reads the facts. A few rows that answer alike are then made of many: see `_condense.py` and docs/audit/winml.md.
"""

import gzip
import hashlib
import json
import struct
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

from opcompat import env, model, relations, schema, signature
from opcompat.bare_onnx import pb
from opcompat.sources import SourceError, Table, header
from opcompat.sources._condense import Case, condense

SCRIPT = Path(__file__).with_name("_winml_models.py")
TARGETS = {
    "QNNExecutionProvider_NPU": ("ort-qnn/npu", "Qualcomm's NPU through ONNX Runtime's QNN execution provider"),
    "QNNExecutionProvider_GPU": ("ort-qnn/gpu", "Qualcomm's GPU through ONNX Runtime's QNN execution provider"),
    "OpenVINOExecutionProvider_NPU": ("ort-openvino/npu", "Intel's NPU through ONNX Runtime's OpenVINO execution provider"),
    "OpenVINOExecutionProvider_GPU": ("ort-openvino/gpu", "Intel's GPU through ONNX Runtime's OpenVINO execution provider"),
    "OpenVINOExecutionProvider_CPU": ("ort-openvino/cpu", "Intel's CPU through ONNX Runtime's OpenVINO execution provider"),
    "NvTensorRTRTXExecutionProvider_GPU": ("tensorrt-rtx/gpu", "NVIDIA's RTX GPUs through ONNX Runtime's TensorRT RTX execution provider"),
}
MAX_FRAME = 64 * 1024 * 1024
NOTES = {
    "supported": "compiled for the target alone and ran",
    "fallback": "did not compile for the target alone; ran with the CPU's help",
    "unsupported": "did not run, or did not even compile",
}
STATUS = {"s": "supported", "f": "fallback", "u": "unsupported"}
Facts = tuple[tuple[str, Any], ...]


class Source:
    NAME = "winml"
    ABOUT = "What winml-cli's rule tables report of Windows ML's targets; makes 900,000 models again, ten minutes of CPU time."
    LICENCE = ""
    SIZE_MB = 500
    PYTHON = "3.11"
    PACKAGES: ClassVar = {
        "winml-cli": "0.4.0", "onnx": "1.18.0", "onnxruntime": "1.24.4", "pyarrow": "23.0.1", "pandas": "2.3.3", "numpy": "2.2.6",
        "ml-dtypes": "0.5.4", "colorama": "0.4.6", "pydantic": "2.12.5", "tqdm": "4.67.1",
    }  # fmt: skip
    NO_DEPS = ("winml-cli",)
    NEEDS = ""
    DATE = "2026-10"

    def rows(self, environment: env.Environment, progress: Any) -> Iterator[Table]:
        """Yield header and rows for each target."""
        by_target: dict[str, dict[tuple[str, str], dict[Facts, str]]] = {t: {} for t in TARGETS}
        for head, all_facts, said in translated(environment, progress):
            facts = told(all_facts)
            operator = (head["domain"], head["op_type"])
            for target, letters in said.items():
                found = by_target[target].setdefault(operator, {})
                found[facts] = "".join(sorted({*found.get(facts, ""), *letters}))
        for folder, (target, about) in TARGETS.items():
            progress(f"condensing what is said of {target}")
            rows = []
            for (domain, op_type), answers in sorted(by_target[folder].items()):
                # equal facts, unequal outcomes: nothing is claimed, and the tree keeps them apart from what is
                cases = [Case(dict(facts), STATUS.get(letters, "")) for facts, letters in answers.items()]
                for status, when in condense(cases):
                    rows.append({"op_type": op_type, "domain": domain, "status": status, "when": when, "note": NOTES[status]})
            words = f"{about}: what compiled and ran on Windows ML when the makers of winml-cli tried; no numbers were compared."
            yield (
                f"winml-{target.replace('/', '-')}",
                header(
                    target, "reported", words, title="winml-cli's runtime check rules", publisher="Microsoft, winml-cli",
                    version=self.PACKAGES["winml-cli"], date=self.DATE, aliases=["winml", "windows-ml"],
                ),
                rows,
            )  # fmt: skip


def told(facts: Facts) -> Facts:
    """Leave out the values of float attributes, and whether they are spelled out: winml-cli itself reads its tables as true for any."""
    floats = {n.removesuffix(".explicit") for n, _ in facts if n.endswith(".explicit")}
    return tuple((n, v) for n, v in facts if n.removesuffix(".explicit") not in floats)


def kept(environment: env.Environment) -> Path:
    """Return the file in the cache that keeps what was translated; other facts or another wheel give another file."""
    code = b"".join(Path(str(m.__file__)).read_bytes() for m in (signature, relations, schema, model)) + SCRIPT.read_bytes()
    digest = hashlib.sha256(code + json.dumps(environment.packages, sort_keys=True).encode()).hexdigest()[:12]
    return env.cache() / "sources" / f"winml-{digest}"


def translated(environment: env.Environment, progress: Any) -> Iterator[tuple[dict[str, Any], Facts, dict[str, str]]]:
    """Yield (table, facts, what each target did: letters) of all models, operator by operator; what was translated before is read again."""
    folder = kept(environment)
    folder.mkdir(parents=True, exist_ok=True)
    done = {p.name for p in folder.glob("*.json.gz")}
    progress(f"{len(done)} tables were translated before")
    if not (folder / "complete").exists():
        for number, (head, rows) in enumerate(tables(environment, 1, sorted(n.removesuffix(".json.gz") for n in done)), len(done) + 1):
            path = folder / f"{name(head)}.json.gz"
            part = path.with_suffix(".part")
            with gzip.open(part, "wt") as file:
                json.dump([head, [[dict(facts), said] for facts, said in rows.items()]], file)
            part.replace(path)
            progress(f"{number} tables, {path.name.removesuffix('.json.gz')}: {head['models']} models, {len(rows)} combinations of facts")
        (folder / "complete").touch()
    for path in sorted(folder.glob("*.json.gz")):
        progress(f"reading {path.name.removesuffix('.json.gz')}")
        with gzip.open(path, "rt") as file:
            head, lines = json.load(file)
        for facts, said in lines:
            yield head, tuple(sorted(facts.items())), said


def name(head: dict[str, Any]) -> str:
    """Return the name of a table."""
    return f"{head['domain'] or 'ai.onnx'}-{head['op_type']}-{head['since_version']}{'-qdq' if head['quantised'] else ''}"


def tables(environment: env.Environment, every: int, but: list[str]) -> Iterator[tuple[dict[str, Any], dict[Facts, dict[str, str]]]]:
    """Yield (table, facts -> target -> letters) with every Nth model of each table, without those named in `but`."""
    head: dict[str, Any] = {}
    rows: dict[Facts, dict[str, str]] = {}
    for table, facts, letters in models(environment, every, but):
        if table is not head:
            if head:
                yield head, rows
            head, rows = table, {}
        if facts:
            found = rows.setdefault(facts, {})
            for target, letter in zip(head["targets"], letters, strict=True):
                if letter != "-" and letter not in found.get(target, ""):
                    found[target] = found.get(target, "") + letter
    if head:
        yield head, rows


def models(environment: env.Environment, every: int, but: list[str]) -> Iterator[tuple[dict[str, Any], Facts, str]]:
    """Yield (table, facts, a letter for each of its targets) of every Nth model of each table; once without facts where a table begins."""
    head: dict[str, Any] = {}
    for frame in frames([str(environment.python), "-I", str(SCRIPT), str(every), *but]):
        if frame.startswith(b"{"):
            head = {**json.loads(frame), "models": 0}
            yield head, (), ""
        else:
            head["models"] += 1
            cut = len(head["targets"])
            yield head, facts_of(frame[cut:], head), frame[:cut].decode()


def facts_of(serialized: bytes, head: dict[str, Any]) -> Facts:
    """Return the facts of the one node of the model that the table is about."""
    opened = model.of_proto(pb.ModelProto.FromString(serialized), "", "unused")
    node = next(n for n in opened.main.nodes if n.op_type == head["op_type"] and n.domain == head["domain"])
    return tuple(sorted(signature.signature(node).items()))


def frames(command: list[str]) -> Iterator[bytes]:
    """Yield what a command writes: frames, each behind its length. Raises SourceError if it fails."""
    with tempfile.TemporaryFile() as errors, subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors) as child:
        assert child.stdout is not None
        try:
            while len(head := child.stdout.read(4)) == 4:
                (size,) = struct.unpack("<I", head)
                if size > MAX_FRAME:
                    raise SourceError("winml-cli's generators sent something that is no model")
                yield child.stdout.read(size)
        except BaseException:
            child.kill()
            raise
        if child.wait():
            errors.seek(0)
            lines = errors.read().decode(errors="replace").strip().splitlines() or ["no word"]
            why = f"ended with code {child.returncode} ({lines[-1][:200]})"
            raise SourceError(f"winml-cli's generators {why}: what is done is kept, repeat the command")
