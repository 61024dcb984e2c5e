"""Whatever the augmentation: the same images on every backend, nobody's array changes, a line for what makes no sense;
and several of them, composed or named in words."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn.data import augment
from xpcnn.data.augment import Brightness, Compose, Contrast, Crop, Cutout, Flip, Mixup, Rotate, Shift
from xpcnn.errors import DTypeError, OptionError, ShapeError

from ...arrays import assert_close
from .images import changed, images

EXACT = [
    Flip(), Flip(horizontal=False, vertical=True, p=0.3), Flip(vertical=True), Shift(2), Shift((0, 2), fill=0.5),
    Crop((2, 1)), Cutout(3), Cutout(2, fill=0.25),
]  # fmt: skip
ROUNDED = [Rotate(30), Rotate(180, fill=0.5), Brightness(0.5), Contrast(0.5), Mixup(0.4, num_classes=5)]


@pytest.mark.parametrize("augmentation", EXACT + ROUNDED, ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_same_images_on_every_backend(xp, augmentation, dtype):
    x, labels = images(dtype=dtype), np.arange(12) % 5
    with xpcnn.use_backend("numpy"):
        expected_x, expected_y = augmentation(x, labels, np.random.default_rng(4))
    given_x, given_y = xp.array(x, dtype), xp.array(labels)
    actual_x, actual_y = augmentation(given_x, given_y, np.random.default_rng(4))
    assert_close(actual_x, expected_x)
    if isinstance(augmentation, Mixup):
        assert_close(actual_y, expected_y)
    else:
        assert actual_y is given_y
    if augmentation in EXACT:
        np.testing.assert_array_equal(xpcnn.to_numpy(actual_x), expected_x)
    np.testing.assert_array_equal(xpcnn.to_numpy(given_x), x)  # nobody wrote into it
    assert np.abs(expected_x - x).max() > 0.1
    assert expected_x.min() >= 0
    assert expected_x.max() <= 1 + 1e-6
    again = augmentation(given_x, given_y, np.random.default_rng(5))[0]
    assert not np.array_equal(xpcnn.to_numpy(again), xpcnn.to_numpy(actual_x))


@pytest.mark.parametrize("augmentation", [Shift(0), Crop(0), Rotate(0), Brightness(0), Contrast(0)], ids=repr)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_nothing_changes_at_zero(xp, augmentation, dtype):
    x = xp.array(images(dtype=dtype), dtype)
    np.testing.assert_allclose(changed(augmentation, x), images(dtype=dtype), rtol=0, atol=2e-16)


@pytest.mark.parametrize("augmentation", EXACT + ROUNDED, ids=repr)
def test_bad_batches_are_refused(xp, augmentation):
    who, rng, y = type(augmentation).__name__, np.random.default_rng(0), xp.array(np.zeros(2, "i8"))
    for shape in ((2, 5, 4), (5, 4, 2, 1, 1)):
        with pytest.raises(ShapeError, match=rf"{who}: expected input \(N, H, W, C\), got"):
            augmentation(xp.array(np.zeros(shape)), y, rng)
    with pytest.raises(ShapeError, match=f"{who}: .*skip empty batches"):
        augmentation(xp.array(np.zeros((0, 5, 4, 1))), y, rng)
    with pytest.raises(DTypeError, match=rf"{who}: expected float32 or float64, got uint8.*/ 255"):
        augmentation(xp.array(np.zeros((2, 5, 4, 1), "u1")), y, rng)
    for wrong in (None, 3, np.random):
        with pytest.raises(OptionError, match=f"{who}: expected rng: a NumPy Generator"):
            augmentation(xp.array(np.zeros((2, 5, 4, 1))), y, wrong)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: Flip(p=1.5), r"Flip: expected p: a number in \[0, 1\], got 1.5"),
        (lambda: Flip(horizontal=False), "Flip: expected horizontal, vertical or both, got neither"),
        (lambda: Shift(-1), "Shift: expected pixels: an integer ≥ 0"),
        (lambda: Shift(1.5), "Shift: expected pixels"),
        (lambda: Shift(1, fill=2), r"Shift: expected fill: a number in \[0, 1\]"),
        (lambda: Crop((1, 2, 3)), "Crop: expected padding"),
        (lambda: Rotate(181), r"Rotate: expected degrees: a number in \[0, 180\]"),
        (lambda: Rotate(float("nan")), "Rotate: expected degrees"),
        (lambda: Rotate(3, fill=-1), "Rotate: expected fill"),
        (lambda: Brightness(-0.1), "Brightness: expected amount"),
        (lambda: Contrast("a"), "Contrast: expected amount"),
        (lambda: Cutout(0), "Cutout: expected size: an integer ≥ 1"),
        (lambda: Cutout(1, fill=3), "Cutout: expected fill"),
        (lambda: Mixup(0), r"Mixup: expected alpha: a number in \(0, inf\)"),
        (lambda: Mixup(math.inf), "Mixup: expected alpha"),
        (lambda: Mixup(1, 0), "Mixup: expected num_classes: an integer ≥ 1"),
        (lambda: Compose(Flip), "Compose: expected augmentations, such as Flip"),
        (lambda: Compose(Flip(), "crop"), "got 'crop'"),
    ],
)
def test_bad_options_are_refused(make, text):
    with pytest.raises(OptionError, match=text):
        make()


def test_images_must_be_larger_than_what_happens_to_them():
    for augmentation in (Shift((1, 4)), Shift((5, 1)), Crop(5), Shift(10**15)):
        with pytest.raises(OptionError, match=f"{type(augmentation).__name__}: expected less than the images' 5×4 pix"):
            changed(augmentation, images())
    for size in (6, 10**15):
        with pytest.raises(OptionError, match="Cutout: expected a size within the images' 5×4 pixels"):
            changed(Cutout(size), images())


def test_compose_goes_through_its_steps_in_their_order_with_one_generator():
    x, y = images(), np.arange(12)
    rng = np.random.default_rng(6)
    expected = Cutout(2)(*Shift(1)(x, y, rng), rng)[0]
    np.testing.assert_array_equal(changed(Compose(Shift(1), Cutout(2)), x, seed=6), expected)
    assert changed(Compose(), x) is x
    own = Compose(lambda x, y, rng: (x, y + 1), lambda x, y, rng: (x, y * 2))
    np.testing.assert_array_equal(own(x, y, rng)[1], (y + 1) * 2)


def test_parse():
    text = " flip,vflip, shift:2 ,crop:4,rotate:7.5,brightness:0.2,contrast:.3,cutout:8,mixup:0.2"
    expected = Compose(
        Flip(), Flip(horizontal=False, vertical=True), Shift(2), Crop(4), Rotate(7.5), Brightness(0.2), Contrast(0.3),
        Cutout(8), Mixup(0.2, 10),
    )  # fmt: skip
    assert augment.parse(text, 10).steps == expected.steps
    assert repr(augment.parse(text, 10)) == repr(expected)
    assert [form.partition(":")[0] for form in augment.forms()] == [
        word.split(":")[0].strip() for word in text.split(",")
    ]
    assert augment.parse("mixup:1").steps == (Mixup(1),)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("flip,turn:5", r"augment: expected words among flip, vflip, shift:PIXELS, .*, mixup:ALPHA, got 'turn:5'"),
        ("", "got ''"),
        ("flip,,crop:4", "got ''"),
        ("Flip", "got 'Flip'"),
        ("flip,rotate", "augment: expected rotate:DEGREES, got 'rotate'"),
        ("flip:2", "augment: expected flip without a number, got 'flip:2'"),
        ("crop:", "augment: expected padding: an integer ≥ 0 or a pair of them, got 'crop:'"),
        ("crop:4.5", "augment: expected padding: .*, got 'crop:4.5'"),
        ("cutout:-3", "augment: expected size: an integer ≥ 1, got 'cutout:-3'"),
        ("rotate:steep", r"augment: expected degrees: a number in \[0, 180\], got 'rotate:steep'"),
        ("mixup:nan", "got 'mixup:nan'"),
        ("mixup:0.2:3", "got 'mixup:0.2:3'"),
        ("brightness:1e999", "got 'brightness:1e999'"),
    ],
)
def test_parse_names_the_word_that_is_wrong(text, message):
    with pytest.raises(OptionError, match=message) as caught:
        augment.parse(text, 10)
    assert "\n" not in str(caught.value)


def test_parse_takes_text_only():
    for wrong in (None, ["flip"], 3):
        with pytest.raises(OptionError, match="augment: expected text, such as 'flip,crop:4', got"):
            augment.parse(wrong)
