"""A layer's outputs are those of inference, filters and feature maps stand in the picture where they belong."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from tests.arrays import assert_close
from tests.plot.networks import ours, picture_of
from xpcnn import plot
from xpcnn.errors import NonFiniteError, OptionError, ShapeError
from xpcnn.nn import Conv2d, Flatten, Identity, Layer, Linear, ReLU, Sequential
from xpcnn.plot.mosaic import first, square, tiles


def test_activations_are_what_the_layers_up_to_there_give(xp, rng):
    model = ours()
    x = xp.array(rng.normal(size=(2, 8, 8, 3)))
    for depth in (0, 1, 2, 3, 4, 6, 8):
        expected = Sequential(*(model[i] for i in range(depth + 1)))(x)
        assert_close(plot.activations(model, x, depth), xpcnn.to_numpy(expected))
    inner = model[5].children()["body"].children()["0"]
    assert_close(plot.activations(model, x, "5.body.0"), xpcnn.to_numpy(inner(plot.activations(model, x, "4"))))


def test_of_a_layer_that_runs_twice_the_last_output_counts(xp):
    shared = Linear(1, 1, rng=0).astype("float64")
    shared.weight, shared.bias = xp.array([[2.0]]), xp.array([1.0])
    assert_close(plot.activations(Sequential(shared, shared), xp.array([[3.0]]), "0"), np.array([[15.0]]))


def test_tiles_stand_row_by_row_with_gaps():
    grid = tiles(np.arange(12.0).reshape(3, 2, 2), 2)
    n = np.nan
    expected = [[0, 1, n, 4, 5], [2, 3, n, 6, 7], [n, n, n, n, n], [8, 9, n, n, n], [10, 11, n, n, n]]
    np.testing.assert_array_equal(grid, expected)
    colours = tiles(np.arange(12.0).reshape(2, 1, 2, 3), 1)
    assert colours.shape == (3, 2, 3)
    assert colours[2, 1].tolist() == [9.0, 10.0, 11.0]


@pytest.mark.parametrize(("n", "columns"), [(1, 1), (2, 2), (4, 2), (5, 3), (64, 8), (65, 9)])
def test_square(n, columns):
    assert square(n) == columns


def test_first():
    assert first([1, 2, 3], 3) == ([1, 2, 3], "all 3")
    assert first([1, 2, 3], 2) == ([1, 2], "the first 2 of 3")


def test_feature_maps_show_each_channel():
    model = Sequential(Conv2d(1, 5, 3, padding=1, rng=0), ReLU(), Flatten(), Linear(80, 3, rng=1))
    image = np.random.default_rng(0).uniform(size=(4, 4, 1)).astype("float32")
    y = model[0](image[None])[0]
    axes = plot.feature_maps(model, image).axes[0]
    grid = picture_of(axes)
    assert grid.shape == (9, 14)  # two rows, three columns
    np.testing.assert_array_equal(grid[:4, 5:9], y[:, :, 1])
    np.testing.assert_array_equal(grid[5:, :4], y[:, :, 3])
    assert np.isnan(grid[5:, 10:]).all()
    assert axes.images[0].get_clim() == pytest.approx((-abs(y).max(), abs(y).max()))
    positive = plot.feature_maps(model, image, "1")
    assert positive.axes[0].images[0].get_clim() == pytest.approx((0, y.max()))
    assert positive.get_suptitle() == "Layer 1, ReLU: all 5 feature maps of 4×4"
    bars = plot.feature_maps(model, image, "3").axes[0].patches
    np.testing.assert_allclose([bar.get_height() for bar in bars], model(image[None])[0], rtol=1e-5)


def test_feature_maps_beyond_64_are_left_out_and_named_so():
    figure = plot.feature_maps(Conv2d(1, 70, 1, rng=0), np.ones((2, 2, 1), np.float32))
    assert picture_of(figure.axes[0]).shape == (23, 23)
    assert figure.get_suptitle() == "Conv2d: the first 64 of 70 feature maps of 2×2"


def test_without_a_name_it_is_the_first_convolution():
    model = Sequential(ReLU(), Conv2d(1, 2, 1, rng=0), Conv2d(2, 3, (1, 2), rng=1))
    figure = plot.feature_maps(model, np.ones((3, 2, 1), np.float32))
    assert figure.get_suptitle() == "Layer 1, Conv2d: all 2 feature maps of 3×2"
    assert plot.filters(model).get_suptitle() == "Layer 1: all 2 filters 1×1"
    assert plot.filters(model, 2).get_suptitle().startswith("Layer 2: all 3 filters 1×2, a row each")


def test_a_row_of_filters_has_as_many_columns_as_channels():
    model = Conv2d(2, 4, 1, rng=0)
    grid = picture_of(plot.filters(model).axes[0])
    np.testing.assert_array_equal(grid[::2, ::2], model.weight[:, 0, 0, :])


def test_filters_of_grey_colour_and_many_channels():
    grey = Conv2d(1, 3, (2, 3), rng=0)
    grid = picture_of(plot.filters(grey).axes[0])
    np.testing.assert_array_equal(grid[:2, 4:], grey.weight[1, :, :, 0])
    np.testing.assert_array_equal(grid[3:, :3], grey.weight[2, :, :, 0])

    colour = Conv2d(3, 2, 2, rng=0)
    grid = picture_of(plot.filters(colour).axes[0])
    most = np.abs(colour.weight).max()
    np.testing.assert_allclose((grid[:, 3:] - 0.5) * 2 * most, colour.weight[1], atol=1e-6)
    assert (grid[:, 2] == 1).all()  # the gap is white

    many = Sequential(Conv2d(1, 20, 1, rng=0), Conv2d(20, 18, (1, 2), rng=1))
    figure = plot.filters(many, 1)
    grid = picture_of(figure.axes[0])
    assert grid.shape == (31, 47)  # 16 filters, 16 channels
    np.testing.assert_array_equal(grid[2 * 5, 3 * 7 : 3 * 7 + 2], many[1].weight[5, 0, :, 7])
    assert "the first 16 of 18 filters" in figure.get_suptitle()
    assert "the first 16 of 20 channels" in figure.get_suptitle()


@pytest.mark.parametrize("value", [0.0, 1.0, -1.0])
def test_constant_filters_and_maps_can_be_drawn(value):
    for channels in (1, 2, 3):
        model = Conv2d(channels, 1, 1, rng=0)
        model.weight[...] = value
        plot.filters(model).draw_without_rendering()
        plot.feature_maps(model, np.zeros((1, 1, channels), np.float32)).draw_without_rendering()


def test_bad_input_is_one_clear_line():
    model, image = ours(), np.zeros((8, 8, 3))
    with pytest.raises(OptionError, match=r"one of the network's layers: 0 Conv2d, 1 .* got 'conv'"):
        plot.feature_maps(model, image, "conv")
    with pytest.raises(OptionError, match=r"network's Conv2d layers: 0 Conv2d, 5\.body\.0 Conv2d, got '1'"):
        plot.filters(model, 1)
    with pytest.raises(OptionError, match="a layer that the network runs, got 0, which it does not"):
        plot.activations(PassesBy(ReLU()), image, "0")
    with pytest.raises(OptionError, match="a network with a Conv2d, got none"):
        plot.filters(Linear(2, 2))
    with pytest.raises(OptionError, match="a network, got str"):
        plot.filters("model.safetensors", 0)
    with pytest.raises(OptionError, match="a network, got str"):
        plot.filters("model.safetensors")
    with pytest.raises(ShapeError, match="one image"):
        plot.feature_maps(model, image[None])
    with pytest.raises(NonFiniteError):
        plot.feature_maps(model, image + np.inf)
    with pytest.raises(NonFiniteError, match="finite outputs of layer 0"):
        plot.feature_maps(Sequential(Overflow()), image, 0)
    with pytest.raises(ShapeError, match=r"an output \(N, h, w, channels\) or \(N, outputs\), got \(1, 2, 96\)"):
        plot.feature_maps(Sequential(Rows()), image, 0)
    broken = Conv2d(1, 1, 1)
    broken.weight[...] = np.nan
    with pytest.raises(NonFiniteError, match="finite weights"):
        plot.filters(broken)


class Overflow(Identity):
    def __call__(self, x):
        return x + np.inf


class PassesBy(Sequential):
    def __call__(self, x):
        return x


class Rows(Layer):
    def forward(self, x):
        return x.reshape(1, 2, -1), None

    def backward(self, dy, cache, *, input_grad=True):
        raise NotImplementedError
