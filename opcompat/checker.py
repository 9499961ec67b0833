"""Model x targets -> findings: what works, what breaks, on which evidence. The dataclasses here are the JSON contract.

report.schema.json beside this file is made from them by `python -m opcompat.checker` (needs pydantic).
"""

import difflib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, Literal

from opcompat.model import Model, Node, of_proto, open_model
from opcompat.outcome import VERDICTS, Stage, Verdict
from opcompat.patterns import Match, matches, templates
from opcompat.predict import Claim, Difference, Evidence, Fact, Facts, Prediction, difference, judge_claims, predict
from opcompat.schema import schema
from opcompat.signature import pattern_facts, signature
from opcompat.store import Base, Operator, Target, database_path
from opcompat.workarounds import all_workarounds

SCHEMA_VERSION = 1
SEVERITY: tuple[Verdict, ...] = ("works", "slow", "falls_back", "unknown", "breaks")
"""From best to worst: a target's verdict is the worst of its nodes'."""


class CheckError(Exception):
    """The question cannot be answered; the text is one sentence for the user."""


@dataclass(frozen=True)
class Cited:
    """One piece of evidence. For kind measured, `source` is a probe id; for claimed, a document."""

    kind: Literal["measured", "claimed"]
    target: str
    version: str
    source: str
    outcome: str
    message: str
    date: str
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
    """What measured evidence of a kindred target says of the same node; never merged into the verdict."""

    target: str
    verdict: Verdict
    confidence: str
    reason: str
    source: str


@dataclass(frozen=True)
class NodeFinding:
    """One node on one target."""

    name: str
    path: str
    op_type: str
    domain: str
    verdict: Verdict
    confidence: str
    """exact: a probe with the same facts; inferred: from neighbouring probes; claimed: a document; conflicting; none."""
    stage: Stage | None
    reason: str
    pattern: str
    evidence: tuple[Cited, ...]
    workarounds: tuple[Advice, ...]
    related: tuple[Related, ...]


@dataclass(frozen=True)
class TargetReport:
    """One target: counts by verdict, connected pieces that work and that do not, and a finding for every node of the model."""

    target: str
    verdict: Verdict
    evidence: Literal["measured", "claimed"]
    version: str
    counts: dict[str, int]
    partitions: dict[str, int]
    nodes: tuple[NodeFinding, ...]


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


@dataclass(frozen=True)
class Report:
    """The answer of `opcompat check`."""

    schema_version: int
    model: ModelInfo
    targets: tuple[TargetReport, ...]


# ---- targets ---------------------------------------------------------------------------------------------------------------------------


def resolve(wanted: Sequence[str], known: Mapping[str, Target]) -> list[str]:
    """Return target names for what a user typed: names, globs, runtimes, aliases, `all`. Raises CheckError naming the nearest targets."""
    parts = {t.requires for t in known.values()}
    offered = [t for t in sorted(known) if t not in parts]
    aliases: dict[str, list[str]] = {}
    for target in offered:
        for alias in (target, target.split("/")[0], *known[target].aliases):
            aliases.setdefault(alias.lower(), []).append(target)
    chosen: list[str] = []
    for name in wanted:
        found = offered if name == "all" else aliases.get(name.lower()) or [t for t in offered if fnmatchcase(t, name.lower())]
        if not found:
            near = difflib.get_close_matches(name.lower(), [*aliases, "all"], 4, 0.4) or offered[:6]
            raise CheckError(f"unknown target {name!r}: nearest are {', '.join(near)} (`opcompat targets` lists all)")
        chosen += [t for t in found if t not in chosen]
    return chosen


# ---- verdicts --------------------------------------------------------------------------------------------------------------------------


@dataclass
class _Subject:
    """Nodes that share operator and facts, judged once: by what is known of the pattern around them, or of the operator."""

    operator: Operator
    facts: Facts
    nodes: list[Node] = field(default_factory=list)
    pattern: tuple[str, Facts] | None = None


@dataclass(frozen=True)
class _Judged:
    prediction: Prediction
    claim: Claim | None = None
    claim_target: str = ""
    target: str = ""
    pattern: str = ""


class _Judge:
    """Answers (subject, target); keeps what it computed, because models repeat themselves."""

    def __init__(self, base: Base, known: Mapping[str, Target], subjects: Sequence[_Subject], targets: Sequence[str]):
        self.known = known
        proofs = {f"workaround/{w.name}" for w in all_workarounds() if w.rewrite is not None}
        ops = sorted({s.operator[1] for s in subjects} | {s.pattern[0] for s in subjects if s.pattern} | proofs)
        wanted = {t for name in targets for t in (name, *known[name].related)}
        self.evidence = base.evidence(ops, sorted(wanted & known.keys()))
        self.claims = base.claims(ops)
        self.distances: dict[tuple[int, int], Difference] = {}
        self.kept: dict[tuple[int, str], _Judged] = {}

    def _distance(self, a: Facts, b: Facts) -> Difference:
        key = (id(a), id(b))
        if key not in self.distances:
            self.distances[key] = difference(a, b)
        return self.distances[key]

    def __call__(self, subject: _Subject, target: str) -> _Judged:
        key = (id(subject), target)
        if key not in self.kept:
            alone = self._one(subject.operator, subject.facts, target)
            if subject.pattern is not None:
                name, facts = subject.pattern
                whole = self._one(("pattern", name), facts, target)
                # what a runtime does to the whole pattern overrides what it does to its parts alone, if it is known
                if whole.prediction.verdict != "unknown":
                    alone = replace(whole, pattern=name)
            self.kept[key] = alone
        return self.kept[key]

    def _one(self, operator: Operator, facts: Facts, target: str) -> _Judged:
        about = self.known[target]
        measured: list[Evidence] = self.evidence.get((target, operator), [])
        if about.evidence == "measured":
            return _Judged(predict(facts, measured, self._distance), target=target)
        return self._claimed(operator, facts, about)

    def _claimed(self, operator: Operator, facts: Facts, about: Target) -> _Judged:
        """A document's word: the converter's table first if there is one, then the runtime's; a refusal there may still fall back."""
        if about.requires:
            found, claim = self._table(operator, facts, about.requires)
            if found.verdict != "works" or (claim is not None and claim.status == "folded"):
                return _Judged(found, claim, about.requires, about.target)
        found, claim = self._table(operator, facts, about.target)
        if found.verdict == "breaks" and about.fallback and self._table(operator, facts, about.fallback)[0].verdict == "works":
            found = replace(found, verdict="falls_back", reason=f"{found.reason}; {about.fallback} takes it")
        return _Judged(found, claim, about.target, about.target)

    def _table(self, operator: Operator, facts: Facts, target: str) -> tuple[Prediction, Claim | None]:
        general = self.claims.get((target, ("", "*")), [])
        return judge_claims(facts, self.claims.get((target, operator), []), general)


def _subjects(model: Model, base: Base) -> tuple[list[_Subject], dict[str, _Subject]]:
    """Group the model's nodes by operator, facts and the pattern they are part of; return the groups and path -> group."""
    inside: dict[str, tuple[str, Facts]] = {}
    operators = frozenset(n.op_type for n in model.nodes)
    scopes = list({id(n.scope): n.scope for n in model.nodes}.values())
    for template in templates(base.patterns(), operators):
        for scope in scopes:
            match: Match
            for match in matches(template, scope, frozenset(inside)):
                facts = pattern_facts(match.feed, scope.opsets.get("", 0), match.template)
                inside.update({n.path: (match.name, facts) for n in match.nodes})
    groups: dict[Any, _Subject] = {}
    by_path: dict[str, _Subject] = {}
    for node in model.nodes:
        facts = signature(node)
        around = inside.get(node.path)
        key = (node.domain, node.op_type, frozenset(facts.items()), around and (around[0], frozenset(around[1].items())))
        subject = groups.setdefault(key, _Subject((node.domain, node.op_type), facts, pattern=around))
        subject.nodes.append(node)
        by_path[node.path] = subject
    return list(groups.values()), by_path


def _partitions(model: Model, verdicts: Mapping[str, Verdict]) -> dict[str, int]:
    """Count the pieces of the main graph: connected runs of nodes, in execution order, that the target takes or leaves."""
    where: dict[str, int] = {}
    kinds: list[bool] = []
    for node in model.main.nodes:
        good = verdicts[node.path] in ("works", "slow")
        before = [where[i] for i in node.proto.input if i in where]
        # a node joins a piece of its own kind unless a piece made later already feeds it
        last = max(before, default=-1)
        piece = last if last >= 0 and kinds[last] == good else next((p for p in range(len(kinds) - 1, last, -1) if kinds[p] == good), -1)
        if piece < 0:
            kinds.append(good)
            piece = len(kinds) - 1
        where.update({o: piece for o in node.proto.output if o})
    return {"supported": sum(kinds), "unsupported": len(kinds) - sum(kinds)}


def _stage_of(judged: _Judged, about: Target) -> Stage | None:
    if judged.prediction.verdict in ("works", "unknown") or judged.claim is None:
        return None
    return "convert" if judged.claim_target == about.requires else "compile"


def _advice(subject: _Subject, target: str, judge: _Judge, stage: str | None) -> tuple[Advice, ...]:
    """Return the workarounds that apply; a rewrite most of whose probes break on the target helps nobody there."""
    domain, op_type = subject.operator
    name = f"{domain}:{op_type}" if domain else op_type
    made = []
    for w in all_workarounds():
        if not w.fits(name, dict(subject.facts), target, stage):
            continue
        tried = judge.evidence.get((target, ("pattern", f"workaround/{w.name}")), [])
        passed = sum(e.good for e in tried)
        if 2 * passed >= len(tried):
            proof = f"{passed} of {len(tried)} rewritten probes pass on {target}" if tried else ""
            made.append(Advice(w.name, w.title, w.kind, w.advice, w.source, w.rewrite is not None, proof))
    return tuple(made)


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """Return the worst verdict, `works` for none at all."""
    return max(verdicts, key=SEVERITY.index, default="works")


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
        subjects, by_path = _subjects(model, opened)
        judge = _Judge(opened, known, subjects, chosen)
        reports = tuple(_target(model, known, name, subjects, by_path, judge, opened) for name in chosen)
    operators = Counter(f"{n.domain}:{n.op_type}" if n.domain else n.op_type for n in model.nodes)
    about = ModelInfo(
        model.name, model.sha256, model.ir_version, dict(model.opsets), len(model.nodes), len(model.main.nodes),
        dict(sorted(operators.items())), model.notes,
    )  # fmt: skip
    return Report(SCHEMA_VERSION, about, reports)


def _target(
    model: Model, known: Mapping[str, Target], name: str, subjects: Sequence[_Subject], by_path: Mapping[str, _Subject], judge: _Judge, base: Base
) -> TargetReport:
    about = known[name]
    judged = {id(s): judge(s, name) for s in subjects}
    kin = {id(s): [judge(s, r) for r in about.related if r in known] for s in subjects}
    details = base.details({(j.prediction.probe, name) for j in judged.values() if j.prediction.probe})
    finished: dict[int, NodeFinding] = {}
    for subject in subjects:
        one = judged[id(subject)]
        found = one.prediction
        cited: tuple[Cited, ...] = ()
        stage = _stage_of(one, about)
        if found.probe and (detail := details.get((found.probe, name))) is not None:
            stage = stage or (detail.stage if found.verdict in ("breaks", "falls_back") else None)  # type: ignore[assignment]
            cited = (Cited("measured", name, detail.version, detail.probe, detail.outcome, detail.message, detail.started[:10], dict(found.differs)),)
        elif one.claim is not None:
            table = known[one.claim_target]
            text = one.claim.note or one.claim.unchecked
            cited = (Cited("claimed", one.claim_target, table.newest, table.source, one.claim.status, text, table.last_run),)
        related = tuple(
            Related(j.target, j.prediction.verdict, j.prediction.confidence, j.prediction.reason, j.prediction.probe) for j in kin[id(subject)]
        )
        needs_help = found.verdict not in ("works", "unknown")
        domain, op_type = subject.operator
        finished[id(subject)] = NodeFinding(
            "", "", op_type, domain, found.verdict, found.confidence, stage, found.reason, one.pattern, cited,
            _advice(subject, name, judge, stage) if needs_help else (), related,
        )  # fmt: skip
    inner: dict[str, list[Verdict]] = {}
    nodes: list[NodeFinding] = []
    for node in reversed(model.nodes):  # bodies come after the node that holds them
        finding = replace(finished[id(by_path[node.path])], name=str(node.proto.name), path=node.path)
        body = inner.get(node.path)
        if body and schema(node.domain, node.op_type, node.scope.opsets.get(node.domain, 1)) is None:
            reason = f"a function of the model: its verdict is the worst of its {len(body)} nodes"
            finding = replace(finding, verdict=worst(body), confidence="inferred", stage=None, reason=reason, evidence=(), workarounds=(), related=())
        inner.setdefault(node.holder, []).append(finding.verdict)
        nodes.append(finding)
    nodes.reverse()
    verdicts = {n.path: n.verdict for n in nodes}
    counts = Counter(verdicts.values())
    kind: Literal["measured", "claimed"] = "measured" if about.evidence == "measured" else "claimed"
    return TargetReport(
        name, worst(verdicts.values()), kind, about.newest, {v: counts.get(v, 0) for v in VERDICTS}, _partitions(model, verdicts), tuple(nodes)
    )


def schema_text() -> str:
    """Return the JSON schema of a Report."""
    import json

    from pydantic import TypeAdapter

    return json.dumps(TypeAdapter(Report).json_schema(), indent=1) + "\n"


if __name__ == "__main__":
    Path(__file__).with_name("report.schema.json").write_text(schema_text())
