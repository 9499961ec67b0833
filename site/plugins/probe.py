"""The page of one probe: its facts, every outcome with its circumstances, and the minimal model to download."""

import json
import re
import zlib
from urllib.parse import unquote

from datasette import NotFound, Response, hookimpl


async def _probe(datasette, request, columns):
    name = unquote(request.url_vars["probe"])
    row = (await datasette.get_database().execute(f"SELECT {columns} FROM probes WHERE probe = ?", [name])).first()
    if row is None:
        raise NotFound(f"There is no probe {name}. Probes are renamed when what they test changes: the page of the operator lists today's.")
    return dict(row)


async def probe(datasette, request):
    found = await _probe(datasette, request, "*, length(model) AS packed")
    sql = """SELECT r.*, n.packages, n.options, n.host, n.opcompat, n.source FROM results r JOIN runs n USING (run)
             WHERE probe = ? ORDER BY r.current DESC, r.target, r.version DESC"""
    results = [dict(row) for row in await datasette.get_database().execute(sql, [found["probe"]])]
    for result in results:
        result.update({name: json.loads(result[name]) for name in ("packages", "options", "host", "units", "times_ms")})
    worst = ["crash", "timeout", "wrong", "fail", "pass"]
    results.sort(key=lambda r: worst.index(r["outcome"]) if r["outcome"] in worst else len(worst))
    size = len(zlib.decompress(found.pop("model")))
    context = {
        "probe": found, "facts": json.loads(found["facts"]), "size": size, "results": [r for r in results if r["current"]],
        "older": [r for r in results if not r["current"]], "command": "opcompat repro '" + found["probe"].replace("'", "'\\''") + "' -o probe.onnx",
    }  # fmt: skip
    return Response.html(await datasette.render_template("probe.html", context, request=request))


async def model(datasette, request):
    found = await _probe(datasette, request, "probe, model")
    name = re.sub(r"[^A-Za-z0-9.=_-]+", "_", found["probe"])[:120]
    headers = {"content-disposition": f'attachment; filename="{name}.onnx"', "x-content-type-options": "nosniff"}
    body = zlib.decompress(found["model"])
    return Response(body, headers=headers, content_type="application/octet-stream")


@hookimpl
def register_routes():
    return [(r"^/probe/(?P<probe>.+?)$", probe), (r"^/probe-model/(?P<probe>.+)\.onnx$", model)]
