"""Tables of text in the forms that people have them; what is wrong with one is said with its row."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.csv_file import csv_file
from xpcnn.data.registry import load
from xpcnn.errors import DataError, FormatError

from .tables import LABELS, PIXELS, check, table


@pytest.fixture
def images(rng):
    return rng.integers(256, size=(20, 9))


@pytest.mark.parametrize("separator", [",", ";", "\t"])
@pytest.mark.parametrize("header", [f"label,{PIXELS}", "", "label," + ",".join(map(str, range(9)))])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_header_separator_and_line_ends(write_text, images, separator, header, end):
    text = table(LABELS, images, separator=separator, header=header.replace(",", separator), end=end)
    data = load(write_text(text))
    assert data.train.images.dtype == np.uint8
    check(data, images)


def test_bom_blank_lines_quotes_and_no_last_newline(write_text, images):
    text = table(LABELS, images, header=f"label,{PIXELS}", number=lambda value: f'"{value}"')
    check(load(write_text("\n\n" + text.replace("\n", "\n\n").strip(), encoding="utf-8-sig")), images)


@pytest.mark.parametrize("label", [None, "kind", 0])
def test_the_first_column_is_the_label_s_unless_another_is_named(write_text, images, label):
    check(load(write_text(table(LABELS, images, header=f"kind,{PIXELS}")), label=label), images)


@pytest.mark.parametrize(("label", "name"), [("kind", "kind"), (9, "kind"), (-1, "kind"), (None, "Class"), (None, "y")])
def test_a_label_in_the_last_column(write_text, images, label, name):
    check(load(write_text(table(LABELS, images, header=f"{PIXELS},{name}", last=True)), label=label), images)


def test_the_last_column_without_a_header(write_text, images):
    check(load(write_text(table(LABELS, images, last=True)), label=-1), images)
    texts = ["dog", "cat"] * 10
    check(load(write_text(table(texts, images, last=True)), label=-1), images, texts, ("cat", "dog"))


@pytest.mark.parametrize("header", ["", f"label,{PIXELS}"])
def test_texts_as_labels(write_text, images, header):
    labels = ["tabby cat", "dog"] * 10
    check(load(write_text(table(labels, images, header=header))), images, labels, ("dog", "tabby cat"))
    quoted = [f'"{label}"' for label in labels]
    check(load(write_text(table(quoted, images, header=header))), images, labels, ("dog", "tabby cat"))


def test_numbers_of_classes_are_in_their_order(write_text, images):
    labels = [10, 9] * 10
    check(load(write_text(table(labels, images))), images, labels, ("9", "10"))
    floats = [f"{label}.0" for label in labels]
    check(load(write_text(table(floats, images))), images, labels, ("9", "10"))


def test_many_values_of_labels_are_not_mixed_up(write_text, rng):
    """More than an int16 counts to."""
    n = 33_000
    images = np.tile(np.arange(0, 240, 60), (n, 1))
    with pytest.raises(DataError, match="two images of a class"):
        load(write_text(table(range(n), images)))
    data = load(write_text(table([i % 16_500 for i in range(n)], images)), test_fraction=0.5)
    assert len(data.classes) == 16_500


def test_a_header_of_numbers_is_known_by_the_name_of_its_labels(write_text, images):
    numbers = ",".join(map(str, range(9)))
    check(csv_file(write_text(table(LABELS, images, header=f"Label,{numbers}"))), images)
    path = write_text(table(LABELS, images, header=f"kind,{numbers}"))
    check(csv_file(path, label="kind"), images)


def test_of_images_of_one_pixel(write_text):
    data = csv_file(write_text("label,grey\n0,1\n1,2\n0,3\n1,4\n"), scale=255)
    assert data.input_shape == (1, 1, 1)
    assert sorted([*data.train.images.ravel(), *data.test.images.ravel()]) == [1, 2, 3, 4]


def test_blanks_around_texts_are_no_part_of_them(write_text, images):
    check(csv_file(write_text(table(["dog ", " cat"] * 10, images))), images, ["dog", "cat"] * 10, ("cat", "dog"))


def test_the_fraction_and_the_seed_are_those_that_are_asked_for(write_text, images):
    path = write_text(table(LABELS, images))

    def chosen(**options):
        return csv_file(path, **options).test.images.tolist()

    assert len(chosen(test_fraction=0.5)) == 10
    assert chosen(seed=5) == chosen(seed=5) != chosen(seed=0) == chosen()


def test_the_labels_to_test_on_are_in_the_column_of_that_name(write_text, images):
    train = write_text(table(LABELS, images, header=f"kind,{PIXELS}"), name="train.csv")
    write_text(table(LABELS, images, header=f"{PIXELS},kind", last=True), name="test.csv")
    data = csv_file(train, label="kind")
    np.testing.assert_array_equal(data.test.images, data.train.images)
    assert data.test.labels.tolist() == data.train.labels.tolist() == [1, 0] * 10


def test_fractions_and_floats(write_text, images):
    data = load(write_text(table(LABELS, images / 255)))
    assert data.train.images.dtype == np.float32
    assert data.train.images.max() <= 1
    check(load(write_text(table(LABELS, images.astype(float)))), images)  # 17.0 is a whole number
    with pytest.raises(DataError, match=r"images in .*, got numbers from .*; pass scale=255"):
        load(write_text(table(LABELS, images + 0.25)))


def test_regression(write_text, images):
    targets = [i / 4 for i in range(20)]
    data = load(write_text(table(targets, images)), regression=True)
    assert (data.classes, data.train.labels.dtype) == ((), np.float32)
    assert sorted([*data.train.labels[:, 0].tolist(), *data.test.labels[:, 0].tolist()]) == targets
    whole = load(write_text(table(range(0, 80_000, 4000), images)), regression=True)
    assert sorted([*whole.train.labels[:, 0].tolist(), *whole.test.labels[:, 0].tolist()]) == [*range(0, 80_000, 4000)]
    with pytest.raises(FormatError, match="got 'cat' in line 1"):
        load(write_text(table(["cat"] * 20, images)), regression=True)


def test_colours_side_by_side(write_text, rng):
    images = rng.integers(256, size=(6, 12))
    data = load(write_text(table([0, 1] * 3, images)))
    assert data.input_shape == (2, 2, 3)
    both = np.concatenate([data.train.images, data.test.images])
    assert {image.tobytes() for image in both} == {image.astype(np.uint8).tobytes() for image in images}
    assert load(write_text(table([0, 1] * 3, images)), image_shape=(3, 4)).input_shape == (3, 4, 1)
    assert load(write_text(table([0, 1] * 3, images)), channels_first=True).input_shape == (2, 2, 3)


def test_the_file_to_test_on(write_text, tmp_path, images):
    write_text(table(LABELS, images), "mnist_train.csv")
    write_text(table(LABELS[:4], images[:4]), "mnist_test.csv")
    for data in (
        load(tmp_path / "mnist_train.csv"),
        load(tmp_path / "mnist_train.csv", test=tmp_path / "mnist_test.csv"),
    ):
        assert (len(data.train), len(data.test)) == (20, 4)
        np.testing.assert_array_equal(data.test.images.reshape(4, 9), images[:4])


def test_a_comma_within_numbers_is_not_taken_for_the_separator(write_text, images):
    rows = [";".join([str(y), *(f"{v},5" for v in image)]) for y, image in zip(LABELS, images, strict=True)]
    with pytest.raises(FormatError, match=r"a decimal point, got '\d+,5'; write 0.5"):
        csv_file(write_text("\n".join(rows)))
