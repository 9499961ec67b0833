"""A probing campaign: which probes are due on which targets, run side by side, each result on disk as soon as it is final."""

import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from opcompat import __version__, env, oracle, runner
from opcompat.outcome import OWN_FAULT, Outcome, Result, Run
from opcompat.probe import Probe
from opcompat.runfiles import RunWriter, host, options_key, recorded, version_order
from opcompat.runtimes import version
from opcompat.timing import Timing

MANY, SHARE = 30, 0.05
"""So many verdicts that flip from one version to the next, if they are more than this share, raise an alarm."""


@dataclass(frozen=True)
class Work:
    """The probes due on one target, or the reason why none can run."""

    target: str
    runtime: Any
    """The class of runtimes/ that drives it, of the version to drive."""
    version: str
    probes: tuple[Probe, ...]
    recorded: int
    stale: int
    """Results kept of other options or probes than today's."""
    before: tuple[str, Mapping[str, Outcome]] = ("", {})
    """The newest version recorded so far and digest -> outcome, for a version that is newer still."""
    unavailable: str = ""

    @property
    def name(self) -> str:
        return f"{self.target}@{self.version}"


def recorded_options(runtime: Any, target: str) -> dict[str, Any]:
    """Return the options of a target as runs record them: with the revision of the file that drives it."""
    return {**runtime.TARGETS[target], "revision": runtime.REVISION}


def plan(targets: Sequence[tuple[str, Any]], probes: Sequence[Probe], runs: Path, again: bool = False) -> list[Work]:
    """Return what is due: probes without a result for the installed version and options of a target (`again`: all of them)."""
    done = recorded(runs, {name for name, _ in targets})
    work = []
    for name, runtime in targets:
        number = version(runtime)
        found = env.find(runtime)
        have = done.get((name, number, options_key(recorded_options(runtime, name))), {})
        due = tuple(p for p in probes if again or p.digest not in have)
        known = sum(p.digest in have for p in probes)
        kept = sum(len(digests) for (target, at, _), digests in done.items() if (target, at) == (name, number))
        newest = max((at for target, at, _ in done if target == name and at != number), key=version_order, default="")
        before: tuple[str, dict[str, Outcome]] = (newest, {})
        if newest and version_order(number) > version_order(newest):
            for (target, at, _), outcomes in done.items():
                before[1].update(outcomes if (target, at) == (name, newest) else {})
        reason = "" if found else f"{', '.join(env.pins(runtime))} is not installed: opcompat env {runtime.NAME}@{number}"
        work.append(Work(name, runtime, number, due, known, kept - known, before, reason))
    return work


def run(
    work: Sequence[Work],
    runs: Path,
    progress: Callable[[str, Result | None], None],
    oracle_progress: Callable[[int, int], None],
    jobs: int = 2,
    timeout: float | None = None,
    expect_changes: bool = False,
) -> dict[str, str]:
    """Run what is due, `jobs` targets at a time. Return target@version -> reason for those that are unavailable or were stopped.

    A version newer than all recorded is stopped when many verdicts flip at once against the newest: mostly it is the environment or the
    adapter that changed (`expect_changes`: go on). What was recorded stays.

    Timings disturb each other, so they run one target after the other, and only ONNX Runtime is asked for their answers: onnx's reference takes
    minutes for models of realistic size.

    timeout: seconds without an answer; None for what each runtime's file says. progress(target@version, result) is called for each result,
    and with None when a target is finished.
    """
    needed = list({p.digest: p for w in work if not w.unavailable for p in w.probes}.values())
    timings = any(isinstance(p, Timing) for p in needed)
    settled = oracle.references(needed, oracle_progress, ("ort",) if timings else tuple(oracle.ORACLES))
    stop = threading.Event()
    unavailable: dict[str, str] = {w.name: w.unavailable for w in work if w.unavailable}

    def one(w: Work) -> None:
        runtime = w.runtime
        found = env.find(runtime)
        if found is None or stop.is_set() or not w.probes:
            return
        options: Mapping[str, Any] = runtime.TARGETS[w.target]
        seconds: float = getattr(runtime, "TIMEOUT_S", runner.TIMEOUT_S) if timeout is None else timeout
        with runner.Target(runtime, options, found.python, seconds, 1 if timings else runner.AHEAD) as target:
            try:
                runner.check_canaries(target)
            except runner.Unavailable as error:
                unavailable[w.name] = str(error)
                return
            packages = {**target.versions, **found.packages, "python": target.child_python}
            about = Run(
                w.target,
                w.version,
                packages,
                recorded_options(runtime, w.target),
                host(),
                __version__,
                datetime.now(UTC).isoformat(timespec="seconds"),
            )
            flips = common = 0
            with RunWriter(about, runs) as writer:
                for probe, raw, attempts, agreeing in target.raw(w.probes):
                    result = runner.to_result(probe, raw, settled(probe), options.get("precision"), attempts, agreeing)
                    writer.write(result)
                    progress(w.name, result)
                    if stop.is_set():
                        return
                    if {result.outcome, was := w.before[1].get(result.digest, "broken")}.isdisjoint(OWN_FAULT):
                        common += 1
                        flips += (result.outcome == "pass") != (was == "pass")
                    if flips >= MANY and flips > SHARE * common and not expect_changes:
                        unavailable[w.name] = (
                            f"stopped: {flips} of {common} verdicts differ from {w.before[0]}; look at them with `opcompat diff` after "
                            "`opcompat build`, and if they are real, go on with --expect-changes"
                        )
                        return
                writer.pack()
        progress(w.name, None)

    with ThreadPoolExecutor(1 if timings else jobs) as pool:
        futures = [pool.submit(one, w) for w in work if not w.unavailable]
        try:
            for future in futures:
                future.result()
        except BaseException:
            stop.set()
            raise
    return unavailable
