"""`features` gives what a layer inside a network computes in inference, batch by batch, and runs nothing after it."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.nn import features


class Bomb(nn.Layer):
    def forward(self, x):
        raise AssertionError("this layer is after the one that was asked for")

    def backward(self, dy, cache, *, input_grad=True):
        raise NotImplementedError


def body():
    return nn.Sequential(nn.Conv2d(2, 3, 3, rng=0), nn.BatchNorm2d(3), nn.Dropout(0.5, rng=1), nn.GlobalAvgPool2d())


@pytest.mark.parametrize("batch_size", [1, 4, 5, 64])
def test_the_output_of_a_layer_within(xp, rng, batch_size):
    net = nn.Graph({"body": (body(), "x"), "bomb": (Bomb(), "body")})
    _, x_ = xp.normal(rng, 5, 6, 7, 2, dtype="float32")
    found = features(net, x_, "body.3", batch_size=batch_size)
    assert isinstance(found, np.ndarray)
    np.testing.assert_allclose(found, xpcnn.to_numpy(net.children()["body"](x_)), rtol=1e-4, atol=1e-6)
    assert features(net, x_, "body.0").shape == (5, 4, 5, 3)


@pytest.mark.parametrize(
    ("images", "layer", "error", "text"),
    [
        (
            np.zeros((2, 6, 7, 2), "f4"),
            "avgpool",
            OptionError,
            "layers: 0 Conv2d, .*got 'avgpool'",
        ),
        (np.zeros((0, 6, 7, 2), "f4"), "0", ShapeError, "one or more, got"),
        ([1.0], "0", ShapeError, "got list"),
        (np.zeros((2, 6, 7, 2), "u1"), "0", DTypeError, "got uint8"),
        (np.zeros((2, 6, 7, 3), "f4"), "0", ShapeError, "Conv2d"),
    ],
)
def test_what_makes_no_features(images, layer, error, text):
    with pytest.raises(error, match=text) as caught:
        features(body(), images, layer)
    assert "\n" not in str(caught.value)
