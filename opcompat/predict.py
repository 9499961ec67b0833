"""Evidence -> verdict for one node on one target. Pure: facts in, verdict and the facts that decided out.

A node equal to a probe in every fact takes that probe's outcome. Otherwise a probe that fails, or that runs elsewhere than on the target's
device, speaks for the node only if the facts that set it apart from its nearest passing neighbour (its *cause*) hold for the node too and no
passing probe has them; a passing one only if every fact in which the node differs was seen to pass elsewhere. Anything else is unknown.
bench/accuracy.py measures how often this is right.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, NamedTuple

from opcompat.outcome import Outcome, Placement, Verdict

Fact = str | int | bool
Facts = Mapping[str, Fact]
Difference = frozenset[str]

MAX_CAUSE = 3
"""A failing probe whose nearest passing neighbour differs in more facts than this is blamed on nothing."""
MAX_DIFFERENCE = 5
"""A passing probe further away than this many facts says nothing about a node."""
EDGE = 2
"""See `trusted`."""
REFUSES_ALL = 3
"""So many failing probes and no passing one: the operator as such does not work."""

BAD: frozenset[str] = frozenset({"fail", "wrong", "crash", "timeout"})


class Evidence(NamedTuple):
    """One measured probe of the operator on the target. cause: the facts blamed where it is not good, None where nothing could be blamed."""

    probe: str
    facts: Facts
    outcome: Outcome
    placement: Placement = "unknown"
    context: bool = False
    cause: Mapping[str, Fact] | None = None

    @property
    def good(self) -> bool:
        return self.outcome == "pass" and self.placement != "fallback"

    @property
    def bad(self) -> bool:
        return self.outcome in BAD

    @property
    def fell_back(self) -> bool:
        return self.outcome == "pass" and self.placement == "fallback"


@dataclass(frozen=True)
class Prediction:
    """A verdict; `differs` maps a fact to (the node's value, the probe's value) where the cited probe is not an exact match."""

    verdict: Verdict
    confidence: str
    reason: str
    probe: str = ""
    differs: Mapping[str, tuple[Fact | None, Fact | None]] = field(default_factory=dict)


@dataclass(frozen=True)
class Timed:
    """A timing on one target: a subject with these facts had `ratio` times the throughput of a baseline, in the median of pairs."""

    timing: str
    facts: Facts
    marks: tuple[str, ...]
    """Names of the facts it is about."""
    what: str
    than: str
    limit: float
    """Below this ratio the subject is slow; 0 where the baseline is a yardstick only."""
    low: float
    ratio: float
    high: float
    """Lower quartile, median and upper quartile over the pairs."""
    pairs: int
    version: str
    started: str

    @property
    def slow(self) -> bool:
        return self.high < self.limit


def difference(a: Facts, b: Facts) -> Difference:
    """Return the names of the facts in which a and b differ; a fact that only one of them has counts."""
    return frozenset(name for name, _ in a.items() ^ b.items())


def highest_rank(facts: Facts) -> int:
    """Return the highest rank of a node's inputs, 0 where none is known."""
    return max((v for n, v in facts.items() if n.endswith(".rank") and isinstance(v, int)), default=0)


def _has(facts: Facts, cause: Mapping[str, Fact]) -> bool:
    return all(facts.get(name) == value for name, value in cause.items())


def trusted(evidence: Sequence[Evidence]) -> list[Evidence]:
    """Leave out wrong numbers of bare probes that are right between two Convs, or nearly like one that is: there the graph's edge is at fault.

    Nearly like: at most EDGE facts apart, for an operator of which at least one bare probe is wrong whose equal between Convs is right.
    """
    wrong = [e for e in evidence if e.outcome == "wrong" and not e.context]
    if not wrong:
        return list(evidence)
    inside = [e for e in evidence if e.context and e.good]
    gaps = {e.probe: min((len(difference(e.facts, i.facts)) for i in inside), default=EDGE + 1) for e in wrong}
    if 0 not in gaps.values():
        return list(evidence)
    return [e for e in evidence if gaps.get(e.probe, EDGE + 1) > EDGE]


def causes(evidence: Sequence[Evidence]) -> dict[str, dict[str, Fact] | None]:
    """Return probe -> the facts to blame, for every probe that fails or falls back: the smallest difference from a good one that no good one shares.

    Failing is set apart from running at all, falling back from running on the device.
    """
    native = [e for e in evidence if e.good]
    elsewhere = [e for e in evidence if e.fell_back]
    refused = [e for e in evidence if e.bad]
    found: dict[str, dict[str, Fact] | None] = {}
    for failed, good, alike in [*((e, native, elsewhere) for e in elsewhere), *((e, native + elsewhere, refused) for e in refused)]:
        if not good:
            found[failed.probe] = {} if len(alike) >= REFUSES_ALL else None
            continue
        blamed = None
        for size, names in sorted((len(d), sorted(d)) for d in {difference(failed.facts, g.facts) for g in good})[:8]:
            candidate = {n: failed.facts[n] for n in names if n in failed.facts}
            if 0 < size <= MAX_CAUSE and candidate and not any(_has(g.facts, candidate) for g in good):
                blamed = candidate
                break
        found[failed.probe] = blamed
    return found


def say(facts: Mapping[str, Any]) -> str:
    """Spell facts for people: `grouping = few, dtype = float16`."""
    return ", ".join(f"{k} = {v}" for k, v in sorted(facts.items()))


def differing(names: Iterable[str], facts: Facts, other: Facts) -> dict[str, tuple[Fact | None, Fact | None]]:
    """Return fact -> (value, the other's value) for these facts."""
    return {n: (facts.get(n), other.get(n)) for n in sorted(names)}


def predict(
    facts: Facts,
    evidence: Sequence[Evidence],
    distance: Callable[[Facts, Facts], Difference] = difference,
    covered: Callable[[str, Fact | None], bool] | None = None,
) -> Prediction:
    """Return the verdict for a node with these facts, from the evidence of its operator on one target.

    distance, covered: `difference` and `coverage(evidence)`, or what remembers their answers.
    """
    usable = [e for e in evidence if e.outcome == "pass" or e.bad]
    if not usable:
        return Prediction("unknown", "none", "no probe of this operator ran here")
    gaps = [(distance(facts, e.facts), e) for e in usable]
    exact = [e for d, e in gaps if not d]
    if exact:
        return _exact([e for e in exact if e.context] or exact)
    blamed = [(not e.bad, len(d), e.probe, d, e) for d, e in gaps if e.cause is not None and _has(facts, e.cause)]
    if blamed:
        *_, gap, chosen = min(blamed, key=lambda b: b[:3])
        said = ("fails", "passes") if chosen.bad else ("runs elsewhere", "runs on the device itself")
        why = f"{say(chosen.cause)} {said[0]} here" if chosen.cause else f"none of {len(usable)} variants of it {said[1]} here"
        return Prediction("breaks" if chosen.bad else "falls_back", "inferred", why, chosen.probe, differing(gap, facts, chosen.facts))
    size, _, gap, nearest = min(((len(d), e.probe, d, e) for d, e in gaps if e.good), key=lambda p: p[:2], default=(0, "", frozenset(), None))
    if nearest is None:
        return Prediction("unknown", "conflicting", f"the {len(usable)} probes that ran here fail or fall back for reasons this node may not share")
    reference = differing(gap, facts, nearest.facts)
    covered = covered or coverage(evidence)
    if (open_facts := [n for n in sorted(gap) if not covered(n, facts.get(n))]) or size > MAX_DIFFERENCE:
        untried = {n: facts.get(n, "absent") for n in open_facts} or {n: facts.get(n, "absent") for n in sorted(gap)}
        return Prediction("unknown", "none", f"no passing probe has {say(untried)}", nearest.probe, reference)
    doubt = min((len(d) for d, e in gaps if e.cause is None and not e.good), default=size + 1)
    if doubt <= size:
        why = "probes as close to this node fail or fall back, for no single reason that could be named"
        return Prediction("unknown", "conflicting", why, nearest.probe, reference)
    return Prediction("works", "inferred", "every fact in which it differs from a passing probe passes elsewhere", nearest.probe, reference)


def _exact(exact: Sequence[Evidence]) -> Prediction:
    bad = sorted((e for e in exact if e.bad), key=lambda e: e.probe)
    rest = sorted((e for e in exact if not e.bad), key=lambda e: (e.good, e.probe))
    if bad and rest:
        return Prediction("unknown", "conflicting", f"equal probes disagree: {rest[0].probe} passes, {bad[0].probe} does not", bad[0].probe)
    chosen = (bad or rest)[0]
    verdict: Verdict = "breaks" if bad else "works" if chosen.good else "falls_back"
    return Prediction(verdict, "exact", "measured on a probe with the same facts", chosen.probe)


def coverage(evidence: Sequence[Evidence]) -> Callable[[str, Fact | None], bool]:
    """Return what says whether passing probes show a value of a fact, or numbers on both sides of it; it remembers what it looked up."""
    passing = [e.facts for e in evidence if e.good]

    @lru_cache(None)
    def shown(name: str) -> tuple[frozenset[tuple[bool, Fact | None]], range]:
        values = frozenset((isinstance(facts.get(name), bool), facts.get(name)) for facts in passing)  # True equals 1, but is another fact
        numbers = [v for boolean, v in values if isinstance(v, int) and not boolean]
        return values, range(min(numbers, default=0), max(numbers, default=-1) + 1)

    def covered(name: str, value: Fact | None) -> bool:
        values, numbers = shown(name)
        return (isinstance(value, bool), value) in values or (isinstance(value, int) and not isinstance(value, bool) and value in numbers)

    return covered


# ---- speed ---------------------------------------------------------------------------------------------------------------------------


def speaking(facts: Facts, timed: Sequence[Timed]) -> list[Timed]:
    """Return the timings that speak of a node with these facts, those nearest to it only: what they are about is equal, dtypes and rank too."""

    def same(t: Timed) -> bool:
        decisive = (n for n in t.facts if n in t.marks or n == "quantised" or n.endswith("dtype"))
        spelled = "spelling" in t.facts  # a pattern's rank does not say how it is computed
        return all(facts.get(n) == t.facts[n] for n in decisive) and (spelled or highest_rank(facts) == highest_rank(t.facts))

    near = [(len(difference(facts, t.facts)), t) for t in timed if t.limit and same(t)]
    least = min((d for d, _ in near), default=0)
    return [t for d, t in near if d == least]


def slowdown(timed: Sequence[Timed]) -> Timed | None:
    """Return the mildest of timings that speak of one node if all of them say that it is slow."""
    return max(timed, key=lambda t: (t.ratio, t.timing)) if timed and all(t.slow for t in timed) else None


# ---- claims --------------------------------------------------------------------------------------------------------------------------


def holds(condition: Any, value: Fact | None) -> bool:
    """Say whether a claim's condition (scalar, list, {min, max} or {not}) holds for a fact's value."""
    if isinstance(condition, dict):
        if "not" in condition:
            return not holds(condition["not"], value)
        if not isinstance(value, int) or isinstance(value, bool):
            return False
        return bool(condition.get("min", value) <= value <= condition.get("max", value))
    if isinstance(condition, list):
        return any(holds(c, value) for c in condition)
    return bool(type(condition) is type(value) and condition == value)


@dataclass(frozen=True)
class Claim:
    """One row of a vendor's document about an operator on a target."""

    row: int
    status: str
    when: Mapping[str, Any]
    limits: Mapping[str, Any]
    unchecked: str
    note: str
    runtime_op: str = ""


def judge_claims(facts: Facts, claims: Sequence[Claim], general: Sequence[Claim] = ()) -> tuple[Prediction, Claim | None]:
    """Return what a document says of a node, and the row that decided. `general` rows limit every operator."""
    facts = {**facts, "rank.max": highest_rank(facts)}
    speaking = [c for c in claims if all(n in facts and holds(v, facts[n]) for n, v in c.when.items())]
    if not speaking:
        if claims:
            return Prediction("unknown", "none", "the document lists the operator, but no row speaks of this variant"), claims[0]
        return Prediction("unknown", "none", "the document does not mention this operator"), None
    broken: list[tuple[Claim, str]] = []
    unsure: list[tuple[Claim, str]] = []
    elsewhere: list[tuple[Claim, str]] = []
    for claim in speaking:
        if claim.status == "unsupported":
            broken.append((claim, claim.note or "listed as unsupported"))
            continue
        # a row that speaks of one rank knows better than a limit on every operator
        also = () if any(n.endswith("rank") for n in claim.when) else general
        failed = [(n, v) for row in (claim, *also) for n, v in row.limits.items() if n in facts and not holds(v, facts[n])]
        unknown = [n for n, _ in failed if facts[n] == "unknown"]
        if unknown:
            unsure.append((claim, f"the document limits {', '.join(unknown)}, which the model does not tell"))
        elif failed:
            broken.append((claim, "outside the document's limits: " + ", ".join(f"{n} must be {_spell(v)}, is {facts[n]}" for n, v in failed)))
        elif claim.status == "partial" and claim.unchecked:
            unsure.append((claim, f"supported with limits that cannot be checked here: {claim.unchecked}"))
        elif claim.status == "folded":
            return Prediction("works", "claimed", "removed at conversion" + (f": {claim.note}" if claim.note else "")), claim
        elif claim.status == "fallback":
            elsewhere.append((claim, claim.note or "listed as run elsewhere"))
        else:
            extra = f"; further limits not checked: {claim.unchecked}" if claim.unchecked else ""
            return Prediction("works", "claimed", "listed as supported" + extra), claim
    if unsure:
        return Prediction("unknown", "claimed", unsure[0][1]), unsure[0][0]
    if elsewhere:
        return Prediction("falls_back", "claimed", elsewhere[0][1]), elsewhere[0][0]
    return Prediction("breaks", "claimed", broken[0][1]), broken[0][0]


def _spell(condition: Any) -> str:
    if isinstance(condition, dict):
        if "not" in condition:
            return f"other than {_spell(condition['not'])}"
        low, high = condition.get("min"), condition.get("max")
        return f"{low} to {high}" if low is not None and high is not None else f"at most {high}" if low is None else f"at least {low}"
    return " or ".join(map(str, condition)) if isinstance(condition, list) else str(condition)
