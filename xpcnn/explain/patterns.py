"""Numbers that are worked out by a formula, which stands once: as the text that is shown, and comes to the value."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from functools import cache
from types import CodeType
from typing import Any

import numpy as np

from .explanation import Explanation, Piece, Ref, Worked

_FUNCTIONS: Mapping[str, Any] = {
    "exp": np.exp, "log": np.log, "logaddexp": np.logaddexp, "sqrt": np.sqrt, "tanh": np.tanh, "max": np.maximum,
    "min": np.minimum, "abs": np.abs, "erf": math.erf, "inf": np.inf,
}  # fmt: skip
_PYTHON = str.maketrans({"·": "*", "−": "-", "½": "0.5", "√": "sqrt", "≤": "<=", "≥": ">="})


def applied(page: Explanation, target: Ref, pattern: str, **given: Ref | float) -> Worked:
    """The target as a formula, where each `{name}` of the pattern is a reference or a constant."""
    numbers = {name: page.value(each) if isinstance(each, Ref) else each for name, each in given.items()}
    return Worked(target, filled(pattern, **given), value_of(pattern, **numbers))


def filled(pattern: str, **given: Ref | float) -> tuple[Piece, ...]:
    """The pattern's words, with a reference, or a constant of four digits, in the place of each `{name}`.

    >>> filled("max({x}, {least})", x=Ref("x", (0, 1)), least=-0.123456)
    ('max(', Ref(array='x', at=(0, 1)), ', −0.1235)')
    """
    for name, each in given.items():
        if not isinstance(each, Ref):
            pattern = pattern.replace(f"{{{name}}}", f"{each:.4g}".replace("-", "−").replace("inf", "∞"))
    parts = re.split(r"\{(.*?)\}", pattern)
    return tuple(given[part] if number % 2 else part for number, part in enumerate(parts) if part)  # type: ignore[misc]


def value_of(pattern: str, **numbers: float) -> float:
    """What the pattern comes to in float64.

    >>> value_of("½·(t + {x}), t = max({x}, 0)", x=3.0)
    3.0
    """
    formula, letters = _compiled(pattern)
    names = {**_FUNCTIONS, "given": {name: np.float64(number) for name, number in numbers.items()}}
    with np.errstate(all="ignore"):
        for letter, code in letters:
            names[letter] = eval(code, names)
        return float(eval(formula, names))


@cache
def _compiled(pattern: str) -> tuple[CodeType, list[tuple[str, CodeType]]]:
    """The formula, and each letter that it says the meaning of: ", t = …"; a reason, ", as …", counts for nothing."""
    source = re.sub(r"\{(.*?)\}", r"given['\1']", pattern).translate(_PYTHON)
    source = re.sub(r"log\(1 \+ exp\((.*?)\)\)", r"logaddexp(0, \1)", source)  # where exp overflows, this does not
    formula, *remarks = re.split(r", (?=as |\w = )", source)
    letters = [remark.split(" = ") for remark in remarks if not remark.startswith("as ")]
    return compile(formula, pattern, "eval"), [(letter, compile(what, pattern, "eval")) for letter, what in letters]
