"""What is due: exactly what a changed version, option, driver or probe makes stale. And campaigns that are killed, or run out of disk."""

import contextlib
import json
import os
import random
import resource
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from conftest import result

from opcompat import campaign, runfiles
from opcompat.outcome import Run
from opcompat.probe import Probe
from opcompat.runtimes import fake


def test_due(tmp_path: Path, conv_probes: list[Probe]) -> None:
    first, second, third = conv_probes[:3]

    def due(probes: list[Probe], **changed: Any) -> list[str]:
        runtime = type("Changed", (fake.Runtime,), {"PACKAGES": {"demo": "1.0"}, **changed})
        (work,) = campaign.plan([("fake/cpu", runtime)], probes, tmp_path)
        assert work.unavailable and len(work.probes) + work.recorded == len(probes)
        return [p.id for p in work.probes]

    options = campaign.recorded_options(fake.Runtime, "fake/cpu")
    with runfiles.RunWriter(Run("fake/cpu", "1.0", {}, options, {}, "0", "2026-01-01T00:00:00"), tmp_path) as writer:
        writer.write(result(first))
        writer.write(result(second, "broken"))
    assert due([first, second, third]) == [third.id]
    assert due([first, second], PACKAGES={"demo": "1.1"}) == [first.id, second.id]
    assert due([first, second], REVISION=2) == [first.id, second.id]
    assert due([first, second], TARGETS={"fake/cpu": {"precision": "float16"}}) == [first.id, second.id]
    assert due([replace(first, focus=None, pattern="other"), second]) == [first.id], "the same model about something else"


CAMPAIGN = """
import sys
from pathlib import Path

import numpy as np

sys.path.insert(0, sys.argv[1])
from test_runner import relu

from opcompat import campaign, oracle
from opcompat.compare import Reference
from opcompat.runtimes import fake

acts = {"NoSuchOperator": "refuse", "refused": "refuse", "dies": "crash"}
runtime = type("Runtime", (fake.Runtime,), {"TARGETS": {"fake/cpu": {"acts": acts}}, "__module__": fake.__name__})
kinds = {7: "refused", 150: "dies"}
probes = [relu(f"{next((k for n, k in kinds.items() if i % n == n - 1), 'good')} {i};", 4 + i % 5) for i in range(int(sys.argv[3]))]
oracle.references = lambda *_: lambda p: Reference((("float32", np.maximum(p.inputs["X"], 0)),), "both")
work = campaign.plan([("fake/cpu", runtime)], probes, Path(sys.argv[2]))
campaign.run(work, Path(sys.argv[2]), lambda *_: None, lambda *_: None)
print(*(p.digest for p in probes))
"""


def start(runs: Path, count: int, **more: Any) -> "subprocess.Popen[str]":
    """Start a campaign of `count` probes on the fake runtime in a process group of its own; at its end it prints the digests of all of them."""
    command = [sys.executable, "-c", CAMPAIGN, str(Path(__file__).parent), str(runs), str(count)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True, **more)


def digests(runs: Path) -> list[str]:
    return [r.digest for _, _, results in runfiles.read_runs(runs) for r in results]


def children(pid: int) -> list[int]:
    """Return the processes that a process started, over all its threads (Linux)."""
    return [int(c) for f in Path(f"/proc/{pid}/task").glob("*/children") for c in f.read_text().split()]


@pytest.mark.heavy
@pytest.mark.skipif(not Path("/proc/self/task").is_dir(), reason="tells children apart by /proc")
def test_kill_9_at_thirty_random_moments(tmp_path: Path) -> None:
    """Parent, child or both die at once: every finished result is there, nothing is double, and the rest completes."""
    rng = random.Random(9)
    before: list[str] = []
    killed = 0
    for _ in range(60):
        campaign_process = start(tmp_path, 3000)
        wanted = len(before) + rng.randrange(0, 20)  # also moments while it starts and while the first file is made
        while len(finished := lines(tmp_path)) < wanted and campaign_process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.choice((0, 0.001, 0.01, 0.05)))
        finished = lines(tmp_path)
        victims = [children(campaign_process.pid), [campaign_process.pid], [*children(campaign_process.pid), campaign_process.pid]][rng.randrange(3)]
        for victim in victims:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        if campaign_process.pid not in victims:  # it goes on without that child: kill it at some later moment too
            time.sleep(rng.random() / 5)
            campaign_process.kill()
        campaign_process.communicate()
        killed += campaign_process.returncode == -signal.SIGKILL
        after = digests(tmp_path)
        assert set(before) | finished <= set(after) and len(set(after)) == len(after)
        before = after
        if killed == 30:
            break
    assert killed == 30, "the campaign must be long enough to be killed 30 times"
    last = start(tmp_path, 3000)
    out, err = last.communicate()
    assert last.returncode == 0, err
    assert sorted(digests(tmp_path)) == sorted(out.split()), "every probe once, none lost, none twice"
    outcomes = {(r.probe.split()[0], r.outcome) for _, _, results in runfiles.read_runs(tmp_path) for r in results}
    assert outcomes == {("good", "pass"), ("refused", "fail"), ("dies", "crash")}, "a child that was killed is not its probe's fault"


def lines(runs: Path) -> set[str]:
    """Return the digests on all complete lines, read as a bystander would while they are being written."""
    whole = [line for f in runs.glob("*/*.jsonl") for line in f.read_bytes().split(b"\n")[1:-1]]
    return {json.loads(line)["digest"] for line in whole}


def test_a_disk_that_fills_up_stops_a_campaign_in_one_sentence_and_loses_nothing(tmp_path: Path) -> None:
    """A limit on the size of files stands for the full disk: the same call fails in the middle of a line."""

    def limited() -> None:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4000, 4000))

    full = start(tmp_path, 40, preexec_fn=limited, env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"})  # else cut bytecode stays in the environment
    _, err = full.communicate()
    assert full.returncode and "cannot be written" in err and "run again" in err.strip().splitlines()[-1]
    kept = digests(tmp_path)
    assert 0 < len(kept) < 40
    again = start(tmp_path, 40)
    out, err = again.communicate()
    assert again.returncode == 0, err
    assert sorted(digests(tmp_path)) == sorted(out.split()) and digests(tmp_path)[: len(kept)] == kept
