"""Joins: values and gradients against plain loops over every element, and PyTorch; broadcasting; bad input.

Those of layers run the implementation that is chosen for the arrays: on CuPy, the kernels.
"""

from __future__ import annotations

import itertools

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.ops import join

from ..arrays import assert_close, needs_torch

PAIRS = {
    "add": (*nn.Add.pair, lambda values: sum(values)),
    "subtract": (*nn.Subtract.pair, lambda values: values[0] - values[1]),
    "multiply": (*nn.Multiply.pair, np.prod),
    "maximum": (*nn.Maximum.pair, max),
    "minimum": (*nn.Minimum.pair, min),
}
SHAPES = [
    [(2, 3), (2, 3)],
    [(2, 3, 4), (2, 1, 4)],
    [(2, 3, 4), (4,)],
    [(1, 3, 1), (2, 1, 4)],
    [(2, 3), (1, 1)],
    [(2, 3), ()],
    [(1, 3), (2, 1), (3,)],
]


def looped(function, xs):
    """y, one element after the other."""
    shape = np.broadcast_shapes(*(x.shape for x in xs))
    y = np.empty(shape)
    for index in itertools.product(*map(range, shape)):
        y[index] = function([np.broadcast_to(x, shape)[index] for x in xs])
    return y


@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_values_and_gradients(xp, rng, name, shapes):
    if name == "subtract":
        shapes = shapes[:2]
    forward, backward, function = PAIRS[name]
    hosts, arrays = zip(*(xp.normal(rng, *shape) for shape in shapes), strict=True)
    y, _ = forward(arrays)
    assert_close(y, looped(function, hosts))
    arguments = {f"x{i}": array for i, array in enumerate(arrays)}
    report = check_pair(lambda *xs: forward(xs), backward, arguments)
    assert report.passed, report
    assert {row.argument for row in report.rows} == arguments.keys()


@needs_torch
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
@pytest.mark.parametrize("name", PAIRS)
def test_against_pytorch(rng, name, shapes):
    """Whole numbers, of which many are equal: ties of the maximum, too."""
    import torch

    shapes = shapes[:2]
    forward, backward, _ = PAIRS[name]
    xs = [rng.integers(-1, 2, size=shape).astype("float64") for shape in shapes]
    theirs = [torch.tensor(x, requires_grad=True) for x in xs]
    expected = getattr(torch, name if name != "subtract" else "sub")(*theirs)
    dy = rng.normal(size=tuple(expected.shape))
    expected.backward(torch.tensor(dy))
    y, cache = forward(xs)
    assert_close(y, expected.detach().numpy())
    for dx, each in zip(backward(dy, cache), theirs, strict=True):
        assert_close(dx, each.grad.numpy())


def test_three_that_are_equally_large_share_the_gradient(xp):
    forward, backward = nn.Maximum.pair
    _, cache = forward([xp.array(np.array(each)) for each in ([1.0, 2.0], [1.0, 0.0], [1.0, 2.0])])
    shares = [xpcnn.to_numpy(share) for share in backward(xp.array(np.array([6.0, 6.0])), cache)]
    assert [share.tolist() for share in shares] == [[2.0, 3.0], [2.0, 0.0], [2.0, 3.0]]


def test_concat(xp, rng):
    (a, a_), (b, b_) = xp.normal(rng, 2, 3, 4), xp.normal(rng, 2, 3, 1)
    y, cache = join.concat_forward((a_, b_, a_))
    assert_close(y, np.concatenate([a, b, a], axis=-1))
    dy, dy_ = xp.normal(rng, 2, 3, 9)
    for dx, part in zip(join.concat_backward(dy_, cache), (dy[..., :4], dy[..., 4:5], dy[..., 5:]), strict=True):
        assert_close(dx, part)


ONES = np.ones((2, 3))


@pytest.mark.parametrize(
    ("given", "error", "said"),
    [
        (ONES, OptionError, "expected a tuple of 2 arrays.*, got ndarray; in a Graph, name what it reads"),
        ((ONES,), OptionError, "expected a tuple of 2 arrays.*, got 1"),
        ((ONES, None), DTypeError, "an array, got None"),
        ((ONES, ONES.astype("float32")), DTypeError, "arrays of one dtype"),
        (
            (ONES, np.ones((2, 2))),
            ShapeError,
            r"broadcast to one, got \(2, 3\), \(2, 2\); axes are",
        ),
        (
            (np.ones((2, 6, 3, 1)), np.ones((2, 4, 5, 1))),
            ShapeError,
            r"got \(2, 6, 3, 1\), \(2, 4, 5, 1\); bring all to one size, such as with Upsample\(size=\(6, 5\)\)",
        ),
        ((ONES[:1], np.ones((0, 3))), ShapeError, "at least one item along every axis"),
        ((ONES, [1.0]), DTypeError, "an array"),
    ],
    ids=str,
)
@pytest.mark.parametrize("name", PAIRS)
def test_bad_input(name, given, error, said):
    with pytest.raises(error, match=rf"{name.capitalize()}.*{said}"):
        PAIRS[name][0](given)


def test_numbers_of_inputs():
    with pytest.raises(OptionError, match=r"Subtract: expected a tuple of 2 arrays, got 3"):
        join.subtract_forward((ONES,) * 3)
    with pytest.raises(OptionError, match=r"Concat: expected a tuple of 1 arrays or more, got 0"):
        join.concat_forward(())
    with pytest.raises(ShapeError, match=r"Concat.*channels only, got \(2, 3\), \(3, 3\)"):
        join.concat_forward((ONES, np.ones((3, 3))))
    with pytest.raises(DTypeError, match=r"Concat: expected an array, got None"):
        join.concat_forward((ONES, None))
    with pytest.raises(ShapeError, match=r"Concat: expected at least one item along every axis, got .*\(2, 0\)"):
        join.concat_forward((ONES, np.ones((2, 0))))
    with pytest.raises(ShapeError, match=r"Concat: expected arrays \(N, …, C\), got \(3,\), \(3,\)"):
        join.concat_forward((ONES[0], ONES[0]))  # the batches would become one


@pytest.mark.parametrize("name", PAIRS)
def test_bad_gradient(name):
    forward, backward, _ = PAIRS[name]
    _, cache = forward((ONES, ONES[0]))
    with pytest.raises(ShapeError, match=r"backward: expected dy \(2, 3\), as forward's output, got \(3,\)"):
        backward(ONES[0], cache)
