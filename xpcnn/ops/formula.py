"""Elementwise operations as text into which `explain` inserts numbers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

Pattern: TypeAlias = str | tuple[str, str]  # for all x; or for x > 0, and for other x


@dataclass(frozen=True)
class Formula:
    """y and dy/dx of one element, as text with `{x}`, `{y}` and names of constants in place of the numbers.

    Parameters
        module, number : of the equation
        y, slope : the expressions; ", as …" adds the reason, ", t = …" the meaning of a letter
        constants : numbers by name; arguments of the layer's constructor have their own names
    """

    module: str
    number: int
    y: Pattern
    slope: Pattern
    constants: Mapping[str, float] = field(default_factory=dict)
