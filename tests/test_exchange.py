"""Results that travel: what one machine packs another takes in, apart from its own, as unconfirmed until a second host agrees."""

import gzip
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from conftest import conv_model, record, result
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import opcompat
from opcompat import building, exchange, probe, runfiles
from opcompat.exchange import ExchangeError
from opcompat.outcome import Run
from opcompat.store import Base


def packed(folder: Path, probes: list[probe.Probe], outcome: str, host: str, version: str = "1.0", **more: Any) -> Path:
    """Write what a machine of that name exports after a campaign on demo/npu."""
    run = Run("demo/npu", version, {"sdk": version}, {}, {"os": host}, "0.1.0", f"2026-02-0{len(host) % 9 + 1}T00:00:00+00:00")
    with runfiles.RunWriter(run, folder / host) as writer:
        for p in probes:
            writer.write(result(p, outcome, **({"stage": "compile", "message": "no"} if outcome == "fail" else {}), **more))
    exchange.export(folder / host, folder / f"{host}.gz")
    return folder / f"{host}.gz"


def built(runs: Path, probes: list[probe.Probe]) -> Base:
    (runs.parent / "claims").mkdir(exist_ok=True)
    building.build(runs.parent / "compat.db", runs, runs.parent / "claims", probes)
    return Base(runs.parent / "compat.db")


def verdict(base: Base, target: str = "demo/npu") -> str:
    return opcompat.check(conv_model(), [target], base).targets[0].findings[0].verdict


def take_in(path: Path, runs: Path, probes: list[probe.Probe]) -> tuple[dict[str, int], int]:
    counts, unknown = exchange.take_in(path, runs, {p.digest: p.id for p in probes})
    return dict(counts), unknown


def test_a_contribution_counts_once_a_second_host_agrees(tmp_path: Path, conv_probes: list[probe.Probe]) -> None:
    runs = tmp_path / "ours" / "runs"
    first = packed(tmp_path, conv_probes, "fail", "board")
    assert take_in(first, runs, conv_probes) == ({"demo/npu@1.0": len(conv_probes)}, 0)
    assert verdict(built(runs, conv_probes)) == "unknown"
    take_in(first, runs, conv_probes)
    assert verdict(built(runs, conv_probes)) == "unknown", "the same host once more is no second one"
    take_in(packed(tmp_path, conv_probes, "pass", "tablet"), runs, conv_probes)
    assert verdict(built(runs, conv_probes)) == "unknown", "nobody agrees"
    take_in(packed(tmp_path, conv_probes, "fail", "telephone"), runs, conv_probes)
    base = built(runs, conv_probes)
    assert verdict(base) == "breaks"
    assert {(s, h) for s, h in base._rows("SELECT source, json_extract(host, '$.os') FROM runs")} == {
        ("contributed", h) for h in ("board", "tablet", "telephone")
    }


def test_a_contribution_never_replaces_our_own_results_or_becomes_the_newest_version(tmp_path: Path, conv_probes: list[probe.Probe]) -> None:
    runs = tmp_path / "ours" / "runs"
    record(runs, "demo/npu", "1.0", [result(p) for p in conv_probes])
    before = built(runs, conv_probes)._rows("SELECT probe, outcome, run FROM results")
    for host in ("board", "telephone"):
        take_in(packed(tmp_path, conv_probes, "fail", host), runs, conv_probes)
    take_in(packed(tmp_path, conv_probes, "fail", "liar", "999.0"), runs, conv_probes)
    base = built(runs, conv_probes)
    assert base._rows("SELECT probe, outcome, run FROM results WHERE current") == before
    assert base.targets()["demo/npu"].newest == "1.0" and verdict(base) == "works"


def test_our_own_runs_are_not_touched(tmp_path: Path, conv_probes: list[probe.Probe]) -> None:
    runs = tmp_path / "ours" / "runs"
    ours = record(runs, "demo/npu", "1.0", [result(p) for p in conv_probes])
    was = ours.read_bytes()
    take_in(packed(tmp_path, conv_probes, "fail", "board"), runs, conv_probes)
    assert ours.read_bytes() == was and len(list(runfiles.read_runs(runs))) == 1
    assert len(list(runfiles.read_runs(runfiles.contributed_folder(runs)))) == 1


def test_results_of_unknown_probes_are_left_out_and_counted(tmp_path: Path, conv_probes: list[probe.Probe]) -> None:
    path = packed(tmp_path, conv_probes, "pass", "board")
    assert take_in(path, tmp_path / "ours" / "runs", conv_probes[:5]) == ({"demo/npu@1.0": 5}, len(conv_probes) - 5)
    with pytest.raises(ExchangeError, match="no result of a probe that is known here"):
        take_in(path, tmp_path / "ours" / "runs", [])


def lines_of(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).splitlines()]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda lines: lines[0]["run"].update(target="../../etc/passwd"), "such names are not taken in"),
        (lambda lines: lines[0]["run"].update(version="1/../2"), "such names are not taken in"),
        (lambda lines: lines[0]["run"].update(host={"os": "x" * 9000}), "characters"),
        (lambda lines: lines[1].update(message="x" * 9000), "characters"),
        (lambda lines: lines[1].update(outcome="splendid"), "line 2: not a valid result"),
        (lambda lines: lines[1].pop("digest"), "line 2: not a valid result"),
        (lambda lines: lines.pop(0), "not a valid run header"),
        (lambda lines: lines.clear(), "no result of a probe"),
    ],
)
def test_what_no_campaign_writes_is_refused_whole(tmp_path: Path, conv_probes: list[probe.Probe], change: Any, words: str) -> None:
    path = packed(tmp_path, conv_probes, "pass", "board")
    lines = lines_of(path)
    change(lines)
    path.write_bytes(gzip.compress("".join(json.dumps(line) + "\n" for line in lines).encode()))
    runs = tmp_path / "ours" / "runs"
    with pytest.raises(ExchangeError, match=words) as caught:
        take_in(path, runs, conv_probes)
    assert "\n" not in str(caught.value) and not runfiles.contributed_folder(runs).exists()


def test_a_file_that_unpacks_to_more_than_is_taken_in_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange, "MAX_BYTES", 1 << 20)
    (tmp_path / "bomb.gz").write_bytes(gzip.compress(b"0" * (8 << 20)))
    with pytest.raises(ExchangeError, match="larger than 1 MB unpacked"):
        take_in(tmp_path / "bomb.gz", tmp_path / "runs", [])


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.tuples(st.integers(0, 10_000), st.binary(max_size=4)), min_size=1, max_size=4))
def test_mutated_files_are_taken_in_or_refused_in_one_sentence(tmp_path: Path, conv_probes: list[probe.Probe], cuts: list[tuple[int, bytes]]) -> None:
    path = tmp_path / "mutated"
    if not (tmp_path / "board.gz").exists():
        packed(tmp_path, conv_probes[:8], "pass", "board")
    data = bytearray(gzip.decompress((tmp_path / "board.gz").read_bytes()))
    for at, new in cuts:
        data[at % len(data) : at % len(data) + 2] = new
    path.write_bytes(bytes(data))
    runs = tmp_path / "ours" / "runs"
    try:
        take_in(path, runs, conv_probes)
    except ExchangeError as error:
        assert "\n" not in str(error)
    for kept in runfiles.contributed_folder(runs).rglob("*.gz"):
        assert runfiles.read_run(kept) is not None


def test_the_commands(tmp_path: Path, conv_probes: list[probe.Probe]) -> None:
    def run(*arguments: str, runs: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "OPCOMPAT_RUNS": str(tmp_path / runs)}
        return subprocess.run([sys.executable, "-m", "opcompat.cli", *arguments], capture_output=True, text=True, env=environment)

    record(tmp_path / "theirs", "demo/npu", "1.0", [result(p) for p in conv_probes])
    out = tmp_path / "results.jsonl.gz"
    done = run("export", "-t", "demo/*", "-o", str(out), runs="theirs")
    assert done.returncode == 0 and f"demo/npu@1.0: {len(conv_probes)} results" in done.stdout
    done = run("import", str(out), runs="ours")
    assert done.returncode == 0 and f"taken in: demo/npu@1.0: {len(conv_probes)} results" in done.stdout
    for arguments, words in (
        (["import", str(tmp_path / "none")], "No such file"), (["export", "-t", "nobody/*", "-o", str(out)], "nothing is recorded"),
        (["import", sys.executable], "larger than|not a valid|no file of results"),
    ):  # fmt: skip
        done = run(*arguments, runs="ours")
        assert done.returncode == 2 and "Traceback" not in done.stderr and any(w in done.stderr for w in words.split("|")), done.stderr
