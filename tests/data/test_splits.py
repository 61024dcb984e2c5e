"""A held-out part has the same share of every class, no image of the other part, and is the same for everybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from xpcnn.data.split import Split
from xpcnn.data.splits import assemble, counterpart, hold_out
from xpcnn.errors import DataError, OptionError


def numbered(counts: list[int]) -> Split:
    """So many images of each class, each of its own level."""
    labels = np.repeat(np.arange(len(counts)), counts)
    images = np.arange(len(labels), dtype=np.float32) / 1000
    return Split(np.broadcast_to(images[:, None, None, None], (len(labels), 2, 2, 1)).copy(), labels)


@pytest.mark.parametrize("share", [0.1, 0.2, 0.5, 0.9])
def test_the_same_share_of_each_class(share):
    split = numbered([10, 50, 100])
    train, test = hold_out(split, share, seed=3)
    assert np.bincount(test.labels).tolist() == [round(n * share) for n in (10, 50, 100)]
    levels = np.concatenate([train.images, test.images])[:, 0, 0, 0]
    np.testing.assert_array_equal(np.sort(levels), split.images[:, 0, 0, 0])
    for part in (train, test):
        np.testing.assert_array_equal(split.labels[np.round(part.images[:, 0, 0, 0] * 1000).astype(int)], part.labels)


def test_of_small_classes_one_at_least_and_not_all():
    train, test = hold_out(numbered([1, 2, 3]), 0.01, seed=0)
    assert (np.bincount(train.labels).tolist(), np.bincount(test.labels).tolist()) == ([1, 1, 2], [0, 1, 1])
    train, test = hold_out(numbered([1, 2, 3]), 0.99, seed=0)
    assert (np.bincount(train.labels).tolist(), np.bincount(test.labels).tolist()) == ([1, 1, 1], [0, 1, 2])
    with pytest.raises(DataError, match="two images of a class at least"):
        hold_out(numbered([1, 1]), 0.5, seed=0)


def test_depends_on_the_seed_alone():
    first, again, other = (hold_out(numbered([40, 40]), 0.2, seed)[1].images for seed in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)


def test_of_a_regression_any_share():
    split = Split(np.zeros((10, 2, 2, 1), np.uint8), np.arange(10, dtype=np.float32))
    train, test = hold_out(split, 0.3, seed=0)
    assert sorted([*train.labels, *test.labels]) == list(range(10))
    assert len(test) == 3


def test_counterpart(tmp_path):
    for name in ("mnist_test.csv", "x_test.npy", "Test.csv", "test.h5"):
        (tmp_path / name).write_bytes(b"")
    for name, other in (("mnist_train.csv", "mnist_test.csv"), ("Train.csv", "Test.csv"), ("train.h5", "test.h5")):
        assert counterpart(tmp_path / name) == tmp_path / other
    assert counterpart(tmp_path / "train.csv") is None
    assert counterpart(tmp_path / "data.csv") is None
    (tmp_path / "TEST.CSV").touch()
    assert counterpart(tmp_path / "TRAIN.CSV") == tmp_path / "TEST.CSV"


def test_assemble():
    images = np.arange(0, 201, 100, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    labels = np.array([5, 7, 5])
    data = assemble(Path("a/pets.npz"), (images, labels), (images[:1], labels[:1]))
    assert (data.name, data.classes, data.input_shape) == ("pets", ("5", "7"), (4, 4, 1))
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 1, 0], [0])
    with pytest.raises(DataError, match=r"pets.npz: expected 3 labels, one an image, got \(2,\)"):
        assemble(Path("pets.npz"), (images, labels[:2]), None)
    in_a_row = assemble(Path("pets.npz"), (images, labels[None]), (images, labels[None]))
    assert in_a_row.test.labels.tolist() == [0, 1, 0]
    with pytest.raises(DataError, match=r"pets.npz: expected 3 labels, one an image, got \(1, 2\)"):
        assemble(Path("pets.npz"), (images, labels[None, :2]), None)
    regression = assemble(Path("a.npz"), (images, labels), (images, labels), regression=True)
    assert (regression.classes, regression.train.labels.dtype) == ((), np.float32)


def test_without_a_word_a_fifth_is_for_testing():
    images = np.zeros((40, 4, 4), np.uint8)
    data = assemble(Path("a.npz"), (images, np.arange(40) % 2), None)
    assert (len(data.train), len(data.test)) == (32, 8)


def test_a_number_is_no_images():
    for regression in (False, True):
        with pytest.raises(DataError, match=r"a\.npz: expected images .*, got \(\)"):
            assemble(Path("a.npz"), (np.array(5), np.array([0, 1])), None, regression=regression)


@pytest.mark.parametrize("regression", [False, True])
def test_the_seed_and_the_fraction_choose_what_is_for_testing(regression):
    images, labels = (
        np.arange(0, 200, 5, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8),
        np.arange(40) % 2,
    )

    def chosen(**options):
        data = assemble(Path("a.npz"), (images, labels), None, regression=regression, **options)
        return data.test.images[:, 0, 0, 0].tolist()

    assert chosen(seed=3) == chosen(seed=3) != chosen(seed=0) == chosen()
    assert len(chosen(test_fraction=0.5)) == 20


@pytest.mark.parametrize("options", [{"fraction": 0}, {"fraction": 1}, {"seed": -1}, {"seed": 1.5}])
def test_fractions_and_seeds_that_make_no_sense(options):
    with pytest.raises(OptionError, match=r"data set: expected (test_fraction: a number|seed: an integer)"):
        hold_out(numbered([4, 4]), **({"fraction": 0.5, "seed": 0} | options))


@pytest.mark.parametrize("regression", [False, True])
def test_what_is_held_out_does_not_depend_on_the_order(rng, regression):
    images, labels, order = rng.integers(0, 256, (60, 4, 4), np.uint8), np.arange(60) % 3, rng.permutation(60)
    one, other = (
        assemble(Path("a.npz"), (images[index], labels[index]), None, regression=regression).dataset()
        for index in (np.arange(60), order)
    )
    for part in ("train", "test"):
        first, again = (getattr(data, part).digests.tolist() for data in (one, other))
        assert sorted(first) == sorted(again)
    assert one.parts.startswith("0.2 of all images" if regression else "0.2 of each class")


def test_a_table_s_rows_keep_their_part_when_others_come(rng):
    images, labels = rng.integers(0, 256, (61, 4, 4), np.uint8), np.append(np.arange(60) % 3, 1)
    before, after = (assemble(Path("a.npz"), (images[:n], labels[:n]), None).dataset() for n in (60, 61))
    assert np.isin(after.test.digests, before.train.digests).sum() <= 1


def test_labels_that_are_numbered_anew_change_no_part(rng):
    """As all are when a class is added whose name comes first."""
    images = rng.integers(0, 256, (40, 4, 4), np.uint8)
    one, other = (
        assemble(Path("a.npz"), (images, names[np.arange(40) % 2]), None).dataset()
        for names in (np.array(["cat", "dog"]), np.array(["cat", "ant"]))
    )
    np.testing.assert_array_equal(one.test.images, other.test.images)


def test_parts_to_judge_on_need_not_be_enough_to_train_on():
    images = np.arange(0, 256, 64, dtype=np.uint8)[:, None, None] * np.ones((1, 4, 4), np.uint8)
    alone = assemble(Path("a.npz"), None, (images, np.array([7, 5, 5, 7])))
    assert (alone.train, alone.classes, len(alone.test), alone.input_shape) == (None, ("5", "7"), 4, (4, 4, 1))
    with pytest.raises(DataError, match=r"a\.npz: expected images to train on, got images to test on alone"):
        alone.dataset()
    one = assemble(Path("a.npz"), (images, np.array([5] * 4)), None)
    assert (one.classes, len(one.everything)) == (("5",), 4)
    with pytest.raises(DataError, match=r"a\.npz: expected at least two classes, got 5 alone"):
        one.dataset()
    both = assemble(Path("a.npz"), (images, np.arange(4) % 2), (images[:1], np.array([1])))
    assert both.everything.labels.tolist() == [0, 1, 0, 1, 1]


def test_counterparts_of_other_names(tmp_path):
    names = [
        ("training.csv", "testing.csv"), ("Training.csv", "Test.csv"), ("a_trn.npy", "a_tst.npy"),
        ("mnist_train.csv", "mnist_val.csv"), ("x_train.npy", "x_dev.npy"), ("TRAIN_1.h5", "VALIDATION_1.h5"),
    ]  # fmt: skip
    for name, other in names:
        (tmp_path / other).touch()
        assert counterpart(tmp_path / name) == tmp_path / other
        (tmp_path / other).unlink()
    for other in ("test.csv", "val.csv"):
        (tmp_path / other).touch()
    assert counterpart(tmp_path / "train.csv") == tmp_path / "test.csv"
    assert counterpart(tmp_path / "test.csv") is None
