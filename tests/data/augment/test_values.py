"""Brightness, contrast and mixup change numbers as their formulas say, each image by its own draw; Pillow agrees."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn.data.augment import Brightness, Contrast, Mixup
from xpcnn.errors import DataError, DTypeError, OptionError, ShapeError
from xpcnn.nn import CrossEntropyLoss

from ...arrays import assert_close
from .images import changed, images


def test_brightness_multiplies(rng):
    x = images(n=2000) / 3 + 0.01
    factors = changed(Brightness(0.4), x) / x
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-5  # one factor an image
    factors = factors[:, 0, 0, 0]
    assert factors.min() >= 0.6 - 1e-6
    assert factors.max() <= 1.4 + 1e-6
    np.testing.assert_allclose(np.quantile(factors, [0.02, 0.25, 0.5, 0.75]), [0.616, 0.8, 1, 1.2], atol=0.04)
    bright = changed(Brightness(1.0), np.full((200, 2, 2, 1), 0.9))
    assert bright.max() == 1


def test_contrast_keeps_the_mean_and_stretches_the_rest():
    x = images(n=2000, dtype="float64") / 4 + 0.375  # far from 0 and 1
    y = changed(Contrast(0.5), x)
    means = x.mean(axis=(1, 2, 3), keepdims=True)
    np.testing.assert_allclose(y.mean(axis=(1, 2, 3), keepdims=True), means, atol=1e-12)
    factors = (y - means) / (x - means)
    assert np.ptp(factors, axis=(1, 2, 3)).max() < 1e-8
    factors = factors[:, 0, 0, 0]
    np.testing.assert_allclose(np.quantile(factors, [0.02, 0.25, 0.5, 0.75]), [0.52, 0.75, 1, 1.25], atol=0.05)
    clipped = changed(Contrast(1), images(n=50))
    assert (clipped.min(), clipped.max()) == (0, 1)


@pytest.mark.parametrize("augmentation", [Brightness(0.6), Contrast(0.6)], ids=repr)
def test_light_agrees_with_pillow(augmentation):
    from PIL import Image, ImageEnhance

    enhance = getattr(ImageEnhance, type(augmentation).__name__)
    grey = np.random.default_rng(0).integers(0, 256, (30, 9, 8)).astype("uint8")
    y = changed(augmentation, grey[..., None] / 255)[..., 0] * 255
    factors = np.random.default_rng(0).uniform(0.4, 1.6, 30)
    for before, after, factor in zip(grey, y, factors, strict=True):
        expected = np.asarray(enhance(Image.fromarray(before)).enhance(factor)).astype(float)
        assert np.abs(after - expected).max() < 1.5  # Pillow rounds the mean and the result


def test_mixup_mixes_images_and_labels_alike(xp):
    """Image n is 1 at pixel n alone, so that the shares can be read off."""
    n = 40
    x = np.eye(n, dtype="float32").reshape(n, 8, 5, 1)
    labels = np.arange(n) % 7
    x_, y_ = Mixup(0.5, num_classes=7)(xp.array(x, "float32"), xp.array(labels), np.random.default_rng(0))
    shares = xpcnn.to_numpy(x_).reshape(n, n).astype(float)  # row n: what image n is made of
    np.testing.assert_allclose(shares.sum(axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(shares.sum(axis=0) > 0, True)
    others = shares.copy()
    np.fill_diagonal(others, 0)
    assert ((others > 0).sum(axis=1) <= 1).all()
    assert ((others > 0).sum(axis=0) <= 1).all()  # a permutation
    assert len(set(np.diag(shares).round(5))) > 20  # each image its own share
    assert_close(y_, (shares @ np.eye(7)[labels]).astype("float32"))
    loss = CrossEntropyLoss()(xp.array(np.zeros((n, 7)), "float32"), y_)
    assert float(loss) == pytest.approx(math.log(7), rel=1e-5)


@pytest.mark.parametrize("alpha", [0.1, 1.0, 4.0])
def test_mixup_s_shares_are_of_a_beta_distribution(alpha):
    n = 2000
    targets = np.arange(n, dtype="float64") + 1
    _, mixed = Mixup(alpha)(np.ones((n, 1, 1, 1)), targets, np.random.default_rng(3))
    drawn = np.random.default_rng(3)
    shares, others = drawn.beta(alpha, alpha, n), drawn.permutation(n)
    np.testing.assert_allclose(mixed, shares * targets + (1 - shares) * targets[others])
    assert shares.mean() == pytest.approx(0.5, abs=0.05)
    assert shares.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.1)


def test_mixup_of_targets_and_of_probabilities(xp):
    x = xp.array(images(n=6), "float32")
    for shape, dtype in (((6,), "float32"), ((6, 3), "float32"), ((6, 3), "float64")):
        targets = np.random.default_rng(2).normal(size=shape).astype(dtype)
        _, mixed = Mixup(1.0, num_classes=10)(x, xp.array(targets, dtype), np.random.default_rng(0))
        drawn = np.random.default_rng(0)
        shares = drawn.beta(1, 1, 6).reshape(6, *(1,) * (len(shape) - 1))
        expected = shares * targets + (1 - shares) * targets[drawn.permutation(6)]
        assert_close(mixed, expected.astype(dtype))


def test_mixup_refuses_labels_that_it_cannot_mix(xp):
    x, rng = xp.array(images(n=3), "float32"), np.random.default_rng(0)
    with pytest.raises(OptionError, match=r"Mixup: expected num_classes, .*, or parse\(text, classes\)"):
        Mixup(0.2)(x, xp.array(np.arange(3)), rng)
    for shape in ((2,), (3, 1, 1), (4, 3)):
        with pytest.raises(ShapeError, match=r"Mixup: expected targets \(3,\) or \(3, D\), got"):
            Mixup(0.2)(x, xp.array(np.zeros(shape)), rng)
    with pytest.raises(ShapeError, match=r"Mixup: expected labels \(3,\), got \(2,\)"):
        Mixup(0.2, 5)(x, xp.array(np.arange(2)), rng)
    with pytest.raises(DTypeError, match="Mixup: expected float32 or float64, got bool"):
        Mixup(0.2, 5)(x, xp.array(np.zeros(3, bool)), rng)
    if xp.backend == "numpy":
        with pytest.raises(DataError, match=r"Mixup: expected labels 0 … 1, got 0 … 2"):
            Mixup(0.2, 2)(x, np.arange(3), rng)
