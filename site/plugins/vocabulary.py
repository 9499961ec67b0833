"""Signs, plain words and addresses: filters and functions for the templates, and links in the cells of Datasette's own tables."""

import json
from urllib.parse import quote

from datasette import hookimpl
from markupsafe import Markup

OUTCOMES = {
    "pass": ("works", "✓", "works"), "fallback": ("falls_back", "↷", "falls back"), "fail": ("breaks", "✗", "refused"),
    "wrong": ("breaks", "✗", "wrong numbers"), "crash": ("breaks", "✗", "crash"), "timeout": ("breaks", "✗", "timeout"),
}  # fmt: skip
COUNTED = {"fell_back": "fall back", "failed": "refused", "wrong": "wrong numbers", "crashed": "crash", "timed_out": "time out"}
CLAIMED = {
    "supported": ("works", "✓", "yes"), "folded": ("works", "✓", "folded"), "partial": ("partly", "◐", "limits"),
    "unsupported": ("breaks", "✗", "no"),
}  # fmt: skip
ORACLES = {
    "both": "ONNX's reference and unoptimised ONNX Runtime, which agree", "reference": "ONNX's reference", "ort": "unoptimised ONNX Runtime",
    "numpy": "an answer written in numpy", "none": "nothing: the references disagree, or none runs it",
}  # fmt: skip


def outcome(result):
    """Return (class, sign, word) of one result."""
    fell_back = result["outcome"] == "pass" and result["placement"] == "fallback"
    return OUTCOMES.get("fallback" if fell_back else result["outcome"], ("unknown", "–", "not measured"))


def verdict(row):
    """Return (class, sign, short text, full text) of a row of the view `support`."""
    total, passed = row["probes"], row["passed"]
    if row["evidence"] == "claimed":
        kind = CLAIMED["supported" if passed == total else "unsupported" if row["failed"] == total else "partial"]
        return *kind, f"the document says {kind[2]} ({total} row{'s' * (total != 1)})"
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


def say(facts, joint=" and "):
    """Say facts or conditions, given as JSON: `dtype is float16 and dynamic is all`."""
    return joint.join(f"{name} is {spell(value)}" for name, value in sorted(json.loads(facts).items()))


def blame(cause):
    """Say the factor that fails: facts as JSON, {} where nothing of the operator works, None where nothing could be blamed."""
    return "no single factor explains it" if cause is None else f"when {said}" if (said := say(cause)) else "in every variant tried"


def addresses(datasette):
    def at(*parts):
        return datasette.urls.path("/" + quote("/".join(parts), safe="/:,=@+;!*()'"))

    return {
        "operator_url": lambda domain, op_type: at("operator", domain or "ai.onnx", op_type), "target_url": lambda target: at("target", target),
        "probe_url": lambda probe: at("probe", probe), "model_url": lambda probe: at("probe-model", probe + ".onnx"),
    }  # fmt: skip


@hookimpl
def prepare_jinja2_environment(env, datasette):
    env.globals.update(addresses(datasette), verdict=verdict, outcome=outcome, claimed=CLAIMED, oracles=ORACLES, blame=blame)
    env.filters.update(say=say, parsed=json.loads)


@hookimpl
def render_cell(row, value, column, datasette):
    """Link probes, targets and operators wherever Datasette shows them."""
    to = addresses(datasette)
    if not isinstance(value, str) or not value:
        return None
    if column == "probe":
        return Markup('<a href="{}">{}</a>').format(to["probe_url"](value), value)
    if column == "target" and "/" in value:
        return Markup('<a href="{}">{}</a>').format(to["target_url"](value), value)
    if column == "op_type" and value != "*" and "domain" in row.keys():  # noqa: SIM118 (a sqlite3.Row)
        return Markup('<a href="{}">{}</a>').format(to["operator_url"](row["domain"], value), value)
    return None
