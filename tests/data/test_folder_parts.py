"""Folders of parts are never taken for classes: what is clearly a part is one, and what may be one is refused."""

from __future__ import annotations

import pytest

from xpcnn.data import load, load_parts
from xpcnn.data.image_folder import image_folder
from xpcnn.data.part_names import part_name
from xpcnn.errors import DataError

image = pytest.importorskip("PIL.Image")


@pytest.fixture
def put(tmp_path):
    """Put a picture of a level of its own at each path: "train/cat" is a folder of two pictures."""
    levels = iter(range(100, 256))

    def make(*folders: str):
        for folder in folders:
            (tmp_path / "data" / folder).mkdir(parents=True, exist_ok=True)
            for name in ("a", "b"):
                image.new("L", (3, 2), next(levels)).save(tmp_path / "data" / folder / f"{name}.png")
        return tmp_path / "data"

    return make


def levels(split) -> list[int]:
    return sorted(level - 100 for level in split.images[:, 0, 0, 0].tolist())


@pytest.mark.parametrize(
    ("train", "test"),
    [
        ("train", "test"), ("Training", "Testing"), ("TRAIN", "TEST"), ("seg_train", "seg_test"),
        ("train_set", "test_set"), ("training_set", "test_set"), ("train_images", "test_images"), ("trn", "tst"),
        ("train2017", "val2017"), ("train", "dev"), ("trainset", "testset"), ("Train_Data", "Validation Data"),
        ("TrainImages", "TestImages"), ("images-train", "images-eval"), ("asl_alphabet_train", "asl_alphabet_test"),
    ],
)  # fmt: skip
def test_parts_under_their_common_names(put, train, test):
    root = put(f"{train}/cat", f"{train}/dog", f"{test}/cat", f"{test}/dog")
    data = image_folder(root)
    assert data.classes == ("cat", "dog")
    assert (levels(data.train), levels(data.test)) == ([0, 1, 2, 3], [4, 5, 6, 7])
    assert data.parts == f"{train}/ and {test}/"


def test_parts_once_more_in_a_folder_of_their_name(put):
    data = image_folder(put("seg_train/seg_train/a", "seg_train/seg_train/b", "seg_test/seg_test/a", "seg_pred/c"))
    assert (data.classes, len(data.train), len(data.test)) == (("a", "b"), 4, 2)
    assert data.parts == "seg_train/seg_train/ and seg_test/seg_test/ (left alone: seg_pred/)"


def test_of_test_and_val_it_is_said_which_is_left_alone(put):
    data = image_folder(put("train/cat", "train/dog", "test/cat", "val/cat"))
    assert data.parts == "train/ and test/ (left alone: val/)"
    assert levels(data.test) == [4, 5]


def test_what_sounds_like_half_a_pair_is_left_alone_beside_a_pair(put):
    data = image_folder(put("my_test/cat", "test/cat", "train/cat", "train/dog"))
    assert data.parts == "train/ and test/ (left alone: my_test/)"
    assert (levels(data.train), levels(data.test)) == ([4, 5, 6, 7], [2, 3])


@pytest.mark.parametrize(
    ("folders", "got"),
    [
        (("cat", "dog", "test"), "test/"),
        (("cat", "dog", "Testing"), "Testing/"),
        (("cat", "dog", "val"), "val/"),
        (("cat", "dog", "dev"), "dev/"),
        (("cat", "dog", "test/cat", "test/dog"), "test/"),
        (("cat", "dog", "train/cat", "train/dog"), "train/"),
        (("extra", "train/cat", "train/dog"), "train/"),
        (("cat", "dog", "my_test/cat"), "my_test/"),
        (("seg_train/cat", "seg_train/dog", "test/cat", "test/dog"), "test/"),
        (("train/cat", "train/dog", "test/cat", "testing/cat"), "test/, testing/"),
        (("train/cat", "train/dog", "training/cat", "test/cat"), "train/, training/"),
        (("fold1/cat", "fold1/dog", "fold2/cat", "fold2/dog"), "fold1/, fold2/"),
        (tuple(f"fold{i}/{kind}" for i in range(1, 6) for kind in ("cat", "dog")), "fold1/, fold2/, fold3/, fold4/"),
    ],
)
def test_what_may_be_a_part_or_a_class_is_refused_with_the_remedy(put, folders, got):
    with pytest.raises(DataError, match="clearly parts or clearly classes") as raised:
        image_folder(put(*folders))
    assert raised.value.got == got
    assert "--option parts=False" in raised.value.remedy
    assert "train/ and test/" in raised.value.remedy


@pytest.mark.parametrize(
    "names",
    [
        ("xtrain", "xtest"), ("traindir", "testdir"), ("trains", "tests"), ("mytrainset", "mytestset"),
        ("trainning", "testting"), ("ｔｒａｉｎ", "ｔｅｓｔ"), ("learn", "quiz"), ("set1", "set2"), ("cv0", "cv1"),
        ("fold-a", "fold-b"), ("batch_1", "batch_2", "batch_3"), ("gallery", "query"), ("labeled", "unlabeled"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("classes", [("cat", "dog"), ("0", "1", "2")])
def test_folders_that_all_hold_the_same_ones_are_refused(put, names, classes):
    root = put(*(f"{name}/{each}" for name in names for each in classes))
    with pytest.raises(DataError, match=r"clearly parts or clearly classes, got .*--option parts=False"):
        image_folder(root)
    assert image_folder(root, parts=False).classes == tuple(sorted(names))


@pytest.mark.parametrize("folders", [("train", "test"), ("train/cat", "train/dog", "test"), ("Training", "Testing")])
def test_parts_whose_pictures_are_not_sorted(put, folders):
    with pytest.raises(DataError, match=r"folders of classes in each part, got none in .*parts=False"):
        image_folder(put(*folders))


def test_classes_that_hold_parts(put):
    with pytest.raises(DataError, match=r"parts that hold the classes, such as train/cat.*got cat/test, cat/train"):
        image_folder(put("cat/train", "cat/test", "dog/train", "dog/test"))


@pytest.mark.parametrize(
    "folders",
    [
        ("bus", "train"), ("valid", "invalid"), ("train_station", "airport"), ("crash_test", "stress_test"),
        ("bus", "train/steam"), ("cat/2020", "cat/2021", "dog/2020", "dog/2021"), ("latest", "contest"),
        ("fold", "crease"), ("trainer", "tester"), ("cat/2020-01", "cat/2020-02", "dog/2020-01", "dog/2020-02"),
        ("cat/front", "cat/side", "dog/front"), ("cat/more", "dog/more"), ("cat", "cat/a", "cat/b", "dog/a", "dog/b"),
    ],
)  # fmt: skip
def test_classes_that_only_sound_so(put, folders):
    data = image_folder(put(*folders))
    assert data.classes == tuple(sorted({folder.partition("/")[0] for folder in folders}))


@pytest.mark.parametrize("folders", [("cat", "dog", "test"), ("train/cat", "train/dog", "test/cat"), ("train", "test")])
def test_parts_are_classes_where_that_is_said(put, folders):
    data = load(put(*folders), parts=False, test_fraction=0.5)
    assert data.classes == tuple(sorted({folder.partition("/")[0] for folder in folders}))
    assert len(data.train) + len(data.test) == 2 * len(folders)


@pytest.mark.parametrize("test", ["test", "Testing", "val", "dev"])
def test_a_part_to_test_on_alone_is_for_judging_only(put, test):
    root = put(f"{test}/cat", f"{test}/dog")
    parts = load_parts(root)
    assert (parts.train, parts.classes, levels(parts.test)) == (None, ("cat", "dog"), [0, 1, 2, 3])
    assert parts.everything is parts.test
    with pytest.raises(DataError, match=rf"images to train on, got {test}/ to test on alone; .*load_parts"):
        load(root)


def test_one_class_is_for_judging_only(put):
    root = put("cat")
    parts = load_parts(root)
    assert (parts.classes, len(parts.everything), parts.input_shape) == (("cat",), 2, (2, 3, 1))
    with pytest.raises(DataError, match="two folders of pictures at least, one a class, got cat alone"):
        load(root)


def test_held_out_is_said_to_be(put):
    assert load(put("cat", "dog")).parts == "0.2 of each class held out to test on, by content (seed 0)"
    root = put("more/train/cat", "more/train/dog") / "more"
    data = load(root, test_fraction=0.5, seed=3)
    assert data.parts == "0.5 of each class in train/ held out to test on, by content (seed 3)"
    assert data.classes == ("cat", "dog")


def test_names_that_are_no_parts():
    assert [part_name(name) for name in ("cat", "trainee", "latest", "value", "devil", "train-test", "")] == [None] * 7
