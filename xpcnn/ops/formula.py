"""Elementwise operations as text that can be filled in and worked out: what a page of numbers shows of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Pattern: TypeAlias = str | tuple[str, str]  # one for all x; or one where x > 0, and one elsewhere


@dataclass(frozen=True)
class Formula:
    """y and dy/dx of one element, as text with `{x}`, `{y}` and constants in the places of their numbers.

    Parameters
        module, number : where the equation stands
        y, slope : what they are; ", as …" says why, ", t = …" what a letter stands for
        constants : numbers by name; what a layer is constructed with goes by the name of the argument
    """

    module: str
    number: int
    y: Pattern
    slope: Pattern
    constants: Mapping[str, float] = field(default_factory=dict)
