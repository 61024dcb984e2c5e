"""The small picture of the input image shows its numbers, also those that lie beyond [0, 1]."""

from __future__ import annotations

import base64
import io

import numpy as np
import pytest

from xpcnn.explain.picture import photograph

image = pytest.importorskip("PIL.Image")


def shown(numbers):
    with image.open(io.BytesIO(base64.b64decode(photograph(numbers).partition(",")[2]))) as opened:
        return np.asarray(opened).reshape(numbers.shape)


@pytest.mark.parametrize("channels", [1, 3])
def test_an_image_in_0_to_1_is_shown_as_it_is(rng, channels):
    numbers = rng.integers(256, size=(5, 4, channels))
    np.testing.assert_array_equal(shown((numbers / 255).astype("float32")), numbers)


@pytest.mark.parametrize(("low", "high"), [(-3, 4), (0, 16), (-1024, 3071), (2, 2)])
def test_other_numbers_are_shown_from_black_to_white(rng, low, high):
    """They would wrap around as bytes."""
    numbers = rng.uniform(low, high, (6, 6, 1))
    numbers[0, 0], numbers[5, 5] = low, high
    pixels = shown(numbers)
    assert (np.diff(pixels.ravel()[numbers.ravel().argsort()].astype(int)) >= 0).all()
    assert (pixels[0, 0, 0], pixels[5, 5, 0]) == ((0, 255) if high > low else (0, 0))
