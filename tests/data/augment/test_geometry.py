"""Flips, shifts, crops, cutouts and rotations move or cut each image by itself: plain loops over all that may be drawn,
and Pillow as a witness for turning."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pytest

from xpcnn.data.augment import Crop, Cutout, Flip, Rotate, Shift
from xpcnn.data.augment.rotate import rotated

from ...arrays import assert_close
from .images import changed, images


def assert_each_is_one_of(actual, x, candidates, share):
    """Image n is exactly one of candidates(x[n]), and at least that share of the candidates was met in all."""
    met = set()
    for before, after in zip(x, actual, strict=True):
        fits = [i for i, candidate in enumerate(candidates(before)) if np.array_equal(candidate, after)]
        assert fits
        met.update(fits)
    assert len(met) >= share * len(list(candidates(x[0])))


@pytest.mark.parametrize(
    ("augmentation", "axes"),
    [
        (Flip(), [(), (1,)]),
        (Flip(horizontal=False, vertical=True), [(), (0,)]),
        (Flip(vertical=True), [(), (0,), (1,), (0, 1)]),
        (Flip(p=0), [()]),
        (Flip(p=1), [(1,)]),
    ],
)
def test_flip(augmentation, axes):
    x = images(n=200)
    assert_each_is_one_of(changed(augmentation, x), x, lambda image: [np.flip(image, axis) for axis in axes], 1)


def test_flip_s_probability():
    x = images(n=4000, h=2, w=2, c=1)
    for p in (0.1, 0.5, 0.8):
        flipped = (changed(Flip(p=p), x) != x).any(axis=(1, 2, 3)).mean()
        assert abs(flipped - p) < 5 * math.sqrt(p * (1 - p) / 4000)


@pytest.mark.parametrize(
    ("augmentation", "most", "fill"),
    [(Shift(2), (2, 2), 0), (Shift((1, 3), fill=0.5), (1, 3), 0.5), (Crop(2), (2, 2), 0), (Crop((0, 1)), (0, 1), 0)],
)
def test_shift_and_crop(augmentation, most, fill):
    def candidates(image):
        h, w, _ = image.shape
        for a, b in itertools.product(*(range(-limit, limit + 1) for limit in most)):
            moved = np.full_like(image, fill)
            for i, j in itertools.product(range(h), range(w)):
                if 0 <= i + a < h and 0 <= j + b < w:
                    moved[i, j] = image[i + a, j + b]
            yield moved

    x = images(n=300)
    assert_each_is_one_of(changed(augmentation, x), x, candidates, 1)


def test_crop_is_padding_and_cutting():
    """As He et al. say it: 4 pixels on each side, and a crop of the old size."""
    x = images(n=20, h=8, w=8)
    padded = np.pad(x, ((0, 0), (4, 4), (4, 4), (0, 0)))
    for i, after in enumerate(changed(Crop(4), x)):
        crops = [padded[i, a : a + 8, b : b + 8] for a, b in itertools.product(range(9), range(9))]
        assert any(np.array_equal(crop, after) for crop in crops)


@pytest.mark.parametrize(("size", "fill"), [(1, 0), (2, 0.5), (3, 0), (5, 1)])
def test_cutout(size, fill):
    def candidates(image):
        h, w, _ = image.shape
        for centre in itertools.product(range(h), range(w)):
            top, left = (c - size // 2 for c in centre)
            cut = image.copy()
            for i, j in itertools.product(range(top, top + size), range(left, left + size)):
                if 0 <= i < h and 0 <= j < w:
                    cut[i, j] = fill
            yield cut

    x = images(n=300)
    assert_each_is_one_of(changed(Cutout(size, fill), x), x, candidates, 1 if size < 3 else 0.8)


def turned(x, degrees, fill):
    """Bilinear interpolation, one number at a time."""
    n, h, w, channels = x.shape
    y = np.zeros_like(x)
    for k, i, j, c in np.ndindex(n, h, w, channels):
        theta = math.radians(degrees[k])
        down, across = i - (h - 1) / 2, j - (w - 1) / 2
        r = down * math.cos(theta) + across * math.sin(theta) + (h - 1) / 2
        s = across * math.cos(theta) - down * math.sin(theta) + (w - 1) / 2
        for a in (math.floor(r), math.floor(r) + 1):
            for b in (math.floor(s), math.floor(s) + 1):
                value = x[k, a, b, c] if 0 <= a < h and 0 <= b < w else fill
                y[k, i, j, c] += (1 - abs(r - a)) * (1 - abs(s - b)) * value
    return y


@pytest.mark.parametrize("fill", [0.0, 0.7])
@pytest.mark.parametrize("shape", [(5, 4), (4, 7), (1, 3)])
def test_rotated_agrees_with_plain_loops(xp, fill, shape, rng):
    x = images(n=6, h=shape[0], w=shape[1], dtype="float64")
    degrees = np.array([-180, -45, 0, 10.5, 90, 133])
    assert_close(rotated(xp.array(x), degrees, fill), turned(x, degrees, fill))
    x = x.astype("float32")
    assert_close(rotated(xp.array(x, "float32"), degrees, fill), turned(x, degrees, fill), dtype="float32")


def test_quarter_turns_are_exact(xp):
    x = images(n=3, h=6, w=6, dtype="float64")
    for quarters in range(-2, 3):
        expected = np.rot90(x, quarters, axes=(1, 2))
        assert_close(rotated(xp.array(x), np.full(3, 90.0 * quarters), 0.0), np.ascontiguousarray(expected))


def test_rotated_agrees_with_pillow():
    from PIL import Image

    smooth = np.random.default_rng(0).random((6, 7))
    picture = Image.fromarray(smooth.astype("float32")).resize((42, 36), Image.Resampling.BICUBIC)
    x = np.asarray(picture)[None, :, :, None]
    for degrees in (-70, 20, 45):
        theirs = np.asarray(picture.rotate(degrees, Image.Resampling.BILINEAR))
        ours = rotated(x, np.array([degrees]), 0.0)[0, :, :, 0]
        distance = np.hypot(*(np.indices(theirs.shape) - np.array([17.5, 20.5])[:, None, None]))
        assert np.abs(ours - theirs)[distance < 16].max() < 1e-4  # Pillow leaves the border to its own rule


def test_rotate_draws_angles_to_both_sides():
    """On a slope, r = i cos θ + j sin θ can be read off."""
    slope = np.broadcast_to(np.linspace(0, 1, 9)[:, None, None], (2000, 9, 9, 1))
    y = changed(Rotate(40), slope) * 8
    angles = np.rad2deg(np.arctan2(y[:, 4, 5, 0] - y[:, 4, 4, 0], y[:, 5, 4, 0] - y[:, 4, 4, 0]))
    assert np.abs(angles).max() <= 40 + 1e-6
    np.testing.assert_allclose(np.quantile(angles, [0.02, 0.25, 0.5, 0.75, 0.98]), [-38.4, -20, 0, 20, 38.4], atol=3.5)
