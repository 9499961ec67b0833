"""Do the condensed rows of data/sources/winml-*.jsonl answer as winml-cli's tables do?

    python bench/reported.py EVERY      every 60th, say, of the models behind the tables is made again and asked about
    python bench/reported.py kept       every combination of facts that `opcompat sources winml` read off the models and kept in the cache

Prints, for each target, how many models the rows answer as the table does, how many they leave open, and each difference. Ends with 1 if there
is any. The models are made in the environment that `opcompat sources winml` installs.
"""

import gzip
import json
import sys
from collections import Counter, defaultdict

from opcompat import claims, env, predict
from opcompat.runfiles import data_folder
from opcompat.sources import environment_of, winml

SAID = {"s": "works", "f": "falls_back", "u": "breaks"}


def rows_of(target: str) -> dict[tuple[str, str], list[predict.Claim]]:
    """Return the rows of a target by operator."""
    _, rows = claims.read(data_folder() / "sources" / f"winml-{target.replace('/', '-')}.jsonl")
    found: dict[tuple[str, str], list[predict.Claim]] = defaultdict(list)
    for number, row in enumerate(rows):
        found[row.domain, row.op_type].append(predict.Claim(number, row.status, row.when, row.limits, row.unchecked, row.note, row.runtime_op))
    return found


def main(every: int) -> int:
    """Compare and print; return the number of differences."""
    environment: env.Environment = environment_of(winml.Source)
    rows = {folder: rows_of(target) for folder, (target, *_) in winml.TARGETS.items()}
    counts: dict[str, Counter[str]] = {folder: Counter() for folder in winml.TARGETS}
    made = 0
    for head, facts, letters in winml.models(environment, every, []):
        made += bool(facts)
        for folder, letter in zip(head["targets"] if facts else (), letters, strict=True):
            if letter == "-":
                continue
            operator = (head["domain"], head["op_type"])
            found, row = predict.judge_claims(dict(facts), rows[folder].get(operator, []))
            if found.verdict == "unknown":
                counts[folder]["open"] += 1
            elif found.verdict == SAID[letter]:
                counts[folder]["equal"] += 1
            else:
                counts[folder]["different"] += 1
                where = f"{winml.TARGETS[folder][0]} {winml.name(head)}"
                print(f"{where}: the table says {SAID[letter]}, line {row.row + 2 if row else 0} {found.verdict}: {dict(facts)}")
    print(f"{made} models")
    for folder, (target, *_) in winml.TARGETS.items():
        said = counts[folder]
        print(f"{target}: {said['equal']} models answered as the table does, {said['open']} left open, {said['different']} differ")
    return sum(c["different"] for c in counts.values()) if made else 1


def kept() -> int:
    """Compare with what is kept of the translation and print; return the number of differences."""
    rows = {folder: rows_of(target) for folder, (target, *_) in winml.TARGETS.items()}
    counts: dict[str, Counter[str]] = {folder: Counter() for folder in winml.TARGETS}
    for path in sorted(winml.kept(environment_of(winml.Source)).glob("*.json.gz")):
        head, lines = json.loads(gzip.decompress(path.read_bytes()))
        for facts, said in lines:
            for folder, letters in said.items():
                found, _ = predict.judge_claims(facts, rows[folder].get((head["domain"], head["op_type"]), []))
                if found.verdict == "unknown":
                    counts[folder]["open"] += 1
                elif len(letters) == 1 and found.verdict == SAID[letters]:
                    counts[folder]["equal"] += 1
                else:
                    counts[folder]["different"] += 1
                    print(f"{winml.TARGETS[folder][0]} {winml.name(head)}: the table says {letters}, a row {found.verdict}: {facts}")
    for folder, (target, *_) in winml.TARGETS.items():
        said = counts[folder]
        print(f"{target}: {said['equal']} combinations answered as the table does, {said['open']} left open, {said['different']} differ")
    return sum(c["different"] for c in counts.values()) if counts else 1


if __name__ == "__main__":
    asked = sys.argv[1] if len(sys.argv) > 1 else "60"
    raise SystemExit(1 if (kept() if asked == "kept" else main(int(asked))) else 0)
