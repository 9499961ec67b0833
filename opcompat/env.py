"""One environment per runtime version, made with uv in the user's cache folder. https://docs.astral.sh/uv/"""

import contextlib
import hashlib
import json
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import platformdirs

from opcompat.runtimes import version

LICENCE_VARIABLE = "OPCOMPAT_ACCEPT_LICENCE"
"""Names of runtimes whose licence the user has accepted, separated by commas."""


class EnvError(Exception):
    """An environment cannot be had; the text is one sentence with the reason."""


class NoPython(EnvError):
    """This machine has no Python of the version that the SDK needs, and none can be had."""


@dataclass(frozen=True)
class Environment:
    """An installed environment: its Python and exactly what is in it."""

    python: Path
    packages: dict[str, str]


def cache() -> Path:
    """Return the folder for environments, reference outputs and scratch files; $OPCOMPAT_CACHE overrides it."""
    return Path(os.environ.get("OPCOMPAT_CACHE") or platformdirs.user_cache_dir("opcompat"))


def folder(runtime: Any) -> Path:
    """Return where a runtime's environment lives; a changed pin gives another folder."""
    asked = ",".join([*sorted(pins(runtime)), *getattr(runtime, "OVERRIDES", ())])
    return cache() / "envs" / f"{runtime.NAME}-{version(runtime) or 'none'}-{hashlib.sha256((asked + runtime.PYTHON).encode()).hexdigest()[:8]}"


def pins(runtime: Any) -> list[str]:
    """Return what is asked for, npm's packages in npm's way: name@version."""
    return [f"{k}=={v}" for k, v in runtime.PACKAGES.items()] + [f"{k}@{v}" for k, v in getattr(runtime, "NPM", {}).items()]


def find(runtime: Any) -> Environment | None:
    """Return the environment if it is installed; a runtime without packages uses the Python that runs opcompat."""
    if not runtime.PACKAGES and not getattr(runtime, "NPM", {}):
        return Environment(Path(sys.executable), {})
    try:
        marker = json.loads((folder(runtime) / "installed.json").read_text())
        python = folder(runtime) / marker["python"]
        return Environment(python, dict(marker["packages"])) if python.exists() else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def install(runtime: Any, accepted: bool = False) -> Environment:
    """Make the environment unless it is there. Raises EnvError with one sentence where that cannot be done."""
    if (found := find(runtime)) is not None:
        return found
    names = os.environ.get(LICENCE_VARIABLE, "").replace(" ", "").split(",")
    if runtime.LICENCE and not accepted and runtime.NAME not in names:
        raise EnvError(f"{runtime.NAME} is under the {runtime.LICENCE}: read it, then repeat with --accept-licence {runtime.NAME}")
    where = folder(runtime)
    building = where.with_name(f"{where.name}.{os.getpid()}")
    npm, alone = getattr(runtime, "NPM", {}), getattr(runtime, "NO_DEPS", ())
    python = Path("Scripts/python.exe") if os.name == "nt" else Path("bin/python")
    try:
        shutil.rmtree(where, ignore_errors=True)
        where.parent.mkdir(parents=True, exist_ok=True)
        # made in its final place: the scripts of an environment carry its path
        _venv(runtime.PYTHON, where)
        overrides = where / "overrides.txt"
        overrides.write_text("\n".join(getattr(runtime, "OVERRIDES", ())))
        into = ("pip", "install", "--compile-bytecode", "--python", str(where / python), *_find_links())
        if asked := [f"{k}=={v}" for k, v in runtime.PACKAGES.items() if k not in alone]:
            _uv(*into, "--overrides", str(overrides), *asked)
        if alone:
            _uv(*into, "--no-deps", *(f"{k}=={runtime.PACKAGES[k]}" for k in alone))
        if npm:
            _npm("install", "--prefix", str(where / "node"), *(f"{k}@{v}" for k, v in npm.items()))
        listed = json.loads(_uv("pip", "list", "--python", str(where / python), "--format", "json"))
    except EnvError as error:
        shutil.rmtree(where, ignore_errors=True)
        needs = f" (it needs {runtime.NEEDS})" if runtime.NEEDS else ""
        raise type(error)(f"{runtime.NAME} ({', '.join(pins(runtime))}) cannot be installed here{needs}: {error}") from None
    except OSError as error:
        raise EnvError(f"{runtime.NAME} cannot be installed in {where.parent}: {error.strerror}") from None
    packages = {**{p["name"]: p["version"] for p in listed}, **npm}
    building.write_text(json.dumps({"python": str(python), "packages": packages}, indent=1))
    building.replace(where / "installed.json")
    return Environment(where / python, packages)


def latest(runtime: Any) -> Any:
    """Return the runtime as a class of the newest versions the package indexes offer, or itself if that is it. Raises EnvError."""
    newest: dict[str, Any] = {"PACKAGES": dict(runtime.PACKAGES), "NPM": {}, "__module__": runtime.__module__}
    if runtime.PACKAGES:
        asked = "\n".join(runtime.PACKAGES)
        python = ("--python-version", runtime.PYTHON) if runtime.PYTHON else ()
        listed = _uv("pip", "compile", "--no-deps", "--no-header", "--no-annotate", *python, "-", text=asked)
        packages = dict(line.strip().split("==") for line in listed.splitlines() if "==" in line)
        newest["PACKAGES"].update((name, packages[name]) for name in runtime.PACKAGES if name in packages)
    for name in getattr(runtime, "NPM", {}):
        newest["NPM"][name] = _npm("view", name, "version").strip()
    made = type(runtime.__name__, (runtime,), newest)
    return runtime if version(made) == version(runtime) else made


def _venv(version: str, where: Path) -> None:
    """Make an environment with that Python ("": the one that runs this). Raises NoPython."""
    if not version:
        _uv("venv", "--python", sys.executable, str(where))
        return
    try:
        _uv("venv", "--python", _pyenv(version) or version, str(where))
    except EnvError as error:
        raise NoPython(f"it needs Python {version}, which is not here: {error}") from None


def _pyenv(version: str) -> str:
    """Return the Python of that version that only pyenv has, among whose versions uv does not look; "" where uv needs no help."""
    with contextlib.suppress(EnvError):
        _uv("python", "find", "--system", "--no-python-downloads", version)
        return ""
    kept = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return next((str(python) for python in sorted(kept.glob(f"{version}.*/bin/python"), reverse=True)), "")


def _find_links() -> list[str]:
    """Return where pip is told to look for wheels, as arguments for uv, which does not read pip's settings."""
    done = subprocess.run([sys.executable, "-m", "pip", "config", "get", "global.find-links"], capture_output=True, text=True)
    return [word for place in done.stdout.split() for word in ("--find-links", place)]


def _npm(*arguments: str) -> str:
    binary = shutil.which("npm")
    if binary is None:
        raise EnvError("npm is missing: install Node.js")
    return _run([binary, *arguments, "--no-fund", "--no-audit", "--no-update-notifier"])


def _uv(*arguments: str, text: str = "") -> str:
    binary = shutil.which("uv")
    with contextlib.suppress(ImportError, FileNotFoundError):
        import uv

        binary = uv.find_uv_bin()
    if binary is None:
        raise EnvError("uv is missing: pip install 'opcompat[probe]'")
    return _run([binary, *arguments], text)


def _run(command: list[str], text: str = "") -> str:
    environment = {k: v for k, v in os.environ.items() if k not in ("VIRTUAL_ENV", "PYTHONPATH", "PYTHONHOME")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, input=text)
    if done.returncode:
        lines = [line.strip() for line in done.stderr.splitlines() if line.strip()]
        raise EnvError(" ".join(lines[-3:])[:400] or f"{Path(command[0]).name} {command[1]} failed")
    return done.stdout
