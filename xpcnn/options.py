"""Check the options that users pass: numbers in an interval, counts, pairs for (height, width), flags, names."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from fnmatch import fnmatchcase
from numbers import Integral, Real
from pathlib import Path
from typing import Any, TypeAlias

from .errors import OptionError
from .typing import Pair

MOST = 2**63 - 1  # largest count: more than any machine has, and the most that Python's iterators accept
MOST_SEED = 2**128 - 1  # NumPy's SeedSequence mixes all of it
Patterns: TypeAlias = str | Iterable[str]  # of names, for `matching`
_FEW = 5


def as_number(who: str, name: str, value: Any, interval: str = "(-inf, inf)") -> float:
    """Check that the value is a number in the interval; return it as a float. NaN is in no interval.

    Parameters
        interval : two numbers in round brackets, which exclude the end, or square ones, which include it
    Raises
        OptionError

    >>> as_number("Dropout", "p", 0.5, "[0, 1)")
    0.5
    """
    value = _alone(value)
    low, high = map(float, interval[1:-1].split(","))
    number = _float(value) if isinstance(value, Real) and not isinstance(value, bool) else math.nan
    fits = low <= number <= high
    if not fits or (number == low and interval[0] == "(") or (number == high and interval[-1] == ")"):
        raise OptionError(who, f"{name}: a number in {interval}", _shown(value))
    return number


def as_pair(who: str, name: str, value: Pair, *, least: int = 1) -> tuple[int, int]:
    """Check one number for both or a pair, as `as_count` does, else raise OptionError; return (height, width)."""
    value = _alone(value)
    both: Any = (value, value) if _is_int(value) else value
    if getattr(both, "ndim", 0) == 1:  # an array
        both = tuple(both)
    if not (isinstance(both, (tuple, list)) and len(both) == 2 and all(_is_int(v) and v >= least for v in both)):
        raise OptionError(who, f"{name}: an integer ≥ {least} or a pair of them", _shown(value))
    return as_count(who, name, both[0], least=least), as_count(who, name, both[1], least=least)


def as_count(who: str, name: str, value: int, *, least: int = 1, most: int = MOST) -> int:
    """Check that the value is an integer from `least` to `most`, else raise OptionError; return it."""
    value = _alone(value)
    if not (_is_int(value) and value >= least):
        raise OptionError(who, f"{name}: an integer ≥ {least}", _shown(value))
    if value > most:
        raise OptionError(who, f"{name}: an integer from {least} to {most}", _shown(value))
    return int(value)


def as_label(who: str, ignore_index: Any) -> int | None:
    """Check the label that does not count: an integer or None, else raise OptionError; return it.

    >>> as_label("CrossEntropyLoss", 255)
    255
    """
    value = _alone(ignore_index)
    if value is None:
        return None
    if not (_is_int(value) and abs(int(value)) <= MOST):
        raise OptionError(who, "ignore_index: an integer or None", _shown(value))
    return int(value)


def as_flag(who: str, name: str, value: Any) -> bool:
    """Check that the value is True or False (or 1 or 0), else raise OptionError; return it as a bool.

    To Python, a text such as "False" is true; an array of one False and one True has no truth value.

    >>> as_flag("Conv2d", "bias", False)
    False
    """
    numpy_bool = type(value).__name__ in ("bool", "bool_")  # NumPy's bool is no Integral
    if not (numpy_bool or (isinstance(value, Integral) and value in (0, 1))):
        raise OptionError(who, f"{name}: True or False", repr(value))
    return bool(value)


def as_choice(who: str, name: str, value: Any, choices: Iterable[str]) -> str:
    """Check that the value is one of the choices, else raise OptionError; return it.

    >>> as_choice("MSELoss", "reduction", "sum", ("mean", "sum"))
    'sum'
    """
    if not (isinstance(value, str) and value in choices):
        raise OptionError(who, f"{name}: " + " or ".join(f'"{choice}"' for choice in choices), repr(value))
    return value


def as_path(who: str, value: Any) -> Path:
    """Check that the value can name a file or a folder, else raise OptionError; return it as a Path.

    >>> as_path("save_model", "models/mlp.safetensors").name
    'mlp.safetensors'
    """
    if not isinstance(value, (str, os.PathLike)) or not isinstance(os.fspath(value), str):
        raise OptionError(who, "the name of a file: a text or a Path", repr(value)[:80])
    if not os.fspath(value):  # Path would make the current folder of it
        raise OptionError(who, "the name of a file or a folder", "an empty text", "write . for the current folder")
    return Path(value)


def expanded(who: str, value: Any) -> Path:
    """The value as `as_path` returns it, with a leading ~ replaced by the home directory, else raise OptionError.

    >>> expanded("load", "pictures/a.npz").name
    'a.npz'
    """
    path = as_path(who, value)
    try:
        return path.expanduser()
    except RuntimeError:
        raise OptionError(who, "a user's home directory", repr(str(path)), "write the whole path") from None


def as_names(who: str, name: str, value: Any, *, distinct: bool = False) -> tuple[str, ...]:
    """Check that the value is a sequence of texts (if `distinct`, all different), else raise OptionError; return them.

    >>> as_names("batch", "classes", ["cat", "dog"])
    ('cat', 'dog')
    """
    names = (
        tuple(value)
        if isinstance(value, Iterable) and not isinstance(value, bytes) and getattr(value, "ndim", 1) == 1
        else (None,)
    )
    if not all(isinstance(each, str) for each in names):
        raise OptionError(who, f"{name}: names", repr(value)[:80])
    if distinct and (twice := repeated(names)) is not None:
        raise OptionError(who, f"{name}: names that differ", f"{twice!r} twice", "give each a name of its own")
    return tuple(map(str, names))


def repeated(names: Iterable[str]) -> str | None:
    """The first name that reads the same as an earlier one, or None if all differ.

    >>> repeated(["cat", "dog", "cat"])
    'cat'
    """
    from unicodedata import normalize

    seen: set[str] = set()
    for name in names:
        composed = normalize("NFC", name.strip())  # é may be one character or two
        if composed in seen:
            return str(name)
        seen.add(composed)
    return None


def as_shape(who: str, value: Any) -> tuple[int, ...]:
    """Check that the value is the shape of one input, with axes ≥ 1, else raise OptionError; return it.

    >>> as_shape("save_model", [28, 28, 1])
    (28, 28, 1)
    """
    many = isinstance(value, Iterable) and getattr(value, "ndim", 1) == 1
    sizes = tuple(value) if many and not isinstance(value, (str, bytes, Mapping)) else ()
    if not sizes:
        raise OptionError(who, "input_shape: one axis or more, without the batch's", repr(value)[:80])
    return tuple(as_count(who, "each axis of input_shape", size) for size in sizes)


def matching(who: str, option: str, patterns: Patterns, names: Sequence[str], what: str) -> set[str]:
    """The names that one of the patterns matches; `*` in a pattern stands for any text.

    Parameters
        patterns : one, or several
        what : these names are, for the error
    Raises
        OptionError : a pattern matches none of the names

    >>> sorted(matching("freeze", "patterns", "0.*", ["0.weight", "0.bias", "1.bias"], "parameters"))
    ['0.bias', '0.weight']
    """
    given = [patterns] if isinstance(patterns, str) else patterns
    if not isinstance(given, Iterable) or isinstance(given, bytes | bytearray) or getattr(given, "ndim", 1) != 1:
        raise OptionError(who, f'{option}: names such as "fc.*"', repr(patterns)[:80])
    chosen: set[str] = set()
    for pattern in given:
        matched = {name for name in names if isinstance(pattern, str) and fnmatchcase(name, pattern)}
        if not matched:
            got = f"{pattern!r}, which matches none of {few(names)}"[:400]
            raise OptionError(who, f"{option}: names of {what}", got, did_you_mean(str(pattern), names))
        chosen |= matched
    return chosen


def few(names: Sequence[str]) -> str:
    """The first few of the names, and how many more there are.

    >>> few(["a", "b", "c", "d", "e", "f", "g"])
    'a, b, c, d, e and 2 more'
    """
    rest = len(names) - _FEW
    return ", ".join(names[:_FEW]) + (f" and {rest} more" if rest > 0 else "")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """A remedy for an unknown name: the most similar known name, or nothing.

    >>> did_you_mean("resnet", ["lenet5", "resnet20"]), did_you_mean("bike", ["lenet5", "resnet20"])
    ('did you mean resnet20?', '')
    """
    from difflib import get_close_matches

    near = get_close_matches(str(name), list(known), 1)
    return f"did you mean {near[0]}?" if near else ""


def _alone(value: Any) -> Any:
    """The number in an array () that holds one alone, such as a loss; anything else as it is."""
    return value.item() if getattr(value, "shape", None) == () and hasattr(value, "item") else value


def _float(value: Any) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer above the largest float
        return math.inf if value > 0 else -math.inf


def _shown(value: Any) -> str:
    """Its repr, or a substitute: Python's fails for integers of thousands of digits and for very deep nesting."""
    try:
        return repr(value)
    except (ValueError, RecursionError):
        return f"one of type {type(value).__name__} that is too long to print"


def _is_int(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)
