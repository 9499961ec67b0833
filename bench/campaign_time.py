"""How long campaigns take, from the times recorded with every result: per target and probe, and for samples of all probes on all targets.

python bench/campaign_time.py [--cores 2]
The times are those inside the runtimes' calls of the newest version's campaigns (median and mean); starting processes and confirming crashes
alone comes on top (bench/probe_overhead.py). The base in use is opcompat's own; $OPCOMPAT_DB overrides it.
"""

import argparse
import json
from statistics import mean, median

from rich.console import Console
from rich.table import Table

from opcompat import probe
from opcompat.runfiles import database_path
from opcompat.store import Base

SHARES = (1, 5, 7, 20, 60, 100)


def main(cores: int) -> None:
    console = Console(width=140, highlight=False)
    every = probe.load()
    sizes = {share: len(probe.sample(every, share)) for share in SHARES}
    table = Table(box=None, pad_edge=False)
    for heading in ("target", "results", "median ms", "mean ms", *(f"--sample {s}: {n} probes, min" for s, n in sizes.items())):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    totals = dict.fromkeys(SHARES, 0.0)
    with Base(database_path()) as base:
        for target in base.versions():
            sql = "SELECT times_ms FROM results WHERE target = ? AND current"
            times = [sum(json.loads(row[0]).values()) for row in base.db.execute(sql, (target,))]
            minutes = {share: mean(times) * n / 60_000 for share, n in sizes.items()}
            for share, n in minutes.items():
                totals[share] += n
            table.add_row(target, str(len(times)), f"{median(times):.1f}", f"{mean(times):.1f}", *(f"{m:.1f}" for m in minutes.values()))
    table.add_row(f"all, on {cores} cores", "", "", "", *(f"{t / cores:.0f}" for t in totals.values()))
    console.print(table)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cores", type=int, default=2)
    main(parser.parse_args().cores)
