"""One box for operators, targets, probes and messages."""

import re

from datasette import hookimpl

from opcompat.serving import page, rows

LIMIT = 60


async def search(datasette, request):
    sought = " ".join(request.args.get("q", "").split())[:200]
    words = sought.split()
    values = {f"w{n}": "%" + re.sub("[%_^]", r"^\g<0>", word) + "%" for n, word in enumerate(words)}

    def holds(text):
        return " AND ".join(f"{text} LIKE :w{n} ESCAPE '^'" for n in range(len(words)))

    async def ask(sql):
        return await rows(datasette, sql, {**values, "q": sought}) if words else []

    operators = await ask(
        f"""SELECT domain, op_type, SUM(probes) AS probes FROM (
              SELECT domain, op_type, 1 AS probes FROM probes UNION ALL SELECT DISTINCT domain, op_type, 0 FROM claims WHERE op_type <> '*'
            ) WHERE {holds("op_type")} GROUP BY domain, op_type ORDER BY op_type <> :q COLLATE NOCASE, length(op_type), op_type LIMIT {LIMIT}"""
    )
    targets = await ask(
        f"SELECT target, evidence, newest, about FROM targets WHERE {holds('''(target || ' ' || aliases || ' ' || about)''')} ORDER BY target"
    )
    probes = await ask(f"SELECT probe, COUNT(*) OVER () AS total FROM probes WHERE {holds('probe')} ORDER BY length(probe), probe LIMIT {LIMIT}")
    messages = await ask(
        f"""WITH found AS (SELECT message_id, message_group FROM messages WHERE {holds("message")} LIMIT 1000)
            SELECT message_group, COUNT(*) AS number, GROUP_CONCAT(DISTINCT r.target) AS targets, MIN(p.probe) AS probe
            FROM found JOIN measurements m USING (message_id) JOIN releases r ON r.release = m.release AND r.current JOIN probes p USING (probe_id)
            GROUP BY message_group ORDER BY number DESC, message_group LIMIT {LIMIT}"""
    )
    context = {"sought": sought, "operators": operators, "targets": targets, "probes": probes, "messages": messages}
    return page(datasette, request, "search.html", context)


@hookimpl
def register_routes():
    return [(r"^/search$", search)]
