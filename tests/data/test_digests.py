"""An image is known by its numbers, and chosen for them: whatever its name and its place, and what is beside it."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data import digests
from xpcnn.data.dataset import Split
from xpcnn.data.digests import choose, image_digests


def test_equal_images_alone_have_equal_digests(rng, monkeypatch):
    images = rng.integers(0, 3, (300, 2, 3, 1), np.uint8)
    _, groups = np.unique(images.reshape(300, -1), axis=0, return_inverse=True)
    found = image_digests(images)
    assert (found.dtype, found.shape) == (np.int64, (300,))
    np.testing.assert_array_equal(found[:, None] == found, groups[:, None] == groups)
    monkeypatch.setattr(digests, "_BLOCK", 100)
    by_column = np.asfortranarray(images)
    np.testing.assert_array_equal(image_digests(by_column), found)
    np.testing.assert_array_equal(image_digests(images.repeat(2, axis=2)[:, :, ::2]), found)


@pytest.mark.parametrize("count", [1, 7, 40, 99])
def test_the_choice_does_not_depend_on_the_order(rng, count):
    keys, order = rng.integers(0, 2**60, 100), rng.permutation(100)
    chosen = choose(keys, count, seed=3)
    assert len(chosen) == len(set(chosen.tolist())) == count
    assert set(keys[order][choose(keys[order], count, seed=3)]) == set(keys[chosen])
    assert set(choose(keys, count, seed=4)) != set(chosen)


def test_one_more_image_moves_at_most_one_other(rng):
    keys = rng.integers(0, 2**60, 200)
    for n in range(100, 200):
        before, after = (set(keys[:m][choose(keys[:m], round(m * 0.2), seed=0)]) for m in (n, n + 1))
        known = set(keys[:n])
        assert len(before - after) + len((after & known) - before) <= 1


def test_every_image_is_as_likely_to_be_chosen(rng):
    keys = rng.integers(0, 2**60, 50)
    times = np.zeros(50)
    for seed in range(1000):
        times[choose(keys, 10, seed)] += 1
    assert 130 < times.min() < times.max() < 270  # 200 with a standard deviation of 13


@pytest.mark.parametrize(
    ("sizes", "count", "chosen"),
    [
        ([2] * 5, 4, {4}),  # pairs stay together
        ([2] * 5, 3, {2}),  # and the count gives way
        ([2] * 3, 1, {2}),
        ([2, 1, 1], 1, {1}),
        ([2, 1], 1, {1}),
        ([3, 2, 2, 1], 5, {5}),
        ([3, 2, 2, 3], 5, {5}),
        ([90] + [1] * 10, 20, {5}),  # nine tenths are one image: half of the others stay with it
        ([10], 2, {2}),  # only where all are equal are they divided
        ([5, 5], 2, {2}),  # or where half of all would go with one
    ],
)
def test_equal_images_are_chosen_together(rng, sizes, count, chosen):
    for seed in range(30):
        keys = rng.permutation(np.repeat(rng.integers(0, 2**60, len(sizes)), sizes))
        part = choose(keys, count, seed)
        assert len(part) in chosen
        rest = np.delete(keys, part)
        assert len(rest) == len(keys) - len(part)
        assert max(sizes) * 2 >= len(keys) > 3 or not np.isin(rest, keys[part]).any()


def test_a_split_s_digest_is_of_images_labels_and_order(rng):
    images, labels = rng.integers(0, 256, (6, 2, 2, 1), np.uint8), np.arange(6)
    split = Split(images, labels)
    assert split.digest == Split(np.asfortranarray(images), labels.copy()).digest
    assert len(split.digest) == 32
    changed = images.copy()
    changed[5, 1, 1, 0] ^= 1
    others = [
        Split(changed, labels), Split(images, labels[::-1].copy()), split.select(np.array([1, 0, 2, 3, 4, 5])),
        Split(images.reshape(6, 1, 4, 1), labels), Split(images, labels.astype(np.float32)), split.take(5),
    ]  # fmt: skip
    assert len({split.digest, *(other.digest for other in others)}) == 7


def test_nothing_is_hashed_before_it_is_asked_for_and_nothing_twice(rng, monkeypatch):
    hashed = []
    monkeypatch.setattr(
        "xpcnn.data.dataset.image_digests", lambda images: hashed.append(len(images)) or image_digests(images)
    )
    split = Split(rng.integers(0, 256, (50, 2, 2, 1), np.uint8), np.arange(50))
    assert split.take(10).select(slice(5)).input_shape
    assert hashed == []
    rest, part = split.split(0.2)
    joined = rest.join(part.select(np.arange(3)))
    assert joined.digest != rest.digest
    assert hashed == [50]
    np.testing.assert_array_equal(joined.digests, image_digests(joined.images))
