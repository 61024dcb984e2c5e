"""Whatever an answer does, the check ends, changes nothing, and says in one line what is wrong and where."""

from __future__ import annotations

import time
from dataclasses import replace

import numpy as np
import pytest

from xpcnn import course
from xpcnn.errors import OptionError

from .solutions import SOLUTIONS, dw_loops


def verdict_of(function, name="sgd_step", **options):
    verdict = course.check(function, name, **options)
    assert not verdict
    return verdict


def endless(p, g, lr):
    while True:
        pass


def writes(p, g, lr):
    p -= lr * g
    return p


def raises(p, g, lr):
    return p - lr * h  # noqa: F821


class Odd:
    """An object that fails when it is looked at."""

    def __array__(self, *args, **options):
        raise ZeroDivisionError


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (raises, f"it raised NameError: name 'h' is not defined, line {raises.__code__.co_firstlineno + 1}"),
        (lambda p, g, lr: None, "it returned None: end it with return p"),
        (lambda p, g, lr: ..., "the hole is still empty"),
        (lambda p, g, lr: (p - lr * g)[None], "p should have the shape (1,), and has (1, 1)"),
        (lambda p, g, lr: (p - lr * g).astype("f4"), "p should be float64, as its inputs are, and is float32"),
        (lambda p, g, lr: "p", "p is no array of numbers, but a str"),
        (lambda p, g, lr: [[1], [2, 3]], "p is no array, but a list"),
        (lambda p, g, lr: {}, "p is no array of numbers, but a dict"),
        (lambda p, g, lr: Odd(), "its result cannot be read: ZeroDivisionError"),
        (lambda p: p, "it raised TypeError"),
        (writes, "it wrote into its argument p"),
        (lambda p, g, lr: p * np.nan, "p[0] is nan, expected 0.0911718"),
        (lambda p, g, lr: exit(), "it raised SystemExit"),
    ],
)
def test_what_is_no_result(function, said):
    line = next(line for line in verdict_of(function).lines if line.startswith('step "one number": ') or "hole" in line)
    assert said in line


def test_several_results():
    assert "it should return (p, v), and returned an array (3,)" in repr(verdict_of(lambda p, *_: p, "momentum_step"))
    assert "the hole is still empty: v is ..." in repr(verdict_of(lambda p, *_: (p, ...), "momentum_step"))
    missing = verdict_of(lambda x, labels, params: (0.0, {}), "lenet5_gradients")
    assert "grads should be a dictionary of 0.weight, 0.bias, 3.weight" in repr(missing)


def test_an_endless_loop_ends():
    began = time.perf_counter()
    assert "it did not come to an end within 0.2 s" in repr(verdict_of(endless, seconds=0.2))
    assert time.perf_counter() - began < 5


def test_what_it_prints_is_shown_once(capsys):
    def sgd_step(p, g, lr):
        print("p is", p.shape)
        return p

    assert repr(verdict_of(sgd_step)).endswith("it printed:\np is (1,)")
    assert capsys.readouterr().out == ""


def without(term):
    """dw without the terms that the condition names."""

    def function(dy, x, kernel, stride, padding):
        dy = dy.copy()
        for place in np.ndindex(*dy.shape):
            if term(*place, dy.shape):
                dy[place] = 0
        return dw_loops(dy, x, kernel, stride, padding)

    return function


@pytest.mark.parametrize(
    ("function", "said"),
    [
        (without(lambda n, i, j, f, s: (i, j) == (0, 1)), "dy[0,0,1,0]·x̂[0,0,1,0] is missing"),
        (without(lambda n, i, j, f, s: i == s[1] - 1), "all terms with i = 1 are missing"),
        (lambda *given: 2 * dw_loops(*given), "It looks as if dw was twice too large."),
        (lambda *given: -dw_loops(*given), "It looks as if dw was of the opposite sign."),
        (lambda *given: dw_loops(*given) * given[0][0, ..., 0].size, "multiplied by OH·OW, the number of positions."),
        (lambda *given: 0.3 * dw_loops(*given), "It looks as if dw was multiplied by 0.3."),
        (lambda *given: 0 * dw_loops(*given), "It looks as if dw was left at 0."),
        (lambda *given: dw_loops(*given).swapaxes(0, 3), "its axes 0 and 3, which are swapped"),
        (lambda *given: dw_loops(*given)[..., None], "It looks as if dw was right, but for its shape."),
        (lambda *given: dw_loops(*given)[:, ::-1], "It looks as if dw was the wrong way round along axis 1."),
    ],
)
def test_where_it_differs_and_what_that_looks_like(function, said):
    assert said in repr(verdict_of(function, "conv2d_dw"))


def test_several_mistakes_are_told_one_by_one():
    """Stride and padding are both left out: the first step that is wrong is about the stride."""
    verdict = verdict_of(lambda dy, x, k, s, p: dw_loops(dy, x, k, (1, 1), (0, 0)), "conv2d_dw")
    assert verdict.looks_like == "the stride were ignored"
    assert [right for _, right in verdict.steps] == [True, True, False, False, False]


def test_only_some_numbers_differ():
    def conv2d_dw(dy, *given):
        dw = dw_loops(dy, *given)
        dw[..., -1] += 1.0
        return dw

    verdict = verdict_of(conv2d_dw, None)
    assert 'step "one channel": 4 of 4 numbers of dw differ' in repr(verdict)
    whole = course.all_exercises()["conv2d_dw"]
    several = replace(whole, cases=lambda: whole.cases()[1:])
    assert "all of them have c = 2" in repr(course.check(conv2d_dw, several))


def test_a_convolution_that_is_right_and_slow_is_not_done():
    def slow(x, w):
        time.sleep(0.05)
        return SOLUTIONS["fast_conv2d"][0](x, w)

    verdict = verdict_of(slow, "fast_conv2d")
    assert "right, but not yet 5 times as fast as the loops" in repr(verdict)
    assert all(right for _, right in verdict.steps)


def test_wrong_questions():
    for function, name, said in [
        (3, None, "expected a function, got int"),
        (writes, "sgd_stp", "did you mean sgd_step?"),
        (writes, None, "expected an exercise: one_step"),
    ]:
        with pytest.raises(OptionError, match=said.replace("?", r"\?")):
            course.check(function, name)
    with pytest.raises(OptionError, match="seconds"):
        course.check(writes, "sgd_step", seconds=0)


def test_the_verdict_says_which_witnesses_agreed():
    verdict = course.check(SOLUTIONS["conv2d_dx"][0], "conv2d_dx")
    assert "conv2d_dx: right, 5 of 5 steps; witnesses: central difference" in verdict.lines[0]
    assert "adjoint identity" in verdict.lines[0]
