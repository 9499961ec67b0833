"""Real SDKs in their own environments answer as recorded: a sample of what is recorded on every target whose runtime is installed."""

import json
import os
import re
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from opcompat import campaign, env, probe, runfiles, timing
from opcompat.outcome import OWN_FAULT, Clocked, Result
from opcompat.runtimes import all_runtimes, is_timed, measured_targets

pytestmark = pytest.mark.runtimes
SAMPLE, SLOW_SAMPLE = 330, 60
"""Probes of a target; of one that takes SLOW_MS for each."""
SLOW_MS = 50
CI = Path(__file__).parent.parent / ".ci" / "run"
SAME = 0.97
"""Share of outcomes that must equal the recorded ones: another CPU may flip a few."""


@pytest.fixture(scope="module")
def recorded() -> dict[tuple[str, str], tuple[str, float]]:
    """(target, probe) -> (outcome recorded of its newest version, milliseconds it took)."""
    with sqlite3.connect(runfiles.database_path()) as db:
        rows = db.execute("SELECT target, probe, outcome, times_ms FROM results WHERE current").fetchall()
    return {(t, p): (o, sum(json.loads(times).values())) for t, p, o, times in rows}


def sample(every: list[probe.Probe], targets: list[str], recorded: dict[tuple[str, str], tuple[str, float]]) -> list[probe.Probe]:
    """Return probes that are recorded on all these targets, fewer where they take their time."""
    known = [p for p in every if all((t, p.id) in recorded for t in targets)]
    took = sum(recorded[t, p.id][1] for t in targets for p in known) / max(1, len(known) * len(targets))
    return sorted(known, key=lambda p: p.digest)[: SLOW_SAMPLE if took > SLOW_MS else SAMPLE]


@pytest.fixture(scope="module")
def every() -> list[probe.Probe]:
    return probe.load()


@pytest.fixture(scope="module", params=[n for n, r in all_runtimes().items() if not r.HIDDEN])
def ran(request: pytest.FixtureRequest, every: list[probe.Probe], recorded: Any, tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Result]]:
    """Target -> results of the sample, for all targets of one runtime."""
    runtime = all_runtimes()[request.param]
    if env.find(runtime) is None:
        pytest.skip(f"not installed: opcompat env {request.param}")
    results: dict[str, list[Result]] = {t: [] for t in runtime.TARGETS}
    folder = tmp_path_factory.mktemp("runs")
    targets = [(t, runtime) for t in runtime.TARGETS]
    chosen = sample(every, list(runtime.TARGETS), recorded)
    assert len(chosen) >= SLOW_SAMPLE, "too little is recorded to compare with"
    work = campaign.plan(targets, chosen, folder)
    assert all(len(w.probes) == len(chosen) for w in work)
    unavailable = campaign.run(work, folder, lambda name, r: results[name.split("@")[0]].append(r) if r else None, lambda *_: None)
    assert unavailable == {}
    assert all(not w.probes for w in campaign.plan(targets, chosen, folder)), "what is recorded is not due again"
    return results


def test_outcomes_are_as_recorded(ran: dict[str, list[Result]], recorded: Any) -> None:
    for target, results in ran.items():
        flips = [(r.probe, r.outcome, was) for r in results if (was := recorded[target, r.probe][0]) != r.outcome]
        assert len(flips) <= (1 - SAME) * len(results), (target, flips)


def test_what_ci_installs_is_here() -> None:
    named = re.search(r"opcompat env (.+)", CI.read_text())
    assert named and {"ort", "openvino", "opencv", "qnn", "tflite", "tract"} <= set(named[1].split())
    if os.environ.get("OPCOMPAT_CACHE"):  # as CI sets it
        assert [n for n in named[1].split() if env.find(all_runtimes()[n]) is None] == []


def test_every_target_passes_something_and_refuses_something(ran: dict[str, list[Result]]) -> None:
    for target, results in ran.items():
        outcomes = Counter(r.outcome for r in results)
        ours = sum(outcomes[o] for o in OWN_FAULT)
        assert outcomes["pass"] > (len(results) - ours) / 10, (target, outcomes)
        assert outcomes["fail"], (target, outcomes)
        assert all(r.message for r in results if r.outcome not in ("pass",)), target


def test_a_killed_campaign_goes_on_where_it_stopped(tmp_path: Path) -> None:
    env.install(all_runtimes()["ort"])
    command = [sys.executable, "-m", "opcompat.cli", "probe", "-t", "ort", "--family", "pool"]
    environment = {**os.environ, "OPCOMPAT_RUNS": str(tmp_path)}

    def written() -> int:
        return sum(len(path.read_bytes().splitlines()) - 1 for path in tmp_path.glob("*/*.jsonl*"))

    for target in (20, 60):
        child = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while written() < target and child.poll() is None:
            time.sleep(0.005)
        child.kill()
        child.wait()
        assert written() >= target
    subprocess.run(command, env=environment, check=True, capture_output=True)
    wanted = [p.digest for p in probe.load(["pool"])]
    found = [r.digest for _, _, results in runfiles.read_runs(tmp_path) for r in results]
    assert sorted(found) == sorted(wanted), "every probe once, none lost, none twice"


def test_a_runtime_whose_licence_is_not_accepted_is_not_installed(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("OPCOMPAT_CACHE", str(tmp_path))
    monkeypatch.delenv(env.LICENCE_VARIABLE, raising=False)
    with pytest.raises(env.EnvError, match="accept-licence qnn"):
        env.install(measured_targets()["qnn/htp-v73"])


def test_a_version_that_does_not_exist_is_one_sentence(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    future = type("Future", (measured_targets()["ort/cpu"],), {"PACKAGES": {"onnxruntime": "999.0"}})
    monkeypatch.setenv("OPCOMPAT_CACHE", str(tmp_path))
    with pytest.raises(env.EnvError, match="cannot be installed") as caught:
        env.install(future)
    assert "\n" not in str(caught.value) and not list((tmp_path / "envs").iterdir())


def test_every_timed_target_gives_ratios(tmp_path: Path) -> None:
    chosen = [t for t in timing.load(["activation"]) if t.op_type in ("Gelu", "Clip", "Pow")]
    timed = [(target, r) for target, r in measured_targets().items() if is_timed(r) and env.find(r)]
    assert {"ort/cpu", "openvino/cpu", "opencv/cpu", "tflite/cpu"} <= {target for target, _ in timed}
    assert campaign.run(campaign.plan(timed, chosen, tmp_path), tmp_path, lambda *_: None, lambda *_: None) == {}
    for _, run, results in runfiles.read_runs(tmp_path, Clocked):
        passed = [r for r in results if isinstance(r, Clocked) and r.outcome == "pass"]
        assert len(passed) >= 3 and all(len(r.subject_ms) == len(r.baseline_ms) >= 15 for r in passed), run.target
    assert all(not w.probes for w in campaign.plan(timed, chosen, tmp_path))
