"""Splits and data sets refuse what is no labelled images, and never part an image from its label."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.dataset import Dataset
from xpcnn.data.digits import digits
from xpcnn.data.split import Split
from xpcnn.errors import DataError, DTypeError, OptionError


def marked(n: int, classes: int = 10) -> Split:
    """Image i is full of i, and its label is i mod classes: who meets an image knows its label."""
    images = np.broadcast_to(np.arange(n, dtype=np.uint8)[:, None, None, None], (n, 4, 3, 2)).copy()
    return Split(images, np.arange(n) % classes, scale=255)


def test_size_and_shape():
    split = marked(7)
    assert len(split) == 7
    assert split.input_shape == (4, 3, 2)


@pytest.mark.parametrize(
    ("images", "labels", "text"),
    [
        ([[1]], np.zeros(1, np.int64), "images as a NumPy array, or a source .*, got list"),
        (np.zeros((2, 4, 4), np.uint8), np.zeros(2, np.int64), r"images \(N, H, W, C\), at least one, got \(2, 4, 4\)"),
        (np.zeros((0, 4, 4, 1), np.uint8), np.zeros(0, np.int64), "at least one, got"),
        (np.full((2, 4, 4, 1), "a"), np.zeros(2, np.int64), "images of numbers, got <U1"),
        (np.zeros((2, 4, 4, 1), complex), np.zeros(2, np.int64), "images of numbers, got complex128"),
        (np.zeros((2, 1, 28, 28), np.uint8), np.zeros(2, np.int64), r"got \(2, 1, 28, 28\); pass channels_first=True"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(3, np.int64), r"labels \(2,\), one an image, got \(3,\); leave"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 1), np.int64), r"got \(2, 1\); labels\[:, 0\]"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros((2, 3), np.int64), r"got \(2, 3\); labels.argmax\(1\) if a row"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.full((2, 4, 4), -1), "labels from 0 on, got -1"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.zeros(2, np.uint8), r"int64, got uint8; labels.astype\('int64'\)"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array(["yes", "no"]), r"int64, got <U3; classes, labels = np.unique"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([b"yes", b"no"]), r"int64, got \|S3; classes, labels = np.unique"),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, -1]), "labels from 0 on, got -1"),
        (
            np.zeros((2, 4, 4, 1), np.uint8),
            np.zeros((3, 2), np.float32),
            r"targets \(2,\) or \(2, …\), .* got \(3, 2\); leave out images without",
        ),
        (np.zeros((2, 4, 4, 1), np.uint8), np.array([0, np.nan], np.float32), "finite targets, got NaN"),
        (np.full((2, 4, 4, 1), np.nan, np.float32), np.zeros(2, np.int64), "finite images, got NaN"),
        (np.full((2, 4, 4, 1), np.inf, np.float32), np.zeros(2, np.int64), "finite images, got NaN"),
        (np.full((2, 4, 4, 1), 1.5, np.float32), np.zeros(2, np.int64), "got numbers from 1.5 to 1.5; pass scale=255"),
        (
            np.full((2, 4, 4, 1), -0.5, np.float32),
            np.zeros(2, np.int64),
            "from -0.5 to -0.5; .* scale=1 takes",
        ),
    ],
)
def test_refuses_what_is_no_labelled_images(images, labels, text):
    with pytest.raises(DataError, match=text):
        Split(images, labels)


def test_take_and_split_keep_images_with_their_labels():
    split = marked(50)
    rest, part = split.split(0.3, seed=5)
    assert (len(rest), len(part)) == (35, 15)
    for each in (split.take(8), rest, part):
        np.testing.assert_array_equal(each.images[:, 0, 0, 0] % 10, each.labels)
    np.testing.assert_array_equal(split.take(8).images[:, 0, 0, 0], range(8))
    both = np.concatenate([rest.images, part.images])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(both), range(50))


def test_a_split_depends_on_its_seed():
    first, again, other = (marked(50).split(0.3, seed)[1].images for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


@pytest.mark.parametrize("fraction", [0, 1, -0.5, 0.001, 0.999, float("nan")])
def test_both_sides_of_a_split_need_images(fraction):
    with pytest.raises(OptionError, match="a fraction that leaves both sides some of 50 images"):
        marked(50).split(fraction)


@pytest.mark.parametrize("n", [0, -1, 51])
def test_takes_no_more_than_there_are(n):
    with pytest.raises(OptionError, match="from 1 to 50"):
        marked(50).take(n)


@pytest.mark.parametrize("twice", ["b", "b "])
def test_classes_that_read_alike_are_refused(twice):
    with pytest.raises(OptionError, match=r"Dataset: expected classes: names that differ, got 'b ?' twice; give each"):
        Dataset("three", marked(9, 3), marked(9, 3), ("a", "b", twice))


def test_every_label_has_its_class_and_all_images_one_size():
    with pytest.raises(DataError, match=r"three: expected test labels below 3, the number of classes, got 3"):
        Dataset("three", marked(9, 3), marked(9, 4), ("a", "b", "c"))
    turned = Split(marked(3).images.transpose(0, 2, 1, 3), np.arange(3), scale=255)
    with pytest.raises(DataError, match=r"images of one size.*\(4, 3, 2\) and \(3, 4, 2\)"):
        Dataset("sizes", marked(9, 3), turned, ("a", "b", "c"))
    assert Dataset("ok", marked(9, 3), marked(4, 3), ("a", "b", "c")).input_shape == (4, 3, 2)


def test_digits():
    data = digits()
    assert (len(data.train), len(data.test), data.input_shape) == (1437, 360, (8, 8, 1))
    everything = np.concatenate([data.train.images, data.test.images])
    labels = np.concatenate([data.train.labels, data.test.labels])
    assert everything.dtype == np.uint8
    assert (everything.min(), everything.max()) == (0, 255)
    assert set(np.unique(everything)) <= {round(v * 255 / 16) for v in range(17)}
    assert np.bincount(labels).tolist() == [178, 182, 177, 183, 181, 182, 181, 179, 174, 180]  # UCI's optdigits.names
    assert np.bincount(data.test.labels).min() >= 25  # no class is missing from the test


def test_a_digit_is_nearest_to_its_own_kind():
    """Images and labels belong together: nearest neighbours, which learn nothing, get 98 % right."""
    data = digits()
    train, test = (split.images.reshape(len(split), -1).astype(float) for split in (data.train, data.test))
    distances = (train**2).sum(1) - 2 * test @ train.T
    assert np.mean(data.train.labels[distances.argmin(1)] == data.test.labels) > 0.97


def test_repr_is_short():
    assert "train=Split(1437 images (8, 8, 1), labels 0 … 9)" in repr(digits())
    assert len(repr(digits())) < 250


def test_select_keeps_images_with_their_labels_in_any_order():
    labels = np.arange(10)
    split = Split(np.broadcast_to(labels[:, None, None, None], (10, 2, 2, 1)).astype("uint8"), labels, scale=255)
    index = np.array([7, 2, 9, 2])
    part = split.select(index)
    np.testing.assert_array_equal(part.labels, index)
    np.testing.assert_array_equal(part.images[:, 0, 0, 0], index)


def test_targets_of_a_regression_have_no_classes():
    split = Split(np.zeros((4, 2, 2, 1), np.uint8), np.arange(8, dtype=np.float32).reshape(4, 2))
    np.testing.assert_array_equal(split.take(2).labels, [[0, 1], [2, 3]])
    assert repr(split) == "Split(4 images (2, 2, 1), targets (2,))"
    assert Dataset("ages", split, split, ()).input_shape == (2, 2, 1)
    with pytest.raises(DataError, match="for a regression none, got 2 and train labels of float32"):
        Dataset("ages", split, split, ("a", "b"))


@pytest.mark.parametrize("masked", ["images", "labels"])
def test_what_is_masked_is_refused(masked):
    given = {"images": np.ma.array(np.ones((3, 2, 2, 1), np.uint8)), "labels": np.ma.array(np.arange(3))}
    Split(**given)
    given[masked][1] = np.ma.masked
    with pytest.raises(
        DTypeError, match=rf"Split {masked}: expected an array without a mask, got \d of \d+ numbers masked"
    ):
        Split(**given)
