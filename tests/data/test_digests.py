"""An image is known by its numbers, and chosen for them: whatever its name and its place, and what is beside it."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data import source
from xpcnn.data.digests import choose, image_digests
from xpcnn.data.split import Split


def test_equal_images_alone_have_equal_digests(rng, monkeypatch):
    images = rng.integers(0, 3, (300, 2, 3, 1), np.uint8)
    _, groups = np.unique(images.reshape(300, -1), axis=0, return_inverse=True)
    found = image_digests(images, 255)
    assert (found.dtype, found.shape) == (np.int64, (300,))
    np.testing.assert_array_equal(found[:, None] == found, groups[:, None] == groups)
    monkeypatch.setattr(source, "BLOCK_BYTES", 100)
    by_column = np.asfortranarray(images)
    np.testing.assert_array_equal(image_digests(by_column, 255), found)
    np.testing.assert_array_equal(image_digests(images.repeat(2, axis=2)[:, :, ::2], 255), found)


@pytest.mark.parametrize("white", [255, 16])
def test_an_image_is_the_same_in_every_form_of_numbers(rng, white):
    whole = rng.integers(white + 1, size=(300, 4, 4, 1))
    whole[0], whole[1], whole[2] = 0, white, white * (whole[2] > 3)
    digests = Split(whole.astype("uint8"), np.zeros(300, int), white).digests
    assert len(set(digests)) == 300
    fractions = whole.astype("float32") / np.float32(white)
    forms = [
        (whole.astype("int64"), white), (whole.astype("float64"), white), (whole / white, 1), (fractions, 1),
        (whole * (1 / white), 1), (whole.astype("float32") * np.float32(1 / white), 1), (fractions * 65535, 65535),
        (np.where(fractions > 0, fractions, np.float32(-0.0)), 1), (np.asfortranarray(fractions), 1),
    ]  # fmt: skip
    if white == 255:
        forms.append(((257 * whole).astype("uint16"), 65535))
    for images, scale in forms:
        np.testing.assert_array_equal(Split(images, np.zeros(300, int), scale).digests, digests)
    for other in (np.full((1, 4, 4, 1), 0.123), np.full((1, 4, 4, 1), 300.0)):  # which decides what they are kept as
        joined = Split(np.concatenate([fractions, other]), np.zeros(301, int), 1)
        np.testing.assert_array_equal(joined.digests[:300], digests)


def test_images_in_no_common_form_are_known_apart(rng):
    tiny = 1e-6 * rng.random((50, 4, 4, 1)).astype("float32")
    for images in (tiny, tiny + 1, -tiny, 1000 * tiny, np.rint(1e9 * tiny), np.full((50, 4, 4, 1), 0.3) + 1e6 * tiny):
        assert len(set(Split(images, np.zeros(50, int), 1).digests)) == 50
    bits = rng.integers(2**16, size=(50, 4, 4, 1), dtype=np.uint16)
    deep, as_floats = (
        Split(*of, scale).digests
        for of, scale in (((bits, np.zeros(50, int)), 65535), ((bits / 65535, np.zeros(50, int)), 1))
    )
    np.testing.assert_array_equal(deep, as_floats)
    assert not np.isin(Split(bits, np.zeros(50, int), 1).digests, deep).any()


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
        "xpcnn.data.split.image_digests",
        lambda images, scale: hashed.append(len(images)) or image_digests(images, scale),
    )
    split = Split(rng.integers(0, 256, (50, 2, 2, 1), np.uint8), np.arange(50))
    assert split.take(10).select(slice(5)).input_shape
    assert hashed == []
    rest, part = split.split(0.2)
    joined = rest.join(part.select(np.arange(3)))
    assert joined.digest != rest.digest
    assert hashed == [50]
    np.testing.assert_array_equal(joined.digests, image_digests(joined.images, joined.scale))
