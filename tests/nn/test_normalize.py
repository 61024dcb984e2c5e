"""Normalize: its numbers go with the network, into files, to other backends and dtypes, and stay what they are."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Split
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.io import load_model, save_model
from xpcnn.models import mnist_cnn, normalized
from xpcnn.nn import BatchNorm2d, Conv2d, Flatten, Linear, Normalize, ReLU, Residual, Sequential

from ..arrays import assert_close

MEAN, STD = (0.4914, 0.4822, 0.4465), (0.247, 0.2435, 0.2616)


def test_normalises_each_channel(xp, rng):
    layer = Normalize(MEAN, STD)
    for dtype in ("float32", "float64"):
        x, x_ = xp.normal(rng, 2, 4, 5, 3, dtype=dtype)
        expected = ((x.astype("float64") - MEAN) / STD).astype(dtype)
        assert_close(layer(x_), expected)
        assert_close(layer.forward(x_)[0], expected)
        assert_close(layer.backward(x_, layer.forward(x_)[1])[0], (x / np.array(STD)).astype(dtype))
    assert layer.backward(x_, layer.forward(x_)[1], input_grad=False) == (None, {})


def test_gradcheck_by_all_witnesses(xp, rng):
    report = gradcheck(Normalize(MEAN, STD), xp.normal(rng, 2, 3, 2, 3)[1])
    assert report.passed, report


def test_images_become_mean_0_and_variance_1():
    images = np.random.default_rng(0).integers(0, 200, (50, 6, 5, 3)).astype("uint8")
    split = Split(images, np.zeros(50, np.int64))
    y = Normalize(*split.statistics())(images.astype("float64") / 255)
    np.testing.assert_allclose(y.mean(axis=(0, 1, 2)), 0, atol=1e-12)
    np.testing.assert_allclose(y.std(axis=(0, 1, 2)), 1, rtol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_it_is_saved_with_the_network(xp, tmp_path, rng, dtype):
    model = normalized(mnist_cnn((8, 8, 3), rng=0), MEAN, STD).astype(dtype)
    save_model(model, tmp_path / "model", input_shape=(8, 8, 3))
    again = load_model(tmp_path / "model").model
    assert (again[0].mean, again[0].std) == (MEAN, STD)
    assert repr(again) == repr(model)
    x = xp.normal(rng, 2, 8, 8, 3, dtype=dtype)[1]
    np.testing.assert_array_equal(xpcnn.to_numpy(again(x)), xpcnn.to_numpy(model(x)))


@pytest.mark.parametrize(
    "make",
    [
        lambda: Sequential(Conv2d(3, 4, 3, padding=1, rng=0), BatchNorm2d(4), ReLU(), Flatten(), Linear(64, 2, rng=1)),
        lambda: Residual(Conv2d(3, 3, 3, padding=1, rng=0)),
    ],
)
def test_normalized_is_the_network_after_normalisation(xp, make, rng):
    model = make().astype("float64")
    whole = normalized(model, MEAN, STD)
    x, x_ = xp.normal(rng, 5, 4, 4, 3)
    before = xp.array((x - MEAN) / STD)
    assert_close(whole(x_), xpcnn.to_numpy(model(before)))
    y, cache = model.forward(before)
    y_, cache_ = whole.forward(x_)
    assert_close(y_, xpcnn.to_numpy(y))
    dx, grads = model.backward(y, cache)
    dx_, grads_ = whole.backward(y, cache_)
    assert_close(dx_, xpcnn.to_numpy(dx) / STD)
    assert len(grads_) == len(grads) > 0
    for mine, theirs in zip(sorted(grads_), sorted(grads), strict=True):
        assert_close(grads_[mine], xpcnn.to_numpy(grads[theirs]))
    assert all(
        parameter is whole.parameters()[name]
        for name, parameter in zip(whole.parameters(), model.parameters().values(), strict=True)
    )


def test_summary_and_shapes():
    model = normalized(mnist_cnn((8, 8, 1)), [0.5], [0.5])
    assert model.output_shape((8, 8, 1)) == (10,)
    row = next(line for line in model.summary((8, 8, 1)).splitlines() if "Normalize" in line)
    assert row.split() == ["0", "Normalize", "(8,", "8,", "1)", "0", "0", "0", "0.2"]


@pytest.mark.parametrize("numbers", [[0.5, 1], (0.5, 1.0), np.array([0.5, 1]), np.array([0.5, 1], "float32")], ids=repr)
def test_takes_numbers_of_any_kind(numbers):
    layer = Normalize(numbers, numbers)
    assert layer.config() == {"mean": (0.5, 1.0), "std": (0.5, 1.0)}
    assert repr(layer) == "Normalize(mean=(0.5, 1.0), std=(0.5, 1.0))"
    assert repr(Normalize(0.5, 0.25)) == "Normalize(mean=(0.5,), std=(0.25,))"


@pytest.mark.parametrize(
    ("mean", "std", "text"),
    [
        ([0.5], [0.0], r"Normalize: expected std: a number in \(0, inf\), got 0.0"),
        ([0.5], [-1.0], "expected std"),
        ([math.nan], [1.0], r"Normalize: expected mean: a number in \(-inf, inf\), got nan"),
        ([0.5], [math.inf], "expected std"),
        ([0.5, 0.5], [1.0], "Normalize: expected as many std as mean, 2, got 1"),
        ([], [], "Normalize: expected mean: a number for each channel, got none"),
        ([[0.5]], [1.0], "expected mean: a number"),
        ("half", 1.0, "expected mean: a number"),
        (None, 1.0, "expected mean: a number"),
        (np.ones((1, 2)), np.ones(2), "expected mean: a number"),
    ],
)
def test_bad_numbers_are_refused(mean, std, text):
    with pytest.raises(OptionError, match=text):
        Normalize(mean, std)


def test_bad_input_is_refused(xp):
    layer = Normalize(MEAN, STD)
    for shape in ((2, 4, 4, 1), (2, 4, 4), (3,)):
        with pytest.raises(ShapeError, match=r"Normalize: expected input \(N, .*3\), got"):
            layer(xp.array(np.ones(shape)))
    with pytest.raises(DTypeError, match=r"Normalize: expected float32 or float64, got uint8.*/ 255"):
        layer(xp.array(np.ones((2, 4, 4, 3), "u1")))
