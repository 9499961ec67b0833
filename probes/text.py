"""Strings: joined, split, normalised, matched and counted as n-grams, and cast to numbers and back: attributes, rank, broadcasting, empty strings and
tensors. Few runtimes take strings at all; case is changed for ASCII letters only, since locales decide the rest."""

from collections.abc import Iterator
from typing import Any

import numpy as np

from opcompat.probe import Array, Const, Probe, single_op

FAMILY = "text"


def texts(*values: str, shape: tuple[int, ...] = ()) -> Array:
    return np.array(values, object).reshape(shape or (len(values),))


def one(op: str, name: str, inputs: dict[str, Array | Const | None], answer: list[Array] | None = None, opset: int = 20, **attributes: Any) -> Probe:
    declared = {}
    if answer is not None:
        kinds = ["string" if a.dtype == object else a.dtype.name for a in answer]
        declared = {"output_dtypes": kinds, "output_shapes": [list(a.shape) for a in answer], "answer": lambda feeds: answer}
    return single_op(FAMILY, op, name, inputs, opset=opset, outputs=len(answer or [0]), **declared, **attributes)


WORDS = texts("abc", "", "x y", "Äpfel", "日本", "a")


def joined() -> Iterator[Probe]:
    square = WORDS.reshape(2, 3)
    cases: dict[str, tuple[Array, Array | Const]] = {
        "base": (WORDS, WORDS[::-1].copy()), "rank=2": (square, square[::-1].copy()), "broadcast=row": (square, texts("1", "22", "")),
        "broadcast=both": (square[:, :1].copy(), texts("1", "22", "")), "0-d": (texts("a", shape=()).reshape(()), texts("b").reshape(())),
        "empty": (texts().reshape(0), texts().reshape(0)), "Y=constant": (WORDS, Const(texts("!"))),
    }  # fmt: skip
    for name, (x, y) in cases.items():
        other = y.array if isinstance(y, Const) else y
        yield one("StringConcat", name, {"X": x, "Y": y}, [np.asarray(x + other, object)])


def split() -> Iterator[Probe]:
    cases: dict[str, tuple[Array, dict[str, Any]]] = {
        "base": (texts("a b c", "one", "x  y", ""), {}), "delimiter": (texts("a,b", "c,,d", ","), {"delimiter": ","}),
        "long delimiter": (texts("a--b-c", "--", "x"), {"delimiter": "--"}), "maxsplit=1": (texts("a b c", "d e", "f"), {"maxsplit": 1}),
        "delimiter,maxsplit=2": (texts("a,b,c,d", "e"), {"delimiter": ",", "maxsplit": 2}), "rank=2": (texts("a b", "c", "d e f", "", shape=(2, 2)),
            {}),
    }  # fmt: skip
    for name, (x, given) in cases.items():
        pieces = [str(s).split(given.get("delimiter"), given.get("maxsplit", -1)) for s in x.ravel()]
        width = max(map(len, pieces))
        filled = np.array([[*p, *[""] * (width - len(p))] for p in pieces], object).reshape(*x.shape, width)
        yield one("StringSplit", name, {"X": x}, [filled, np.array([len(p) for p in pieces], np.int64).reshape(x.shape)], **given)


def normalised() -> Iterator[Probe]:
    days = texts("monday", "Tuesday", "tuesday", "Friday")
    cases: dict[str, tuple[list[str], dict[str, Any]]] = {
        "base": (["monday", "Tuesday", "tuesday", "Friday"], {}), "stopwords": (["Tuesday", "Friday"], {"stopwords": ["tuesday", "monday"],
            "is_case_sensitive": 1}),
        "all stopped": ([""], {"stopwords": ["monday", "Tuesday", "tuesday", "Friday"], "is_case_sensitive": 1}),
        "lower": (["monday", "tuesday", "tuesday", "friday"], {"case_change_action": "LOWER", "locale": "C"}),
        "upper": (["MONDAY", "TUESDAY", "TUESDAY", "FRIDAY"], {"case_change_action": "UPPER", "locale": "C"}),
        "stopwords,any case": (["Friday"], {"stopwords": ["tuesday", "monday"], "is_case_sensitive": 0, "locale": "C"}),
    }  # fmt: skip
    for name, (wanted, given) in cases.items():
        yield one("StringNormalizer", name, {"X": days}, [texts(*wanted)], opset=10, **given)
    yield one("StringNormalizer", "rank=2", {"X": days.reshape(1, 4)}, [days.reshape(1, 4)], opset=10)


def matched() -> Iterator[Probe]:
    words = texts("cat", "scat", "Cat", "c4t", "", "cat\n", shape=(2, 3))
    cases = {
        "literal": ("cat", "100000"),
        "class": ("[a-z]+", "110000"),
        "optional": ("s?cat", "110000"),
        "anything": ("[^\\n]*", "111110"),
        "empty": ("", "000010"),
    }
    for name, (expression, wanted) in cases.items():
        hits = np.array([c == "1" for c in wanted]).reshape(words.shape)
        yield one("RegexFullMatch", name, {"X": words}, [hits], pattern=expression)
    yield one("RegexFullMatch", "email", {"X": texts("a@b.org", "a@b", "@b.org")}, [np.array([True, False, False])], pattern="[a-z]+@[a-z]+\\.[a-z]+")


def counted() -> Iterator[Probe]:
    """Pool: the single 2, 3, 5; the pairs 5 6, 7 8, 6 7."""
    numbers = {"ngram_counts": [0, 3], "ngram_indexes": [0, 1, 2, 3, 4, 5], "pool_int64s": [2, 3, 5, 5, 6, 7, 8, 6, 7]}
    x = np.array([1, 1, 3, 3, 3, 7, 8, 6, 7, 5, 6, 8], np.int64)
    plain = {"mode": "TF", "min_gram_length": 1, "max_gram_length": 2, "max_skip_count": 0, **numbers}
    weights = [0.5, 2.0, 1.0, 3.0, 1.5, 0.25]
    counts = np.array([0, 3, 1, 1, 1, 1], np.float32)
    cases: dict[str, tuple[Array, Array, dict[str, Any]]] = {
        "base": (x, counts, {}), "pairs only": (x, counts * (np.arange(6) > 2), {"min_gram_length": 2}),
        "single only": (x, counts * (np.arange(6) < 3), {"max_gram_length": 1}), "type=int32": (x.astype(np.int32), counts, {}),
        "mode=IDF": (x, np.minimum(counts, 1) * np.float32(weights), {"mode": "IDF", "weights": weights}),
        "mode=TFIDF": (x, counts * np.float32(weights), {"mode": "TFIDF", "weights": weights}),
        "rank=2": (np.stack([x, x[::-1]]), np.array([counts, [0, 3, 1, 0, 0, 0]], np.float32), {}),
    }  # fmt: skip
    for name, (value, wanted, changed) in cases.items():
        yield one("TfIdfVectorizer", name, {"X": np.ascontiguousarray(value)}, [wanted.astype(np.float32)], opset=9, **{**plain, **changed})
    strings = {"ngram_counts": [0, 2], "ngram_indexes": [0, 1, 2], "pool_strings": ["a", "b", "a", "b"]}
    given = {**plain, "pool_int64s": None, **strings}
    yield one("TfIdfVectorizer", "strings", {"X": texts("a", "b", "c", "a", "b")}, [np.array([2, 2, 2], np.float32)], opset=9, **given)
    skipped = {**given, "min_gram_length": 2, "max_skip_count": 1}
    yield one("TfIdfVectorizer", "strings,skip=1", {"X": texts("a", "c", "b", "a", "b")}, [np.array([0, 0, 2], np.float32)], opset=9, **skipped)


def cast() -> Iterator[Probe]:
    yield one("Cast", "string to float32", {"X": texts("1.5", "-2", "3e2", "0")}, [np.array([1.5, -2, 300, 0], np.float32)], opset=17, to=1)
    yield one("Cast", "string to int64", {"X": texts("15", "-2", "0")}, [np.array([15, -2, 0])], opset=17, to=7)
    yield one("Cast", "int64 to string", {"X": np.array([15, -2, 0])}, [texts("15", "-2", "0")], opset=17, to=8)
    yield one(
        "Equal", "dtype=string", {"A": WORDS, "B": WORDS[[0, 2, 1, 3, 5, 5]]}, [np.equal(WORDS, WORDS[[0, 2, 1, 3, 5, 5]]).astype(bool)], opset=19
    )
    yield one("Equal", "dtype=string,B=constant", {"A": WORDS, "B": Const(texts("abc"))}, [WORDS == "abc"], opset=19)


def probes() -> Iterator[Probe]:
    for section in (joined, split, normalised, matched, counted, cast):
        yield from section()
