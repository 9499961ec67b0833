"""Unroll RNN, GRU and LSTM.

What it does: multiplies all inputs by the weights at once, then writes every step out with MatMul, Add and the activations; lengths become masks.
When it applies: weights constant, at most 64 steps, their number known.
Why: runtimes lack RNN, or directions, lengths, clipping, layouts and activations of LSTM and GRU.
Cost: as many kernels as steps times ten.
References: https://onnx.ai/onnx/operators/onnx__LSTM.html
"""

from functools import partial
from typing import Any

from opcompat.workarounds import FLOATS, Facts, Refused, Workaround, bare
from opcompat.workarounds._edit import Edit


def applies(facts: Facts) -> bool:
    return bare(facts) and facts.get("dtype") in FLOATS and facts.get("W.const") is True


def rewrite(model: Any, index: int) -> None:
    import numpy as np

    edit = Edit(model, index)
    node, op, layout = edit.node, edit.node.op_type, edit.attribute("layout", 0)
    x, shape = node.input[0], edit.shape(node.input[0])
    steps = shape[1 if layout else 0]
    if steps is None or steps > 64:
        raise Refused("it has more than 64 steps, or their number is not known")
    weights, inner = edit.array(node.input[1]), edit.array(node.input[2])
    ways, gates, hidden = weights.shape[0], {"RNN": 1, "GRU": 3, "LSTM": 4}[op], inner.shape[2]
    biases = edit.array(node.input[3]) if edit.given(3) else np.zeros((ways, 2 * gates * hidden), weights.dtype)
    peepholes = edit.array(node.input[7]) if edit.given(7) else None
    direction, before, clip = edit.attribute("direction", "forward"), edit.attribute("linear_before_reset", 0), edit.attribute("clip")
    usual = {"RNN": ["Tanh"], "GRU": ["Sigmoid", "Tanh"], "LSTM": ["Sigmoid", "Tanh", "Tanh"]}[op]
    names = edit.attribute("activations") or usual * ways
    alphas, betas = list(edit.attribute("activation_alpha", [])), list(edit.attribute("activation_beta", []))
    parameters = []
    for name in names:  # alpha and beta stand in order of the functions that take them
        if isinstance(name, bytes):
            name = name.decode()
        known = {"HardSigmoid": ("alpha", "beta"), "LeakyRelu": ("alpha",), "ThresholdedRelu": ("alpha",), "Elu": ("alpha",)}.get(name, ())
        if name not in ("Sigmoid", "Tanh", "Relu", "Softsign", "Softplus", *(("HardSigmoid", "LeakyRelu", "ThresholdedRelu", "Elu"))):
            raise Refused(f"its activation is {name}")
        held = {k: (alphas if k == "alpha" else betas).pop(0) for k in known if (alphas if k == "alpha" else betas)}
        if known and not held and name == "LeakyRelu":
            held = {"alpha": 0.01}
        parameters.append((name, held))

    def apply(name: str, held: dict[str, float], value: str) -> str:
        return str(edit(name, value, **dict[str, Any](held)))

    def bound(value: str) -> str:
        return edit("Clip", value, edit.const(-clip, x), edit.const(clip, x)) if clip is not None else value

    def state(at: int, way: int) -> str:
        """Return the initial state of a direction as [batch, hidden]."""
        if not edit.given(at):
            return str(edit.const(np.zeros((1, hidden)), x))
        row = edit.const(np.asarray(way, np.int64))
        return str(edit("Gather", node.input[at], row, axis=1 if layout else 0))

    time_first = edit("Transpose", x, perm=[1, 0, 2]) if layout else x
    all_y, all_h, all_c = [], [], []
    for way in range(ways):
        functions = parameters[way * len(usual) : (way + 1) * len(usual)]
        first, *others = [partial(apply, *f) for f in functions]
        input_bias, inner_bias = np.split(biases[way], 2)
        if op == "GRU" and before:  # the hidden gate's inner bias is multiplied by the reset gate
            added, kept = input_bias + np.r_[inner_bias[: 2 * hidden], np.zeros(hidden)], inner_bias[2 * hidden :]
        else:
            added, kept = input_bias + inner_bias, None
        fed = edit("Add", edit("MatMul", time_first, edit.const(weights[way].T, x)), edit.const(added, x))
        parts = edit.split(fed, [1] * steps, 0)
        mixed = inner[way][: 2 * hidden] if op == "GRU" else inner[way]
        turned, last = edit.const(mixed.T, x), edit.const(inner[way][2 * hidden :].T, x) if op == "GRU" else ""
        h, c, made = state(5, way), state(6, way) if op == "LSTM" else "", {}
        backwards = direction == "reverse" or way == 1
        for t in reversed(range(steps)) if backwards else range(steps):
            given = edit.reshape(parts[t], [-1, gates * hidden])
            if op == "GRU":
                gated, fresh = edit.split(given, [2 * hidden, hidden], 1)
                update, reset = edit.split(first(bound(edit("Add", gated, edit("MatMul", h, turned)))), [hidden, hidden], 1)
                if before:
                    back = edit("Mul", reset, edit("Add", edit("MatMul", h, last), edit.const(kept, x)))
                else:
                    back = edit("MatMul", edit("Mul", reset, h), last)
                candidate = others[0](bound(edit("Add", fresh, back)))
                new, new_c = edit("Add", candidate, edit("Mul", update, edit("Sub", h, candidate))), ""
            elif op == "RNN":
                new, new_c = first(bound(edit("Add", given, edit("MatMul", h, turned)))), ""
            else:
                i, o, f, g = edit.split(edit("Add", given, edit("MatMul", h, turned)), [hidden] * 4, 1)
                look = [edit.const(p, x) for p in np.split(peepholes[way], 3)] if peepholes is not None else []
                i = first(bound(edit("Add", i, edit("Mul", look[0], c)) if look else i))
                if edit.attribute("input_forget", 0):
                    f = edit("Sub", edit.const(1.0, x), i)
                else:
                    f = first(bound(edit("Add", f, edit("Mul", look[2], c)) if look else f))
                new_c = edit("Add", edit("Mul", f, c), edit("Mul", i, others[0](bound(g))))
                o = first(bound(edit("Add", o, edit("Mul", look[1], new_c)) if look else o))
                new = edit("Mul", o, others[1](new_c))
            shown = new
            if edit.given(4):  # past its end a sequence keeps its state and gives 0
                runs = edit("Less", edit.const(np.asarray(t, np.int32)), node.input[4])
                runs = edit.with_axes("Unsqueeze", runs, [1])
                shown, new = edit("Where", runs, new, edit.const(0.0, x)), edit("Where", runs, new, h)
                new_c = edit("Where", runs, new_c, c) if new_c else ""
            h, c = new, new_c
            made[t] = edit.reshape(shown, [1, 1, -1, hidden])
        all_y.append(edit("Concat", *(made[t] for t in range(steps)), axis=0))
        all_h.append(edit.reshape(h, [1, -1, hidden]))
        all_c.append(edit.reshape(c, [1, -1, hidden]) if c else "")

    def joined(values: list[str], axis: int, perm: list[int]) -> str:
        whole = edit("Concat", *values, axis=axis) if ways > 1 else values[0]
        return str(edit("Transpose", whole, perm=perm) if layout else whole)

    wanted = [bool(o) for o in node.output] + [False] * 3
    ends = [joined(all_y, 1, [2, 0, 1, 3]) if wanted[0] else "", joined(all_h, 0, [1, 0, 2]) if wanted[1] else ""]
    edit.done(*ends, joined(all_c, 0, [1, 0, 2]) if wanted[2] else "")


WORKAROUND = Workaround(
    name="unroll-recurrent",
    title="Unroll RNN, GRU and LSTM",
    kind="substitute",
    operators=("RNN", "GRU", "LSTM"),
    targets=("*",),
    advice="Exact but for rounding. Only for short sequences; a network of convolutions or attention runs better on accelerators.",
    source="https://onnx.ai/onnx/operators/onnx__LSTM.html",
    applies=applies,
    rewrite=rewrite,
)
