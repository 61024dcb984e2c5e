"""The search finds where NaN and infinity come from: a layer, a sum of branches, the loss, or what was given."""

from __future__ import annotations

import re

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader
from xpcnn.nn import (
    BatchNorm2d,
    Concat,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    Identity,
    Linear,
    Loss,
    MSELoss,
    OpLayer,
    ReLU,
    Residual,
    Sequential,
)
from xpcnn.training.nonfinite import search

from .small import assert_same, generators, host, network, split
from .spoil import Spoil


def batch(xp, n=10):
    x, y = next(iter(Loader(split(), n).epoch(0)))
    return x, y


def nets(spoil):
    """Networks of all kinds that contain the layer that spoils, by that layer's name."""
    conv = Conv2d(1, 2, 3, padding=1, rng=0)
    same = Conv2d(2, 2, 3, padding=1, rng=1)
    yield "1", Sequential(conv, spoil, ReLU(), Flatten(), Linear(72, 3, rng=2))
    yield (
        "2.body.1",
        Sequential(conv, BatchNorm2d(2), Residual(Sequential(same, spoil)), Flatten(), Linear(72, 3, rng=2)),
    )
    yield "1.1.0", Sequential(conv, Concat(same, Sequential(spoil)), Flatten(), Linear(144, 3, rng=2))
    yield "3", Sequential(conv, Flatten(), Linear(72, 3, rng=2), spoil)


@pytest.mark.parametrize("direction", ["forward", "backward"])
@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("kind", range(4))
def test_the_layer_is_found(xp, direction, bad, kind):
    name, model = list(nets(Spoil(direction, bad=bad)))[kind]
    x, y = batch(xp)
    finding = search(model, CrossEntropyLoss(), x, y)
    assert (finding.layer, finding.direction) == (name, direction)
    what = "1 NaN" if np.isnan(bad) else "1 infinite"
    given = "the output" if direction == "forward" else "the gradient of the input"
    assert re.fullmatch(
        rf"{what} of \d+ numbers in {given} of layer {re.escape(name)} \(Spoil\), {direction}", finding.text
    )
    assert [row.not_finite for row in finding.rows[:-1]] == [0] * (len(finding.rows) - 1)
    assert finding.rows[-1].not_finite == 1
    assert str(finding).splitlines()[-1] == finding.text


def test_gradients_of_parameters_are_looked_at(xp):
    class Bad(Linear):
        def backward(self, dy, cache, *, input_grad=True):
            dx, grads = super().backward(dy, cache, input_grad=input_grad)
            return dx, grads | {"bias": grads["bias"] * np.nan}

    x, y = batch(xp)
    finding = search(Sequential(Flatten(), Bad(36, 3, rng=0)), CrossEntropyLoss(), x, y)
    assert finding.text == "3 NaN of 3 numbers in the gradient of bias of layer 1 (Bad), backward"


def test_what_is_no_layer_s_doing(xp):
    model, (x, y) = Sequential(Flatten(), Linear(36, 3, rng=0)), batch(xp)
    spoilt = xpcnn.to_numpy(x).copy()
    spoilt[3, 2, 1, 0] = np.nan
    finding = search(model, CrossEntropyLoss(), xp.array(spoilt, "float32"), y)
    assert finding.text == "1 NaN of 360 numbers in the input"
    target = xp.array(np.full((10, 3), np.inf), "float32")
    assert search(model, MSELoss(), x, target).text == "30 infinite of 30 numbers in the targets"
    target = xp.array(np.full((10, 3), 1e30), "float32")
    assert search(model, MSELoss(), x, target).text == "1 infinite of 1 numbers in the loss, MSELoss, forward"
    assert search(model, CrossEntropyLoss(), x, y) is None


def test_where_branches_meet(xp):
    """Each branch is finite, their sum is not: forward, and backward."""

    class Times(OpLayer):
        pair = (lambda x, **_: (0 * x + 3e38, None), lambda dy, cache: dy)

    x = xp.array(np.ones((2, 3)), "float32")
    y = xp.array(np.zeros((2, 3)), "float32")
    model = Sequential(Times(), Residual(Times()), Linear(3, 3, rng=0))
    assert search(model, MSELoss(), x, y).text == (
        "6 infinite of 6 numbers in the input of layer 2 (Linear), where branches meet, forward"
    )
    model = Sequential(Times(), Residual(Times()))
    assert "the network's output, where branches meet" in search(model, MSELoss(), x, y).text


def test_a_search_leaves_no_trace(xp):
    model, (x, y) = network(), batch(xp)
    before = host(model.state_dict()), generators(model)
    search(model, CrossEntropyLoss(), x, y)
    assert_same(host(model.state_dict()), before[0])
    assert generators(model) == before[1]


class FiniteUntilBackward(Loss):
    def forward(self, y, target):
        return np.float32(1.0), y

    def backward(self, cache):
        return np.full_like(cache, np.nan)


class Steep(Identity):
    """The identity, with a gradient that is finite by itself."""

    def backward(self, dy, cache, *, input_grad=True):
        return np.full_like(dy, 3e38), {}


def test_the_gradient_of_the_loss():
    x = np.ones((2, 3), np.float32)
    found = search(Sequential(Linear(3, 2, rng=0)), FiniteUntilBackward(), x, x[:, :2])
    assert found.text == "4 NaN of 4 numbers in the gradient of the loss, FiniteUntilBackward, backward"
    assert (found.layer, found.direction) == ("", "backward")


def test_gradients_that_are_too_large_together():
    x = np.ones((2, 3), np.float32)
    model = Sequential(Linear(3, 2, rng=0), Residual(Steep(), Steep()))
    found = search(model, MSELoss(), x, x[:, :2])
    where = "the gradient of the output of layer 0 (Linear), where branches meet, backward"
    assert found.text == f"4 infinite of 4 numbers in {where}"
    assert [row.direction for row in found.rows] == ["forward"] * 3 + ["backward"] * 2


def test_the_largest_number_may_be_negative_and_so_may_infinity():
    x = np.ones((2, 1), np.float32)
    model = Sequential(Linear(1, 2, rng=0), Linear(2, 2, rng=0))
    model[0].weight[...] = np.array([[-5.0], [2.0]])
    model[1].weight[...] = np.array([[np.inf, 0.0], [0.0, 1.0]])
    found = search(model, MSELoss(), x, np.zeros((2, 2), np.float32))
    assert found.text.startswith("2 infinite of 4 numbers in the output of layer 1 (Linear), forward")
    assert [(row.largest, row.not_finite, row.size) for row in found.rows] == [(5.0, 0, 4), (2.0, 2, 4)]


def test_what_was_broken_before_has_its_whole_name():
    model = Sequential(Residual(Sequential(Linear(2, 2, rng=0), Linear(2, 2, rng=1))))
    model[0].children()["body"][1].weight[...] = np.nan
    x = np.ones((1, 2), np.float32)
    found = search(model, MSELoss(), x, x)
    assert found.layer == "0.body.1"
    assert found.text.endswith("(its 0.body.1.weight held some before)")
