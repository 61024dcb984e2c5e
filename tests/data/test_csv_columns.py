"""The label and each pixel are taken from their own column, whatever its place, in the file to test on as well."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.csv_file import csv_file
from xpcnn.errors import DataError, FormatError, OptionError, XpcnnWarning

PIXELS = [f"pixel{i}" for i in range(16)]
COLOURS = [f"{channel}{i}" for i in range(4) for channel in "rgba"]
LABELS = [7, 5] * 10


@pytest.fixture
def images(rng):
    return rng.integers(256, size=(20, 16))


def write(path, columns: dict, *, header: bool = True):
    """A table of the columns, by their names."""
    rows = [list(columns)] * header + [list(map(str, row)) for row in zip(*columns.values(), strict=True)]
    path.write_text("\n".join(map(",".join, rows)) + "\n")
    return path


def table(images, label="label", labels=LABELS, *, last=False, names=PIXELS) -> dict:
    pixels = dict(zip(names, images.T, strict=True))
    return {**pixels, label: labels} if last else {label: labels, **pixels}


def check_test(data, images):
    np.testing.assert_array_equal(data.test.images.reshape(-1, 16), images)
    assert [data.classes[label] for label in data.test.labels] == list(map(str, LABELS))


def in_order_of_texts(columns: dict) -> dict:
    return {name: columns[name] for name in sorted(columns)}


def turned(columns: dict) -> dict:
    return dict(reversed(columns.items()))


@pytest.mark.parametrize("name", ["id", "ImageId", "", "Unnamed: 0", "kind"])
def test_a_column_that_training_lacks_has_no_labels(tmp_path, images, name):
    """As in a competition: it would be 41 classes."""
    train = write(tmp_path / "train.csv", table(images))
    test = write(tmp_path / "test.csv", table(images, name, range(20)))
    with pytest.warns(XpcnnWarning, match=r"test.csv: it has no labels and is not read; a part of train.csv is held"):
        data = csv_file(train)
    assert (data.classes, len(data.train) + len(data.test)) == (("5", "7"), 20)
    with pytest.raises(DataError, match=r"test.csv: expected a column of labels, got none, as train.csv has one"):
        csv_file(train, test=test)


@pytest.mark.parametrize("name", ["id", "ImageId", "", "file_name"])
def test_a_column_that_counts_rows_has_no_labels(tmp_path, images, name):
    with pytest.raises(OptionError, match=r"a column called label, .*; pass label=, its name or its number"):
        csv_file(write(tmp_path / "a.csv", table(images, name, range(20))))


@pytest.mark.parametrize(
    ("names", "change"), [(PIXELS, in_order_of_texts), (COLOURS, in_order_of_texts), (COLOURS, turned)]
)
@pytest.mark.parametrize("name", ["label", "Class", "digit"])
def test_columns_to_test_on_are_known_by_their_names(tmp_path, images, change, name, names):
    train = write(tmp_path / "train.csv", table(images, name, names=names))
    write(tmp_path / "test.csv", change(table(images, name, names=names)))
    check_test(csv_file(train), images)


@pytest.mark.parametrize("names", [PIXELS, [f"{i}x{j}" for i in range(8, 12) for j in range(9, 13)]])
def test_columns_in_the_order_of_texts_are_an_image_by_their_numbers(tmp_path, images, names):
    columns = in_order_of_texts(table(images, names=names))
    data = csv_file(write(tmp_path / "train.csv", columns), test=write(tmp_path / "other.csv", columns))
    check_test(data, images)
    np.testing.assert_array_equal(data.train.images, data.test.images)


def test_columns_whose_numbers_are_in_no_order_are_refused(tmp_path, images):
    with pytest.raises(FormatError, match="in the order of their numbers, got 'pixel15' before 'pixel0'; sort the"):
        csv_file(write(tmp_path / "a.csv", turned(table(images))))


def test_pixels_of_other_names_are_refused(tmp_path, images):
    train = write(tmp_path / "train.csv", table(images))
    write(tmp_path / "test.csv", table(images, names=[f"px{i}" for i in range(16)]))
    with pytest.raises(FormatError, match=r"a column of pixels 'pixel0', as train.csv has, got 'px0'; rename"):
        csv_file(train)


@pytest.mark.parametrize("options", [{}, {"label": "digit"}, {"label": -1}])
def test_a_file_to_test_on_without_a_header_has_the_columns_of_the_other(tmp_path, images, options):
    train = write(tmp_path / "train.csv", table(images, "digit", last=True))
    write(tmp_path / "test.csv", table(images, "digit", last=True), header=False)
    check_test(csv_file(train, **options), images)


def test_a_header_to_test_on_alone(tmp_path, images):
    train = write(tmp_path / "train.csv", table(images), header=False)
    write(tmp_path / "test.csv", table(images, last=True))
    check_test(csv_file(train), images)


@pytest.mark.parametrize("first", [0, 1])
@pytest.mark.parametrize("label", [None, 0])
def test_a_header_of_numbers_alone_is_no_image(tmp_path, images, first, label):
    """As pandas counts columns that have no names."""
    names = [str(i + first) for i in range(17)]
    train = write(tmp_path / "train.csv", table(images, names[0], names=names[1:]))
    write(tmp_path / "test.csv", table(images, names[0], names=names[1:]))
    data = csv_file(train, label=label)
    check_test(data, images)
    assert len(data.train) == 20


@pytest.mark.parametrize("header", [True, False])
def test_labels_in_the_last_column_are_suspected(tmp_path, images, header):
    """Without a name the first column is that of the labels; here it is a pixel."""
    labels = [0, 1] * 10
    images[:, 0] = np.arange(20) // 2 * 20
    path = write(tmp_path / "a.csv", table(images, "16", labels, names=map(str, range(16)), last=True), header=header)
    with pytest.warns(XpcnnWarning, match="from the first column, but those of the last are 0 … 1; pass label=-1"):
        csv_file(path)
    assert csv_file(path, label=-1).classes == ("0", "1")
    assert len(csv_file(path, label=0).classes) == 10


def test_labels_that_training_lacks_are_said(tmp_path, images):
    train = write(tmp_path / "train.csv", table(images), header=False)
    write(tmp_path / "test.csv", table(images, labels=range(20)), header=False)
    with pytest.warns(XpcnnWarning, match=r"it has labels that train.csv lacks: 0, 1, 2, 3, 4, 6 …; see that"):
        csv_file(train)


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (["1_0", "10"], "labels are numbers and texts, such as '10' and '1_0'"),
        (["01", "1"], "the labels '01' and '1' are taken as one class"),
        (["1e3", "1000", "7", "7"], "the labels '1e3' and '1000' are taken as one class"),
    ],
)
def test_labels_of_two_spellings_are_two_classes_or_said_to_be_one(tmp_path, images, labels, text):
    labels = [*labels, *["7", "8"] * 9, "8", "9"][:20]
    path = write(tmp_path / "a.csv", table(images, labels=labels))
    with pytest.warns(XpcnnWarning, match=text):
        csv_file(path)
    names = sorted(set(labels))
    assert csv_file(path, classes=names).classes == tuple(names)


@pytest.mark.parametrize("labels", [["1", "1.0", "+1", "2"], ["01", "02", "10", "11"], ["1.", "2.00", "3", "3"]])
def test_one_spelling_of_numbers_is_no_matter(tmp_path, images, labels):
    classes = csv_file(write(tmp_path / "a.csv", table(images, labels=labels * 5))).classes
    assert classes == tuple(map(str, sorted({int(float(label)) for label in labels})))
