"""Arrays of images in every usual form become (N, H, W, C); what looks like (N, C, H, W) is not guessed at."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.pixels import square, to_images
from xpcnn.data.split import Split
from xpcnn.errors import DataError


@pytest.fixture
def images(rng):
    drawn = rng.integers(256, size=(2, 5, 6, 3), dtype=np.uint8)
    drawn[0, 0, 0] = 0, 255, 1
    return drawn


def test_bytes_stay_as_they_are(images):
    np.testing.assert_array_equal(to_images("x", images), images)
    np.testing.assert_array_equal(to_images("x", images[..., 0]), images[..., :1])


def test_channels_first(images):
    first = images.transpose(0, 3, 1, 2)
    with pytest.raises(DataError, match=r"got \(2, 3, 5, 6\); pass channels_first=True if they are \(N, C, H, W\)"):
        to_images("x", first)
    read = to_images("x", first, channels_first=True)
    np.testing.assert_array_equal(read, images)
    np.testing.assert_array_equal(to_images("x", first, channels_first=False), first)


@pytest.mark.parametrize("shape", [(2, 28, 28), (5, 32, 32), (13, 64, 64), (13, 64, 48), (1, 8, 8), (2, 5, 6)])
def test_any_number_of_channels_that_come_first_is_seen(shape):
    array = np.zeros((3, *shape), np.uint8)
    for images, options in ((array, {}), (array.reshape(3, -1), {"image_shape": shape})):
        with pytest.raises(DataError, match=r"\(N, H, W, C\), got \(3, .*; pass channels_first=True"):
            to_images("x", images, **options)
        assert to_images("x", images, channels_first=False, **options).shape == (3, *shape)
    with pytest.raises(DataError, match="pass channels_first=True"):
        Split(array, np.array([0, 1, 0]), 1)


@pytest.mark.parametrize(
    "shape", [(2, 2, 4), (9, 9, 200), (7, 7, 512), (8, 16, 6), (28, 28, 2), (2, 8, 3), (12, 64, 12)]
)
def test_channels_that_come_last_are_taken(shape):
    assert to_images("x", np.zeros((3, *shape), np.uint8)).shape == (3, *shape)


def test_rows(images):
    rows = images.reshape(2, -1)
    np.testing.assert_array_equal(to_images("x", rows, image_shape=(5, 6, 3)), images)
    np.testing.assert_array_equal(to_images("x", rows[:, :30], image_shape=(5, 6)), rows[:, :30].reshape(2, 5, 6, 1))
    first = images.transpose(0, 3, 1, 2).reshape(2, -1)
    np.testing.assert_array_equal(to_images("x", first, image_shape=(5, 6, 3), channels_first=True), images)
    with pytest.raises(
        DataError, match=r"90 numbers a row, got|grey or RGB squares in rows, got 90 numbers a row; pass"
    ):
        to_images("x", rows)
    with pytest.raises(DataError, match=r"rows of 30 numbers, for image_shape \(5, 6\), got 90"):
        to_images("x", rows, image_shape=(5, 6))


@pytest.mark.parametrize(
    ("numbers", "shape"), [(1, (1, 1, 1)), (784, (28, 28, 1)), (3072, (32, 32, 3)), (3, (1, 1, 3)), (4, (2, 2, 1))]
)
def test_square(numbers, shape):
    assert square("x", numbers) == shape


@pytest.mark.parametrize("numbers", [2, 785, 3073, 90])
def test_no_square(numbers):
    with pytest.raises(DataError, match=rf"got {numbers} numbers a row; pass image_shape=\(H, W, C\)"):
        square("x", numbers)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.zeros((0, 4, 4, 1)), r"at least one, got \(0, 4, 4, 1\)"),
        (np.zeros(4), r"images \(N, H, W, C\), .*, got \(4,\)"),
        (np.zeros((1, 1, 4, 4, 1)), r"got \(1, 1, 4, 4, 1\)"),
    ],
)
def test_refuses_what_is_no_image(array, text):
    with pytest.raises(DataError, match=text):
        to_images("x", array)
