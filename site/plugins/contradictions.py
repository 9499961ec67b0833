"""Documents against measurements, and references against each other."""

from datasette import hookimpl

from opcompat.serving import page, rows

PER_PAGE = 100
FILTERS = ("kind", "target", "measured_on", "operator")


async def contradictions(datasette, request):
    asked = {name: request.args.get(name, "").strip() for name in FILTERS}
    kept = "(:operator = '' OR p.op_type = :operator) AND " + " AND ".join(f":{name} IN ('', c.{name})" for name in FILTERS[:3])
    listed = await rows(
        datasette,
        f"""SELECT c.kind, c.target, c.said, c.outcome, p.domain, p.op_type, COUNT(DISTINCT c.probe_id) AS number, MIN(p.probe) AS probe,
              GROUP_CONCAT(DISTINCT c.measured_on) AS measured_on
            FROM contradictions c JOIN probes p USING (probe_id) WHERE {kept}
            GROUP BY c.kind, p.op_type, p.domain, c.target, c.said, c.outcome ORDER BY c.kind, p.op_type COLLATE NOCASE, c.target, number DESC""",
        asked,
    )
    pages = -(-len(listed) // PER_PAGE)
    number = max(1, min(int(n) if (n := request.args.get("page", "")).isdecimal() else 1, pages))
    context = {
        "asked": asked, "listed": listed[(number - 1) * PER_PAGE : number * PER_PAGE], "page": number, "pages": pages, "groups": len(listed),
        "summary": await rows(
            datasette,
            "SELECT kind, target, measured_on, COUNT(*) AS number FROM contradictions GROUP BY 1, 2, 3 ORDER BY 1, 2, 3",
        ),
        "disputed": await rows(datasette, "SELECT domain, op_type, probe FROM probes WHERE disputed ORDER BY op_type, probe"),
    }  # fmt: skip
    return page(datasette, request, "contradictions.html", context)


@hookimpl
def register_routes():
    return [(r"^/contradictions$", contradictions)]
