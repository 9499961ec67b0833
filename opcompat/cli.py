"""The command line. Each command is a few lines around one module; heavy imports happen inside."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

app = typer.Typer(add_completion=False, no_args_is_help=True, pretty_exceptions_enable=False, rich_markup_mode=None)

Targets = Annotated[list[str] | None, typer.Option("--target", "-t", help="Target, runtime, alias or glob ('qnn/*'); repeat for several; 'all'.")]
Accept = Annotated[list[str] | None, typer.Option("--accept-licence", help="Runtime whose licence you have read and accept.")]


def fail(text: str) -> NoReturn:
    """Print one sentence on stderr and exit 2."""
    print(f"opcompat: {text}", file=sys.stderr)
    raise SystemExit(2)


@app.command()
def check(
    model: Annotated[Path, typer.Argument(help="ONNX file; external weights are looked for beside it, never read.")],
    target: Targets = None,
    format: Annotated[str, typer.Option("--format", "-f", help="text, json, markdown, html or sarif.")] = "text",
    explain: Annotated[str | None, typer.Option(help="Name or path of one node: tell everything known of it.")] = None,
    fail_on: Annotated[str, typer.Option(help="Verdicts that make the exit code 1, separated by commas: breaks,falls_back,slow,unknown.")] = "breaks",
) -> None:
    """Predict which nodes of a model break on a target. Exit code: 0 none, 1 some, 2 could not check."""
    from opcompat import checker, report
    from opcompat.outcome import VERDICTS

    counted = [v.strip() for v in fail_on.split(",")]
    if wrong := [v for v in counted if v not in VERDICTS]:
        fail(f"--fail-on {wrong[0]!r} is no verdict: choose from {', '.join(VERDICTS)}")
    writers: dict[str, Callable[[Any], str]] = {
        "json": report.to_json, "markdown": report.to_markdown, "html": report.to_html, "sarif": lambda r: report.to_sarif(r, model.as_posix()),
    }  # fmt: skip
    if format not in ("text", *writers):
        fail(f"--format {format!r} is unknown: choose text, {', '.join(writers)}")
    from opcompat.model import open_model

    opened = open_model(model)
    found = checker.check(opened, target or ["all"])
    if explain is not None:
        from opcompat.signature import signature

        about = report.explain(found, explain)
        if not about:
            fail(f"{model} has no node called {explain!r}: names and paths are in --format json")
        node = next(n for n in opened.nodes if n.path == about[0][1].path)
        report.print_explained(about, signature(node))
    elif format == "text":
        report.print_text(found)
    else:
        print(writers[format](found))
    raise SystemExit(int(any(t.counts[v] for t in found.targets for v in counted)))


@app.command()
def fix(
    model: Annotated[Path, typer.Argument(help="ONNX file to repair.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the repaired model.")],
    target: Targets = None,
) -> None:
    """Apply the workarounds that can be applied, and prove that the numbers stay the same."""
    from opcompat import fixer

    for line in fixer.fix(model, out, target or ["all"]):
        print(line)


@app.command()
def targets() -> None:
    """List every target: kind of evidence, version, operators, probes, last run."""
    from rich.console import Console
    from rich.table import Table

    from opcompat.store import Base, database_path

    table = Table(box=None, pad_edge=False)
    for heading in ("target", "evidence", "version", "operators", "probes or claims", "last run", "about"):
        table.add_column(heading)
    with Base(database_path()) as base:
        counts = base.counts()
        for t in sorted(base.targets().values(), key=lambda t: (t.evidence != "measured", t.target)):
            operators, rows = counts.get(t.target, (0, 0))
            table.add_row(t.target, t.evidence, t.newest, str(operators), str(rows), t.last_run[:10], t.about)
    Console().print(table)


@app.command()
def schema() -> None:
    """Print the JSON schema of `check --format json`."""
    from pydantic import TypeAdapter

    from opcompat.checker import Report

    print(json.dumps(TypeAdapter(Report).json_schema(), indent=1))


@app.command()
def env(
    runtimes: Annotated[list[str] | None, typer.Argument(help="Runtimes to install; all for none.")] = None,
    accept_licence: Accept = None,
    list_only: Annotated[bool, typer.Option("--list", help="Only list what would be installed: size and licence.")] = False,
) -> None:
    """Install runtimes, each in an environment of its own."""
    from opcompat import env as environments
    from opcompat.runtimes import all_runtimes

    known = {n: r for n, r in all_runtimes().items() if not r.HIDDEN}
    if unknown := [n for n in runtimes or [] if n not in known]:
        fail(f"unknown runtime {unknown[0]!r}: there are {', '.join(known)}")
    failed = False
    for name in runtimes or list(known):
        runtime = known[name]
        pins = " ".join(f"{k}=={v}" for k, v in runtime.PACKAGES.items())
        state = "installed" if environments.find(runtime) else "not installed"
        print(f"{name}: {pins}, {runtime.SIZE_MB} MB, licence: {runtime.LICENCE or 'open source'}; {state}", flush=True)
        if list_only:
            continue
        try:
            found = environments.install(runtime, accepted=name in (accept_licence or []))
            print(f"  ready: {found.python}")
        except environments.EnvError as error:
            failed = True
            print(f"opcompat: {error}", file=sys.stderr)
    raise SystemExit(2 if failed else 0)


@app.command()
def probe(
    target: Targets = None,
    family: Annotated[list[str] | None, typer.Option(help="Only these probe families.")] = None,
    due: Annotated[bool, typer.Option("--due/--again", help="Only what has no result for the installed version, options and probe; or all.")] = True,
    sample: Annotated[int, typer.Option(help="Only every Nth probe of each family, to try things out.")] = 1,
    jobs: Annotated[int, typer.Option(help="Targets probed side by side.")] = 2,
    timeout: Annotated[float, typer.Option(help="Seconds without an answer that count as a timeout.")] = 60.0,
) -> None:
    """Run probes on installed runtimes and record what happens. Stop it at any time: it goes on from there."""
    from opcompat import probing

    raise SystemExit(probing.main(target or [], family or [], due, sample, jobs, timeout))


@app.command()
def status() -> None:
    """Say what is installed, recorded, stale or unavailable, and why."""
    from opcompat import probing

    probing.status()


@app.command()
def build(out: Annotated[Path | None, typer.Option(help="Where to write it; the compat.db in use for none.")] = None) -> None:
    """Make compat.db from recorded runs, claims and probes: equal input gives equal bytes."""
    from opcompat import probe as probes
    from opcompat import store

    counts = store.build(out or store.database_path(), store.runs_folder(), store.data_folder() / "claims", probes.load())
    print(", ".join(f"{n} {what}" for what, n in counts.items()))


@app.command()
def repro(
    probe: Annotated[str, typer.Argument(help="Probe id, as a report cites it.")],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where to write the model.")] = Path("probe.onnx"),
) -> None:
    """Write the minimal ONNX model of a probe."""
    from opcompat.store import Base, database_path

    with Base(database_path()) as base:
        model = base.model(probe)
    if model is None:
        fail(f"no probe is called {probe!r}: reports and the site show the ids")
    out.write_bytes(model)
    print(out)


@app.command()
def serve(
    port: Annotated[int, typer.Option(help="Port on this machine.")] = 8001,
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
) -> None:
    """Browse compat.db in Datasette, read-only."""
    from opcompat import serving

    serving.main(host, port)


def main() -> None:
    """Run the command line; what a user can mend is one sentence on stderr and exit code 2."""
    try:
        app(standalone_mode=False)
    except SystemExit:
        raise
    except BrokenPipeError:
        sys.stderr.close()
        raise SystemExit(1) from None
    except KeyboardInterrupt:
        print("opcompat: stopped", file=sys.stderr)
        raise SystemExit(130) from None
    except Exception as error:
        sentence = _sentence(error)
        if sentence is None:
            raise
        fail(sentence)


def _sentence(error: Exception) -> str | None:
    """Return the one sentence for the user, or None for a defect of ours, which deserves its traceback."""
    import click

    if isinstance(error, click.exceptions.Abort):
        return "stopped"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if type(error).__module__.startswith("opcompat.") and type(error).__name__.endswith("Error"):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file'}: {error.strerror or error}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed: pip install 'opcompat[probe,site]'"
    return None


if __name__ == "__main__":
    main()
