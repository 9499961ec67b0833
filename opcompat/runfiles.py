"""Where recorded data lies, and run files: append-only, the truth.

A run file is JSON lines: a header with the circumstances, then one result a line, each written with a single append, so that a killed
campaign loses at most the line it was writing.
"""

import gzip
import json
import os
import platform
import re
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from opcompat.outcome import Outcome, Result, Run

MAX_RUN_FILE_BYTES = 200 << 20


class StoreError(Exception):
    """Recorded data cannot be used; the text is one sentence for the user."""


# ---- where things lie ----------------------------------------------------------------------------------------------------------------


def data_folder() -> Path:
    """Return the folder of recorded data: inside the installed package, or beside it in a checkout."""
    here = Path(__file__).parent
    return here.parent / "data" if is_checkout() else here / "_data"


def is_checkout() -> bool:
    """Say whether this is a checkout, which holds all recorded runs and claims, and not an installed package, which holds their product only."""
    return not (Path(__file__).parent / "_data").is_dir()


def database_path() -> Path:
    """Return the compat.db in use; $OPCOMPAT_DB overrides the one that ships with the package."""
    return Path(os.environ.get("OPCOMPAT_DB") or data_folder() / "compat.db")


def runs_folder() -> Path:
    """Return where new runs are written: data/runs of a checkout, else a folder of the user's; $OPCOMPAT_RUNS overrides both."""
    if chosen := os.environ.get("OPCOMPAT_RUNS"):
        return Path(chosen)
    if is_checkout():
        return data_folder() / "runs"
    import platformdirs

    return Path(platformdirs.user_data_dir("opcompat")) / "runs"


def timings_folder(runs: Path) -> Path:
    """Return where timings are recorded, beside the targets' own folders: their lines have more than results."""
    return runs / "timings"


def contributed_folder(runs: Path) -> Path:
    """Return where results of other people's machines are kept, apart from our own."""
    return runs / "contributed"


@contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Yield a file to write that becomes `out` when all went well; an older `out` is kept otherwise. Raises StoreError where the disk refuses it."""
    if out.exists() and not out.is_file():
        raise StoreError(f"{out} is not a regular file: choose another place to write to")
    part = out.with_name(f"{out.name}.{os.getpid()}.part")
    try:
        yield part
        part.replace(out)
    except OSError as error:
        raise StoreError(f"{out} cannot be written: {error.strerror}") from None
    finally:
        with suppress(OSError):
            part.unlink(missing_ok=True)


# ---- run files -----------------------------------------------------------------------------------------------------------------------


def host() -> dict[str, Any]:
    """Describe this machine as far as it may decide a result: OS, architecture, CPU model and the vector extensions it has."""
    flags: list[str] = []
    model = platform.processor()
    try:
        text = Path("/proc/cpuinfo").read_text()
        if found := re.search(r"^model name\s*:\s*(.*)$", text, re.M):
            model = found[1]
        if found := re.search(r"^flags\s*:\s*(.*)$", text, re.M):
            flags = sorted(f for f in found[1].split() if f.startswith(("avx", "amx", "fma", "sse4", "vnni")))
    except OSError:
        pass
    system = platform.system()
    if system == "Linux":
        with suppress(OSError):
            system = platform.freedesktop_os_release()["PRETTY_NAME"]
        system += ", " + " ".join(platform.libc_ver())
    return {"os": system, "arch": platform.machine(), "cpu": model, "flags": " ".join(flags), "threads": 1}


def line_of(body: Mapping[str, Any] | Result) -> bytes:
    """Return a line of a run file; of a result, what is not empty or as usual."""
    if isinstance(body, Result):
        body = {k: v for k, v in asdict(body).items() if v not in (None, "", (), {}) and (k not in ("attempts", "agreeing") or v != 1)}
    return (json.dumps(body, separators=(",", ":")) + "\n").encode()


def _subfolder(target: str) -> str:
    return target.replace("/", "_")


class RunWriter:
    """Appends results to a new run file, made when the first result arrives."""

    def __init__(self, run: Run, folder: Path):
        stamp = re.sub(r"[^0-9T]", "", run.started)
        self.path = folder / _subfolder(run.target) / f"{run.version}_{stamp}_{os.getpid()}_{time.monotonic_ns():x}.jsonl"
        self.run, self.descriptor = run, -1

    def write(self, result: Result) -> None:
        """Append one result. Raises StoreError where the disk refuses it."""
        try:
            if self.descriptor < 0:
                self.path.parent.mkdir(parents=True, exist_ok=True)
                self.descriptor = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL, 0o644)
                self._line({"run": asdict(self.run)})
            self._line(result)
        except OSError as error:
            raise StoreError(f"{self.path} cannot be written ({error.strerror}): results up to here are kept, free the disk and run again") from None

    def _line(self, body: Mapping[str, Any] | Result) -> None:
        data = line_of(body)
        if os.write(self.descriptor, data) != len(data):
            raise OSError(28, "disk full")

    def close(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)
            self.descriptor = -1

    def pack(self) -> None:
        """Compress a file that is complete; a torn or unpacked file is read as well."""
        self.close()
        if self.path.exists():
            packed = self.path.with_name(self.path.name + ".gz")
            with replacing(packed) as part:
                part.write_bytes(gzip.compress(self.path.read_bytes(), mtime=0))
            self.path.unlink()

    def __enter__(self) -> "RunWriter":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_run(path: Path, kind: type[Result] = Result) -> tuple[Run, list[Result]] | None:
    """Return a run file's header and results; a torn last line is left out. Raises StoreError naming file and line where it is not valid."""
    from pydantic import TypeAdapter, ValidationError

    packed = path.with_name(f"{path.name}.gz")
    if not path.exists() and packed.exists():  # meanwhile, by the campaign that wrote it
        path = packed
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_RUN_FILE_BYTES + 1)
    except (OSError, EOFError, zlib.error) as error:
        raise StoreError(f"{path} cannot be read: {error}") from None
    if len(data) > MAX_RUN_FILE_BYTES:
        raise StoreError(f"{path} is larger than {MAX_RUN_FILE_BYTES >> 20} MB: no run file is")
    lines = data.split(b"\n")
    torn = lines.pop()
    if not lines:
        return None
    number = 1
    try:
        head = TypeAdapter(dict[str, Run]).validate_json(lines[0])
        adapter = TypeAdapter(kind)
        results = []
        for line in lines[1:]:
            number += 1
            results.append(adapter.validate_json(line))
        return head["run"], results
    except (ValidationError, KeyError, ValueError) as error:
        first = str(error).splitlines()[0] if not isinstance(error, ValidationError) else error.errors()[0]["msg"]
        raise StoreError(
            f"{path}, line {number}: not a valid {'result' if number > 1 else 'run header'} ({first}){' and torn' if torn else ''}"
        ) from None


def read_runs(folder: Path, kind: type[Result] = Result, targets: Iterable[str] | None = None) -> Iterator[tuple[Path, Run, list[Result]]]:
    """Yield every run of a folder (or of those targets), oldest first."""
    found = []
    wanted = ["*"] if targets is None else [_subfolder(t) for t in targets]
    packed = {p for name in wanted for p in folder.glob(f"{name}/*.jsonl.gz")}
    loose = {
        p for name in wanted for p in folder.glob(f"{name}/*.jsonl") if p.with_name(f"{p.name}.gz") not in packed
    }  # killed between packing one and removing it
    for path in sorted(packed | loose):
        if (read := read_run(path, kind)) is not None:
            found.append((read[0].started, path.name, path, *read))
    for _, _, path, run, results in sorted(found, key=lambda f: f[:2]):
        yield path, run, results


def options_key(options: Mapping[str, Any]) -> str:
    return json.dumps(options, sort_keys=True)


def recorded(folder: Path, targets: Iterable[str]) -> dict[tuple[str, str, str], dict[str, Outcome]]:
    """Return (target, version, options) -> digest -> outcome of the probes of these targets that have a final result there."""
    done: dict[tuple[str, str, str], dict[str, Outcome]] = {}
    for _, run, results in read_runs(folder, targets=targets):
        keys = done.setdefault((run.target, run.version, options_key(run.options)), {})
        keys.update({r.digest: r.outcome for r in results if r.outcome != "unavailable"})
    return done


def version_order(version: str) -> tuple[Any, str]:
    """Sort key for version strings; what is no version comes first."""
    from packaging.version import InvalidVersion, Version

    try:
        return Version(version), version
    except InvalidVersion:
        return Version("0"), version
