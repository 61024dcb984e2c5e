"""Judges an answer to an exercise: right or wrong, by the library's result and by witnesses.

Each case is tried with copies of its arguments, so an answer that writes into them harms nothing, and is told. What the
answer returns is compared with the library's result, number by number. Gradients that agree are then compared with
witnesses that know no backward (`xpcnn.gradient_check`).
"""

from __future__ import annotations

import contextlib
import copy
import io
import threading
import time
import traceback
from _thread import interrupt_main
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..errors import XpcnnError, one_line, shortened
from ..gradient_check import check_pair
from ..typing import NDArray
from .exercise import Case, Exercise, Function, Unfinished

_TOLERANCE = 1e-9  # relative to the largest number of a result
_MOST_PRINTED = 2000  # characters of what an answer prints


@dataclass(frozen=True)
class Outcome:
    """What an answer made of one case: its arrays by name, or in one line why there are none or wrong ones."""

    values: Mapping[str, NDArray]
    trouble: str = ""
    kind: str = ""  # of the trouble: an exception's name, or "shape", "time", …
    printed: str = ""


class Stopped(Exception):
    """The time is over."""


@contextlib.contextmanager
def limit(seconds: float) -> Iterator[None]:
    """Raise `Stopped` in the main thread if the block takes longer (elsewhere there is no limit)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    over = threading.Event()

    def stop() -> None:
        over.set()
        interrupt_main()

    timer = threading.Timer(seconds, stop)
    timer.daemon = True
    timer.start()
    try:
        yield
    except KeyboardInterrupt:
        if not over.is_set():
            raise
        raise Stopped from None
    finally:
        timer.cancel()
        if over.is_set():  # what interrupts may still be on its way
            with contextlib.suppress(KeyboardInterrupt):
                time.sleep(0.05)


def outcome(function: Function, exercise: Exercise, case: Case, expected: Mapping[str, NDArray]) -> Outcome:
    """What the function makes of the case."""
    given = copy.deepcopy(dict(case.arguments))
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), np.errstate(all="ignore"):
            result = function(*given.values())
    except (Stopped, KeyboardInterrupt):
        raise
    except BaseException as error:  # also SystemExit: an answer must not end the check
        where = _line_of(error, function)
        told = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        return Outcome({}, f"it raised {shortened(one_line(told))}{where}", type(error).__name__, said.getvalue())
    changed = [name for name, value in case.arguments.items() if not _same(value, given[name])]
    try:
        values, trouble, kind = _values(result, exercise, expected)
    except Exception as error:  # an object whose own methods fail
        values, trouble, kind = {}, f"its result cannot be read: {type(error).__name__}", "type"
    if changed and not trouble:
        trouble, kind = f"it wrote into its argument {changed[0]}: make a copy, or a new array, instead", "written"
    return Outcome(values, trouble, kind, said.getvalue())


def _line_of(error: BaseException, function: Function) -> str:
    """Where in the answer's own file it was raised."""
    code = getattr(function, "__code__", None)
    lines = [f.lineno for f in traceback.extract_tb(error.__traceback__) if code and f.filename == code.co_filename]
    return f", line {lines[-1]} of its code" if lines else ""


def _same(a: Any, b: Any) -> bool:
    if isinstance(a, np.ndarray):
        return isinstance(b, np.ndarray) and a.dtype == b.dtype and np.array_equal(a, b, equal_nan=True)
    if isinstance(a, Mapping):
        return a.keys() == b.keys() and all(_same(a[key], b[key]) for key in a)
    return bool(a == b)


def named(result: Any, exercise: Exercise) -> dict[str, Any]:
    """The right result's parts by name; those of a mapping as `grads['0.weight']`."""
    parts = (result,) if len(exercise.outputs) == 1 else result
    found: dict[str, Any] = {}
    for name, part in zip(exercise.outputs, parts, strict=True):
        found |= {f"{name}[{key!r}]": v for key, v in part.items()} if isinstance(part, Mapping) else {name: part}
    return {name: np.asarray(value) for name, value in found.items()}


def _values(result: Any, exercise: Exercise, expected: Mapping[str, NDArray]) -> tuple[dict[str, NDArray], str, str]:
    """The result's arrays, and what is wrong with their kind or shape."""
    names = list(exercise.outputs)
    several = f"({', '.join(names)})"
    if result is Ellipsis:
        return {}, "the hole is still empty", "hole"
    if result is None:
        return {}, f"it returned None: end it with return {several if len(names) > 1 else names[0]}", "None"
    if len(names) > 1 and not (isinstance(result, tuple | list) and len(result) == len(names)):
        return {}, f"it should return {several}, and returned {_kind(result)}", "type"
    parts = list(result) if len(names) > 1 else [result]
    if any(part is Ellipsis for part in parts):
        return {}, f"the hole is still empty: {names[[part is Ellipsis for part in parts].index(True)]} is ...", "hole"
    found: dict[str, Any] = {}
    for name, part in zip(names, parts, strict=True):
        keys = [key[len(name) + 2 : -2] for key in expected if key.startswith(f"{name}[")]
        if not keys:
            found[name] = part
        elif not isinstance(part, Mapping) or {*part} != {*keys}:
            got = sorted(map(str, part)) if isinstance(part, Mapping) else _kind(part)
            return {}, f"{name} should be a dictionary of {', '.join(keys)}, and is {shortened(str(got))}", "type"
        else:
            found |= {f"{name}[{key!r}]": part[key] for key in keys}
    values: dict[str, NDArray] = {}
    trouble = kind = ""
    for name, part in found.items():
        if part is None:
            return {}, f"{name} is None", "None"
        try:
            values[name] = array = np.asarray(part)
        except (TypeError, ValueError):
            return {}, f"{name} is no array, but {_kind(part)}", "type"
        right = expected[name]
        if array.dtype.kind not in "iufb":
            return {}, f"{name} is no array of numbers, but {_kind(part)}", "type"
        if right.dtype.kind == "i":
            if array.dtype.kind != "i":
                trouble, kind = f"{name} should be an integer, and is {array}, a {array.dtype}", "dtype"
        elif array.dtype != right.dtype and right.ndim and not trouble:
            trouble, kind = f"{name} should be {right.dtype}, as its inputs are, and is {array.dtype}", "dtype"
        if array.shape != right.shape and not trouble:
            trouble, kind = f"{name} should have the shape {right.shape}, and has {array.shape}", "shape"
    return values, trouble, kind


def _kind(value: Any) -> str:
    return f"an array {value.shape}" if isinstance(value, np.ndarray) else f"a {type(value).__name__}"


def close(got: NDArray, right: NDArray) -> NDArray:
    """Which numbers agree, up to rounding."""
    size = float(np.max(np.abs(right), initial=0, where=np.isfinite(right))) or 1.0
    with np.errstate(all="ignore"):
        agree: NDArray = (np.abs(got - right) <= _TOLERANCE * size) | (got == right)
    return agree


def agrees(one: Outcome, other: Outcome) -> bool:
    """True if both have the same numbers, or fail alike."""
    if one.kind != other.kind or one.values.keys() != other.values.keys():
        return False
    pairs = [(one.values[name], other.values[name]) for name in one.values]
    return all(a.shape == b.shape and bool(np.all(close(a, b) | (np.isnan(a) & np.isnan(b)))) for a, b in pairs)


@dataclass(frozen=True)
class Trial:
    """An answer, or a mistake, tried with all cases."""

    exercise: Exercise
    cases: Sequence[Case]
    expected: Sequence[Outcome]
    got: Sequence[Outcome]

    @property
    def right(self) -> list[bool]:
        return [not mine.trouble and agrees(mine, its) for mine, its in zip(self.got, self.expected, strict=True)]


def tried(exercise: Exercise, function: Function, seconds: float) -> Trial:
    """The function, tried with all cases. Those that the time does not suffice for are in trouble."""
    cases = exercise.cases()
    expected = [Outcome(named(exercise.right(*case.arguments.values()), exercise)) for case in cases]
    got: list[Outcome] = []
    try:
        with limit(seconds):
            for case, its in zip(cases, expected, strict=True):
                got.append(outcome(function, exercise, case, its.values))
    except Stopped:
        told = f"it did not come to an end within {seconds:g} s: is there an endless loop?"
        got += [Outcome({}, told, "time")] * (len(cases) - len(got))
    return Trial(exercise, cases, expected, got)


def witnessed(exercise: Exercise, function: Function, cases: Sequence[Case]) -> list[str]:
    """The largest error that each witness found in the last smooth case, in words; none if it has no gradients.

    Raises
        Unfinished : a witness contradicts
    """
    if exercise.pair is None:
        return []
    case = [each for each in cases if each.smooth][-1]

    def arrays(*given: Any) -> Any:
        """The answer's result, with arrays for the lists and numbers that it may return."""
        result = function(*given)
        parts = result if len(exercise.outputs) > 1 else (result,)
        made = tuple(
            {key: np.asarray(value) for key, value in part.items()} if isinstance(part, Mapping) else np.asarray(part)
            for part in parts
        )
        return made if len(exercise.outputs) > 1 else made[0]

    forward, backward, arguments = exercise.pair(arrays, *copy.deepcopy(dict(case.arguments)).values())
    try:
        with contextlib.redirect_stdout(io.StringIO()), np.errstate(all="ignore"):
            report = check_pair(forward, backward, arguments, subject=exercise.name, directions=2)
    except XpcnnError as error:
        raise Unfinished(str(error)) from None
    if not report.passed:
        raise Unfinished("; ".join(f"{r.argument}: {r.witness} {r.error:.1e}" for r in report.rows if not r.passed))
    worst: dict[str, float] = {}
    for row in report.rows:
        worst[row.witness] = max(worst.get(row.witness, 0.0), row.error)
    return [f"{witness} {error:.0e}" for witness, error in worst.items()]


def run_limited(seconds: float, call: Callable[[], Any]) -> Any:
    """The call's value.

    Raises
        Unfinished : it takes too long, or raises
    """
    try:
        with limit(seconds):
            return call()
    except Stopped:
        raise Unfinished(f"it did not come to an end within {seconds:g} s") from None
    except (KeyboardInterrupt, Unfinished):
        raise
    except BaseException as error:
        raise Unfinished(shortened(one_line(f"it raised {type(error).__name__}: {error}"))) from None


def printed(trial: Trial, position: int) -> str:
    """What the answer printed in that case, shortened."""
    return shortened(trial.got[position].printed.rstrip(), _MOST_PRINTED)
