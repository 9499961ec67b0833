"""Run files (append-only, the truth) and compat.db (their product): the only SQL of the package. docs/database.md describes the tables.

A run file is JSON lines: a header with the circumstances, then one result a line, each written with a single append, so that a killed
campaign loses at most the line it was writing.
"""

import json
import os
import platform
import re
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from opcompat.outcome import OWN_FAULT, Result, Run
from opcompat.predict import Claim, Evidence, causes, trusted

SCHEMA_VERSION = 1
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


class RunWriter:
    """Appends results to a new run file, made when the first result arrives."""

    def __init__(self, run: Run, folder: Path):
        stamp = re.sub(r"[^0-9T]", "", run.started)
        self.path = folder / run.target.replace("/", "_") / f"{run.version}_{stamp}_{os.getpid()}.jsonl"
        self.run, self.descriptor = run, -1

    def write(self, result: Result) -> None:
        """Append one result. Raises StoreError where the disk refuses it."""
        try:
            if self.descriptor < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
                self._line({"run": asdict(self.run)})
            self._line({k: v for k, v in asdict(result).items() if v not in (None, "", (), {}) and (k not in ("attempts", "agreeing") or v != 1)})
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error.strerror}): results up to here are kept, free the disk and run again") from None

    def _line(self, body: Mapping[str, Any]) -> None:
        data = (json.dumps(body, separators=(",", ":")) + "\n").encode()
        if os.write(self.descriptor, data) != len(data):
            raise OSError(28, "disk full")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_run(path: Path) -> tuple[Run, list[Result]] | None:
    """Return a run file's header and results; a torn last line is left out. Raises StoreError naming file and line where it is not valid."""
    from pydantic import TypeAdapter, ValidationError

    if path.stat().st_size > MAX_RUN_FILE_BYTES:
        raise StoreError(f"{path} is larger than {MAX_RUN_FILE_BYTES >> 20} MB: no run file is")
    lines = path.read_bytes().split(b"\n")
    torn = lines.pop()
    if not lines:
        return None
    number = 1
    try:
        head = TypeAdapter(dict[str, Run]).validate_json(lines[0])
        adapter = TypeAdapter(Result)
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


def read_runs(folder: Path) -> Iterator[tuple[Path, Run, list[Result]]]:
    """Yield every run of a folder, oldest first."""
    found = []
    for path in sorted(folder.glob("*/*.jsonl")):
        if (read := read_run(path)) is not None:
            found.append((read[0].started, path.name, path, *read))
    for _, _, path, run, results in sorted(found, key=lambda f: f[:2]):
        yield path, run, results


def options_key(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def recorded(folder: Path) -> dict[tuple[str, str, str], set[str]]:
    """Return (target, version, options) -> digests of the probes that have a final result there."""
    done: dict[tuple[str, str, str], set[str]] = {}
    for _, run, results in read_runs(folder):
        keys = done.setdefault((run.target, run.version, options_key(run.options)), set())
        keys.update(r.digest for r in results if r.outcome != "unavailable")
    return done


# ---- building the database ---------------------------------------------------------------------------------------------------------

_SCHEMA = """
CREATE TABLE targets (
  target TEXT PRIMARY KEY, runtime TEXT NOT NULL, device TEXT NOT NULL, evidence TEXT NOT NULL, newest TEXT NOT NULL, options TEXT NOT NULL,
  about TEXT NOT NULL, aliases TEXT NOT NULL, requires TEXT, related TEXT NOT NULL, fallback TEXT, source TEXT NOT NULL, last_run TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE probes (
  probe TEXT PRIMARY KEY, digest TEXT NOT NULL, family TEXT NOT NULL, domain TEXT NOT NULL, op_type TEXT NOT NULL, opset INTEGER NOT NULL,
  since_version INTEGER, context INTEGER NOT NULL, oracle TEXT NOT NULL, disputed INTEGER NOT NULL, facts TEXT NOT NULL, model BLOB NOT NULL
) WITHOUT ROWID;
CREATE TABLE runs (
  run INTEGER PRIMARY KEY, target TEXT NOT NULL REFERENCES targets(target), version TEXT NOT NULL, packages TEXT NOT NULL, options TEXT NOT NULL,
  host TEXT NOT NULL, opcompat TEXT NOT NULL, started TEXT NOT NULL, source TEXT NOT NULL
);
CREATE TABLE results (
  probe TEXT NOT NULL REFERENCES probes(probe), target TEXT NOT NULL REFERENCES targets(target), run INTEGER NOT NULL REFERENCES runs(run),
  version TEXT NOT NULL, current INTEGER NOT NULL, outcome TEXT NOT NULL, stage TEXT NOT NULL, placement TEXT NOT NULL, cause TEXT,
  message TEXT NOT NULL, message_group TEXT NOT NULL, error_class TEXT NOT NULL, units TEXT NOT NULL, max_abs REAL, max_rel REAL,
  tolerance TEXT NOT NULL, oracle TEXT NOT NULL, times_ms TEXT NOT NULL, attempts INTEGER NOT NULL, agreeing INTEGER NOT NULL,
  stderr TEXT NOT NULL, started TEXT NOT NULL, PRIMARY KEY (probe, target, version)
) WITHOUT ROWID;
CREATE TABLE claims (
  claim INTEGER PRIMARY KEY, target TEXT NOT NULL REFERENCES targets(target), domain TEXT NOT NULL, op_type TEXT NOT NULL, status TEXT NOT NULL,
  "when" TEXT NOT NULL, limits TEXT NOT NULL, unchecked TEXT NOT NULL, note TEXT NOT NULL, runtime_op TEXT NOT NULL
);
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE INDEX probes_operator ON probes (op_type, domain);
CREATE INDEX results_target ON results (target, current, outcome);
CREATE INDEX claims_operator ON claims (op_type, domain);
CREATE VIEW support AS
  SELECT p.domain, p.op_type, r.target, r.version, COUNT(*) AS probes,
    SUM(r.outcome = 'pass' AND r.placement <> 'fallback') AS passed, SUM(r.outcome = 'pass' AND r.placement = 'fallback') AS fell_back,
    SUM(r.outcome = 'fail') AS failed, SUM(r.outcome = 'wrong') AS wrong, SUM(r.outcome = 'crash') AS crashed,
    SUM(r.outcome = 'timeout') AS timed_out, 'measured' AS evidence
  FROM results r JOIN probes p USING (probe) WHERE r.current AND r.outcome NOT IN ('broken', 'unavailable')
  GROUP BY p.domain, p.op_type, r.target
  UNION ALL
  SELECT domain, op_type, target, '' AS version, COUNT(*), SUM(status IN ('supported', 'folded')), 0, SUM(status = 'unsupported'), 0, 0, 0, 'claimed'
  FROM claims GROUP BY domain, op_type, target;
"""


def group_message(message: str) -> str:
    """Return a message with names, numbers and addresses blanked, so that equal refusals fall together."""
    text = re.sub(r"0x[0-9a-fA-F]+|/[\w./+-]+|'[^']*'|\"[^\"]*\"", "_", message)
    text = re.sub(r"\b\w*_?v?\d+_\d+\b|\b[A-Z]\w+_\d+\b|\d+(\.\d+)?(e[+-]?\d+)?", "#", text)
    return re.sub(r"\s+", " ", text)[:200]


def build(out: Path, runs: Path, claims: Path, probes: Iterable[Any]) -> dict[str, int]:
    """Write compat.db from run files, claims and probe definitions; equal input gives equal bytes. Return counts by what they count.

    Results of probes that are no longer defined are left out (and counted). Raises StoreError, leaving the old file in place.
    """
    from packaging.version import InvalidVersion, Version

    from opcompat.claims import load as load_claims
    from opcompat.runtimes import measured_targets

    def order(version: str) -> tuple[Any, str]:
        try:
            return Version(version), version
        except InvalidVersion:
            return Version("0"), version

    known = {p.digest: p for p in probes}
    every = list(read_runs(runs))
    newest: dict[str, str] = {}
    latest: dict[tuple[str, str, str], tuple[int, Result]] = {}
    stale = 0
    for number, (_, run, results) in enumerate(every, 1):
        newest[run.target] = max(newest.get(run.target, "0"), run.version, key=order)
        for result in results:
            if result.digest in known:
                latest[known[result.digest].id, run.target, run.version] = (number, result)
            else:
                stale += 1
    temporary = out.with_name(f"{out.name}.{os.getpid()}.part")
    out.parent.mkdir(parents=True, exist_ok=True)
    temporary.unlink(missing_ok=True)
    try:
        with sqlite3.connect(temporary) as db:
            db.executescript(f"PRAGMA page_size = 4096; PRAGMA user_version = {SCHEMA_VERSION};" + _SCHEMA)
            _insert_targets(db, every, newest, measured_targets(), load_claims(claims))
            oracles = {r.digest: r.oracle for _, r in latest.values() if r.oracle}
            for p in sorted(known.values(), key=lambda p: p.id):
                oracle, since = oracles.get(p.digest, ""), p.facts.get("since_version")
                facts = json.dumps(p.facts, sort_keys=True)
                row = (
                    p.id,
                    p.digest,
                    p.family,
                    p.domain,
                    p.op_type,
                    p.opset,
                    since,
                    int(p.context),
                    oracle,
                    int(oracle == "none"),
                    facts,
                    zlib.compress(p.model, 9),
                )
                db.execute(f"INSERT INTO probes VALUES ({','.join('?' * 12)})", row)
            blame = _blame(latest, known, newest)
            for (probe, target, version), (number, r) in sorted(latest.items()):
                current = int(version == newest[target])
                cause = blame.get((probe, target)) if current else None
                times = json.dumps({k: round(v, 2) for k, v in sorted(r.times_ms.items()) if k not in ("start", "compare")})
                words = r.stderr if r.outcome in ("crash", "timeout") else ""  # the others have a message; run files keep all
                blamed = None if cause is None else json.dumps(cause, sort_keys=True)
                values = (
                    probe, target, number, version, current, r.outcome, r.stage, r.placement, blamed,
                    r.message, group_message(r.message), r.error_class, json.dumps(r.units), r.max_abs, r.max_rel, r.tolerance, r.oracle,
                    times, r.attempts, r.agreeing, words, r.started,
                )  # fmt: skip
                db.execute(f"INSERT INTO results VALUES ({','.join('?' * 22)})", values)
            about = {"schema_version": str(SCHEMA_VERSION), "newest_run": max((run.started for _, run, _ in every), default="")}
            db.executemany("INSERT INTO meta VALUES (?, ?)", sorted(about.items()))
            counts = {
                "probes": len(known), "results": len(latest), "targets": db.execute("SELECT COUNT(*) FROM targets").fetchone()[0],
                "claims": db.execute("SELECT COUNT(*) FROM claims").fetchone()[0],
                "disputed probes": db.execute("SELECT COUNT(*) FROM probes WHERE disputed").fetchone()[0],
                "results of probes no longer defined": stale,
            }  # fmt: skip
        db.execute("VACUUM")
        db.close()
        temporary.replace(out)
    except (sqlite3.Error, OSError) as error:
        raise StoreError(f"{out} cannot be written: {error}") from None
    finally:
        temporary.unlink(missing_ok=True)
    return counts


def _insert_targets(db: sqlite3.Connection, every: list[Any], newest: Mapping[str, str], declared: Mapping[str, Any], claims: list[Any]) -> None:
    rows: dict[str, tuple[Any, ...]] = {}
    row_number = 0
    for header, _ in claims:
        runtime, device = header.target.split("/")
        source = f"{header.publisher}: {header.title} ({header.version}, {header.date})"
        rows[header.target] = (
            header.target, runtime, device, "claimed", header.version, "{}", header.about, json.dumps(header.aliases), header.requires,
            json.dumps(header.related), header.fallback, source, header.date,
        )  # fmt: skip
    for number, (_, run, _) in enumerate(every, 1):
        runtime, device = run.target.split("/")
        about = declared[run.target].ABOUT if run.target in declared else ""
        aliases = json.dumps(list(declared[run.target].ALIASES) if run.target in declared else [])
        if run.version == newest[run.target]:
            rows[run.target] = (
                run.target, runtime, device, "measured", run.version, options_key(run.options), about, aliases, None, "[]", None, "measured",
                run.started,
            )  # fmt: skip
        details = (options_key(run.packages), options_key(run.options), options_key(run.host), run.opcompat, run.started, run.source)
        db.execute("INSERT INTO runs VALUES (?,?,?,?,?,?,?,?,?)", (number, run.target, run.version, *details))
    for _, row in sorted(rows.items()):
        db.execute(f"INSERT INTO targets VALUES ({','.join('?' * 13)})", row)
    for header, listed in claims:
        for c in listed:
            row_number += 1
            texts = (json.dumps(c.when, sort_keys=True), json.dumps(c.limits, sort_keys=True), c.unchecked, c.note, c.runtime_op)
            db.execute("INSERT INTO claims VALUES (?,?,?,?,?,?,?,?,?,?)", (row_number, header.target, c.domain, c.op_type, c.status, *texts))


def _blame(
    latest: Mapping[tuple[str, str, str], tuple[int, Result]], known: Mapping[str, Any], newest: Mapping[str, str]
) -> dict[tuple[str, str], Any]:
    """Return (probe, target) -> the facts blamed for a failure, over the newest version of each target."""
    groups: dict[tuple[str, str, str], list[Evidence]] = {}
    for (probe, target, version), (_, result) in sorted(latest.items()):
        if version == newest[target] and result.outcome not in OWN_FAULT:
            p = known[result.digest]
            groups.setdefault((target, p.domain, p.op_type), []).append(Evidence(probe, p.facts, result.outcome, result.placement, p.context))
    return {(probe, target): cause for (target, _, _), group in groups.items() for probe, cause in causes(trusted(group)).items()}


# ---- reading the database ----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Target:
    """A target as compat.db knows it."""

    target: str
    evidence: str
    newest: str
    about: str
    aliases: tuple[str, ...]
    requires: str | None
    related: tuple[str, ...]
    fallback: str | None
    source: str
    last_run: str


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


Operator = tuple[str, str]
"""(domain, op_type)"""


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
            self.db.execute("SELECT 1 FROM targets, probes, results, claims LIMIT 1")

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
        sql = "SELECT target, evidence, newest, about, aliases, requires, related, fallback, source, last_run FROM targets"
        found = {}
        for target, evidence, newest, about, aliases, requires, related, fallback, source, last_run in self._rows(sql):
            names, kin = tuple(json.loads(aliases)), tuple(json.loads(related))
            found[target] = Target(target, evidence, newest, about, names, requires, kin, fallback, source, last_run)
        return found

    def evidence(self, op_types: Sequence[str], targets: Sequence[str]) -> dict[tuple[str, Operator], list[Evidence]]:
        """Return (target, operator) -> evidence of the newest version; the probes of one operator share their facts objects."""
        if not op_types or not targets:
            return {}
        ops, names = ",".join("?" * len(op_types)), ",".join("?" * len(targets))
        probes = {
            r[0]: ((r[1], r[2]), json.loads(r[3]), bool(r[4]))
            for r in self._rows(f"SELECT probe, domain, op_type, facts, context FROM probes WHERE op_type IN ({ops})", *op_types)
        }
        sql = f"""SELECT r.probe, r.target, r.outcome, r.placement, r.cause FROM results r JOIN probes p USING (probe)
                  WHERE r.current AND p.op_type IN ({ops}) AND r.target IN ({names}) AND r.outcome NOT IN ('broken', 'unavailable')"""
        found: dict[tuple[str, Operator], list[Evidence]] = {}
        for probe, target, outcome, placement, cause in self._rows(sql, *op_types, *targets):
            operator, facts, context = probes[probe]
            blamed = json.loads(cause) if cause is not None else None
            found.setdefault((target, operator), []).append(Evidence(probe, facts, outcome, placement, context, blamed))
        return {key: trusted(group) for key, group in found.items()}

    def claims(self, op_types: Sequence[str]) -> dict[tuple[str, Operator], list[Claim]]:
        """Return (target, operator) -> rows of documents; rows about every operator are under ("", "*")."""
        ops = ",".join("?" * (len(op_types) + 1))
        sql = f"""SELECT target, domain, op_type, claim, status, "when", limits, unchecked, note, runtime_op FROM claims
                  WHERE op_type IN ({ops}) ORDER BY claim"""
        found: dict[tuple[str, Operator], list[Claim]] = {}
        for target, domain, op_type, number, status, when, limits, unchecked, note, runtime_op in self._rows(sql, *op_types, "*"):
            claim = Claim(number, status, json.loads(when), json.loads(limits), unchecked, note, runtime_op)
            found.setdefault((target, (domain, op_type)), []).append(claim)
        return found

    def details(self, pairs: Iterable[tuple[str, str]]) -> dict[tuple[str, str], Detail]:
        """Return (probe, target) -> what to cite of its newest result."""
        sql = "SELECT probe, target, version, outcome, stage, message, started FROM results WHERE probe = ? AND target = ? AND current"
        return {pair: Detail(*row) for pair in pairs for row in self._rows(sql, *pair)}

    def patterns(self) -> list[tuple[str, bytes]]:
        """Return (pattern name, serialized model) of every pattern to look for in models, smallest first; names with a slash are not for that."""
        sql = "SELECT op_type, model FROM probes WHERE domain = 'pattern' AND op_type NOT LIKE '%/%' ORDER BY op_type, length(model), probe"
        return [(name, zlib.decompress(model)) for name, model in self._rows(sql)]

    def model(self, probe: str) -> bytes | None:
        """Return a probe's serialized ONNX model."""
        rows = self._rows("SELECT model FROM probes WHERE probe = ?", probe)
        return zlib.decompress(rows[0][0]) if rows else None

    def counts(self) -> dict[str, tuple[int, int]]:
        """Return target -> (operators with evidence, probes or claims)."""
        rows = self._rows("SELECT target, COUNT(DISTINCT domain || ':' || op_type), SUM(probes) FROM support GROUP BY target")
        return {target: (operators, number) for target, operators, number in rows}
