"""Where a wrong result differs, in which term, and which mistake it looks like.

A mistake is recognised by its numbers: a result looks like a mistake that gives the same numbers in every case. The
exercise's own mistakes are tried first, then general ones: a factor, a turn, axes that are swapped.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Any

import numpy as np

from ..typing import NDArray
from .exercise import Function, Term
from .judge import Outcome, Trial, agrees, close, outcome

_MOST_TERMS = 4


def looks_like(trial: Trial) -> str:
    """The end of "It looks as if …", or nothing.

    Where no mistake explains all cases, an answer may make several: then what explains the first that is wrong, and
    those before it.
    """
    first = trial.right.index(False) + 1
    begin = Trial(trial.exercise, trial.cases[:first], trial.expected[:first], trial.got[:first])
    return _looks_like(trial) or _looks_like(begin)


def _looks_like(trial: Trial) -> str:
    for mistake in trial.exercise.mistakes:
        if _same_numbers(trial, mistake.function):
            return mistake.words
    wrong = [i for i, right in enumerate(trial.right) if not right]
    if any(trial.got[i].kind not in ("", "shape") for i in wrong):
        return ""
    names = [name for name in trial.expected[wrong[0]].values if _differs(trial, wrong, name)]
    told = [_general(trial, wrong, name) for name in names]
    same = told[0] if told and all(each == told[0] for each in told) else ""
    if same:
        return f"{' and '.join(names)} {'were' if len(names) > 1 else 'was'} {same}"
    both = [f"{name} was {each}" for name, each in zip(names, told, strict=True) if each]
    return both[0] if both else ""


def _same_numbers(trial: Trial, mistake: Function) -> bool:
    for case, its, mine in zip(trial.cases, trial.expected, trial.got, strict=True):
        if mine.kind == "time" or not agrees(outcome(mistake, trial.exercise, case, its.values), mine):
            return False
    return True


def _differs(trial: Trial, wrong: list[int], name: str) -> bool:
    return any(not _right(trial.got[i], trial.expected[i], name) for i in wrong)


def _right(mine: Outcome, its: Outcome, name: str) -> bool:
    a, b = mine.values[name], its.values[name]
    return a.shape == b.shape and bool(np.all(close(a, b)))


def _general(trial: Trial, wrong: list[int], name: str) -> str:
    """The general mistake that explains this result in every case where it is wrong."""
    pairs = [(trial.got[i].values[name], trial.expected[i].values[name]) for i in wrong]
    if all(a.shape == b.shape for a, b in pairs):
        if all(not np.any(a) and np.any(b) for a, b in pairs):
            return "left at 0"
        factors = [_factor(a, b) for a, b in pairs]
        if all(factor is not None for factor in factors):
            return _factor_in_words(trial, wrong, [f or 0.0 for f in factors])
        for axes in ((1, 2), (0, 1), (0,), (1,), (2,), (-1,)):
            if all(_is(np.flip, a, b, axes) for a, b in pairs):
                return (
                    "turned by 180°"
                    if len(axes) == 2
                    else f"the wrong way round along axis {axes[0] % pairs[0][1].ndim}"
                )
    for one, other in combinations(range(4), 2):
        if all(_is(np.swapaxes, a, b, one, other) for a, b in pairs):
            return f"right, but for its axes {one} and {other}, which are swapped"
    if all(a.shape != b.shape and a.size == b.size and np.all(close(a.reshape(b.shape), b)) for a, b in pairs):
        return "right, but for its shape"
    return ""


def _is(turn: Function, a: NDArray, b: NDArray, *axes: Any) -> bool:
    try:
        turned = turn(a, *axes)
    except (ValueError, IndexError):  # no such axes
        return False
    return turned.shape == b.shape and bool(np.all(close(turned, b)))


def _factor(a: NDArray, b: NDArray) -> float | None:
    """The number k with a = k·b, if there is one."""
    largest = np.unravel_index(np.argmax(np.abs(b)), b.shape)
    if not b[largest] or not np.isfinite(a[largest]):
        return None
    k = float(a[largest] / b[largest])
    return k if k and bool(np.all(close(a, k * b))) else None


def _factor_in_words(trial: Trial, wrong: list[int], factors: list[float]) -> str:
    named = [_named_factors(trial, i) for i in wrong]
    for name in named[0]:
        if all(abs(names[name] - factor) <= 1e-9 * abs(factor) for names, factor in zip(named, factors, strict=True)):
            return name
    if max(factors) - min(factors) <= 1e-9 * abs(factors[0]):
        return f"multiplied by {factors[0]:.4g}"
    return f"multiplied by a factor that differs between the cases: {', '.join(f'{f:.4g}' for f in factors[:4])}"


def _named_factors(trial: Trial, position: int) -> Mapping[str, float]:
    """Numbers that a result may be too large by in that case, by what they are."""
    arguments = list(trial.cases[position].arguments.values())
    names = {"of the opposite sign": -1.0}
    own = trial.exercise.factors(*arguments) if trial.exercise.factors else {}
    for name, value in own.items():
        names |= {f"multiplied by {name}": value, f"divided by {name}": 1 / value}
    return names | {"twice too large": 2.0, "half of what it should be": 0.5}


def difference(trial: Trial, position: int) -> list[str]:
    """Where the result of that case differs: how many numbers, the first of them, and what is wrong in its sum."""
    mine, its = trial.got[position], trial.expected[position]
    if mine.trouble:
        return [mine.trouble]
    lines = []
    for name, b in its.values.items():
        a = mine.values[name]
        wrong = np.argwhere(~close(a, b))
        if not len(wrong):
            continue
        index = tuple(int(k) for k in wrong[0])
        letters = trial.exercise.outputs.get(name.split("[")[0], "")
        count = f"{len(wrong)} of {b.size} numbers of {name} differ; the first: " if b.ndim else ""
        lines.append(f"{count}{_place(name, index, letters)} is {_shown(a[index])}, expected {_shown(b[index])}")
        lines += _confined(name, wrong, b.shape, letters)
        if trial.exercise.terms and np.isfinite(a[index]):
            arguments = trial.cases[position].arguments.values()
            terms = list(trial.exercise.terms(name, index, *arguments))
            lines += _in_the_sum(_place(name, index, letters), terms, float(b[index] - a[index]))
        break
    return lines


def _place(name: str, index: tuple[int, ...], letters: str) -> str:
    if not index:
        return name
    if len(letters) != len(index):
        return f"{name}[{', '.join(map(str, index))}]"
    return f"{name}[{', '.join(f'{letter}={k}' for letter, k in zip(letters, index, strict=True))}]"


def _shown(value: float) -> str:
    return f"{float(value):.6g}".replace("-", "−")


def _confined(name: str, wrong: NDArray, shape: tuple[int, ...], letters: str) -> list[str]:
    """If all wrong numbers have one index in common, or all but one: which."""
    for axis, size in enumerate(shape):
        found = {*wrong[:, axis].tolist()}
        letter = letters[axis] if len(letters) == len(shape) else f"axis {axis}"
        if size > 1 and len(found) == 1 and len(wrong) > 1:
            return [f"all of them have {letter} = {found.pop()}"]
        if size > 2 and len(found) == size - 1:
            (spared,) = {*range(size)} - found
            if len(wrong) == (size - 1) * int(np.prod(shape)) // size:
                return [f"all with {letter} = {spared} are right, and no others"]
    return []


def _in_the_sum(place: str, terms: list[Term], missing: float) -> list[str]:
    """The terms of one element, and which of them are missing or counted twice."""
    if not terms:
        return [f"{place} is 0: no output depends on it"]
    shown = " + ".join(term.text for term in terms[:_MOST_TERMS])
    more = f" + … ({len(terms)} terms)" if len(terms) > _MOST_TERMS else ""
    lines = [f"{place} = {shown}{more}"]
    size = max(abs(term.value) for term in terms)
    for one, several, sign in (("is missing", "are missing", 1), ("counts twice", "count twice", -1)):
        for what, value in _parts(terms):
            if size and abs(sign * value - missing) <= 1e-9 * max(size, abs(missing)):
                return [*lines, f"{what} {several if what.startswith('all ') else one}"]
    return lines


def _parts(terms: list[Term]) -> Iterator[tuple[str, float]]:
    """Each term, and all terms with one value of one letter, with their sums."""
    for term in terms:
        yield term.text, term.value
    for letter in terms[0].letters:
        for k in sorted({term.letters[letter] for term in terms}):
            group = [term.value for term in terms if term.letters[letter] == k]
            if 1 < len(group) < len(terms):
                yield f"all terms with {letter} = {k}", sum(group)
