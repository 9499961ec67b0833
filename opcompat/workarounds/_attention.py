"""Attention in common operators: what the rewrites of several attention operators share."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from opcompat.workarounds._edit import Edit


def heads_apart(edit: "Edit", value: str, shape: Sequence[int], heads: int) -> str:
    """Bring [batch, tokens, heads x width] to [batch, heads, tokens, width]."""
    batch, tokens, width = shape
    return str(edit("Transpose", edit.reshape(value, [batch, tokens, heads, width // heads]), perm=[0, 2, 1, 3]))


def heads_joined(edit: "Edit", value: str, batch: int, tokens: int) -> str:
    """Bring [batch, heads, tokens, width] to [batch, tokens, heads x width]."""
    return edit.reshape(edit("Transpose", value, perm=[0, 2, 1, 3]), [batch, tokens, -1])


def attend(edit: "Edit", q: str, k: str, v: str, scale: float, like: str, biases: Sequence[str], softcap: float = 0.0) -> str:
    """Add softmax(cap(scale * q k') + biases) v over [batch, heads, tokens, width]; `like` names a value of their dtype."""
    scores = edit("MatMul", edit("Mul", q, edit.const(scale, like)), edit("Transpose", k, perm=[0, 1, 3, 2]))
    if softcap:
        cap = edit.const(softcap, like)
        scores = edit("Mul", edit("Tanh", edit("Div", scores, cap)), cap)
    for bias in biases:
        scores = edit("Add", scores, bias)
    return str(edit("MatMul", edit("Softmax", scores, axis=-1), v))
