"""Parse JSON and TOML from files that are not trusted; unsafe documents raise a ValueError."""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from typing import Any, NoReturn

MOST_DEPTH = 256  # levels of lists and objects; deeper nesting would exhaust Python's stack somewhere
_TOO_DEEP = f"more than {MOST_DEPTH} levels"


def parse_json(text: str | bytes) -> Any:
    """The value of a JSON text. Numbers are finite: NaN, Infinity and 1e999 are refused.

    Raises
        ValueError : it is no JSON, or is nested more than `MOST_DEPTH` levels deep

    >>> parse_json('{"epochs": [1, 2.5, null]}')
    {'epochs': [1, 2.5, None]}
    """
    return _parse(lambda: json.loads(text, parse_constant=_refuse, parse_float=_finite))


def parse_toml(text: str) -> dict[str, Any]:
    """The table of a TOML text.

    Raises
        ValueError : it is no TOML, or is nested more than `MOST_DEPTH` levels deep

    >>> parse_toml("epochs = 3")
    {'epochs': 3}
    """
    if any(piece.count(".") > MOST_DEPTH for piece in re.split(r"[\n=,\[\]{}]", text)):  # for a.b.c, Python's
        raise ValueError(_TOO_DEEP)  # time and memory grow with the square of the depth
    table: dict[str, Any] = _parse(lambda: tomllib.loads(text))
    return table


def _parse(parse: Callable[[], Any]) -> Any:
    try:
        value = parse()
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value]
    for _ in range(MOST_DEPTH + 1):
        level = [
            child
            for each in level
            if isinstance(each, dict | list)
            for child in (each.values() if isinstance(each, dict) else each)
        ]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


def _finite(text: str) -> float:
    number = float(text)
    return number if abs(number) < float("inf") else _refuse(text)


def _refuse(text: str) -> NoReturn:
    raise ValueError(f"{text[:20]} is no JSON number")
