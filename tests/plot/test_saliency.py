"""Saliency is the gradient's magnitude, of inference, the largest over the channels: known cases, and PyTorch."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from tests.arrays import assert_close, needs_torch
from tests.plot.networks import pair, picture_of
from xpcnn import plot
from xpcnn.errors import DataError, DTypeError, NonFiniteError, OptionError, ShapeError
from xpcnn.nn import Conv2d, Flatten, Linear, ReLU, Sequential


def reads_pixels(xp, weights, dtype="float64"):
    """A network of scores S_c = Σ weights[c] · x."""
    weights = np.asarray(weights, float)
    model = Sequential(Flatten(), Linear(weights[0].size, len(weights), rng=0)).astype(dtype)
    model[1].weight = xp.array(weights.reshape(len(weights), -1), dtype)
    return model


def test_of_a_network_that_looks_at_one_pixel(xp):
    weights = np.zeros((2, 4, 5, 3))
    weights[0, 1, 2] = (1.0, -3.0, 2.0)
    weights[1, 3, 4] = (0.5, 0.0, 0.0)
    x = xp.array(np.random.default_rng(0).uniform(size=(2, 4, 5, 3)))
    expected = np.zeros((2, 4, 5))
    expected[:, 1, 2] = 3.0
    assert_close(plot.saliency_map(reads_pixels(xp, weights), x, 0), expected)
    expected[:] = 0.0
    expected[:, 3, 4] = 0.5
    assert_close(plot.saliency_map(reads_pixels(xp, weights), x, 1), expected)


def test_the_class_is_given_for_all_for_each_or_found(xp):
    model = reads_pixels(xp, [[[[1.0]]], [[[-2.0]]]])
    x = xp.array(np.array([[[[1.0]]], [[[-1.0]]], [[[5.0]]]]))  # classes 0, 1, 0
    assert_close(plot.saliency_map(model, x), np.array([[[1.0]], [[2.0]], [[1.0]]]))
    assert_close(plot.saliency_map(model, x, np.int64(1)), np.full((3, 1, 1), 2.0))
    labels = xp.array(np.array([1, 1, 0]))
    assert_close(plot.saliency_map(model, x, labels), np.array([[[2.0]], [[2.0]], [[1.0]]]))


@needs_torch
def test_of_a_convolutional_network_pytorch_says_the_same(xp, rng):
    import torch

    model, other = pair(rng)
    host = rng.normal(size=(3, 8, 8, 3))
    labels = np.array([2, 0, 2])
    x = torch.tensor(host.transpose(0, 3, 1, 2), requires_grad=True)
    other(x)[torch.arange(3), torch.tensor(labels)].sum().backward()
    expected = x.grad.abs().amax(dim=1).numpy()
    assert_close(plot.saliency_map(model, xp.array(host), xp.array(labels)), expected)
    assert expected.max() > 3 * np.median(expected) > 0  # not the same everywhere


def test_a_picture_shows_the_image_and_the_map(xp):
    weights = np.zeros((1, 4, 5, 1))
    weights[0, 1, 2] = -2.0
    image = xp.array(np.full((4, 5, 1), 0.25))
    figure = plot.saliency(reads_pixels(xp, weights), image, classes=["$\\cat{$"])
    shown, lit, heat = (picture_of(axes) for axes in figure.axes[:3])
    assert (shown == 0.25).all()
    assert heat.max() == heat[1, 2] == 2.0
    assert heat.sum() == 2.0
    assert lit[1, 2].tolist() == [0.25] * 3
    assert (lit[0, 0] < 0.05).all()
    assert figure.get_suptitle() == "Saliency for class $\\cat{$"
    figure.draw_without_rendering()  # no formula in it


def test_a_picture_is_of_the_class_that_is_asked_for_and_says_how_its_colours_came_about(xp):
    model = reads_pixels(xp, [[[[1.0, 1.0]]], [[[-2.0, 0.0]]]])
    figure = plot.saliency(model, xp.array(np.array([[[0.5, 2.0]]])), 1)
    assert figure.get_suptitle() == "Saliency for output 1"
    assert picture_of(figure.axes[2]).tolist() == [[2.0]]
    assert figure.get_supxlabel() == "grey: the mean of 2 channels; black is 0.5, white 2"


@pytest.mark.parametrize(
    ("error", "text", "call"),
    [
        (ShapeError, r"images \(N, H, W, C\)", lambda m, x: plot.saliency_map(m, x[0])),
        (ShapeError, r"one image \(H, W, C\), got \(1, 2, 2, 1\)", lambda m, x: plot.saliency(m, x)),
        (ShapeError, "whose output is", lambda m, x: plot.saliency_map(Conv2d(1, 1, 1).astype("float64"), x)),
        (DataError, "an output 0 … 1, got 2", lambda m, x: plot.saliency_map(m, x, 2)),
        (OptionError, "target: an integer ≥ 0, got -1", lambda m, x: plot.saliency_map(m, x, -1)),
        (OptionError, "got 'cat'", lambda m, x: plot.saliency_map(m, x, "cat")),
        (DataError, r"labels 0 … 1, got 5", lambda m, x: plot.saliency_map(m, x, np.array([5]))),
        (ShapeError, r"labels \(1,\)", lambda m, x: plot.saliency_map(m, x, np.array([0, 1]))),
        (DTypeError, "integer labels", lambda m, x: plot.saliency_map(m, x, np.array([0.0]))),
        (DTypeError, "/ 255", lambda m, x: plot.saliency_map(m, x.astype("uint8"))),
        (OptionError, "^saliency: .* a network, got dict", lambda m, x: plot.saliency({}, x[0])),
        (OptionError, "^saliency_map: .* a network, got dict", lambda m, x: plot.saliency_map({}, x)),
        (DataError, "^saliency: .* an output 0 … 1, got 2", lambda m, x: plot.saliency(m, x[0], 2)),
        (NonFiniteError, "finite pixels", lambda m, x: plot.saliency(m, x[0] * np.nan)),
    ],
)
def test_bad_input_is_one_clear_line(error, text, call):
    model = Sequential(ReLU(), Flatten(), Linear(4, 2, rng=0)).astype("float64")
    with pytest.raises(error, match=text) as caught:
        call(model, np.ones((1, 2, 2, 1)))
    assert "\n" not in str(caught.value)


def test_a_map_of_nan_is_not_drawn():
    model = Sequential(Flatten(), Linear(4, 2, rng=0))
    model[1].weight = xpcnn.asarray(np.full((2, 4), np.nan, np.float32))
    with pytest.raises(NonFiniteError, match="finite gradients"):
        plot.saliency(model, np.ones((2, 2, 1), np.float32), 0)
