"""Arrays from .npz and .npy files under the names that people give them; hostile archives end in FormatError."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.array_file import array_file
from xpcnn.data.registry import load, load_parts
from xpcnn.errors import DataError, FileError, FormatError, OptionError, XpcnnWarning

from ..io.test_npy import Evil


@pytest.fixture
def x(rng):
    return rng.integers(256, size=(12, 4, 4), dtype=np.uint8)


@pytest.fixture
def y():
    return np.arange(12) % 3


@pytest.mark.parametrize("save", [np.savez, np.savez_compressed])
@pytest.mark.parametrize("names", [("x_train", "y_train", "x_test", "y_test"),
                                   ("train_images", "train_labels", "test_images", "test_labels")])  # fmt: skip
def test_an_npz_with_two_parts(tmp_path, x, y, save, names):
    save(tmp_path / "a.npz", **dict(zip(names, (x[:9], y[:9], x[9:], y[9:]), strict=True)))
    data = load(tmp_path / "a.npz")
    assert (data.name, data.classes, data.input_shape) == ("a", ("0", "1", "2"), (4, 4, 1))
    np.testing.assert_array_equal(data.train.images[..., 0], x[:9])
    np.testing.assert_array_equal(data.test.images[..., 0], x[9:])
    np.testing.assert_array_equal(data.train.labels, y[:9])
    np.testing.assert_array_equal(data.test.labels, y[9:])


@pytest.mark.parametrize(
    ("test", "found"),
    [
        (("x_val",), "x_train and x_val"),
        (("x_valid",), "x_train and x_valid"),
        (("x_dev",), "x_train and x_dev"),
        (("x_val", "x_test"), "x_train and x_test"),
    ],
)
def test_an_npz_whose_part_to_test_on_has_another_name(tmp_path, x, y, test, found):
    parts = {name: (x[6 + 3 * i : 9 + 3 * i], y[6:9]) for i, name in enumerate(test)} | {"x_train": (x[:6], y[:6])}
    arrays = {name: images for name, (images, _) in parts.items()}
    np.savez(tmp_path / "a.npz", **arrays, **{f"y{name[1:]}": labels for name, (_, labels) in parts.items()})
    data = load(tmp_path / "a.npz")
    assert data.parts == found
    np.testing.assert_array_equal(data.test.images[..., 0], arrays[test[-1]])


@pytest.mark.parametrize("names", [("X_train", "y_train", "X_test", "y_test"),
                                   ("train_images", "train_labels", "val_images", "val_labels")])  # fmt: skip
def test_an_npz_in_the_names_of_others(tmp_path, x, y, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (x[:9], y[:9], x[9:], y[9:]), strict=True)))
    data = load(tmp_path / "a.npz")
    assert (len(data.train), len(data.test)) == (9, 3)


@pytest.mark.parametrize("train", ["x_train y_train", "X_train Y_train", "train_x train_y", "x_training y_training"])
@pytest.mark.parametrize("test", ["X_test Y_test", "test_x test_y", "test_X test_Y", "x_eval y_eval", "X_dev Y_dev"])
def test_an_npz_in_names_of_every_kind(tmp_path, x, y, train, test):
    np.savez(
        tmp_path / "a.npz", **dict(zip([*train.split(), *test.split()], (x[:9], y[:9], x[9:], y[9:]), strict=True))
    )
    data = load(tmp_path / "a.npz")
    np.testing.assert_array_equal(data.train.images[..., 0], x[:9])
    np.testing.assert_array_equal(data.test.images[..., 0], x[9:])


@pytest.mark.parametrize("names", [("x_test",), ("Test_pictures", "Test_classes"), ("val_x", "y_val"), ("holdout",)])
@pytest.mark.parametrize("train", ["x_train y_train", "x y"])
def test_arrays_to_test_on_that_are_no_pair_are_said(tmp_path, x, y, names, train):
    parts = dict(zip(train.split(), (x[:9], y[:9]), strict=True))
    np.savez(tmp_path / "a.npz", **parts, **{name: x[9:] for name in names})
    with pytest.warns(XpcnnWarning, match=rf"a.npz: {', '.join(names)} are left alone, and some of the other images"):
        data = load(tmp_path / "a.npz")
    assert len(data.train) + len(data.test) == 9
    np.savez(tmp_path / "b.npz", x_test=x[9:], y_test=y[9:])
    assert len(load(tmp_path / "a.npz", test=tmp_path / "b.npz").test) == 3  # as that is stated


@pytest.mark.parametrize("names", [("x_test", "y_test"), ("test_images", "test_labels"), ("x_val", "y_val")])
def test_an_npz_of_a_part_to_test_on_alone(tmp_path, x, y, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (x, y), strict=True)))
    parts = load_parts(tmp_path / "a.npz")
    assert (parts.train, parts.classes) == (None, ("0", "1", "2"))
    np.testing.assert_array_equal(parts.test.images[..., 0], x)
    with pytest.raises(DataError, match=rf"images to train on, got {names[0]} to test on alone; .*xpcnn eval"):
        load(tmp_path / "a.npz")


@pytest.mark.parametrize("names", [("images", "labels"), ("x", "y"), ("X", "y")])
def test_an_npz_of_which_a_share_is_held_out(tmp_path, x, y, names):
    np.savez(tmp_path / "a.npz", **dict(zip(names, (x, y), strict=True)))
    data = load(tmp_path / "a.npz", test_fraction=0.25, seed=4)
    assert np.bincount(data.test.labels).tolist() == [1, 1, 1]
    both = np.concatenate([data.train.images, data.test.images])[..., 0]
    labels = np.concatenate([data.train.labels, data.test.labels])
    for image, label in zip(both, labels, strict=True):  # each has its own label still
        assert label == y[(x == image).all(axis=(1, 2)).argmax()]


def test_names_of_classes(tmp_path, x, y):
    np.savez(tmp_path / "a.npz", x=x, y=y, classes=np.array(["cat", "dog", "cow"]))
    assert load(tmp_path / "a.npz").classes == ("cat", "dog", "cow")
    assert load(tmp_path / "a.npz", classes=["a", "b", "c"]).classes == ("a", "b", "c")
    np.savez(tmp_path / "b.npz", x=x, y=y, class_names=np.array([b"cat", b"dog", b"cow"]))
    assert load(tmp_path / "b.npz").classes == ("cat", "dog", "cow")
    np.savez(tmp_path / "c.npz", x=x, y=np.array(["dog", "cat"] * 6))
    assert load(tmp_path / "c.npz").classes == ("cat", "dog")
    np.savez(tmp_path / "d.npz", x=x, y=y, classes=np.zeros(3))
    with pytest.raises(DataError, match=r"d.npz: classes: expected texts or whole numbers \(K,\), got float64"):
        load(tmp_path / "d.npz")
    np.savez(tmp_path / "e.npz", x=x, y=y, classes=np.array([["cat", "dog", "cow"]]))
    with pytest.raises(DataError, match=r"e.npz: classes: expected texts or whole numbers \(K,\), got <U3 \(1, 3\)"):
        load(tmp_path / "e.npz")


def test_regression(tmp_path, x):
    np.savez(tmp_path / "a.npz", x=x, y=np.linspace(0, 1, 12))
    data = load(tmp_path / "a.npz", regression=True)
    assert (data.classes, data.train.labels.dtype) == ((), np.float32)
    with pytest.raises(DataError, match="regression=True"):
        load(tmp_path / "a.npz")


def test_other_members_are_not_read(tmp_path, x, y):
    np.savez(tmp_path / "a.npz", x=x, y=y, notes=np.array([Evil()], dtype=object))
    assert load(tmp_path / "a.npz").input_shape == (4, 4, 1)


def test_options_reach_the_images(tmp_path, rng, y):
    np.savez(tmp_path / "a.npz", x=rng.integers(256, size=(12, 3, 8, 6)), y=y)
    assert load(tmp_path / "a.npz", channels_first=True).input_shape == (8, 6, 3)
    np.savez(tmp_path / "b.npz", x=rng.integers(256, size=(12, 30)), y=y)
    assert load(tmp_path / "b.npz", image_shape=(5, 6)).input_shape == (5, 6, 1)


@pytest.mark.parametrize(
    ("images", "labels"),
    [("images.npy", "labels.npy"), ("faces.npy", "labels.npy"), ("x.npy", "y.npy"), ("X_all.npy", "y_all.npy"),
     ("my_images.npy", "my_labels.npy"), ("x.npy", "labels.npy")],
)  # fmt: skip
def test_a_npy_finds_its_labels(tmp_path, x, y, images, labels):
    np.save(tmp_path / images, x)
    np.save(tmp_path / labels, y)
    data = load(tmp_path / images)
    assert len(data.train) + len(data.test) == 12
    assert data.classes == ("0", "1", "2")


@pytest.mark.parametrize(("image", "label"), [("x", "y"), ("images", "labels"), ("data_images", "data_labels")])
def test_a_npy_finds_what_to_test_on(tmp_path, x, y, image, label):
    for part, where in (("train", slice(9)), ("test", slice(9, None))):
        np.save(tmp_path / f"{image}_{part}.npy", x[where])
        np.save(tmp_path / f"{label}_{part}.npy", y[where])
    data = load(tmp_path / f"{image}_train.npy")
    np.testing.assert_array_equal(data.train.images[..., 0], x[:9])
    np.testing.assert_array_equal(data.test.images[..., 0], x[9:])
    np.testing.assert_array_equal(data.test.labels, y[9:])


@pytest.mark.parametrize("names", [("x", "y"), ("x_test", "y_test")])
def test_what_to_test_on_by_name_in_an_archive(tmp_path, x, y, names):
    np.savez(tmp_path / "a.npz", x_train=x[:9], y_train=y[:9], x_test=x[:3], y_test=y[:3])
    np.savez(tmp_path / "b.npz", **dict(zip(names, (x[9:], y[9:]), strict=True)))
    data = load(tmp_path / "a.npz", test=tmp_path / "b.npz")
    np.testing.assert_array_equal(data.train.images[..., 0], x[:9])
    np.testing.assert_array_equal(data.test.images[..., 0], x[9:])
    np.savez(tmp_path / "c.npz", z=x)
    with pytest.raises(DataError, match=r"c\.npz: expected arrays x_test and y_test or .*, got none"):
        load(tmp_path / "a.npz", test=tmp_path / "c.npz")


def test_what_to_test_on_by_name_beside_its_labels(tmp_path, x, y):
    for folder, where in (("one", slice(9)), ("other", slice(9, None))):
        (tmp_path / folder).mkdir()
        np.save(tmp_path / folder / "images.npy", x[where])
        np.save(tmp_path / folder / "labels.npy", y[where])
    one, other = tmp_path / "one", tmp_path / "other"
    for options in ({}, {"labels": one / "labels.npy"}):
        data = load(one / "images.npy", test=other / "images.npy", **options)
        np.testing.assert_array_equal(data.train.images[..., 0], x[:9])
        np.testing.assert_array_equal(data.test.labels, y[9:])


def test_labels_elsewhere(tmp_path, x, y):
    np.save(tmp_path / "x.npy", x)
    with pytest.raises(
        DataError, match=r"its labels in y.npy or Y.npy or labels.npy, got no such file beside it; pass"
    ):
        load(tmp_path / "x.npy")
    (tmp_path / "other").mkdir()
    np.save(tmp_path / "other" / "z.npy", y)
    assert load(tmp_path / "x.npy", labels=tmp_path / "other" / "z.npy").classes == ("0", "1", "2")
    with pytest.raises(FileError, match="No such file"):
        load(tmp_path / "x.npy", labels=tmp_path / "none.npy")


def test_labels_that_are_named_are_for_those_images_alone(tmp_path, x, y):
    """Beside it there is more, but whose labels would be found by their names."""
    for name, array in (("x_train", x), ("y_train", y), ("x_test", x), ("y_test", y), ("other", y)):
        np.save(tmp_path / f"{name}.npy", array)
    assert len(array_file(tmp_path / "x_train.npy").test) == 12
    assert len(array_file(tmp_path / "x_train.npy", labels=tmp_path / "other.npy").test) == 3
    np.savez(tmp_path / "a.npz", x=x, y=y)
    with pytest.raises(OptionError, match=r"labels for a \.npy file only"):
        array_file(tmp_path / "a.npz", labels=tmp_path / "other.npy")


def test_the_fraction_and_the_seed_are_those_that_are_asked_for(tmp_path, x, y):
    np.savez(tmp_path / "a.npz", x=x, y=y)

    def chosen(**options):
        return array_file(tmp_path / "a.npz", **options).test.images.tolist()

    assert len(chosen(test_fraction=0.5)) == 6
    assert chosen(seed=5) == chosen(seed=5) != chosen(seed=0) == chosen()


def test_endings_in_capitals_and_the_home_folder(tmp_path, x, y, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    np.savez(tmp_path / "a.npz", x=x, y=y)
    (tmp_path / "a.npz").rename(tmp_path / "A.NPZ")
    assert len(array_file("~/A.NPZ").train) == 9


def test_labels_are_not_read_beyond_the_limit(tmp_path, x):
    np.save(tmp_path / "images.npy", x)
    np.save(tmp_path / "labels.npy", np.arange(12) % 3)
    assert len(array_file(tmp_path / "images.npy", most_bytes=x.nbytes).train) == 9
    np.save(tmp_path / "labels.npy", np.arange(25))
    with pytest.raises(FormatError, match=r"labels\.npy: expected at most 192 bytes"):
        array_file(tmp_path / "images.npy", most_bytes=x.nbytes)
