"""Run files (append-only, the truth) and compat.db (their product): the only SQL of the package. docs/database.md describes the tables.

A run file is JSON lines: a header with the circumstances, then one result a line, each written with a single append, so that a killed
campaign loses at most the line it was writing.
"""

import gzip
import json
import os
import platform
import re
import sqlite3
import time
import zlib
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, replace
from functools import lru_cache
from pathlib import Path
from statistics import median
from typing import Any

from opcompat.outcome import OWN_FAULT, Clocked, Outcome, Result, Run, group_message
from opcompat.predict import Claim, Evidence, Timed, causes, judge_claims, trusted

SCHEMA_VERSION = 4
DOCUMENTED = ("declared", "reported", "claimed")
"""Kinds of evidence that are tables and no runs, the strongest first."""
MAX_RUN_FILE_BYTES = 200 << 20


class StoreError(Exception):
    """Recorded data cannot be used; the text is one sentence for the user."""


# ---- where things lie ----------------------------------------------------------------------------------------------------------------


def data_folder() -> Path:
    """Return the folder of recorded data: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent
    return here.parent / "data" if is_checkout() else here / "_data"


def is_checkout() -> bool:
    """Say whether this is a checkout, which holds all recorded runs and claims, and not an installed package, which holds their product only."""
    return not (Path(__file__).parent / "_data").is_dir()


def database_path() -> Path:
    """Return the compat.db in use; $OPCOMPAT_DB overrides the one that ships with the package."""
    return Path(os.environ.get("OPCOMPAT_DB") or data_folder() / "compat.db")


def runs_folder() -> Path:
    """Return where new runs are written: data/runs of a checkout, else a folder of the user's; $OPCOMPAT_RUNS overrides both."""
    if chosen := os.environ.get("OPCOMPAT_RUNS"):
        return Path(chosen)
    if is_checkout():
        return data_folder() / "runs"
    import platformdirs

    return Path(platformdirs.user_data_dir("opcompat")) / "runs"


def timings_folder(runs: Path) -> Path:
    """Return where timings are recorded, beside the targets' own folders: their lines have more than results."""
    return runs / "timings"


def contributed_folder(runs: Path) -> Path:
    """Return where results of other people's machines are kept, apart from our own."""
    return runs / "contributed"


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Yield a file to write that becomes `out` when all went well; an older `out` is kept otherwise. Raises StoreError where the disk refuses it."""
    if out.exists() and not out.is_file():
        raise StoreError(f"{out} is not a regular file: choose another place to write to")
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(out)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


# ---- run files -----------------------------------------------------------------------------------------------------------------------


def host() -> dict[str, Any]:
    """Describe this machine as far as it may decide a result: OS, architecture, CPU model and the vector extensions it has."""
    flags: list[str] = []
    model = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text()
        if found := re.search(r"^model name\s*:\s*(.*)$", text, re.M):
            model = found[1]
        if found := re.search(r"^flags\s*:\s*(.*)$", text, re.M):
            flags = sorted(f for f in found[1].split() if f.startswith(("avx", "amx", "fma", "sse4", "vnni")))
    except OSError:
        pass
    system = platform.system()
    if system == "Linux":
        with suppress(OSError):
            system = platform.freedesktop_os_release()["PRETTY_NAME"]
        system += ", " + " ".join(platform.libc_ver())
    return {"os": system, "arch": platform.machine(), "cpu": model, "flags": " ".join(flags), "threads": 1}


def line_of(body: Mapping[str, Any] | Result) -> bytes:
    """Return a line of a run file; of a result, what is not empty or as usual."""
    if isinstance(body, Result):
        body = {k: v for k, v in asdict(body).items() if v not in (None, "", (), {}) and (k not in ("attempts", "agreeing") or v != 1)}
    return (json.dumps(body, separators=(",", ":")) + "\n").encode()


def _subfolder(target: str) -> str:
    return target.replace("/", "_")


class RunWriter:
    """Appends results to a new run file, made when the first result arrives."""

    def __init__(self, run: Run, folder: Path):
        stamp = re.sub(r"[^0-9T]", "", run.started)
        self.path = folder / _subfolder(run.target) / f"{run.version}_{stamp}_{os.getpid()}_{time.monotonic_ns():x}.jsonl"
        self.run, self.descriptor = run, -1

    def write(self, result: Result) -> None:
        """Append one result. Raises StoreError where the disk refuses it."""
        try:
            if self.descriptor < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
                self._line({"run": asdict(self.run)})
            self._line(result)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error.strerror}): results up to here are kept, free the disk and run again") from None

    def _line(self, body: Mapping[str, Any] | Result) -> None:
        data = line_of(body)
        if os.write(self.descriptor, data) != len(data):
            raise OSError(28, "disk full")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def pack(self) -> None:
        """Compress a file that is complete; a torn or unpacked file is read as well."""
        self.close()
        if self.path.exists():
            packed = self.path.with_name(self.path.name + ".gz")
            with replacing(packed) as part:
                part.write_bytes(gzip.compress(self.path.read_bytes(), mtime=0))
            self.path.unlink()

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_run(path: Path, kind: type[Result] = Result) -> tuple[Run, list[Result]] | None:
    """Return a run file's header and results; a torn last line is left out. Raises StoreError naming file and line where it is not valid."""
    from pydantic import TypeAdapter, ValidationError

    packed = path.with_name(f"{path.name}.gz")
    if not path.exists() and packed.exists():  # meanwhile, by the campaign that wrote it
        path = packed
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_RUN_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    if len(data) > MAX_RUN_FILE_BYTES:
        raise StoreError(f"{path} is larger than {MAX_RUN_FILE_BYTES >> 20} MB: no run file is")
    lines = data.split(b"\n")
    torn = lines.pop()
    if not lines:
        return None
    number = 1
    try:
        head = TypeAdapter(dict[str, Run]).validate_json(lines[0])
        adapter = TypeAdapter(kind)
        results = []
        for line in lines[1:]:
            number += 1
            results.append(adapter.validate_json(line))
        return head["run"], results
    except (ValidationError, KeyError, ValueError) as error:
        first = str(error).splitlines()[0] if not isinstance(error, ValidationError) else error.errors()[0]["msg"]
        raise StoreError(
            f"{path}, line {number}: not a valid {'result' if number > 1 else 'run header'} ({first}){' and torn' if torn else ''}"
        ) from None


def read_runs(folder: Path, kind: type[Result] = Result, targets: Iterable[str] | None = None) -> Iterator[tuple[Path, Run, list[Result]]]:
    """Yield every run of a folder (or of those targets), oldest first."""
    found = []
    wanted = ["*"] if targets is None else [_subfolder(t) for t in targets]
    packed = {p for name in wanted for p in folder.glob(f"{name}/*.jsonl.gz")}
    loose = {
        p for name in wanted for p in folder.glob(f"{name}/*.jsonl") if p.with_name(f"{p.name}.gz") not in packed
    }  # killed between packing one and removing it
    for path in sorted(packed | loose):
        if (read := read_run(path, kind)) is not None:
            found.append((read[0].started, path.name, path, *read))
    for _, _, path, run, results in sorted(found, key=lambda f: f[:2]):
        yield path, run, results


def options_key(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def recorded(folder: Path, targets: Iterable[str]) -> dict[tuple[str, str, str], dict[str, Outcome]]:
    """Return (target, version, options) -> digest -> outcome of the probes of these targets that have a final result there."""
    done: dict[tuple[str, str, str], dict[str, Outcome]] = {}
    for _, run, results in read_runs(folder, targets=targets):
        keys = done.setdefault((run.target, run.version, options_key(run.options)), {})
        keys.update({r.digest: r.outcome for r in results if r.outcome != "unavailable"})
    return done


def version_order(version: str) -> tuple[Any, str]:
    """Sort key for version strings; what is no version comes first."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version


# ---- building the database ---------------------------------------------------------------------------------------------------------

_SCHEMA = """
CREATE TABLE targets (
  target TEXT PRIMARY KEY, runtime TEXT NOT NULL, device TEXT NOT NULL, evidence TEXT NOT NULL, newest TEXT NOT NULL, options TEXT NOT NULL,
  about TEXT NOT NULL, aliases TEXT NOT NULL, requires TEXT, related TEXT NOT NULL, fallback TEXT, source TEXT NOT NULL, last_run TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE releases (
  release INTEGER PRIMARY KEY, target TEXT NOT NULL REFERENCES targets(target), version TEXT NOT NULL, position INTEGER NOT NULL,
  current INTEGER NOT NULL, UNIQUE (target, version)
);
CREATE TABLE probes (
  probe_id INTEGER PRIMARY KEY, probe TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, family TEXT NOT NULL, domain TEXT NOT NULL,
  op_type TEXT NOT NULL, opset INTEGER NOT NULL, since_version INTEGER, context INTEGER NOT NULL, oracle TEXT NOT NULL,
  disputed INTEGER NOT NULL, facts TEXT NOT NULL, model BLOB NOT NULL
);
CREATE TABLE runs (
  run INTEGER PRIMARY KEY, target TEXT NOT NULL REFERENCES targets(target), version TEXT NOT NULL, packages TEXT NOT NULL, options TEXT NOT NULL,
  host TEXT NOT NULL, opcompat TEXT NOT NULL, started TEXT NOT NULL, source TEXT NOT NULL
);
CREATE TABLE texts (text_id INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE messages (message_id INTEGER PRIMARY KEY, message TEXT NOT NULL, message_group TEXT NOT NULL, error_class TEXT NOT NULL);
CREATE TABLE measurements (
  probe_id INTEGER NOT NULL REFERENCES probes(probe_id), release INTEGER NOT NULL REFERENCES releases(release),
  run INTEGER NOT NULL REFERENCES runs(run), outcome TEXT NOT NULL, stage TEXT NOT NULL, placement TEXT NOT NULL,
  cause_id INTEGER REFERENCES texts(text_id), message_id INTEGER REFERENCES messages(message_id), units_id INTEGER REFERENCES texts(text_id),
  max_abs REAL, max_rel REAL, tolerance_id INTEGER REFERENCES texts(text_id), times_ms TEXT, attempts INTEGER NOT NULL,
  agreeing INTEGER NOT NULL, confirmed INTEGER NOT NULL, stderr TEXT NOT NULL, PRIMARY KEY (probe_id, release)
) WITHOUT ROWID;
CREATE TABLE counts (
  release INTEGER NOT NULL REFERENCES releases(release), family TEXT NOT NULL, domain TEXT NOT NULL, op_type TEXT NOT NULL,
  probes INTEGER NOT NULL, passed INTEGER NOT NULL, fell_back INTEGER NOT NULL, failed INTEGER NOT NULL, wrong INTEGER NOT NULL,
  crashed INTEGER NOT NULL, timed_out INTEGER NOT NULL, PRIMARY KEY (release, domain, op_type, family)
) WITHOUT ROWID;
CREATE TABLE spans (
  probe_id INTEGER NOT NULL REFERENCES probes(probe_id), target TEXT NOT NULL REFERENCES targets(target), number INTEGER NOT NULL,
  outcome TEXT NOT NULL, first TEXT NOT NULL, last TEXT NOT NULL, message_id INTEGER REFERENCES messages(message_id),
  PRIMARY KEY (probe_id, target, number)
) WITHOUT ROWID;
CREATE TABLE contradictions (
  kind TEXT NOT NULL, target TEXT NOT NULL REFERENCES targets(target), said TEXT NOT NULL, claim INTEGER REFERENCES claims(claim),
  measured_on TEXT NOT NULL REFERENCES targets(target), probe_id INTEGER NOT NULL REFERENCES probes(probe_id), outcome TEXT NOT NULL
);
CREATE TABLE documents (
  document INTEGER PRIMARY KEY, target TEXT NOT NULL REFERENCES targets(target), evidence TEXT NOT NULL, version TEXT NOT NULL,
  current INTEGER NOT NULL, source TEXT NOT NULL, date TEXT NOT NULL, about TEXT NOT NULL, requires TEXT, fallback TEXT
);
CREATE TABLE claims (
  claim INTEGER PRIMARY KEY, document INTEGER NOT NULL REFERENCES documents(document), domain TEXT NOT NULL, op_type TEXT NOT NULL,
  status TEXT NOT NULL,
  "when" TEXT NOT NULL, limits TEXT NOT NULL, unchecked TEXT NOT NULL, note TEXT NOT NULL, runtime_op TEXT NOT NULL
);
CREATE TABLE timings (
  timing_id INTEGER PRIMARY KEY, timing TEXT NOT NULL UNIQUE, digest TEXT NOT NULL, domain TEXT NOT NULL, op_type TEXT NOT NULL,
  facts TEXT NOT NULL, marks TEXT NOT NULL, what TEXT NOT NULL, than TEXT NOT NULL, work REAL NOT NULL, "limit" REAL NOT NULL, model BLOB NOT NULL
);
CREATE TABLE timed (
  timing_id INTEGER NOT NULL REFERENCES timings(timing_id), release INTEGER NOT NULL REFERENCES releases(release),
  run INTEGER NOT NULL REFERENCES runs(run), outcome TEXT NOT NULL, message TEXT NOT NULL, low REAL, ratio REAL, high REAL, pairs INTEGER NOT NULL,
  subject_ms REAL, baseline_ms REAL, PRIMARY KEY (timing_id, release)
) WITHOUT ROWID;
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX probes_operator ON probes (op_type, domain);
CREATE INDEX timings_operator ON timings (op_type);
CREATE INDEX measurements_release ON measurements (release, outcome);
CREATE INDEX measurements_message ON measurements (message_id) WHERE message_id IS NOT NULL;
CREATE INDEX measurements_flaky ON measurements (release) WHERE agreeing < attempts;
CREATE INDEX spans_changes ON spans (target, first, outcome) WHERE number > 0;
CREATE INDEX claims_operator ON claims (op_type, domain);
CREATE INDEX claims_document ON claims (document);
CREATE VIEW results AS
  SELECT p.probe, r.target, m.run, r.version, r.current, m.outcome, m.stage, m.placement, c.text AS cause,
    coalesce(g.message, '') AS message, coalesce(g.message_group, '') AS message_group, coalesce(g.error_class, '') AS error_class,
    u.text AS units, m.max_abs, m.max_rel, coalesce(t.text, '') AS tolerance, p.oracle, coalesce(m.times_ms, '{}') AS times_ms,
    m.attempts, m.agreeing, m.confirmed, m.stderr, n.started
  FROM measurements m JOIN releases r USING (release) JOIN probes p USING (probe_id)
    LEFT JOIN texts c ON c.text_id = m.cause_id LEFT JOIN messages g USING (message_id) LEFT JOIN texts u ON u.text_id = m.units_id
    LEFT JOIN texts t ON t.text_id = m.tolerance_id LEFT JOIN runs n USING (run);
CREATE VIEW changes AS
  SELECT n.target, p.domain, p.op_type, p.probe, o.last AS after, n.first AS version, o.outcome AS before, n.outcome,
    CASE WHEN n.outcome = 'pass' THEN 'fixed' WHEN o.outcome = 'pass' THEN 'broke' ELSE 'changed' END AS kind,
    coalesce(g.message, '') AS message, coalesce(g.message_group, '') AS message_group
  FROM spans n JOIN spans o ON o.probe_id = n.probe_id AND o.target = n.target AND o.number = n.number - 1
    JOIN probes p ON p.probe_id = n.probe_id LEFT JOIN messages g ON g.message_id = n.message_id WHERE n.number > 0;
CREATE VIEW slowdowns AS
  SELECT i.timing, r.target, r.version, i.domain, i.op_type, i.what, i.than, t.ratio, t.low, t.high, t.pairs, t.subject_ms, t.baseline_ms, i."limit",
    u.started
  FROM timed t JOIN timings i USING (timing_id) JOIN releases r USING (release) JOIN runs u USING (run) WHERE r.current AND t.high < i."limit";
CREATE VIEW support AS
  SELECT n.domain, n.op_type, r.target, r.version, SUM(n.probes) AS probes, SUM(n.passed) AS passed, SUM(n.fell_back) AS fell_back,
    SUM(n.failed) AS failed, SUM(n.wrong) AS wrong, SUM(n.crashed) AS crashed, SUM(n.timed_out) AS timed_out, t.evidence
  FROM counts n JOIN releases r USING (release) JOIN targets t USING (target) WHERE r.current GROUP BY r.target, n.domain, n.op_type
  UNION ALL
  SELECT domain, op_type, target, '' AS version, COUNT(*), SUM(status IN ('supported', 'folded')), SUM(status = 'fallback'),
    SUM(status = 'unsupported'), 0, 0, 0, evidence
  FROM claims JOIN documents USING (document) WHERE current GROUP BY domain, op_type, document;
"""

COUNT = """
INSERT INTO counts
  SELECT m.release, p.family, p.domain, p.op_type, COUNT(*), SUM(m.outcome = 'pass' AND m.placement <> 'fallback'),
    SUM(m.outcome = 'pass' AND m.placement = 'fallback'), SUM(m.outcome = 'fail'), SUM(m.outcome = 'wrong'), SUM(m.outcome = 'crash'),
    SUM(m.outcome = 'timeout')
  FROM measurements m JOIN probes p USING (probe_id) WHERE m.outcome NOT IN ('broken', 'unavailable') AND m.confirmed
  GROUP BY m.release, p.domain, p.op_type, p.family
"""
"""Fills the table `counts` from measurements."""


def build(out: Path, runs: Path, claims: Path, probes: Iterable[Any], timings: Iterable[Any] = ()) -> dict[str, int]:
    """Write compat.db from run files, claims, probe and timing definitions; equal input gives equal bytes. Return counts by what they count.

    Results of probes that are no longer defined are left out (and counted). Raises StoreError, leaving the old file in place.
    """
    from opcompat.claims import load as load_claims
    from opcompat.runtimes import measured_targets

    known = {p.digest: p for p in probes}
    every = list(read_runs(runs))
    visiting = list(read_runs(contributed_folder(runs)))
    clocked = list(read_runs(timings_folder(runs), Clocked))
    found = _gather(every, visiting, known)
    every += visiting
    stated = load_claims(claims)
    temporary = out.with_name(f"{out.name}.{os.getpid()}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)
    try:
        with sqlite3.connect(temporary) as db:
            db.executescript(f"PRAGMA page_size = 4096; PRAGMA user_version = {SCHEMA_VERSION};" + _SCHEMA)
            _insert_targets(db, [*every, *clocked], found.newest, measured_targets(), stated)
            ids = _insert_probes(db, known.values(), {r.digest: r.oracle for _, r in found.latest.values() if r.oracle})
            _insert_results(db, found, known, ids)
            _insert_contradictions(db, found, known, ids, stated)
            _insert_timings(db, clocked, len(every), timings)
            db.execute(COUNT)
            about = {"schema_version": str(SCHEMA_VERSION), "newest_run": max((run.started for _, run, _ in every), default="")}
            db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(about.items()))
            counts = {"probes": len(known), "results": len(found.latest), "unconfirmed": len(found.unconfirmed)}
            for what in ("targets", "releases", "documents", "claims", "contradictions", "timings", "slowdowns"):
                counts[what] = db.execute(f"SELECT COUNT(*) FROM {what}").fetchone()[0]
            counts["disputed probes"] = db.execute("SELECT COUNT(*) FROM probes WHERE disputed").fetchone()[0]
            counts["results of probes no longer defined"] = found.stale
        db.execute("ANALYZE")  # the views are read a hundred times faster by a planner that knows the sizes
        db.execute("VACUUM")
        db.close()
        temporary.replace(out)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{out} cannot be written: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return counts


Key = tuple[str, str, str]
"""(target, version, probe id)"""


@dataclass(frozen=True)
class _Found:
    """What run files come to."""

    latest: dict[Key, tuple[int, Result]]
    """The number of the run, and the result that counts."""
    unconfirmed: set[Key]
    """Contributed by one host only."""
    versions: dict[str, list[str]]
    """target -> versions, oldest first."""
    newest: dict[str, str]
    """target -> the newest version of which something is confirmed, or of which something is known at all."""
    stale: int
    """Results of probes that are no longer defined."""


def _gather(own: Sequence[Any], visiting: Sequence[Any], known: Mapping[str, Any]) -> _Found:
    """Take the latest of our own results of each probe, and what others contributed only where we have none.

    The outcome that most of the others' hosts gave counts (the latest of equals), and is confirmed where two hosts at least gave it.
    """
    latest: dict[Key, tuple[int, Result]] = {}
    others: dict[Key, dict[str, tuple[int, Result]]] = {}
    stale = 0
    for number, (_, run, results) in enumerate([*own, *visiting], 1):
        for result in results:
            if result.digest not in known:
                stale += 1
            elif number <= len(own):
                latest[run.target, run.version, known[result.digest].id] = (number, result)
            else:
                others.setdefault((run.target, run.version, known[result.digest].id), {})[options_key(run.host)] = (number, result)
    unconfirmed = set()
    for key in others.keys() - latest.keys():
        hosts = sorted(others[key].values(), key=lambda h: h[0])
        tally = Counter(r.outcome for _, r in reversed(hosts))
        ((outcome, agreeing),) = tally.most_common(1)
        latest[key] = [h for h in hosts if h[1].outcome == outcome][-1]
        if agreeing < 2:
            unconfirmed.add(key)
    versions: dict[str, list[str]] = {}
    sure: dict[str, set[str]] = {}
    for key in latest:
        target, version, _ = key
        if version not in versions.setdefault(target, []):
            versions[target].append(version)
        if key not in unconfirmed:
            sure.setdefault(target, set()).add(version)
    for listed in versions.values():
        listed.sort(key=version_order)
    newest = {target: [v for v in listed if v in sure.get(target, listed)][-1] for target, listed in versions.items()}
    return _Found(latest, unconfirmed, versions, newest, stale)


def _insert(db: sqlite3.Connection, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
    for row in rows:
        db.execute(f"INSERT INTO {table} VALUES ({','.join('?' * len(row))})", row)


def _insert_targets(db: sqlite3.Connection, every: list[Any], newest: Mapping[str, str], declared: Mapping[str, Any], claims: list[Any]) -> None:
    """Fill targets, runs, documents and claims. Measurements and documents of one target meet in its row: the strongest speaks for it."""
    rows: dict[str, tuple[Any, ...]] = {}
    kin: dict[str, tuple[list[str], str | None, list[str], str | None]] = {}  # target -> what all its documents say of it
    documents = _ordered(claims)
    for header, _, _ in documents:
        runtime, device = header.target.split("/")
        aliases, requires, related, fallback = kin.get(header.target, ([], None, [], None))
        aliases = list(dict.fromkeys([*aliases, *header.aliases]))
        related = list(dict.fromkeys([*related, *header.related]))
        kin[header.target] = (aliases, requires or header.requires, related, fallback or header.fallback)
        rows.setdefault(header.target, (runtime, device, header.evidence, header.version, "{}", header.about, _source(header), header.date))
    driven = []
    for number, (_, run, _) in enumerate(every, 1):
        if run.target not in newest:
            continue  # timed, but never probed
        runtime, device = run.target.split("/")
        driver = declared.get(run.target)
        about, others, evidence = (getattr(driver, name, default) for name, default in (("ABOUT", ""), ("ALIASES", ()), ("EVIDENCE", "measured")))
        if run.version == newest[run.target]:
            rows[run.target] = (runtime, device, evidence, run.version, options_key(run.options), about, evidence, run.started)
            named, requires, related, fallback = kin.get(run.target, ([], None, [], None))
            kin[run.target] = (list(dict.fromkeys([*others, *named])), requires, related, fallback)
        details = (options_key(run.packages), options_key(run.options), options_key(run.host), run.opcompat, run.started, run.source)
        driven.append((number, run.target, run.version, *details))
    for target, (*about, source, last) in sorted(rows.items()):
        aliases, requires, related, fallback = kin[target]
        _insert(db, "targets", [(target, *about, json.dumps(aliases), requires, json.dumps(related), fallback, source, last)])
    _insert(db, "runs", driven)
    number = 0
    for document, (header, listed, current) in enumerate(documents, 1):
        words = (header.version, int(current), _source(header), header.date, header.about, header.requires, header.fallback)
        _insert(db, "documents", [(document, header.target, header.evidence, *words)])
        for c in listed:
            number += 1
            texts = (json.dumps(c.when, sort_keys=True), json.dumps(c.limits, sort_keys=True), c.unchecked, c.note, c.runtime_op)
            _insert(db, "claims", [(number, document, c.domain, c.op_type, c.status, *texts)])


def _source(header: Any) -> str:
    return f"{header.publisher}: {header.title} ({header.version}, {header.date})"


def _ordered(claims: list[Any]) -> list[tuple[Any, Any, bool]]:
    """Return (header, rows, whether no newer one of its kind speaks of its target): by target, the strongest evidence and newest version first."""
    weighed = sorted(claims, key=lambda c: version_order(c[0].version), reverse=True)
    weighed.sort(key=lambda c: (c[0].target, DOCUMENTED.index(c[0].evidence)))
    seen: set[tuple[str, str]] = set()
    made = []
    for header, rows in weighed:
        kind = (header.target, header.evidence)
        made.append((header, rows, kind not in seen))
        seen.add(kind)
    return made


def _insert_probes(db: sqlite3.Connection, probes: Iterable[Any], oracles: Mapping[str, str]) -> dict[str, int]:
    ids = {}
    for number, p in enumerate(sorted(probes, key=lambda p: str(p.id)), 1):
        ids[p.id] = number
        oracle, since, facts = oracles.get(p.digest, ""), p.facts.get("since_version"), json.dumps(p.facts, sort_keys=True)
        about = (p.digest, p.family, p.domain, p.op_type, p.opset, since, int(p.context), oracle, int(oracle == "none"), facts)
        _insert(db, "probes", [(number, p.id, *about, zlib.compress(p.model, 9))])
    return ids


class _Kept:
    """Rows that many results share, numbered in the order of their first use."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}

    def __call__(self, row: Any) -> int | None:
        return self.numbers.setdefault(row, len(self.numbers) + 1) if row and any(row) else None


def _insert_results(db: sqlite3.Connection, found: _Found, known: Mapping[str, Any], ids: Mapping[str, int]) -> None:
    """Insert results by (probe, release). What only investigations need of older versions (errors, times, full messages) stays in run files."""
    versions = found.versions
    releases = {(t, v): number for number, (t, v) in enumerate(((t, v) for t in sorted(versions) for v in versions[t]), 1)}
    listed = sorted(releases.items(), key=lambda item: item[1])
    _insert(db, "releases", ((n, t, v, versions[t].index(v), int(v == found.newest[t])) for (t, v), n in listed))
    texts, messages = _Kept(), _Kept()
    blame = _blame(found, known)
    seen: dict[tuple[int, str], list[tuple[str, str, int | None]]] = {}
    for target, numbers in versions.items():
        for version in numbers:
            for probe in ids:
                key = (target, version, probe)
                if key not in found.latest:
                    continue
                run, r = found.latest[key]
                current = version == found.newest[target]
                cause = blame.get((probe, target)) if current else None
                group = group_message(r.message)
                message = messages((r.message if current else group, group, r.error_class))
                times = json.dumps({k: round(v, 2) for k, v in sorted(r.times_ms.items()) if k not in ("start", "compare")}) if current else None
                words = r.stderr if r.outcome in ("crash", "timeout") else ""  # the others have a message; run files keep all
                _insert(db, "measurements", [(
                    ids[probe], releases[target, version], run, r.outcome, r.stage, r.placement,
                    None if cause is None else texts((json.dumps(cause, sort_keys=True),)), message, texts((json.dumps(r.units),)),
                    r.max_abs if current else None, r.max_rel if current else None, texts((r.tolerance,)) if current else None, times,
                    r.attempts, r.agreeing, int(key not in found.unconfirmed), words,
                )])  # fmt: skip
                if len(numbers) > 1 and r.outcome not in OWN_FAULT and key not in found.unconfirmed:
                    seen.setdefault((ids[probe], target), []).append((version, r.outcome, message))
    _insert(db, "texts", ((n, *row) for row, n in texts.numbers.items()))
    _insert(db, "messages", ((n, *row) for row, n in messages.numbers.items()))
    for (probe_id, target), measured in sorted(seen.items()):
        spans: list[list[Any]] = []
        for version, outcome, kept in measured:
            if spans and spans[-1][0] == outcome:
                spans[-1][2] = version
            else:
                spans.append([outcome, version, version, kept])
        _insert(db, "spans", ((probe_id, target, number, *span) for number, span in enumerate(spans)))


def _blame(found: _Found, known: Mapping[str, Any]) -> dict[tuple[str, str], Any]:
    """Return (probe, target) -> the facts blamed for a failure, over the newest version of each target."""
    groups: dict[tuple[str, str, str], list[Evidence]] = {}
    for (target, version, probe), (_, result) in sorted(found.latest.items()):
        if version == found.newest[target] and result.outcome not in OWN_FAULT and (target, version, probe) not in found.unconfirmed:
            p = known[result.digest]
            groups.setdefault((target, p.domain, p.op_type), []).append(Evidence(probe, p.facts, result.outcome, result.placement, p.context))
    return {(probe, target): cause for (target, _, _), group in groups.items() for probe, cause in causes(trusted(group)).items()}


def _insert_contradictions(db: sqlite3.Connection, found: _Found, known: Mapping[str, Any], ids: Mapping[str, int], claims: list[Any]) -> None:
    """Insert where the newest document of its kind and a measurement of a comparable target disagree about one probe."""
    number = 0
    for header, listed, newest in _ordered(claims):
        rows: dict[tuple[str, str], list[Claim]] = {}
        for c in listed:
            number += 1
            rows.setdefault((c.domain, c.op_type), []).append(Claim(number, c.status, c.when, c.limits, c.unchecked, c.note, c.runtime_op))
        device = header.target.split("/")[1]
        named = {t for t in found.newest if t == header.target or t.startswith(f"{header.target}-")}
        kin = sorted(named | {t for t in header.related if t in found.newest and t.split("/")[1].split("-")[0] == device})
        for p in sorted(known.values(), key=lambda p: str(p.id)) if kin and newest else ():
            said, claim = judge_claims(p.facts, rows.get((p.domain, p.op_type), ()), rows.get(("", "*"), ()))
            if p.domain == "pattern" or said.verdict not in ("works", "breaks") or claim is None:
                continue  # what falls back runs, and what runs elsewhere may fail there
            for target in kin:
                key = (target, found.newest[target], p.id)
                _, r = found.latest.get(key, (0, None))
                if r is None or r.outcome in OWN_FAULT or (r.outcome == "pass") == (said.verdict == "works") or key in found.unconfirmed:
                    continue
                if r.outcome == "pass" and r.placement in ("fallback", "mixed"):
                    continue  # it ran elsewhere, as the document says
                kind = _CONTRADICTION[header.evidence, said.verdict]
                _insert(db, "contradictions", [(kind, header.target, said.reason, claim.row, target, ids[p.id], r.outcome)])


_CONTRADICTION = {
    ("claimed", "works"): "documented, but it fails", ("claimed", "breaks"): "not documented, but it works",
    ("declared", "works"): "declared, but it fails", ("declared", "breaks"): "declared unsupported, but it works",
    ("reported", "works"): "reported to work, but it fails", ("reported", "breaks"): "reported to fail, but it works",
}  # fmt: skip


def _insert_timings(db: sqlite3.Connection, every: list[Any], runs: int, timings: Iterable[Any]) -> None:
    """Insert timings and the latest of what each gave by release; `runs` numbered runs come before these."""
    from opcompat.timing import ratios

    known = {}
    for number, t in enumerate(sorted(timings, key=lambda t: str(t.id)), 1):
        known[t.digest] = (number, t)
        facts = json.dumps(t.facts, sort_keys=True)
        about = (t.domain, t.op_type, facts, json.dumps(t.marks), t.what, t.than, t.work[0] / t.work[1], t.limit)
        _insert(db, "timings", [(number, t.id, t.digest, *about, zlib.compress(t.model, 9))])
    releases = {(t, v): n for n, t, v in db.execute("SELECT release, target, version FROM releases")}
    latest: dict[tuple[int, int], tuple[Any, ...]] = {}
    for run_number, (_, run, results) in enumerate(every, runs + 1):
        for r in results:
            if (release := releases.get((run.target, run.version))) is None or r.digest not in known:
                continue
            number, t = known[r.digest]
            measured: tuple[Any, ...] = (None, None, None, 0, None, None)
            if len(r.subject_ms) > 1:
                middle = (round(median(side), 4) for side in (r.subject_ms, r.baseline_ms))
                measured = (*(round(q, 4) for q in ratios(t.work, r.subject_ms, r.baseline_ms)), len(r.subject_ms), *middle)
            latest[number, release] = (number, release, run_number, r.outcome, r.message, *measured)
    _insert(db, "timed", (row for _, row in sorted(latest.items())))


# ---- reading the database ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Document:
    """A table of statements about one target."""

    document: int
    target: str
    evidence: str
    version: str
    current: bool
    """Whether no newer one of the same kind speaks of the target."""
    source: str
    date: str
    requires: str | None
    """A target whose documents a node must meet as well."""
    fallback: str | None
    """Where a refused node may run instead."""


@dataclass(frozen=True)
class Target:
    """A target as compat.db knows it."""

    target: str
    evidence: str
    """The strongest kind there is."""
    newest: str
    about: str
    aliases: tuple[str, ...]
    requires: str | None
    related: tuple[str, ...]
    source: str
    last_run: str
    documents: tuple[Document, ...]
    """The strongest and newest first."""


@dataclass(frozen=True)
class Detail:
    """What a report cites of one result."""

    probe: str
    target: str
    version: str
    outcome: str
    stage: str
    message: str
    started: str
    history: str


@dataclass(frozen=True)
class Change:
    """One probe whose outcome differs between two versions of a target; the message is of the version in which it does not pass."""

    domain: str
    op_type: str
    probe: str
    before: str
    after: str
    message: str
    message_group: str


Operator = tuple[str, str]
"""(domain, op_type)"""


def _blamed(evidence: list[Evidence]) -> list[Evidence]:
    """Return evidence with the facts to blame, which the database keeps for newest versions only."""
    found = causes(evidence)
    return [replace(e, cause=found[e.probe]) if e.probe in found else e for e in evidence]


class Base:
    """A compat.db opened read-only."""

    def __init__(self, path: Path):
        self.path = path
        if not path.is_file():
            raise StoreError(f"{path} does not exist: reinstall opcompat, or make it with `opcompat build`")
        with self._guard():
            self.db = sqlite3.connect(f"{path.resolve().as_uri()}?mode=ro&immutable=1", uri=True)
            found = self.db.execute("PRAGMA user_version").fetchone()[0]
            if found != SCHEMA_VERSION:
                age = "older" if found < SCHEMA_VERSION else "newer"
                cure = "rebuild it with `opcompat build`" if found < SCHEMA_VERSION else "upgrade opcompat"
                raise StoreError(f"{path} has the {age} schema {found}, this opcompat reads {SCHEMA_VERSION}: {cure}")
            self.db.execute("SELECT 1 FROM targets, probes, measurements, spans, documents, claims, timed LIMIT 1")

    @contextmanager
    def _guard(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, UnicodeDecodeError) as error:
            raise StoreError(f"{self.path} is damaged or no database ({error}): reinstall opcompat, or rebuild it with `opcompat build`") from None

    def __enter__(self) -> "Base":
        return self

    def __exit__(self, *_: object) -> None:
        self.db.close()

    def _rows(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._guard():
            return self.db.execute(sql, values).fetchall()

    def targets(self) -> dict[str, Target]:
        """Return every target by name."""
        sql = "SELECT document, target, evidence, version, current, source, date, requires, fallback FROM documents ORDER BY document"
        documents: dict[str, list[Document]] = {}
        for number, target, evidence, version, current, *others in self._rows(sql):
            documents.setdefault(target, []).append(Document(number, target, evidence, version, bool(current), *others))
        sql = "SELECT target, evidence, newest, about, aliases, requires, related, source, last_run FROM targets"
        found = {}
        for target, evidence, newest, about, aliases, requires, related, source, last_run in self._rows(sql):
            names, kin = tuple(json.loads(aliases)), tuple(json.loads(related))
            written = tuple(documents.get(target, ()))
            found[target] = Target(target, evidence, newest, about, names, requires, kin, source, last_run, written)
        return found

    def versions(self) -> dict[str, list[str]]:
        """Return target -> versions with results, oldest first."""
        found: dict[str, list[str]] = {}
        for target, version in self._rows("SELECT target, version FROM releases ORDER BY target, position"):
            found.setdefault(target, []).append(version)
        return found

    def evidence(self, op_types: Sequence[str], targets: Sequence[str]) -> dict[tuple[str, Operator], list[Evidence]]:
        """Return (target, operator) -> evidence; the probes of one operator share their facts objects.

        targets: names as given back in the keys, `ort/cpu` for the newest version, `ort/cpu@1.20.1` for that one.
        """
        if not op_types or not targets:
            return {}
        ops = ",".join("?" * len(op_types))
        releases: dict[int, list[str]] = {}
        old: set[str] = set()
        for release, target, version, current in self._rows("SELECT release, target, version, current FROM releases"):
            named = [name for name in ((target, f"{target}@{version}") if current else (f"{target}@{version}",)) if name in targets]
            if named:
                releases[release] = named
                old.update(() if current else named)
        probes = {
            r[0]: (r[1], (r[2], r[3]), json.loads(r[4]), bool(r[5]))
            for r in self._rows(f"SELECT probe_id, probe, domain, op_type, facts, context FROM probes WHERE op_type IN ({ops})", *op_types)
        }
        sql = f"""SELECT m.probe_id, m.release, m.outcome, m.placement, c.text
                  FROM probes p JOIN measurements m USING (probe_id) LEFT JOIN texts c ON c.text_id = m.cause_id
                  WHERE p.op_type IN ({ops}) AND m.release IN ({",".join(map(str, releases))}) AND m.outcome NOT IN ('broken', 'unavailable')
                    AND m.confirmed"""
        found: dict[tuple[str, Operator], list[Evidence]] = {}
        for probe_id, release, outcome, placement, cause in self._rows(sql, *op_types):
            probe, operator, facts, context = probes[probe_id]
            one = Evidence(probe, facts, outcome, placement, context, json.loads(cause) if cause is not None else None)
            for name in releases[release]:
                found.setdefault((name, operator), []).append(one)
        return {key: _blamed(trusted(group)) if key[0] in old else trusted(group) for key, group in found.items()}

    def timed(self, op_types: Sequence[str], targets: Sequence[str]) -> dict[tuple[str, Operator], list[Timed]]:
        """Return (target, operator) -> timings that gave a ratio; targets as for `evidence`."""
        sql = f"""SELECT r.target, r.version, r.current, i.domain, i.op_type, i.timing, i.facts, i.marks, i.what, i.than, i."limit", t.low, t.ratio,
                    t.high, t.pairs, u.started
                  FROM timings i JOIN timed t USING (timing_id) JOIN releases r USING (release) JOIN runs u USING (run)
                  WHERE i.op_type IN ({",".join("?" * len(op_types))}) AND t.pairs"""
        found: dict[tuple[str, Operator], list[Timed]] = {}
        read: dict[str, tuple[Any, ...]] = {}
        for target, version, current, domain, op_type, timing, facts, marks, *numbers, started in self._rows(sql, *op_types):
            for name in {target, f"{target}@{version}"} if current else {f"{target}@{version}"}:
                if name in targets:
                    about = read.setdefault(timing, (json.loads(facts), tuple(json.loads(marks))))
                    found.setdefault((name, (domain, op_type)), []).append(Timed(*(timing, *about, *numbers, version, started)))
        return found

    def claims(self, op_types: Sequence[str], documents: Iterable[int]) -> dict[tuple[int, Operator], list[Claim]]:
        """Return (document, operator) -> its rows; rows about every operator are under ("", "*")."""
        ops = ",".join("?" * (len(op_types) + 1))
        sql = f"""SELECT document, domain, op_type, claim, status, "when", limits, unchecked, note, runtime_op FROM claims
                  WHERE op_type IN ({ops}) AND document IN ({",".join(map(str, documents))}) ORDER BY claim"""
        read = lru_cache(None)(json.loads)  # most conditions are shared by many rows
        found: dict[tuple[int, Operator], list[Claim]] = {}
        for document, domain, op_type, number, status, when, limits, unchecked, note, runtime_op in self._rows(sql, *op_types, "*"):
            claim = Claim(number, status, read(when), read(limits), unchecked, note, runtime_op)
            found.setdefault((document, (domain, op_type)), []).append(claim)
        return found

    def details(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Detail]:
        """Return (probe, target or target@version) -> what to cite of its result."""
        sql = """SELECT probe, target, version, outcome, stage, message, started FROM results
                 WHERE probe = ? AND target = ? AND (version = ? OR (? = '' AND current))"""
        found = {}
        for probe, name in pairs:
            target, _, version = name.partition("@")
            for row in self._rows(sql, probe, target, version, version):
                found[probe, name] = Detail(*(*row, self.history(probe, target)))
        return found

    def history(self, probe: str, target: str) -> str:
        """Say how a probe fared over the measured versions of a target: `pass up to 1.20.1, fail from 1.22.1 on`; empty for a single version."""
        sql = "SELECT outcome, first, last FROM spans JOIN probes USING (probe_id) WHERE probe = ? AND target = ? ORDER BY number"
        spans = self._rows(sql, probe, target)
        if len(spans) < 2:
            return f"{spans[0][0]} in every version from {spans[0][1]} to {spans[0][2]}" if spans and spans[0][1] != spans[0][2] else ""
        middle = [f"{outcome} from {first} to {last}" if first != last else f"{outcome} in {first}" for outcome, first, last in spans[1:-1]]
        return ", ".join([f"{spans[0][0]} up to {spans[0][2]}", *middle, f"{spans[-1][0]} from {spans[-1][1]} on"])

    def compare(self, target: str, old: str, new: str) -> tuple[int, list[Change]]:
        """Return how many probes have facts in both versions of a target, and those whose outcome differs."""
        sql = """FROM releases ro JOIN measurements o ON o.release = ro.release JOIN releases rn ON rn.target = ro.target
                   JOIN measurements n ON n.release = rn.release AND n.probe_id = o.probe_id JOIN probes p ON p.probe_id = o.probe_id
                   LEFT JOIN messages g ON g.message_id = CASE WHEN n.outcome = 'pass' THEN o.message_id ELSE n.message_id END
                 WHERE ro.target = ? AND ro.version = ? AND rn.version = ?
                   AND o.outcome NOT IN ('broken', 'unavailable') AND n.outcome NOT IN ('broken', 'unavailable') AND o.confirmed AND n.confirmed"""
        columns = "p.domain, p.op_type, p.probe, o.outcome, n.outcome, coalesce(g.message, ''), coalesce(g.message_group, '')"
        ((common,),) = self._rows(f"SELECT COUNT(*) {sql}", target, old, new)
        changed = self._rows(f"SELECT {columns} {sql} AND o.outcome <> n.outcome ORDER BY 1, 2, 3", target, old, new)
        return common, [Change(*row) for row in changed]

    def patterns(self) -> list[tuple[str, bytes]]:
        """Return (pattern name, serialized model) of every pattern to look for in models, smallest first; names with a slash are not for that."""
        sql = "SELECT op_type, model FROM probes WHERE domain = 'pattern' AND op_type NOT LIKE '%/%' ORDER BY op_type, length(model), probe"
        return [(name, zlib.decompress(model)) for name, model in self._rows(sql)]

    def model(self, probe: str) -> bytes | None:
        """Return the serialized ONNX model of a probe, or of a timing's subject."""
        rows = self._rows("SELECT model FROM probes WHERE probe = ? UNION ALL SELECT model FROM timings WHERE timing = ?", probe, probe)
        return zlib.decompress(rows[0][0]) if rows else None

    def probe_ms(self, target: str) -> float:
        """Return the median time of one probe in the newest version's campaign, without starting and comparing (ms); 0 where none was run."""
        sql = "SELECT times_ms FROM measurements JOIN releases USING (release) WHERE target = ? AND current AND times_ms IS NOT NULL"
        return float(median([sum(json.loads(times).values()) for (times,) in self._rows(sql, target)] or [0]))

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return target -> (operators with evidence, probes of its newest version, statements of its newest documents)."""
        sql = """SELECT target, COUNT(DISTINCT domain || ':' || op_type), SUM(IIF(version = '', 0, probes)), SUM(IIF(version = '', probes, 0))
                 FROM support GROUP BY target"""
        return {target: (operators, probes, claims) for target, operators, probes, claims in self._rows(sql)}
