"""Full disks, read-only folders, no network: one sentence, exit code 2, and what was there before is still there."""

import os
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path

import onnx
import pytest
from conftest import conv_model
from test_campaign import digests, start

from opcompat import runfiles

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(params=["full", "read-only"])
def bad_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A folder with a file `kept` in it, on a file system of its own that takes no more. Root may write anywhere else, so permissions do not do."""
    folder = tmp_path / "disk"
    folder.mkdir()

    def mount(*arguments: str) -> bool:
        try:
            return subprocess.run(["mount", *arguments, "none", str(folder)], capture_output=True).returncode == 0
        except OSError:
            return False

    if not mount("-t", "tmpfs", "-o", "size=16k"):
        pytest.skip("needs the right to mount a file system")
    try:
        (folder / "kept").write_text("kept")
        if request.param == "read-only":
            assert mount("-o", "remount,ro")
        else:
            with (folder / "filler").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
                while True:
                    file.write(b"x" * 4096)
        yield folder
        assert (folder / "kept").read_text() == "kept"
        assert {p.name for p in folder.iterdir()} <= {"kept", "filler", "folder", "fake_cpu"}, "nothing half-written stays"
    finally:
        subprocess.run(["umount", str(folder)], check=True)


@pytest.fixture
def run(small_base: Path, tmp_path: Path) -> Run:
    def call(*arguments: object, stdout: int = subprocess.PIPE, **more: object) -> "subprocess.CompletedProcess[str]":
        env = {**os.environ, "OPCOMPAT_DB": str(small_base), "HOME": str(tmp_path), **{k: str(v) for k, v in more.items()}}
        command = [sys.executable, "-m", "opcompat.cli", *map(str, arguments)]
        return subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, text=True, env=env)

    return call


def one_sentence(done: "subprocess.CompletedProcess[str]") -> str:
    assert done.returncode == 2, done.stderr
    assert done.stderr.startswith("opcompat: ") and done.stderr.count("\n") == 1
    return done.stderr


def test_repro_and_build(run: Run, bad_disk: Path) -> None:
    for out in ("kept", "new.onnx"):
        assert str(bad_disk / out) in one_sentence(run("repro", "conv/Conv:base", "--out", bad_disk / out))
    runs = bad_disk.parent / "runs"
    runs.mkdir()
    for out in ("kept", "new.db"):
        assert str(bad_disk) in one_sentence(run("build", "--out", bad_disk / out, OPCOMPAT_RUNS=runs))


def test_fix_keeps_the_older_file(bad_disk: Path) -> None:
    from opcompat import fixer

    for out in ("kept", "new.onnx"):
        with pytest.raises(runfiles.StoreError, match="cannot be written"):
            fixer._save(conv_model(), bad_disk / out)


def test_env(run: Run, bad_disk: Path) -> None:
    assert "cannot be installed" in one_sentence(run("env", "opencv", OPCOMPAT_CACHE=bad_disk / "folder"))


def test_a_campaign(bad_disk: Path) -> None:
    """Its results go to the disk in question; the error is what the command line prints as its sentence."""
    _, error = (campaign := start(bad_disk, 20)).communicate()
    assert campaign.returncode and "StoreError" in error.splitlines()[-1] and "run again" in error.splitlines()[-1]
    assert not digests(bad_disk)


def test_check_writes_nothing(run: Run, bad_disk: Path, model: Path) -> None:
    done = run("check", model, "-t", "demo/npu", HOME=bad_disk, TMPDIR=bad_disk, OPCOMPAT_CACHE=bad_disk / "folder")
    assert done.returncode == 0 and not done.stderr


def test_the_site_needs_no_disk(small_base: Path, bad_disk: Path) -> None:
    folders = {name: str(bad_disk) for name in ("HOME", "TMPDIR", "SQLITE_TMPDIR", "OPCOMPAT_CACHE")}
    command = [sys.executable, "-m", "opcompat.cli", "serve", "--port", "0"]
    environment = {**os.environ, **folders, "OPCOMPAT_DB": str(small_base)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as site:
        assert site.stdout is not None and site.stderr is not None
        try:
            address = site.stdout.readline().split(" on ")[1].split()[0]
            for page in ("", "changes", "search?q=conv", "operator/ai.onnx/Conv", "compat/results?_sort=outcome"):
                with urllib.request.urlopen(address + page, timeout=30) as answer:
                    assert answer.status == 200 and b"<html" in answer.read()
        finally:
            site.kill()
        assert not site.stderr.read()


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize("arguments", [["check", "MODEL", "-f", "json"], ["check", "MODEL"], ["targets"], ["schema"], ["repro", "conv/Conv:base"]])
def test_output_that_cannot_be_written(run: Run, model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: list[str]) -> None:
    monkeypatch.chdir(tmp_path)
    with Path("/dev/full").open("w") as full:
        assert "No space left" in one_sentence(run(*[model if a == "MODEL" else a for a in arguments], stdout=full.fileno()))


def test_below_a_file_there_is_no_folder(run: Run, model: Path) -> None:
    for arguments in (["repro", "conv/Conv:base", "--out", model / "x"], ["build", "--out", model / "x" / "compat.db"]):
        assert str(model) in one_sentence(run(*arguments, OPCOMPAT_RUNS=model.parent / "none"))
    assert onnx.load(model).graph.node


def test_no_network(run: Run, tmp_path: Path) -> None:
    nowhere = "http://127.0.0.1:9/simple"
    names = ("UV_DEFAULT_INDEX", "UV_INDEX_URL", "PIP_INDEX_URL")
    more = dict.fromkeys(names, nowhere) | {"UV_HTTP_RETRIES": "0", "UV_NO_CACHE": "1", "OPCOMPAT_CACHE": str(tmp_path / "cache")}
    assert "cannot be installed" in one_sentence(run("env", "opencv", **more))
    assert not list((tmp_path / "cache" / "envs").iterdir())
