"""Speed of the site: every kind of page over HTTP on this machine, against a trivial page of Datasette's own in the same session.

python bench/site_speed.py [RESULTS ...]      (default: the base as it is, then one multiplied to 1,000,000 results; needs the extra `site`)
The multiplied base is made in a temporary folder: every measured target several times, each copy with older versions before its oldest.
Ratios are medians, against the trivial page. Exits 1 where the 95th percentile of a kind of page misses its limit.
The base in use is opcompat's own; $OPCOMPAT_DB overrides it.
"""

import http.client
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median, quantiles
from urllib.parse import quote, urlencode

from rich.console import Console
from rich.table import Table

from opcompat import building, runfiles

ROUNDS = 40
LARGE, TARGETS = 1_000_000, 3
LIMIT_MS, LARGE_LIMIT_MS = 150, 300
TRIVIAL = "/compat/meta"


def multiply(base: Path, out: Path, results: int) -> None:
    """Write a base of about so many results: TARGETS times as many measured targets, and as many older versions of each as that takes."""
    shutil.copy(base, out)
    with sqlite3.connect(out, isolation_level=None) as db:

        def columns(table: str, **replaced: str) -> str:
            return ", ".join(replaced.get(name, f'"{name}"') for _, name, *_ in db.execute(f"PRAGMA table_info({table})"))

        db.execute("PRAGMA journal_mode = OFF")
        db.execute("PRAGMA synchronous = OFF")
        db.execute("BEGIN")
        for copy in range(2, TARGETS + 1):
            name = f"target || '-copy{copy}'"
            shift = db.execute("SELECT MAX(release) FROM releases").fetchone()[0]
            here = "target NOT LIKE '%-copy%' AND target IN (SELECT target FROM releases)"
            releases = f"release IN (SELECT release FROM releases WHERE {here})"
            device = f"device || '-copy{copy}'"
            db.execute(f"INSERT INTO targets SELECT {columns('targets', target=name, device=device)} FROM targets WHERE {here}")
            db.execute(f"INSERT INTO measurements SELECT {columns('measurements', release=f'release + {shift}')} FROM measurements WHERE {releases}")
            db.execute(f"INSERT INTO releases SELECT {columns('releases', release=f'release + {shift}', target=name)} FROM releases WHERE {here}")
            db.execute(f"INSERT INTO runs SELECT {columns('runs', run='NULL', target=name)} FROM runs WHERE {here}")
            db.execute(f"INSERT INTO spans SELECT {columns('spans', target=name)} FROM spans WHERE {here}")
            here = here.replace("target NOT", "measured_on NOT").replace("target IN", "measured_on IN")
            measured_on = columns("contradictions", measured_on=name.replace("target", "measured_on"))
            db.execute(f"INSERT INTO contradictions SELECT {measured_on} FROM contradictions WHERE {here}")
        number = 0
        while db.execute("SELECT COUNT(*) FROM measurements").fetchone()[0] < results:
            number += 1
            version = f"0.{100_000 - number}"
            for target, oldest, place in db.execute("SELECT target, release, MIN(position) FROM releases GROUP BY target").fetchall():
                release = db.execute("SELECT MAX(release) + 1 FROM releases").fetchone()[0]
                db.execute("INSERT INTO releases VALUES (?, ?, ?, ?, 0, NULL, NULL)", (release, target, version, place - 1))
                taken = columns("measurements", release=str(release))
                db.execute(f"INSERT INTO measurements SELECT {taken} FROM measurements WHERE release = {oldest}")
                db.execute("UPDATE spans SET first = ? WHERE target = ? AND number = 0", (version, target))
        db.execute("DELETE FROM counts")
        db.execute(building.COUNT)
        db.execute("COMMIT")
        db.execute("ANALYZE")
        db.execute("VACUUM")


def pages(base: Path) -> dict[str, list[str]]:
    """Return kind of page -> addresses, ROUNDS of each, no two alike where the base has that many; the largest of a kind are among them."""
    with sqlite3.connect(base) as db:

        def some(sql: str) -> list[tuple[str, ...]]:
            found = db.execute(sql).fetchall()
            return (found[:10] + random.Random(0).sample(found[10:], min(len(found[10:]), ROUNDS)))[:ROUNDS]

        operators = some("SELECT COALESCE(NULLIF(domain, ''), 'ai.onnx'), op_type FROM probes GROUP BY domain, op_type ORDER BY COUNT(*) DESC")
        targets = some("SELECT target FROM releases GROUP BY target ORDER BY COUNT(*) DESC, target")
        releases = some("SELECT target, version FROM releases ORDER BY release")
        pairs = some("SELECT target, after, version FROM changes GROUP BY 1, 2, 3 ORDER BY COUNT(*) DESC")
        probes = some("SELECT probe FROM spans JOIN probes USING (probe_id) GROUP BY probe_id ORDER BY COUNT(*) DESC")
        documents = some("SELECT target, kind FROM contradictions GROUP BY 1, 2 ORDER BY COUNT(*) DESC")
        words = [*(op_type for _, op_type in operators), "not supported", "rank", "shape", "float16", "dynamic", "kernel", "qnn", "group"]
    at = {"operator": [quote(f"/operator/{domain}/{op_type}") for domain, op_type in operators]}
    return {
        "start": ["/"],
        "start, filtered": [f"/?{urlencode({'target': target, 'version': 'all'})}" for (target,) in targets],
        "operator": at["operator"],
        "operator, filtered": [f"{page}?verdict=trouble&at={quote(f'{t}@{v}')}" for page, (t, v) in zip(at["operator"], releases, strict=False)],
        "target": [quote(f"/target/{target}") for (target,) in targets],
        "target, at a version": [f"{quote(f'/target/{target}')}?version={version}" for target, version in releases],
        "probe": [quote(f"/probe/{probe}") for (probe,) in probes],
        "changes": ["/changes"],
        "changes of two versions": [f"/changes?{urlencode({'target': t, 'from': old, 'to': new})}" for t, old, new in pairs],
        "changes, Atom": ["/changes.atom", *(f"/changes.atom?target={quote(target)}" for (target,) in targets)],
        "contradictions": ["/contradictions", *(f"/contradictions?{urlencode({'target': t, 'kind': kind})}" for t, kind in documents)],
        "search": [f"/search?q={quote(word)}" for word in words],
        "question: what broke": [f"/compat/what_broke?target={quote(target)}" for (target,) in targets],
    }


def processor(pid: int) -> float:
    """Return the milliseconds that a process has computed so far; on a busy machine they are steadier than the wall's. 0 where nobody tells."""
    try:
        return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e6
    except OSError:
        return 0


def race(base: Path) -> dict[str, list[tuple[float, float, float]]]:
    """Return kind -> milliseconds of its pages: by the wall, of the processor, and by the wall for the trivial page asked right after it."""
    command = [sys.executable, "-m", "opcompat.cli", "serve", "--port", "0"]
    kinds = pages(base)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env={**os.environ, "OPCOMPAT_DB": str(base)}) as server:
        try:
            assert server.stdout
            connection = http.client.HTTPConnection("127.0.0.1", int(server.stdout.readline().split("127.0.0.1:")[1].split("/")[0]), timeout=60)

            def milliseconds(address: str) -> tuple[float, float]:
                computed, started = processor(server.pid), time.perf_counter()
                connection.request("GET", address)
                answer = connection.getresponse()
                answer.read()
                taken = 1000 * (time.perf_counter() - started)
                if answer.status != 200:
                    raise SystemExit(f"{address}: HTTP status {answer.status}")
                return taken, processor(server.pid) - computed

            for address in [TRIVIAL, *(addresses[0] for addresses in kinds.values())] * 2:
                milliseconds(address)
            found: dict[str, list[tuple[float, float, float]]] = {kind: [] for kind in kinds}
            for turn in range(ROUNDS):
                for kind, addresses in kinds.items():
                    found[kind].append((*milliseconds(addresses[turn % len(addresses)]), milliseconds(TRIVIAL)[0]))
            return found
        finally:
            server.terminate()


def report(base: Path, limit: float) -> bool:
    """Print a table of one base; say whether every limit was met."""
    with sqlite3.connect(base) as db:
        results, targets, versions = db.execute(
            "SELECT (SELECT COUNT(*) FROM measurements), COUNT(DISTINCT target), COUNT(*) FROM releases"
        ).fetchone()
    table = Table("page", "median", "p95 ms", "limit", "processor p95", "ratio", "quartiles")
    met = True
    for kind, taken in race(base).items():
        walls, computed, ratios = [wall for wall, *_ in taken], [cpu for _, cpu, _ in taken], [wall / trivial for wall, _, trivial in taken]
        p95, (low, _, high) = quantiles(walls, n=20)[-1], quantiles(ratios, n=4)
        met &= p95 < limit
        colour = "green" if p95 < limit else "red"
        figures = (f"{median(walls):.0f}", f"[{colour}]{p95:.0f}", f"{limit:.0f}", f"{quantiles(computed, n=20)[-1]:.0f}", f"{median(ratios):.1f}")
        table.add_row(kind, *figures, f"{low:.1f} to {high:.1f}")
    console = Console()
    console.print(
        f"{results:,} results, {targets} measured targets, {versions} versions; {base.stat().st_size / 1e6:.1f} MB; load {os.getloadavg()[0]:.1f}"
    )
    console.print(table)
    return met


def main() -> int:
    base, met = runfiles.database_path(), []
    sizes = [int(size) for size in sys.argv[1:]] or [0, LARGE]
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            used = base
            if size:
                used = Path(folder) / f"{size}.db"
                multiply(base, used, size)
            met.append(report(used, LARGE_LIMIT_MS if size else LIMIT_MS))
    return 0 if all(met) else 1


if __name__ == "__main__":
    sys.exit(main())
