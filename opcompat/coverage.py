"""`opcompat coverage`: which operators the probes reach, and which factors they vary, read from the probes' facts, models and inputs."""

import json
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field

from onnx import defs
from rich.console import Console
from rich.table import Table

from opcompat.probe import Probe, families
from opcompat.schema import attribute_value

_LOOPS = "a whole decoding loop with models inside"
_CARDS = "for graphics cards only: nothing here could confirm an answer"
_RARE = "written by hand for single models: nobody has asked for it"
UNREACHED: dict[str, str] = {
    **dict.fromkeys(("BeamSearch", "GreedySearch", "Sampling", "WhisperBeamSearch"), _LOOPS),
    **dict.fromkeys(("PackedAttention", "PackedMultiHeadAttention", "PagedAttention", "RemovePadding", "RestorePadding", "BiasSoftmax"), _CARDS),
    **dict.fromkeys(("LongformerAttention", "GatedRelativePositionBias", "SkipGroupNorm", "NhwcFusedConv", "GemmFloat8"), _CARDS),
    **dict.fromkeys(("DecoderMaskedMultiHeadAttention", "SparseAttention", "MoE", "QMoE", "MatMulBnb4", "MatMulFpQ4", "CropAndResize"), _RARE),
}
"""com.microsoft operators that ONNX Runtime's tools write and no probe is about, with the reason. All of ai.onnx are reached."""


@dataclass
class Coverage:
    """What the probes of one operator have between them; versions are those of the operator, ranks and dtypes those of its data inputs."""

    domain: str
    op_type: str
    versions: list[int]
    """All versions onnx knows, or none for an operator of another domain that it does not know."""
    probes: int = 0
    node_tests: int = 0
    covered_versions: set[int] = field(default_factory=set)
    dtypes: set[str] = field(default_factory=set)
    ranks: set[int] = field(default_factory=set)
    dynamic: set[str] = field(default_factory=set)
    batches: bool = False
    """The first input that is fed has more than one row along the first of several dimensions."""
    empty: bool = False
    forms: dict[str, set[str]] = field(default_factory=dict)
    """Input -> how it is given: `constant`, `computed`, `absent`."""
    attributes: dict[str, set[str]] = field(default_factory=dict)
    """Attribute -> its values, empty where it is left out."""
    quantised: bool = False
    context: bool = False

    def add(self, probe: Probe) -> None:
        """Count one probe in."""
        if probe.family == "node_tests":
            self.node_tests += 1
        else:
            self.probes += 1
        facts = probe.facts
        self.covered_versions.add(int(facts.get("since_version", 0)))
        for name, value in facts.items():
            first, _, what = name.partition(".")
            if what == "rank" and isinstance(value, int):
                self.ranks.add(value)
            elif name == "dtype" or what == "dtype":
                self.dtypes.add(str(value))
            elif what == "const":
                self.forms.setdefault(first, set()).add("constant" if value else "computed")
            elif what == "present" and not value:
                self.forms.setdefault(first, set()).add("absent")
        self.dynamic.add(str(facts.get("dynamic", "none")))
        self.empty |= bool(facts.get("empty"))
        self.quantised |= facts.get("quantised", "none") != "none"
        self.context |= probe.context
        self.batches |= any(a.ndim > 1 and a.shape[0] > 1 for a in [*probe.inputs.values()][:1])
        if probe.focus is not None:
            given = {a.name: str(attribute_value(a)) for a in probe.proto.graph.node[probe.focus].attribute}
            earlier = self.probes + self.node_tests > 1
            for name in {*given, *self.attributes}:
                self.attributes.setdefault(name, {""} if earlier else set()).add(given.get(name, ""))


def measure(probes: Iterable[Probe]) -> list[Coverage]:
    """Return a row per operator: all of ai.onnx, and those of other domains (patterns too) that probes are about."""
    history: dict[tuple[str, str], list[int]] = defaultdict(list)
    for schema in defs.get_all_schemas_with_history():
        history[schema.domain, schema.name].append(schema.since_version)
    rows = {key: Coverage(*key, sorted(versions)) for key, versions in history.items() if key[0] == ""}
    for probe in probes:
        key = (probe.domain, probe.op_type)
        if key not in rows:
            rows[key] = Coverage(*key, sorted(history.get(key, [])))
        rows[key].add(probe)
    return sorted(rows.values(), key=lambda r: (r.domain == "pattern", r.domain, r.op_type))


def unreached(rows: Sequence[Coverage]) -> dict[str, str]:
    """Return the operators that no probe is about, with the reason; of ai.onnx, those that are new in the installed onnx."""
    new = {r.op_type: "new in the installed onnx" for r in rows if not r.domain and not r.probes}
    return new | {f"com.microsoft:{name}": why for name, why in UNREACHED.items()}


def summary(rows: Sequence[Coverage]) -> dict[str, int]:
    """Return the counts that head the report."""
    known = [r for r in rows if not r.domain]
    return {
        "ai.onnx operators": len(known),
        "with probes of ours": sum(1 for r in known if r.probes),
        "com.microsoft operators": sum(1 for r in rows if r.domain == "com.microsoft"),
        "patterns": sum(1 for r in rows if r.domain == "pattern" and "/" not in r.op_type),
        "probes": sum(r.probes for r in rows),
        "node tests": sum(r.node_tests for r in rows),
    }


def to_json(rows: Sequence[Coverage]) -> str:
    """Return everything as JSON."""
    body = {"summary": summary(rows), "operators": [asdict(r) for r in rows], "unreached": unreached(rows), "node tests left out": left_out()}
    return json.dumps(body, indent=1, default=sorted)


def left_out() -> dict[str, int]:
    """Return why onnx's node tests are no probes, and how many."""
    return dict(families()["node_tests"].left_out())


def _ranges(numbers: Iterable[int]) -> str:
    found = sorted(numbers)
    starts = [n for n in found if n - 1 not in found]
    ends = [n for n in found if n + 1 not in found]
    return " ".join(str(a) if a == b else f"{a}-{b}" for a, b in zip(starts, ends, strict=True))


def _ways(row: Coverage) -> str:
    """The inputs that are given in more than one way, and how many there are."""
    several = sum(1 for ways in row.forms.values() if len(ways) > 1)
    return f"{several}/{len(row.forms)}" if row.forms else ""


def print_text(rows: Sequence[Coverage], console: Console) -> None:
    """Print a line per operator, then what nothing reaches."""
    table = Table(box=None, pad_edge=False)
    for heading in (
        "operator",
        "probes",
        "node tests",
        "versions",
        "dtypes",
        "ranks",
        "dynamic",
        "batch",
        "empty",
        "inputs",
        "attributes",
        "QDQ",
        "Convs",
    ):
        table.add_column(heading, overflow="fold")
    for r in rows:
        name = r.op_type if not r.domain else f"{r.domain}:{r.op_type}"
        versions = f"{len(r.covered_versions & set(r.versions))}/{len(r.versions)}" if r.versions else ""
        varied = sum(1 for values in r.attributes.values() if len(values) > 1)
        attributes = f"{varied}/{len(r.attributes)}" if r.attributes and r.domain != "pattern" else ""
        marks = ["x" if m else "" for m in (r.batches, r.empty)]
        dynamic = " ".join(sorted(r.dynamic - {"none"}))
        cells = (str(r.probes or ""), str(r.node_tests or ""), versions, str(len(r.dtypes)), _ranges(r.ranks), dynamic, *marks, _ways(r), attributes)
        table.add_row(name, *cells, "x" if r.quantised else "", "x" if r.context else "")
    console.print(table)
    console.print(
        "\nversions: covered of all. inputs: those given in more than one way (constant, computed, absent). attributes: those with more than one"
        " value, of all given. batch: more than one row. empty: a size of 0. QDQ: in a quantised island. Convs: between two Convs."
    )
    console.print("\n" + ", ".join(f"{n} {what}" for what, n in summary(rows).items()))
    for name, why in unreached(rows).items():
        console.print(f"no probe reaches {name}: {why}")
    for why, count in left_out().items():
        console.print(f"{count} node tests left out: {why}")
