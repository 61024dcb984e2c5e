"""Images are divided by the right number, or the number is stated: a picture is the same in every type."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data import Dataset, Loader, Split, array_file, augment, csv_file
from xpcnn.data.scale import scale_of, stored
from xpcnn.errors import DataError, OptionError, XpcnnWarning

LABELS = np.arange(20) % 2


@pytest.fixture
def binary(rng):
    """Twenty images of 0 and 1, (20, 4, 4)."""
    return rng.integers(2, size=(20, 4, 4))


def seen(split: Split) -> np.ndarray:
    """The network's inputs, in the split's order."""
    ((x, _),) = Loader(split, len(split)).epoch(0)
    return np.asarray(x)


def saved(tmp_path, images, **options):
    np.savez(tmp_path / "a.npz", x_train=images, y_train=LABELS, x_test=images, y_test=LABELS)
    return array_file(tmp_path / "a.npz", **options)


def table(tmp_path, images, number=str, **options):
    rows = [",".join([str(y), *map(number, x.ravel())]) for x, y in zip(images, LABELS, strict=True)]
    for part in ("train", "test"):
        (tmp_path / f"{part}.csv").write_text("\n".join(rows))
    return csv_file(tmp_path / "train.csv", **options)


@pytest.mark.parametrize(
    "dtype", ["bool", "uint8", "int8", "uint16", "int16", "int32", "int64", "uint64", "float16", "float32", "float64"]
)
def test_black_and_white_in_every_type(tmp_path, binary, dtype):
    data = saved(tmp_path, binary.astype(dtype))
    for split in (data.train, data.test, Split(binary[..., None].astype(dtype), LABELS)):
        assert seen(split).dtype == np.float32
        np.testing.assert_array_equal(seen(split)[..., 0], binary)


@pytest.mark.parametrize("number", [str, "{:.1f}".format, "{:.2f}".format])
def test_black_and_white_in_a_table(tmp_path, binary, number):
    np.testing.assert_array_equal(seen(table(tmp_path, binary, number).train)[..., 0], binary)


@pytest.mark.parametrize("dtype", ["uint8", "int16", "uint16", "int64", "float32", "float64"])
def test_bytes_in_every_type(tmp_path, rng, dtype):
    images = rng.integers(256, size=(20, 4, 4))
    images[0, 0, :2] = 0, 255
    split = saved(tmp_path, images.astype(dtype)).train
    assert (split.images.dtype, split.scale) == (np.uint8, 255)
    np.testing.assert_allclose(seen(split)[..., 0], images / 255, rtol=1e-6)


def test_fractions_stay_fractions(tmp_path, rng):
    images = rng.random((20, 4, 4))
    for dtype in ("float16", "float32", "float64"):
        for split in (saved(tmp_path, images.astype(dtype)).train, Split(images[..., None].astype(dtype), LABELS)):
            assert (split.images.dtype, split.scale) == (np.float32, 1)
            np.testing.assert_allclose(seen(split)[..., 0], images, atol=1e-3)


@pytest.mark.parametrize("most", [2, 7, 15, 16, 63, 100, 127])
@pytest.mark.parametrize("dtype", ["uint8", "int32", "float64"])
def test_a_factor_that_does_not_fit_is_said(tmp_path, rng, most, dtype):
    images = rng.integers(most + 1, size=(20, 4, 4)).astype(dtype)
    images[0, 0, 0] = most
    text = f"images are divided by 255, but the largest number is {most}; pass scale={most}, .* --option scale={most} "
    for load in (saved, table):
        with pytest.warns(XpcnnWarning, match=text):
            np.testing.assert_allclose(seen(load(tmp_path, images).train)[..., 0], images / 255, rtol=1e-6)
        np.testing.assert_allclose(seen(load(tmp_path, images, scale=most).train)[..., 0], images / most, rtol=1e-6)
    with pytest.warns(XpcnnWarning, match=text):
        Split(images[..., None], LABELS)
    assert Split(images[..., None], LABELS, scale=most).images.dtype == np.uint8


def test_both_parts_have_one_scale(tmp_path):
    """A test part of dark images is no reason to divide it by something else."""
    bright, dark = np.full((2, 4, 4), 255), np.ones((2, 4, 4), int)
    np.savez(tmp_path / "a.npz", x_train=bright, y_train=[0, 1], x_test=dark, y_test=[0, 1])
    with pytest.warns(
        XpcnnWarning, match=r"\(test\): images are divided by 255, but the largest number is 1, and .* 255"
    ):
        data = array_file(tmp_path / "a.npz")
    np.testing.assert_allclose(seen(data.test), 1 / 255)
    np.savez(tmp_path / "b.npz", x_train=bright, y_train=[0, 1], x_test=bright / 255, y_test=[0, 1])
    data = array_file(tmp_path / "b.npz")
    assert (seen(data.train) == 1).all()
    assert (seen(data.test) == 1).all()


@pytest.mark.parametrize("most", [1, 16])
@pytest.mark.parametrize("dark", ["test", "train"])
@pytest.mark.parametrize("scale", [None, 255])
def test_a_part_of_other_numbers_is_said(tmp_path, rng, most, dark, scale):
    images = {part: rng.integers(256, size=(20, 4, 4)) for part in ("train", "test")}
    images[dark] = rng.integers(most + 1, size=(20, 4, 4))
    images[dark][0] = most
    np.savez(tmp_path / "a.npz", x_train=images["train"], y_train=LABELS, x_test=images["test"], y_test=LABELS)
    with pytest.warns(XpcnnWarning, match=rf"divided by 255, but the largest number is {most}, and elsewhere 255"):
        array_file(tmp_path / "a.npz", scale=scale)


@pytest.mark.parametrize("scale", [4095, 65535])
@pytest.mark.parametrize("dtype", ["uint8", "int64", "float32"])
def test_a_scale_of_more_bits_than_the_numbers_is_said(tmp_path, rng, scale, dtype):
    images = rng.integers(256, size=(20, 4, 4)).astype(dtype)
    with pytest.warns(XpcnnWarning, match=rf"divided by the scale of {scale}, but the largest number is 255"):
        saved(tmp_path, images, scale=scale)


@pytest.mark.parametrize(("images", "scale"), [(255 * np.ones((20, 4, 4)), 16), (16.5 * np.ones((20, 4, 4)), 2)])
def test_floats_above_the_scale_are_said(tmp_path, images, scale):
    with pytest.warns(XpcnnWarning, match=rf"divided by the scale of {scale}, but the largest number"):
        saved(tmp_path, images, scale=scale)


def test_sixteen_bits(rng):
    images = rng.integers(2**16, size=(20, 4, 4, 1), dtype=np.uint16)
    images[0, 0, 0] = 65535
    split = Split(images, LABELS)
    assert (split.scale, split.images.dtype) == (65535, np.uint16)
    np.testing.assert_allclose(seen(split), images / 65535, rtol=1e-6)
    mean, std = split.statistics()
    np.testing.assert_allclose([mean[0], std[0]], [images.mean() / 65535, images.std() / 65535])
    with pytest.warns(XpcnnWarning, match="divided by 65535, but the largest number is 40.*; pass scale=40"):
        Split(images // 16, LABELS)
    assert seen(Split(images // 16, LABELS, scale=4095)).max() == 1
    with pytest.raises(DataError, match=r"whole numbers from 0 to 4095; pass scale="):
        Split(np.where(images > 2**15, images // 16, 0).astype("int32"), LABELS)


@pytest.mark.parametrize("dtype", ["float32", "float64", "int16"])
def test_any_numbers_have_a_way_in(tmp_path, rng, dtype):
    """Standardised images, and a scanner's −1024 … 3071."""
    images = (1000 * rng.normal(size=(20, 4, 4))).astype(dtype)
    with pytest.raises(DataError, match=r"from -.* to .*; pass scale=255, .*; scale=1 takes numbers as they are"):
        Split(images[..., None], LABELS)
    for scale in (1, 1000.0):
        for split in (Split(images[..., None], LABELS, scale), saved(tmp_path, images, scale=scale).train):
            assert not split.is_unit
            np.testing.assert_allclose(seen(split)[..., 0], images / scale, rtol=1e-6)
            mean, std = split.statistics()
            np.testing.assert_allclose(mean, images.mean() / scale, rtol=1e-4)
            np.testing.assert_allclose(std, images.std() / scale, rtol=1e-4)
            first, second = split.split(0.5)
            assert first.scale == second.scale == scale


def test_what_cuts_off_is_not_for_any_numbers(rng):
    split = Split(rng.normal(size=(20, 4, 4, 1)), LABELS, scale=1)
    for word in ("brightness:0.2", "contrast:0.2", "flip,brightness:0.2"):
        with pytest.raises(OptionError, match=r"augment for images beyond \[0, 1\]"):
            Loader(split, 4, augment=augment.parse(word))
        Loader(Split(rng.random((20, 4, 4, 1)), LABELS), 4, augment=augment.parse(word))
    Loader(split, 4, augment=augment.parse("flip,crop:1,rotate:9,cutout:2"))


def test_a_split_says_its_scale(binary):
    assert repr(Split(binary[..., None], LABELS)) == "Split(20 images (4, 4, 1), labels 0 … 1, scale 1)"
    assert Split(binary[..., None], LABELS).scale_in_words == "0 … 1, as they are"
    assert Split(255 * binary[..., None], LABELS).scale_in_words == "0 … 255, divided by 255"
    dark = Split(50 * binary[..., None], LABELS, 255)
    both = Dataset("a", Split(255 * binary[..., None], LABELS), dark, ("no", "yes"))
    assert both.scale_in_words == "0 … 255, divided by 255"
    other = Dataset("a", Split(binary[..., None], LABELS), dark, ("no", "yes"))
    assert other.scale_in_words == "to train 0 … 1, as they are; to test 0 … 50, divided by 255"


def test_a_scale_that_is_stated_and_does_not_fit_is_said(tmp_path, rng):
    with pytest.warns(XpcnnWarning, match=r"divided by the scale of 16, but the largest number is 255"):
        saved(tmp_path, np.full((20, 4, 4), 255), scale=16)
    with pytest.warns(XpcnnWarning, match=r"divided by the scale of 255, but the largest number is 0"):
        saved(tmp_path, rng.random((20, 4, 4)), scale=255)
    for scale in (0, -1, float("nan"), float("inf"), True, "16", 1e300, 1e-300, 1e-38, 3.4e38):
        with pytest.raises(OptionError, match="scale: a number in"):
            Split(np.zeros((20, 4, 4, 1)), LABELS, scale)
        with pytest.raises(OptionError, match="scale: a number in"):
            scale_of("x", [np.zeros(3)], scale)


@pytest.mark.parametrize(
    ("array", "text"),
    [
        (np.full(4, 300), "whole numbers 0 … 255, got whole numbers from 300 to 300; pass scale="),
        (np.full(4, -1), "got whole numbers from -1 to -1"),
        (np.full(4, 127.5), "got numbers from 127.5 to 127.5"),
        (np.array([-0.5, 2.5]), "got numbers from -0.5 to 2.5"),
        (np.array([-0.5, 0.5]), "got numbers from -0.5 to 0.5"),
        (np.full(4, np.nan), "finite images, got NaN or infinity"),
        (np.array([0, np.inf]), "finite images, got NaN or infinity"),
        (np.full(4, "a"), "images of numbers, got <U1"),
        (np.zeros(4, complex), "images of numbers, got complex128"),
    ],
)
def test_refuses_what_is_in_doubt(array, text):
    with pytest.raises(DataError, match=text):
        scale_of("x", [array])


def test_what_float32_cannot_hold_is_refused():
    with pytest.raises(DataError, match="images that float32 holds, divided by 1e-20, got infinity"):
        stored("x", np.array([1e30]), 1e-20)
    with pytest.raises(DataError, match="finite images"):
        stored("x", np.array([1e300]), 1)
