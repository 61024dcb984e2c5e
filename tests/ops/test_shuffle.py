"""Shuffles, slices, permutations: loops and gradients at several sizes; what does not fit is refused."""

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
    (nn.Slice(0, 1), (2, 4)), (nn.Slice(2, 4), (2, 3, 2, 4)), (nn.Slice(1, 6, step=2, axis=1), (2, 7, 3)),
    (nn.Slice(0, 5, step=3, axis=-2), (2, 2, 5, 3)), (nn.Permute((1,)), (2, 3)), (nn.Permute((2, 3, 1)), (2, 3, 4, 5)),
    (nn.Reshape((6,)), (2, 3, 2)), (nn.Reshape((2, 1, 9)), (2, 3, 3, 2)),
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
        (nn.Slice(1, 5), (1, 4), "Slice: expected 0 ≤ start < stop ≤ 4, the axis' length, got 1 and 5"),
        (nn.Slice(0, 1, axis=2), (1, 4), "Slice: expected an axis of 2 axes, and not the batch's, got 2"),
        (nn.Slice(0, 1, axis=-2), (1, 4), "Slice: expected an axis of 2 axes, and not the batch's, got -2"),
        (nn.Permute((2, 1)), (1, 4), r"Permute: expected items of 2 axes, got \(1, 4\)"),
        (nn.Reshape((2, 3)), (1, 4), r"Reshape: expected items of 6 numbers, got \(1, 4\)"),
    ],
    ids=str,
)
def test_what_does_not_fit_is_refused(layer, shape, text):
    with pytest.raises(ShapeError, match=text):
        layer(np.ones(shape))


def test_options_that_make_no_sense():
    wrong = (
        *(lambda: nn.PixelShuffle(0), lambda: nn.ChannelShuffle("2"), lambda: nn.Slice(2, 2)),
        *(lambda: nn.Slice(0, 1, axis=0), lambda: nn.Slice(0, 1, axis=True), lambda: nn.Permute((0, 1))),
        *(lambda: nn.Permute(2), lambda: nn.Permute((1, 1)), lambda: nn.Reshape(()), lambda: nn.Reshape((2, 0))),
    )
    for make in wrong:
        with pytest.raises(OptionError):
            make()
