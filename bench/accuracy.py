"""How often predictions are right. The base in use is opcompat's own; $OPCOMPAT_DB overrides it.

python bench/accuracy.py [--worst 20] [--skip probes|versions]
(a) probes, leave one out: each measured probe is predicted from the evidence of its operator without any that has equal facts; where that has
    no word, what the target's own documents and tables say, as `check` asks them then.
(b) versions, leave one out: where the measured neighbours of a version agree, does that version do the same?
Whole networks: bench/networks.py.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from opcompat import checker, predict, probe
from opcompat.predict import Difference, Evidence, Facts, Prediction, difference
from opcompat.runfiles import database_path
from opcompat.store import Base

console = Console(width=170, highlight=False, markup=False)


class Distances:
    """`difference`, computed once for every two facts objects (the probes of an operator share theirs over all targets)."""

    def __init__(self) -> None:
        self.kept: dict[tuple[int, int], Difference] = {}

    def __call__(self, a: Facts, b: Facts) -> Difference:
        key = (id(a), id(b))
        if key not in self.kept:
            self.kept[key] = self.kept[key[::-1]] = difference(a, b)
        return self.kept[key]


def left_out(evidence: Sequence[Evidence], distance: Callable[[Facts, Facts], Difference]) -> Iterator[tuple[Evidence, Prediction]]:
    """Yield (evidence, what the rest predicts for its facts), the rest without anything that has equal facts and blamed afresh."""
    groups: dict[frozenset[Any], list[Evidence]] = {}
    for e in evidence:
        groups.setdefault(frozenset(e.facts.items()), []).append(e)
    full = predict.causes(evidence)
    running = sum(e.good or e.fell_back for e in evidence)
    for equal in groups.values():
        rest = [e for e in evidence if all(e is not other for other in equal)]
        # blame rests on the evidence that runs alone while there is some
        blame = full if running and not any(e.good or e.fell_back for e in equal) else predict.causes(rest)
        prediction = predict.predict(equal[0].facts, [e._replace(cause=blame.get(e.probe)) for e in rest], distance)
        for e in equal:
            yield e, prediction


def probes(worst: int) -> None:
    """Print the leave-one-out tables."""
    operators: dict[Any, list[tuple[str, list[Evidence]]]] = {}
    every = sorted({(p.domain, p.op_type) for p in probe.load()})
    with Base(database_path()) as base:
        known, versions = base.targets(), base.versions()
        asked_of = {target: checker.answering(target, known, versions) for target in versions}
        judge = checker.Judge(base, known, [checker.Subject(operator, {}) for operator in every], asked_of)
    for (target, operator), evidence in judge.evidence.items():
        if operator in every:
            operators.setdefault(operator, []).append((target, evidence))
    written: dict[tuple[str, str], Counter[tuple[str, str]]] = {}
    counts: dict[str, Counter[tuple[str, str]]] = {}
    wrong: list[tuple[str, Evidence, Prediction]] = []
    for operator, listed in operators.items():
        predict.difference = distance = Distances()  # causes() computes the same differences over and over
        for target, evidence in listed:
            for e, prediction in left_out(evidence, distance):
                actual = "good" if e.good else "bad" if e.bad else "fallback"
                counts.setdefault(target, Counter())[prediction.verdict, actual] += 1
                asked = prediction.verdict == "unknown" and prediction.confidence != "conflicting"
                there = judge.written(operator, e.facts, asked_of[target].documents) if asked else None
                if there is not None and there.document is not None and there.prediction.verdict != "unknown":
                    written.setdefault((target, there.document.evidence), Counter())[there.prediction.verdict, actual] += 1
                if prediction.verdict == "works" and e.bad:
                    wrong.append((target, e, prediction))
    predict.difference = difference
    table = Table(box=None, pad_edge=False, title="(a) each probe predicted without evidence of equal facts (measured targets)", title_justify="left")
    columns = ("works", "really bad", "precision", "breaks", "really good", "precision", "falls back", "unknown", "bad not foreseen")
    for heading in ("target", "probes", *columns):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    for target, found in [*sorted(counts.items()), ("all", sum(counts.values(), Counter()))]:
        said: Counter[str] = Counter()
        for (verdict, _), n in found.items():
            said[verdict] += n
        total, works, breaks = found.total(), said["works"], said["breaks"]
        right = (share(found["works", "good"], works), share(found["breaks", "bad"], breaks))
        bad = sum(n for (_, actual), n in found.items() if actual == "bad")
        cells = (total, works, found["works", "bad"], right[0], breaks, found["breaks", "good"], right[1], said["falls_back"])
        table.add_row(target, *map(str, cells), share(said["unknown"], total), share(bad - found["breaks", "bad"], bad))
    console.print(table)
    table = Table(box=None, pad_edge=False, title="\n(a) of the unknown, what documents and tables say", title_justify="left")
    for heading in ("target", "evidence", "works", "right", "breaks", "right", "falls back", "really"):
        table.add_column(heading, justify="left" if heading in ("target", "evidence") else "right")
    kinds = {kind: sum((c for (_, k), c in written.items() if k == kind), Counter()) for kind in ("declared", "reported", "claimed")}
    for (target, kind), found in [*sorted(written.items()), *((("all", kind), c) for kind, c in kinds.items())]:
        cells = []
        for verdict, right in (("works", "good"), ("breaks", "bad"), ("falls_back", "fallback")):
            number = sum(n for (said_there, _), n in found.items() if said_there == verdict)
            cells += [str(number), share(found[verdict, right], number)]
        table.add_row(target, kind, *cells)
    console.print(table)
    most = Counter(e.probe.split("/", 1)[1].split(":")[0] for _, e, _ in wrong).most_common(15)
    console.print(f"\nworks, but really bad: {len(wrong)}; by operator: {', '.join(f'{k} {n}' for k, n in most)}; the closest {worst}:")
    for target, e, prediction in sorted(wrong, key=lambda w: (len(w[2].differs), w[1].probe, w[0]))[:worst]:
        differs = ", ".join(f"{n} {a} not {b}" for n, (a, b) in prediction.differs.items())
        console.print(f"  {target}: {e.probe} is {e.outcome}; believed {prediction.probe} (differs: {differs})")


def versions() -> None:
    """Print how often a version does what its two measured neighbours agree on, which is how check answers for versions not measured."""
    table = Table(box=None, pad_edge=False, title="(b) each version predicted from its measured neighbours", title_justify="left")
    for heading in ("target", "versions", "both work", "really", "both break", "really", "they differ"):
        table.add_column(heading, justify="left" if heading == "target" else "right")
    with Base(database_path()) as base:
        listed = {target: numbers for target, numbers in base.versions().items() if len(numbers) > 2}
        for target, numbers in listed.items():
            ops = sorted({p.op_type for p in probe.load()})
            found = base.evidence(ops, [f"{target}@{n}" for n in numbers])
            good = [{e.probe: e.good for (name, _), es in found.items() if name == f"{target}@{n}" for e in es if e.good or e.bad} for n in numbers]
            tally: Counter[tuple[bool | None, bool]] = Counter()
            for before, middle, after in zip(good, good[1:], good[2:], strict=False):
                for name in before.keys() & middle.keys() & after.keys():
                    tally[before[name] if before[name] == after[name] else None, middle[name]] += 1
            works, breaks = (tally[said, True] + tally[said, False] for said in (True, False))
            cells = (len(numbers), works, share(tally[True, True], works), breaks, share(tally[False, False], breaks))
            table.add_row(target, *map(str, cells), str(tally[None, True] + tally[None, False]))
    console.print(table)


def share(part: int, whole: int) -> str:
    return f"{100 * part / whole:.1f}%" if whole else "-"


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--worst", default=20, type=int, help="how many of the worst wrong predictions to list")
    parser.add_argument("--skip", nargs="*", default=[], choices=("probes", "versions"))
    chosen = parser.parse_args()
    if "probes" not in chosen.skip:
        probes(chosen.worst)
    if "versions" not in chosen.skip:
        versions()
