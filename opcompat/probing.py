"""`opcompat probe` and `opcompat status`: a campaign with its progress on the terminal."""

import tempfile
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.table import Table

from opcompat import building, campaign, env, probe, runfiles, store, timing
from opcompat import diff as differ
from opcompat.checker import CheckError
from opcompat.outcome import Result
from opcompat.probe import Probe
from opcompat.runtimes import is_timed, measured_targets, select, version


def _chosen(patterns: Sequence[str], timings: bool = False) -> list[tuple[str, Any]]:
    """Return (target, class) for patterns; timings: only those whose times mean something."""
    offered = [t for t, r in measured_targets().items() if not timings or is_timed(r)]
    chosen = [(t, r) for t, r in select(list(patterns)) if t in offered]
    if not chosen:
        raise CheckError(f"no {'timed' if timings else 'measured'} target matches {', '.join(patterns)}: there are {', '.join(offered)}")
    return chosen


def _probes(families: Sequence[str], sample: int, timings: bool = False) -> list[Probe]:
    where = timing.folder() if timings else probe.folder()
    known = probe.families(where)
    if unknown := [f for f in families if f not in known]:
        raise CheckError(f"unknown {'timing' if timings else 'probe'} family {unknown[0]!r}: there are {', '.join(known)}")
    everything = probe.load(families, where)
    return everything[::sample] if timings else probe.sample(everything, sample)


def _newest(chosen: Sequence[tuple[str, Any]], console: Console) -> list[tuple[str, Any]]:
    """Exchange runtimes for the newest versions the package index has, installed; say so, and why where that cannot be done."""
    found: dict[Any, Any] = {}
    for _, runtime in chosen:
        if runtime not in found:
            found[runtime] = runtime
            with console.status(f"looking for a newer {runtime.NAME}"):
                try:
                    newest = env.latest(runtime)
                    env.install(newest)
                    found[runtime] = newest
                except env.EnvError as error:
                    console.print(f"{runtime.NAME}: {error}", style="yellow", highlight=False, markup=False)
            console.print(
                f"{runtime.NAME}: {version(found[runtime])}" + (" is the newest" if found[runtime] is runtime else " is new"), highlight=False
            )
    return [(target, found[runtime]) for target, runtime in chosen]


def _print_changes(work: Sequence[campaign.Work], probes: Sequence[Probe], console: Console) -> int:
    """Print what changed in each new version against the one before it, from the run files; return how many verdicts flipped."""
    flips = 0
    with tempfile.TemporaryDirectory() as folder, console.status("comparing versions"):
        building.build(Path(folder) / "compat.db", runfiles.runs_folder(), runfiles.data_folder() / "claims", probes)
        with store.Base(Path(folder) / "compat.db") as base:
            for w in work:
                versions = base.versions().get(w.target, [])
                if w.before[0] and w.version in versions:
                    found = differ.diff(base, w.target, w.before[0], w.version)
                    flips += sum(differ.kind(c) != "changed" for c in found[-1])
                    Console().print("\n".join(differ.lines(*found)), highlight=False, markup=False, soft_wrap=True)
    return flips


def main(
    targets: Sequence[str],
    families: Sequence[str],
    due: bool,
    sample: int,
    jobs: int,
    timeout: float | None,
    latest: bool,
    expect_changes: bool,
    timings: bool,
) -> int:
    """Run what is due; return the exit code: 0, 1 where a new version (`latest`) changed a verdict, 2 where nothing chosen could run."""
    console = Console(stderr=True)
    chosen = _chosen(targets, timings)
    runs = runfiles.timings_folder(runfiles.runs_folder()) if timings else runfiles.runs_folder()
    if latest:
        chosen = _newest(chosen, console)
    with console.status("loading probes"):
        probes = _probes(families, sample, timings)
        work = campaign.plan(chosen, probes, runs, again=not due)
    counts: dict[str, Counter[str]] = {w.name: Counter() for w in work}
    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
        TextColumn("{task.fields[note]}"),
    )
    with Progress(*columns, console=console) as bars:
        oracle_bar = bars.add_task("reference answers", total=1, note="")
        tasks = {w.name: bars.add_task(w.name, total=len(w.probes), note=w.unavailable[:60], visible=not w.unavailable) for w in work}

        def note(target: str, result: Result | None) -> None:
            if result is not None:
                counts[target][result.outcome] += 1
                text = " ".join(f"{n} {o}" for o, n in counts[target].most_common())
                bars.update(tasks[target], advance=1, note=text)

        unavailable = campaign.run(
            work, runs, note, lambda done, total: bars.update(oracle_bar, completed=done, total=total), jobs, timeout, expect_changes
        )
    for target, reason in unavailable.items():
        console.print(f"{target}: unavailable: {reason}", style="yellow", highlight=False, markup=False)
    flips = _print_changes(work, probes, console) if latest and not timings else 0
    return 2 if len(unavailable) == len(work) else int(flips > 0)


def status(every: bool) -> None:
    """Print a line per target (and version: `every`): installed or why not, results recorded, and how many probes and timings are due."""
    console = Console()
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "version", "recorded", "stale", "due", "timings due", "state"):
        table.add_column(heading)
    with console.status("reading runs and probes"):
        probes = probe.load()
        work = campaign.plan(select(["*@*"] if every else []), probes, runfiles.runs_folder())
        clocked = campaign.plan(_chosen([], timings=True), timing.load(), runfiles.timings_folder(runfiles.runs_folder()))
    unclocked = {w.name: str(len(w.probes)) for w in clocked}
    for w in work:
        state = w.unavailable or ("up to date" if not w.probes else "due: opcompat probe --target " + (w.name if every else w.target))
        table.add_row(w.target, w.version, str(w.recorded), str(w.stale), str(len(w.probes)), unclocked.get(w.name, ""), state)
    console.print(table)
