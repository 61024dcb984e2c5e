"""A batch is drawn as it is: pixels, labels of every kind, and a note where colours are not what they seem."""

from __future__ import annotations

import numpy as np
import pytest

from tests.plot.networks import picture_of
from xpcnn import plot
from xpcnn.errors import DTypeError, NonFiniteError, ShapeError


def captions(figure):
    return [axes.get_title() for axes in figure.axes]


def notes(figure):
    return [text.get_text() for text in figure.texts[1:]]


def test_pixels_and_names(xp, rng):
    host, x = xp.normal(rng, 3, 4, 5, 3, dtype="float32")
    host, x = abs(host) % 1, xp.array(abs(host) % 1)
    figure = plot.batch(x, xp.array(np.array([2, 0, 5])), classes=("cat", "dog", "cow"))
    assert captions(figure) == ["cow", "cat", "5"]  # class 5 has no name
    for axes, image in zip(figure.axes, host, strict=True):
        np.testing.assert_array_equal(picture_of(axes), image)
    assert notes(figure) == []
    assert figure.texts[0].get_text() == "Batch of 3 images 4×5×3"


def test_grey_and_other_channels():
    grey = np.random.default_rng(0).uniform(size=(1, 2, 2, 1))
    np.testing.assert_array_equal(picture_of(plot.batch(grey).axes[0]), grey[0, ..., 0])
    four = np.random.default_rng(0).uniform(size=(1, 2, 2, 4))
    figure = plot.batch(four)
    np.testing.assert_allclose(picture_of(figure.axes[0]), four[0].mean(axis=2))
    assert notes(figure) == ["grey: the mean of 4 channels"]


def test_normalised_images_are_scaled_together_and_it_says_so():
    x = np.array([-2.0, 0.0, 1.0, 2.0]).reshape(2, 1, 2, 1)
    assert notes(plot.batch(-x[1:])) == ["black is -2, white -1"]
    figure = plot.batch(x)
    np.testing.assert_array_equal(picture_of(figure.axes[1]), [[0.75, 1.0]])
    assert notes(figure) == ["black is -2, white 2"]


def test_labels_of_every_kind():
    x = np.zeros((2, 2, 2, 1))
    assert captions(plot.batch(x)) == ["", ""]
    assert captions(plot.batch(x, np.array([0.25, -3.0], np.float32))) == ["0.25", "-3"]
    assert captions(plot.batch(x, np.array([[1.5, 2.0], [3.0, 4.0]]))) == ["1.5, 2", "3, 4"]
    mixed = np.array([[0.3, 0.7, 0.0], [0.0, 0.0, 1.0]])
    assert captions(plot.batch(x, mixed, classes=("cat", "dog", "$cow$"))) == ["dog: 70%\ncat: 30%", "$cow$: 100%"]
    assert not any(axes.title.get_parse_math() for axes in plot.batch(x, mixed, classes=("cat", "dog", "$cow$")).axes)


@pytest.mark.parametrize("n", [1, 5, 6, 9, 70])
def test_any_number_of_images_without_overlap(n):
    names = [f"a name of 18 ({i:03})" for i in range(n)]
    figure = plot.batch(np.zeros((n, 3, 4, 1)), np.arange(n), classes=names)
    assert captions(figure) == names[:64]
    figure.draw_without_rendering()
    renderer = figure.canvas.get_renderer()
    texts = [axes.title for axes in figure.axes] + figure.texts
    boxes = [text.get_window_extent(renderer) for text in texts] + [axes.bbox for axes in figure.axes]
    for i, one in enumerate(boxes):
        assert figure.bbox.x0 <= one.x0
        assert one.x1 <= figure.bbox.x1
        assert figure.bbox.y0 <= one.y0
        assert one.y1 <= figure.bbox.y1
        assert not any(one.overlaps(other) for other in boxes[:i])


@pytest.mark.parametrize(
    ("error", "text", "x", "y"),
    [
        (ShapeError, r"got \(2, 2, 1\); add the batch axis", np.zeros((2, 2, 1)), None),
        (ShapeError, "at least one", np.zeros((0, 2, 2, 1)), None),
        (DTypeError, "/ 255", np.zeros((1, 2, 2, 1), np.uint8), None),
        (NonFiniteError, "finite pixels", np.full((1, 2, 2, 1), np.nan), None),
        (NonFiniteError, "finite pixels", np.full((1, 2, 2, 1), np.inf), None),
        (ShapeError, r"one label for each of 2 images, got \(3,\)", np.zeros((2, 2, 2, 1)), np.zeros(3, int)),
        (ShapeError, "one label for each", np.zeros((2, 2, 2, 1)), np.zeros((2, 1, 1))),
    ],
)
def test_bad_input_is_one_clear_line(error, text, x, y):
    with pytest.raises(error, match=text):
        plot.batch(x, y)
