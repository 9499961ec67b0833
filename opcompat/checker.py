"""Model x targets -> findings: what works, what breaks, on which evidence. The dataclasses here are the JSON contract.

report.schema.json beside this file is made from them by `python -m opcompat.checker` (needs pydantic).
"""

import difflib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from functools import cached_property
from pathlib import Path
from typing import Any, Literal, get_args

from opcompat.model import Model, Node, of_proto, open_model, uncollected
from opcompat.outcome import VERDICTS, Stage, Verdict
from opcompat.patterns import Match, matches, templates
from opcompat.predict import Claim, Difference, Fact, Facts, Prediction, coverage, difference, differing, judge_claims, predict, slowdown, speaking
from opcompat.runfiles import database_path
from opcompat.schema import schema
from opcompat.signature import Signatures, pattern_facts
from opcompat.store import Base, Document, Operator, Target
from opcompat.workarounds import Workaround, all_workarounds, facts_of, meant_for, proof

SCHEMA_VERSION = 3
MAX_JUDGED = 60_000
"""Subjects times targets: 5 seconds where all are of the operator with the most probes."""
TARGETS_A_SUBJECT = 10
"""What a subject costs beside being judged, in targets."""
SEVERITY: tuple[Verdict, ...] = ("works", "slow", "falls_back", "unknown", "breaks")
"""From best to worst: a target's verdict is the worst of its nodes'."""


class CheckError(Exception):
    """The question cannot be answered; the text is one sentence for the user."""


Kind = Literal["measured", "declared", "reported", "claimed"]


@dataclass(frozen=True)
class Cited:
    """One piece of evidence. `source` is a probe id where a probe ran or the SDK was asked about it, else a document or an SDK's own table."""

    kind: Kind
    target: str
    version: str
    source: str
    outcome: str
    message: str
    date: str
    history: str = ""
    """How the probe fared over the versions measured; empty where there is one."""
    differs: dict[str, tuple[Fact | None, Fact | None]] = field(default_factory=dict)
    """fact -> [value of the node, value of the evidence], where they are not the same."""


@dataclass(frozen=True)
class Advice:
    """A workaround that applies; executable ones can be applied by `opcompat fix`."""

    name: str
    title: str
    kind: str
    advice: str
    source: str
    executable: bool
    proof: str
    """How its rewritten probes fared on this target; empty where none ran."""


@dataclass(frozen=True)
class Related:
    """What the evidence of a kindred target says of the same node; never merged into the verdict."""

    target: str
    verdict: Verdict
    confidence: str
    reason: str
    source: str


@dataclass(frozen=True)
class Finding:
    """What becomes of nodes on one target: those whose operator, facts and pattern are the same share it."""

    op_type: str
    domain: str
    verdict: Verdict
    confidence: str
    """exact: a probe with the same facts; inferred: from neighbouring probes; declared, reported, claimed: by such a table; conflicting; none."""
    stage: Stage | None
    reason: str
    pattern: str
    evidence: tuple[Cited, ...]
    workarounds: tuple[Advice, ...]
    related: tuple[Related, ...]
    nodes: tuple[str, ...]
    """Their paths, in the model's order."""


@dataclass(frozen=True)
class TargetReport:
    """One target: counts of nodes by verdict, connected pieces that work and that do not, and the findings, which name every node once."""

    target: str
    """As asked for: with @version where one was."""
    verdict: Verdict
    evidence: Kind
    """The strongest there is; of operators that it knows nothing of a weaker one may tell, as `Finding.evidence` says."""
    version: str
    answered_from: tuple[str, ...]
    """The versions whose evidence was used: the neighbours of one that was not measured, none where it is older than all."""
    counts: dict[str, int]
    partitions: dict[str, int]
    findings: tuple[Finding, ...]

    def by_node(self) -> dict[str, Finding]:
        """Return path -> finding of every node."""
        return {path: finding for finding in self.findings for path in finding.nodes}


@dataclass(frozen=True)
class ModelInfo:
    """The checked model; sha256 is over its graph without large tensors."""

    name: str
    sha256: str
    ir_version: int
    opsets: dict[str, int]
    nodes: int
    main_graph_nodes: int
    operators: dict[str, int]
    notes: tuple[str, ...]
    paths: tuple[str, ...]
    """Of all nodes in their order, those of the main graph first: a node's name, made unique, behind the path of the node whose body it is in."""


@dataclass(frozen=True)
class Report:
    """The answer of `opcompat check`."""

    schema_version: int
    model: ModelInfo
    targets: tuple[TargetReport, ...]


# ---- targets ---------------------------------------------------------------------------------------------------------------------------


NICKNAMES = {"opencv4": "opencv/cpu@4.14"}
"""What people call a version of a target."""

ANYWHERE = ("cpu", "gpu", "npu", "tpu", "convert")
"""Devices that name no target by themselves, as `wasm` and `rk3588` do."""


def resolve(wanted: Sequence[str], known: Mapping[str, Target]) -> list[str]:
    """Return target names for what a user typed: names, globs, runtimes, devices, aliases, `all`; `@version` behind a name stays there.

    Raises CheckError naming the nearest targets.
    """
    parts = {t.requires for t in known.values()}
    offered = [t for t in sorted(known) if t not in parts]
    aliases: dict[str, list[str]] = {}
    unnamed = {*ANYWHERE, *(t.split("/")[0] for t in offered)}  # `qnn` is the runtime, not what another one calls a device
    for target in offered:
        runtime, device = target.split("/")
        for alias in dict.fromkeys([target, runtime, *({device} - unnamed), *known[target].aliases]):
            aliases.setdefault(alias.lower(), []).append(target)
    chosen: list[str] = []
    for asked in wanted:
        name, at, version = NICKNAMES.get(asked.lower(), asked).partition("@")
        found = offered if name == "all" else aliases.get(name.lower()) or [t for t in offered if fnmatchcase(t, name.lower())]
        found = [t + at + version for t in found]
        if not found:
            near = difflib.get_close_matches(name.lower(), [*aliases, "all"], 4, 0.4) or offered[:6]
            raise CheckError(f"unknown target {name!r}: nearest are {', '.join(near)} (`opcompat targets` lists all)")
        chosen += [t for t in found if t not in chosen]
    return chosen


@dataclass(frozen=True)
class Asked:
    """A target at a version, and whose evidence answers for it."""

    target: str
    version: str
    versions: tuple[str, ...]
    """Of the evidence: the version itself, or its measured neighbours."""
    sources: tuple[str, ...]
    """The same as names that Base.evidence takes; none where only documents speak of that version."""
    documents: tuple[Document, ...]
    """The strongest first."""
    note: str = ""
    """Why the version itself does not answer."""


def find_version(asked: str, versions: Sequence[str]) -> str:
    """Return the newest of the versions that equals what was asked or begins with it (2024.6 finds 2024.6.0); empty for none."""
    return next((v for v in reversed(versions) if v == asked or v.startswith(asked + ".")), "")


def answering(name: str, known: Mapping[str, Target], versions: Mapping[str, Sequence[str]]) -> Asked:
    """Return whose evidence answers for a target name with or without @version. Raises CheckError for a version that is none."""
    target, _, version = name.partition("@")
    about = known[target]
    measured = list(versions.get(target, ()))
    if not version:
        return Asked(target, about.newest, (about.newest,), (target,) if measured else (), tuple(d for d in about.documents if d.current))
    wanted = find_version(version, measured) or find_version(version, [d.version for d in reversed(about.documents)])
    written = tuple(d for d in about.documents if d.version == wanted)
    if wanted in measured:
        return Asked(target, wanted, (wanted,), (f"{target}@{wanted}",), written)
    if wanted:
        return Asked(target, wanted, (wanted,), (), written)
    if not measured:
        raise CheckError(f"{target} is known from tables of version {', '.join(dict.fromkeys(d.version for d in about.documents))} only")
    from packaging.version import InvalidVersion, Version

    try:
        older = [v for v in measured if Version(v) < Version(version)]
    except InvalidVersion:
        raise CheckError(f"{version!r} is no version of {target}: measured are {', '.join(measured)}") from None
    if not older:
        return Asked(target, version, (), (), (), f"nothing older than {measured[0]} was measured")
    around = measured[len(older) - 1 : len(older) + 1]
    note = f"{version} was not measured" if len(around) == 2 else f"{version} was not measured, this is what {around[0]} does"
    return Asked(target, version, tuple(around), tuple(f"{target}@{v}" for v in around), (), note)


# ---- verdicts --------------------------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class Subject:
    """What nodes share that are judged as one: operator and facts, the pattern around them, and what is in the function that they call."""

    operator: Operator
    facts: Facts
    pattern: tuple[str, Facts] | None = None
    body: Sequence[int] = ()
    """The subject (by number) of every node in the function of the model that they call."""
    nodes: list[Node] = field(default_factory=list)

    @cached_property
    def paths(self) -> tuple[str, ...]:
        return tuple(n.path for n in self.nodes)

    @cached_property
    def advised(self) -> dict[str, Fact]:
        """The facts that workarounds go by."""
        return facts_of(self.facts, self.nodes)

    @property
    def named(self) -> list[tuple[str, dict[str, Fact]]]:
        """What workarounds call its operator, and the pattern around it, with the facts they go by."""
        domain, op_type = self.operator
        around = [(f"pattern:{self.pattern[0]}", dict(self.pattern[1]))] if self.pattern else []
        return [(f"{domain}:{op_type}" if domain else op_type, self.advised), *around]


_SAID: dict[Verdict, str] = {"works": "it works", "slow": "it is slow", "falls_back": "it falls back", "unknown": "unknown", "breaks": "it breaks"}


@dataclass(frozen=True)
class _Judged:
    prediction: Prediction
    claim: Claim | None = None
    document: Document | None = None
    """Where the claim stands."""
    target: str = ""
    """Whose evidence decided, as Base.details takes it."""
    pattern: str = ""
    slow: Cited | None = None
    """The timing that made `works` slow."""


class Judge:
    """Answers (subject, target); keeps what it computed, because models repeat themselves."""

    def __init__(self, base: Base, known: Mapping[str, Target], subjects: Sequence[Subject], asked: Mapping[str, Asked]):
        self.known, self.asked = known, asked
        names = {"*", *(name for s in subjects for name, _ in s.named)}
        proofs = {f"workaround/{w.name}" for w in all_workarounds() if w.rewrite is not None and not names.isdisjoint(w.operators)}
        ops = sorted({s.operator[1] for s in subjects} | {s.pattern[0] for s in subjects if s.pattern} | proofs)
        wanted = {t for a in asked.values() for t in (*a.sources, *known[a.target].related)}
        self.evidence = base.evidence(ops, sorted(wanted))
        self.claims = base.claims(ops, self._documents(wanted))
        self.timed = base.timed(ops, sorted(wanted))
        self.distances: dict[tuple[int, int], Difference] = {}  # of the subject that is being judged
        self.covered: dict[tuple[str, Operator], Callable[[str, Fact | None], bool]] = {}
        self.kept: dict[tuple[int, str], _Judged] = {}

    def everywhere(self, subject: Subject) -> None:
        """Judge a subject on every target that the report asks for, so that how far it is from each probe is found out once and then forgotten."""
        for name, asked in self.asked.items():
            for target in (name, *(r for r in self.known[asked.target].related if r in self.known)):
                self(subject, target)
        self.distances.clear()

    def _documents(self, wanted: Iterable[str]) -> set[int]:
        """Return the documents that may be asked: of these targets, of those that were asked for, and of what stands before or behind them."""
        todo = [d for a in self.asked.values() for d in a.documents]
        todo += [d for name in wanted if name in self.known for d in self.known[name].documents if d.current]
        for d in todo:
            beside = (d.requires, d.fallback)
            todo += [e for name in beside for e in self._current(name) if e not in todo]
        return {d.document for d in todo}

    def _distance(self, a: Facts, b: Facts) -> Difference:
        key = (id(a), id(b))
        if key not in self.distances:
            self.distances[key] = difference(a, b)
        return self.distances[key]

    def _coverage(self, key: tuple[str, Operator]) -> Callable[[str, Fact | None], bool]:
        if key not in self.covered:
            self.covered[key] = coverage(self.evidence.get(key, []))
        return self.covered[key]

    def __call__(self, subject: Subject, target: str) -> _Judged:
        key = (id(subject), target)
        if key not in self.kept:
            alone = self._one(subject.operator, subject.facts, target)
            if subject.pattern is not None:
                name, facts = subject.pattern
                whole = self._one(("pattern", name), facts, target)
                # what a runtime does to the whole pattern overrides what it does to its parts alone, if it is known
                if whole.prediction.verdict != "unknown":
                    alone = replace(whole, pattern=name)
            self.kept[key] = self._slow(subject, alone, target) if alone.prediction.verdict == "works" else alone
        return self.kept[key]

    def _slow(self, subject: Subject, works: _Judged, name: str) -> _Judged:
        """Return what works as slow where timings of that version say so: of the pattern around it if that was timed, else of the operator."""
        sources = self.asked[name].sources if name in self.asked else ()
        around = [(("pattern", subject.pattern[0]), subject.pattern[1])] if subject.pattern else []
        for operator, facts in (*around, (subject.operator, subject.facts)):
            if len(sources) == 1 and (near := speaking(facts, self.timed.get((sources[0], operator), ()))):
                if (found := slowdown(near)) is None:
                    break
                reason = f"{found.what} runs here at {found.ratio:.2f}x the throughput of {found.than}"
                spread = f"quartiles {found.low:.2f} to {found.high:.2f} over {found.pairs} pairs"
                words = (found.timing, f"{found.ratio:.2f}x", spread, found.started[:10], "")
                differs = differing(difference(facts, found.facts), facts, found.facts)
                about = self.asked[name].target
                return replace(
                    works, prediction=replace(works.prediction, verdict="slow", confidence="inferred", reason=reason),
                    pattern=operator[1] if operator[0] == "pattern" else works.pattern,
                    slow=Cited(_kind(self.known[about].evidence), about, found.version, *words, differs),
                )  # fmt: skip
        return works

    def _one(self, operator: Operator, facts: Facts, name: str) -> _Judged:
        asked = self.asked.get(name)
        if asked is None:  # a related target
            asked = Asked(name, "", ("",), (name,), tuple(d for d in self.known[name].documents if d.current))
        measured = self._measured(operator, facts, asked)
        if measured.prediction.verdict != "unknown":
            return measured
        written = self.written(operator, facts, asked.documents)
        if written is None or not any(self.evidence.get((source, operator)) for source in asked.sources):
            return written or measured
        # where probes of the operator ran and say nothing of this variant, tables are right too seldom to decide (bench/accuracy.py)
        said, document = written.prediction, written.document
        if said.verdict == "unknown" or document is None:
            return measured
        reason = f"{measured.prediction.reason}; {_SAID[said.verdict]}, {document.evidence} only: {said.reason}"
        return replace(measured, prediction=replace(measured.prediction, reason=reason), claim=written.claim, document=document)

    def _measured(self, operator: Operator, facts: Facts, asked: Asked) -> _Judged:
        found = [predict(facts, self.evidence.get(key, []), self._distance, self._coverage(key)) for s in asked.sources if (key := (s, operator))]
        last = found[-1] if found else Prediction("unknown", "none", asked.note or "nothing speaks of it")
        if len({f.verdict for f in found}) > 1:
            told = ", ".join(f"{_SAID[f.verdict]} in {version}" for f, version in zip(found, asked.versions, strict=True))
            return _Judged(Prediction("unknown", "conflicting", f"{asked.note}: {told}"))
        if asked.note and found and last.verdict != "unknown":
            note = asked.note + (f", {' and '.join(asked.versions)} agree" if len(found) > 1 else "")
            last = replace(last, confidence="inferred", reason=f"{last.reason}; {note}")
        return _Judged(last, target=asked.sources[-1] if found else "")

    def written(self, operator: Operator, facts: Facts, documents: Sequence[Document]) -> _Judged | None:
        """Return the word of the first document that has one, else the first document's reason for having none."""
        first = None
        for document in documents:
            judged = self._document(operator, facts, document)
            if judged.prediction.verdict != "unknown":
                return judged
            first = first or judged
        return first

    def _document(self, operator: Operator, facts: Facts, document: Document) -> _Judged:
        """A document's word: the converter's table first if there is one, then the runtime's; a refusal there may still fall back."""
        before = self.written(operator, facts, self._current(document.requires))
        if before is not None and (before.prediction.verdict != "works" or (before.claim is not None and before.claim.status == "folded")):
            return before
        found = self._table(operator, facts, document)
        if found.prediction.verdict == "breaks":
            behind = self.written(operator, facts, self._current(document.fallback))
            if behind is not None and behind.prediction.verdict == "works":
                reason = f"{found.prediction.reason}; {document.fallback} takes it"
                return replace(found, prediction=replace(found.prediction, verdict="falls_back", reason=reason))
        return found

    def _current(self, target: str | None) -> list[Document]:
        """Return the newest documents of a target that stands before or behind another."""
        about = self.known.get(target or "")
        return [d for d in about.documents if d.current] if about else []

    def _table(self, operator: Operator, facts: Facts, document: Document) -> _Judged:
        general = self.claims.get((document.document, ("", "*")), [])
        found, claim = judge_claims(facts, self.claims.get((document.document, operator), []), general)
        return _Judged(replace(found, confidence=document.evidence) if claim else found, claim, document)


@dataclass(frozen=True)
class _Plan:
    """What the reports of all targets share.

    subjects: what is called before who calls it. order: their numbers as their first nodes come in the model. main: the subject (by number) of
    every node of the main graph. feeders: the nodes (by number) that each of these reads from. pieces: what _partitions counted, by which subjects
    the target takes, as many targets agree.
    """

    subjects: list[Subject]
    order: list[int]
    main: list[int]
    feeders: list[list[int]]
    pieces: dict[bytes, dict[str, int]] = field(default_factory=dict)


def _plan(model: Model, base: Base) -> _Plan:
    """Group the model's nodes by operator, facts, the pattern they are part of and, if they call a function of the model, by what is in it."""
    inside: dict[Node, tuple[str, Facts]] = {}
    operators = frozenset(n.op_type for n in model.nodes)
    scopes = list({id(n.scope): n.scope for n in model.nodes}.values())
    for template in templates(base.patterns(), operators):
        for scope in scopes:
            match: Match
            for match in matches(template, scope, inside.keys()):
                facts = pattern_facts(match.feed, scope.opsets.get("", 0), match.template)
                inside.update(dict.fromkeys(match.nodes, (match.name, facts)))
    numbers: dict[Any, int] = {}
    subjects: list[Subject] = []
    chosen: list[int] = []
    signatures = Signatures(operators)
    held: dict[str, list[int]] = {}
    for node in reversed(model.nodes):  # bodies before the node that holds them
        (facts, told), around, body = signatures(node), inside.get(node), held.get(node.path, [])
        if body and schema(node.domain, node.op_type, node.scope.opsets.get(node.domain, 1)) is not None:
            body = []  # If, Loop and Scan are judged by themselves
        calls = (len(body), frozenset(body)) if body else None
        key = (node.domain, node.op_type, told, around and (around[0], frozenset(around[1].items())), calls)
        number = numbers.setdefault(key, len(subjects))
        if number == len(subjects):
            subjects.append(Subject((node.domain, node.op_type), facts, around, body))
        subjects[number].nodes.append(node)
        chosen.append(number)
        if node.holder:
            held.setdefault(node.holder, []).append(number)
    for subject in subjects:
        subject.nodes.reverse()
    made: dict[str, int] = {}
    feeders: list[list[int]] = []
    for index, node in enumerate(model.main.nodes):
        feeders.append([made[i] for i in node.input if i in made])
        made.update(dict.fromkeys(filter(None, node.output), index))
    chosen.reverse()
    return _Plan(subjects, list(dict.fromkeys(chosen)), chosen[: len(feeders)], feeders)


def _partitions(feeders: Sequence[Sequence[int]], good: Iterable[bool]) -> dict[str, int]:
    """Count the pieces of the main graph: connected runs of nodes, in execution order, that the target takes (good) or leaves."""
    pieces: list[int] = []
    kinds: list[bool] = []
    newest = {True: -1, False: -1}
    for taken, before in zip(good, feeders, strict=True):
        last = -1  # of the pieces that feed it; by hand, because max takes twice as long and this runs for every node and most targets
        for index in before:
            if pieces[index] > last:
                last = pieces[index]
        # a node joins a piece of its own kind unless a piece made later already feeds it
        piece = last if last >= 0 and kinds[last] == taken else newest[taken]
        if piece < 0 or piece < last:
            kinds.append(taken)
            piece = newest[taken] = len(kinds) - 1
        pieces.append(piece)
    return {"supported": sum(kinds), "unsupported": len(kinds) - sum(kinds)}


def _stage_of(judged: _Judged, about: Target) -> Stage | None:
    if judged.prediction.verdict in ("works", "unknown") or judged.claim is None:
        return None
    return "compile" if judged.document is None or judged.document.target == about.target else "convert"


def _kind(evidence: str) -> Kind:
    return next(kind for kind in get_args(Kind) if kind == evidence)


def _advised(w: Workaround, shown: str = "") -> Advice:
    return Advice(w.name, w.title, w.kind, w.advice, w.source, w.rewrite is not None, shown)


def _advice(subject: Subject, asked: Asked, judge: Judge, pattern: str, stage: str | None, message: str) -> tuple[Advice, ...]:
    """Return the workarounds that apply to the operator, or to the pattern that decided; a rewrite that its own probes disprove helps nobody."""

    def known(*operators: Operator) -> list[Any]:
        return [e for source in asked.sources for o in operators for e in judge.evidence.get((source, o), [])]

    broken = {e.probe for e in known(subject.operator, ("pattern", pattern)) if not e.good}
    made: dict[str, Advice] = {}
    for name, facts in subject.named if pattern else subject.named[:1]:
        for w in meant_for(name, asked.target):
            if w.name not in made and w.fits(name, facts, asked.target, stage, asked.version, message):
                shown = proof(known(("pattern", f"workaround/{w.name}")), broken, subject.facts, asked.target)
                if shown is not None:
                    made[w.name] = _advised(w, shown)
    return tuple(sorted(made.values(), key=lambda a: (not a.proof, a.name)))  # what was seen to help comes first, and `fix` tries it first


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict, `works` for none at all."""
    return max(verdicts, key=SEVERITY.index, default="works")


@uncollected()
def check(model: str | Path | Model | Any, targets: Sequence[str] = ("all",), base: Base | None = None) -> Report:
    """Predict for every node of a model what becomes of it on each target, from recorded evidence. No SDK and no network is used.

    model: a path, an onnx.ModelProto, or an opened Model. targets: names, globs, aliases or "all".
    Raises ModelError, StoreError or CheckError, each with one sentence, where that cannot be done.
    """
    if isinstance(model, (str, Path)):
        model = open_model(model)
    elif not isinstance(model, Model):
        model = of_proto(model, "model")
    with nullcontext(base) if base is not None else Base(database_path()) as opened:
        known = opened.targets()
        chosen = resolve(targets, known)
        plan = _plan(model, opened)
        measured = opened.versions()
        _bounded(model.name, len(plan.subjects), len(chosen))
        judge = Judge(opened, known, plan.subjects, {name: answering(name, known, measured) for name in chosen})
        for subject in plan.subjects:
            judge.everywhere(subject)
        limits, opset = opened.newest_opsets(), model.opsets.get("", 0)
        too_new = {name: _too_new(judge.asked[name], opset, limits) for name in chosen}
        reports = tuple(_target(known, name, plan, judge, opened, too_new[name]) for name in chosen)
    operators = Counter(f"{n.domain}:{n.op_type}" if n.domain else n.op_type for n in model.nodes)
    about = ModelInfo(
        model.name, model.sha256, model.ir_version, dict(model.opsets), len(model.nodes), len(model.main.nodes),
        dict(sorted(operators.items())), model.notes, tuple(n.path for n in model.nodes),
    )  # fmt: skip
    return Report(SCHEMA_VERSION, about, reports)


def _bounded(model: str, subjects: int, targets: int) -> None:
    """Raise CheckError where there is more to judge than a few seconds suffice for: networks have a few hundred kinds of nodes at most."""
    if subjects * (targets + TARGETS_A_SUBJECT) > MAX_JUDGED:
        many = f"{model} has {subjects:,} nodes that differ in operator or facts: too many to check"
        few = MAX_JUDGED // subjects - TARGETS_A_SUBJECT
        raise CheckError(f"{many} on {targets} targets at once, name at most {few} with --target" if few > 0 else many)


def _too_new(asked: Asked, opset: int, limits: Mapping[str, tuple[int, str]]) -> _Judged | None:
    """Return what breaks every node where a target refuses models of this opset, in all versions that answer."""
    refusing = [limits[source] for source in asked.sources if opset > limits.get(source, (opset, ""))[0]]
    if not refusing or len(refusing) < len(asked.sources):
        return None
    newest, probe = refusing[-1]
    reason = f"the model is of opset {opset}, newer than any opset that is taken here, {newest} at most"
    return _Judged(Prediction("breaks", "inferred", reason, probe), target=asked.sources[-1])


def _target(known: Mapping[str, Target], name: str, plan: _Plan, judge: Judge, base: Base, too_new: _Judged | None) -> TargetReport:
    asked = judge.asked[name]
    about = known[asked.target]
    judged = [judge(s, name) for s in plan.subjects]
    if too_new is not None:  # what breaks by itself keeps its own reason
        judged = [j if j.prediction.verdict == "breaks" else too_new for j in judged]
    details = base.details({(j.prediction.probe, j.target) for j in judged if j.prediction.probe})
    findings: list[Finding] = []
    for subject, one in zip(plan.subjects, judged, strict=True):
        found = one.prediction
        domain, op_type = subject.operator
        if subject.body:
            inner = worst(findings[number].verdict for number in subject.body)
            reason = f"a function of the model: its verdict is the worst of its {len(subject.body)} nodes"
            findings.append(Finding(op_type, domain, inner, "inferred", None, reason, one.pattern, (), (), (), subject.paths))
            continue
        cited: tuple[Cited, ...] = ()
        stage = _stage_of(one, about)
        if found.probe and (detail := details.get((found.probe, one.target))) is not None:
            stage = stage or (detail.stage if found.verdict in ("breaks", "falls_back") else None)  # type: ignore[assignment]
            words = (detail.probe, detail.outcome, detail.message, detail.started[:10], detail.history)
            cited = (Cited(_kind(about.evidence), asked.target, detail.version, *words, dict(found.differs)),)
        if one.claim is not None and (table := one.document) is not None:
            text = one.claim.note or one.claim.unchecked
            cited += (Cited(_kind(table.evidence), table.target, table.version, table.source, one.claim.status, text, table.date),)
        if one.slow is not None:
            cited = (one.slow, *cited)
        kin = ((r, judge(subject, r).prediction) for r in about.related if r in known)
        related = tuple(Related(r, p.verdict, p.confidence, p.reason, p.probe) for r, p in kin)
        needs_help = found.verdict not in ("works", "slow", "unknown")
        advice: tuple[Advice, ...] = ()
        if one is too_new:
            advice = tuple(_advised(w) for w in meant_for("*", asked.target) if w.message and re.search(w.message, found.reason))
        elif needs_help:
            advice = _advice(subject, asked, judge, one.pattern, stage, cited[0].message if cited else "")
        because = (found.confidence, stage, found.reason, one.pattern)
        findings.append(Finding(op_type, domain, found.verdict, *because, cited, advice, related, subject.paths))
    counts: dict[str, int] = dict.fromkeys(VERDICTS, 0)
    for finding in findings:
        counts[finding.verdict] += len(finding.nodes)
    good = bytes(f.verdict in ("works", "slow") for f in findings)
    if good not in plan.pieces:
        plan.pieces[good] = _partitions(plan.feeders, (bool(good[number]) for number in plan.main))
    verdict, ordered = worst(f.verdict for f in findings), tuple(findings[number] for number in plan.order)
    return TargetReport(name, verdict, _kind(about.evidence), asked.version, asked.versions, counts, plan.pieces[good], ordered)


def schema_text() -> str:
    """Return the JSON schema of a Report."""
    import json

    from pydantic import TypeAdapter

    return json.dumps(TypeAdapter(Report).json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("report.schema.json").write_text(schema_text())
