"""Bytes on disk that the README's install of this checkout (no extras, `pip install --no-compile`) adds to an empty virtual environment.

Then what pip's bytecode would add, were it compiled for everything as plain `pip install` does.

python bench/install_size.py        (needs the network; the environment is made in a temporary folder and removed)
Exits 1 over the limit.
"""

import importlib.metadata
import os
import subprocess
import sys
import tempfile
from pathlib import Path

from rich.console import Console
from rich.table import Table

CHECKOUT = Path(__file__).resolve().parents[1]
LIMIT_MB = 160  # 100 for packages, 60 for compat.db with all its versions
SHOWN = 10


def on_disk(path: Path) -> int:
    """Return what a file takes on disk, in bytes: whole blocks where the system tells."""
    found = path.lstat()
    return getattr(found, "st_blocks", 0) * 512 or found.st_size


def total(folder: Path, pattern: str = "*") -> int:
    return sum(on_disk(p) for p in folder.rglob(pattern) if p.is_symlink() or p.is_file())


def packages(site: Path) -> dict[str, int]:
    """Return package and version -> bytes on disk, from each package's own list of files."""
    made = {}
    for found in importlib.metadata.distributions(path=[str(site)]):
        files = {Path(str(f.locate())) for f in found.files or ()}
        made[f"{found.metadata['Name']} {found.version}"] = sum(on_disk(f) for f in files if f.is_file())
    return made


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, "-m", "venv", str(folder / "venv")], check=True)
        python = folder / "venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
        where = "import sysconfig; print(sysconfig.get_path('purelib'))"
        site = Path(subprocess.run([python, "-c", where], capture_output=True, text=True, check=True).stdout.strip())
        before, bytecode_before, had = total(folder / "venv"), total(site, "*.pyc"), packages(site)
        subprocess.run([str(python), "-m", "pip", "install", "--quiet", "--no-compile", "--disable-pip-version-check", str(CHECKOUT)], check=True)
        added = (total(folder / "venv") - before) / 1e6
        sizes = {name: size for name, size in packages(site).items() if name not in had}
        subprocess.run([str(python), "-m", "compileall", "-q", str(site)], stdout=subprocess.DEVNULL)
        bytecode = (total(site, "*.pyc") - bytecode_before) / 1e6
    table = Table(box=None, pad_edge=False)
    table.add_column("package")
    table.add_column("MB on disk", justify="right")
    for name, size in sorted(sizes.items(), key=lambda s: -s[1])[:SHOWN]:
        table.add_row(name, f"{size / 1e6:.1f}")
    Console().print(table)
    verdict = "ok" if added <= LIMIT_MB else "OVER"
    print(f"{len(sizes)} packages add {added:.1f} MB to an empty environment, limit {LIMIT_MB} MB: {verdict}")
    print(f"bytecode of all of them would add {bytecode:.1f} MB")
    return int(added > LIMIT_MB)


if __name__ == "__main__":
    raise SystemExit(main())
