"""Runs inside the environment of winml-cli: makes the models its rule tables were made from again, and looks up what the tables say of each.

Writes frames to standard output, each a little-endian length and that many bytes. A JSON object starts the models of one table:
{"op_type", "domain", "since_version", "quantised", "targets", "rows"}; every other frame is one character for each target
(s: compiled and ran, f: ran with the CPU's help only, u: neither or it compiled and did not run, -: not tried) and a serialized model.
winml-cli's own generators make the models, so that the order of its cases and its derived conditions are its own.
"""

import builtins
import contextlib
import functools
import json
import os
import re
import struct
import sys
from pathlib import Path
from typing import Any

OUTCOMES = {(True, True): "s", (False, True): "f", (True, False): "u", (False, False): "u"}


def main(every: int, but: list[str]) -> None:
    """Write the frames of every Nth model of each table, without the tables named in `but`."""
    out = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    builtins.print = lambda *a, **k: None  # the generators tell every model they make

    import onnx
    import pyarrow.parquet as parquet
    import winml.modelkit as kit
    from google.protobuf.json_format import MessageToDict
    from winml.modelkit.analyze.runtime_checker import result_processor as results
    from winml.modelkit.onnx import ONNXDomain
    from winml.modelkit.pattern import op_input_gen as generators
    from winml.modelkit.pattern.op_input_gen import op_input_gen as base
    from winml.modelkit.pattern.op_input_gen.qdq_gen import QDQGenerator

    # shapes are inferred by the reader, and what a runtime did with an invalid model is still what it did
    onnx.shape_inference.infer_shapes = lambda model, *a, **k: model
    onnx.checker.check_model = lambda *a, **k: None
    make, values = base.OpInputGenerator._create_model, base.InputShapeConstraint.get_value
    base.OpInputGenerator._create_model = lambda *a, **k: functools.partial(make, *a, **k)  # made only if it is wanted
    kept: dict[Any, Any] = {}

    def value(self: Any, type_annotation: str) -> Any:
        key = (tuple(self.shape), repr(self.min_max), type_annotation)
        if key not in kept:
            kept[key] = values(self, type_annotation)
        return kept[key]

    base.InputShapeConstraint.get_value = value

    tables: dict[tuple[str, str, int, bool], dict[str, Path]] = {}
    for path in (Path(kit.__file__).parent / "analyze" / "rules" / "runtime_check_rules").glob("*/*.parquet"):
        folder = path.parent.name
        if found := re.match(rf"([A-Za-z0-9]+)_{re.escape(folder)}_([a-z.]+)_opset(\d+)(_qdq)?\.parquet$", path.name):
            op_type, domain, number, suffix = found.groups()
            tables.setdefault((op_type, "" if domain == "ai.onnx" else domain, int(number), bool(suffix)), {})[folder] = path
    targets = sorted({folder for paths in tables.values() for folder in paths})
    texts: dict[Any, str] = {}

    def text(value: Any) -> str:
        key = (type(value), value) if type(value) in (str, int, bool, type(None)) else repr(value)
        if key not in texts:
            texts[key] = results.encode_rule_condition_value_for_parquet(value)
        return texts[key]

    def send(data: bytes) -> None:
        out.write(struct.pack("<I", len(data)) + data)

    for op_type, domain, version, quantised in sorted(tables):
        paths = tables[op_type, domain, version, quantised]
        head: dict[str, Any] = {
            "op_type": op_type,
            "domain": domain,
            "since_version": version,
            "quantised": quantised,
            "targets": targets,
            "made": True,
        }
        lookups: list[tuple[str, tuple[str, ...], dict[Any, str]]] = []
        for target in targets:
            if target in paths:
                table = parquet.read_table(paths[target])
                columns = [c for c in table.column_names if c != "compile_run_success"]
                conditions = zip(*(table.column(c).to_pylist() for c in columns), strict=True) if columns else [()] * table.num_rows
                ends = (OUTCOMES[tuple(s)] for s in table.column("compile_run_success").to_pylist())
                lookups.append((target, tuple(columns), dict(zip(conditions, ends, strict=True))))
        head["rows"] = {target: len(answers) for target, _, answers in lookups}
        try:
            kind = generators.get_runtime_checker_op(op_type, domain=domain)
            schema = ONNXDomain.from_str(domain).get_op_schema(op_type, version)
            maker = kind(schema, qdq_generator=QDQGenerator(1, ONNXDomain.COM_MICROSOFT) if quantised else None)
        except (KeyError, ValueError, AssertionError):  # a pattern of several operators
            head["made"] = False
        if f"{domain or 'ai.onnx'}-{op_type}-{version}{'-qdq' if quantised else ''}" in but:
            continue
        send(json.dumps(head).encode())
        if not head["made"]:
            continue
        cases = []
        for inputs, tags in maker.iter():
            for lazy, told in maker.iter_const_and_dynamic_models(inputs, tags):
                told.pop("_validation_input_constraints", None)
                # as they are once winml-cli has written its results to a file
                told["attrs"] = {k: MessageToDict(v) if isinstance(v, onnx.TensorProto) else v for k, v in told["attrs"].items()}
                cases.append((lazy, told))
        every_tags = [t for _, t in cases]
        kinds, attributes = results._get_input_constraint_types(every_tags), results._get_all_attr_names(every_tags)
        for lazy, tags in cases[::every]:
            row = results.item_to_row(tags, kinds, attributes, maker.replace_float_with_dummy_in_query, use_qdq=quantised)
            with contextlib.suppress(NotImplementedError):
                row = maker.derive_properties(row)
            keys: dict[tuple[str, ...], tuple[str, ...]] = {}
            said = dict.fromkeys(targets, "-")
            for target, asked, answers in lookups:
                if asked not in keys:
                    keys[asked] = tuple(text(row.get(c)) for c in asked)
                said[target] = answers.get(keys[asked], "-")
            answer = "".join(said[t] for t in targets)
            if answer.strip("-"):
                send(answer.encode() + lazy().SerializeToString())
    out.flush()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
