"""What documents, SDKs and third parties say about operators: typed rows, read from the files of data/claims and data/sources."""

from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StrictBool, StrictInt, StrictStr, StringConstraints, ValidationError

MAX_BYTES = 50 * 1024 * 1024

Scalar = StrictBool | StrictInt | StrictStr
Scalars = Annotated[list[Scalar], Field(min_length=1)]
Name = Annotated[str, StringConstraints(strict=True, min_length=1, max_length=100)]
Text = Annotated[str, StringConstraints(strict=True, max_length=500)]
Target = Annotated[str, StringConstraints(strict=True, pattern=r"^[a-z0-9-]+/[a-z0-9.-]+$")]


class ClaimError(Exception):
    """A file of claims that cannot be read; the message is one sentence naming file and line."""


class _Model(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _bounds(value: dict[str, Any]) -> dict[str, Any]:
    """Refuse a mixture of `not` with bounds, bounds that are no integers and bounds that cross."""
    if "not" not in value:
        if not value or not all(type(v) is int for v in value.values()):
            raise ValueError("a range needs min or max, as integers")
        if value.keys() == {"min", "max"} and value["min"] > value["max"]:
            raise ValueError("min exceeds max")
    elif len(value) > 1:
        raise ValueError("not stands alone")
    return value


Bounds = Annotated[dict[Literal["min", "max", "not"], Scalar | Scalars], AfterValidator(_bounds)]
"""{"min": n, "max": n}, both inclusive and either optional, or {"not": value or list}."""
Condition = Scalar | Scalars | Bounds
Conditions = dict[Name, Condition]


class ClaimHeader(_Model):
    """The first line of a file: what the rows are about and which document states them."""

    target: Target
    evidence: Literal["declared", "reported", "claimed"] = "claimed"
    """declared: by tables inside the SDK; reported: by somebody who ran it; claimed: by a document."""
    requires: Target | None
    """A target whose claims a node must meet as well: the converter in front of the runtime."""
    related: list[Target]
    """Targets whose evidence says something about this one, without being it."""
    fallback: Target | None
    """Where the vendor lets a refused node run instead."""
    aliases: list[Name]
    about: Annotated[str, StringConstraints(strict=True, min_length=1, max_length=300)]
    title: Name
    publisher: Name
    version: Name
    date: Annotated[str, StringConstraints(strict=True, pattern=r"^\d{4}-\d{2}(-\d{2})?$")]


class Claim(_Model):
    """One row of a document: it speaks of the nodes for which `when` holds, and accepts those of them for which `limits` hold."""

    op_type: Name
    """Operator or, in the domain `pattern`, the name of a pattern; `*` speaks of every operator."""
    domain: Text
    status: Literal["supported", "partial", "unsupported", "folded", "fallback"]
    """folded: gone after conversion; fallback: the vendor's software runs it elsewhere, on the CPU mostly."""
    when: Conditions = {}
    limits: Conditions = {}
    unchecked: Text = ""
    """Further limits of the document that no fact expresses."""
    runtime_op: Text = ""
    note: Text = ""


def folder() -> Path:
    """Return the folder of claims: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "_claims"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "data" / "claims"


def read(path: Path) -> tuple[ClaimHeader, list[Claim]]:
    """Return header and rows of one file, or raise ClaimError."""
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ClaimError(f"{path.name} line 1: the file is larger than {MAX_BYTES // 1024**2} MB.")
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise ClaimError(f"{path.name} line 1: the file cannot be read ({error.strerror}).") from None
    if not lines:
        raise ClaimError(f"{path.name} line 1: the header is missing.")
    number = 1
    try:
        header = ClaimHeader.model_validate_json(lines[0])
        claims = []
        for number, line in enumerate(lines[1:], 2):  # noqa: B007 - the number is for the message
            claims.append(Claim.model_validate_json(line))
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(map(str, first["loc"][:2]))
        raise ClaimError(f"{path.name} line {number}: {f'{where}: ' if where else ''}{first['msg'][:200]}.") from None
    return header, claims


def load(where: Path | None = None) -> list[tuple[ClaimHeader, list[Claim]]]:
    """Return header and rows of every *.jsonl of the folder (what people wrote) and of `sources` beside it (what a command made), by file name."""
    where = where or folder()
    return [read(path) for path in sorted([*where.glob("*.jsonl"), *where.with_name("sources").glob("*.jsonl")], key=lambda p: p.name)]
