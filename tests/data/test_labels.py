"""Labels of every kind become classes from 0 on, with their names, and the same number means the same class."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.data.labels import class_names, to_classes, to_targets
from xpcnn.errors import DataError, OptionError, XpcnnWarning


@pytest.mark.parametrize("dtype", ["uint8", "int8", "int64", "uint64", "float32", "float64"])
def test_whole_numbers_in_their_order(dtype):
    (train, test), names = to_classes("x", [np.array([10, 2, 2, 30], dtype), np.array([30, 2], dtype)])
    assert train.dtype == test.dtype == np.int64
    assert (train.tolist(), test.tolist(), names) == ([1, 0, 0, 2], [2, 0], ("2", "10", "30"))


def test_texts_in_the_order_of_the_alphabet():
    for texts in (np.array(["dog", "cat", "dog"]), np.array([b"dog", b"cat", b"dog"])):
        (labels,), names = to_classes("x", [texts])
        assert (labels.tolist(), names) == ([1, 0, 1], ("cat", "dog"))


def test_truth_values_and_negative_numbers():
    assert to_classes("x", [np.array([True, False])])[1] == ("0", "1")
    (labels,), names = to_classes("x", [np.array([1, -1])])
    assert (labels.tolist(), names) == ([1, 0], ("-1", "1"))


def test_a_value_that_one_part_lacks_keeps_its_class():
    (train, test), names = to_classes("x", [np.array([7, 9]), np.array([8])])
    assert (train.tolist(), test.tolist(), names) == ([0, 2], [1], ("7", "8", "9"))


def test_given_names():
    (labels,), names = to_classes("x", [np.array([0, 2])], ["a", "b", "c"])
    assert (labels.tolist(), names) == ([0, 2], ("a", "b", "c"))  # 1 is a class without images
    (labels,), names = to_classes("x", [np.array([3, 5])], ["a", "b"])
    assert (labels.tolist(), names) == ([0, 1], ("a", "b"))
    (labels,), names = to_classes("x", [np.array([-1, 1])], ["a", "b"])
    assert (labels.tolist(), names) == ([0, 1], ("a", "b"))
    with pytest.raises(DataError, match="x: expected 2 names, one a class, got 3; the labels are 3, 5"):
        to_classes("x", [np.array([3, 5])], ["a", "b", "c"])


@pytest.mark.parametrize(
    ("labels", "names", "expected"),
    [
        (["dog", "cat"], ["dog", "cat"], [0, 1]),
        (["cat"], ["dog", "cat", "bird"], [1]),
        (["3", "01"], ["01", "3"], [1, 0]),
        ([5, 3], ["5", "3"], [0, 1]),
        ([3], ["5", "3"], [1]),
        ([1, 0], ["0", "1", "2"], [1, 0]),
        (["e\u0301", "\xe9"], ["a", "\xe9"], [1, 1]),
    ],
)
def test_a_label_that_is_a_name_is_of_that_class(labels, names, expected):
    (numbers,), kept = to_classes("x", [np.array(labels)], names)
    assert (numbers.tolist(), kept) == (expected, tuple(names))


@pytest.mark.parametrize(
    ("labels", "names", "text"),
    [
        (["a", "b"], ["cat", "dog"], "labels that are among the names of classes, got a, b, not cat, dog; give the"),
        (["cat", "cow"], ["cat", "dog"], "got cow, not cat, dog"),
        ([1, 2, 3], ["bg", "one", "two"], "or their places from 0 on, got 1, 2, 3, .*; number the classes from 0 to 2"),
        ([-1, 0, 1], ["bad", "none", "good"], "or their places from 0 on, got -1, 0, 1"),
        ([1, 2], ["1", "2", "3"], "either names of classes or their places, got 1, 2, and the names 1, 2, 3; leave"),
    ],
)
def test_labels_that_may_be_two_classes_are_refused(labels, names, text):
    """The class would depend on which labels a file happens to have."""
    with pytest.raises(DataError, match=text):
        to_classes("x", [np.array(labels)], names)


@pytest.mark.parametrize("names", [["a", "a"], ["\xe9", "e\u0301"], ["a", "a "], "ab"])
def test_names_that_read_alike_or_are_one_text_are_no_names(names):
    with pytest.raises(OptionError, match="x: expected classes: names"):
        to_classes("x", [np.array([0, 1])], names)
    if not isinstance(names, str):
        with pytest.raises(DataError, match=r"x: expected names that differ, got '.*' twice"):
            class_names("x", np.array(names))


def test_texts_that_look_the_same_are_one_class():
    (labels,), names = to_classes("x", [np.array(["\xe9", "e\u0301", "e"])])
    assert (labels.tolist(), names) == ([1, 1, 0], ("e", "\xe9"))


@pytest.mark.parametrize("labels", [[-1, *range(10)], [-999, 0, 1], [-1, 0], [3, -9]])
def test_a_number_that_may_say_that_there_is_no_label_is_said(labels):
    with pytest.warns(XpcnnWarning, match=f"the label {min(labels)} is taken as a class, beside .*; if it says that"):
        to_classes("x", [np.array(labels)])
    names = [str(label) for label in sorted(labels)]
    assert to_classes("x", [np.array(labels)], names)[1] == tuple(names)


@pytest.mark.parametrize("labels", [[-1, 1], [-1, 0, 1], [-2, -1, 0, 1, 2]])
def test_signs_are_classes(labels):
    assert len(to_classes("x", [np.array(labels)])[1]) == len(labels)


@pytest.mark.parametrize("shape", [(4, 1), (1, 4)])
def test_a_row_or_a_column(shape):
    (train, test), _ = to_classes("x", [np.array([1, 0, 0, 1]).reshape(shape), np.array([1, 2])])
    assert (train.tolist(), test.tolist()) == ([1, 0, 0, 1], [1, 2])


@pytest.mark.parametrize(
    ("labels", "text"),
    [
        (np.eye(3), r"labels \(N,\), got \(3, 3\); labels.argmax\(1\) if they are one-hot"),
        (np.array([0.5, 1]), "whole numbers or texts, got 0.5 of image 1; regression=True"),
        (np.array([np.nan, 1]), "whole numbers or texts, got nan"),
        (np.array([np.inf, 1]), "whole numbers or texts, got inf"),
        (np.array([1j, 1]), "whole numbers or texts, got complex128"),
        (np.array(["2020-01-01"], "datetime64[D]"), "whole numbers or texts, got datetime64"),
        (np.array(3), r"labels \(N,\), got \(\)"),
    ],
)
def test_refuses_what_is_no_class(labels, text):
    with pytest.raises(DataError, match=text):
        to_classes("x", [labels])


def test_numbers_beyond_int64_are_refused():
    with pytest.raises(DataError, match="x: expected labels below 2⁶³, got 9223372036854775808"):
        to_classes("x", [np.array([0, 2**63], np.uint64)])


def test_one_class_is_nothing_to_tell_apart():
    for names in ((), ("cat",)):
        with pytest.raises(DataError, match=r"at least two classes, got (0|cat); name the classes"):
            to_classes("x", [np.zeros(3, np.int64)], names)
    assert to_classes("x", [np.zeros(3, np.int64)], ("cat", "dog"))[1] == ("cat", "dog")


def test_targets():
    for labels in (np.array([1, 2], np.uint8), np.array([1.0, 2.0])):
        targets = to_targets("x", labels)
        assert targets.dtype == np.float32
        assert targets.tolist() == [[1], [2]]  # as a network gives them
    targets = to_targets("x", np.array([[1.5], [2.5]]))
    assert (targets.dtype, targets.tolist()) == (np.float32, [[1.5], [2.5]])
    assert to_targets("x", np.ones((3, 2))).shape == (3, 2)
    with pytest.raises(DataError, match="numbers as targets of a regression, got <U1"):
        to_targets("x", np.array(["a"]))
    for bad in (np.nan, -np.inf, 1e300):
        with pytest.raises(DataError, match="finite targets"):
            to_targets("x", np.array([1, bad]))


@pytest.mark.parametrize(
    ("array", "names"),
    [
        (np.array(["cat", "Küche"]), ["cat", "Küche"]),
        (np.array([b"cat", "Küche".encode(), b"\xff"]), ["cat", "Küche", "\ufffd"]),
        (np.array([3, 5], np.uint8), ["3", "5"]),
    ],
)
def test_names_of_classes_as_files_have_them(array, names):
    assert class_names("x", array) == names


@pytest.mark.parametrize("array", [np.zeros(2), np.array(["cat"])[None], np.array("cat"), np.array([True, False])])
def test_refuses_what_are_no_names_of_classes(array):
    with pytest.raises(DataError, match=r"x: expected texts or whole numbers \(K,\), got "):
        class_names("x", array)


@pytest.mark.parametrize("missing", ["", " ", "NA", "n/a", "N/A", "nan", "NaN", "null", "NULL", "None", "?", "<NA>",
                                     "NaT", "\\N", "#VALUE!", "#REF!", "--", "N.A.", "1.#QNAN"])  # fmt: skip
def test_what_is_missing_is_no_class(missing):
    with pytest.raises(DataError, match=r"a label of each image, got '.*' of image 3; leave such rows out, or name"):
        to_classes("x", [np.array(["cat", "dog", missing])])
    (labels,), names = to_classes("x", [np.array(["cat", "none"])], ["cat", "none"])
    assert (labels.tolist(), names) == ([0, 1], ("cat", "none"))


def test_a_number_that_is_missing_is_named():
    with pytest.raises(DataError, match="got nan of image 2; leave out the images that have no label"):
        to_classes("x", [np.array([1, np.nan, 0])])


def test_blanks_around_texts_make_no_class_of_their_own():
    (labels,), names = to_classes("x", [np.array([" cat", "cat ", "dog"])])
    assert (labels.tolist(), names) == ([0, 0, 1], ("cat", "dog"))


def test_parts_of_two_kinds():
    with pytest.raises(DataError, match="labels that are numbers, as in training, got texts to test on"):
        to_classes("x", [np.array([1, 2]), np.array(["1", "x"])])
    (_, test), names = to_classes("x", [np.array(["1", "x"]), np.array([1, 1])])
    assert (test.tolist(), names) == ([0, 0], ("1", "x"))


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
def test_whole_numbers_of_every_float_are_labels(dtype):
    (labels,), names = to_classes("x", [np.array([0, 2, 1, 2], dtype)])
    assert (labels.tolist(), names) == ([0, 2, 1, 2], ("0", "1", "2"))
