"""Run files and compat.db: nothing finished is lost, equal input gives equal bytes, a bad database is one sentence."""

import gzip
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest
from conftest import record, result

from opcompat import building, runfiles, store
from opcompat.outcome import group_message
from opcompat.probe import Probe
from opcompat.runfiles import StoreError
from opcompat.store import Base


def test_build_is_deterministic_and_complete(small_base: Path, tmp_path: Path, conv_probes: list[Probe]) -> None:
    again = tmp_path / "again.db"
    counts = building.build(again, small_base.parent / "runs", small_base.parent / "claims", reversed(conv_probes))
    assert again.read_bytes() == small_base.read_bytes()
    assert counts["probes"] == len(conv_probes) and counts["results"] == 2 * len(conv_probes) and counts["targets"] == 2


def test_causes_are_recorded(small_base: Path) -> None:
    with sqlite3.connect(small_base) as db:
        causes = {row[0] for row in db.execute("SELECT cause FROM results WHERE outcome = 'fail'")}
        assert json.dumps({"grouping": "few"}) in {json.dumps({k: v for k, v in json.loads(c).items() if k == "grouping"}) for c in causes if c}
        assert db.execute("SELECT probes, failed FROM support WHERE target = 'demo/npu'").fetchone()[1] > 0


def test_a_file_that_is_packed_while_a_folder_is_read_is_read(tmp_path: Path, conv_probes: list[Probe]) -> None:
    path = record(tmp_path, "demo/npu", "1", [result(conv_probes[0])])
    plain = runfiles.read_run(path)
    packed = path.with_name(path.name + ".gz")
    packed.write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()
    assert plain is not None and runfiles.read_run(path) == plain == runfiles.read_run(packed)


def test_a_torn_last_line_costs_only_itself(tmp_path: Path, conv_probes: list[Probe]) -> None:
    path = record(tmp_path, "demo/npu", "1", [result(p) for p in conv_probes[:3]])
    data = path.read_bytes()
    path.write_bytes(data[:-20])
    read = runfiles.read_run(path)
    assert read is not None and [r.probe for r in read[1]] == [p.id for p in conv_probes[:2]]


def test_a_bad_line_is_named(tmp_path: Path, conv_probes: list[Probe]) -> None:
    path = record(tmp_path, "demo/npu", "1", [result(p) for p in conv_probes[:2]])
    lines = path.read_text().splitlines()
    lines[2] = lines[2].replace('"pass"', '"splendid"')
    path.write_text("\n".join(lines) + "\n")
    with pytest.raises(StoreError, match="line 3"):
        list(runfiles.read_runs(tmp_path))


def test_recorded_is_by_digest_version_and_options(tmp_path: Path, conv_probes: list[Probe]) -> None:
    record(tmp_path, "demo/npu", "1", [result(conv_probes[0])])
    done = runfiles.recorded(tmp_path, ["demo/npu"])
    assert done == {("demo/npu", "1", "{}"): {conv_probes[0].digest: "pass"}}


def test_newest_version_is_current_and_later_result_wins(tmp_path: Path, conv_probes: list[Probe]) -> None:
    p = conv_probes[0]
    record(tmp_path / "r", "demo/npu", "1.10", [result(p, "fail", stage="load")], "2026-01-02T00:00:00+00:00")
    record(tmp_path / "r", "demo/npu", "1.9", [result(p)], "2026-01-03T00:00:00+00:00")
    record(tmp_path / "r", "demo/npu", "1.10", [result(p, "wrong")], "2026-01-04T00:00:00+00:00")
    (tmp_path / "c").mkdir()
    building.build(tmp_path / "db", tmp_path / "r", tmp_path / "c", [p])
    with sqlite3.connect(tmp_path / "db") as db:
        assert db.execute("SELECT version, current, outcome FROM results ORDER BY version").fetchall() == [("1.10", 1, "wrong"), ("1.9", 0, "pass")]


@pytest.mark.parametrize("kind", ["missing", "text", "truncated", "older", "newer", "empty", "foreign"])
def test_an_unusable_database_is_one_sentence(small_base: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "compat.db"
    data = small_base.read_bytes()
    if kind == "text":
        path.write_text("no database\n" * 100)
    elif kind == "truncated":
        path.write_bytes(data[: len(data) // 2])
    elif kind == "empty":
        path.touch()
    elif kind == "foreign":
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {store.SCHEMA_VERSION}")
            db.execute("CREATE TABLE t (x)")
    elif kind != "missing":
        path.write_bytes(data)
        with sqlite3.connect(path) as db:
            db.execute(f"PRAGMA user_version = {store.SCHEMA_VERSION + (1 if kind == 'newer' else -1)}")
    with pytest.raises(StoreError) as caught, Base(path) as base:
        base.targets()
        base.evidence(["Conv"], ["demo/npu"])
        base.patterns()
    assert str(path) in str(caught.value) and "\n" not in str(caught.value)


def test_kill_9_loses_nothing_finished(tmp_path: Path) -> None:
    script = """
import sys, time
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from conftest import result
from opcompat import building, probe, runfiles, store
from opcompat.outcome import Run
probes = probe.load(["conv"])
with runfiles.RunWriter(Run("demo/npu", "1", {}, {}, {}, "0", "2026-01-01T00:00:00"), Path(sys.argv[1])) as writer:
    for p in probes:
        writer.write(result(p))
        print(p.id, flush=True)
        time.sleep(0.002)
"""
    child = subprocess.Popen([sys.executable, "-c", script, str(tmp_path), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    said = [child.stdout.readline().strip() for _ in range(20)]
    os.kill(child.pid, signal.SIGKILL)
    said += child.stdout.read().split("\n")
    child.wait()
    time.sleep(0.05)
    ((_, _, results),) = runfiles.read_runs(tmp_path)
    finished = [s for s in said if s]
    assert [r.probe for r in results][: len(finished)] == finished and len(results) - len(finished) in (0, 1)


def test_a_full_disk_is_one_sentence(conv_probes: list[Probe], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "write", lambda *_: (_ for _ in ()).throw(OSError(28, "No space left on device")))
    with pytest.raises(StoreError, match="No space left"):
        record(tmp_path, "demo/npu", "1", [result(conv_probes[0])])


def test_a_run_killed_while_it_was_packed_counts_once(conv_probes: list[Probe], tmp_path: Path) -> None:
    path = record(tmp_path, "demo/npu", "1", [result(p) for p in conv_probes[:3]])
    path.with_name(f"{path.name}.gz").write_bytes(gzip.compress(path.read_bytes()))
    ((_, _, results),) = runfiles.read_runs(tmp_path)
    assert len(results) == 3


def test_messages_fall_into_groups() -> None:
    one, two = (group_message(f"Node 'conv_{i}' at 0x7f{i}: expected {i} inputs, /tmp/x{i}/m.onnx") for i in (1, 22))
    assert one == two and "expected" in one
