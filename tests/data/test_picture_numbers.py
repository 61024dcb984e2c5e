"""Pictures of 1, 16 and 32 bits and of floats: numbers are read unchanged, divided by the right one, or refused."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.picture import header, read_picture
from xpcnn.errors import FormatError

image = pytest.importorskip("PIL.Image")


@pytest.mark.parametrize("name", ["a.png", "a.tif", "motorola.tif"])
def test_sixteen_bits(tmp_path, name):
    values = np.array([[0, 257, 128 * 257, 65280, 65535]], np.uint16)
    if name == "motorola.tif":
        image.frombytes("I;16B", (5, 1), values.astype(">u2").tobytes()).save(tmp_path / name)
    else:
        image.fromarray(values).save(tmp_path / name)
    np.testing.assert_array_equal(read_picture(tmp_path / name, channels=1)[0, :, 0], [0, 1, 128, 254, 255])


def test_numbers_that_are_no_brightness_are_refused(tmp_path):
    for numbers, found in (
        (np.ones((2, 2), np.float32), "floats, 1"),
        (np.full((2, 2), 255, np.int32), "32 bits, 255"),
    ):
        image.fromarray(numbers).save(tmp_path / "a.tif")
        assert header(tmp_path / "a.tif").is_grey
        assert header(tmp_path / "a.tif").bits == 32
        with pytest.raises(
            FormatError, match=rf"a.tif: expected 8 or 16 bits a pixel, or a scale, got {found} … .*; pass scale="
        ):
            read_picture(tmp_path / "a.tif")
        read = read_picture(tmp_path / "a.tif", scale=255)
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, np.repeat(numbers[..., None], 3, 2))


def test_own_numbers_of_every_depth(tmp_path, rng):
    """With a scale, numbers stay what they are: of a camera's 12 bits, of 32, of floats, of 0 and 1."""
    for numbers in (
        rng.integers(4096, size=(6, 8)).astype(np.uint16),
        rng.integers(2**20, size=(6, 8)).astype(np.int32),
        rng.normal(size=(6, 8)).astype(np.float32),
        rng.integers(2, size=(6, 8)).astype(np.uint8),
    ):
        image.fromarray(numbers).save(tmp_path / "a.tif")
        scale = 1 if numbers.dtype == np.uint8 else 4095
        for channels in (1, 3):
            read = read_picture(tmp_path / "a.tif", scale=scale, channels=channels)
            assert read.dtype == np.float32
            np.testing.assert_array_equal(read, np.repeat(numbers[..., None], channels, 2))
        half = read_picture(tmp_path / "a.tif", scale=scale, channels=1, size=(3, 4))
        assert half.shape == (3, 4, 1)
        np.testing.assert_allclose(half.mean(), numbers.mean(), atol=float(numbers.std()))


def portable(most: int, *numbers: int, colours: int = 1) -> bytes:
    """A portable anymap of one row."""
    head = f"P{6 if colours == 3 else 5} {len(numbers) // colours} 1 {most}\n".encode()
    return head + np.array(numbers, ">u2" if most > 255 else "u1").tobytes()


@pytest.mark.parametrize("most", [15, 100, 255, 256, 1023, 4095, 65535])
def test_a_portable_anymap_says_what_is_white(tmp_path, most):
    (tmp_path / "a.pgm").write_bytes(portable(most, 0, 1, most // 2, most))
    read = read_picture(tmp_path / "a.pgm", channels=1, scale=most)
    np.testing.assert_array_equal(read[0, :, 0], [0, 1, most // 2, most])
    if most < 256:
        (tmp_path / "a.ppm").write_bytes(portable(most, 0, 1, most, colours=3))
        np.testing.assert_array_equal(read_picture(tmp_path / "a.ppm", scale=most)[0, 0], [0, 1, most])


@pytest.mark.parametrize("scale", [1, 16, 255, 4095, 65535])
@pytest.mark.parametrize("ending", ["png", "tif", "pbm"])
def test_white_of_one_bit_is_white(tmp_path, scale, ending):
    image.fromarray(np.array([[True, False]])).save(tmp_path / f"a.{ending}")
    np.testing.assert_array_equal(read_picture(tmp_path / f"a.{ending}", channels=1, scale=scale)[0, :, 0], [scale, 0])


@pytest.mark.parametrize(
    ("kind", "scale"), [("L", 256), ("L", 4095), ("L", 65535), ("RGB", 4095), ("P", 65535), ("I;16", 65536)]
)
def test_a_picture_that_cannot_hold_the_scale_is_refused(tmp_path, kind, scale):
    image.new(kind, (4, 4), 255).save(tmp_path / "a.png")
    read_picture(tmp_path / "a.png", scale=255)
    with pytest.raises(FormatError, match=rf"a.png: expected a picture of numbers up to {scale}, got (8|16) bits"):
        read_picture(tmp_path / "a.png", scale=scale)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize("size", [None, (2, 2)])
def test_numbers_that_are_not_finite_are_refused(tmp_path, bad, size):
    image.fromarray(np.array([[0, bad], [1, 2]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(FormatError, match=r"a.tif: expected a picture of finite numbers, got NaN or infinity"):
        read_picture(tmp_path / "a.tif", scale=1, size=size)


def test_resized_numbers_swing_below_no_black(tmp_path):
    numbers = np.zeros((8, 8), np.uint16)
    numbers[:, 4:] = 4095
    image.fromarray(numbers).save(tmp_path / "a.png")
    assert read_picture(tmp_path / "a.png", scale=4095, channels=1, size=(12, 12)).min() == 0
