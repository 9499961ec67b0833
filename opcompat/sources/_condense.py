"""Many cases -> few rows: a decision tree over facts whose leaves hold cases of one outcome, each leaf a row.

A row names, of every fact that all its cases have, the values that were seen: a node outside of what was tried is not spoken of. What the
rows answer for the cases themselves is what the cases say, or nothing: nothing where equal facts had unequal outcomes, where a condition would
have to say that a fact is absent (two rows that disagree never speak of the same node), and where an operator ends in so many leaves that the
smallest ones are more likely chance.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from opcompat.predict import Fact, holds

Array = np.ndarray[Any, Any]
Conditions = dict[str, Any]

MANY = 100
"""An operator of more leaves than this follows its facts badly: those with fewer cases than FEW are left out."""
FEW = 3


@dataclass(frozen=True)
class Case:
    """Facts that were tried and how that ended; no status where it ended in more than one way."""

    facts: dict[str, Fact]
    status: str


def matches(when: Conditions, facts: dict[str, Fact]) -> bool:
    """Say whether a row speaks of a node, as predict.judge_claims does."""
    return all(n in facts and holds(v, facts[n]) for n, v in when.items())


def condense(cases: Sequence[Case]) -> list[tuple[str, Conditions]]:
    """Return rows as (status, when)."""
    return _Tree(cases).rows() if cases else []


class _Tree:
    def __init__(self, cases: Sequence[Case]):
        self.names = sorted({n for c in cases for n in c.facts})
        self.statuses = sorted({c.status for c in cases})
        # of each fact: its values in order; code 0 is absent
        self.values: list[list[Fact]] = []
        columns = []
        for name in self.names:
            seen = {(type(c.facts[name]).__name__, c.facts[name]) for c in cases if name in c.facts}
            codes = {key: code for code, key in enumerate(sorted(seen), 1)}
            self.values.append([value for _, value in codes])
            columns.append([codes[type(c.facts[name]).__name__, c.facts[name]] if name in c.facts else 0 for c in cases])
        self.codes = np.array(columns, np.int32).T.reshape(len(cases), len(self.names))
        self.ends = np.array([self.statuses.index(c.status) for c in cases], np.int32)
        sizes = [len(v) + 1 for v in self.values]
        self.offsets = np.cumsum([0, *sizes[:-1]]).astype(np.int32) if sizes else np.zeros(0, np.int32)
        self.total = sum(sizes)

    def rows(self) -> list[tuple[str, Conditions]]:
        found: dict[str, list[Array]] = {}
        leaves = list(self._leaves(np.arange(len(self.ends)), self.ends))
        for chosen in leaves:
            if len(leaves) > MANY and len(chosen) < FEW:
                continue
            if status := self.statuses[self.ends[chosen[0]]]:
                found.setdefault(status, []).extend(self._sound(chosen))
        return [(s, self._when(a)) for s, a in self._apart([(s, a) for s, leaves in found.items() for a in _merged(leaves, self.offsets)])]

    def _apart(self, rows: list[tuple[str, Array]]) -> list[tuple[str, Array]]:
        """Drop rows, as few as may be, so that no node that was not tried can be spoken of by two that disagree."""
        if not rows:
            return rows
        each = np.array([allowed for _, allowed in rows])
        statuses = np.array([status for status, _ in rows])
        meets = np.array([np.logical_or.reduceat(each & allowed, self.offsets, axis=1).all(1) for allowed in each]) & (statuses[:, None] != statuses)
        while meets.any():
            worst = int(meets.sum(1).argmax())
            meets[worst] = meets[:, worst] = False
            statuses[worst] = ""
        return [row for row, status in zip(rows, statuses, strict=True) if status]

    def _leaves(self, chosen: Array, ends: Array) -> Iterator[Array]:
        """Split until each part has one end."""
        todo = [chosen]
        while todo:
            part = todo.pop()
            if (ends[part] == ends[part[0]]).all():
                yield part
            elif (left := self._split(part, ends)) is None:
                yield from (part[ends[part] == end] for end in np.unique(ends[part]))
            else:
                todo += [part[~left], part[left]]

    def _split(self, part: Array, ends: Array) -> Array | None:
        """Return which cases go left at the best split, by entropy; None where no fact differs."""
        count = int(ends.max()) + 1
        flat = (self.codes[part] + self.offsets) * count + ends[part][:, None]
        counts = np.bincount(flat.ravel(), minlength=self.total * count).reshape(self.total, count).astype(float)
        whole = np.bincount(ends[part], minlength=count).astype(float)
        alone = _entropy(counts) + _entropy(whole - counts)
        alone[(counts.sum(1) == 0) | (counts.sum(1) == len(part))] = np.inf
        bounds = [*self.offsets[1:], self.total]
        best = [alone[a:b].min() for a, b in zip(self.offsets, bounds, strict=True)]
        found: tuple[float, int, Array] | None = None
        for column in np.argsort(best, kind="stable")[:4]:
            if not np.isfinite(best[column]):
                break
            here = counts[self.offsets[column] : bounds[column]]
            seen = np.flatnonzero(here.sum(1))
            for end in np.flatnonzero(whole):
                order = seen[np.argsort(-here[seen, end] / here[seen].sum(1), kind="stable")]
                sums = np.cumsum(here[order], 0)[:-1]
                costs = _entropy(sums) + _entropy(whole - sums)
                cut = int(np.argmin(costs))
                if found is None or costs[cut] < found[0] - 1e-9:
                    found = (float(costs[cut]), int(column), order[: cut + 1])
        return None if found is None else np.isin(self.codes[part, found[1]], found[2])

    def _allowed(self, chosen: Array) -> Array:
        """Return, for every value of every fact, whether a row of these cases lets it pass; all True for a fact that some of them lack."""
        allowed = np.zeros(self.total, bool)
        allowed[(self.codes[chosen] + self.offsets).ravel()] = True
        for column, at in enumerate(self.offsets):
            if allowed[at]:
                allowed[at : at + len(self.values[column]) + 1] = True
        return allowed

    def _sound(self, chosen: Array) -> list[Array]:
        """Return rows for these cases that match no case with another end, as far as conditions can say that."""
        allowed = self._allowed(chosen)
        matched = np.flatnonzero(allowed[self.codes + self.offsets].all(1))
        foreign = matched[self.ends[matched] != self.ends[chosen[0]]]
        if not len(foreign):
            return [allowed]
        if len(chosen) == 1:
            return []
        mixed = [c for c in range(len(self.names)) if 0 < np.count_nonzero(self.codes[chosen, c]) < len(chosen)]
        if mixed:
            here = self.codes[chosen, mixed[0]] > 0
            return [*self._sound(chosen[here]), *self._sound(chosen[~here])]
        ends = np.zeros(len(self.ends), np.int32)
        ends[foreign] = 1
        hidden = (self.codes[chosen[0]] == 0).nonzero()[0]  # facts that these cases lack and no condition can name
        kept = self.codes
        self.codes = kept.copy()
        self.codes[:, hidden] = 0
        left = self._split(np.concatenate([chosen, foreign]), ends)
        self.codes = kept
        if left is None or left[: len(chosen)].all() or not left[: len(chosen)].any():
            return []
        left = left[: len(chosen)]
        return [*self._sound(chosen[left]), *self._sound(chosen[~left])]

    def _when(self, allowed: Array) -> Conditions:
        when: Conditions = {}
        for column, (name, at) in enumerate(zip(self.names, self.offsets, strict=True)):
            if allowed[at]:
                continue
            values = self.values[column]
            chosen = [i for i in range(len(values)) if allowed[at + 1 + i]]
            seen = [values[i] for i in chosen]
            if len(seen) == 1:
                when[name] = seen[0]
            elif all(type(v) is int for v in seen) and chosen[-1] - chosen[0] == len(chosen) - 1:
                when[name] = {"min": seen[0], "max": seen[-1]}
            elif set(map(type, seen)) != {bool} or not self.codes[:, column].all():  # both truth values of what is always there say nothing
                when[name] = seen
        return when


def _entropy(counts: Array) -> Any:
    """Return the entropy of counts times their sum, row by row."""
    total = counts.sum(-1)
    with np.errstate(divide="ignore", invalid="ignore"):
        parts = np.where(counts > 0, counts * np.log2(counts), 0).sum(-1)
        return np.where(total > 0, total * np.log2(total), 0) - parts


def _merged(leaves: list[Array], offsets: Array) -> list[Array]:
    """Join rows that differ in the values of one fact only, which changes nothing."""
    while True:
        for column, at in enumerate(offsets):
            end = offsets[column + 1] if column + 1 < len(offsets) else None
            groups: dict[bytes, Array] = {}
            for leaf in leaves:
                rest = leaf.copy()
                rest[at:end] = leaf[at]  # a fact that is named joins with itself only
                key = rest.tobytes()
                groups[key] = groups[key] | leaf if key in groups else leaf
            if len(groups) < len(leaves):
                leaves = list(groups.values())
                break
        else:
            return leaves
