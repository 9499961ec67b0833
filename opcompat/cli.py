"""The command line. Each command is a few lines around one module; heavy imports happen inside, so that `check` starts fast."""

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import click

FILE = click.Path(path_type=Path)  # existence is judged by the module that opens it, which knows what to say


def fail(text: str) -> NoReturn:
    """Print one sentence on stderr and exit 2."""
    print(f"opcompat: {text}", file=sys.stderr)
    raise SystemExit(2)


def waiting(what: str) -> Any:
    """Return a context that shows a spinner on stderr while something takes its time."""
    from rich.console import Console

    return Console(stderr=True).status(what)


def paper() -> Any:
    """Return the console for tables on stdout: as wide as the terminal, and wide enough for any table where it is none."""
    from rich.console import Console

    return Console(highlight=False, width=None if sys.stdout.isatty() or "COLUMNS" in os.environ else 160)


def target_option(function: Callable[..., Any]) -> Callable[..., Any]:
    text = "Target, runtime, alias or glob ('qnn/*'); repeat for several."
    return click.option("--target", "-t", "targets", multiple=True, metavar="TARGET", help=text)(function)


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="opcompat")
def app() -> None:
    """Which nodes of your ONNX model will break on which runtime, and why."""


def _dims(texts: tuple[str, ...]) -> dict[str, int]:
    made = {}
    for text in texts:
        name, _, size = text.rpartition("=")
        if not name or not size.isdecimal():
            fail(f"--dim {text!r} is not NAME=SIZE, as in --dim N=1")
        made[name] = int(size)
    return made


@app.command()
@click.argument("model", type=FILE)
@target_option
@click.option("--format", "-f", "style", default="text", show_default=True, metavar="FORMAT", help="text, json, markdown, html or sarif.")
@click.option("--explain", metavar="NODE", help="Name or path of one node: tell everything known of it.")
@click.option("--dim", "dims", multiple=True, metavar="NAME=SIZE", help="Fix a named dynamic dimension, as in N=1; repeat for several.")
@click.option("--fail-on", default="breaks", show_default=True, metavar="VERDICTS", help="Verdicts that make the exit code 1, separated by commas.")
def check(model: Path, targets: tuple[str, ...], style: str, explain: str | None, dims: tuple[str, ...], fail_on: str) -> None:
    """Predict which nodes of MODEL (an ONNX file) break on a target; on all of them if none is given.

    Exit code: 0 nothing breaks, 1 something breaks (--fail-on chooses what counts), 2 could not check.
    """
    import gc

    from opcompat import checker, report
    from opcompat.model import open_model
    from opcompat.outcome import VERDICTS

    gc.disable()  # this process ends with its answer, and looking for garbage between opening and checking takes a tenth of the time

    counted = [v.strip() for v in fail_on.split(",")]
    if wrong := [v for v in counted if v not in VERDICTS]:
        fail(f"--fail-on {wrong[0]!r} is no verdict: choose from {', '.join(VERDICTS)}")
    writers: dict[str, Callable[[Any], Iterable[str]]] = {
        "json": report.json_pieces, "markdown": lambda r: [report.to_markdown(r)], "html": lambda r: [report.to_html(r)],
        "sarif": lambda r: report.sarif_pieces(r, model.as_posix()),
    }  # fmt: skip
    if style not in ("text", *writers):
        fail(f"--format {style!r} is unknown: choose text, {', '.join(writers)}")
    opened = open_model(model, _dims(dims))
    found = checker.check(opened, targets or ["all"])
    if explain is not None:
        from opcompat.signature import signature

        node = next((n for n in opened.nodes if explain in (n.path, n.proto.name)), None)
        if node is None:
            fail(f"{model} has no node called {explain!r}: paths are in --format json")
        report.print_explained(node.path, [(t.target, t.by_node()[node.path]) for t in found.targets], signature(node))
    elif style == "text":
        report.print_text(found)
    else:
        sys.stdout.writelines(writers[style](found))
        print()
    raise SystemExit(int(any(t.counts[v] for t in found.targets for v in counted)))


@app.command()
@click.argument("model", type=FILE)
@click.option("--out", "-o", type=FILE, required=True, help="Where to write the repaired model.")
@target_option
def fix(model: Path, out: Path, targets: tuple[str, ...]) -> None:
    """Apply the workarounds that can be applied to MODEL, and prove that the numbers stay the same."""
    from opcompat import fixer

    with waiting("repairing and comparing numbers"):
        lines = list(fixer.fix(model, out, targets or ["all"]))
    print("\n".join(lines))


@app.command()
@click.argument("names", nargs=-1)
def targets(names: tuple[str, ...]) -> None:
    """List every target: kinds of evidence, versions, operators, probes, last run. NAMES (as for check -t) tell all that is known of those."""
    from typing import get_args

    from rich.table import Table

    from opcompat import checker
    from opcompat.runfiles import database_path
    from opcompat.store import Base

    console, order = paper(), get_args(checker.Kind)
    headings = ["target", "newest", "versions", "operators", "probes", "statements", "evidence", "last"]
    narrow = console.width < 124  # there kinds of evidence give way, never a number: one that is cut would mislead
    widths = {"target": 24, "newest": 11, "vers.": 5, "ops": 4, "probes": 6, "stated": 6} if narrow else {}
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0) if narrow else (0, 2, 0, 0))
    for heading, shown in zip(headings, [*widths, "evidence"] if narrow else headings, strict=False):
        number = heading in headings[2:6]
        table.add_column(shown, justify="right" if number else "left", no_wrap=True, min_width=widths.get(shown), max_width=widths.get(shown))
    with Base(database_path()) as base:
        counts, versions, known, opsets = base.counts(), base.versions(), base.targets(), base.newest_opsets()
        chosen = {name.partition("@")[0] for name in checker.resolve(names, known)} if names else known.keys()
        for t in sorted((known[n] for n in chosen), key=lambda t: (order.index(t.evidence), t.target)):
            operators, *numbers = counts.get(t.target, (0, 0, 0))
            numbered = versions.get(t.target) or [d.version for d in reversed(t.documents) if d.evidence == t.evidence]
            kinds = dict.fromkeys([t.evidence, *(d.evidence for d in t.documents)])
            cells = [t.newest, str(len(numbered)), str(operators), *(str(n or "") for n in numbers), "+".join(kinds), t.last_run[:10]]
            if not names:
                table.add_row(t.target, *cells[: len(table.columns) - 1])
                continue
            console.print(t.target, style="bold", markup=False)
            about = {"about": t.about, "also called": ", ".join(t.aliases), **dict(zip(headings[1:], cells, strict=True))}
            about |= {"versions": ", ".join(numbered), "goes through": t.requires or "", "related": ", ".join(t.related)}
            about |= {"newest opset": str(opsets[t.target][0]) if t.target in opsets else ""}
            about |= {"a probe takes": f"{ms:.3g} ms in the median" if (ms := base.probe_ms(t.target)) else ""}
            about |= {f"{d.evidence} by": d.source for d in t.documents if d.current}
            for key, value in about.items():
                if value:
                    console.print(f"  {key}: {value}", markup=False)
    if not names:
        console.print(table)


@app.command()
def schema() -> None:
    """Print the JSON schema of `check --format json`."""
    print(Path(__file__).with_name("report.schema.json").read_text(), end="")


@app.command()
@click.argument("runtimes", nargs=-1)
@click.option("--accept-licence", multiple=True, metavar="RUNTIME", help="Runtime whose licence you have read and accept.")
@click.option("--list", "list_only", is_flag=True, help="Only list what would be installed: size and licence.")
def env(runtimes: tuple[str, ...], accept_licence: tuple[str, ...], list_only: bool) -> None:
    """Install RUNTIMES, each in an environment of its own; ort@1.20.1 is an older version, ort@* every version.

    Without names all are installed but those for hardware that few have; then one whose Python this machine lacks is told and is no error.
    """
    from fnmatch import fnmatchcase

    from opcompat import env as environments
    from opcompat.runtimes import all_runtimes, releases

    known = {n: r for n, r in all_runtimes().items() if not r.HIDDEN}
    chosen = []
    for wanted in runtimes or (n for n, r in known.items() if list_only or not getattr(r, "BY_NAME", False)):
        name, at, version = wanted.partition("@")
        if name not in known:
            fail(f"unknown runtime {name!r}: there are {', '.join(known)}")
        numbers = releases(known[name])
        matching = [r for n, r in numbers.items() if fnmatchcase(n, version)] if at else [known[name]]
        if not matching:
            fail(f"unknown version {wanted!r}: opcompat drives {name} {', '.join(numbers)}")
        chosen += matching
    failed = False
    for runtime in chosen:
        name = runtime.NAME
        state = "installed" if environments.find(runtime) else "not installed"
        needs = f", needs {runtime.NEEDS}" if runtime.NEEDS else ""
        cuda = " (several GB more where the package index has torch with CUDA only)" if "torch" in runtime.PACKAGES else ""
        about = f"{runtime.SIZE_MB} MB{cuda}, licence: {runtime.LICENCE or 'open source'}{needs}"
        print(f"{name}: {' '.join(environments.pins(runtime))}, {about}; {state}", flush=True)
        if list_only:
            continue
        try:
            with waiting(f"installing {name}"):
                found = environments.install(runtime, accepted=name in accept_licence)
            print(f"  ready: {found.python}")
        except environments.EnvError as error:
            failed |= bool(runtimes) or not isinstance(error, environments.NoPython)
            print(f"opcompat: {error}", file=sys.stderr)
    raise SystemExit(2 if failed else 0)


@app.command()
@target_option
@click.option("--family", "families", multiple=True, help="Only this probe family; repeat for several.")
@click.option("--due/--again", default=True, help="Only what has no result for the installed version, options and probe (default); or all.")
@click.option(
    "--sample",
    default=1,
    show_default=True,
    type=click.IntRange(1),
    help="Only one in N probes, some of every operator; samples nest.",
)
@click.option("--jobs", default=2, show_default=True, type=click.IntRange(1), help="Targets probed side by side.")
@click.option(
    "--timeout", type=click.FloatRange(0.1), help="Seconds without an answer that count as a timeout; each runtime's own (mostly 60) for none."
)
@click.option("--latest", is_flag=True, help="Ask the package index for newer versions, install and probe them, and print what changed.")
@click.option("--expect-changes", is_flag=True, help="Go on where many verdicts of a new version differ from the last.")
@click.option("--timings", is_flag=True, help="Time operators against baselines instead, one target at a time: use a quiet machine.")
def probe(**options: Any) -> None:
    """Run probes on installed runtimes and record what happens. Stop it at any time: it goes on from there.

    TARGET may name a version that opcompat knows to drive: ort/cpu@1.20.1, or ort@* for all of them.
    """
    from opcompat import probing

    raise SystemExit(probing.main(**options))


@app.command()
@click.option("--all", "every", is_flag=True, help="Older versions too.")
def status(every: bool) -> None:
    """Say what is installed, recorded, stale or unavailable, and why."""
    from opcompat import probing

    probing.status(every)


@app.command()
@click.option("--out", type=FILE, help="Where to write it; the compat.db in use for none.")
def build(out: Path | None) -> None:
    """Make compat.db from recorded runs, claims and probes: equal input gives equal bytes."""
    from opcompat import building, runfiles, timing
    from opcompat import probe as probes

    if not runfiles.is_checkout():
        fail(f"build needs all recorded runs, which a checkout of opcompat has: copy yours from {runfiles.runs_folder()} into its data/runs")
    with waiting("building"):
        counts = building.build(
            out or runfiles.database_path(), runfiles.runs_folder(), runfiles.data_folder() / "claims", probes.load(), timing.load()
        )
    print(", ".join(f"{n} {what}" for what, n in counts.items()))


@app.command("export")
@target_option
@click.option("--out", "-o", type=FILE, default=Path("results.jsonl.gz"), show_default=True, help="The file to write.")
def export_(targets: tuple[str, ...], out: Path) -> None:
    """Pack the results recorded on this machine into one file, to be sent to somebody who imports it.

    It tells of this machine what decides results: system, processor, versions of packages.
    """
    from opcompat import exchange, runfiles

    with waiting("packing"):
        counts = exchange.export(runfiles.runs_folder(), out, targets)
    print(f"{out}: {exchange.summary(counts)}")


@app.command("import")
@click.argument("file", type=FILE)
def import_(file: Path) -> None:
    """Take in results that `opcompat export` packed on another machine; `opcompat build` then uses them.

    They never replace results of this machine, and count as unconfirmed, that is for nothing, until a second machine's agree.
    """
    from opcompat import exchange, runfiles
    from opcompat import probe as probes

    with waiting("reading"):
        counts, unknown = exchange.take_in(file, runfiles.runs_folder(), {p.digest: p.id for p in probes.load()})
    print(f"taken in: {exchange.summary(counts)}" + (f"; {unknown:,} of probes not known here were left out" if unknown else ""))


@app.command()
@click.argument("target")
@click.argument("old")
@click.argument("new")
@click.option("--format", "-f", "style", default="text", show_default=True, type=click.Choice(["text", "json"]))
def diff(target: str, old: str, new: str, style: str) -> None:
    """What changed on TARGET between versions OLD and NEW (1.17 stands for the newest 1.17.x): `opcompat diff ort/cpu 1.17 1.32`."""
    from opcompat import diff as differ
    from opcompat.runfiles import database_path
    from opcompat.store import Base

    with Base(database_path()) as base:
        found = differ.diff(base, target, old, new)
    print("\n".join(differ.lines(*found)) if style == "text" else differ.to_json(*found))


@app.command()
@click.option("--format", "-f", "style", default="text", show_default=True, type=click.Choice(["text", "json"]), help="json holds every value.")
def coverage(style: str) -> None:
    """Say which operators the probes reach and which factors they vary (ranks, dtypes, versions...), and what no probe reaches and why."""
    from opcompat import coverage as covered
    from opcompat import probe as probes

    with waiting("loading probes"):
        rows = covered.measure(probes.load())
    if style == "json":
        print(covered.to_json(rows))
    else:
        covered.print_text(rows, paper())


@app.command()
@click.argument("probe")
@click.option("--out", "-o", type=FILE, default=Path("probe.onnx"), show_default=True, help="Where to write the model.")
def repro(probe: str, out: Path) -> None:
    """Write the minimal ONNX model of PROBE (an id, as a report cites it)."""
    from opcompat import runfiles, store

    with store.Base(runfiles.database_path()) as base:
        model = base.model(probe)
    if model is None:
        fail(f"no probe is called {probe!r}: reports and the site show the ids")
    with runfiles.replacing(out) as part:
        part.write_bytes(model)
    print(out)


@app.command()
@click.option("--port", default=8001, show_default=True, type=click.IntRange(0, 65535), help="Port on this machine; 0 for any free one.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
def serve(port: int, host: str) -> None:
    """Browse compat.db in Datasette, read-only."""
    from opcompat import serving

    serving.main(host, port)


@app.command()
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--out", type=FILE, help="Folder to write to; data/sources of the checkout for none.")
def sources(names: tuple[str, ...], out: Path | None) -> None:
    """Write down what the tables inside SDKs declare and what a third party reports: NAMES, or every source.

    What has to be installed or fetched is, by name, into the cache.
    """
    from opcompat import runfiles
    from opcompat import sources as tables

    if out is None and not runfiles.is_checkout():
        fail("sources writes into a checkout of opcompat: run it there or give --out FOLDER")
    with waiting("reading tables") as status:
        for line in tables.write(names, out or runfiles.data_folder() / "sources", status.update):
            print(line, flush=True)


def main() -> None:
    """Run the command line; what a user can mend is one sentence on stderr and exit code 2."""
    try:
        try:
            app(standalone_mode=False)
        finally:
            sys.stdout.flush()  # a full disk is noticed here, not when Python ends
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
    if isinstance(error, click.exceptions.Abort):
        return "stopped"
    if isinstance(error, click.ClickException):
        return error.format_message()
    if type(error).__module__.startswith("opcompat.") and type(error).__name__.endswith("Error"):
        return str(error)
    if isinstance(error, OSError):
        return f"{error.filename or 'a file could not be written'}: {error.strerror or error}"
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"{error.name} is not installed: pip install 'opcompat[probe,site]'"
    return None


if __name__ == "__main__":
    main()
