"""The base that ships: what people type resolves, every target has evidence, and its page tells all."""

import pytest
from click.testing import CliRunner

from opcompat import cli
from opcompat.checker import answering, resolve
from opcompat.runfiles import database_path
from opcompat.runtimes import measured_targets
from opcompat.store import Base

TYPED = [
    "snpe", "qnn", "tflite", "litert", "nnapi", "coreml", "ane", "edgetpu", "coral", "tensorrt", "trt", "jetson", "tf-trt", "openvino", "ov",
    "myriad", "ncnn", "rknn", "rockchip", "rk3588", "migraphx", "rocm", "amd", "opencv", "cv2", "opencv4", "onnxjs", "tfjs", "wasm", "webgpu",
    "pytorch-mobile", "executorch", "neoml", "mnn", "tract", "tvm", "iree", "ort", "onnxruntime", "hexagon", "winml", "directml",
]  # fmt: skip


@pytest.fixture(scope="module")
def base() -> Base:
    return Base(database_path())


@pytest.mark.parametrize("typed", TYPED)
def test_what_people_type_is_a_target(base: Base, typed: str) -> None:
    known, versions = base.targets(), base.versions()
    for name in resolve([typed], known):
        asked = answering(name, known, versions)
        assert asked.sources or asked.documents, name


def test_every_target_has_evidence_and_says_what_it_is(base: Base) -> None:
    counts = base.counts()
    for t in base.targets().values():
        operators, probes, statements = counts[t.target]
        assert operators and probes + statements, t.target
        assert t.about.endswith(".") and t.newest and t.last_run, t.target


def test_what_was_campaigned_here_is_measured_or_declared(base: Base) -> None:
    recorded = set(base.versions())
    absent = [t for t, r in measured_targets().items() if t not in recorded and not getattr(r, "BY_NAME", False)]
    assert absent == []


def test_the_command_tells_all_of_a_target() -> None:
    told = CliRunner().invoke(cli.app, ["targets", "rk3588"]).output
    assert "rknn/rk3588" in told and "Rockchip" in told and "a probe takes" in told and "tract" not in told
    listed = CliRunner().invoke(cli.app, ["targets"], env={"COLUMNS": "160"}).output
    assert all(word in listed for word in ("tract/cpu", "tensorrt/gpu", "claimed", "measured", "declared"))


def test_a_narrow_terminal_cuts_no_number(base: Base) -> None:
    listed = CliRunner().invoke(cli.app, ["targets"], env={"COLUMNS": "80"}).output.splitlines()
    cells = {line.split()[0]: line.split()[1:] for line in listed}
    for target, numbers in base.counts().items():
        if target in base.targets():
            assert [str(n) for n in numbers if n or n is numbers[0]] == [c for c in cells[target][2:] if c.isdigit()], target


def test_a_device_names_its_targets_unless_a_runtime_is_called_so(base: Base) -> None:
    known = base.targets()
    assert {t.split("/")[0] for t in resolve(["qnn"], known)} == {"qnn"}, "not executorch/qnn, nor tflite/qnn"
    assert {t.split("/")[1] for t in resolve(["wasm"], known)} == {"wasm"} and len(resolve(["wasm"], known)) == 3


def test_the_last_run_is_the_last_of_probes_and_timings(base: Base) -> None:
    sql = "SELECT t.target FROM targets t JOIN runs r ON r.target = t.target AND r.version = t.newest GROUP BY 1 HAVING MAX(r.started) <> t.last_run"
    assert base.db.execute(sql).fetchall() == []
