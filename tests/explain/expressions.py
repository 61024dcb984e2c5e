"""The value of a printed formula, read as its reader reads it."""

from __future__ import annotations

import math
import re

# As printed → as Python has it; ∞ after the names, which may hold it.
SIGNS = {"−": "-", "·": "*", "½": "0.5", "√": "sqrt", "∞": "inf", "NaN": "nan", "≤": "<=", "≥": ">="}


def exp(x: float) -> float:
    return math.exp(x) if x < 700 else math.inf


FUNCTIONS = {"exp": exp, "log": math.log, "tanh": math.tanh, "sqrt": math.sqrt, "max": max, "inf": math.inf,
             "min": min, "abs": abs, "erf": math.erf}  # fmt: skip
REST = re.compile(r"\(\d+ (?:smaller|more) terms: ([^()]*)\)")  # (7 smaller terms: −0.3)


def parts(said: str) -> list[str]:
    """The formula, and what stands after commas outside of all brackets."""
    found, depth = [""], 0
    for i, letter in enumerate(said):
        depth += (letter in "([") - (letter in ")]")
        if letter == "," and depth == 0 and said[i + 1] == " ":
            found.append("")
        else:
            found[-1] += letter
    return [each.strip() for each in found]


def value_of(said: str, arrays: dict[str, object] | None = None) -> float:
    """The formula's value; `arrays` are those that it names, such as dw[0,1], if it names any.

    What is said after it has to hold: "as 0.3 > 0"; or says what a letter is: "t = tanh(0.2)".
    """
    names: dict[str, object] = {}

    def number(match: re.Match[str]) -> str:
        key = f"_{len(names)}_"
        at = tuple(map(int, match[2].split(","))) if match[2] else ()
        names[key] = float(arrays[match[1]][at])
        return key

    if arrays:
        longest = sorted(arrays, key=len, reverse=True)
        indexed = [name for name in longest if arrays[name].ndim]
        for these, index in (
            (indexed, r"\[(\d+(?:,\d+)*)\]"),
            ([n for n in longest if not arrays[n].ndim], r"()(?![\w\[])"),
        ):
            if these:
                said = re.sub(rf"(?<![\w′])({'|'.join(map(re.escape, these))}){index}", number, said)
    said = re.sub(r", and \d+ smaller ones\)", ")", said)
    said = re.sub(r"\(\d+ terms that are 0\)", "0", REST.sub(r"(\1)", said))
    for sign, python in SIGNS.items():
        said = said.replace(sign, python)
    formula, *remarks = parts(said)
    for remark in remarks:
        if match := re.fullmatch(r"(\w+) = (.*)", remark):
            names[match[1]] = eval(match[2], FUNCTIONS | names)
    value = eval(formula, FUNCTIONS | names)
    for remark in remarks:
        if remark == "as it is > 0":
            assert value > 0
        elif remark.startswith("as "):
            assert eval(remark[3:].replace("≤", "<="), FUNCTIONS | names), remark
        else:
            assert re.fullmatch(r"\w+ = .*|where \S+ stands", remark), remark
    return float(value)
