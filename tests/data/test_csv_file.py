"""Tables of text in the forms that people have them; what is wrong with one is said with its row."""

from __future__ import annotations

import io

import numpy as np
import pytest

from xpcnn.data.csv_file import csv_file
from xpcnn.data.registry import load
from xpcnn.errors import DataError, FileError, FormatError, OptionError, XpcnnWarning

from ..limits import at_most


@pytest.fixture
def write(tmp_path):
    def to_file(text: str, name="a.csv", encoding="utf-8"):
        path = tmp_path / name
        path.write_bytes(text.encode(encoding))
        return path

    return to_file


def table(labels, images, *, separator=",", header="", end="\n", last=False, number=str) -> str:
    rows = [header] if header else []
    for label, image in zip(labels, images, strict=True):
        fields = [number(value) for value in image]
        rows.append(separator.join([*fields, str(label)] if last else [str(label), *fields]))
    return end.join(rows) + end


@pytest.fixture
def images(rng):
    return rng.integers(256, size=(20, 9))


LABELS = [7, 5] * 10
PIXELS = ",".join(f"pixel{i}" for i in range(9))


def check(data, images, labels=LABELS, classes=("5", "7")):
    """Every image is there once, with its label, in one part or the other."""
    assert data.classes == classes
    assert data.input_shape == (3, 3, 1)
    both = np.concatenate([data.train.images, data.test.images]).reshape(-1, 9)
    kept = np.concatenate([data.train.labels, data.test.labels])
    assert len(both) == len(images)
    for image, label in zip(both, kept, strict=True):
        (where,) = np.flatnonzero((images == image).all(1))
        assert str(labels[where]) == classes[label]


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [f"label,{PIXELS}", "", "label," + ",".join(map(str, range(9)))])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header_separator_and_line_ends(write, images, separator, header, end):
    text = table(LABELS, images, separator=separator, header=header.replace(",", separator), end=end)
    data = load(write(text))
    assert data.train.images.dtype == np.uint8
    check(data, images)


def test_bom_blank_lines_quotes_and_no_last_newline(write, images):
    text = table(LABELS, images, header=f"label,{PIXELS}", number=lambda value: f'"{value}"')
    check(load(write("\n\n" + text.replace("\n", "\n\n").strip(), encoding="utf-8-sig")), images)


@pytest.mark.parametrize("label", [None, "kind", 0])
def test_the_first_column_is_the_label_s_unless_another_is_named(write, images, label):
    check(load(write(table(LABELS, images, header=f"kind,{PIXELS}")), label=label), images)


@pytest.mark.parametrize(("label", "name"), [("kind", "kind"), (9, "kind"), (-1, "kind"), (None, "Class"), (None, "y")])
def test_a_label_in_the_last_column(write, images, label, name):
    check(load(write(table(LABELS, images, header=f"{PIXELS},{name}", last=True)), label=label), images)


def test_the_last_column_without_a_header(write, images):
    check(load(write(table(LABELS, images, last=True)), label=-1), images)
    texts = ["dog", "cat"] * 10
    check(load(write(table(texts, images, last=True)), label=-1), images, texts, ("cat", "dog"))


@pytest.mark.parametrize("header", ["", f"label,{PIXELS}"])
def test_texts_as_labels(write, images, header):
    labels = ["tabby cat", "dog"] * 10
    check(load(write(table(labels, images, header=header))), images, labels, ("dog", "tabby cat"))
    quoted = [f'"{label}"' for label in labels]
    check(load(write(table(quoted, images, header=header))), images, labels, ("dog", "tabby cat"))


def test_numbers_of_classes_are_in_their_order(write, images):
    labels = [10, 9] * 10
    check(load(write(table(labels, images))), images, labels, ("9", "10"))
    floats = [f"{label}.0" for label in labels]
    check(load(write(table(floats, images))), images, labels, ("9", "10"))


def test_many_values_of_labels_are_not_mixed_up(write, rng):
    """More than an int16 counts to."""
    n = 33_000
    images = np.tile(np.arange(0, 240, 60), (n, 1))
    with pytest.raises(DataError, match="two images of a class"):
        load(write(table(range(n), images)))
    data = load(write(table([i % 16_500 for i in range(n)], images)), test_fraction=0.5)
    assert len(data.classes) == 16_500


def test_a_header_of_numbers_is_known_by_the_name_of_its_labels(write, images):
    numbers = ",".join(map(str, range(9)))
    check(csv_file(write(table(LABELS, images, header=f"Label,{numbers}"))), images)
    path = write(table(LABELS, images, header=f"kind,{numbers}"))
    check(csv_file(path, label="kind"), images)


def test_of_images_of_one_pixel(write):
    data = csv_file(write("label,grey\n0,1\n1,2\n0,3\n1,4\n"), scale=255)
    assert data.input_shape == (1, 1, 1)
    assert sorted([*data.train.images.ravel(), *data.test.images.ravel()]) == [1, 2, 3, 4]


def test_blanks_around_texts_are_no_part_of_them(write, images):
    check(csv_file(write(table(["dog ", " cat"] * 10, images))), images, ["dog", "cat"] * 10, ("cat", "dog"))


def test_the_fraction_and_the_seed_are_those_that_are_asked_for(write, images):
    path = write(table(LABELS, images))

    def chosen(**options):
        return csv_file(path, **options).test.images.tolist()

    assert len(chosen(test_fraction=0.5)) == 10
    assert chosen(seed=5) == chosen(seed=5) != chosen(seed=0) == chosen()


def test_the_labels_to_test_on_are_in_the_column_of_that_name(write, images):
    train = write(table(LABELS, images, header=f"kind,{PIXELS}"), name="train.csv")
    write(table(LABELS, images, header=f"{PIXELS},kind", last=True), name="test.csv")
    data = csv_file(train, label="kind")
    np.testing.assert_array_equal(data.test.images, data.train.images)
    assert data.test.labels.tolist() == data.train.labels.tolist() == [1, 0] * 10


def test_fractions_and_floats(write, images):
    data = load(write(table(LABELS, images / 255)))
    assert data.train.images.dtype == np.float32
    assert data.train.images.max() <= 1
    check(load(write(table(LABELS, images.astype(float)))), images)  # 17.0 is a whole number
    with pytest.raises(DataError, match=r"images in .*, got numbers from .*; pass scale=255"):
        load(write(table(LABELS, images + 0.25)))


def test_regression(write, images):
    targets = [i / 4 for i in range(20)]
    data = load(write(table(targets, images)), regression=True)
    assert (data.classes, data.train.labels.dtype) == ((), np.float32)
    assert sorted([*data.train.labels[:, 0].tolist(), *data.test.labels[:, 0].tolist()]) == targets
    whole = load(write(table(range(0, 80_000, 4000), images)), regression=True)
    assert sorted([*whole.train.labels[:, 0].tolist(), *whole.test.labels[:, 0].tolist()]) == [*range(0, 80_000, 4000)]
    with pytest.raises(FormatError, match="got 'cat' in line 1"):
        load(write(table(["cat"] * 20, images)), regression=True)


def test_colours_side_by_side(write, rng):
    images = rng.integers(256, size=(6, 12))
    data = load(write(table([0, 1] * 3, images)))
    assert data.input_shape == (2, 2, 3)
    both = np.concatenate([data.train.images, data.test.images])
    assert {image.tobytes() for image in both} == {image.astype(np.uint8).tobytes() for image in images}
    assert load(write(table([0, 1] * 3, images)), image_shape=(3, 4)).input_shape == (3, 4, 1)
    assert load(write(table([0, 1] * 3, images)), channels_first=True).input_shape == (2, 2, 3)


def test_the_file_to_test_on(write, tmp_path, images):
    write(table(LABELS, images), "mnist_train.csv")
    write(table(LABELS[:4], images[:4]), "mnist_test.csv")
    for data in (
        load(tmp_path / "mnist_train.csv"),
        load(tmp_path / "mnist_train.csv", test=tmp_path / "mnist_test.csv"),
    ):
        assert (len(data.train), len(data.test)) == (20, 4)
        np.testing.assert_array_equal(data.test.images.reshape(4, 9), images[:4])


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
def test_refuses_broken_tables(write, text, error, says):
    with pytest.raises(error, match=says):
        csv_file(write(text))


def test_refuses_columns_that_are_not_there(write, images):
    path = write(table(LABELS, images, header=f"kind,{PIXELS}"))
    with pytest.raises(OptionError, match=r"label: a column among kind, pixel0, .* …, got 'sort'"):
        csv_file(path, label="sort")
    for label in (10, -11, True, 1.5):
        with pytest.raises(OptionError, match="label: a column from 0 to 9, or −1"):
            csv_file(path, label=label)


def test_refuses_what_is_no_text_and_what_is_too_much(write, tmp_path, images):
    (tmp_path / "a.csv").write_bytes(b"0,1\n\xff\xfe,3\n")
    with pytest.raises(FormatError, match="text in UTF-8, got byte 4"):
        csv_file(tmp_path / "a.csv")
    path = write(table(LABELS, images))
    with pytest.raises(FormatError, match="at most 100 bytes, got a larger file"):
        csv_file(path, most_bytes=100)
    with pytest.raises(FileError, match="No such file"):
        csv_file(tmp_path / "none.csv")
    with pytest.raises(FileError, match="No such file"):
        csv_file(path, test=tmp_path / "none.csv")


def test_memory_is_in_proportion_to_the_file(write):
    line = "1" + ",7" * 784 + "\n"
    path = write(line * 1000 + "2" + ",7" * 784 + "\n")  # 1.6 MB
    with at_most(2**23):
        csv_file(path, scale=255)
    with at_most(2**25), pytest.raises(FormatError):
        csv_file(write("1" + "," * 10**6))
    assert io.StringIO(line).readline() == line


@pytest.mark.parametrize("missing", ["", " ", "NA", "n/a", "nan", "NaN", "null", "None", "?", '""'])
@pytest.mark.parametrize("header", [f"label,{PIXELS}", ""])
def test_a_label_that_is_missing_is_named_with_its_row(write, images, missing, header):
    """It would be a class, and put 10 before 9."""
    labels = [10, 9, missing, *[9, 10] * 8, 9]
    row = 4 if header else 3
    with pytest.raises(DataError, match=rf"a label in each row, got '.*' of image 3, row {row}; leave such rows out"):
        csv_file(write(table(labels, images, header=header)))


def test_a_class_that_is_called_none_is_named(write, images):
    check(csv_file(write(table(["cat", "none"] * 10, images)), classes=["cat", "none"]), images, ["cat", "none"] * 10,
          ("cat", "none"))  # fmt: skip


def test_numbers_and_texts_together_are_said(write, images):
    labels = ["10", "9", "x", *["9", "10"] * 8, "x"]
    with pytest.warns(XpcnnWarning, match="are numbers and texts, such as '10' and 'x', and are ordered as texts"):
        data = csv_file(write(table(labels, images)))
    assert data.classes == ("10", "9", "x")
    assert csv_file(write(table(labels, images)), classes=["10", "9", "x"]).classes == ("10", "9", "x")


def test_numbers_that_are_not_whole_are_no_classes(write, images):
    with pytest.raises(DataError, match=r"whole numbers or texts, got 0.5 of image 1; regression=True"):
        csv_file(write(table([0.5, 1.5] * 10, images)))


@pytest.mark.parametrize("name", ["pixel{}", "0x{}", "px {}", "p_{}", "x{}"])
@pytest.mark.parametrize("last", [False, True])
def test_the_one_column_that_is_not_called_as_pixels_are(write, images, name, last):
    names = ",".join(name.format(i) for i in range(9))
    header = f"{names},digit" if last else f"digit,{names}"
    check(csv_file(write(table(LABELS, images, header=header, last=last))), images)


def test_a_column_of_labels_that_cannot_be_seen_is_asked_for(write, images):
    for header in (",".join("abcdefghij"), ",".join(f"pixel{i}" for i in range(10))):
        path = write(table(LABELS, images, header=header, last=True))
        with pytest.raises(
            OptionError, match=r"a column called label(, \w+){4}, or .* …; pass label=, its name or its number"
        ):
            csv_file(path)
        check(csv_file(path, label=-1), images)


@pytest.mark.parametrize("first", [0, 1])
def test_a_header_of_numbers_is_no_image(write, images, first):
    header = "kind," + ",".join(str(i + first) for i in range(9))
    check(csv_file(write(table(LABELS, images, header=header))), images)


def test_a_first_row_that_is_broken_is_no_header(write, images):
    rows = table(LABELS, images).splitlines()
    fields = rows[0].split(",")
    rows[0] = ",".join([*fields[:4], "x", *fields[5:]])
    with pytest.raises(FormatError, match="got 'x' in line 1"):
        csv_file(write("\n".join(rows)))


def test_a_column_that_is_neither_is_named(write, images):
    header = f"id,label,{PIXELS}"
    rows = table(LABELS, images, header="").splitlines()
    text = "\n".join([header, *(f"{i},{row}" for i, row in enumerate(rows))])
    with pytest.raises(FormatError, match=r"columns of pixels beside 'label', got also 'id'; take such columns out"):
        csv_file(write(text))


@pytest.mark.parametrize("header", [True, False])
def test_a_file_without_labels_is_not_to_test_on(write, images, header):
    """As in a competition: train.csv has labels, test.csv is what is to be predicted."""
    train = write(table(LABELS, images, header=f"label,{PIXELS}" if header else ""), name="train.csv")
    rows = [",".join(map(str, image)) for image in images]
    test = write("\n".join([PIXELS, *rows] if header else rows), name="test.csv")
    with pytest.warns(XpcnnWarning, match=r"test.csv: it has no labels .* a part of train.csv is held out"):
        check(csv_file(train), images)
    with pytest.raises(DataError, match=r"test.csv: expected a column of labels, .*; without test="):
        csv_file(train, test=test)


def test_what_is_wrong_with_the_file_to_test_on_names_it(write, images):
    train = write(table(LABELS, images), name="train.csv")
    write(table(LABELS, images[:, :4]), name="test.csv")
    with pytest.raises(DataError, match="images of one size"):
        csv_file(train)
    write(table(LABELS, images[:, :7]), name="test.csv")
    with pytest.raises(DataError, match=r"test.csv: expected grey or RGB squares"):
        csv_file(train)


def test_a_comma_within_numbers_is_not_taken_for_the_separator(write, images):
    rows = [";".join([str(y), *(f"{v},5" for v in image)]) for y, image in zip(LABELS, images, strict=True)]
    with pytest.raises(FormatError, match=r"a decimal point, got '\d+,5'; write 0.5"):
        csv_file(write("\n".join(rows)))
