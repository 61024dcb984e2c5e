"""Images for a model are scaled as its training images were, or the command says otherwise."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.cli.datasets import model_and_dataset
from xpcnn.data import Loader, Split
from xpcnn.data.model_images import images_in
from xpcnn.errors import DataError, FormatError, OptionError, XpcnnWarning
from xpcnn.io.model_file import SavedModel, load_model, save_model
from xpcnn.nn import Flatten, Linear, Sequential
from xpcnn.optim import SGD
from xpcnn.training import Trainer

LABELS = np.arange(20) % 2


def trained(folder, numbers, scale=None):
    """A model of 4×4 images that these numbers trained, as its file has it."""
    split = Split(numbers[..., None], LABELS, scale)
    model = Sequential(Flatten(), Linear(16, 2, rng=0))
    trainer = Trainer(model, SGD(model.parameters(), lr=0.1), folder=folder, verbose=False)
    trainer.fit(Loader(split, 20), epochs=1)
    return load_model(folder / "model.safetensors")


def read(path, saved, **options):
    return np.stack([image for _, image in images_in(path, saved, **options)])[..., 0]


@pytest.fixture
def sixteenths(rng):
    drawn = rng.integers(17, size=(20, 4, 4))
    drawn[0, 0, 0] = 16
    return drawn


def test_one_image_of_0_to_16_is_divided_by_16(tmp_path, sixteenths):
    saved = trained(tmp_path, sixteenths, 16)
    assert (saved.scale, saved.is_unit) == (16, True)
    for dtype in ("uint8", "int64", "uint16", "float32", "float64"):
        for each in (sixteenths, sixteenths[:1] // 2):  # of which the largest is 8, or less
            np.save(tmp_path / "a.npy", each.astype(dtype))
            np.testing.assert_allclose(read(tmp_path / "a.npy", saved), each / 16, rtol=1e-6)
    np.save(tmp_path / "a.npy", sixteenths / 16)
    np.testing.assert_allclose(read(tmp_path / "a.npy", saved), sixteenths / 16, rtol=1e-6)
    np.save(tmp_path / "a.npy", 15 * sixteenths)
    with pytest.raises(DataError, match=r"numbers from 0 to 16, as in training, got 0 to 240; pass scale="):
        read(tmp_path / "a.npy", saved)
    np.testing.assert_allclose(read(tmp_path / "a.npy", saved, scale=240), sixteenths / 16, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["bool", "uint8", "int64", "float32"])
def test_black_and_white(tmp_path, rng, dtype):
    numbers = rng.integers(2, size=(20, 4, 4))
    saved = trained(tmp_path, numbers.astype(dtype))
    for kind in ("bool", "uint8", "int64", "float64"):
        np.save(tmp_path / "a.npy", numbers.astype(kind))
        np.testing.assert_array_equal(read(tmp_path / "a.npy", saved), numbers)
    np.save(tmp_path / "a.npy", (255 * numbers).astype("uint8"))
    np.testing.assert_array_equal(read(tmp_path / "a.npy", saved), numbers)


def test_bytes_and_what_looks_like_none(tmp_path, rng):
    numbers = rng.integers(256, size=(20, 4, 4))
    numbers[0, 0, 0] = 255
    saved = trained(tmp_path, numbers.astype("uint8"))
    for kind in ("uint8", "int64", "float64"):
        np.save(tmp_path / "a.npy", numbers.astype(kind))
        np.testing.assert_allclose(read(tmp_path / "a.npy", saved), numbers / 255, rtol=1e-6)
    np.save(tmp_path / "a.npy", numbers // 16)
    with pytest.warns(XpcnnWarning, match="divided by 255, as in training, but the largest number is 15; pass scale="):
        np.testing.assert_allclose(read(tmp_path / "a.npy", saved), numbers // 16 / 255, rtol=1e-6)
    np.save(tmp_path / "a.npy", numbers.astype("uint16") * 257)
    np.testing.assert_allclose(read(tmp_path / "a.npy", saved), numbers / 255, rtol=1e-6)
    for bad in (numbers - 300, numbers + 0.5, np.where(numbers > 9, numbers, np.nan)):
        np.save(tmp_path / "a.npy", bad)
        with pytest.raises(DataError):
            read(tmp_path / "a.npy", saved)


def test_standardised_images(tmp_path, rng):
    numbers = rng.normal(size=(20, 4, 4))
    saved = trained(tmp_path, numbers, 1)
    assert (saved.scale, saved.is_unit) == (1, False)
    np.save(tmp_path / "a.npy", numbers)
    np.testing.assert_allclose(read(tmp_path / "a.npy", saved), numbers, rtol=1e-6)
    np.save(tmp_path / "a.npy", np.clip(numbers, 0.25, 0.75))
    np.testing.assert_allclose(read(tmp_path / "a.npy", saved), np.clip(numbers, 0.25, 0.75), rtol=1e-6)
    with pytest.raises(OptionError, match=r"invert: expected a model of images in \[0, 1\]"):
        read(tmp_path / "a.npy", saved, invert=True)


def test_pictures(tmp_path, rng, sixteenths):
    image = pytest.importorskip("PIL.Image")
    numbers = rng.integers(256, size=(20, 4, 4)).astype("uint8")
    numbers[:, 0, 0] = 255
    plain = SavedModel(Sequential(), (4, 4, 1), (), {})
    image.fromarray(numbers[0]).save(tmp_path / "a.png")
    for saved in (plain, trained(tmp_path / "bytes", numbers), trained(tmp_path / "floats", numbers / 255)):
        np.testing.assert_allclose(read(tmp_path / "a.png", saved)[0], numbers[0] / 255, rtol=1e-6)
    deep = trained(tmp_path / "deep", numbers.astype("uint16") * 257)
    np.testing.assert_allclose(read(tmp_path / "a.png", deep)[0], numbers[0] / 255, rtol=1e-6)
    image.fromarray(sixteenths[0].astype("uint8")).save(tmp_path / "b.png")
    few = trained(tmp_path / "few", sixteenths, 16)
    np.testing.assert_allclose(read(tmp_path / "b.png", few)[0], sixteenths[0] / 16, rtol=1e-6)
    np.testing.assert_allclose(read(tmp_path / "b.png", plain, scale=16)[0], sixteenths[0] / 16, rtol=1e-6)
    with pytest.raises(DataError, match="numbers from 0 to 16, as in training"):
        read(tmp_path / "a.png", few)
    image.fromarray(numbers[0].astype("int32")).save(tmp_path / "c.tif")
    np.testing.assert_allclose(read(tmp_path / "c.tif", plain, scale=255)[0], numbers[0] / 255, rtol=1e-6)


@pytest.mark.parametrize("size", [(4, 4), (8, 8)])
@pytest.mark.parametrize("kind", ["uint8", "uint16", "RGB"])
def test_pixels_for_a_model_of_standardised_images_are_said(tmp_path, rng, kind, size):
    image = pytest.importorskip("PIL.Image")
    saved = trained(tmp_path, rng.normal(size=(20, 4, 4)), 1)
    shape = (*size, 3) if kind == "RGB" else size
    image.fromarray(rng.integers(256, size=shape).astype("uint16" if kind == "uint16" else "uint8")).save(
        tmp_path / "a.png"
    )
    with pytest.warns(XpcnnWarning, match=r"not in \[0, 1\], and pixels are given to it as they are; if those were"):
        read(tmp_path / "a.png", saved)
    np.save(tmp_path / "a.npy", rng.integers(256, size=(4, 4)).astype("uint8"))
    with pytest.warns(XpcnnWarning, match=r"not in \[0, 1\], and pixels are given to it as they are; if those were"):
        read(tmp_path / "a.npy", saved)
    image.fromarray(rng.normal(size=(4, 4)).astype("float32")).save(tmp_path / "a.tif")
    read(tmp_path / "a.tif", saved)  # as the training images were


@pytest.mark.parametrize("trained_on", ["uint8", "uint16", "float32"])
@pytest.mark.parametrize(("numbers", "likely"), [("uint8", 1), ("uint8", 15), ("uint16", 4095)])
def test_a_dark_picture_is_dark_and_said(tmp_path, rng, trained_on, numbers, likely):
    image = pytest.importorskip("PIL.Image")
    light = rng.integers(256, size=(20, 4, 4))
    light[0, 0, 0] = 255
    light = {"uint8": light, "uint16": 257 * light, "float32": light / 255}[trained_on].astype(trained_on)
    saved = trained(tmp_path, light)
    dark = rng.integers(likely + 1, size=(4, 4)).astype(numbers)
    dark[0, 0] = likely
    image.fromarray(dark).save(tmp_path / "a.png")
    white = 65535 if numbers == "uint16" else 255
    if trained_on == numbers == "uint16":
        np.testing.assert_allclose(read(tmp_path / "a.png", saved)[0], dark / white, atol=1 / 255)
        return
    with pytest.warns(XpcnnWarning, match=rf"divided by {white}, but .* is (about )?\d+; pass scale={likely} "):
        np.testing.assert_allclose(read(tmp_path / "a.png", saved)[0], dark / white, atol=1 / 255)
    np.testing.assert_allclose(read(tmp_path / "a.png", saved, scale=likely)[0], dark / likely, rtol=1e-6)


@pytest.mark.parametrize(("scale", "text"), [(16, "scale of 16, but .* is 255; pass scale=255 "), (4095, "")])
def test_a_scale_that_does_not_fit_the_picture(tmp_path, scale, text):
    image = pytest.importorskip("PIL.Image")
    plain = SavedModel(Sequential(), (4, 4, 1), (), {})
    image.new("L", (4, 4), 255).save(tmp_path / "a.png")
    if text:
        with pytest.warns(XpcnnWarning, match=text):
            read(tmp_path / "a.png", plain, scale=scale)
    else:
        with pytest.raises(FormatError, match="a picture of numbers up to 4095, got 8 bits"):
            read(tmp_path / "a.png", plain, scale=scale)


def test_other_data_are_divided_by_the_model_s_scale(tmp_path, sixteenths):
    trained(tmp_path, sixteenths, 16)
    np.savez(tmp_path / "a.npz", x=sixteenths // 2, y=LABELS)
    _, dataset = model_and_dataset(tmp_path / "model.safetensors", str(tmp_path / "a.npz"), ())
    assert dataset.train.scale == dataset.test.scale == 16


def test_a_scale_in_a_file_that_is_none(tmp_path):
    model = Sequential(Flatten(), Linear(16, 2))
    for scale in (0, -1, "16", True, None):
        with pytest.raises(OptionError, match="a scale above 0"):
            save_model(model, tmp_path / "a", input_shape=(4, 4, 1), extra={"scale": scale})
