"""Augmentation moves a mask, or an image to learn, with its image: by the same draw; a mask is never blurred, and what
comes from outside has the class that does not count. Changes of light leave masks alone."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, Split, augment
from xpcnn.data.augment import Brightness, Compose, Contrast, Crop, Cutout, Flip, Mixup, Rotate, Shift
from xpcnn.errors import OptionError, ShapeError

from .images import images

MOVING = [Flip(vertical=True), Shift(2, ignore_index=9), Crop(1, ignore_index=9), Rotate(180, ignore_index=9)]
STILL = [Brightness(0.5), Contrast(0.5), Cutout(2)]


def masks(n=12, h=9, w=9, seed=0):
    """Images whose number at a pixel says its class: class k is k / 8."""
    y = np.random.default_rng(seed).integers(0, 5, (n, h, w))
    return (y[..., None] / 8).astype("f4"), y


@pytest.mark.parametrize("augmentation", MOVING, ids=repr)
def test_a_mask_moves_with_its_image(xp, augmentation):
    x, y = masks()
    moved_x, moved_y = augmentation(xp.array(x, "float32"), xp.array(y), np.random.default_rng(1))
    moved_x, moved_y = xpcnn.to_numpy(moved_x)[..., 0], xpcnn.to_numpy(moved_y)
    assert moved_y.dtype == y.dtype
    assert set(np.unique(moved_y)) <= {*range(5), 9}
    assert (moved_y != y).any()
    inside = moved_y != 9
    if not isinstance(augmentation, Rotate):
        np.testing.assert_array_equal(moved_x[inside] * 8, moved_y[inside])
        assert not moved_x[~inside].any()


def test_a_turned_mask_is_the_nearest_of_the_turned_image():
    """Where the image has one value in a neighbourhood, the mask's class is exactly that."""
    y = np.zeros((6, 21, 21), np.int64)
    y[:, 4:17, 4:17] = 3
    x = (y[..., None] / 8).astype("f4")
    moved_x, moved_y = Rotate(90, ignore_index=9)(x, y, np.random.default_rng(3))
    for value in (0, 3):
        surely = np.abs(moved_x[..., 0] * 8 - value) < 1e-5
        assert surely.sum() > 300
        assert set(np.unique(moved_y[surely])) <= {value, 9}
    assert (moved_y == 9).any()
    assert (np.abs(moved_x[..., 0] * 8 - moved_y)[moved_y != 9] <= 3 / 2 + 1e-5).mean() > 0.98


@pytest.mark.parametrize("augmentation", MOVING, ids=repr)
def test_an_image_to_learn_moves_as_its_image_does(xp, augmentation):
    x = xp.array(images(h=6, w=7), "float32")
    moved_x, moved_y = augmentation(x, x[..., :1], np.random.default_rng(2))
    np.testing.assert_array_equal(xpcnn.to_numpy(moved_x)[..., :1], xpcnn.to_numpy(moved_y))


@pytest.mark.parametrize("augmentation", STILL, ids=repr)
def test_light_leaves_masks_alone(augmentation):
    x, y = masks()
    assert augmentation(x + np.float32(0.1), y, np.random.default_rng(0))[1] is y


def test_without_a_class_that_does_not_count_nothing_may_come_from_outside():
    x, y = masks()
    for augmentation in (Shift(2), Crop(2), Rotate(45)):
        with pytest.raises(OptionError, match=r"ignore_index, the class of what comes from outside .*ignore_index=255"):
            augmentation(x, y, np.random.default_rng(0))
    np.testing.assert_array_equal(Shift(0)(x, y, np.random.default_rng(0))[1], y)


def test_masks_of_another_size_and_mixtures_of_masks_are_refused():
    x, y = masks()
    for wrong in (y[:, :4], y[:5], np.zeros((12, 9, 9)), np.zeros((12, 4, 4, 2))):
        with pytest.raises(ShapeError, match="Shift: expected masks"):
            Shift(1, ignore_index=9)(x, wrong, np.random.default_rng(0))
    with pytest.raises(ShapeError, match="Mixup"):
        Mixup(0.2, 5)(x, y, np.random.default_rng(0))
    with pytest.raises(OptionError, match="Rotate: expected ignore_index: an integer"):
        Rotate(3, ignore_index="255")


def test_in_words_and_in_a_loader():
    steps = augment.parse("flip,crop:2,rotate:10,brightness:0.1", ignore_index=255)
    assert isinstance(steps, Compose)
    x, y = masks()
    split = Split(x, y.astype(np.uint8), 1.0, ignore_index=255)
    _, labels = next(iter(Loader(split, 12, augment=steps)))
    assert set(np.unique(labels)) <= {0, 1, 2, 3, 4, 255}
    assert (labels == 255).any()
    assert labels.dtype == np.int64
