"""What is due: exactly what a changed version, option, driver or probe makes stale."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from conftest import result

from opcompat import campaign, store
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
    with store.RunWriter(Run("fake/cpu", "1.0", {}, options, {}, "0", "2026-01-01T00:00:00"), tmp_path) as writer:
        writer.write(result(first))
        writer.write(result(second, "broken"))
    assert due([first, second, third]) == [third.id]
    assert due([first, second], PACKAGES={"demo": "1.1"}) == [first.id, second.id]
    assert due([first, second], REVISION=2) == [first.id, second.id]
    assert due([first, second], TARGETS={"fake/cpu": {"precision": "float16"}}) == [first.id, second.id]
    assert due([replace(first, focus=None, pattern="other"), second]) == [first.id], "the same model about something else"
