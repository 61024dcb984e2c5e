"""An explanation: arrays with names, and steps that show how each number is computed.

A number that is worked out,

    y[0,1,2,0] = b[0] + x̂[0,2,4,0]·w[0,0,0,0] + …

is a sequence of pieces: words such as " + ", and references to numbers of the arrays. The code that shows it puts
either the references' names or their numbers between the words, and knows which cells of which array belong to it.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, ClassVar, NamedTuple, TypeAlias

import numpy as np

from ..errors import GradientError, OptionError
from ..html import page
from ..nn.layer import Layer
from ..options import as_count
from ..typing import NDArray
from .equations import Equation

Index: TypeAlias = tuple[int, ...]
Axes: TypeAlias = tuple[str, ...]  # the index letters of the equations, one for each axis


def letters(rank: int) -> Axes:
    """The letters of a batch's axes, channels last, for equations without letters."""
    return {2: ("n", "c"), 3: ("n", "l", "c"), 4: ("n", "i", "j", "c")}.get(rank, tuple(f"a{k}" for k in range(rank)))


class Ref(NamedTuple):
    """One number of an array.

    >>> str(Ref("dw", (0, 2, 1, 0)))
    'dw[0,2,1,0]'
    """

    array: str
    at: Index

    def __str__(self) -> str:
        return f"{self.array}[{','.join(map(str, self.at))}]" if self.at else self.array


Piece: TypeAlias = str | Ref


@dataclass(frozen=True, eq=False)
class NamedArray:
    """An array of an explanation.

    Parameters
        name : as in the equations, such as "dw"
        meaning : what it is, in words
        axes : the index letters of the equations, one for each axis
        values : on the host
        of : where its numbers stand in another array, such as "x[n, p - 1, q - 1, c]"; a number with an index outside
            of that one is `outside`
    """

    name: str
    meaning: str
    axes: Axes
    values: NDArray
    of: str = ""
    outside: float = 0.0


@dataclass(frozen=True)
class Worked:
    """One number, worked out.

    Parameters
        target : the number
        pieces : what it is equal to
        value : the value of the pieces in float64, including the terms that are too many to show
        remarks : further facts, each a label, pieces and their value
    """

    target: Ref
    pieces: tuple[Piece, ...]
    value: float
    remarks: tuple[tuple[str, tuple[Piece, ...], float], ...] = ()

    def refs(self) -> list[Ref]:
        """The number and all numbers in its pieces."""
        return [self.target, *(piece for piece in self.pieces if isinstance(piece, Ref))]


class Rule(ABC):
    """How each number of an array is computed from others; see `rules`."""

    @abstractmethod
    def worked(self, page: Explanation, makes: str, index: Index) -> Worked:
        """The number with this index of the array `makes`, worked out."""

    @abstractmethod
    def portable(self, number: Mapping[str, int]) -> Any:
        """The rule for a script, with a number for the name of each array."""


@dataclass(frozen=True, eq=False)
class Step:
    """The computation of one array from others.

    Parameters
        title : in words
        equations : as in the operation's docstring
        reads, makes : names of arrays
        focus : the element of `makes` that is worked out if only one can be
        work : works out any element of `makes`; None if the page only shows the array
        notes : further remarks
        rule : the same as `work`, if it can be written as one
    """

    title: str
    equations: tuple[Equation, ...]
    reads: tuple[str, ...]
    makes: str
    focus: Index
    work: Callable[[Index], Worked] | None
    notes: tuple[str, ...] = ()
    rule: Rule | None = None


@dataclass(eq=False)
class Explanation:
    """Real numbers through one layer; `explain` makes it, `text` and `html` show it.

    Parameters
        title : the layer, as a call of its constructor
        name : its dotted name in the network
        source : the module with the equations
        notes : what was run: the pass and the loss
        path : (name, kind) of every layer of the network, in its order
        arrays : by name
        steps : in the order in which they run
        image : the network's input, (H, W, 1 or 3) in [0, 1], if it is one
        layer : the layer; None for the loss
        aside : whether to show other ways to compute the same, too

    >>> import numpy as np
    >>> from xpcnn.explain import explain
    >>> from xpcnn.nn import Linear
    >>> page = explain(Linear(2, 1, rng=0), "", np.array([[1.0, 2.0]], np.float32))
    >>> sorted(page.arrays)
    ['b', 'db', 'dw', 'dx', 'dy', 'w', 'x', 'y']
    >>> page.check()
    6
    """

    title: str
    name: str
    source: str = ""
    notes: list[str] = field(default_factory=list)
    path: list[tuple[str, str]] = field(default_factory=list)
    arrays: dict[str, NamedArray] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)
    image: NDArray | None = None
    layer: Layer | None = None
    aside: bool = True
    _as_page: ClassVar[Callable[[Any], str] | None] = None  # `webpage.html`, which that file sets: it imports this one

    def __repr__(self) -> str:
        made = ", ".join(step.makes for step in self.steps)
        return f"Explanation({self.title}, layer {self.name!r}: {made}; print(explain.text(…)) writes it out)"

    def _repr_html_(self) -> str | None:
        write = type(self)._as_page
        return None if write is None else page(write(self))

    def add(self, name: str, meaning: str, axes: Axes, values: NDArray, *, of: str = "", outside: float = 0.0) -> None:
        """Add an array, see `NamedArray`."""
        self.arrays[name] = NamedArray(name, meaning, axes, values, of, outside)

    def add_step(
        self,
        title: str,
        equations: tuple[Equation, ...],
        reads: tuple[str, ...],
        makes: str,
        focus: Index,
        work: Callable[[Index], Worked] | Rule | None,
        *notes: str,
        rule: Rule | None = None,
    ) -> None:
        """Add a step, see `Step`."""
        if isinstance(work, Rule):
            rule, work = work, partial(work.worked, self, makes)
        self.steps.append(Step(title, equations, reads, makes, focus, work, notes, rule))

    def value(self, ref: Ref) -> float:
        """The number, as the library computed it."""
        return float(self.arrays[ref.array].values[ref.at])

    def check(self, tolerance: float = 1e-4) -> int:
        """Work out every number of every step, and compare it with the library's.

        Parameters
            tolerance : relative to the array's largest number (at least 1)
        Returns
            the number of comparisons
        Raises
            GradientError : one of them differs
        """
        count = 0
        for step in self.steps:
            values = self.arrays[step.makes].values
            if step.work is None:
                continue
            finite = np.abs(values[np.isfinite(values)])
            scale = max(1.0, float(finite.max(initial=0.0)))
            for index in np.ndindex(values.shape):
                worked, computed = step.work(index).value, float(values[index])
                count += 1
                if not np.isclose(worked, computed, rtol=0, atol=tolerance * scale, equal_nan=True):
                    raise GradientError(f"explain {self.title}", f"{Ref(step.makes, index)} = {worked}", str(computed))
        return count


def check_page(who: str, page: Explanation, precision: int) -> None:
    """Refuse an object that is not an explanation, and a precision that no float has.

    Raises
        OptionError
    """
    if not isinstance(page, Explanation):
        raise OptionError(who, "what explain returned", type(page).__name__)
    check_precision(who, precision)


def check_precision(who: str, precision: int) -> None:
    """Refuse a precision that no float has."""
    if as_count(who, "precision", precision) > 15:
        raise OptionError(who, "precision: an integer from 1 to 15", str(precision))
