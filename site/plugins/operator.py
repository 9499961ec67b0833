"""The page of one operator: its variants on every target, what breaks them, how that changed over the versions, and what documents say."""

import json
from difflib import get_close_matches
from urllib.parse import unquote

from datasette import NotFound, hookimpl

from opcompat.predict import BAD, Evidence, causes, trusted
from opcompat.serving import page, rows

PER_PAGE = 150
VERDICTS = {
    "": "any",
    "trouble": "not simply works everywhere",
    "breaks": "breaks somewhere",
    "wrong": "wrong numbers somewhere",
    "works": "works everywhere",
}


async def operator(datasette, request):
    shown, op_type = (unquote(request.url_vars[name]) for name in ("domain", "op_type"))
    of = {"domain": "" if shown == "ai.onnx" else shown, "op_type": op_type}
    here = "op_type = :op_type AND domain = :domain"
    asked = {name: request.args.get(name, "").strip() for name in ("target", "verdict", "fact")}
    wanted = dict(name.split("@", 1) for name in request.args.getlist("at") if "@" in name)

    probes = {
        r["probe_id"]: {**r, "facts": json.loads(r["facts"])}
        for r in await rows(datasette, f"SELECT probe_id, probe, context, facts FROM probes WHERE {here} ORDER BY probe", of)
    }
    sql = f"SELECT c.*, d.* FROM claims c JOIN documents d USING (document) WHERE {here} AND current ORDER BY target, claim"
    claims = await rows(datasette, sql, of)
    if not probes and not claims:
        names = [r["op_type"] for r in await rows(datasette, "SELECT op_type FROM probes UNION SELECT op_type FROM claims")]
        near = get_close_matches(op_type.lower(), [n.lower() for n in names], 3, 0.7)
        hint = f" Did you mean {' or '.join(n for n in names if n.lower() in near)}?" if near else ""
        raise NotFound(f"Nothing is recorded about an operator {op_type} of {shown}.{hint}")

    counts = await rows(
        datasette,
        f"""SELECT r.release, r.target, r.version, r.current, t.evidence, SUM(probes) AS probes, SUM(passed) AS passed,
              SUM(fell_back) AS fell_back, SUM(failed) AS failed, SUM(wrong) AS wrong, SUM(crashed) AS crashed, SUM(timed_out) AS timed_out
            FROM releases r JOIN counts n USING (release) JOIN targets t USING (target) WHERE {here}
            GROUP BY r.release ORDER BY r.target, r.position""",
        of,
    )
    over = {}  # target -> its counts, oldest version first
    for c in counts:
        over.setdefault(c["target"], []).append(c)
    support = {t: next((c for c in listed if c["version"] == wanted.get(t)), listed[-1]) for t, listed in over.items()}
    variants = {r["probe_id"]: {} for r in probes.values()}
    for r in await rows(
        datasette,
        f"""SELECT m.probe_id, r.target, r.current, m.outcome, m.stage, m.placement, c.text AS cause
            FROM probes p JOIN measurements m ON m.probe_id = p.probe_id AND m.confirmed
                AND m.release IN ({",".join(str(c["release"]) for c in support.values())})
              JOIN releases r USING (release) LEFT JOIN texts c ON c.text_id = m.cause_id WHERE p.{here.replace("AND ", "AND p.")}""",
        of,
    ):
        variants[r["probe_id"]][r["target"]] = r
    past = {}
    for s in await rows(
        datasette,
        f"SELECT s.probe_id, s.target, s.outcome, s.first, s.last FROM probes p JOIN spans s USING (probe_id) WHERE {here} ORDER BY 1, 2, s.number",
        of,
    ):
        past.setdefault(s["probe_id"], {}).setdefault(s["target"], []).append(s)
    for target, c in support.items():
        if not c["current"]:
            blame_old(probes, {number: cells[target] for number, cells in variants.items() if target in cells})
    targets = sorted(t for t in support if asked["target"] in ("", t, f"{t.split('/')[0]}/*"))
    blamed = {t: blame(probes, variants, t) for t in targets}
    kept = [number for number, cells in variants.items() if fits(asked, probes[number], [cells[t] for t in targets if t in cells])]
    number = max(1, min(int(n) if (n := request.args.get("page", "")).isdecimal() else 1, -(-len(kept) // PER_PAGE)))
    said = {}
    for row in await rows(datasette, f"SELECT *, 1 AS written FROM support WHERE {here} AND version = ''", of):
        if row["target"] not in over:  # what was measured speaks for itself; all documents are listed below
            said.setdefault(row["target"], row)
    trouble = sum(fits({"verdict": "trouble"}, probes[n], cells.values()) for n, cells in variants.items())
    timed = await rows(datasette, f"SELECT * FROM slowdowns WHERE {here} ORDER BY ratio, timing, target", of)
    context = {
        "slowdowns": [s for s in timed if s["target"] in targets],
        "domain": of["domain"], "op_type": op_type, "probes": probes, "claims": claims, "blamed": blamed, "targets": targets, "asked": asked,
        "support": [*(support[t] for t in targets), *(row for t, row in sorted(said.items()) if asked["target"] in ("", t, f"{t.split('/')[0]}/*"))],
        "variants": [(probes[n]["probe"], variants[n], {t: s for t, s in past.get(n, {}).items() if len(s) > 1})
                     for n in kept[(number - 1) * PER_PAGE : number * PER_PAGE]],
        "kept": len(kept), "page": number, "pages": -(-len(kept) // PER_PAGE), "measured": sorted(over), "at": wanted, "verdicts": VERDICTS,
        "over": {t: over[t] for t in targets if len(over[t]) > 1}, "trouble": trouble,
        "older": [(t, [c["version"] for c in reversed(listed) if not c["current"]]) for t, listed in sorted(over.items()) if len(listed) > 1],
    }  # fmt: skip
    return page(datasette, request, "operator.html", context)


def blame_old(probes, found):
    """Fill in the causes of one target's results by probe, which the database keeps for newest versions only."""
    evidence = [
        Evidence(number, probes[number]["facts"], r["outcome"], r["placement"], bool(probes[number]["context"]))
        for number, r in found.items()
        if r["outcome"] in BAD or r["outcome"] == "pass"
    ]
    for number, cause in causes(trusted(evidence)).items():
        found[number]["cause"] = None if cause is None else json.dumps(cause)


def blame(probes, variants, target):
    """Return [((cause, outcome), names of the probes)] of one target: the most frequent first, last those nobody can explain."""
    groups = {}
    for number, cells in variants.items():
        if (r := cells.get(target)) and r["outcome"] in BAD:
            groups.setdefault((r["cause"], r["outcome"]), []).append(probes[number]["probe"])
    return sorted(groups.items(), key=lambda item: (item[0][0] is None, -len(item[1])))


def fits(asked, probe, results):
    """Say whether a variant is asked for, by its results on the targets shown."""
    if fact := asked.get("fact", "").lower():
        said = " ".join([*(f"{name}={value}" for name, value in probe["facts"].items()), probe["probe"]])
        if fact not in said.lower():
            return False
    works = [r["outcome"] == "pass" and r["placement"] != "fallback" for r in results]
    verdict = asked["verdict"]
    if verdict == "trouble":
        return not all(works)
    if verdict == "works":
        return bool(works) and all(works)
    if verdict == "breaks":
        return any(r["outcome"] in BAD for r in results)
    return verdict != "wrong" or any(r["outcome"] == "wrong" for r in results)


@hookimpl
def register_routes():
    return [(r"^/operator/(?P<domain>[^/]+)/(?P<op_type>.+?)$", operator)]
