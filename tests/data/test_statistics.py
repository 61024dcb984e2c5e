"""Statistics of a split: those of NumPy in float64, however many blocks, and without a second copy of the images."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data import Split, digits

from ..limits import at_most


def split(shape=(40, 5, 4, 3), dtype="uint8", low=0, high=256):
    rng = np.random.default_rng(0)
    images = rng.integers(low, high, shape).astype("uint8")
    return Split(images if dtype == "uint8" else (images / 255).astype("float32"), np.zeros(shape[0], np.int64))


@pytest.mark.parametrize("block", [1, 60, 133, 2**20])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_agrees_with_numpy(dtype, block, monkeypatch):
    monkeypatch.setattr("xpcnn.data.statistics.BLOCK", block)
    part = split(dtype=dtype)
    images = part.images.astype("float64") / (255 if dtype == "uint8" else 1)
    mean, std = part.statistics()
    assert (mean.dtype, std.dtype, mean.shape, std.shape) == (np.float64, np.float64, (3,), (3,))
    np.testing.assert_allclose(mean, images.mean(axis=(0, 1, 2)), rtol=1e-13)
    np.testing.assert_allclose(std, images.std(axis=(0, 1, 2)), rtol=1e-13)


def test_channels_are_kept_apart():
    images = np.zeros((2, 3, 4, 3), "uint8")
    images[0, ..., 1], images[1, ..., 1] = 51, 153
    images[..., 2] = np.arange(0, 240, 20).reshape(3, 4)
    mean, std = Split(images, np.zeros(2, np.int64)).statistics()
    np.testing.assert_allclose(mean, [0, 0.4, 110 / 255], rtol=1e-15)
    np.testing.assert_allclose(std, [1, 0.2, np.arange(0, 240, 20).std() / 255], rtol=1e-15)


@pytest.mark.parametrize("value", [0, 1, 77, 255])
@pytest.mark.parametrize("dtype", ["uint8", "float32"])
def test_a_constant_channel_has_std_1(value, dtype):
    images = np.full((1000, 7, 9, 1), value, "uint8")
    images = images if dtype == "uint8" else (images / 255).astype("float32")
    mean, std = Split(images, np.zeros(1000, np.int64), 255 if dtype == "uint8" else 1).statistics()
    assert std.tolist() == [1.0]
    assert mean[0] == pytest.approx(value / 255, rel=1e-6)


def test_small_deviations_do_not_cancel():
    images = np.full((1000, 8, 8, 1), 1.0, "float32")
    images[::2] -= 2**-20
    _, std = Split(images, np.zeros(1000, np.int64)).statistics()
    np.testing.assert_allclose(std, 2**-21, rtol=1e-9)


def test_needs_little_memory(monkeypatch):
    monkeypatch.setattr("xpcnn.data.statistics.BLOCK", 2**14)
    part = split((3000, 16, 16, 3))  # 2.2 MiB, 17.6 MiB in float64
    with at_most(2**20):
        part.statistics()


def test_digits():
    mean, std = digits().train.statistics()
    assert (mean.round(3).tolist(), std.round(3).tolist()) == ([0.305], [0.376])
