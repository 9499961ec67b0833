"""Real SDKs in their own environments answer as recorded: a sample of every family on every measured target."""

import os
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from opcompat import campaign, env, probe, store, timing
from opcompat.outcome import OWN_FAULT, Clocked, Result
from opcompat.runtimes import all_runtimes, is_timed, measured_targets

pytestmark = pytest.mark.runtimes
EVERY = 20
SAME = 0.97
"""Share of outcomes that must equal the recorded ones: another CPU may flip a few."""


@pytest.fixture(scope="module")
def sample() -> list[probe.Probe]:
    return sorted(probe.load(), key=lambda p: p.digest)[::EVERY]


@pytest.fixture(scope="module", params=[n for n, r in all_runtimes().items() if not r.HIDDEN])
def ran(request: pytest.FixtureRequest, sample: list[probe.Probe], tmp_path_factory: pytest.TempPathFactory) -> dict[str, list[Result]]:
    """Target -> results of the sample, for all targets of one runtime."""
    runtime = all_runtimes()[request.param]
    try:
        env.install(runtime)
    except env.NoPython as error:
        pytest.skip(str(error))
    results: dict[str, list[Result]] = {t: [] for t in runtime.TARGETS}
    folder = tmp_path_factory.mktemp("runs")
    targets = [(t, runtime) for t in runtime.TARGETS]
    work = campaign.plan(targets, sample, folder)
    assert all(len(w.probes) == len(sample) for w in work)
    unavailable = campaign.run(work, folder, lambda name, r: results[name.split("@")[0]].append(r) if r else None, lambda *_: None)
    assert unavailable == {}
    assert all(not w.probes for w in campaign.plan(targets, sample, folder)), "what is recorded is not due again"
    return results


def test_outcomes_are_as_recorded(ran: dict[str, list[Result]]) -> None:
    with sqlite3.connect(store.database_path()) as db:
        recorded = {(p, t): o for p, t, o in db.execute("SELECT probe, target, outcome FROM results WHERE current")}
    for target, results in ran.items():
        pairs = [(r.probe, r.outcome, recorded[r.probe, target]) for r in results if (r.probe, target) in recorded]
        assert len(pairs) > len(results) / 2, f"{target}: too little is recorded to compare with"
        flips = [p for p in pairs if p[1] != p[2]]
        assert len(flips) <= (1 - SAME) * len(pairs), flips


def test_every_target_passes_something_and_refuses_something(ran: dict[str, list[Result]]) -> None:
    for target, results in ran.items():
        outcomes = Counter(r.outcome for r in results)
        ours = sum(outcomes[o] for o in OWN_FAULT)
        assert outcomes["pass"] > (len(results) - ours) / 4, (target, outcomes)
        without_float = measured_targets()[target].TARGETS[target].get("float") is False
        assert without_float or ours < len(results) / 4, (target, outcomes)
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
    found = [r.digest for _, _, results in store.read_runs(tmp_path) for r in results]
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
    timed = [(target, r) for target, r in measured_targets().items() if is_timed(r)]
    assert {"ort/cpu", "openvino/cpu", "opencv/cpu", "tflite/cpu"} <= {target for target, _ in timed}
    assert campaign.run(campaign.plan(timed, chosen, tmp_path), tmp_path, lambda *_: None, lambda *_: None) == {}
    for _, run, results in store.read_runs(tmp_path, Clocked):
        passed = [r for r in results if isinstance(r, Clocked) and r.outcome == "pass"]
        assert len(passed) >= 3 and all(len(r.subject_ms) == len(r.baseline_ms) >= 15 for r in passed), run.target
    assert all(not w.probes for w in campaign.plan(timed, chosen, tmp_path))
