"""`opcompat diff`: what changed between two versions of a target."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from opcompat.campaign import MANY, SHARE
from opcompat.checker import CheckError, find_version, resolve
from opcompat.store import Base, Change

KINDS = ("broke", "fixed", "changed")
EXAMPLES = 2


def kind(change: Change) -> str:
    """Say what became of a probe: broke, fixed, or changed from one failure to another."""
    return "fixed" if change.after == "pass" else "broke" if change.before == "pass" else "changed"


def diff(base: Base, name: str, old: str, new: str) -> tuple[str, str, str, int, list[Change]]:
    """Return target, both versions in full, how many probes have facts in both, and those whose outcome differs. Raises CheckError."""
    found = [t for t in resolve([name], base.targets()) if t in base.versions()]
    if len(found) != 1:
        raise CheckError(f"{name!r} is not one measured target: " + (f"choose from {', '.join(found)}" if found else "`opcompat targets` lists them"))
    versions = base.versions()[found[0]]
    ends = [find_version(v, versions) for v in (old, new)]
    if missing := [v for v, end in zip((old, new), ends, strict=True) if not end]:
        raise CheckError(f"{found[0]} {missing[0]} was not measured: there are {', '.join(versions)}")
    return found[0], ends[0], ends[1], *base.compare(found[0], *ends)


def lines(target: str, old: str, new: str, common: int, changes: Sequence[Change]) -> list[str]:
    """Spell a diff for people: by kind, then by operator and message, the most frequent first."""
    tally = {k: [c for c in changes if kind(c) == k] for k in KINDS}
    counts = ", ".join(f"{len(of)} {'fail otherwise' if k == 'changed' else k}" for k, of in tally.items())
    made = [f"{target} {old} -> {new}: of {common} probes with facts in both, {counts}"]
    flips = len(tally["broke"]) + len(tally["fixed"])
    if flips >= MANY and flips > SHARE * common:
        made.append(f"alarm: {flips / common:.0%} of the verdicts flip at once; if the versions are close, suspect environment or adapter first")
    for k, of in tally.items():
        groups: dict[tuple[str, str, str, str], list[Change]] = {}
        for c in of:
            groups.setdefault((f"{c.domain}:{c.op_type}" if c.domain else c.op_type, c.before, c.after, c.message_group), []).append(c)
        if groups:
            made += ["", k]
        for (operator, before, after, message), members in sorted(groups.items(), key=lambda g: (-len(g[1]), g[0])):
            said = f": {message[:300]}" if message else ""
            made.append(f"  {operator} x{len(members)}, {before} -> {after}{said}")
            made.append(f"      {', '.join(c.probe for c in members[:EXAMPLES])}" + (" ..." if len(members) > EXAMPLES else ""))
    return made


def to_json(target: str, old: str, new: str, common: int, changes: Sequence[Change]) -> str:
    """Spell a diff for machines."""
    body = {"target": target, "old": old, "new": new, "common": common, "changes": [{"kind": kind(c), **asdict(c)} for c in changes]}
    return json.dumps(body, indent=1)
