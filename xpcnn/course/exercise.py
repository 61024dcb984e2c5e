"""What an exercise is: data and a template, from which its pages are written and answers to it are judged.

An exercise is a module of `xpcnn.course.exercises` with an `EXERCISE`. The pages (`pages.py`), the judge (`judge.py`),
the course's folder and the command know exercises only in this form.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from types import ModuleType
from typing import Any, TypeAlias

from ..errors import OptionError
from ..options import did_you_mean

Function: TypeAlias = Callable[..., Any]
Pair: TypeAlias = tuple[Function, Function, Mapping[str, Any]]


@dataclass(frozen=True)
class Case:
    """Arguments to try an answer with.

    Parameters
        step : what is new in it, such as "stride"
        arguments : by name, in the function's order
        smooth : False at a kink, such as tied maxima, where no derivative exists: the library's choice is then right

    >>> Case("stride", {"size": 5, "kernel": 3, "stride": 2, "padding": 0}).step
    'stride'
    """

    step: str
    arguments: Mapping[str, Any]
    smooth: bool = True


@dataclass(frozen=True)
class Mistake:
    """A typical mistake.

    Parameters
        words : the end of "It looks as if …"
        function : makes the mistake; arguments and results as the exercise's

    >>> Mistake("the stride were ignored", lambda x: x).words
    'the stride were ignored'
    """

    words: str
    function: Function


@dataclass(frozen=True)
class Term:
    """One term of the sum that an element of a result is: its text, its value, and the value of each index letter.

    >>> Term("dy[0,0]·x[1]", 0.5, {"i": 0}).value
    0.5
    """

    text: str
    value: float
    letters: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Line:
    """The library's own line: the code in `function` of `module` that has the equation's number beside it.

    Parameters
        module : such as "ops.conv"
        function : such as "correlate_dw", or "Adam.update"
        equations : the numbers
        derivation : the page of `docs/derivations`, or nothing

    >>> print(Line("ops.conv", "correlate_dw", (2,), "convolution"))
    xpcnn/ops/conv.py, correlate_dw, equation (2); derived in docs/derivations/convolution.md
    """

    module: str
    function: str
    equations: tuple[int, ...]
    derivation: str = ""

    @property
    def file(self) -> str:
        return f"xpcnn/{self.module.replace('.', '/')}.py"

    def code(self) -> list[tuple[int, str]]:
        """The line numbers and the code of the lines with these equation numbers; of the whole function without any."""
        found: Any = import_module(f"xpcnn.{self.module}")
        for name in self.function.split("."):
            found = getattr(found, name)
        lines, first = inspect.getsourcelines(found)
        numbered = [(first + i, line.rstrip()) for i, line in enumerate(lines)]
        if not self.equations:
            return numbered
        return [(n, line.strip()) for n, line in numbered if _equations(line) & {*self.equations}]

    def __str__(self) -> str:
        equations = ", ".join(f"({n})" for n in self.equations)
        page = f"; derived in docs/derivations/{self.derivation}.md" if self.derivation else ""
        return f"{self.file}, {self.function}{equations and f', equation {equations}'}{page}"


def _equations(line: str) -> set[int]:
    """The equation numbers in a line's comment."""
    groups = re.findall(r"\((\d+(?:, \d+)*)\)", line.partition("#")[2])
    return {int(number) for group in groups for number in group.split(", ")}


@dataclass(frozen=True)
class Exercise:
    """One exercise.

    Parameters
        number, title : its place in the course, and its heading
        text, formula, hint : for the learner; the formula with the equation numbers of the library
        code : the function with a hole in it, which is `...`
        outputs : the names of its results, and the letters of their axes; one result is returned as it is, several as a
            tuple, and a mapping of arrays is one result
        cases : () → the cases, from easy to hard
        right : the library's answer, with the same arguments
        mistakes : typical ones; all are tested
        line : the library's own line
        example : code to try, for the notebook
        pair : (function, *arguments) → forward, backward and arguments for `check_pair`, for gradients
        terms : (output, index, *arguments) → the terms of this element's sum
        factors : (*arguments) → numbers that a result may be too large by, by their names
        afterwards : (function, seconds) → what an answer that is right does further, as a line; it raises
            `Unfinished` otherwise
        seconds : the time that all cases may take, and `afterwards` as well

    >>> exercise = all_exercises()["output_size"]
    >>> exercise.name, len(exercise.cases())
    ('output_size', 7)
    """

    number: int
    title: str
    text: str
    formula: str
    hint: str
    code: str
    outputs: Mapping[str, str]
    cases: Callable[[], Sequence[Case]]
    right: Function
    mistakes: tuple[Mistake, ...]
    line: Line
    example: str = ""
    pair: Callable[..., Pair] | None = None
    terms: Callable[..., Sequence[Term]] | None = None
    factors: Callable[..., Mapping[str, float]] | None = None
    afterwards: Callable[[Function, float], str] | None = None
    seconds: float = 20.0

    @property
    def name(self) -> str:
        """The name of the function that the learner writes, the last of the code."""
        return str(re.findall(r"^def (\w+)\(", self.code, re.MULTILINE)[-1])

    @property
    def stem(self) -> str:
        """The name of its files."""
        return f"{self.number:02}_{self.name}"


class Unfinished(Exception):
    """An answer computes the right numbers, but does not yet do all that is asked; the message says what.

    >>> issubclass(Unfinished, Exception)
    True
    """


def all_exercises() -> Mapping[str, Exercise]:
    """All exercises in their order, by the names of their functions.

    >>> list(all_exercises())[:3]
    ['one_step', 'output_size', 'conv2d_forward']
    """
    return _found()


@cache
def _found() -> Mapping[str, Exercise]:
    package = import_module("xpcnn.course.exercises")
    modules: list[ModuleType] = [
        import_module(f"{package.__name__}.{each.name}") for each in pkgutil.iter_modules(package.__path__)
    ]
    found = sorted((module.EXERCISE for module in modules), key=lambda exercise: exercise.number)
    return {exercise.name: exercise for exercise in found}


def exercise_named(name: str) -> Exercise:
    """The exercise whose function, or whose number, this is.

    Raises
        OptionError : there is none

    >>> exercise_named("conv2d_dw").title, exercise_named("1").name
    ('The gradient of the kernel', 'one_step')
    """
    known = all_exercises()
    for exercise in known.values():
        if str(name) in (exercise.name, exercise.stem, str(exercise.number), f"{exercise.number:02}"):
            return exercise
    raise OptionError("course", f"an exercise: {', '.join(known)}", repr(str(name)), did_you_mean(str(name), known))
