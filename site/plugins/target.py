"""The page of one target: what it is, how it did, what it said, and what documents claim of it."""

from difflib import get_close_matches
from urllib.parse import unquote

from datasette import NotFound, Response, hookimpl


async def target(datasette, request):
    db = datasette.get_database()
    of = {"target": unquote(request.url_vars["target"])}

    async def rows(sql):
        return [dict(row) for row in await db.execute(sql, of)]

    found = await rows("SELECT * FROM targets WHERE target = :target")
    if not found:
        near = get_close_matches(of["target"], [row[0] for row in await db.execute("SELECT target FROM targets")], 3, 0.5)
        raise NotFound(f"Nothing is recorded about a target {of['target']}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
    tallies = await rows(
        """SELECT version, current, outcome, placement, COUNT(*) AS number FROM results WHERE target = :target
           GROUP BY version, outcome, placement = 'fallback' ORDER BY current DESC, version DESC, outcome IN ('broken', 'unavailable'), number DESC"""
    )
    messages = await rows(
        """SELECT message_group, outcome, stage, COUNT(*) AS number, MIN(probe) AS probe,
             COUNT(DISTINCT p.op_type) AS operators, MIN(p.op_type) AS first
           FROM results r JOIN probes p USING (probe) WHERE target = :target AND current AND outcome IN ('fail', 'wrong', 'crash', 'timeout')
           GROUP BY message_group, outcome, stage ORDER BY number DESC, message_group LIMIT 200"""
    )
    operators = await rows("SELECT * FROM support WHERE target = :target ORDER BY domain = 'pattern', domain, op_type COLLATE NOCASE")
    causes = {}
    for row in await rows(
        """SELECT p.domain, p.op_type, r.cause, COUNT(*) AS number, MIN(r.probe) AS probe FROM results r JOIN probes p USING (probe)
           WHERE target = :target AND current AND outcome IN ('fail', 'wrong', 'crash', 'timeout') GROUP BY 1, 2, 3 ORDER BY number DESC"""
    ):
        causes.setdefault((row["domain"], row["op_type"]), []).append(row)
    context = {
        "target": found[0], "tallies": tallies, "messages": messages, "operators": operators, "causes": causes,
        "claims": await rows("SELECT * FROM claims WHERE target = :target ORDER BY op_type <> '*', domain, op_type, claim"),
        "runs": await rows("SELECT * FROM runs WHERE target = :target ORDER BY run DESC LIMIT 20"),
        "documents": await rows(
            """SELECT target FROM targets WHERE evidence = 'claimed' AND target <> :target
               AND (:target LIKE target || '-%' OR EXISTS (SELECT 1 FROM json_each(related) WHERE value = :target)) ORDER BY target"""
        ),
    }  # fmt: skip
    return Response.html(await datasette.render_template("target.html", context, request=request))


@hookimpl
def register_routes():
    return [(r"^/target/(?P<target>.+?)$", target)]
