"""The vocabulary of a measurement: stages, outcomes, placements, and what one probe on one target left behind. Standard library only."""

import re
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

Stage = Literal["start", "convert", "load", "compile", "run", "compare"]
Outcome = Literal["pass", "fail", "wrong", "crash", "timeout", "unavailable", "broken"]
Placement = Literal["native", "fallback", "mixed", "unknown"]
Verdict = Literal["works", "slow", "falls_back", "breaks", "unknown"]

STAGES: tuple[Stage, ...] = get_args(Stage)
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)
PLACEMENTS: tuple[Placement, ...] = get_args(Placement)
VERDICTS: tuple[Verdict, ...] = get_args(Verdict)

OWN_FAULT: frozenset[str] = frozenset({"unavailable", "broken"})
"""Outcomes that say nothing about the runtime and never reach a user as a fact."""


@dataclass(frozen=True)
class Result:
    """What happened when one probe ran on one target; errors are against the reference outputs."""

    probe: str
    digest: str
    outcome: Outcome
    stage: Stage
    message: str = ""
    error_class: str = ""
    placement: Placement = "unknown"
    units: tuple[str, ...] = ()
    """Which device or kernel took each node, in the SDK's own words."""
    max_abs: float | None = None
    max_rel: float | None = None
    tolerance: str = ""
    oracle: str = ""
    times_ms: dict[str, float] = field(default_factory=dict)
    attempts: int = 1
    agreeing: int = 1
    stderr: str = ""
    started: str = ""

    def __post_init__(self) -> None:
        for value, allowed in ((self.outcome, OUTCOMES), (self.stage, STAGES), (self.placement, PLACEMENTS)):
            if value not in allowed:
                raise ValueError(f"{value!r} is not one of {', '.join(allowed)}")


@dataclass(frozen=True)
class Clocked(Result):
    """What happened when a model was timed in turns with a baseline: milliseconds per inference, the nth of both taken one after the other."""

    subject_ms: tuple[float, ...] = ()
    baseline_ms: tuple[float, ...] = ()


@dataclass(frozen=True)
class Run:
    """The circumstances that every result of one run file shares."""

    target: str
    version: str
    packages: dict[str, str]
    options: dict[str, Any]
    host: dict[str, Any]
    opcompat: str
    started: str
    source: str = "measured"


def group_message(message: str) -> str:
    """Return a message with names, numbers and addresses blanked, so that equal refusals fall together."""
    text = re.sub(r"0x[0-9a-fA-F]+|/[\w./+-]+|'[^']*'|\"[^\"]*\"", "_", message)
    text = re.sub(r"\b\w*_?v?\d+_\d+\b|\b[A-Z]\w+_\d+\b|\d+(\.\d+)?(e[+-]?\d+)?", "#", text)
    return re.sub(r"\s+", " ", text)[:300]
