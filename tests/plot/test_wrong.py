"""The images of the highest losses are found, in that order, with what the model made of them."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from tests.plot.networks import picture_of
from xpcnn import plot
from xpcnn.data import Split
from xpcnn.errors import DataError, NonFiniteError, OptionError, ShapeError
from xpcnn.nn import Conv2d, Dropout, Flatten, Linear, Sequential


def model_and_split(xp=None):
    """Scores are ten times the pixels: (H, W, C) = (1, 1, 3), three classes."""
    model = Sequential(Flatten(), Linear(3, 3, rng=0))
    make = xpcnn.asarray if xp is None else xp.array
    model[1].weight = make(10 * np.eye(3, dtype="float32"), "float32")
    images = np.array([[0, 1, 0], [1, 0, 0], [0, 0.5, 0.4], [0.9, 1, 0], [0.2, 0.2, 0.2]], "float32")
    return model, Split(images.reshape(5, 1, 1, 3), np.array([1, 2, 1, 0, 0]))


def losses():
    scores = 10 * np.array([[0, 1, 0], [1, 0, 0], [0, 0.5, 0.4], [0.9, 1, 0], [0.2, 0.2, 0.2]])
    p = np.exp(scores) / np.exp(scores).sum(axis=1, keepdims=True)
    return -np.log(p[np.arange(5), [1, 2, 1, 0, 0]]), p


@pytest.mark.parametrize("batch_size", [1, 2, 5, 9])
def test_by_hand(xp, batch_size):
    model, split = model_and_split(xp)
    found = plot.top_losses(model, split, 4, batch_size=batch_size)
    loss, p = losses()
    assert found.index.tolist() == [1, 3, 4, 2] == np.argsort(-loss)[:4].tolist()
    np.testing.assert_allclose(found.loss, loss[[1, 3, 4, 2]], rtol=1e-5)
    assert found.true.tolist() == [2, 0, 0, 1]
    assert found.predicted[[0, 1, 3]].tolist() == [0, 1, 1]
    np.testing.assert_allclose(found.probability, p.max(axis=1)[[1, 3, 4, 2]], rtol=1e-5)


def test_of_equal_losses_the_first_image_is_first(xp):
    model, split = model_and_split(xp)
    same = split.select(np.array([0, 1, 1, 1, 0]))
    assert plot.top_losses(model, same, 9, batch_size=2).index.tolist() == [1, 2, 3, 0, 4]


def test_a_class_that_has_no_chance_is_told_from_nan():
    """A score of −∞ would be a probability of 0; a loss of ∞ is refused, one of 2000 is not."""
    model, split = model_and_split()
    model[1].weight *= 200
    assert plot.top_losses(model, split, 1).loss.tolist() == [2000.0]
    model[1].weight[0, 0] = np.inf
    with pytest.raises(NonFiniteError, match="finite scores"):
        plot.top_losses(model, split, 1)


def test_a_score_of_minus_infinity_counts_where_it_is_the_true_class_s():
    model, split = model_and_split()
    model[1].bias[2] = -np.inf
    others = split.select(np.array([0, 2, 3, 4]))  # whose classes are 0 and 1
    assert np.isfinite(plot.top_losses(model, others, 4).loss).all()
    with pytest.raises(NonFiniteError, match="finite scores"):
        plot.top_losses(model, split, 1)


def test_it_is_inference():
    model, split = model_and_split()
    dropping = Sequential(Dropout(0.9, rng=0), *model.children().values())
    assert plot.top_losses(dropping, split, 5).loss.tolist() == plot.top_losses(model, split, 5).loss.tolist()


def test_a_probability_is_called_99_percent_before_it_is_more():
    """The scores (5.51, 0, 0) and (6, 0, 0): probabilities 0.992 and 0.995."""
    model, _ = model_and_split()
    images = np.array([[0.551, 0, 0], [0.6, 0, 0]], "float32").reshape(2, 1, 1, 3)
    figure = plot.most_wrong(model, Split(images, np.array([0, 0])))
    assert [axes.get_title() for axes in figure.axes][:2] == ["0\n→ 0, 99%", "0\n→ 0, > 99%"]


def test_the_picture_says_true_predicted_and_how_sure():
    model, split = model_and_split()
    figure = plot.most_wrong(model, split, classes=("cat", "dog", "a very long name of an animal"), n=3)
    assert [axes.get_title() for axes in figure.axes][:2] == ["a very long name…\n→ cat, > 99%", "cat\n→ dog, 73%"]
    assert math.isclose(losses()[1][3].max(), 0.731, abs_tol=1e-3)
    np.testing.assert_array_equal(picture_of(figure.axes[1])[0, 0], np.array([0.9, 1, 0], np.float32))
    assert figure.texts[0].get_text() == "Highest loss: 3 of 5 images, 2 of them wrong"


def test_wrong_ones_are_set_apart():
    model, split = model_and_split()
    figure = plot.most_wrong(model, split)
    captions = [(axes.get_title().split()[0:3:2], axes.title.get_color()) for axes in figure.axes]
    assert [true != predicted.rstrip(",") for (true, predicted), _ in captions] == [True, True, False, False, False]
    assert [colour for _, colour in captions] == ["darkred", "darkred", "black", "black", "black"]
    assert figure.texts[1].get_text() == "true class → predicted, and how sure the model is; dark red: wrong"


@pytest.mark.filterwarnings("ignore:.*the largest number is 51")
def test_bytes_are_drawn_as_shares():
    model, _ = model_and_split()
    split = Split(np.full((2, 1, 1, 3), 51, np.uint8), np.array([0, 1]))
    np.testing.assert_allclose(picture_of(plot.most_wrong(model, split).axes[0]), 0.2, rtol=1e-6)


def test_bad_input_is_one_clear_line():
    model, split = model_and_split()
    with pytest.raises(OptionError, match="n: an integer ≥ 1, got 0"):
        plot.most_wrong(model, split, n=0)
    with pytest.raises(OptionError, match="a Split"):
        plot.top_losses(model, split.images, 3)
    with pytest.raises(DataError, match="labels that are classes"):
        plot.top_losses(model, Split(split.images, np.zeros(5, np.float32)), 3)
    with pytest.raises(DataError, match="labels below 3, as the model has outputs, got 7"):
        plot.top_losses(model, Split(split.images, np.array([0, 1, 2, 1, 7])), 3)
    with pytest.raises(DataError, match="labels below 3, as the model has outputs, got 3"):
        plot.top_losses(model, Split(split.images, np.array([0, 1, 2, 1, 3])), 3)
    with pytest.raises(OptionError, match="top_losses: expected a network, got NoneType"):
        plot.top_losses(None, split, 3)
    with pytest.raises(ShapeError, match="a classifier"):
        plot.top_losses(Conv2d(3, 3, 1), split, 3)
