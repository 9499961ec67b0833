"""The newest opset that a runtime takes: operators that have not changed for long, in models of every opset since.

Many runtimes refuse a whole model for its opset, whatever is in it; only such probes tell that from a new version of an operator."""

from collections.abc import Iterator

from opcompat.probe import Probe, const, data, single_op

FAMILY = "opsets"


def probes() -> Iterator[Probe]:
    for opset in range(18, 29):
        x = data(2, 4, 6)
        yield single_op(FAMILY, "Relu", f"opset={opset}", {"X": x}, opset=opset)
        yield single_op(FAMILY, "Mul", f"opset={opset}", {"A": x, "B": data(2, 4, 6, seed=1)}, opset=opset)
        yield single_op(FAMILY, "MatMul", f"opset={opset}", {"A": x, "B": const(data(6, 5), "float32")}, opset=opset)
