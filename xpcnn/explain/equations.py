"""Finds equations in the docstrings of the operations, by their numbers.

In an indented paragraph, each line that is not indented further begins an equation. So does each line that ends in a
number, if the line before it ends in a number. All other lines continue the equation before them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from importlib import import_module
from textwrap import dedent

_NUMBERS = re.compile(r"(?:^|\s)((?:\(\d+\), )*\(\d+\))$")


@dataclass(frozen=True)
class Equation:
    """The lines of an equation, and its numbers."""

    lines: tuple[str, ...]
    numbers: tuple[int, ...]


def equations(docstring: str) -> list[Equation]:
    r"""All numbered equations of a module's docstring, in order.

    >>> text = "A sum.\n\n    y = a + b        (1)\n    z = a\n      + y        (2)\n"
    >>> [(each.lines, each.numbers) for each in equations(text)]
    [(('y = a + b        (1)',), (1,)), (('z = a', '  + y        (2)'), (2,))]
    """
    found: list[Equation] = []
    for paragraph in re.split(r"\n\s*\n", docstring):
        lines = paragraph.splitlines()
        if not lines or any(not line.startswith("    ") for line in lines):  # prose, or sources
            continue
        margin = min(len(line) - len(line.lstrip()) for line in lines)
        groups: list[list[str]] = []
        numbered = False  # whether the last group has its number
        for line in (line[margin:].rstrip() for line in lines):
            number = _NUMBERS.search(line) is not None
            if not groups or not line.startswith(" ") or (numbered and number):
                groups.append([])
                numbered = False
            groups[-1].append(line)
            numbered = numbered or number
        for group in groups:
            ends = [match[1] for line in group if (match := _NUMBERS.search(line))]
            numbers = tuple(int(n) for end in ends for n in re.findall(r"\d+", end))
            if numbers:
                found.append(Equation(tuple(dedent("\n".join(group)).splitlines()), numbers))
    return found


def quoted(module: str, *numbers: int) -> tuple[Equation, ...]:
    """The equations of `xpcnn.ops.MODULE` with these numbers; all of them, if none is given.

    >>> quoted("linear", 3)[0].numbers
    (3,)
    """
    every = equations(import_module(f"xpcnn.ops.{module}").__doc__ or "")
    chosen = tuple(each for each in every if not numbers or set(each.numbers) & set(numbers))
    missing = set(numbers) - {n for each in chosen for n in each.numbers}
    assert not missing, f"xpcnn.ops.{module} has no equation {missing}"
    return chosen
