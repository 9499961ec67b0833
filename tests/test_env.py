"""Which Python an environment is made with, where uv does not find one by itself."""

from pathlib import Path

import pytest
from click.testing import CliRunner

from opcompat import cli, env
from opcompat.runtimes import all_runtimes


def refuse(*arguments: str, text: str = "") -> str:
    raise env.EnvError("No interpreter found")


def test_a_python_that_only_pyenv_has_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    for version in ("3.11.7", "3.12.1"):
        python = tmp_path / "versions" / version / "bin" / "python"
        python.parent.mkdir(parents=True)
        python.touch()
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setattr(env, "_uv", refuse)
    assert env._pyenv("3.12") == str(python)
    assert env._pyenv("3.1") == "" and env._pyenv("3.13") == ""
    monkeypatch.setattr(env, "_uv", lambda *_, **__: "found")
    assert env._pyenv("3.12") == "", "uv needs no help"


def test_a_missing_python_is_told_and_fails_only_what_was_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(env, "_uv", refuse)
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("OPCOMPAT_CACHE", str(tmp_path))
    with pytest.raises(env.NoPython, match=r"tflite .*needs Python 3\.12"):
        env.install(all_runtimes()["tflite"])
    monkeypatch.setenv(env.LICENCE_VARIABLE, "qnn,rknn")
    everything = CliRunner().invoke(cli.app, ["env"])
    assert everything.exit_code == 0 and "needs Python 3.12" in everything.stderr
    assert CliRunner().invoke(cli.app, ["env", "tflite"]).exit_code == 2


def test_overrides_are_part_of_what_an_environment_is() -> None:
    runtime = all_runtimes()["tflite-gpu"]
    other = type(runtime.__name__, (runtime,), {"OVERRIDES": ()})
    assert env.folder(runtime) != env.folder(other)
