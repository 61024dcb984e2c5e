"""Shuffles: loops and gradients at several sizes, each other's reverse; what does not divide is refused."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.backend import to_numpy
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck

from ..arrays import assert_close
from ..reference_layers import LOOPS

CASES = [
    (nn.PixelShuffle(1), (2, 2, 3, 4)), (nn.PixelShuffle(3), (1, 2, 3, 18)), (nn.PixelUnshuffle(3), (2, 3, 6, 2)),
    (nn.ChannelShuffle(1), (2, 4)), (nn.ChannelShuffle(3), (2, 6)), (nn.ChannelShuffle(4), (2, 3, 12)),
    (nn.ChannelSlice(0, 1), (2, 4)), (nn.ChannelSlice(2, 4), (2, 3, 2, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("layer", "shape"), CASES, ids=str)
def test_loops_and_gradients(xp, rng, layer, shape):
    host, x = xp.normal(rng, *shape)
    assert_close(layer(x), LOOPS[type(layer).__name__](layer, host, {}))
    assert gradcheck(layer, x, directions=2).passed


def test_each_other_s_reverse(xp, rng):
    host, x = xp.normal(rng, 2, 4, 6, 8)
    assert_close(nn.PixelShuffle(2)(nn.PixelUnshuffle(2)(x)), host)
    assert_close(nn.PixelUnshuffle(2)(nn.PixelShuffle(2)(x)), host)
    assert_close(nn.ChannelShuffle(4)(nn.ChannelShuffle(2)(x)), host)
    assert sorted(to_numpy(nn.ChannelShuffle(2)(x)).ravel()) == sorted(host.ravel())


@pytest.mark.parametrize(
    ("layer", "shape", "text"),
    [
        (nn.PixelShuffle(2), (1, 2, 2, 6), "PixelShuffle: expected channels that 4 divides, got 6"),
        (
            nn.PixelUnshuffle(2),
            (1, 3, 2, 6),
            r"PixelUnshuffle: expected a height and a width that 2 divides, got \(3, 2\)",
        ),
        (nn.ChannelShuffle(4), (1, 6), "ChannelShuffle: expected channels that 4 groups divide, got 6"),
        (nn.ChannelSlice(1, 5), (1, 4), "ChannelSlice: expected 0 ≤ start < stop ≤ 4, the channels, got 1 and 5"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(layer, shape, text):
    with pytest.raises(ShapeError, match=text):
        layer(np.ones(shape))


def test_options_that_make_no_sense():
    for make in (lambda: nn.PixelShuffle(0), lambda: nn.ChannelShuffle("2"), lambda: nn.ChannelSlice(2, 2)):
        with pytest.raises(OptionError):
            make()
