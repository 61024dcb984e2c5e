"""What a plan asks of an operation."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import TypeAlias

from ...typing import NDArray, Shape
from .buffer import NONE, Buffer, Margin

Call: TypeAlias = Callable[[], object]


class NotPlanned(Exception):
    """The network has a part that no plan can hold."""


class PlanStep(ABC):
    """One operation of a plan."""

    in_place = False  # it may write its output over its input
    margin: Margin = NONE  # zeros that it reads around its input

    def frozen(self) -> PlanStep:
        """This step with its weights as they are now, prepared once; it never asks for them again."""
        return self

    def workspace(self, shape: Shape) -> list[Shape]:
        """The arrays that it uses while it runs, for an input of this shape; the steps of a plan share them."""
        return []

    @abstractmethod
    def bind(self, reads: Sequence[Buffer], y: Buffer, workspace: list[NDArray]) -> Call:
        """The call that computes y from what it reads."""
