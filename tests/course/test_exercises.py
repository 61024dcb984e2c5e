"""Every exercise accepts right answers in several styles, and calls each of its typical mistakes by its name.

The witnesses, which know no backward, must find every wrong gradient, too.
"""

from __future__ import annotations

import inspect
import re
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from xpcnn import course
from xpcnn.course.exercise import Unfinished, all_exercises
from xpcnn.course.exercises import lenet5_gradients
from xpcnn.course.judge import tried, witnessed
from xpcnn.course.looks import looks_like
from xpcnn.data import digits

from . import solutions
from .solutions import SOLUTIONS

EXERCISES = all_exercises()
ANSWERS = [(name, i) for name, functions in SOLUTIONS.items() for i in range(len(functions))]
MISTAKES = [(name, i) for name, exercise in EXERCISES.items() for i in range(len(exercise.mistakes))]


def test_every_exercise_has_a_solution_mistakes_and_a_number():
    assert SOLUTIONS.keys() == EXERCISES.keys()
    assert [each.number for each in EXERCISES.values()] == list(range(1, len(EXERCISES) + 1))
    assert all(each.mistakes and each.hint and each.formula for each in EXERCISES.values())


@pytest.mark.parametrize(("name", "position"), ANSWERS)
def test_a_right_answer_is_right(name, position):
    exercise = replace(EXERCISES[name], afterwards=None) if name == "lenet5_gradients" else EXERCISES[name]
    verdict = course.check(SOLUTIONS[name][position], exercise)  # LeNet-5's training is a test of its own
    assert verdict, verdict
    assert all(right for _, right in verdict.steps)
    assert str(EXERCISES[name].line) in verdict.lines[-1]


@pytest.mark.parametrize(("name", "position"), MISTAKES)
def test_a_mistake_is_called_by_its_name(name, position):
    exercise = EXERCISES[name]
    mistake = exercise.mistakes[position]
    trial = tried(exercise, mistake.function, 20)
    assert not all(trial.right)
    assert looks_like(trial) == mistake.words


@pytest.mark.parametrize("name", [name for name, each in EXERCISES.items() if each.pair and name != "lenet5_gradients"])
def test_witnesses_find_what_the_comparison_finds(name):
    """A mistake that differs in the last smooth case is found by witnesses alone."""
    exercise, found = EXERCISES[name], 0
    for mistake in exercise.mistakes:
        trial = tried(exercise, mistake.function, 20)
        last = max(i for i, case in enumerate(trial.cases) if case.smooth)
        mine, its = trial.got[last], trial.expected[last]
        gradients = [key for key in its.values if key != "loss"]
        if mine.trouble or all(np.allclose(mine.values[key], its.values[key]) for key in gradients):
            continue
        with pytest.raises(Unfinished, match="central difference"):
            witnessed(exercise, mistake.function, trial.cases)
        found += 1
    assert found >= 3


@pytest.mark.parametrize("name", EXERCISES)
def test_the_library_s_line_is_there(name):
    line = EXERCISES[name].line
    assert line.code()
    assert {n for n in line.equations} <= {int(n) for _, code in line.code() for n in re.findall(r"\d+", code)}


@pytest.mark.parametrize("name", EXERCISES)
def test_the_hole_is_empty_and_the_formula_s_numbers_are_the_library_s(name):
    exercise, names = EXERCISES[name], {}
    assert re.search(r"^ +(\w+ = )?\.\.\.$", exercise.code, re.MULTILINE)
    exec(exercise.code, names)
    verdict = course.check(names[name])
    assert not verdict
    numbers = {int(n) for n in re.findall(r"\((\d)\)", exercise.formula)}
    assert {*exercise.line.equations} <= numbers or not numbers
    exec(compile(exercise.code, name, "exec"), names)
    names[name] = SOLUTIONS[name][0]
    exec("import numpy as np\n" + exercise.example, names)  # the example runs with a right answer


def at(i, j, kernel):
    """What the windows of document 001's backward cover: they begin at (i, j), whatever the stride."""
    return slice(i, i + kernel[0]), slice(j, j + kernel[1])


def document_001_dw(dy, x, kernel, stride, padding):
    x = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    dw = np.zeros((*kernel, x.shape[3], dy.shape[3]))
    for m, i, j, f in np.ndindex(*dy.shape):
        dw[:, :, :, f] += x[(m, *at(i, j, kernel))] * dy[m, i, j, f]
    return dw.transpose(3, 0, 1, 2)


def document_001_dx(dy, w, size, stride, padding):
    dx = np.zeros((len(dy), *size, w.shape[3]))
    whole = np.pad(dx, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))
    for m in range(len(dy)):
        for i, j, f in np.ndindex(*dy.shape[1:]):
            whole[(m, *at(i, j, w.shape[1:3]))] += w[f] * dy[m, i, j, f]
        dx[m] = whole[m, padding[0] : -padding[0], padding[1] : -padding[1]]
    return dx


def document_001_max(dy, x, kernel, stride, padding):
    dx = np.zeros_like(x)
    for m, i, j, c in np.ndindex(*dy.shape):
        window = x[(m, *at(i, j, kernel), c)]
        dx[(m, *at(i, j, kernel), c)] += (window == np.max(window)) * dy[m, i, j, c]
    return dx


def document_000_max(dy, x, kernel, stride, padding):
    dx = np.zeros_like(x)
    for m, i, j, c in np.ndindex(*dy.shape):
        top, left = i * stride[0], j * stride[1]
        k, l = np.unravel_index(np.argmax(x[m, top : top + kernel[0], left : left + kernel[1], c]), kernel)
        dx[m, top + k, left + l, c] = dy[m, i, j, c]
    return dx


def edited(function, old, new):
    """The answer, with a piece of its code replaced."""
    code = inspect.getsource(function)
    assert old in code
    names = dict(vars(solutions))
    exec(code.replace(old, new), names)
    return names[function.__name__]


WRONG = [  # code that is written independently of the exercises' own
    ("conv2d_dx", solutions.dx_textbook, "w[:, ::-1, ::-1])", "w)", "the kernel were not turned"),
    ("conv2d_dx", solutions.dx_loops, "+= dy", "= dy", "overlapping windows were assigned, where they should be added"),
    ("conv2d_dx", solutions.dx_loops, "j * stride[1]", "j * stride[0]",
     "the stride of the height were used for both axes"),
    ("conv2d_dx", solutions.dx_loops, "[:, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]", "",
     "the padding were not cut off"),
    ("conv2d_dw", solutions.dw_loops, "return dw", "return dw / len(dy)", "dw were divided by N, the number of images"),
    ("conv2d_dw", solutions.dw_taps, "x, (_, oh, ow, filters) = pad(x, padding), dy", "_, oh, ow, filters = dy",
     "the input were left unpadded"),
    ("conv2d_forward", solutions.conv_loops, "w[f]) + b[f]", "w[f] + b[f])", "the bias were added at every tap"),
    ("conv2d_forward", solutions.conv_windows, "windows, w)", "windows, w[:, ::-1, ::-1])",
     "the kernel were turned by 180°"),
    ("max_pool_backward", solutions.max_pool_argmax, "constant_values=-np.inf", "", "the padding were 0, not −∞"),
    ("max_pool_backward", solutions.max_pool_search, "> x[best]", ">= x[best]", "the last of tied maxima got dy"),
    ("avg_pool_backward", solutions.avg_pool_loops, " / kernel[0] / kernel[1]", "",
     "dy were not divided by KH·KW, the number of taps"),
    ("softmax_cross_entropy", solutions.entropy_arrays, "d / len(logits)", "d",
     "the loss were a mean and its gradient that of the sum"),
    ("batch_norm_backward", solutions.batch_norm_steps, " + dmean / m", "", "the mean were a constant"),
    ("adam_step", solutions.adam, "/ (1 - beta1**t)", "/ (1 - beta1 ** (t - 1))", ""),
    ("rmsprop_step", solutions.rmsprop, "(s**0.5 + eps)", "(s + eps) ** 0.5", "ε were inside of the root"),
    ("momentum_step", solutions.momentum, "mu * v + g", "mu * v + (1 - mu) * g", "g were multiplied by 1 − μ"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "right", "old", "new", "words"), WRONG)
def test_a_wrong_answer_of_another_hand_is_called_by_its_name(name, right, old, new, words):
    verdict = course.check(edited(right, old, new), name)
    assert not verdict
    assert verdict.looks_like == words, verdict


@pytest.mark.parametrize(
    ("name", "answer", "words"),
    [
        ("conv2d_dw", document_001_dw, "the stride were ignored"),
        ("conv2d_dx", document_001_dx, "the padding were cut off by pad:-pad, which is empty for a padding of 0"),
        ("max_pool_backward", document_001_max, "the stride were ignored"),
        ("max_pool_backward", document_000_max, "overlapping windows were assigned, where they should be added"),
        ("one_step", lambda patch, w, b: np.sum(np.multiply(patch, w) + b), "the bias were added at every tap"),
    ],
)
def test_what_the_documents_do_is_called_by_its_name(name, answer, words):
    verdict = course.check(answer, name)
    assert verdict.looks_like == words, verdict


def test_the_page_on_the_documents_names_tests_and_exercises_that_exist():
    root = Path(__file__).parent.parent.parent
    text = (root / "docs" / "seeds.md").read_text(encoding="utf-8")
    table = text[text.index("## Their mistakes") :]
    tests = (root / "tests" / "test_seed_mistakes.py").read_text(encoding="utf-8")
    assert all(f"def {name}(" in tests for name in re.findall(r"`(test_\w+)`", table))
    assert all((root / name).exists() for name in re.findall(r"`(tests/[\w/]+\.py)`", table))
    exercises = [name for row in re.findall(r"\|[^|\n]*\|\n", table) for name in re.findall(r"`(\w+)`", row)]
    assert len(exercises) > 10
    assert {*exercises} <= EXERCISES.keys()


def test_lenet5_trains_on_mnist_where_it_is_and_the_answer_is_fast(monkeypatch):
    def trained(function, dataset, scale, count):
        return f"{count} steps on {dataset.name}"

    for places, seconds, said in (
        (["here", None], 60.0, "200 steps on digits"),  # it is not whole, and there is no download
        (["here", "here"], 60.0, "200 steps on mnist"),
        (["here", "here"], 1e-9, "20 steps on digits"),
    ):
        found = SimpleNamespace(source=SimpleNamespace(find=lambda places=places: places))
        monkeypatch.setitem(lenet5_gradients.KNOWN, "mnist", found)
        monkeypatch.setattr(lenet5_gradients.data, "mnist", lambda: SimpleNamespace(name="mnist"))
        monkeypatch.setattr(lenet5_gradients, "_trained", trained)
        assert lenet5_gradients._afterwards(print, seconds) == said


@pytest.mark.slow
def test_lenet5_learns_the_digits():
    said = lenet5_gradients._trained(SOLUTIONS["lenet5_gradients"][0], digits(), 2, lenet5_gradients._STEPS)
    assert re.search(r"(8[5-9]|9\d)\.\d% of 360 test images", said)


def test_a_slow_answer_takes_fewer_steps():
    said = lenet5_gradients._trained(EXERCISES["lenet5_gradients"].right, digits(), 2, 20)
    before, after = map(float, re.search(r"loss (.*) → (.*);", said).groups())
    assert after < before
    with pytest.raises(Unfinished, match="the loss was to fall, and went from 1"):
        lenet5_gradients._trained(lambda x, labels, p: (1.0, {key: 0 * p[key] for key in p}), digits(), 2, 20)


def test_what_has_learned_nothing_is_not_done():
    def frozen(x, labels, params):
        return 0.0, {name: 0 * p for name, p in params.items()}

    with pytest.raises(Unfinished, match="at least 70% was expected"):
        lenet5_gradients._trained(frozen, digits(), 2, lenet5_gradients._STEPS)
