"""compat.db, read: all that commands ask of it. building.py makes it, docs/database.md describes the tables."""

import json
import sqlite3
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from opcompat.predict import Claim, Evidence, Timed, causes, trusted
from opcompat.runfiles import StoreError

SCHEMA_VERSION = 5


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
    return [e._replace(cause=found[e.probe]) if e.probe in found else e for e in evidence]


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

    def newest_opsets(self) -> dict[str, tuple[int, str]]:
        """Return target or target@version -> (newest opset of a model that it takes, a probe refused for its opset), for those that refuse some."""
        sql = "SELECT target, version, current, newest_opset, probe FROM releases JOIN probes ON probe_id = refused"
        return {t: (n, p) for target, version, current, n, p in self._rows(sql) for t in {f"{target}@{version}", *([target] * current)}}

    def evidence(self, op_types: Sequence[str], targets: Sequence[str]) -> dict[tuple[str, Operator], list[Evidence]]:
        """Return (target, operator) -> evidence; the probes of one operator share their facts objects.

        targets: names as given back in the keys, `ort/cpu` for the newest version, `ort/cpu@1.20.1` for that one.
        What is refused for nothing but the opset of its model is left out.
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
                  FROM probes p JOIN measurements m USING (probe_id) JOIN releases r USING (release) LEFT JOIN texts c ON c.text_id = m.cause_id
                  WHERE p.op_type IN ({ops}) AND m.release IN ({",".join(map(str, releases))}) AND m.outcome NOT IN ('broken', 'unavailable')
                    AND m.confirmed AND p.opset <= coalesce(r.newest_opset, p.opset)"""
        read = lru_cache(None)(json.loads)
        found: dict[tuple[str, Operator], list[Evidence]] = {}
        for probe_id, release, outcome, placement, cause in self._rows(sql, *op_types):
            probe, operator, facts, context = probes[probe_id]
            one = Evidence(probe, facts, outcome, placement, context, read(cause) if cause is not None else None)
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
        names: dict[str, list[str]] = {}
        for probe, name in pairs:
            names.setdefault(name, []).append(probe)
        found = {}
        for name, probes in names.items():
            target, _, version = name.partition("@")
            among = ",".join("?" * len(probes))
            sql = f"""SELECT p.probe, r.target, r.version, m.outcome, m.stage, coalesce(g.message, ''), n.started
                      FROM probes p JOIN measurements m USING (probe_id) JOIN releases r USING (release) JOIN runs n USING (run)
                        LEFT JOIN messages g USING (message_id)
                      WHERE p.probe IN ({among}) AND r.target = ? AND (r.version = ? OR (? = '' AND r.current))"""
            rows = self._rows(sql, *probes, target, version, version)
            several = self._rows("SELECT COUNT(*) FROM releases WHERE target = ?", target)[0][0] > 1
            for row in rows:
                found[row[0], name] = Detail(*(*row, self.history(row[0], target) if several else ""))
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
        sql = """SELECT op_type, model FROM probes WHERE domain = 'pattern' AND op_type NOT LIKE '%/%' AND NOT context
                 ORDER BY op_type, length(model), probe"""
        return [(name, zlib.decompress(model)) for name, model in self._rows(sql)]

    def model(self, probe: str) -> bytes | None:
        """Return the serialized ONNX model of a probe, or of a timing's subject."""
        rows = self._rows("SELECT model FROM probes WHERE probe = ? UNION ALL SELECT model FROM timings WHERE timing = ?", probe, probe)
        return zlib.decompress(rows[0][0]) if rows else None

    def probe_ms(self, target: str) -> float:
        """Return the median time of one probe in the newest version's campaign, without starting and comparing (ms); 0 where none was run."""
        from statistics import median  # not at the top: `check` needs none of what it imports

        sql = "SELECT times_ms FROM measurements JOIN releases USING (release) WHERE target = ? AND current AND times_ms IS NOT NULL"
        return float(median([sum(json.loads(times).values()) for (times,) in self._rows(sql, target)] or [0]))

    def counts(self) -> dict[str, tuple[int, int, int]]:
        """Return target -> (operators with evidence, probes of its newest version, statements of its newest documents)."""
        sql = """SELECT target, COUNT(DISTINCT domain || ':' || op_type), SUM(IIF(version = '', 0, probes)), SUM(IIF(version = '', probes, 0))
                 FROM support GROUP BY target"""
        return {target: (operators, probes, claims) for target, operators, probes, claims in self._rows(sql)}
