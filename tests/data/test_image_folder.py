"""A folder for each class: every picture with its class, the same parts for everybody, one line for what is amiss."""

from __future__ import annotations

import os
import shutil

import numpy as np
import pytest

from xpcnn.data.image_folder import image_folder
from xpcnn.data.registry import load
from xpcnn.errors import DataError, XpcnnWarning

from .pictures import check, put

image = pytest.importorskip("PIL.Image")


def test_classes_and_pictures(pets):
    data = image_folder(pets)
    assert (data.name, data.classes, data.input_shape) == ("pets", ("cat", "dog"), (4, 6, 1))
    assert data.train.images.dtype == np.uint8
    levels = check(data.train) + check(data.test)
    assert sorted(levels) == [*range(100, 110), *range(200, 205)]
    assert np.bincount(data.train.labels).tolist() == [4, 8]  # a fifth of each class is to test on
    assert np.bincount(data.test.labels).tolist() == [1, 2]


def test_the_parts_depend_on_contents_and_seed_alone(pets):
    first, again, other = (image_folder(pets, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.test.images, again.test.images)
    assert not np.array_equal(first.test.images, other.test.images)
    assert np.bincount(image_folder(pets, test_fraction=0.5).test.labels).tolist() == [2, 5]


def test_pictures_keep_their_part_when_files_are_renamed_moved_or_added(pets, tmp_path):
    """No training image becomes a test image."""
    before = image_folder(pets)
    for number, path in enumerate(sorted((pets / "dog").iterdir(), reverse=True)):
        path.rename(pets / "dog" / f"renamed-{number}.png")
    (pets / "cat" / "more").mkdir()
    (pets / "cat" / "0.png").rename(pets / "cat" / "more" / "z.png")
    pets.rename(tmp_path / "moved")
    after = image_folder(tmp_path / "moved")
    assert check(after.train) == check(before.train)
    assert check(after.test) == check(before.test)
    put(tmp_path / "moved", "dog/new", 150)  # eleven: as many as before are to test on
    put(tmp_path / "moved", "ant/0", 90)
    put(tmp_path / "moved", "ant/1", 91)
    grown = image_folder(tmp_path / "moved")
    assert len(set(grown.test.images[:, 0, 0, 0]) & set(before.train.images[:, 0, 0, 0])) <= 1


def test_copies_of_a_picture_are_in_one_part(pets):
    for name in ("dog/3", "dog/4", "dog/5", "cat/1"):
        for i in range(2):
            shutil.copy(pets / f"{name}.png", pets / f"{name}-copy{i}.png")
    for seed in range(20):
        data = image_folder(pets, seed=seed)
        train, test = (set(split.images[:, 0, 0, 0].tolist()) for split in (data.train, data.test))
        assert not train & test
        assert train | test == {*range(100, 110), *range(200, 205)}


@pytest.mark.parametrize("test", ["test", "val", "valid", "validation", "Test"])
@pytest.mark.parametrize("train", ["train", "Train"])
def test_parts_in_folders(tmp_path, train, test):
    for i in range(3):
        put(tmp_path / train, f"dog/{i}", 100 + i)
        put(tmp_path / train, f"cat/{i}", 200 + i)
    put(tmp_path / test, "dog/9", 109)
    data = image_folder(tmp_path)
    assert data.classes == ("cat", "dog")
    assert check(data.train) == [100, 101, 102, 200, 201, 202]
    assert check(data.test) == [109]


def test_of_test_and_val_the_first_is_to_test_on(tmp_path):
    for part, level in (("train", 100), ("val", 101), ("test", 102)):
        put(tmp_path / part, "dog/0", level)
        put(tmp_path / part, "cat/0", level + 100)
    data = image_folder(tmp_path)
    assert (check(data.train), check(data.test)) == ([100, 200], [102, 202])


def test_a_train_folder_alone(pets, tmp_path):
    (tmp_path / "all").mkdir()
    pets.rename(tmp_path / "all" / "train")
    data = image_folder(tmp_path / "all")
    assert (data.name, data.classes, len(data.train), len(data.test)) == ("all", ("cat", "dog"), 12, 3)


def test_one_class_is_none(pets):
    """Such as a folder that is one too far up."""
    with pytest.raises(DataError, match="two folders of pictures at least, one a class, got pets alone"):
        image_folder(pets.parent)


def test_a_class_may_be_called_train(tmp_path):
    for name, level in (("train", 100), ("bus", 200)):
        for i in range(2):
            put(tmp_path, f"{name}/{i}", level + i)
    assert image_folder(tmp_path).classes == ("bus", "train")


def test_hidden_files_and_other_kinds_are_passed_over(pets):
    (pets / "cat" / ".DS_Store").write_bytes(b"x")
    (pets / "cat" / "._0.png").write_bytes(b"x")
    (pets / "cat" / "notes.txt").write_text("x")
    (pets / "readme.md").write_text("x")
    (pets / ".git").mkdir()
    (pets / "cat" / ".thumbnails").mkdir()
    (pets / "cat" / ".thumbnails" / "0.png").write_bytes(b"x")
    (pets / "cat" / "Thumbs.db").write_bytes(b"x")
    with pytest.warns(XpcnnWarning, match=r"pets: 1 file is no picture and passed over \(1 of .txt\): notes.txt; turn"):
        data = image_folder(pets)
    assert len(data.train) + len(data.test) == 15


def test_subfolders_and_every_ending(tmp_path):
    for i, ending in enumerate(("png", "jpg", "jpeg", "bmp", "gif", "webp", "tif", "tiff", "PNG", "JPG", "TIF")):
        put(tmp_path, f"dog/{'more/' * (i % 3)}{i}", 100, ending=ending)
    put(tmp_path, "cat/1", 200)
    put(tmp_path, "cat/2", 200)
    data = image_folder(tmp_path)
    assert len(data.train) + len(data.test) == 13


@pytest.mark.skipif(os.name != "posix", reason="links")
def test_links_to_folders_are_not_followed(pets):
    (pets / "cat" / "round").symlink_to(pets)
    with pytest.warns(XpcnnWarning, match=r"1 file is no picture .*: round;"):
        assert len(image_folder(pets).train) == 12


def test_channels_are_those_of_the_pictures(pets):
    assert image_folder(pets, channels=3).input_shape == (4, 6, 3)
    put(pets, "dog/colour", 105, mode="RGB")
    data = image_folder(pets)
    assert data.input_shape == (4, 6, 3)
    grey = data.train.images[(data.train.images != data.train.images[..., :1]).sum(axis=(1, 2, 3)) == 0]
    assert len(grey) + 1 >= len(data.train)
    assert image_folder(pets, channels=1).input_shape == (4, 6, 1)


def test_size(pets):
    assert image_folder(pets, size=8).input_shape == (8, 8, 1)
    assert load(pets, size=(3, 5)).input_shape == (3, 5, 1)
    put(pets, "dog/large", 105, shape=(40, 60))
    assert image_folder(pets, size=8).input_shape == (8, 8, 1)
    with pytest.raises(
        DataError, match=r"pictures of one size, got 4×6 \(.*cat/0.png\) and 40×60 \(.*large.png\); .* --option size=64"
    ):
        image_folder(pets)
