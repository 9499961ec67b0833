"""Timing: a probe of speed, timed in turns with a baseline that does comparable work. Its answer is a ratio of throughputs, never a time.

Families of timings are files of probes/timings/, listed and loaded as probe families are; their models have realistic sizes.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property
from pathlib import Path
from statistics import quantiles
from typing import Any

import numpy as np

from opcompat import probe
from opcompat.probe import Array, Probe, data


@dataclass(frozen=True, kw_only=True)
class Timing(Probe):
    """A probe (the subject) and what it is compared with: "`what` runs at 0.4x the throughput of `than`"."""

    baseline: Probe
    work: tuple[float, float]
    """FLOPs or elements of subject and baseline, in the same unit: their throughputs can then be compared."""
    what: str
    than: str
    marks: tuple[str, ...]
    """Names of the facts that the comparison is about: it says nothing of a node in which one of them is different."""
    limit: float
    """Ratio of throughputs below which the subject is slow; 0 where the baseline is only a yardstick."""

    @cached_property
    def digest(self) -> str:
        """16 hex digits over what runs: the subject and the baseline."""
        return hashlib.sha256(f"{Probe(**_of_probe(self)).digest} {self.baseline.digest}".encode()).hexdigest()[:16]


def _of_probe(p: Probe) -> dict[str, Any]:
    return {f.name: getattr(p, f.name) for f in fields(Probe)}


SAME, MOVED, YARDSTICK = 2 / 3, 1 / 4, 0.0
"""Limits: for the same function or kind of work done in another way; for moving elements about, against an operator that reads and writes them
in order; for a baseline that only gives the number a scale."""


def timing(
    subject: Probe, baseline: Probe, *, what: str, than: str, marks: Sequence[str], work: tuple[float, float] = (1, 1), limit: float = SAME
) -> Timing:
    """Return the comparison of two probes. Raises ValueError where a mark is no fact of the subject."""
    if unknown := set(marks) - subject.facts.keys():
        raise ValueError(f"{subject.id} has no fact {sorted(unknown)[0]!r}: it has {', '.join(sorted(subject.facts))}")
    return Timing(**_of_probe(subject), baseline=baseline, work=work, what=what, than=than, marks=tuple(marks), limit=limit)


def load(only: Sequence[str] = ()) -> list[Timing]:
    """Return the timings of all files of probes/timings/, or of those named."""
    return [t for t in probe.load(only, folder()) if isinstance(t, Timing)]


def folder() -> Path:
    return probe.folder() / "timings"


def family(name: str) -> Any:
    """Return a family of probes, whose spellings timings take over."""
    return probe.families()[name]


def weights(*shape: int, dtype: str = "float32", low: float = -0.5, high: float = 0.5) -> Array:
    """Return constants that compress well: 251 values, over and over."""
    return np.resize(data(251, dtype=dtype, low=low, high=high), shape)


def ratios(work: Sequence[float], subject_ms: Sequence[float], baseline_ms: Sequence[float]) -> tuple[float, float, float]:
    """Return lower quartile, median and upper quartile of the subject's throughput over the baseline's, pair by pair."""
    low, middle, high = quantiles([b / s * work[0] / work[1] for s, b in zip(subject_ms, baseline_ms, strict=True)], n=4, method="inclusive")
    return low, middle, high
