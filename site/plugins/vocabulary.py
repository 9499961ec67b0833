"""Signs, plain words and addresses: filters and functions for the templates, and links in the cells of Datasette's own tables."""

import json
from functools import lru_cache
from itertools import groupby
from urllib.parse import quote, urlencode

from datasette import hookimpl
from markupsafe import Markup, escape

OUTCOMES = {
    "pass": ("works", "✓", "works"), "fallback": ("falls_back", "↷", "falls back"), "fail": ("breaks", "✗", "refused"),
    "wrong": ("breaks", "✗", "wrong numbers"), "crash": ("breaks", "✗", "crash"), "timeout": ("breaks", "✗", "timeout"),
}  # fmt: skip
TABLES = {"declared": "the SDK's own table", "reported": "a third party's report", "claimed": "the document"}
COUNTED = {"fell_back": "fall back", "failed": "refused", "wrong": "wrong numbers", "crashed": "crash", "timed_out": "time out"}
CLAIMED = {
    "supported": ("works", "✓", "yes"), "folded": ("works", "✓", "folded"), "partial": ("partly", "◐", "limits"),
    "unsupported": ("breaks", "✗", "no"), "fallback": ("falls_back", "↷", "elsewhere"),
}  # fmt: skip
ORACLES = {
    "both": "ONNX's reference and unoptimised ONNX Runtime, which agree", "reference": "ONNX's reference", "ort": "unoptimised ONNX Runtime",
    "numpy": "an answer written in numpy", "none": "nothing: the references disagree, or none runs it",
}  # fmt: skip


def outcome(result):
    """Return (class, sign, word) of one result."""
    fell_back = result["outcome"] == "pass" and result["placement"] == "fallback"
    said = OUTCOMES.get("fallback" if fell_back else result["outcome"], ("unknown", "–", "not measured"))
    return said if result.get("confirmed", 1) else ("unknown", said[1], f"{said[2]}, says one other host: unconfirmed")


def verdict(row):
    """Return (class, sign, short text, full text) of a row of the view `support`; `written`: it counts the rows of a table, not results."""
    total, passed = row["probes"], row["passed"]
    if row.get("written"):
        alike = {"supported": passed, "unsupported": row["failed"], "fallback": row["fell_back"]}
        kind = CLAIMED[next((status for status, number in alike.items() if number == total), "partial")]
        return *kind, f"{TABLES[row['evidence']]} says {kind[2]} ({total} row{'s' * (total != 1)})"
    if passed:
        kind, sign = ("works", "✓") if passed == total else ("partly", "◐")
    else:
        kind, sign = ("falls_back", "↷") if row["fell_back"] == total else ("breaks", "✗")
    ways = [f"{row[key]} {word}" for key, word in COUNTED.items() if row[key]]
    return kind, sign, f"{passed}/{total}", f"{passed} of {total} variants work" + "".join(f", {way}" for way in ways)


def spell(condition):
    """Say a condition of a document: a value, a list, {min, max} or {not}."""
    if isinstance(condition, dict):
        if "not" in condition:
            return f"other than {spell(condition['not'])}"
        low, high = condition.get("min"), condition.get("max")
        return f"{low} to {high}" if low is not None and high is not None else f"at most {high}" if low is None else f"at least {low}"
    if isinstance(condition, list):
        return " or ".join(map(spell, condition))
    return str(condition).lower() if isinstance(condition, bool) else str(condition)


NAMED = {
    "dtype": "the data type", "since_version": "the operator's version", "outputs": "the number of outputs", "opset": "the opset",
    "from to": "the conversion", "grouping": "the grouping", "axis": "the axis", "axes": "the axes", "rank.max": "the largest rank",
}  # fmt: skip
DYNAMIC = {
    "none": "every dimension is fixed", "batch": "the batch size is dynamic", "other": "a dimension other than the batch is dynamic",
    "all": "every dimension is dynamic",
}  # fmt: skip
PARTS = {
    "rank": "the rank of {}", "dtype": "the data type of {}", "count": "the number of {}", "max": "the largest {}", "min": "the smallest {}",
}  # fmt: skip
SWITCHES = {
    "const": ("{} is constant", "{} is computed"), "present": ("{} is given", "{} is left out"), "given": ("{} is given", "{} is left out"),
    "explicit": ("{} is written out", "{} is left at its default"), "dynamic": ("{} is dynamic", "{} is fixed"),
}  # fmt: skip


def plainly(name, value):
    """Say one fact, or what a document wants of one: `the rank of X is 5`, `the batch size is dynamic`."""
    of, _, part = name.rpartition(".")
    if name == "dynamic" and str(value) in DYNAMIC:
        return DYNAMIC[value]
    if name == "quantised" and isinstance(value, str):
        return "it is not quantised" if value == "none" else f"it is quantised {'' if value.startswith('per') else 'to '}{value}"
    if isinstance(value, bool):
        known = SWITCHES.get(part) if of else None
        return known[not value].format(of) if known else f"{name.replace('.', ' ')} is {'true' if value else 'false'}"
    subject = PARTS[part].format(of) if of and part in PARTS and name not in NAMED else NAMED.get(name, name)
    return f"{subject} is {spell(value)}"


def say(facts, joint=" and "):
    """Say facts or conditions, given as JSON: `the data type is float16 and every dimension is dynamic`."""
    return joint.join(plainly(name, value) for name, value in sorted(json.loads(facts).items()))


@lru_cache(10_000)
def blame(cause):
    """Say the factor that fails: facts as JSON, {} where nothing of the operator works, None where nothing could be blamed."""
    return "no single factor explains it" if cause is None else f"when {said}" if (said := say(cause)) else "in every variant tried"


def stretches(measured):
    """Return stretches of neighbouring versions that look alike: dicts of looks, kind, sign, word, first and last version, at (index of the first).

    measured: (version, (kind, sign, word, ...)), oldest first. Stretches never join over an unmeasured version, which is a stretch of its own.
    """
    found = []
    for at, (version, looks) in enumerate(measured):
        if found and found[-1]["looks"] == looks:
            found[-1]["last"] = version
        else:
            found.append({"looks": looks, "kind": looks[0], "sign": looks[1], "word": looks[2], "first": version, "last": version, "at": at})
    return found


def lived(results):
    """Return stretches (see `stretches`) of one probe's results on one target, oldest version first, each with the first message of it."""
    never = ("unknown", "?", "not tried")
    found = stretches([(r["version"], outcome(r) if r["outcome"] else never) for r in results])
    return [{**s, "message": results[s["at"]]["message"] or ""} for s in found]


def counted(counts):
    """Return stretches (see `stretches`) of an operator's counts on one target, oldest version first."""
    looks = [(c["version"], (*verdict(c)[:3], 100 * c["passed"] // c["probes"])) for c in counts]
    return [{**s, "share": s["looks"][3]} for s in stretches(looks)]


def by_runtime(targets):
    """Return [(runtime, its targets)] of sorted names."""
    return [(runtime, list(members)) for runtime, members in groupby(targets, key=lambda t: t.split("/")[0])]


def history(spans):
    """Say how a probe fared, from rows of `spans`, oldest first: `refused up to 1.20.1, works from 1.22.1 on`."""
    words = [outcome({"outcome": s["outcome"], "placement": ""})[2] for s in spans]
    middle = [
        f"{word} from {s['first']} to {s['last']}" if s["first"] != s["last"] else f"{word} in {s['first']}"
        for word, s in zip(words[1:-1], spans[1:-1], strict=True)
    ]
    return ", ".join([f"{words[0]} up to {spans[0]['last']}", *middle, f"{words[-1]} from {spans[-1]['first']} on"])


def linked(request, drop=(), **changed):
    """Return the query string of this page with some arguments changed; empty ones fall away. drop: names left out."""
    kept = [(name, value) for name in request.args for value in request.args.getlist(name) if value and name not in drop and name not in changed]
    return "?" + urlencode([*kept, *((name, value) for name, value in changed.items() if value)])


@lru_cache(1)
def addresses(datasette):
    base = datasette.urls.path("/")

    def at(*parts):
        return base + quote("/".join(parts), safe="/:,=@+;!*()'")

    return {
        "operator_url": lambda domain, op_type: at("operator", domain or "ai.onnx", op_type), "target_url": lambda target: at("target", target),
        "probe_url": lambda probe: at("probe", probe), "model_url": lambda probe: at("probe-model", probe + ".onnx"),
    }  # fmt: skip


@hookimpl
def prepare_jinja2_environment(env, datasette):
    env.globals.update(
        addresses(datasette), verdict=verdict, outcome=outcome, claimed=CLAIMED, oracles=ORACLES, table_words=TABLES,
        blame=blame, stretches=stretches, history=history,
        linked=linked, plainly=plainly, counted=counted, lived=lived, by_runtime=by_runtime,
    )  # fmt: skip
    env.filters.update(say=say, parsed=json.loads, doubled=lambda value: (value, value), tally=lambda groups: sum(map(len, groups.values())))


@hookimpl
def render_cell(row, value, column, datasette):
    """Link probes, targets and operators wherever Datasette shows them."""
    if column not in ("probe", "target", "op_type") or not isinstance(value, str) or not value:
        return None
    to = addresses(datasette)
    if column == "probe":
        there = to["probe_url"](value)
    elif column == "target" and "/" in value:
        there = to["target_url"](value)
    elif column == "op_type" and value != "*" and "domain" in row.keys():  # noqa: SIM118 (a sqlite3.Row)
        there = to["operator_url"](row["domain"], value)
    else:
        return None
    return Markup(f'<a href="{escape(there)}">{escape(value)}</a>')  # Markup.format takes five times as long
