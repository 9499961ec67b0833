"""The page of one operator: its variants on every target, what breaks them, and what documents say."""

from difflib import get_close_matches
from urllib.parse import unquote

from datasette import NotFound, Response, hookimpl


async def operator(datasette, request):
    db = datasette.get_database()
    shown, op_type = (unquote(request.url_vars[name]) for name in ("domain", "op_type"))
    of = {"domain": "" if shown == "ai.onnx" else shown, "op_type": op_type}
    here = "op_type = :op_type AND domain = :domain"

    async def rows(sql):
        return [dict(row) for row in await db.execute(sql, of)]

    results = await rows(
        f"""SELECT p.probe, r.target, r.outcome, r.stage, r.placement, r.cause, r.message_group
            FROM probes p LEFT JOIN results r ON r.probe = p.probe AND r.current WHERE p.{here.replace("AND ", "AND p.")} ORDER BY p.probe"""
    )
    claims = await rows(f"""SELECT c.*, t.source FROM claims c JOIN targets t USING (target) WHERE {here} ORDER BY target, claim""")
    if not results and not claims:
        names = [row[0] for row in await db.execute("SELECT op_type FROM probes UNION SELECT op_type FROM claims")]
        near = get_close_matches(op_type.lower(), [n.lower() for n in names], 3, 0.7)
        hint = f" Did you mean {' or '.join(n for n in names if n.lower() in near)}?" if near else ""
        raise NotFound(f"Nothing is recorded about an operator {op_type} of {shown}.{hint}")
    support = {row["target"]: row for row in await rows(f"SELECT s.*, t.newest FROM support s JOIN targets t USING (target) WHERE {here}")}
    variants, blamed = {}, {}
    for r in results:
        cells = variants.setdefault(r["probe"], {})
        if r["target"]:
            cells[r["target"]] = r
        if r["outcome"] in ("fail", "wrong", "crash", "timeout"):
            blamed.setdefault(r["target"], {}).setdefault((r["cause"], r["outcome"]), []).append(r)
    blamed = {target: sorted(found.items(), key=lambda item: -len(item[1])) for target, found in blamed.items()}
    plain = {probe for probe, cells in variants.items() if all(c["outcome"] == "pass" and c["placement"] != "fallback" for c in cells.values())}
    trouble = {probe: cells for probe, cells in variants.items() if probe not in plain}
    context = {
        "domain": of["domain"], "op_type": op_type, "variants": trouble if request.args.get("show") == "trouble" else variants,
        "support": sorted(support.values(), key=lambda row: (row["evidence"] != "measured", row["target"])), "blamed": blamed, "claims": claims,
        "targets": sorted({r["target"] for r in results if r["target"]}), "all": len(variants), "trouble": len(trouble),
        "filtered": request.args.get("show") == "trouble",
    }  # fmt: skip
    return Response.html(await datasette.render_template("operator.html", context, request=request))


@hookimpl
def register_routes():
    return [(r"^/operator/(?P<domain>[^/]+)/(?P<op_type>.+?)$", operator)]
