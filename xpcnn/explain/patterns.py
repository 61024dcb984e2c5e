"""Works out numbers by a formula, which is written once: the text that is shown is also evaluated."""

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
    """The target as a formula; each `{name}` of the pattern is a reference or a constant."""
    numbers = {name: page.value(each) if isinstance(each, Ref) else each for name, each in given.items()}
    return Worked(target, filled(pattern, **given), value_of(pattern, **numbers))


def filled(pattern: str, **given: Ref | float) -> tuple[Piece, ...]:
    """The pattern's words, with each `{name}` replaced by a reference, or by a constant with four digits.

    >>> filled("max({x}, {least})", x=Ref("x", (0, 1)), least=-0.123456)
    ('max(', Ref(array='x', at=(0, 1)), ', −0.1235)')
    """
    for name, each in given.items():
        if not isinstance(each, Ref):
            pattern = pattern.replace(f"{{{name}}}", f"{each:z.4g}".replace("-", "−").replace("inf", "∞"))
    parts = re.split(r"\{(.*?)\}", pattern)
    return tuple(given[part] if number % 2 else part for number, part in enumerate(parts) if part)  # type: ignore[misc]


def value_of(pattern: str, **numbers: float) -> float:
    """The value of the pattern in float64.

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
    """The formula, and each letter that it defines: ", t = …". A reason, ", as …", is ignored."""
    source = re.sub(r"\{(.*?)\}", r"given['\1']", pattern).translate(_PYTHON)
    source = re.sub(r"log\(1 \+ exp\((.*?)\)\)", r"logaddexp(0, \1)", source)  # does not overflow where exp does
    formula, *remarks = re.split(r", (?=as |\w = )", source)
    letters = [remark.split(" = ") for remark in remarks if not remark.startswith("as ")]
    return compile(formula, pattern, "eval"), [(letter, compile(what, pattern, "eval")) for letter, what in letters]
