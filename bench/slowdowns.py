"""What is slow where, and how repeatable that is: all recorded runs of timings. $OPCOMPAT_RUNS overrides where they are.

python bench/slowdowns.py [--worst 10]
Run `opcompat probe --timings --again` a second time (a third...) first: only what was timed more than once can be compared with itself.
"""

import argparse
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from math import exp, log
from statistics import median, quantiles

from rich.console import Console
from rich.table import Table

from opcompat import runfiles, timing
from opcompat.outcome import Clocked

console = Console(width=170, highlight=False, markup=False)


@dataclass(frozen=True)
class Ratio:
    """Quartiles of one run of a timing, and whether they say slow."""

    low: float
    middle: float
    high: float
    slow: bool


def recorded() -> dict[tuple[str, str], list[Ratio]]:
    """Return (target@version, timing id) -> its runs, oldest first."""
    known = {t.digest: t for t in timing.load()}
    found: dict[tuple[str, str], list[Ratio]] = {}
    for _, run, results in runfiles.read_runs(runfiles.timings_folder(runfiles.runs_folder()), Clocked):
        for r in results:
            if isinstance(r, Clocked) and len(r.subject_ms) > 1 and r.digest in known:
                t = known[r.digest]
                low, middle, high = timing.ratios(t.work, r.subject_ms, r.baseline_ms)
                found.setdefault((f"{run.target}@{run.version}", t.id), []).append(Ratio(low, middle, high, high < t.limit))
    return found


def table(title: str, *headings: str) -> Table:
    made = Table(box=None, pad_edge=False, title=title, title_justify="left")
    for heading in headings:
        made.add_column(heading)
    return made


def percent(ratios: Iterable[float]) -> tuple[str, str]:
    """Median and 95th percentile of relative differences."""
    values = sorted(ratios)
    return f"{median(values):.0%}", f"{quantiles(values, n=20)[-1]:.0%}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worst", type=int, default=10, help="how many slowdowns of each target to list")
    worst = parser.parse_args().worst
    known, found = {t.id: t for t in timing.load()}, recorded()
    verdicts = table(
        "timings with a limit: the latest run, and neighbouring runs of the same timing against each other", "target", "timed", "slow",
        "spread within a run: median", "95 %", "between runs: compared", "median", "95 %", "slow or not: flips", "said slow", "other run not below",
    )  # fmt: skip
    for target in sorted({t for t, _ in found}):
        runs = {name: r for (t, name), r in found.items() if t == target and known[name].limit}
        spread = percent((r[-1].high - r[-1].low) / r[-1].middle for r in runs.values())
        pairs = [(a, b) for r in runs.values() for a, b in pairwise(r)]
        between = percent(exp(abs(log(b.middle / a.middle))) - 1 for a, b in pairs) if len(pairs) > 1 else ("", "")
        flips = sum(a.slow != b.slow for a, b in pairs)
        said = [other.middle < known[name].limit for name, r in runs.items() for a, b in pairwise(r) for one, other in ((a, b), (b, a)) if one.slow]
        counts = (str(len(runs)), str(sum(r[-1].slow for r in runs.values())))
        verdicts.add_row(target, *counts, *spread, str(len(pairs)), *between, str(flips), str(len(said)), str(said.count(False)))
    console.print(verdicts)
    for target in sorted({t for t, _ in found}):
        listed = sorted((r[-1].middle / known[name].limit, name, r[-1]) for (t, name), r in found.items() if t == target and r[-1].slow)
        slow = table(
            f"\n{target}: the {min(worst, len(listed))} slowest of {len(listed)}, by how far they are below their limit",
            "x",
            "quartiles",
            "what",
            "than",
        )
        for _, name, r in listed[:worst]:
            slow.add_row(f"{r.middle:.2f}", f"{r.low:.2f} to {r.high:.2f}", known[name].what, known[name].than)
        console.print(slow)


if __name__ == "__main__":
    main()
