"""compat.db from run files, documents and probe definitions: a pure function of them. docs/database.md describes the tables."""

import json
import os
import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any

from opcompat.outcome import OWN_FAULT, Clocked, Result, group_message
from opcompat.predict import Claim, Evidence, causes, judge_claims, trusted
from opcompat.runfiles import StoreError, contributed_folder, options_key, read_runs, timings_folder, version_order
from opcompat.store import SCHEMA_VERSION

DOCUMENTED = ("declared", "reported", "claimed")
REFUSED_OPSETS = 5
"""So many probes refused for nothing but the opset of their model show that a target takes none so new."""
STDERR = 500
"""Characters of the log that a crash or timeout keeps in the base, the last ones."""
"""Kinds of evidence that are tables and no runs, the strongest first."""

_SCHEMA = """
CREATE TABLE targets (
  target TEXT PRIMARY KEY, runtime TEXT NOT NULL, device TEXT NOT NULL, evidence TEXT NOT NULL, newest TEXT NOT NULL, options TEXT NOT NULL,
  about TEXT NOT NULL, aliases TEXT NOT NULL, requires TEXT, related TEXT NOT NULL, fallback TEXT, source TEXT NOT NULL, last_run TEXT NOT NULL
) WITHOUT ROWID;
CREATE TABLE releases (
  release INTEGER PRIMARY KEY, target TEXT NOT NULL REFERENCES targets(target), version TEXT NOT NULL, position INTEGER NOT NULL,
  current INTEGER NOT NULL, newest_opset INTEGER, refused INTEGER, UNIQUE (target, version)
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
CREATE INDEX claims_document ON claims (document, domain, op_type, status);
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
    stated = _ordered(load_claims(claims))
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


Stated = list[tuple[Any, Any, bool]]
"""(header, rows, whether no newer one of its kind speaks of its target) of every document, as `_ordered` gives them."""
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


def _brief(times_ms: Mapping[str, float]) -> str:
    """Return the times that are the runtime's own, as JSON, in two digits: one sample tells no more."""
    own = {k: float(f"{v:.2g}") for k, v in sorted(times_ms.items()) if k not in ("start", "compare")}
    return json.dumps({k: int(v) if v >= 10 else v for k, v in own.items()}, separators=(",", ":"))


def _insert_targets(db: sqlite3.Connection, every: list[Any], newest: Mapping[str, str], declared: Mapping[str, Any], claims: Stated) -> None:
    """Fill targets, runs, documents and claims. Measurements and documents of one target meet in its row: the strongest speaks for it."""
    rows: dict[str, tuple[Any, ...]] = {}
    kin: dict[str, tuple[list[str], str | None, list[str], str | None]] = {}  # target -> what all its documents say of it
    for header, _, _ in claims:
        runtime, device = header.target.split("/")
        aliases, requires, related, fallback = kin.get(header.target, ([], None, [], None))
        aliases = list(dict.fromkeys([*aliases, *header.aliases]))
        related = list(dict.fromkeys([*related, *header.related]))
        kin[header.target] = (aliases, requires or header.requires, related, fallback or header.fallback)
        rows.setdefault(header.target, (runtime, device, header.evidence, header.version, "{}", header.about, _source(header), header.date))
    driven = []
    last_run: dict[str, str] = {}
    for number, (_, run, _) in enumerate(every, 1):
        if run.target not in newest:
            continue  # timed, but never probed
        runtime, device = run.target.split("/")
        driver = declared.get(run.target)
        about, others, evidence = (getattr(driver, name, default) for name, default in (("ABOUT", ""), ("ALIASES", ()), ("EVIDENCE", "measured")))
        if run.version == newest[run.target]:
            last_run[run.target] = max(run.started, last_run.get(run.target, ""))  # timings come after all else
            rows[run.target] = (runtime, device, evidence, run.version, options_key(run.options), about, evidence, last_run[run.target])
            named, requires, related, fallback = kin.get(run.target, ([], None, [], None))
            kin[run.target] = (list(dict.fromkeys([*others, *named])), requires, related, fallback)
        details = (options_key(run.packages), options_key(run.options), options_key(run.host), run.opcompat, run.started, run.source)
        driven.append((number, run.target, run.version, *details))
    for target, (*about, source, last) in sorted(rows.items()):
        aliases, requires, related, fallback = kin[target]
        _insert(db, "targets", [(target, *about, json.dumps(aliases), requires, json.dumps(related), fallback, source, last)])
    _insert(db, "runs", driven)
    number = 0
    for document, (header, listed, current) in enumerate(claims, 1):
        words = (header.version, int(current), _source(header), header.date, header.about, header.requires, header.fallback)
        _insert(db, "documents", [(document, header.target, header.evidence, *words)])
        for c in listed:
            number += 1
            texts = (json.dumps(c.when, sort_keys=True), json.dumps(c.limits, sort_keys=True), c.unchecked, c.note, c.runtime_op)
            _insert(db, "claims", [(number, document, c.domain, c.op_type, c.status, *texts)])


def _source(header: Any) -> str:
    return f"{header.publisher}: {header.title} ({header.version}, {header.date})"


def _ordered(claims: list[Any]) -> Stated:
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
    newest = _newest_opsets(found, known)
    for (t, v), n in sorted(releases.items(), key=lambda item: item[1]):
        opset, refused = newest.get((t, v), (None, ""))
        _insert(db, "releases", [(n, t, v, versions[t].index(v), int(v == found.newest[t]), opset, ids.get(refused))])
    texts, messages = _Kept(), _Kept()
    blame = _blame(found, known, newest)
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
                times = _brief(r.times_ms) if current else None
                words = r.stderr[-STDERR:] if r.outcome in ("crash", "timeout") else ""  # the others have a message; run files keep all
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


def _newest_opsets(found: _Found, known: Mapping[str, Any]) -> dict[tuple[str, str], tuple[int, str]]:
    """Return (target, version) -> (newest opset of a model that it takes, a probe refused for its opset), for those that refuse newer ones.

    That is told from operators that are new by what passes in models of older opsets, in the same version of the operator, and never above.
    """
    every: dict[tuple[str, str], list[tuple[Any, bool]]] = {}
    for (target, version, probe), (_, result) in found.latest.items():
        if result.outcome not in OWN_FAULT and (target, version, probe) not in found.unconfirmed and known[result.digest].domain in ("", "pattern"):
            every.setdefault((target, version), []).append((known[result.digest], result.outcome == "pass"))
    made = {}
    for release, results in every.items():
        passing = {(p.domain, p.op_type, p.facts.get("since_version")) for p, good in results if good}
        newest = max((p.opset for p, good in results if good), default=0)
        refused = [p for p, _ in results if p.opset > newest and (p.domain, p.op_type, p.facts.get("since_version")) in passing]
        if len(refused) >= REFUSED_OPSETS:
            plainest = min(refused, key=lambda p: (p.opset, p.domain, len(p.model), p.id))
            made[release] = (newest, plainest.id)
    return made


def _blame(found: _Found, known: Mapping[str, Any], newest: Mapping[tuple[str, str], tuple[int, str]]) -> dict[tuple[str, str], Any]:
    """Return (probe, target) -> the facts blamed for a failure, over the newest version of each target; an opset that it refuses is no such fact."""
    groups: dict[tuple[str, str, str], list[Evidence]] = {}
    for (target, version, probe), (_, result) in sorted(found.latest.items()):
        if version == found.newest[target] and result.outcome not in OWN_FAULT and (target, version, probe) not in found.unconfirmed:
            p = known[result.digest]
            if p.opset > newest.get((target, version), (p.opset, ""))[0]:
                continue
            groups.setdefault((target, p.domain, p.op_type), []).append(Evidence(probe, p.facts, result.outcome, result.placement, p.context))
    return {(probe, target): cause for (target, _, _), group in groups.items() for probe, cause in causes(trusted(group)).items()}


def _insert_contradictions(db: sqlite3.Connection, found: _Found, known: Mapping[str, Any], ids: Mapping[str, int], claims: Stated) -> None:
    """Insert where the newest document of its kind and a measurement of a comparable target disagree about one probe."""
    number = 0
    for header, listed, newest in claims:
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
