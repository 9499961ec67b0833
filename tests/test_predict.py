"""Predictions: exact, blamed, covered, unknown; and claims."""

import os
import re
import subprocess
import sys
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from opcompat.predict import Claim, Evidence, causes, difference, holds, judge_claims, predict, trusted

BASE = {"rank": 4, "dtype": "float32", "grouping": "none", "kernel": 3, "const": True}


def made(name: str, outcome: str = "pass", **facts: object) -> Evidence:
    return Evidence(name, {**BASE, **facts}, outcome)  # type: ignore[arg-type]


def blamed(evidence: list[Evidence]) -> list[Evidence]:
    found = causes(evidence)
    return [Evidence(e.probe, e.facts, e.outcome, e.placement, e.context, found.get(e.probe)) for e in evidence]


EVIDENCE = blamed(
    [made("base"), made("k1", kernel=1), made("k7", kernel=7), made("f16", dtype="float16"), made("few", "fail", grouping="few"), made("r3", rank=3)]
)


def test_exact_match_takes_the_probes_outcome() -> None:
    assert (predict(BASE, EVIDENCE).verdict, predict(BASE, EVIDENCE).confidence) == ("works", "exact")
    found = predict({**BASE, "grouping": "few"}, EVIDENCE)
    assert (found.verdict, found.confidence, found.probe) == ("breaks", "exact", "few")


def test_a_failing_fact_speaks_for_other_nodes_that_have_it() -> None:
    found = predict({**BASE, "grouping": "few", "kernel": 7, "rank": 3}, EVIDENCE)
    assert (found.verdict, found.confidence) == ("breaks", "inferred")
    assert "grouping = few" in found.reason and found.differs["kernel"] == (7, 3)


def test_covered_facts_combine_and_numbers_interpolate() -> None:
    assert predict({**BASE, "kernel": 5, "dtype": "float16"}, EVIDENCE).verdict == "works"


def test_what_nobody_tried_is_unknown() -> None:
    for facts in ({**BASE, "kernel": 11}, {**BASE, "dtype": "int8"}, {**BASE, "const": False}, {**BASE, "extra": 1}):
        assert predict(facts, EVIDENCE).verdict == "unknown"
    assert predict(BASE, []).verdict == "unknown"


def test_a_fact_that_also_passes_is_not_blamed() -> None:
    evidence = blamed([made("base"), made("few", "fail", grouping="few", kernel=5), made("fewer", grouping="few")])
    assert causes(evidence)["few"] == {"kernel": 5}


def test_an_operator_that_never_passes_breaks_only_after_several_tries() -> None:
    two = blamed([made("a", "fail"), made("b", "fail", kernel=1)])
    assert predict({**BASE, "kernel": 7}, two).verdict == "unknown"
    three = blamed([*two, made("c", "crash", rank=3)])
    assert predict({**BASE, "kernel": 7}, three).verdict == "breaks"


def test_equal_probes_that_disagree_are_unknown() -> None:
    found = predict(BASE, [made("a"), made("b", "wrong")])
    assert (found.verdict, found.confidence) == ("unknown", "conflicting")


def test_a_context_probe_outranks_a_bare_one() -> None:
    bare, inside = made("bare", "wrong"), Evidence("inside", BASE, "pass", "native", True)
    assert predict(BASE, [bare, inside]).verdict == "works"


def test_wrong_numbers_at_the_edge_of_a_graph_are_not_trusted() -> None:
    bare, inside = made("bare", "wrong"), Evidence("inside", BASE, "pass", "native", True)
    other, refused = made("other", "wrong", kernel=5), made("refused", "fail", kernel=7)
    far = made("far", "wrong", kernel=5, rank=3, dtype="float16")
    assert [e.probe for e in trusted([bare, inside, other, far, refused])] == ["inside", "far", "refused"]
    assert len(trusted([bare, other])) == 2


def test_fallback_is_not_works() -> None:
    assert predict(BASE, [Evidence("a", BASE, "pass", "fallback")]).verdict == "falls_back"


facts = st.dictionaries(st.sampled_from("abcd"), st.integers(0, 2), min_size=1)


@given(facts, st.lists(st.tuples(facts, st.sampled_from(["pass", "fail", "wrong"])), max_size=12))
def test_no_passing_probe_no_works_and_no_failing_probe_no_breaks(node: dict, rows: list) -> None:  # type: ignore[type-arg]
    evidence = blamed([Evidence(str(i), f, o) for i, (f, o) in enumerate(rows)])
    verdict = predict(node, evidence).verdict
    outcomes = {o for _, o in rows}
    assert verdict != "works" or "pass" in outcomes
    assert verdict != "breaks" or outcomes & {"fail", "wrong"}
    exact = {e.outcome for e in evidence if not difference(node, e.facts)}
    if exact == {"pass"}:
        assert verdict == "works"
    if exact and "pass" not in exact:
        assert verdict == "breaks"


def claim(status: str, when: dict | None = None, limits: dict | None = None, unchecked: str = "") -> Claim:  # type: ignore[type-arg]
    return Claim(1, status, when or {}, limits or {}, unchecked, "")


def verdict(*claims: Claim, general: tuple[Claim, ...] = (), **facts: object) -> str:
    return judge_claims({**BASE, "X.rank": 4, **facts}, claims, general)[0].verdict  # type: ignore[dict-item]


def test_claims() -> None:
    assert verdict() == "unknown"
    assert verdict(claim("supported")) == "works"
    assert verdict(claim("unsupported")) == "breaks"
    assert verdict(claim("folded")) == "works"
    assert verdict(claim("supported", {"grouping": "few"})) == "unknown"
    assert verdict(claim("supported", {}, {"kernel": {"max": 3}})) == "works"
    assert verdict(claim("supported", {}, {"kernel": {"max": 3}}), kernel=5) == "breaks"
    assert verdict(claim("supported", {}, {"dtype": "float32"}), dtype="unknown") == "unknown"
    assert verdict(claim("partial", unchecked="prose")) == "unknown"
    assert verdict(claim("partial", limits={"kernel": [1, 3]})) == "works"
    assert verdict(claim("unsupported", {"grouping": "few"}), claim("supported", {"grouping": "none"})) == "works"
    four = (claim("partial", limits={"rank.max": {"max": 4}}),)
    assert verdict(claim("supported"), general=four, **{"X.rank": 5}) == "breaks"
    assert verdict(claim("supported", {"X.rank": 5}), general=four, **{"X.rank": 5}) == "works"


def test_conditions() -> None:
    assert holds({"not": ["a", "b"]}, "c") and not holds({"not": "a"}, "a")
    assert not holds({"max": 3}, "unknown") and not holds(1, True) and holds([1, True], True)


def test_what_runs_elsewhere_is_blamed_as_what_fails_is() -> None:
    here, there = blamed([made("a"), Evidence("b", {**BASE, "dtype": "int64"}, "pass", "fallback")])
    assert there.cause == {"dtype": "int64"}
    assert predict({**BASE, "dtype": "int64", "kernel": 7}, [here, there]).verdict == "falls_back"
    assert predict({**BASE, "dtype": "float16"}, [here, there]).verdict == "unknown", "int64 says nothing of float16"
    assert predict({**BASE, "dtype": "int64"}, [there]).verdict == "falls_back", "measured so"
    assert predict(BASE, [there]).verdict == "unknown"


def test_a_failure_is_set_apart_from_what_runs_at_all() -> None:
    there, failed = Evidence("b", BASE, "pass", "fallback"), made("c", "fail", kernel=2)
    assert causes([there, failed]) == {"b": None, "c": {"kernel": 2}}


def test_the_bench_of_accuracy_runs(small_base: Path) -> None:
    command = [sys.executable, "bench/accuracy.py"]
    env = {**os.environ, "OPCOMPAT_DB": str(small_base)}
    done = subprocess.run(command, cwd=Path(__file__).parent.parent, env=env, capture_output=True, text=True)
    assert not done.returncode, done.stderr
    assert re.search(r"demo/npu +\d+ ", done.stdout)
