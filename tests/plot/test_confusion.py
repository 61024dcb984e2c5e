"""A confusion matrix shows shares of its rows, counts, and names, from one class to hundreds."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from tests.plot.networks import picture_of
from xpcnn import plot
from xpcnn.errors import DataError, OptionError, ShapeError
from xpcnn.plot.confusion import shares


def test_shares_are_of_the_true_class(xp):
    counts = xp.array(np.array([[8, 2, 0], [0, 0, 0], [1, 0, 3]]))
    n = np.nan
    np.testing.assert_array_equal(shares(counts), [[0.8, 0.2, 0], [n, n, n], [0.25, 0, 0.75]])


def test_the_picture_has_counts_names_and_the_share_that_is_right():
    figure = plot.confusion([[8, 2, 0], [0, 0, 0], [1, 0, 3]], classes=["cat", "a dog of $5", "cow"])
    axes = figure.axes[0]
    np.testing.assert_allclose(picture_of(axes)[0], [0.8, 0.2, 0])
    assert {(text.get_position(), text.get_text()) for text in axes.texts} == {
        ((0, 0), "8"), ((1, 0), "2"), ((0, 2), "1"), ((2, 2), "3"),
    }  # fmt: skip
    for axis in (axes.xaxis, axes.yaxis):
        assert [label.get_text() for label in axis.get_ticklabels()] == ["cat", "a dog of $5", "cow"]
        assert not any(label.get_parse_math() for label in axis.get_ticklabels())
    assert (axes.get_ylabel(), axes.get_xlabel()) == ("true", "predicted")
    assert figure.get_suptitle() == "Confusion matrix: 78.57% of 14 right"


def test_numbers_are_light_on_dark_cells_and_rare_mistakes_have_a_colour():
    axes = plot.confusion([[9, 1], [1, 9]]).axes[0]
    assert {text.get_text(): text.get_color() for text in axes.texts} == {"9": "white", "1": "black"}
    assert axes.images[0].norm(0.25) == 0.5  # colours grow with the square root


@pytest.mark.parametrize(("name", "angle"), [("cat", 0), ("a very long name", 90)])
def test_names_are_turned_where_they_do_not_fit(name, angle):
    axes = plot.confusion(np.ones((5, 5), int), classes=[name] * 5).axes[0]
    assert {label.get_rotation() for label in axes.xaxis.get_ticklabels()} == {angle}


@pytest.mark.parametrize(
    ("k", "names", "numbers"), [(1, 1, 1), (25, 25, 625), (26, 26, 0), (100, 100, 0), (250, 84, 0)]
)
def test_any_number_of_classes(k, names, numbers):
    figure = plot.confusion(np.ones((k, k), int), classes=[f"class {i} of many with a long name" for i in range(k)])
    axes = figure.axes[0]
    figure.draw_without_rendering()
    labels = [label.get_text() for label in axis_labels(axes)]
    assert len(labels) == names
    assert len(axes.texts) == numbers
    assert all(len(label) <= 16 for label in labels)
    renderer = figure.canvas.get_renderer()
    boxes = [label.get_window_extent(renderer) for label in axis_labels(axes)]
    assert all(one.y0 >= other.y1 - 1 for one, other in pairwise(boxes))  # no two overlap
    assert all(box.x0 >= 0 for box in boxes)


def axis_labels(axes):
    return axes.yaxis.get_ticklabels()


@pytest.mark.parametrize(
    ("error", "text", "matrix"),
    [
        (ShapeError, r"a matrix \(K, K\)", np.ones((2, 3))),
        (ShapeError, r"a matrix \(K, K\)", np.ones((0, 0))),
        (ShapeError, r"a matrix \(K, K\)", np.ones(4)),
        (DataError, "counts ≥ 0, not all of them 0", np.zeros((2, 2))),
        (DataError, "counts ≥ 0", np.array([[1, -1], [0, 1]])),
        (DataError, "counts ≥ 0", np.array([[1, np.nan], [0, 1]])),
        (DataError, "counts ≥ 0", np.array([[1, np.inf], [0, 1]])),
        (DataError, "counts ≥ 0", np.array([["a"]])),
    ],
)
def test_bad_input_is_one_clear_line(error, text, matrix):
    with pytest.raises(error, match=text):
        plot.confusion(matrix)


def test_too_few_names_are_refused():
    with pytest.raises(OptionError, match="2 names of classes, got 3"):
        plot.confusion([[1, 0], [0, 1]], classes="abc")


@pytest.mark.parametrize("dtype", ["uint8", "int64", "uint64", "float16", "float32"])
def test_counts_of_every_dtype(dtype):
    """Also where a row's sum does not fit into it."""
    high = {"float16": 60_000, "float32": 2**24}.get(dtype) or np.iinfo(dtype).max
    counts = np.array([[high, high, 1], [0, high, 0], [high, 1, 0]], dtype)
    rows = np.array([[high, high, 1], [0, high, 0], [high, 1, 0]], np.float64)
    np.testing.assert_array_equal(shares(counts), rows / rows.sum(axis=1, keepdims=True))
    assert f"{np.trace(rows) / rows.sum():.2%}" in plot.confusion(counts).get_suptitle()
