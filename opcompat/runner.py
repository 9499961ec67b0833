"""The parent: feeds probes to a child, watches its stages, and decides what silence means. The child may die at any moment."""

import contextlib
import itertools
import json
import os
import selectors
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import deque
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast

import numpy as np
from onnx import TensorProto, helper

from opcompat.compare import Judgement, Reference, is_quantised, judge
from opcompat.outcome import STAGES, Clocked, Outcome, Placement, Result, Stage, group_message
from opcompat.probe import Array, Const, Graph, Probe, const, finish
from opcompat.timing import Timing

WORKER = Path(__file__).parent / "worker.py"
RUNTIMES = Path(__file__).parent / "runtimes"
AHEAD = 4
"""Jobs written before their turn, so that the child never waits for the parent."""

TIMEOUT_S = 60.0
"""Without an answer, where a runtime's file says nothing else."""

START_S = 300
"""Until a child that still imports its SDK is given up."""

SPREAD = 3
"""A refusal in the same words of so many operators may come from a process that is spoilt."""


class Unavailable(Exception):
    """The target cannot be driven here; the text is the reason."""


@dataclass
class Raw:
    """What one attempt left: outputs (none of a pass that is only declared), or a refusal, or the last stage before silence."""

    outputs: list[tuple[str, Array]] | None = None
    translated: list[tuple[str, Array]] | None = None
    """What the runtime file's own translation of the model computes, if it has one."""
    outcome: Outcome = "pass"
    stage: Stage = "compare"
    message: str = ""
    error_class: str = ""
    placement: Placement = "unknown"
    units: tuple[str, ...] = ()
    times_ms: dict[str, float] = field(default_factory=dict)
    stderr: str = ""
    samples: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """Milliseconds of a timing's two sides."""


def read_outputs(files: Sequence[Mapping[str, Any]]) -> list[tuple[str, Array]]:
    """Read and delete the output files that a worker wrote."""
    from opcompat.probe import np_dtype

    made: list[tuple[str, Array]] = []
    for spec in files:
        path = Path(spec["file"])
        if spec["dtype"] == "string":
            array = np.array(json.loads(path.read_text()), object).reshape(spec["shape"])
        else:
            array = np.fromfile(path, np_dtype(spec["dtype"])).reshape(spec["shape"])
        path.unlink()
        made.append((spec["dtype"], array))
    return made


class Child:
    """One worker process and the jobs it still owes. Use as a context manager: leaving kills it."""

    def __init__(self, runtime: Any, options: Mapping[str, Any], python: Path, scratch: Path):
        self.scratch, self.log = scratch, scratch / f"log-{time.monotonic_ns()}"
        self.temporary = scratch / f"tmp-{time.monotonic_ns()}"  # SDKs leave things there, and so does one that is killed
        self.temporary.mkdir()
        read, write = os.pipe()
        environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")}
        environment.update(PYTHONNOUSERSITE="1", OMP_NUM_THREADS="1", HF_HUB_OFFLINE="1", PYTHONDONTWRITEBYTECODE="1", TMPDIR=str(self.temporary))
        file = RUNTIMES / f"{runtime.__module__.rsplit('.', 1)[-1]}.py"
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [str(python), str(WORKER), str(file), runtime.__name__, str(write), json.dumps(dict(options))],
                stdin=subprocess.PIPE, stdout=log, stderr=log, pass_fds=[write], cwd=scratch, env=environment, start_new_session=True,
            )  # fmt: skip
        os.close(write)
        self.replies = os.fdopen(read, "rb", buffering=0)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.replies, selectors.EVENT_READ)
        self.buffer = b""
        self.hello: dict[str, Any] = {}

    def __enter__(self) -> "Child":
        return self

    def __exit__(self, *_: object) -> None:
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except (ProcessLookupError, PermissionError):
            self.process.kill()
        self.process.wait()
        self.selector.close()
        self.replies.close()
        if self.process.stdin:
            with contextlib.suppress(OSError):
                self.process.stdin.close()
        self.log.unlink(missing_ok=True)
        shutil.rmtree(self.temporary, ignore_errors=True)

    def send(self, number: int, probe: Probe) -> None:
        """Write one job; a dead child is noticed when its answer fails to come."""
        job = {"id": str(number), "scratch": str(self.scratch), "log": str(self.log), **self._side(str(number), probe)}
        job["op"] = "" if probe.focus is None else probe.op_type
        if isinstance(probe, Timing):
            job["baseline"] = self._side(f"{number}.baseline", probe.baseline)
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write((json.dumps(job) + "\n").encode())
            self.process.stdin.flush()

    def _side(self, name: str, probe: Probe) -> dict[str, Any]:
        """Write a model and its inputs to files; return the part of a job that tells where they are."""
        model = self.scratch / f"{name}.onnx"
        model.write_bytes(probe.model)
        inputs = []
        for index, (value, array) in enumerate(probe.inputs.items()):
            path = self.scratch / f"{name}.in{index}"
            if array.dtype.kind in "OU":
                path.write_text(json.dumps([str(s) for s in array.ravel()]))
            else:
                np.asarray(array, order="C").tofile(path)
            kind = next(i for i in probe.proto.graph.input if i.name == value).type.tensor_type.elem_type
            inputs.append({"name": value, "dtype": _dtype_name(kind), "shape": list(array.shape), "file": str(path)})
        outputs = probe.proto.graph.output
        kinds = [_dtype_name(o.type.tensor_type.elem_type) for o in outputs]
        return {"model": str(model), "inputs": inputs, "outputs": [o.name for o in outputs], "output_dtypes": kinds}

    def event(self, seconds: float) -> dict[str, Any] | None:
        """Return the next event, None when time runs out. Raises EOFError when the child is gone."""
        deadline = time.monotonic() + seconds
        while b"\n" not in self.buffer:
            left = deadline - time.monotonic()
            if left <= 0 or not self.selector.select(left):
                return None
            chunk = self.replies.read(1 << 16)
            if not chunk:
                raise EOFError
            self.buffer += chunk
        line, _, self.buffer = self.buffer.partition(b"\n")
        return cast(dict[str, Any], json.loads(line))

    def death(self) -> str:
        """Say how the child ended: signal name or exit status, and the last words on its log."""
        code = self.process.wait(timeout=10)
        how = signal.Signals(-code).name if code < 0 else f"exit status {code}"
        return f"the process died ({how})"

    def words(self) -> str:
        try:
            return self.log.read_bytes()[-1000:].decode("utf-8", "replace")
        except OSError:
            return ""


def _dtype_name(number: int) -> str:
    from opcompat.model import DTYPES

    return DTYPES.get(number, "unknown")


def scratch_folder() -> Path:
    """Make a folder for jobs, in memory where that can be; folders left by processes that were killed are removed."""
    where = Path("/dev/shm") if Path("/dev/shm").is_dir() else Path(tempfile.gettempdir())
    for left in where.glob("opcompat-*-*"):
        owner = left.name.split("-")[1]
        if owner.isdecimal() and not Path(f"/proc/{owner}").exists() and Path("/proc").is_dir():
            shutil.rmtree(left, ignore_errors=True)
    return Path(tempfile.mkdtemp(prefix=f"opcompat-{os.getpid()}-", dir=where))


class Target:
    """A target opened for probing: yields one Raw per probe whatever the child does."""

    def __init__(self, runtime: Any, options: Mapping[str, Any], python: Path, timeout: float = TIMEOUT_S, ahead: int = AHEAD):
        self.runtime, self.options, self.python, self.timeout = runtime, dict(options), python, timeout
        self.ahead, self.scratch = ahead, scratch_folder()
        self.numbers = itertools.count()
        self.versions: dict[str, str] = {}
        self.child_python = ""
        self.import_ms = 0.0

    def close(self) -> None:
        shutil.rmtree(self.scratch, ignore_errors=True)

    def __enter__(self) -> "Target":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def start(self) -> Child:
        """Return a child that said hello. Raises Unavailable with the SDK's reason."""
        child = Child(self.runtime, self.options, self.python, self.scratch)
        try:
            hello = child.event(max(self.timeout, START_S))
        except EOFError:
            death, words = child.death(), child.words()
            child.__exit__()
            raise Unavailable(f"{death} while starting: {words[-300:].strip()}") from None
        if hello is None or "unavailable" in hello:
            child.__exit__()
            raise Unavailable(hello["unavailable"] if hello else "no sign of life while starting")
        self.versions, self.child_python, self.import_ms = hello["hello"], hello["python"], hello["import_ms"]
        return child

    def raw(self, probes: Iterable[Probe]) -> Iterator[tuple[Probe, Raw, int, int]]:
        """Yield (probe, raw, attempts, agreeing attempts) in order of completion. Crashes and timeouts are confirmed alone first.

        Some runtimes corrupt the heap and die later: a probe that passes alone after its turn ended the child is run again followed by the
        canary, then its predecessor is. Whoever kills the process a second time is yielded (the predecessor once more) as the crash.
        Others live on and refuse whatever comes: where one refusal meets several operators, it is tried once more alone. If a fresh process
        takes what this one refused, all since the first such refusal are run alone and yielded once more, and the process ends.
        """
        todo = deque(probes)
        genuine: set[str] = set()
        while todo:
            previous: Probe | None = None
            answered: list[Probe] = []
            refused: dict[str, list[int]] = {}
            with self.start() as child:
                for probe, raw in self._batch(child, todo):
                    if raw.outcome not in ("crash", "timeout"):
                        yield probe, raw, 1, 1
                        previous = probe
                        answered.append(probe)
                        words = group_message(raw.message)
                        if raw.outcome != "fail" or words in genuine:
                            continue
                        where = refused.setdefault(words, [])
                        where.append(len(answered) - 1)
                        if len({answered[i].op_type for i in where}) < SPREAD:
                            continue
                        if self.alone([probe])[-1].outcome == "fail":
                            genuine.add(words)
                            continue
                        for doubted in answered[where[0] :]:
                            yield doubted, self.alone([doubted])[-1], 2, 1
                        break
                    again = self.alone([probe])[-1]
                    if again.outcome == raw.outcome:
                        yield probe, replace(again, stderr=raw.stderr or again.stderr), 2, 2
                    elif again.outcome in ("crash", "timeout"):
                        yield probe, again, 2, 1
                    else:
                        guilty = self._corrupter(previous, probe) if raw.outcome == "crash" else None
                        if guilty is None or guilty[0] is not probe:
                            yield probe, again, 2, 1 if raw.outcome == "timeout" else 2
                        if guilty is not None:
                            text = f"it runs, but what runs next in the same process dies ({guilty[1].message}): memory is corrupted"
                            yield guilty[0], Raw(outcome="crash", stage="run", message=text, stderr=guilty[1].stderr), 2, 2
                    break

    def _corrupter(self, previous: Probe | None, suspect: Probe) -> tuple[Probe, Raw] | None:
        """Find who corrupted the process in which `suspect`, though right alone, died: it itself, seen by what runs after it, or its predecessor."""
        canary = canaries(self.options.get("float") is False)[0]
        for first, then in ((suspect, canary), (previous, canary), (previous, suspect)):
            if first is not None:
                raws = self.alone([first, then])
                if raws[-1].outcome == "crash":
                    return first, raws[-1]
        return None

    def alone(self, probes: list[Probe]) -> list[Raw]:
        """Run a few probes in a fresh child of their own; the list ends with the first crash or timeout."""
        made = []
        with self.start() as child:
            for _, raw in self._batch(child, deque(probes)):
                made.append(raw)
                if raw.outcome in ("crash", "timeout"):
                    break
        return made

    def _batch(self, child: Child, todo: deque[Probe]) -> Iterator[tuple[Probe, Raw]]:
        """Feed one child until todo is empty or it goes silent; probes are taken off todo as they finish."""
        sent: deque[tuple[int, Probe]] = deque()
        while todo:
            while len(sent) < min(self.ahead, len(todo)):
                number = next(self.numbers)
                child.send(number, todo[len(sent)])
                sent.append((number, todo[len(sent)]))
            number, probe = sent[0]
            raw = self._wait(child, number)
            sent.popleft()
            todo.popleft()
            for path in self.scratch.glob(f"{number}.*"):  # folders too: some SDKs leave them beside a model
                shutil.rmtree(path, ignore_errors=True) if path.is_dir() else path.unlink(missing_ok=True)
            yield probe, raw
            if raw.outcome in ("crash", "timeout"):
                return

    def _wait(self, child: Child, number: int) -> Raw:
        stage: Stage = "start"
        deadline = time.monotonic() + self.timeout
        while True:
            try:
                event = child.event(deadline - time.monotonic())
            except EOFError:
                return Raw(outcome="crash", stage=stage, message=child.death(), stderr=self._local(child.words()))
            if event is None:
                return Raw(outcome="timeout", stage=stage, message=f"no answer within {self.timeout:g} s", stderr=self._local(child.words()))
            if "stage" in event:
                stage = event["stage"] if event["stage"] in STAGES else stage
            elif "done" in event:
                raw = _finished(event)
                return replace(raw, message=self._local(raw.message), stderr=self._local(raw.stderr))

    def _local(self, text: str) -> str:
        """Cut this machine's folders out of an SDK's words, which then are equal from run to run."""
        for folder in (self.scratch, self.python.parent.parent, WORKER.parent):
            text = text.replace(f"{folder}/", "")
        return text


def _read(files: Sequence[Mapping[str, Any]] | None) -> list[tuple[str, Array]] | None:
    return None if files is None else read_outputs(files)


def _finished(event: Mapping[str, Any]) -> Raw:
    done, times = event["done"], event["times"]
    if "failed" in done:
        outcome: Outcome = "broken" if done["broken"] else "fail"
        words = {"message": done["message"], "error_class": done["failed"], "stderr": event["stderr"]}
        return Raw(translated=_read(done["translated"]), outcome=outcome, stage=done["stage"], times_ms=times, **words)
    outputs = _read(done["outputs"])
    about = {"placement": done["about"]["placement"], "units": tuple(done["about"]["units"])}
    samples = done["samples"] and tuple(tuple(round(t, 4) for t in side) for side in done["samples"])
    return Raw(outputs, _read(done["translated"]), stage="compile" if outputs is None else "compare", times_ms=times, samples=samples, **about)


# ---- results -----------------------------------------------------------------------------------------------------------------------


def to_result(probe: Probe, raw: Raw, reference: Reference, precision: str | None, attempts: int, agreeing: int) -> Result:
    """Judge one raw answer. Where the oracles are in dispute an answer is `broken`: it can be neither right nor wrong.

    Of a timing's numbers only is asked that they are no nonsense, as float16 would have them: judging them finely is what probes are for.
    """
    if isinstance(probe, Timing):
        precision = precision or "float16"
    outcome, stage, message = raw.outcome, raw.stage, raw.message
    found = None

    def judged(outputs: list[tuple[str, Array]], precision: str | None) -> Judgement:
        assert reference.outputs is not None
        return judge(outputs, reference.outputs, quantised=is_quantised(probe.proto), precision=precision, own=probe.tolerance)

    if (raw.outputs is not None or raw.translated is not None) and reference.outputs is None:
        outcome, stage, message = "broken", "compare", reference.note
    elif raw.translated is not None and not (own := judged(raw.translated, None)).same:
        outcome, stage, message = "broken", "convert", f"the translation for this runtime is at fault: {own.message}"
    elif raw.outputs is not None:
        found = judged(raw.outputs, precision)
        outcome, message = ("pass", "") if found.same else ("wrong", found.message)
        if outcome == "pass" and raw.placement in ("fallback", "mixed"):
            message = f"ran on {', '.join(raw.units)}"
    result = Result(
        probe.id, probe.digest, outcome, stage, message, raw.error_class, raw.placement, raw.units,
        found.max_abs if found else None, found.max_rel if found else None, found.tolerance if found else "",
        "" if (raw.outputs, raw.outcome) == (None, "pass") else reference.oracle,
        raw.times_ms, attempts, agreeing, "" if outcome == "pass" else raw.stderr, datetime.now(UTC).isoformat(timespec="seconds"),
    )  # fmt: skip
    if isinstance(probe, Timing):
        subject, baseline = raw.samples if raw.samples and outcome == "pass" else ((), ())
        return Clocked(**vars(result), subject_ms=subject, baseline_ms=baseline)
    return result


def canaries(quantised: bool = False) -> tuple[Probe, Probe]:
    """Return the positive control (Relu must work, in a QDQ island where there is no float) and the negative one (no such operator exists)."""
    array = np.linspace(-1, 1, 32, dtype=np.float32).reshape(1, 2, 4, 4)
    graph = Graph()
    stored = (const(1 / 64), Const(np.asarray(128, np.uint8)))

    def store(value: str) -> str:
        return str(graph("DequantizeLinear", graph("QuantizeLinear", value, *stored), *stored)) if quantised else value

    end = store(graph("Relu", store("X")))
    good = Probe("canary/Relu", "canary", finish(graph, {"X": array}, [end], 13), {"X": array}, 0)
    return good, unary("NoSuchOperator", "opcompat.nowhere")


def unary(op_type: str, domain: str = "") -> Probe:
    """Return a negative control: one node with a float32 input, which checks of a model would not let pass."""
    node = helper.make_node(op_type, ["X"], ["Y"], domain=domain)
    array = np.linspace(-1, 1, 32, dtype=np.float32).reshape(1, 2, 4, 4)
    info = [helper.make_tensor_value_info(n, TensorProto.FLOAT, array.shape) for n in "XY"]
    opsets = {"": 13, **({domain: 1} if domain else {})}
    proto = helper.make_model(
        helper.make_graph([node], "probe", info[:1], info[1:]), opset_imports=[helper.make_opsetid(d, v) for d, v in opsets.items()]
    )
    proto.ir_version = 8
    return Probe(f"canary/{op_type}", "canary", proto, {"X": array}, 0)


def check_canaries(target: Target) -> None:
    """Run the controls; raise Unavailable if the target refuses what everyone can do or accepts what nobody, or it at least, can."""
    good, bad = canaries(target.options.get("float") is False)
    refuses = getattr(target.runtime, "REFUSES", "")
    raws = target.alone([good, bad, *([unary(refuses)] if refuses else [])])
    first = raws[0]
    if getattr(target.runtime, "EVIDENCE", "measured") == "declared":
        right = first.outcome == "pass"
    else:
        wanted = np.maximum(good.inputs["X"], 0)
        right = first.outputs is not None and np.allclose(first.outputs[0][1].astype(np.float32), wanted, atol=2e-2)
    if not right:
        raise Unavailable(f"the canary (Relu) failed at {first.stage}: {first.message[:300] or 'wrong numbers'}")
    if len(raws) > 1 and raws[1].outcome == "pass":
        raise Unavailable("the negative control (an operator that exists nowhere) was accepted, so acceptance proves nothing here")
    if refuses and [(r.outcome, r.stage) for r in raws[2:]] != [("fail", "compile")]:
        raise Unavailable(f"the negative control ({refuses}) was not refused by the SDK's own check, so acceptance proves nothing here")


if sys.platform == "win32":  # pragma: no cover
    raise ImportError("probing needs a POSIX system; checking does not")
