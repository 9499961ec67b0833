"""What changed between versions: an overview, one version (or two, compared) in full, and the same as an Atom feed."""

from urllib.parse import urlencode
from uuid import NAMESPACE_URL, uuid5

from datasette import NotFound, hookimpl

from opcompat.serving import families, page, rows

KINDS = {"broke": "Broke", "fixed": "Fixed", "changed": "Still fails, in another way"}
KIND = "CASE WHEN n.outcome = 'pass' THEN 'fixed' WHEN o.outcome = 'pass' THEN 'broke' ELSE 'changed' END"
SPANS = """FROM spans n JOIN spans o ON o.probe_id = n.probe_id AND o.target = n.target AND o.number = n.number - 1
           JOIN probes p ON p.probe_id = n.probe_id LEFT JOIN messages g ON g.message_id = n.message_id
           LEFT JOIN messages h ON h.message_id = o.message_id"""
COMPARED = """FROM releases ro JOIN measurements o ON o.release = ro.release JOIN releases rn ON rn.target = ro.target
              JOIN measurements n ON n.release = rn.release AND n.probe_id = o.probe_id JOIN probes p ON p.probe_id = n.probe_id
              LEFT JOIN messages g ON g.message_id = n.message_id LEFT JOIN messages h ON h.message_id = o.message_id"""
LISTED = 12
ENTRIES = 60


def filters(asked):
    """Return the conditions for the operator and family asked for, each with an AND before it."""
    return "".join(f" AND p.{column} = :{name}" for name, column in (("operator", "op_type"), ("family", "family")) if asked[name])


async def overview(datasette, asked):
    """Return rows of target, version, position, after (the version measured before it), broke, fixed, changed; newest of a target first."""
    narrowed = filters(asked)
    sql = f"""SELECT r.target, r.version, r.position, b.version AS after, SUM(kind = 'broke') AS broke, SUM(kind = 'fixed') AS fixed,
                SUM(kind = 'changed') AS changed
              FROM (SELECT n.target, n.first, {KIND} AS kind FROM spans n
                      JOIN spans o ON o.probe_id = n.probe_id AND o.target = n.target AND o.number = n.number - 1
                      {"JOIN probes p ON p.probe_id = n.probe_id" if narrowed else ""}
                    WHERE n.number > 0 {narrowed} {"AND n.target = :target" if asked["target"] else ""}) c
                JOIN releases r ON r.target = c.target AND r.version = c.first
                LEFT JOIN releases b ON b.target = r.target AND b.position = r.position - 1
              GROUP BY r.release ORDER BY r.target, r.position DESC"""
    return await rows(datasette, sql, asked)


async def details(datasette, asked):
    """Return the changes of one version, since whenever each probe was measured before it or, where `from` is asked, between two versions."""
    columns = f"""SELECT p.domain, p.op_type, p.probe, {KIND} AS kind, o.outcome AS before, n.outcome,
                    COALESCE(CASE WHEN n.outcome = 'pass' THEN h.message_group ELSE g.message_group END, '') AS message_group"""
    if asked["from"]:
        sql = f"""{columns}, ro.version AS after {COMPARED}
                  WHERE ro.target = :target AND ro.version = :from AND rn.version = :to AND o.outcome <> n.outcome
                    AND o.outcome NOT IN ('broken', 'unavailable') AND n.outcome NOT IN ('broken', 'unavailable') {filters(asked)}"""
    else:
        sql = f"{columns}, o.last AS after {SPANS} WHERE n.target = :target AND n.first = :to AND n.number > 0 {filters(asked)}"
    found = {}
    for r in await rows(datasette, f"SELECT * FROM ({sql}) ORDER BY domain = 'pattern', op_type COLLATE NOCASE, domain, message_group, probe", asked):
        groups = found.setdefault(r["kind"], {}).setdefault((r["domain"], r["op_type"]), {})
        groups.setdefault((r["before"], r["outcome"], r["message_group"]), []).append(r)
    return found


async def changes(datasette, request):
    asked = {name: request.args.get(name, "").strip() for name in ("target", "from", "to", "operator", "family", "kind")}
    releases = await rows(datasette, "SELECT target, version FROM releases ORDER BY target, position DESC")
    known = {}
    for r in releases:
        known.setdefault(r["target"], []).append(r["version"])
    if asked["target"] and asked["target"] not in known:
        raise NotFound(f"Nothing was measured on a target {asked['target']}; measured: {', '.join(known)}.")
    versions = known.get(asked["target"], [])
    for name in ("from", "to"):
        if asked[name] and asked["target"] and asked[name] not in versions:
            raise NotFound(f"{asked['target']} was not measured in version {asked[name]}; measured: {', '.join(versions)}.")
    if asked["from"] and not asked["to"] and versions:
        asked["to"] = versions[0]
    pair = bool(asked["target"] and asked["to"])
    context = {
        "asked": asked, "kinds": {k: w for k, w in KINDS.items() if asked["kind"] in ("", k)}, "all_kinds": KINDS, "versions": versions,
        "listed": LISTED, "targets": [t for t, listed in known.items() if len(listed) > 1],
        "families": await families(datasette),
        "found": await details(datasette, asked) if pair else None, "overview": await overview(datasette, asked),
    }  # fmt: skip
    return page(datasette, request, "changes.html", context)


async def feed(datasette, request):
    asked = {"target": request.args.get("target", "").strip(), "operator": "", "family": ""}
    started = {
        (r["target"], r["version"]): r["started"]
        for r in await rows(datasette, "SELECT target, version, MAX(started) AS started FROM runs GROUP BY target, version")
    }
    entries = sorted(await overview(datasette, asked), key=lambda r: (started[r["target"], r["version"]], r["target"], r["position"]), reverse=True)
    sql = f"""SELECT p.op_type, {KIND} AS kind, COUNT(*) AS number {SPANS} WHERE n.target = :target AND n.first = :version AND n.number > 0
              GROUP BY 1, 2 ORDER BY 3 DESC, 1"""
    for entry in entries[:ENTRIES]:
        by_kind = {}
        for r in await rows(datasette, sql, entry):
            by_kind.setdefault(r["kind"], []).append(r)
        address = "/changes?" + urlencode({"target": entry["target"], "to": entry["version"]})
        entry.update(
            by_kind=by_kind, updated=started[entry["target"], entry["version"]], link=datasette.absolute_url(request, datasette.urls.path(address)),
            id=uuid5(NAMESPACE_URL, f"opcompat:changes:{entry['target']}:{entry['version']}").urn,
        )  # fmt: skip
    newest = (await rows(datasette, "SELECT value FROM meta WHERE key = 'newest_run'"))[0]["value"]
    own = "/changes.atom" + (f"?{urlencode({'target': asked['target']})}" if asked["target"] else "")
    context = {
        "entries": entries[:ENTRIES], "kinds": KINDS, "target": asked["target"], "updated": newest or "1970-01-01T00:00:00+00:00",
        "id": uuid5(NAMESPACE_URL, f"opcompat:changes:{asked['target']}").urn,
        "own": datasette.absolute_url(request, datasette.urls.path(own)),
        "link": datasette.absolute_url(request, datasette.urls.path("/changes")),
    }  # fmt: skip
    return page(datasette, request, "changes.xml", context, "application/atom+xml; charset=utf-8")


@hookimpl
def register_routes():
    return [(r"^/changes$", changes), (r"^/changes\.atom$", feed)]
