"""The page of one target: what it is, how it did in a version, what it said, how that changed, and what documents claim of it."""

from difflib import get_close_matches
from urllib.parse import unquote

from datasette import NotFound, hookimpl

from opcompat.serving import page, rows

BAD = "m.outcome IN ('fail', 'wrong', 'crash', 'timeout')"
VERDICTS = {"": "any", "trouble": "something breaks or falls back", "breaks": "no variant works", "works": "every variant works"}
SUMS = ", ".join(f"SUM(n.{name}) AS {name}" for name in ("probes", "passed", "fell_back", "failed", "wrong", "crashed", "timed_out"))


async def target(datasette, request):
    of = {"target": unquote(request.url_vars["target"])}
    found = await rows(datasette, "SELECT * FROM targets WHERE target = :target", of)
    if not found:
        near = get_close_matches(of["target"], [r["target"] for r in await rows(datasette, "SELECT target FROM targets")], 3, 0.5)
        raise NotFound(f"Nothing is recorded about a target {of['target']}." + (f" Did you mean {' or '.join(near)}?" if near else ""))
    asked = {name: request.args.get(name, "").strip() for name in ("version", "family", "operator", "verdict")}
    sql = f"""SELECT r.release, r.version, r.position, r.current, 'measured' AS evidence, {SUMS}
              FROM releases r LEFT JOIN counts n USING (release) WHERE target = :target GROUP BY r.release ORDER BY r.position"""
    releases = await rows(datasette, sql, of)
    at = next((r for r in releases if (r["version"] == asked["version"] if asked["version"] else r["current"])), None)
    if asked["version"] and at is None:
        known = ", ".join(r["version"] for r in releases) or "none"
        raise NotFound(f"{of['target']} was not measured in version {asked['version']}; measured: {known}.")
    of.update(asked, release=at and at["release"])
    kept = "p.op_type LIKE '%' || :operator || '%' AND :family IN ('', p.family)"
    context = {"target": found[0], "releases": releases, "at": at, "asked": asked, "verdicts": VERDICTS, "causes": {}}
    if at:
        sql = f"""SELECT p.domain, p.op_type, 'measured' AS evidence, {SUMS.replace("n.", "p.")}
                  FROM counts p WHERE release = :release AND {kept}
                  GROUP BY domain, op_type ORDER BY domain = 'pattern', domain, op_type COLLATE NOCASE"""
        operators = [r for r in await rows(datasette, sql, of) if fits(asked["verdict"], r)]
        blamed = await rows(
            datasette,
            f"""SELECT p.domain, p.op_type, c.text AS cause, CASE WHEN :current THEN '' ELSE COALESCE(g.message_group, '') END AS said, m.outcome,
                  COUNT(*) AS number, MIN(p.probe) AS probe
                FROM measurements m JOIN probes p USING (probe_id) LEFT JOIN texts c ON c.text_id = m.cause_id LEFT JOIN messages g USING (message_id)
                WHERE m.release = :release AND m.confirmed AND {BAD} AND {kept} GROUP BY 1, 2, 3, 4, 5 ORDER BY number DESC, probe""",
            {**of, "current": at["current"]},
        )
        for row in blamed:
            context["causes"].setdefault((row["domain"], row["op_type"]), []).append(row)
        context |= {
            "operators": operators,
            "families": [r["family"] for r in await rows(datasette, "SELECT DISTINCT family FROM counts WHERE release = :release ORDER BY 1", of)],
            "tallies": await rows(
                datasette,
                """SELECT outcome, placement, COUNT(*) AS number FROM measurements WHERE release = :release AND confirmed
                   GROUP BY outcome, placement = 'fallback' ORDER BY outcome IN ('broken', 'unavailable'), number DESC""",
                of,
            ),
            "messages": await rows(
                datasette,
                f"""SELECT COALESCE(g.message_group, '') AS message_group, m.outcome, m.stage, COUNT(*) AS number, MIN(p.probe) AS probe,
                      COUNT(DISTINCT p.op_type) AS operators, MIN(p.op_type) AS first
                    FROM measurements m JOIN probes p USING (probe_id) LEFT JOIN messages g USING (message_id)
                    WHERE m.release = :release AND m.confirmed AND {BAD} AND {kept}
                    GROUP BY 1, 2, 3 ORDER BY number DESC, 1 LIMIT 200""",
                of,
            ),
            "changes": await rows(
                datasette,
                """SELECT CASE WHEN n.outcome = 'pass' THEN 'fixed' WHEN o.outcome = 'pass' THEN 'broke' ELSE 'changed' END AS kind,
                     COUNT(*) AS number
                   FROM spans n JOIN spans o ON o.probe_id = n.probe_id AND o.target = n.target AND o.number = n.number - 1
                   WHERE n.target = :target AND n.first = :version AND n.number > 0 GROUP BY 1 ORDER BY 1""",
                {**of, "version": at["version"]},
            ),
        }
    context |= {
        "slowdowns": await rows(datasette, "SELECT * FROM slowdowns WHERE target = :target ORDER BY ratio, timing", of),
        "tables": await rows(
            datasette,
            """SELECT d.*, COUNT(claim) AS number FROM documents d LEFT JOIN claims USING (document) WHERE target = :target
               GROUP BY document ORDER BY document""",
            of,
        ),
        "claims": await rows(
            datasette,
            """SELECT c.* FROM claims c JOIN documents d USING (document) WHERE target = :target AND current AND op_type LIKE '%' || :operator || '%'
               ORDER BY document, op_type <> '*', domain, op_type, claim""",
            of,
        ),
        "runs": await rows(datasette, "SELECT * FROM runs WHERE target = :target ORDER BY run DESC LIMIT 20", of),
        "documents": await rows(
            datasette,
            """SELECT target FROM targets WHERE target IN (SELECT target FROM documents) AND target <> :target
               AND (:target LIKE target || '-%' OR EXISTS (SELECT 1 FROM json_each(related) WHERE value = :target)) ORDER BY target""",
            of,
        ),
        "contradicted": (
            await rows(datasette, "SELECT COUNT(DISTINCT probe_id) AS number FROM contradictions WHERE :target IN (target, measured_on)", of)
        )[0]["number"],
    }  # fmt: skip
    return page(datasette, request, "target.html", context)


def fits(verdict, row):
    """Say whether the counts of an operator are asked for."""
    works = row["passed"] == row["probes"]
    return {"trouble": not works, "breaks": not row["passed"], "works": works}.get(verdict, True)


@hookimpl
def register_routes():
    return [(r"^/target/(?P<target>.+?)$", target)]
