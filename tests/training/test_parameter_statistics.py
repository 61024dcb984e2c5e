"""Statistics of weights and gradients, checked by hand; and of the optimizer's next step, which is then taken back."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn.nn import CrossEntropyLoss, Linear, MSELoss, Sequential
from xpcnn.optim import SGD, Adam
from xpcnn.training import gradient_statistics

from .small import assert_same, batch, generators, host, network


def test_each_number_by_hand(xp):
    """y = x wᵀ with w = (1, −2, 0, 2), x = (1, 0, 3, 0): L = (y − 3)², dL/dw = 2 (y − 3) x = (−4, 0, −12, 0)."""
    model = Sequential(Linear(4, 1, bias=False, rng=0))
    model[0].weight[...] = xp.array([[1.0, -2.0, 0.0, 2.0]], "float32")
    x, y = xp.array([[1.0, 0.0, 3.0, 0.0]], "float32"), xp.array([[3.0]], "float32")
    (row,) = gradient_statistics(model, x, y, MSELoss(), optimizer=SGD(model.parameters(), lr=0.1)).parameters
    assert (row.name, row.shape) == ("0.weight", (1, 4))
    assert row.weight_mean == pytest.approx(5 / 4)
    assert row.weight_rms == pytest.approx(math.sqrt(9 / 4))
    assert row.gradient_mean == pytest.approx(16 / 4)
    assert row.gradient_rms == pytest.approx(math.sqrt(160 / 4))
    assert row.gradient_max == pytest.approx(12)
    assert row.gradient_zeros == 0.5
    assert row.update == pytest.approx(0.1 * math.sqrt(160) / 3, rel=1e-6)


def test_rows_are_the_parameters_and_their_gradients(xp):
    model, (x, y) = network(), batch()
    rows = gradient_statistics(model, x, y).parameters
    assert [row.name for row in rows] == list(model.parameters())
    other, criterion = network(), CrossEntropyLoss()
    logits, cache = other.forward(x)
    _, loss_cache = criterion.forward(logits, y)
    _, grads = other.backward(criterion.backward(loss_cache), cache)
    for row in rows:
        g = xpcnn.to_numpy(grads[row.name]).astype("float64")
        assert row.gradient_rms == pytest.approx(np.sqrt((g**2).mean()), rel=1e-6)
        assert row.gradient_max == pytest.approx(np.abs(g).max(), rel=1e-6)
        assert math.isnan(row.update)


def test_the_update_is_that_of_the_optimizer():
    """Adam's first step moves each weight whose gradient is not 0 by lr; what was 0 has moved infinitely."""
    model, (x, y) = network(), batch()
    rows = gradient_statistics(model, x, y, optimizer=Adam(model.parameters(), lr=0.01)).parameters
    for row in rows:
        moved = 0.01 * math.sqrt(1 - row.gradient_zeros)
        assert row.update == (math.inf if row.weight_rms == 0 else pytest.approx(moved / row.weight_rms, rel=1e-3))


def test_everything_is_as_before(xp):
    model, (x, y) = network(), batch()
    optimizer = Adam(model.parameters(), lr=0.01)
    before = host(model.state_dict()), host(optimizer.state_dict()), optimizer.scalars(), generators(model)
    gradient_statistics(model, x, y, optimizer=optimizer)
    assert_same(host(model.state_dict()), before[0])
    assert_same(host(optimizer.state_dict()), before[1])
    assert (optimizer.scalars(), generators(model)) == before[2:]


def test_it_is_printed_as_a_table():
    model, (x, y) = network(), batch()
    lines = str(gradient_statistics(model, x, y)).splitlines()
    assert lines[0].split("  ")[0] == "Parameter"
    assert [line.split()[0] for line in lines[2:]] == list(model.parameters())
    assert all(line.endswith("—") for line in lines[2:])
    optimizer = SGD(model.parameters(), lr=0.0)
    assert str(gradient_statistics(model, x, y, optimizer=optimizer)).splitlines()[2].endswith("0.0e+00")


def test_a_gradient_that_is_not_finite_is_shown():
    model = Sequential(Linear(2, 1, rng=0))
    model[0].weight[...] = np.inf
    x, y = np.ones((1, 2), "float32"), np.ones((1, 1), "float32")
    for optimizer in (None, SGD(model.parameters(), lr=0.1)):  # which refuses the step
        row = gradient_statistics(model, x, y, MSELoss(), optimizer=optimizer).parameters[0]
        assert math.isinf(row.weight_mean)
        assert not math.isfinite(row.gradient_max)
        assert math.isnan(row.update)


def test_squares_that_float64_does_not_hold():
    model = Sequential(Linear(2, 1, rng=0)).astype("float64")
    for size in (1e200, 1e-200):
        model[0].weight[...] = [[3 * size, 4 * size]]
        row = gradient_statistics(model, np.zeros((1, 2)), np.ones((1, 1)), MSELoss()).parameters[0]
        assert row.weight_rms == pytest.approx(5 * size / math.sqrt(2))
