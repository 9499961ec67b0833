"""What probing costs beyond the runtimes' own work: wall time of a campaign's loop / time inside the runtime's calls, target by target.

python bench/probe_overhead.py [TARGET...] [--families conv,shape,elementwise] [--step 10]
Runs each 10th probe of the families on every installed measured target, through what campaigns use, with reference answers made beforehand.
Start-up of children and the confirmation of crashes and timeouts are told apart. Exits 1 where a target is over the limit.
"""

import argparse
import tempfile
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table

from opcompat import __version__, env, oracle, probe, runner
from opcompat.outcome import Run
from opcompat.probe import Probe
from opcompat.runfiles import RunWriter, host
from opcompat.runtimes import select

LIMIT = 1.3
OWN = ("load", "convert", "compile", "run")


class Timed(runner.Target):
    """A target that adds up what starting children and confirming crashes and timeouts took."""

    def __init__(self, *arguments: Any):
        super().__init__(*arguments)
        self.starting = self.confirming = 0.0

    def start(self) -> runner.Child:
        started = time.perf_counter()
        try:
            return super().start()
        finally:
            self.starting += time.perf_counter() - started

    def alone(self, probes: list[Probe]) -> list[runner.Raw]:
        started, before = time.perf_counter(), self.starting
        try:
            return super().alone(probes)
        finally:
            self.confirming += time.perf_counter() - started - (self.starting - before)


@dataclass
class Measured:
    """Seconds of one target; the median is in milliseconds."""

    loop: float
    inside: float
    median_ms: float
    starting: float
    confirming: float
    outcomes: str


def measure(name: str, runtime: Any, probes: list[Probe], settled: Any, runs: Path) -> Measured | str:
    """Run the probes as a campaign does; return what it took, or why the target is unavailable."""
    found = env.find(runtime)
    if found is None:
        return "not installed"
    options = runtime.TARGETS[name]
    outcomes: Counter[str] = Counter()
    inside: list[float] = []
    with Timed(runtime, options, found.python) as target:
        try:
            runner.check_canaries(target)
        except runner.Unavailable as error:
            return str(error)
        about = Run(name, next(iter(runtime.PACKAGES.values()), ""), found.packages, dict(options), host(), __version__, "bench")
        target.starting = target.confirming = 0.0
        started = time.perf_counter()
        with RunWriter(about, runs) as writer:
            for one, raw, attempts, agreeing in target.raw(probes):
                writer.write(runner.to_result(one, raw, settled(one), options.get("precision"), attempts, agreeing))
                outcomes[raw.outcome] += 1
                inside.append(sum(raw.times_ms.get(s, 0) for s in OWN) / 1e3)
        wall = time.perf_counter() - started - target.starting - target.confirming
    counted = ", ".join(f"{n} {o}" for o, n in outcomes.most_common())
    return Measured(wall, sum(inside), 1e3 * median(inside), target.starting, target.confirming, counted)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("targets", nargs="*")
    parser.add_argument("--families", default="conv,shape,elementwise", type=lambda text: text.split(","))
    parser.add_argument("--step", default=10, type=int)
    chosen = parser.parse_args()
    console = Console(width=150)
    probes = [p for family in chosen.families for p in probe.load([family])[:: chosen.step]]
    settled = oracle.references(probes)
    table = Table(box=None, pad_edge=False, title=f"{len(probes)} probes of {', '.join(chosen.families)}; seconds", title_justify="left")
    for heading in ("target", "loop", "in runtime", "median ms", "beyond, ms/probe", "start-up", "confirming", "ratio", "", "outcomes"):
        table.add_column(heading)
    every: list[Measured] = []
    for name, runtime in select(chosen.targets):
        with tempfile.TemporaryDirectory() as runs:
            m = measure(name, runtime, probes, settled, Path(runs))
        if isinstance(m, str):
            console.print(f"{name}: left out: {m}", markup=False, highlight=False)
            continue
        every.append(m)
        seconds = (f"{m.loop:.2f}", f"{m.inside:.2f}", f"{m.median_ms:.1f}", f"{1e3 * (m.loop - m.inside) / len(probes):.1f}", f"{m.starting:.2f}")
        ratio = m.loop / m.inside
        table.add_row(name, *seconds, f"{m.confirming:.2f}", f"{ratio:.2f}", "ok" if ratio <= LIMIT else "OVER", m.outcomes)
    console.print(table)
    whole = sum(m.loop for m in every) / sum(m.inside for m in every)
    print(f"ratio = loop / in runtime (stages {', '.join(OWN)}), limit {LIMIT}; over all targets together {whole:.2f}")
    return int(any(m.loop / m.inside > LIMIT for m in every))


if __name__ == "__main__":
    raise SystemExit(main())
