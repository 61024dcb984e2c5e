"""The verdict on an answer, as text and as a value."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ..backend import use_backend
from ..errors import OptionError, XpcnnError
from ..options import as_number
from .exercise import Exercise, Unfinished, exercise_named
from .folder import is_course, record
from .judge import printed, run_limited, tried, witnessed
from .looks import difference, looks_like


@dataclass(frozen=True)
class Verdict:
    """What a check found; printed, or as the value of a notebook's cell, it is a few lines of text.

    Parameters
        exercise : its name
        right : whether the answer is right
        steps : for each case, what is new in it and whether the answer was right
        lines : the text
        looks_like : the mistake that it looks like, the end of "It looks as if …"; or nothing

    >>> verdict = Verdict("output_size", True, (("stride", True),), ("output_size: right",))
    >>> bool(verdict), print(verdict)
    output_size: right
    (True, None)
    """

    exercise: str
    right: bool
    steps: tuple[tuple[str, bool], ...]
    lines: tuple[str, ...]
    looks_like: str = ""

    def __bool__(self) -> bool:
        return self.right

    def __repr__(self) -> str:
        return "\n".join(self.lines)


def check(
    function: Callable[..., Any], exercise: str | Exercise | None = None, *, seconds: float | None = None
) -> Verdict:
    """Check an answer to an exercise; in the folder of a course, what is reached is kept there.

    Parameters
        function : the answer
        exercise : the name of the exercise, or an exercise of your own; by default the function's name
        seconds : the most time to take, instead of the exercise's own
    Returns
        Verdict : true if the answer is right
    Raises
        OptionError : no function, or no such exercise

    >>> def sgd_step(p, g, lr):
    ...     return p + lr * g
    >>> check(sgd_step)
    sgd_step: not right yet, 0 of 2 steps
    step "one number": 1 of 1 numbers of p differ; the first: p[0] is 0.160289, expected 0.0911718
    It looks as if the gradient were added, which climbs.
    """
    if not callable(function):
        raise OptionError("course.check", "a function", type(function).__name__, "such as course.check(one_step)")
    if exercise is None:
        exercise = getattr(function, "__name__", "")
    if not isinstance(exercise, Exercise):
        exercise = exercise_named(exercise)
    time = exercise.seconds if seconds is None else as_number("course.check", "seconds", seconds, "(0, inf)")
    with use_backend("numpy"):
        verdict = _judged(exercise, function, time)
    here = Path()
    if is_course(here):
        done = sum(right for _, right in verdict.steps)
        try:
            record(here, exercise, done if verdict.right else min(done, len(verdict.steps) - 1), len(verdict.steps))
        except XpcnnError as error:  # a full disk must not hide the verdict
            verdict = replace(verdict, lines=(*verdict.lines, f"this was not kept: {error}"))
    return verdict


def _empty(exercise: Exercise) -> tuple[str, ...]:
    return (f"{exercise.name}: the hole is still empty; xpcnn course hint {exercise.name} has a hint",)


def _is_untouched(exercise: Exercise, function: Callable[..., Any]) -> bool:
    """True if the function is the one of the exercise's page."""
    try:
        return inspect.getsource(function).strip() in exercise.code
    except (OSError, TypeError):  # there is no source
        return False


def _judged(exercise: Exercise, function: Callable[..., Any], seconds: float) -> Verdict:
    if _is_untouched(exercise, function):
        return Verdict(exercise.name, False, tuple((case.step, False) for case in exercise.cases()), _empty(exercise))
    trial = tried(exercise, function, seconds)
    steps = tuple((case.step, right) for case, right in zip(trial.cases, trial.right, strict=True))
    name, count = exercise.name, f"{sum(trial.right)} of {len(steps)} steps"
    if not all(trial.right):
        first = trial.right.index(False)
        lines = [f"{name}: not right yet, {count}"]
        where, *more = difference(trial, first)
        lines += [f'step "{steps[first][0]}": {where}', *more]
        looks = looks_like(trial)
        lines += [f"It looks as if {looks}."] if looks else []
        said = printed(trial, first)
        lines += ["it printed:", *said.splitlines()] if said else []
        return Verdict(name, False, steps, tuple(lines), looks)
    try:
        evidence = run_limited(seconds, lambda: witnessed(exercise, function, trial.cases))
        then = exercise.afterwards
        further = run_limited(seconds, lambda: then(function, seconds)) if then else ""
    except Unfinished as error:
        return Verdict(name, False, steps, (f"{name}: not done yet, {count} are right", str(error)))
    witnesses = f"; witnesses: {', '.join(evidence)}" if evidence else ""
    lines = [f"{name}: right, {count}{witnesses}", *([further] if further else [])]
    return Verdict(name, True, steps, (*lines, f"the library's own line: {exercise.line}"))
