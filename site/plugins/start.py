"""The start page: every operator on every target, or on every version of one target."""

from collections import Counter
from itertools import groupby

from datasette import Response, hookimpl

from opcompat.serving import families, page, rows

GROUPS = {"": "ai.onnx", "pattern": "patterns of several operators", "rewrite": "rewrites that workarounds use"}
FILTERS = ("operator", "family", "target", "version", "evidence", "verdict")
VERDICTS = {
    "": "any", "trouble": "something breaks or falls back", "breaks": "no variant works somewhere", "works": "works wherever it was tried",
    "unknown": "unknown somewhere",
}  # fmt: skip
MANY = 40
"""Columns that the matrix shows at most unless asked: else one target of each runtime stands for all."""
COUNTS = ("probes", "passed", "fell_back", "failed", "wrong", "crashed", "timed_out")


async def columns(datasette, asked):
    """Return the columns of the matrix: targets, or versions of one, each with the number of the release it shows."""
    sql = """SELECT t.target, t.runtime, t.device, t.evidence, t.newest, t.about, r.release, r.version, r.current
             FROM targets t LEFT JOIN releases r USING (target)
             ORDER BY r.release IS NULL, t.evidence <> 'measured', t.evidence, t.target, r.position DESC"""
    every = [r for r in await rows(datasette, sql) if asked["target"] in ("", r["target"], f"{r['runtime']}/*")]
    every = [r for r in every if asked["evidence"] in ("", r["evidence"])]
    wanted = asked["version"]
    return [r for r in every if r["release"] is None or wanted == "all" or (r["current"] if not wanted else r["version"] == wanted)]


async def fold(datasette, shown):
    """Return one column of each runtime, the first unless another has far more results, and runtime -> how many are not shown."""
    sql = "SELECT release, SUM(probes) AS results FROM counts GROUP BY release"
    results = {r["release"]: r["results"] for r in await rows(datasette, sql)}
    best, hidden = {}, Counter(c["runtime"] for c in shown)
    for c in shown:  # the strongest evidence comes first
        kept = best.setdefault(c["runtime"], c)
        if c["evidence"] == kept["evidence"] and results.get(c["release"], 0) > 1.5 * results.get(kept["release"], 0):
            best[c["runtime"]] = c
    return [c for c in shown if best[c["runtime"]] is c], {runtime: number - 1 for runtime, number in hidden.items() if number > 1}


async def start(datasette, request):
    whole = not request.query_string  # the page that most come for, 2 MB of it, is made once: the database never changes
    if whole and hasattr(datasette, "start_page"):
        return Response.html(datasette.start_page)
    asked = {name: request.args.get(name, "").strip() for name in FILTERS}
    shown, hidden = await columns(datasette, asked), {}
    if len(shown) > MANY:
        shown, hidden = await fold(datasette, shown)
    releases = {c["release"]: f"{c['target']}@{c['version']}" for c in shown if c["release"]}
    where = "WHERE :family IN ('', family)"
    cells = {}
    for row in await rows(datasette, f"SELECT domain, op_type FROM probes {where} GROUP BY op_type, domain", asked):
        cells[row["domain"], row["op_type"]] = {}
    sums = ", ".join(f"SUM({name}) AS {name}" for name in COUNTS)
    evidence = {c["release"]: c["evidence"] for c in shown}
    sql = f"""SELECT release, domain, op_type, {sums} FROM counts
              {where} AND release IN ({",".join(map(str, releases))}) GROUP BY release, domain, op_type"""
    for row in await rows(datasette, sql, asked):
        row["evidence"], row["written"] = evidence[row["release"]], 0
        cells[row["domain"], row["op_type"]][releases[row["release"]]] = row
    sql = """SELECT document, d.target, d.evidence FROM documents d JOIN targets t USING (target, evidence)
             WHERE current AND target NOT IN (SELECT target FROM releases)"""
    documents = {row.pop("document"): row for row in await rows(datasette, sql)}
    sql = f"""SELECT domain, op_type, document, 1 AS written, COUNT(*) AS probes, SUM(status IN ('supported', 'folded')) AS passed,
                SUM(status = 'unsupported') AS failed, SUM(status = 'fallback') AS fell_back, 0 AS wrong, 0 AS crashed, 0 AS timed_out
              FROM claims WHERE document IN ({",".join(map(str, documents))}) AND op_type <> '*' GROUP BY document, domain, op_type"""
    for row in await rows(datasette, sql):  # the documents' part of the view `support`, without the counting of the other part
        row |= documents[row["document"]]
        if not asked["family"] or (row["domain"], row["op_type"]) in cells:
            cells.setdefault((row["domain"], row["op_type"]), {})[f"{row['target']}@"] = row
    keys = [f"{c['target']}@{c['version'] or ''}" for c in shown]
    groups, silent = {}, []
    for (domain, op_type), found in sorted(cells.items(), key=lambda item: (item[0][0] == "pattern", item[0][0], item[0][1].lower())):
        row = {key: found[key] for key in keys if key in found}
        if asked["operator"].lower() not in op_type.lower() or not fits(asked["verdict"], row, len(keys)):
            continue
        if not row:
            silent.append((domain, op_type))
        else:
            group = "rewrite" if domain == "pattern" and op_type.startswith("workaround/") else domain
            groups.setdefault(GROUPS.get(group, group), []).append((domain, op_type, row))
    sql = """SELECT (SELECT COUNT(*) FROM probes) AS probes, (SELECT COUNT(*) FROM claims) AS claims, COUNT(DISTINCT release) AS versions,
               COUNT(DISTINCT target) AS targets, SUM(n.probes) AS results
             FROM counts n JOIN releases USING (release) JOIN targets t USING (target) WHERE t.evidence = 'measured'"""
    database = datasette.get_database("compat")
    targets = await rows(datasette, "SELECT * FROM targets ORDER BY evidence <> 'measured', evidence, target")
    versions = await rows(datasette, "SELECT version FROM releases WHERE target = :target ORDER BY position DESC", asked)
    context = {
        "columns": shown, "hidden": hidden,
        "keys": keys, "groups": groups, "silent": silent, "asked": asked, "database": database.name, "targets": targets,
        "runtimes": [(*key, len(list(members))) for key, members in groupby(shown, key=lambda c: (c["evidence"], c["runtime"]))],
        "versions": [v["version"] for v in versions], "verdicts": VERDICTS, "counts": (await rows(datasette, sql))[0],
        "families": await families(datasette),
        "queries": await datasette.get_canned_queries(database.name, None),
    }  # fmt: skip
    response = page(datasette, request, "start.html", context)
    if whole:
        datasette.start_page = response.body
    return response


def fits(verdict, row, columns):
    """Say whether an operator's row of cells is asked for."""
    if verdict in ("", None):
        return True
    if verdict == "unknown":
        return len(row) < columns
    if verdict == "works":
        return bool(row) and all(cell["passed"] == cell["probes"] for cell in row.values())
    if verdict == "breaks":
        return any(not cell["passed"] and (not cell["written"] or cell["failed"] == cell["probes"]) for cell in row.values())
    return any(not cell["written"] and cell["passed"] < cell["probes"] for cell in row.values())


@hookimpl
def register_routes():
    return [(r"^/$", start)]
