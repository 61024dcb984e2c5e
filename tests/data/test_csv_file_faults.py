"""Tables in which something is amiss: refused in a line, or a warning that says what is taken for what."""

from __future__ import annotations

import io

import numpy as np
import pytest

from xpcnn.data.csv_file import csv_file
from xpcnn.errors import DataError, FileError, FormatError, OptionError, XpcnnWarning

from ..limits import at_most
from .tables import LABELS, PIXELS, check, table


@pytest.fixture
def images(rng):
    return rng.integers(256, size=(20, 9))


GOOD = table([0, 1, 0, 1], np.arange(36).reshape(4, 9))


@pytest.mark.parametrize(
    ("text", "error", "says"),
    [
        ("", FormatError, "rows of a label and numbers"),
        ("\n\n\n", FormatError, "rows of a label and numbers"),
        ("hello\n", FormatError, "rows of a label and numbers, separated by commas, got 'hello"),
        (f"label,{PIXELS}\n", FormatError, "rows of 10 fields, got no rows$"),
        (GOOD + "1,2,3\n", FormatError, "one length, got 3 fields in line 5, not 10; mend"),
        (GOOD + "1" + ",2" * 10 + "\n", FormatError, "got 11 fields in line 5, not 10"),
        (GOOD.replace("20", "x"), FormatError, "got 'x' in line 3"),
        (GOOD.replace(",20,", ",,"), FormatError, "got '' in line 3"),
        (f"\nlabel,{PIXELS}\n\n" + GOOD.replace("20", "x"), FormatError, "got 'x' in line 6"),
        (table(["cat", "dog"], np.ones((2, 9))) + "cow,1\n", FormatError, "got 2 fields in line 3, not 10"),
        (GOOD.replace("20", "nan"), DataError, "finite pixels, got NaN or infinity in image 3; leave it out"),
        (GOOD.replace("20", "1e999"), DataError, "NaN or infinity in image 3"),
        (GOOD.replace("20", "300"), DataError, "whole numbers 0 … 255, got numbers from|got whole numbers from"),
        (GOOD.replace("20", "-3"), DataError, "from -3"),
        (table([0, 1], np.zeros((2, 10), int)), DataError, "10 numbers a row; pass image_shape"),
        (GOOD.replace("20", '"20'), FormatError, "."),
    ],
    ids=range(16),
)
def test_refuses_broken_tables(write_text, text, error, says):
    with pytest.raises(error, match=says):
        csv_file(write_text(text))


def test_refuses_columns_that_are_not_there(write_text, images):
    path = write_text(table(LABELS, images, header=f"kind,{PIXELS}"))
    with pytest.raises(OptionError, match=r"label: a column among kind, pixel0, .* …, got 'sort'"):
        csv_file(path, label="sort")
    for label in (10, -11, True, 1.5):
        with pytest.raises(OptionError, match="label: a column from 0 to 9, or −1"):
            csv_file(path, label=label)


def test_refuses_what_is_no_text_and_what_is_too_much(write_text, tmp_path, images):
    (tmp_path / "a.csv").write_bytes(b"0,1\n\xff\xfe,3\n")
    with pytest.raises(FormatError, match="text in UTF-8, got byte 4"):
        csv_file(tmp_path / "a.csv")
    path = write_text(table(LABELS, images))
    with pytest.raises(FormatError, match="at most 100 bytes, got a larger file"):
        csv_file(path, most_bytes=100)
    with pytest.raises(FileError, match="No such file"):
        csv_file(tmp_path / "none.csv")
    with pytest.raises(FileError, match="No such file"):
        csv_file(path, test=tmp_path / "none.csv")


def test_memory_is_in_proportion_to_the_file(write_text):
    line = "1" + ",7" * 784 + "\n"
    path = write_text(line * 1000 + "2" + ",7" * 784 + "\n")  # 1.6 MB
    with at_most(2**23):
        csv_file(path, scale=255)
    with at_most(2**25), pytest.raises(FormatError):
        csv_file(write_text("1" + "," * 10**6))
    assert io.StringIO(line).readline() == line


@pytest.mark.parametrize("missing", ["", " ", "NA", "n/a", "nan", "NaN", "null", "None", "?", '""'])
@pytest.mark.parametrize("header", [f"label,{PIXELS}", ""])
def test_a_label_that_is_missing_is_named_with_its_row(write_text, images, missing, header):
    """It would be a class, and put 10 before 9."""
    labels = [10, 9, missing, *[9, 10] * 8, 9]
    row = 4 if header else 3
    with pytest.raises(DataError, match=rf"a label in each row, got '.*' of image 3, row {row}; leave such rows out"):
        csv_file(write_text(table(labels, images, header=header)))


def test_a_class_that_is_called_none_is_named(write_text, images):
    data = csv_file(write_text(table(["cat", "none"] * 10, images)), classes=["cat", "none"])
    check(data, images, ["cat", "none"] * 10, ("cat", "none"))


def test_numbers_and_texts_together_are_said(write_text, images):
    labels = ["10", "9", "x", *["9", "10"] * 8, "x"]
    with pytest.warns(XpcnnWarning, match="are numbers and texts, such as '10' and 'x', and are ordered as texts"):
        data = csv_file(write_text(table(labels, images)))
    assert data.classes == ("10", "9", "x")
    assert csv_file(write_text(table(labels, images)), classes=["10", "9", "x"]).classes == ("10", "9", "x")


def test_numbers_that_are_not_whole_are_no_classes(write_text, images):
    with pytest.raises(DataError, match=r"whole numbers or texts, got 0.5 of image 1; regression=True"):
        csv_file(write_text(table([0.5, 1.5] * 10, images)))


@pytest.mark.parametrize("name", ["pixel{}", "0x{}", "px {}", "p_{}", "x{}"])
@pytest.mark.parametrize("last", [False, True])
def test_the_one_column_that_is_not_called_as_pixels_are(write_text, images, name, last):
    names = ",".join(name.format(i) for i in range(9))
    header = f"{names},digit" if last else f"digit,{names}"
    check(csv_file(write_text(table(LABELS, images, header=header, last=last))), images)


def test_a_column_of_labels_that_cannot_be_seen_is_asked_for(write_text, images):
    for header in (",".join("abcdefghij"), ",".join(f"pixel{i}" for i in range(10))):
        path = write_text(table(LABELS, images, header=header, last=True))
        with pytest.raises(
            OptionError, match=r"a column called label(, \w+){4}, or .* …; pass label=, its name or its number"
        ):
            csv_file(path)
        check(csv_file(path, label=-1), images)


@pytest.mark.parametrize("first", [0, 1])
def test_a_header_of_numbers_is_no_image(write_text, images, first):
    header = "kind," + ",".join(str(i + first) for i in range(9))
    check(csv_file(write_text(table(LABELS, images, header=header))), images)


def test_a_first_row_that_is_broken_is_no_header(write_text, images):
    rows = table(LABELS, images).splitlines()
    fields = rows[0].split(",")
    rows[0] = ",".join([*fields[:4], "x", *fields[5:]])
    with pytest.raises(FormatError, match="got 'x' in line 1"):
        csv_file(write_text("\n".join(rows)))


def test_a_column_that_is_neither_is_named(write_text, images):
    header = f"id,label,{PIXELS}"
    rows = table(LABELS, images, header="").splitlines()
    text = "\n".join([header, *(f"{i},{row}" for i, row in enumerate(rows))])
    with pytest.raises(FormatError, match=r"columns of pixels beside 'label', got also 'id'; take such columns out"):
        csv_file(write_text(text))


@pytest.mark.parametrize("header", [True, False])
def test_a_file_without_labels_is_not_to_test_on(write_text, images, header):
    """As in a competition: train.csv has labels, test.csv is what is to be predicted."""
    train = write_text(table(LABELS, images, header=f"label,{PIXELS}" if header else ""), name="train.csv")
    rows = [",".join(map(str, image)) for image in images]
    test = write_text("\n".join([PIXELS, *rows] if header else rows), name="test.csv")
    with pytest.warns(XpcnnWarning, match=r"test.csv: it has no labels .* a part of train.csv is held out"):
        check(csv_file(train), images)
    with pytest.raises(DataError, match=r"test.csv: expected a column of labels, .*; without test="):
        csv_file(train, test=test)


def test_what_is_wrong_with_the_file_to_test_on_names_it(write_text, images):
    train = write_text(table(LABELS, images), name="train.csv")
    write_text(table(LABELS, images[:, :4]), name="test.csv")
    with pytest.raises(DataError, match="images of one size"):
        csv_file(train)
    write_text(table(LABELS, images[:, :7]), name="test.csv")
    with pytest.raises(DataError, match=r"test.csv: expected grey or RGB squares"):
        csv_file(train)
