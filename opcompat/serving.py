"""`opcompat serve`: compat.db in Datasette, immutable, with the pages of site/."""

import importlib
import socket
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from opcompat.runfiles import StoreError, database_path
from opcompat.store import Base


class ServeError(Exception):
    """The site cannot be served; the text is one sentence for the user."""


def site_folder() -> Path:
    """Return the folder of templates, plugins and metadata: inside the installed package, or beside it in a checkout."""
    packaged = Path(__file__).parent / "_site"
    return packaged if packaged.is_dir() else Path(__file__).parent.parent / "site"


def _module(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        raise ServeError(f"{error.name} is not installed: pip install 'opcompat[site]'") from None


def app(database: Path) -> Any:
    """Return a Datasette over one database, whatever its file is called, that nothing can write to. Raises ServeError."""
    try:
        with Base(database):
            pass
    except StoreError as error:
        raise ServeError(str(error)) from None
    if set("?#%") & set(str(database)):
        raise ServeError(f"{database} cannot be served: Datasette opens no file with ?, # or % in its path")
    settings = {"default_page_size": 50, "max_returned_rows": 500, "sql_time_limit_ms": 3000, "suggest_facets": False}
    make = _module("datasette.app").Datasette
    _module("datasette.handle_exception").rich = None  # with it, each page not found prints a traceback with all locals; ours are printed anyway
    datasette = make(config_dir=site_folder(), settings=settings)
    datasette.pages = datasette.jinja_env.overlay(enable_async=False)
    datasette.remove_database("_memory")
    datasette.add_database(_module("datasette.database").Database(datasette, path=str(database), is_mutable=False), name="compat")
    return datasette


async def rows(datasette: Any, sql: str, values: Any = ()) -> list[dict[str, Any]]:
    """Return what a query of compat.db gives, for the pages of site/plugins."""
    found = await datasette.get_database("compat").execute(sql, values)
    columns = found.columns  # made anew whenever it is asked for
    return [dict(zip(columns, row, strict=True)) for row in found.rows]


async def families(datasette: Any) -> list[str]:
    """Return the families that have results, for filters."""
    return [r["family"] for r in await rows(datasette, "SELECT DISTINCT family FROM counts JOIN releases USING (release) WHERE current ORDER BY 1")]


def page(datasette: Any, request: Any, template: str, context: Mapping[str, Any], content_type: str = "text/html; charset=utf-8") -> Any:
    """Return one of our pages. None of our templates needs `await`, and without it they take half the time."""
    body = datasette.pages.get_template(template).render(urls=datasette.urls, request=request, args=request.args, **context)
    return _module("datasette").Response(body, content_type=content_type)


def main(host: str, port: int) -> None:
    """Serve the database in use until interrupted; port 0 takes any free one. Raises ServeError."""
    database = database_path()
    site, uvicorn = app(database), _module("uvicorn")
    try:
        listening = socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET)
    except (OSError, OverflowError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        raise ServeError(f"cannot listen on {host} port {port} ({reason}): choose another with --port") from None
    listening.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)  # asyncio sets it on its own sockets only; without it each page waits 40 ms
    with listening:
        name = f"[{host}]" if ":" in host else host
        sys.stdout.write(f"opcompat: {database} on http://{name}:{listening.getsockname()[1]}/ (Ctrl-C stops it)\n")
        sys.stdout.flush()
        uvicorn.Server(uvicorn.Config(site.app(), log_level="warning")).run(sockets=[listening])
