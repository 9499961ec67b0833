"""The installed package stands alone: no checkout, no extras, no network."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
pytestmark = pytest.mark.runtimes


def test_a_wheel_checks_a_model(tmp_path: Path) -> None:
    venv = tmp_path / "venv"
    subprocess.run([sys.executable, "-m", "venv", str(venv)], check=True)
    command = [venv / "bin" / "pip", "install", "-q", "--no-compile", "-c", ROOT / "constraints.txt", str(ROOT)]
    subprocess.run([str(c) for c in command], check=True)

    def run(*arguments: str) -> "subprocess.CompletedProcess[str]":
        return subprocess.run([str(venv / "bin" / "opcompat"), *arguments], capture_output=True, text=True, cwd=tmp_path)

    done = run("check", str(ROOT / "examples" / "detector.onnx"), "--target", "snpe", "-f", "json")
    assert done.returncode in (0, 1) and not done.stderr
    assert [t["target"] for t in json.loads(done.stdout)["targets"]] == ["snpe/cpu", "snpe/dsp", "snpe/gpu", "snpe/htp"]
    for arguments in (("build",), ("serve",)):
        refused = run(*arguments)
        assert refused.returncode == 2 and refused.stderr.startswith("opcompat: ") and refused.stderr.count("\n") == 1, refused.stderr
    assert run("schema").returncode == run("targets").returncode == run("--help").returncode == 0
