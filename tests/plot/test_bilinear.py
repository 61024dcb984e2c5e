"""Bilinear interpolation: by a plain loop, by PyTorch, and what it must keep."""

from __future__ import annotations

import math

import numpy as np
import pytest

from tests.arrays import assert_close, needs_torch
from xpcnn.errors import OptionError, ShapeError
from xpcnn.plot.bilinear import bilinear

SIZES = [((1, 1), (3, 4)), ((2, 3), (4, 9)), ((3, 5), (7, 6)), ((7, 6), (3, 4)), ((4, 4), (4, 4)), ((5, 1), (2, 8))]


def plain(maps, height, width):
    n, h, w = maps.shape
    y = np.zeros((n, height, width))
    for i in range(height):
        for j in range(width):
            u = min(max((i + 0.5) * h / height - 0.5, 0), h - 1)
            v = min(max((j + 0.5) * w / width - 0.5, 0), w - 1)
            top, left = math.floor(u), math.floor(v)
            bottom, right = min(top + 1, h - 1), min(left + 1, w - 1)
            p, q = u - top, v - left
            y[:, i, j] = (1 - p) * ((1 - q) * maps[:, top, left] + q * maps[:, top, right]) + p * (
                (1 - q) * maps[:, bottom, left] + q * maps[:, bottom, right]
            )
    return y


@pytest.mark.parametrize(("old", "new"), SIZES)
def test_a_plain_loop_says_the_same(xp, rng, old, new):
    host, maps = xp.normal(rng, 2, *old)
    assert_close(bilinear(maps, *new), plain(host, *new))


@needs_torch
@pytest.mark.parametrize(("old", "new"), SIZES)
def test_pytorch_says_the_same(rng, old, new):
    import torch

    maps = rng.normal(size=(2, *old))
    other = torch.nn.functional.interpolate(torch.tensor(maps)[:, None], new, mode="bilinear", align_corners=False)
    np.testing.assert_allclose(bilinear(maps, *new), other[:, 0].numpy(), rtol=1e-12, atol=1e-12)


def test_what_is_constant_stays_so_and_float32_stays_float32(xp):
    assert_close(bilinear(xp.array(np.full((1, 2, 3), 0.5), "float32"), 5, 7), np.full((1, 5, 7), 0.5, "float32"))


def test_bad_input():
    with pytest.raises(ShapeError, match=r"\(N, H, W\)"):
        bilinear(np.zeros((2, 3)), 4, 4)
    with pytest.raises(OptionError, match="height: an integer ≥ 1"):
        bilinear(np.zeros((1, 2, 3)), 0, 4)
