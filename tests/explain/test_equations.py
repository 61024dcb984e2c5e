"""The equations that explanations quote are those of the docstrings: every one is found, by its number, whole."""

from __future__ import annotations

import re
from importlib import import_module
from pathlib import Path

import pytest

import xpcnn
from xpcnn.explain.equations import equations, quoted

MODULES = sorted(
    path.stem
    for path in (Path(xpcnn.__file__).parent / "ops").glob("*.py")
    if path.stem not in ("__init__", "check", "dispatch", "formula", "gather", "implementations", "one_hot")
)


@pytest.mark.parametrize("module", MODULES)
def test_every_number_of_every_operation_is_found_once(module):
    docstring = import_module(f"xpcnn.ops.{module}").__doc__
    before_sources = docstring.partition("\nSource")[0]
    stated = [
        int(n)
        for line in before_sources.splitlines()
        if line.startswith("    ") and (match := re.search(r"\s((?:\(\d+\), )*\(\d+\))$", line))
        for n in re.findall(r"\d+", match[1])
    ]
    found = [n for each in equations(docstring) for n in each.numbers]
    assert stated
    assert found == stated
    assert all(line in docstring for each in equations(docstring) for line in (text.strip() for text in each.lines))


@pytest.mark.parametrize(
    ("module", "number", "first", "last"),
    [
        ("conv", 4, "dx̂[n,p,q,c] = Σ dy", "j·S + v·D = q          (4)"),  # its number stands on the second line
        ("rectifier", 3, "PReLU", "over all that s multiplies"),  # and here on the first
        ("pool", 2, "t[n,i,j,c] = the first tap", "(2)"),  # under an equation with a number of its own
        ("loss_classification", 2, "entropy", "(2), (3)"),
        ("activation", 3, "GELU", "(3)"),
    ],
)
def test_an_equation_is_quoted_whole_and_alone(module, number, first, last):
    (each,) = quoted(module, number)
    assert each.lines[0].startswith(first)
    assert each.lines[-1].endswith(last)


def test_a_number_that_is_not_there_is_noticed():
    with pytest.raises(AssertionError, match="no equation"):
        quoted("linear", 9)


def test_prose_and_sources_are_no_equations():
    text = "Title.\n\nBy (1), as in\n    that book (2)\n\n    y = x    (3)\n\nSources\n    A. Author    (4)\n"
    assert [each.numbers for each in equations(text)] == [(3,)]
