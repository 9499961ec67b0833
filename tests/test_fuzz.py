"""Thousands of hostile models: no traceback, no hang, no greed, whatever format the report is in. tests/mutants.py makes and checks them."""

import json
import selectors
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import mutants
import pytest

SECONDS = 10.0
"""Processor time that a command may take: opening the model, checking it, and writing a report."""
LARGE_SECONDS = 20.0
"""The same for the largest models: they keep to SECONDS on the machine of README's figures, and others are slower."""
SILENCE = 240.0
"""Seconds without a word after which a case is said to hang: machines that run tests are busy."""


def lines(process: "subprocess.Popen[bytes]") -> Iterator[dict[str, Any]]:
    """Yield what the process tells; {} where it is silent for too long."""
    assert process.stdout is not None
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        deadline = time.monotonic() + SILENCE
        buffer = b""
        while selector.select(deadline - time.monotonic()):
            chunk = process.stdout.read1(1 << 16)  # type: ignore[attr-defined]
            if not chunk:
                return
            *whole, buffer = (buffer + chunk).split(b"\n")
            for line in whole:
                yield json.loads(line)
            deadline = time.monotonic() + SILENCE
        yield {}


def drive(folder: Path, cases: Sequence[str], source: str = mutants.__file__, seconds: float = SECONDS) -> tuple[dict[str, int], list[str]]:
    """Run cases in one process of their own; return how many ended how, and a sentence for each that ended badly."""
    with (folder / "words").open("wb") as words:
        process = subprocess.Popen([sys.executable, source, str(folder), *cases], stdout=subprocess.PIPE, stderr=words)
    counts: dict[str, int] = {}
    bad = []
    case = ""
    with process:
        for told in lines(process):
            if not told:
                bad.append(f"{case}: silent for {SILENCE:g} s")
                process.kill()
            elif "case" in told:
                case = told["case"]
            else:
                counts[told["end"]] = counts.get(told["end"], 0) + 1
                if told["end"] not in ("checked", "refused"):
                    bad.append(f"{case}: {told['end']}")
                elif told["seconds"] > seconds:
                    bad.append(f"{case}: took {told['seconds']} s")
                elif told["peak_mb"] << 20 > mutants.MEMORY_BYTES:
                    bad.append(f"{case}: took {told['peak_mb']} MB")
                case = ""
    if process.returncode and not bad:
        bad.append(f"{case}: exit status {process.returncode}: {(folder / 'words').read_text()[-500:]}")
    return counts, bad


def test_mutated_models(tmp_path: Path) -> None:
    counts, bad = drive(tmp_path, ["0-250"])
    assert not bad and sum(counts.values()) == 250, "\n".join(bad)
    assert min(counts["checked"], counts["refused"]) > 50, "the mutants must be neither all valid nor all broken"


@pytest.mark.heavy
@pytest.mark.parametrize("first", range(250, 6250, 1000))
def test_thousands_of_mutated_models(tmp_path: Path, first: int) -> None:
    counts, bad = drive(tmp_path, [f"{first}-{first + 1000}"])
    assert not bad and sum(counts.values()) == 1000, "\n".join(bad)


def test_models_made_to_hurt(tmp_path: Path) -> None:
    counts, bad = drive(tmp_path, list(mutants.SMALL))
    assert not bad and sum(counts.values()) == len(mutants.SMALL), "\n".join(bad)


@pytest.mark.heavy
@pytest.mark.parametrize("case", mutants.LARGE)
def test_large_models_made_to_hurt(tmp_path: Path, case: str) -> None:
    counts, bad = drive(tmp_path, [case], seconds=LARGE_SECONDS)
    assert not bad and sum(counts.values()) == 1, "\n".join(bad)
    assert ("refused" in counts) == (case in ("100,000 different operators", "30,000 different Convs"))


@pytest.mark.parametrize(
    ("act", "word"),
    [("time.sleep(60)", "silent"), ("os.abort()", "exit status"), ("1 / 0", "ZeroDivisionError"), ("bytearray(3 << 30)", "MemoryError")],
)
def test_the_watch_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, act: str, word: str) -> None:
    """A case that hangs, dies, fails or is greedy is caught and named."""
    monkeypatch.setattr(sys.modules[__name__], "SILENCE", 20.0)
    source = tmp_path / "bad.py"
    source.write_text(
        f"import os, sys, time; from pathlib import Path; sys.path.insert(0, {str(Path(__file__).parent)!r}); import mutants\n"
        f"mutants.SMALL['bad one'] = lambda: b''\nmutants.sources = list\ndef look(*_):\n    {act}\nmutants.look = look\n"
        "mutants.main(Path(sys.argv[1]), sys.argv[2:])\n"
    )
    _, (told,) = drive(tmp_path, ["bad one"], str(source))
    assert told.startswith("bad one: ") and word in told
