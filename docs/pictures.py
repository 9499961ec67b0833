"""Make the README's pictures from the real thing: a check in a terminal (SVG), and the site's start page in headless Chromium (PNG).

python docs/pictures.py [CHROMIUM]
"""

import io
import os
import subprocess
import sys
from pathlib import Path

from playwright.sync_api import sync_playwright
from rich.console import Console
from rich.text import Text

HERE = Path(__file__).parent
COMMAND = ["opcompat", "check", "examples/detector.onnx", "--target", "snpe"]
WIDTH = 118
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking", "--disable-component-update"]


def terminal() -> None:
    """Write check.svg: the command and what it prints, colours included."""
    environment = {**os.environ, "COLUMNS": str(WIDTH), "FORCE_COLOR": "1", "TERM": "xterm-256color"}
    said = subprocess.run(
        [sys.executable, "-m", "opcompat.cli", *COMMAND[1:]], capture_output=True, text=True, cwd=HERE.parent, env=environment
    ).stdout
    console = Console(record=True, width=WIDTH, file=io.StringIO(), color_system="truecolor", force_terminal=True)
    console.print(Text("$ " + " ".join(COMMAND), "bold"))
    console.print(Text.from_ansi(said))
    (HERE / "check.svg").write_text(console.export_svg(title="opcompat"))


def site(chromium: str) -> None:
    """Write site.png: the start page at 1280 x 800."""
    server = subprocess.Popen([sys.executable, "-m", "opcompat.cli", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True, cwd=HERE.parent)
    assert server.stdout is not None
    address = next(word for line in server.stdout for word in line.split() if word.startswith("http"))
    try:
        with sync_playwright() as play:
            browser = play.chromium.launch(executable_path=chromium, args=FLAGS)
            page = browser.new_page(viewport={"width": 1280, "height": 800})
            page.goto(address)
            page.screenshot(path=str(HERE / "site.png"))
            browser.close()
    finally:
        server.terminate()


if __name__ == "__main__":
    terminal()
    site(sys.argv[1] if len(sys.argv) > 1 else "/usr/bin/chromium")
