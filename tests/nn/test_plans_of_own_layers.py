"""In a plan, layers and containers from outside xpcnn run as they are."""

from __future__ import annotations

import numpy as np
import pytest

from tests.nn.plans import NUMPY_AS_USUAL, close
from xpcnn import nn

pytestmark = NUMPY_AS_USUAL


class Centred(nn.Layer):
    """Not from xpcnn, and its output depends on the whole batch."""

    def forward(self, x):
        return x - x.mean(), None

    def backward(self, dy, cache, *, input_grad=True):
        return dy - dy.mean(), {}


def test_layers_of_ones_own_run_as_they_are():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, padding=1, rng=0), Centred(), nn.ReLU())
    x = np.random.default_rng(0).random((5, 6, 6, 1), np.float32)
    close(nn.plan(model, (6, 6, 1)), model, x)


@pytest.mark.parametrize(
    "function",
    [
        lambda x: x.mean(axis=0, keepdims=True),
        lambda x: x[: len(x) // 2 + 1],
        lambda x: x.astype("float64") if len(x) > 1 else x,
        lambda x: (x, x) if len(x) > 1 else x,
    ],
)
def test_a_layer_of_ones_own_whose_output_is_another_for_more_items(function):
    class Own(nn.Layer):
        def forward(self, x):
            return function(x), None

        def backward(self, dy, cache, *, input_grad=True):
            raise NotImplementedError

    model = nn.Sequential(nn.Linear(3, 4, rng=0), Own())
    plan = nn.plan(model, (3,))
    for n in (1, 3, 1):
        x = np.random.default_rng(n).random((n, 3), np.float32)
        got, expected = plan(x), model(x)
        assert type(got) is type(expected)
        if isinstance(got, np.ndarray):
            assert got.dtype == expected.dtype
        np.testing.assert_allclose(got, expected, rtol=1e-5)
        assert np.shape(got) == np.shape(expected)


class Sum(nn.Container):
    """A container from outside xpcnn, which computes something itself."""

    def run_children(self, x, run):
        return sum(run(name, child, x) for name, child in self._children.items())

    def forward(self, x):
        raise NotImplementedError

    def backward(self, dy, cache, *, input_grad=True):
        raise NotImplementedError


def test_a_container_of_ones_own_runs_as_it_is():
    model = nn.Sequential(Sum({"a": nn.ReLU(), "b": nn.Sigmoid()}))
    x = np.random.default_rng(0).normal(size=(5, 6)).astype("float32")
    close(nn.plan(model, (6,)), model, x)
