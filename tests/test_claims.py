"""Claims: every row of data/claims is valid and speaks of facts that exist; a bad row is refused in one sentence."""

import json
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import onnx
import pytest

from opcompat import claims, probe
from opcompat.claims import ClaimError

FILES = sorted(claims.folder().glob("*.jsonl"))
GENERAL = {"since_version", "quantised", "weights quantised", "dynamic", "outputs", "rank.max"}
"""Facts that any node may have; rank.max, the largest rank among the inputs, is provided to conditions only."""
HEADER = {
    "target": "x/y", "requires": None, "related": [], "fallback": None, "aliases": [], "about": "About.", "title": "Title", "publisher": "Vendor",
    "version": "1", "date": "2024-08",
}  # fmt: skip
ROW = {"op_type": "Relu", "domain": "", "status": "supported"}


@pytest.fixture(scope="module")
def probed() -> dict[tuple[str, str], set[str]]:
    """Return the facts of each operator that has probes."""
    found = defaultdict(set)
    for p in probe.load():
        found[(p.domain, p.op_type)].update(p.facts)
    return found


@pytest.fixture(scope="module")
def named() -> dict[str, set[str]]:
    """Return, per ONNX operator, the facts that its schemas of all versions name: attributes, inputs, type variables."""
    found = defaultdict(set)
    for schema in onnx.defs.get_all_schemas_with_history():
        if schema.domain == "":
            facts = found[schema.name]
            facts.update(schema.attributes)
            for i in schema.inputs:
                facts.update(f"{i.name}.{what}" for what in ("rank", "const", "present"))
                facts.add("dtype" if i.type_str == "T" else f"{i.type_str}.dtype")
    return found


@pytest.fixture(scope="module")
def headers() -> dict[str, claims.ClaimHeader]:
    """Return the first line of every file by the file's name."""
    return {p.stem: claims.read(p)[0] for p in FILES}


def test_a_file_is_called_what_it_is_about(headers: dict[str, claims.ClaimHeader]) -> None:
    for stem, header in headers.items():
        name = header.target.replace("/", "-")
        assert stem in (name, f"{name}-{header.version}"), stem
    told = Counter((h.target, h.evidence, h.version) for h in headers.values())
    assert max(told.values()) == 1, told.most_common(1)


def test_files_of_one_target_agree_on_what_it_is(headers: dict[str, claims.ClaimHeader]) -> None:
    by_target = defaultdict(set)
    for header in headers.values():
        if header.evidence == "claimed":
            by_target[header.target].add((header.about, header.requires, header.fallback, *header.aliases))
    assert {t: len(told) for t, told in by_target.items() if len(told) > 1} == {}


def test_what_stands_before_or_behind_a_target_has_a_table(headers: dict[str, claims.ClaimHeader]) -> None:
    known = {h.target for h in headers.values()}
    for stem, header in headers.items():
        for other in (header.requires, header.fallback):
            assert other is None or other in known - {header.target}, stem
        assert header.target not in header.related, stem


def test_all_tables_stay_small() -> None:
    assert sum(p.stat().st_size for p in FILES) < 4_000_000


@pytest.mark.parametrize("path", FILES, ids=lambda p: p.stem)
def test_file(path: Path, probed: dict[tuple[str, str], set[str]], named: dict[str, set[str]]) -> None:
    header, rows = claims.read(path)
    assert header.publisher and header.about.endswith(".")
    lines = path.read_text().splitlines()
    assert len(set(lines)) == len(lines), "duplicate rows"
    order = [(r.domain, r.op_type, r.runtime_op) for r in rows]
    assert order == sorted(order)
    for row in rows:
        where = f"{path.name}: {row}"
        if row.domain == "" and row.op_type != "*":
            assert row.op_type in named, where
        used = {*row.when, *row.limits} - GENERAL
        if known := probed.get((row.domain, row.op_type)):
            assert used <= known | named.get(row.op_type, set()), where
        if row.status in ("unsupported", "fallback"):
            assert not row.limits and not row.unchecked, where
        if row.status == "partial":
            assert row.limits or row.unchecked, where
    assert len({r.model_dump_json() for r in rows}) == len(rows)


def test_aliases_are_what_people_type(headers: dict[str, claims.ClaimHeader]) -> None:
    for header in headers.values():
        assert len(set(header.aliases)) == len(header.aliases)
        for alias in header.aliases:
            assert alias == alias.lower() and "/" not in alias and alias != header.target.split("/")[0], alias


def write(folder: Path, *rows: Any) -> None:
    (folder / "bad.jsonl").write_text("\n".join(r if isinstance(r, str) else json.dumps(r) for r in rows))


def test_every_kind_of_condition_is_read(tmp_path: Path) -> None:
    limits = {"a": 1, "b": True, "c": "x", "d": [1, "x"], "e": {"min": 1, "max": 4}, "f": {"not": "x"}, "g": {"not": [1, 2]}}
    write(tmp_path, HEADER, {**ROW, "limits": limits})
    [(header, [row])] = claims.load(tmp_path)
    assert header.target == "x/y"
    assert row.limits["b"] is True and row.limits["a"] == 1 and row.limits["d"] == [1, "x"]
    assert json.loads(json.dumps(row.limits)) == limits


@pytest.mark.parametrize(
    "row",
    [
        "not json", "", "[]", '"' + "[" * 20000, "[" * 20000, {"op_type": "Relu"}, {**ROW, "status": "maybe"}, {**ROW, "surplus": 1},
        {**ROW, "op_type": ""}, {**ROW, "when": []}, {**ROW, "when": {"a": {"not": {}}}}, {**ROW, "when": {"a": {"max": 1, "not": 2}}},
        {**ROW, "limits": {"X.rank": {}}}, {**ROW, "limits": {"X.rank": {"min": 3, "max": 2}}}, {**ROW, "limits": {"X.rank": {"max": "4"}}},
        {**ROW, "limits": {"X.rank": []}}, {**ROW, "limits": {"X.rank": None}}, {**ROW, "limits": {"X.rank": 1.5}},
    ],
)  # fmt: skip
def test_a_bad_row_is_refused_with_one_sentence(tmp_path: Path, row: Any) -> None:
    write(tmp_path, HEADER, ROW, row, ROW)
    with pytest.raises(ClaimError) as caught:
        claims.load(tmp_path)
    message = str(caught.value)
    assert message.startswith("bad.jsonl line 3: ") and message.endswith(".") and "\n" not in message


@pytest.mark.parametrize(
    "header", [ROW, {**HEADER, "target": "no slash"}, {**HEADER, "date": "soon"}, {k: v for k, v in HEADER.items() if k != "requires"}]
)
def test_a_bad_header_is_refused(tmp_path: Path, header: Any) -> None:
    write(tmp_path, header, ROW)
    with pytest.raises(ClaimError, match=r"^bad\.jsonl line 1: "):
        claims.load(tmp_path)


def test_an_empty_or_oversized_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path)
    with pytest.raises(ClaimError, match="header is missing"):
        claims.load(tmp_path)
    write(tmp_path, HEADER, ROW)
    monkeypatch.setattr(claims, "MAX_BYTES", 100)
    with pytest.raises(ClaimError, match="larger than"):
        claims.load(tmp_path)


def test_bytes_that_are_no_text_are_refused(tmp_path: Path) -> None:
    (tmp_path / "bad.jsonl").write_bytes(json.dumps(HEADER).encode() + b"\n\xff\xfe\n")
    with pytest.raises(ClaimError, match=r"^bad\.jsonl line 2: "):
        claims.load(tmp_path)
