"""Results that travel: `opcompat export` packs what was recorded on one machine, `opcompat import` takes it in on another.

What arrives is somebody's word: it is validated, bounded, kept apart from our own runs, never instead of them, and unconfirmed until a second
host agrees (building.py counts hosts).
"""

import gzip
import hashlib
import json
import re
import tempfile
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, replace
from fnmatch import fnmatchcase
from pathlib import Path

from opcompat.outcome import Result, Run
from opcompat.runfiles import StoreError, contributed_folder, line_of, read_run, read_runs, replacing

MAX_BYTES = 50 << 20
"""Of a file of contributed results, unpacked."""
MAX_RESULTS = 100_000
MAX_TEXT = 8_000
"""Characters of one message, log or option."""
NAME = re.compile(r"[a-z0-9][a-z0-9-]{0,40}/[a-z0-9][a-z0-9.-]{0,40}")
VERSION = re.compile(r"[0-9A-Za-z][0-9A-Za-z.+_-]{0,60}")


class ExchangeError(Exception):
    """Results cannot be packed or taken in; the text is one sentence for the user."""


def export(runs: Path, out: Path, targets: Sequence[str] = ()) -> Counter[str]:
    """Write the results recorded in a folder for targets (globs; all for none) to one file; return results by target@version."""
    counts: Counter[str] = Counter()
    lines: list[bytes] = []
    for _, run, results in read_runs(runs):
        if results and (not targets or any(fnmatchcase(run.target, t) for t in targets)):
            lines += [line_of({"run": asdict(run)}), *(line_of(r) for r in results)]
            counts[f"{run.target}@{run.version}"] += len(results)
    if not counts:
        raise ExchangeError(f"nothing is recorded in {runs}" + (f" for {', '.join(targets)}" if targets else "") + ": opcompat probe records results")
    data = b"".join(lines)
    if len(data) > MAX_BYTES:
        raise ExchangeError(f"{len(data) >> 20} MB are more than the {MAX_BYTES >> 20} MB that an import takes: choose fewer targets with -t")
    with replacing(out) as part:
        part.write_bytes(gzip.compress(data, mtime=0))
    return counts


def take_in(path: Path, runs: Path, digests: Mapping[str, str]) -> tuple[Counter[str], int]:
    """Validate a file of results and keep it beside our own runs; return results by target@version, and how many are of unknown probes.

    digests: of every probe -> its id. Raises ExchangeError, keeping nothing, where anything in the file is not as a campaign writes it.
    """
    data = _unpacked(path)
    counts: Counter[str] = Counter()
    made: list[tuple[Run, list[Result]]] = []
    unknown = 0
    for run, results in _parts(path, data):
        kept = [r for r in results if digests.get(r.digest) == r.probe]
        unknown += len(results) - len(kept)
        if kept:
            made.append((run, kept))
            counts[f"{run.target}@{run.version}"] += len(kept)
    if not counts:
        raise ExchangeError(
            f"{path} holds no result of a probe that is known here ({unknown} of others): it may come from another version of opcompat"
        )
    for run, results in made:
        lines = b"".join([line_of({"run": asdict(replace(run, source="contributed"))}), *map(line_of, results)])
        name = f"{run.version}_{hashlib.sha256(lines).hexdigest()[:16]}.jsonl.gz"
        into = contributed_folder(runs) / run.target.replace("/", "_") / name
        if not into.exists():
            try:
                into.parent.mkdir(parents=True, exist_ok=True)
            except OSError as error:
                raise ExchangeError(f"{into.parent} cannot be made: {error.strerror}") from None
            with replacing(into) as part:
                part.write_bytes(gzip.compress(lines, mtime=0))
    return counts, unknown


def _unpacked(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with gzip.open(path) if packed else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise ExchangeError(f"{path} cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(data) > MAX_BYTES:
        raise ExchangeError(f"{path} is larger than {MAX_BYTES >> 20} MB unpacked, which is more than is taken in at once")
    return data


def _parts(path: Path, data: bytes) -> Iterator[tuple[Run, list[Result]]]:
    """Yield each run of a file with its results, read as run files are."""
    number = 0
    pieces = [p for p in re.split(rb'^(?=\{"run":)', data, flags=re.M) if p]
    for piece in pieces:
        with tempfile.TemporaryDirectory() as folder:
            alone = Path(folder) / "run.jsonl"
            alone.write_bytes(piece)
            try:
                read = read_run(alone)
            except (StoreError, RecursionError) as error:
                raise ExchangeError(f"{path}: {str(error).replace(f'{alone}, line', 'run ' + str(pieces.index(piece) + 1) + ', line')}") from None
        if read is None:
            raise ExchangeError(f"{path} is no file of results: `opcompat export` writes one")
        run, results = read
        number += len(results)
        if number > MAX_RESULTS:
            raise ExchangeError(f"{path} holds more than {MAX_RESULTS:,} results, which is more than is taken in at once")
        if not NAME.fullmatch(run.target) or not VERSION.fullmatch(run.version):
            raise ExchangeError(f"{path} speaks of a target {run.target[:60]!r} of version {run.version[:60]!r}: such names are not taken in")
        texts = [
            json.dumps(asdict(run)),
            *(t for r in results for t in (r.message, r.stderr, r.error_class, json.dumps(r.units), json.dumps(r.times_ms))),
        ]
        if any(len(t) > MAX_TEXT for t in texts):
            raise ExchangeError(f"{path} holds a text of more than {MAX_TEXT:,} characters, which no campaign writes")
        yield run, results


def summary(counts: Mapping[str, int]) -> str:
    """Say counts by target: `tract/cpu@0.23.9: 6,655 results`."""
    return ", ".join(f"{name}: {number:,} result{'s' * (number != 1)}" for name, number in sorted(counts.items()))
