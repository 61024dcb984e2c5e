"""Dropout layers: their masks are drawn on the host from a generator of their own; inference is the identity."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn.dropout import Dropout, Dropout1d, Dropout2d, StochasticDepth

from ..arrays import assert_close


@pytest.mark.parametrize("kind", [Dropout, Dropout2d, StochasticDepth])
def test_gradcheck(xp, kind, rng):
    layer = kind(0.4, rng=0)
    state = layer.rng.bit_generator.state
    report = gradcheck(layer, xp.normal(rng, 3, 4, 2, 5)[1], directions=2)
    assert report.passed, report
    assert len(report.rows) == 3  # central difference, complex step, adjoint identity
    assert layer.rng.bit_generator.state == state


@pytest.mark.parametrize("p", [0.0, 0.2, 0.75])
def test_the_share_that_is_kept_and_its_size(xp, p):
    y, _ = Dropout(p, rng=1).forward(xp.array(np.ones((100, 400)), "float32"))
    y = xpcnn.to_numpy(y)
    kept = y != 0
    np.testing.assert_allclose(y[kept], 1 / (1 - p), rtol=1e-6)
    assert abs(kept.mean() - (1 - p)) <= 4 * np.sqrt(p * (1 - p) / y.size)
    assert abs(y.mean() - 1) < 0.05


def test_2d_drops_whole_channels(xp):
    layer = Dropout2d(0.5, rng=1)
    y, cache = layer.forward(xp.array(np.ones((20, 3, 4, 30)), "float32"))
    dx, grads = layer.backward(xp.array(np.ones((20, 3, 4, 30)), "float32"), cache)
    assert grads == {}
    y, dx = xpcnn.to_numpy(y), xpcnn.to_numpy(dx)
    np.testing.assert_array_equal(y, dx)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :1, :], y.shape))
    assert abs((y[:, 0, 0, :] != 0).mean() - 0.5) < 0.1
    assert len({row.tobytes() for row in y[:, 0, 0, :]}) > 1  # each image its own channels


def test_1d_drops_whole_channels_of_sequences(xp):
    y, _ = Dropout1d(0.5, rng=1).forward(xp.array(np.ones((20, 7, 30)), "float32"))
    y = xpcnn.to_numpy(y)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1, :], y.shape))
    assert len({row.tobytes() for row in y[:, 0, :]}) > 1  # each sequence its own channels
    with pytest.raises(ShapeError, match=r"Dropout1d: expected input \(N, L, C\), got \(2, 3\)"):
        Dropout1d().forward(xp.array(np.ones((2, 3))))


@pytest.mark.parametrize("shape", [(200, 3), (200, 2, 3, 4)])
def test_stochastic_depth_drops_whole_items(xp, shape):
    layer = StochasticDepth(0.25, rng=1)
    ones = xp.array(np.ones(shape), "float32")
    y, cache = layer.forward(ones)
    dx, grads = layer.backward(ones, cache)
    assert grads == {}
    y, dx = (xpcnn.to_numpy(each).reshape(200, -1) for each in (y, dx))
    np.testing.assert_array_equal(y, dx)
    np.testing.assert_array_equal(y, np.broadcast_to(y[:, :1], y.shape))
    np.testing.assert_allclose(y[y != 0], 4 / 3, rtol=1e-6)
    assert abs((y[:, 0] != 0).mean() - 0.75) < 0.1


def test_inference_is_the_identity(xp):
    x = xp.array(np.ones((2, 3, 3, 4)))
    for layer in (Dropout(0.5), Dropout2d(0.5), StochasticDepth(0.5)):
        assert layer(x) is x
        assert layer.output_shape((3, 3, 4)) == (3, 3, 4)


def test_the_mask_is_the_same_on_every_backend(xp):
    y, _ = Dropout(0.5, rng=3).forward(xp.array(np.ones((4, 5))))
    expected = np.random.default_rng(3).spawn(1)[0].random((4, 5), dtype="float32") >= 0.5
    assert_close(y, expected * 2.0)


def test_generators():
    x = np.ones((1, 1000))
    first, second = Dropout(), Dropout()
    assert first.rng is not second.rng
    assert (first.forward(x)[0] != second.forward(x)[0]).any()  # two layers
    assert (first.forward(x)[0] != first.forward(x)[0]).any()  # two calls
    shared = np.random.default_rng(5)
    a, b = Dropout(rng=shared), Dropout(rng=shared)
    assert len({id(shared), id(a.rng), id(b.rng)}) == 3
    ones = []
    for _ in range(2):
        xpcnn.seed(4)
        ones.append(Dropout().forward(x)[0])
    np.testing.assert_array_equal(*ones)
    dx, grads = first.backward(x, first.forward(x)[1], input_grad=False)
    assert dx is None
    assert grads == {}


def test_config_and_bad_input(xp):
    assert repr(Dropout2d(0.25)) == "Dropout2d(p=0.25)"
    assert Dropout(**Dropout(0.25).config()).p == 0.25
    for p in (1.0, -0.1, None):
        with pytest.raises(OptionError, match=r"Dropout2d: expected p: a number in \[0, 1\)"):
            Dropout2d(p)
    layer = Dropout2d()
    state = layer.rng.bit_generator.state
    with pytest.raises(ShapeError, match=r"Dropout2d: expected input \(N, H, W, C\), got \(2, 3\)"):
        layer.forward(xp.array(np.ones((2, 3))))
    with pytest.raises(DTypeError, match="expected float32 or float64, got int64"):
        layer.forward(xp.array(np.ones((2, 3, 3, 1), "i8")))
    assert layer.rng.bit_generator.state == state
    with pytest.raises(ShapeError, match="skip empty batches"):
        Dropout().forward(xp.array(np.ones((0, 3))))
