"""Each layer's nodes in a file compute, in onnxruntime, the same as the layer, with all of its options."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.nn.layer_examples import EXAMPLES

from .graphs import (
    compare,
    randomize,
)

# What is written, and not read yet.
ONE_WAY = (nn.L2Normalize,)


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer(tmp_path, rng, name):
    layer, x = EXAMPLES[name]()
    randomize(layer, rng)
    for opset, size in product((17, 20, 22), (1, 3)):
        batch = np.tile(x, (2,) + (1,) * (x.ndim - 1))[:size].astype("float32")
        compare(tmp_path / "model.onnx", layer, batch, opset=opset, back=not isinstance(layer, ONE_WAY))


GEOMETRY = [
    {},
    {"stride": 2},
    {"stride": (2, 1), "padding": (1, 0)},
    {"padding": (0, 1, 1, 0)},
    {"padding": "same"},
    {"padding": "same", "stride": 2},
    {"padding": 1, "dilation": (1, 2)},
]


@pytest.mark.parametrize("kernel", [1, 3, (2, 3)])
@pytest.mark.parametrize("options", GEOMETRY)
@pytest.mark.parametrize("groups", [1, 2, 4])
def test_convolutions(tmp_path, rng, kernel, options, groups):
    layer = nn.Conv2d(4, 8, kernel, **options, groups=groups, bias=groups < 4, rng=0)
    compare(tmp_path / "m.onnx", randomize(layer, rng), rng.normal(size=(2, 7, 6, 4)).astype("float32"))


@pytest.mark.parametrize("options", [each for each in GEOMETRY if each.get("padding") != "same"])
@pytest.mark.parametrize(("groups", "more"), [(1, 0), (2, (1, 0))])
def test_transposed_convolutions(tmp_path, rng, options, groups, more):
    if more and options.get("stride", 1) == 1 and options.get("dilation", 1) == 1:
        options = options | {"stride": (2, 1)}
    more = more if options.get("dilation", 1) == 1 else 0
    layer = nn.ConvTranspose2d(4, 6, (3, 2), **options, groups=groups, output_padding=more, bias=groups == 1, rng=0)
    compare(tmp_path / "m.onnx", randomize(layer, rng), rng.normal(size=(2, 5, 4, 4)).astype("float32"))


@pytest.mark.parametrize(
    "layer",
    [
        nn.Conv2d(3, 2, (2, 3), stride=(1, 2), padding=(0, 1, 2, 0), rng=0),
        nn.ConvTranspose2d(3, 2, (3, 2), stride=(2, 3), padding=(0, 1, 1, 0), output_padding=(1, 2), rng=0),
        nn.ConvTranspose2d(3, 2, 3, padding=1, dilation=(2, 1), rng=0),
        nn.ConvTranspose2d(3, 2, 2, stride=(1, 2), dilation=(4, 3), output_padding=(3, 2), rng=0),
        nn.ConvTranspose2d(3, 2, 2, padding=(0, 2, 1, 1), dilation=3, output_padding=(1, 2), rng=0),
        nn.MaxPool2d((2, 3), stride=2, ceil_mode=True),
        nn.AvgPool2d(2, padding=(1, 0, 0, 1)),
        nn.ZeroPad2d((1, 2, 3, 4)),
        nn.ZeroPadChannels(2, 1),
        nn.Upsample((2, 3)),
        nn.AdaptiveAvgPool2d((2, 3)),
    ],
    ids=repr,
)
def test_sizes_that_the_next_layer_depends_on(tmp_path, rng, layer):
    """Flatten is where a wrong size would be seen."""
    shape = (6, 7, 3)
    (features,) = nn.Sequential(layer.to_backend(), nn.Flatten()).output_shape(shape)
    model = nn.Sequential(layer, nn.Flatten(), nn.Linear(features, 2, rng=0))
    compare(tmp_path / "m.onnx", model, rng.normal(size=(2, *shape)).astype("float32"))


POOLING = [
    each | {"ceil_mode": ceil}
    for each in (
        {"kernel_size": 2},
        {"kernel_size": 3, "stride": 2},
        {"kernel_size": 3, "stride": 2, "padding": 1},
        {"kernel_size": (2, 3), "stride": (3, 2), "padding": (0, 1, 1, 0)},
        {"kernel_size": 3, "stride": 2, "padding": "same"},
        {"kernel_size": 1, "stride": 2},
    )
    for ceil in (False, True)
]


@pytest.mark.parametrize("size", [(6, 7), (8, 5)])
@pytest.mark.parametrize("options", POOLING)
def test_pooling(tmp_path, rng, options, size):
    x = rng.normal(size=(2, *size, 3)).astype("float32") - 2  # where padding won, a maximum would be 0
    compare(tmp_path / "max.onnx", nn.MaxPool2d(**options), x)
    for counted in (False, True):
        compare(tmp_path / "mean.onnx", nn.AvgPool2d(**options, count_include_pad=counted), x)


@pytest.mark.parametrize("options", [{"dilation": 2}, {"dilation": (1, 3), "stride": 1, "padding": (1, 3)}])
def test_dilated_max_pooling(tmp_path, rng, options):
    """With a padding that is as wide as the kernel, which ONNX's MaxPool does not have."""
    x = rng.normal(size=(2, 7, 8, 3)).astype("float32") - 2
    compare(tmp_path / "m.onnx", nn.MaxPool2d((2, 3), **options), x)


@pytest.mark.parametrize("out", [1, (1, 2), (3, 4), (2, 3), (6, 8), (9, 5)])
def test_adaptive_pooling(tmp_path, rng, out):
    compare(tmp_path / "m.onnx", nn.AdaptiveAvgPool2d(out), rng.normal(size=(2, 6, 8, 3)).astype("float32"))


@pytest.mark.parametrize(
    "layer",
    [
        nn.LeakyReLU(0.3),
        nn.ELU(0.5),
        nn.GELU(),
        nn.GELU("tanh"),
        nn.PReLU(),
        nn.PReLU(4),
        nn.Softmax(),
        nn.LogSoftmax(),
        nn.LayerNorm(4),
        nn.LayerNorm((5, 4), bias=False),
        nn.LayerNorm((6, 5, 4)),
        nn.LayerNorm((6, 5, 4), elementwise_affine=False),
        nn.Normalize([0.1, 0.2, -0.3, 0.4], [0.1, 0.5, 2, 3]),
        nn.GroupNorm(1, 4),
        nn.GroupNorm(4, 4, eps=0.01),
        nn.GroupNorm(2, 4, affine=False),
        nn.BatchNorm2d(4, affine=False, eps=0.1, momentum=0.3),
        nn.ZeroPad2d(1),
        nn.ZeroPadChannels(0, 3),
        nn.Upsample(3),
        nn.Upsample((1, 2)),
    ],
    ids=repr,
)
def test_options_of_other_layers_on_images(tmp_path, rng, layer):
    model = compare(tmp_path / "m.onnx", randomize(layer, rng), rng.normal(size=(3, 6, 5, 4)).astype("float32"))
    if isinstance(layer, nn.BatchNorm2d):
        assert model[0].momentum == 0.3
        assert model[0].eps == 0.1


@pytest.mark.parametrize(
    "layer",
    [
        nn.PReLU(4),
        nn.BatchNorm1d(4),
        nn.Normalize([0.1, 0, 1, 2], [1, 2, 3, 4]),
        nn.LayerNorm(4),
        nn.Softmax(),
        nn.GroupNorm(2, 4),
        nn.ReLU(),
    ],
    ids=lambda layer: type(layer).__name__,
)
@pytest.mark.parametrize("shape", [(4,), (3, 4)])
def test_rows_and_sequences(tmp_path, rng, layer, shape):
    compare(tmp_path / "m.onnx", randomize(layer, rng), rng.normal(size=(3, *shape)).astype("float32"))


@pytest.mark.parametrize(
    "between",
    [
        (),
        (nn.ReLU(), nn.Dropout(), nn.Tanh()),
        (nn.BatchNorm1d(24),),
        (nn.ReLU(), nn.PReLU(24), nn.GELU()),
        (nn.LayerNorm(24),),
        (nn.Residual(nn.Linear(24, 24, rng=0)),),
        (nn.Residual(nn.SiLU()),),
        (nn.Concat(nn.Tanh(), nn.Linear(24, 0 + 24, rng=0)), nn.Linear(48, 24, rng=1)),
        (nn.Softmax(),),
        (nn.GroupNorm(4, 24),),
    ],
    ids=repr,
)
def test_what_stands_between_flattening_and_a_linear_layer(tmp_path, rng, between):
    """In the graph the row is ordered (C, H, W): weights follow, or the row is brought into the layers' order."""
    model = nn.Sequential(nn.Flatten(), *between, nn.Linear(24, 5, rng=2))
    compare(tmp_path / "m.onnx", randomize(model, rng), rng.normal(size=(3, 2, 4, 3)).astype("float32"))


def test_a_factor_a_column_between_flattening_and_a_linear_layer(tmp_path, rng):
    model = nn.Sequential(nn.Flatten(), nn.Scale(24), nn.Linear(24, 5, rng=2))
    x = rng.normal(size=(3, 2, 4, 3)).astype("float32")
    compare(tmp_path / "m.onnx", randomize(model, rng), x, back=False)


def test_a_row_that_comes_out_is_in_the_network_s_order(tmp_path, rng):
    compare(
        tmp_path / "m.onnx", nn.Sequential(nn.ReLU(), nn.Flatten()), rng.normal(size=(2, 3, 4, 5)).astype("float32")
    )


def test_ceil_mode_adds_more_than_the_kernel_is_wide(tmp_path, rng):
    x = rng.normal(size=(2, 9, 3, 2)).astype("float32") - 2
    compare(tmp_path / "m.onnx", nn.MaxPool2d(2, stride=3, padding=1, dilation=2, ceil_mode=True), x)


@pytest.mark.parametrize("width", [1, 2, (0, 3, 1, 0)])
@pytest.mark.parametrize(
    "pool", [nn.MaxPool2d(2), nn.MaxPool2d(2, padding=1), nn.AvgPool2d(2), nn.AvgPool2d(3, padding=1)]
)
def test_zeros_before_pooling_stay_zeros(tmp_path, rng, width, pool):
    """If all numbers are negative, a zero of the padding is the maximum."""
    x = rng.normal(size=(2, 6, 5, 3)).astype("float32") - 9
    compare(tmp_path / "m.onnx", nn.Sequential(nn.ZeroPad2d(width), pool), x)
