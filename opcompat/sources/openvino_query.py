"""OpenVINO's Core.query_model: which nodes the CPU plugin says it would take, asked with every bare probe. https://docs.openvino.ai

Nothing is compiled and nothing runs. A model that OpenVINO's ONNX frontend cannot read is a refusal too: there is nothing to ask about.
"""

from collections.abc import Iterator
from typing import Any

from opcompat import env, probe, runner
from opcompat.runtimes.openvino import Query
from opcompat.sources import Table, header
from opcompat.sources._condense import Case, condense

STATUS = {"pass": "supported", "fail": "unsupported"}
NOTES = {"supported": "read, and all of it taken by query_model", "unsupported": "not read, or not all of it taken by query_model"}


class Source:
    NAME = "openvino-query"
    ABOUT = "Which probes OpenVINO's CPU plugin says it would take; a few minutes."
    RUNTIME = "openvino"

    def rows(self, environment: env.Environment, progress: Any) -> Iterator[Table]:
        """Yield header and rows of the CPU plugin."""
        asked = [p for p in probe.load() if p.focus is not None and not p.context and p.facts.get("quantised", "none") == "none"]
        outcomes: dict[str, str] = {}
        with runner.Target(Query, {}, environment.python) as target:
            for p, raw, *_ in target.raw(asked):
                outcomes[p.id] = raw.outcome  # one that is asked again comes again
                progress(f"{len(outcomes)} of {len(asked)} probes")
        said: dict[tuple[str, str], dict[tuple[tuple[str, Any], ...], set[str]]] = {}
        for p in asked:
            if (status := STATUS.get(outcomes[p.id])) is not None:
                said.setdefault((p.domain, p.op_type), {}).setdefault(tuple(sorted(p.facts.items())), set()).add(status)
        rows = []
        for (domain, op_type), answers in sorted(said.items()):
            for status, when in condense([Case(dict(facts), found.pop() if len(found) == 1 else "") for facts, found in answers.items()]):
                rows.append({"op_type": op_type, "domain": domain, "status": status, "when": when, "note": NOTES[status]})
        yield (
            "openvino-cpu-query",
            header(
                "openvino/cpu", "declared", "OpenVINO's CPU plugin: what query_model says of each probe.",
                title="openvino.Core.query_model", publisher="Intel, OpenVINO", version=environment.packages["openvino"], date="2026-11",
            ),
            rows,
        )  # fmt: skip
