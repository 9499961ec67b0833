"""The page of one probe: its facts, every outcome with its circumstances, how it fared over the versions, and the minimal model to download."""

import json
import re
import zlib
from urllib.parse import unquote

from datasette import NotFound, Response, hookimpl

from opcompat.serving import page, rows

WORST = ("crash", "timeout", "wrong", "fail", "pass")


async def _probe(datasette, request, columns):
    name = unquote(request.url_vars["probe"])
    found = await rows(datasette, f"SELECT {columns} FROM probes WHERE probe = ?", [name])
    if not found:
        raise NotFound(f"There is no probe {name}. Probes are renamed when what they test changes: the page of the operator lists today's.")
    return found[0]


async def probe(datasette, request):
    found = await _probe(datasette, request, "*")
    sql = """SELECT r.*, n.packages, n.options, n.host, n.opcompat, n.source FROM results r JOIN runs n USING (run)
             WHERE r.probe = ? AND r.current ORDER BY r.target"""
    results = await rows(datasette, sql, [found["probe"]])
    for result in results:
        result.update({name: json.loads(result[name] or "{}") for name in ("packages", "options", "host", "units", "times_ms")})
    results.sort(key=lambda r: WORST.index(r["outcome"]) if r["outcome"] in WORST else len(WORST))
    sql = """SELECT r.target, r.version, m.outcome, m.placement, m.stage, m.confirmed, COALESCE(g.message, '') AS message
             FROM releases r LEFT JOIN measurements m ON m.probe_id = :probe_id AND m.release = r.release LEFT JOIN messages g USING (message_id)
             ORDER BY r.target, r.position"""
    over = {}
    for r in await rows(datasette, sql, found):
        over.setdefault(r["target"], []).append(r)
    size = len(zlib.decompress(found.pop("model")))
    context = {
        "probe": found, "facts": json.loads(found["facts"]), "size": size, "results": results,
        "over": {target: listed for target, listed in over.items() if len(listed) > 1 and any(r["outcome"] for r in listed)},
        "command": "opcompat repro '" + found["probe"].replace("'", "'\\''") + "' -o probe.onnx",
    }  # fmt: skip
    return page(datasette, request, "probe.html", context)


async def model(datasette, request):
    found = await _probe(datasette, request, "probe, model")
    name = re.sub(r"[^A-Za-z0-9.=_-]+", "_", found["probe"])[:120]
    headers = {"content-disposition": f'attachment; filename="{name}.onnx"', "x-content-type-options": "nosniff"}
    body = zlib.decompress(found["model"])
    return Response(body, headers=headers, content_type="application/octet-stream")


@hookimpl
def register_routes():
    return [(r"^/probe/(?P<probe>.+?)$", probe), (r"^/probe-model/(?P<probe>.+)\.onnx$", model)]
