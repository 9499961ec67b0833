"""The start page: every operator on every target."""

from itertools import groupby

from datasette import Response, hookimpl

GROUPS = {"": "ai.onnx", "pattern": "patterns of several operators", "rewrite": "rewrites that workarounds use"}


async def start(datasette, request):
    db = datasette.get_database()
    asked = {name: request.args.get(name, "").strip() for name in ("operator", "evidence", "show")}
    sql = "SELECT target, runtime, device, evidence, newest, about FROM targets WHERE :evidence IN ('', evidence) ORDER BY evidence DESC, target"
    targets = [dict(row) for row in await db.execute(sql, asked)]
    kept = {t["target"] for t in targets}
    cells = {}
    for row in await db.execute("SELECT domain, op_type FROM probes GROUP BY op_type, domain"):
        cells[row["domain"], row["op_type"]] = {}
    for row in await db.execute("SELECT * FROM support WHERE op_type <> '*'"):
        cells.setdefault((row["domain"], row["op_type"]), {})[row["target"]] = row
    groups, silent = {}, []
    for (domain, op_type), row in sorted(cells.items(), key=lambda item: (item[0][0] == "pattern", item[0][0], item[0][1].lower())):
        shown = {target: cell for target, cell in row.items() if target in kept}
        trouble = any(cell["evidence"] != "claimed" and cell["passed"] < cell["probes"] for cell in shown.values())
        if asked["operator"].lower() not in op_type.lower() or (asked["show"] == "trouble" and not trouble):
            continue
        if not shown:
            silent.append((domain, op_type))
        else:
            group = "rewrite" if domain == "pattern" and op_type.startswith("workaround/") else domain
            groups.setdefault(GROUPS.get(group, group), []).append((domain, op_type, shown))
    sql = """SELECT (SELECT COUNT(*) FROM probes) AS probes, (SELECT COUNT(*) FROM claims) AS claims,
             (SELECT COUNT(*) FROM targets WHERE evidence = 'measured') AS targets,
             (SELECT COUNT(*) FROM results WHERE outcome NOT IN ('broken', 'unavailable')) AS results"""
    counts = dict((await db.execute(sql)).first())
    runtimes = [(*key, len(list(members))) for key, members in groupby(targets, key=lambda t: (t["evidence"], t["runtime"]))]
    queries = await datasette.get_canned_queries(db.name, None)
    context = {
        "targets": targets, "runtimes": runtimes, "groups": groups, "counts": counts, "asked": asked, "database": db.name,
        "queries": queries, "silent": silent,
    }  # fmt: skip
    return Response.html(await datasette.render_template("start.html", context, request=request))


@hookimpl
def register_routes():
    return [(r"^/$", start)]
