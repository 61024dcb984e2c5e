"""Curves show what the history and the sweep hold, and leave out what there is not."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from xpcnn import plot
from xpcnn.errors import DataError
from xpcnn.training.history import Epoch

NAN = float("nan")


def lines(axes):
    return {line.get_label(): (line.get_xdata().tolist(), line.get_ydata().tolist()) for line in axes.lines}


def test_loss_and_accuracy_of_both_parts():
    rows = [Epoch(1, 0.1, 2.0, 0.3, 1.8, 0.4, 5.0), Epoch(2, 0.1, 1.0, 0.7, 1.1, 0.6, 5.0)]
    loss, accuracy = plot.curves(rows).axes
    assert lines(loss) == {"train": ([1, 2], [2.0, 1.0]), "validation": ([1, 2], [1.8, 1.1])}
    assert lines(accuracy) == {"train": ([1, 2], [0.3, 0.7]), "validation": ([1, 2], [0.4, 0.6])}
    assert [text.get_text() for text in loss.get_legend().get_texts()] == ["train", "validation"]


def test_without_validation_and_without_classes(tmp_path):
    (axes,) = plot.curves([Epoch(1, 0.1, 2.0, NAN, NAN, NAN, 5.0)]).axes
    assert lines(axes) == {"train": ([1], [2.0])}
    figure = plot.curves([Epoch(1, 0.1, NAN, NAN, NAN, NAN, 5.0), Epoch(2, 0.1, NAN, NAN, NAN, NAN, 5.0)])
    (axes,) = figure.axes
    assert axes.texts[0].get_text() == "NaN in every epoch"
    plot.save(figure, tmp_path / "nan.png")


def test_ticks_are_whole_epochs(tmp_path):
    for n in (1, 2, 5):
        figure = plot.curves([Epoch(i + 1, 0.1, 1.0, 0.5, NAN, NAN, 1.0) for i in range(n)])
        plot.save(figure, tmp_path / "curves.png")
        shown = [tick for tick in figure.axes[0].get_xticks() if 0.5 <= tick <= n + 0.5]
        assert shown == [round(tick) for tick in shown] != []


def test_an_empty_history_is_refused():
    with pytest.raises(DataError, match="at least one epoch"):
        plot.curves([])


def sweep(losses, suggestion=1e-3):
    rates, smoothed = np.geomspace(1e-5, 1, len(losses)), [2 * loss for loss in losses]
    return SimpleNamespace(rates=rates, losses=losses, smoothed=smoothed, suggestion=suggestion)


def test_a_sweep_shows_losses_and_the_suggestion(tmp_path):
    losses = [2.3, 2.2, 1.5, 0.9, 1.0, 500.0, NAN]
    figure = plot.learning_rates(sweep(losses))
    (axes,) = figure.axes
    dots, curve, line = axes.lines
    np.testing.assert_array_equal(dots.get_ydata(), losses)
    np.testing.assert_array_equal(curve.get_ydata(), 2 * np.array(losses))
    for each in (dots, curve):
        np.testing.assert_allclose(each.get_xdata(), np.geomspace(1e-5, 1, 7))
    assert axes.get_xscale() == "log"
    assert set(line.get_xdata()) == {1e-3}
    assert line.get_label() == "suggested: 0.001"
    low, high = axes.get_ylim()
    assert low < 0.9
    assert 4.6 < high < 10  # the explosion does not press the rest flat
    plot.save(figure, tmp_path / "sweep.png")


@pytest.mark.parametrize("suggestion", [None, NAN])
def test_a_sweep_without_suggestion_and_one_that_is_flat(suggestion, tmp_path):
    figure = plot.learning_rates(sweep([1.0, 1.0, 1.0], suggestion))
    assert len(figure.axes[0].lines) == 2
    plot.save(figure, tmp_path / "sweep.png")


@pytest.mark.parametrize("losses", [[], [NAN, NAN], [np.inf]])
def test_a_sweep_with_nothing_to_draw_is_refused(losses):
    with pytest.raises(DataError, match="some of them finite"):
        plot.learning_rates(sweep(losses))


def test_a_sweep_of_lists_that_do_not_fit_is_refused():
    good = {"rates": [0.1, 0.2], "losses": [1.0, 2.0], "smoothed": [1.0, 2.0], "suggestion": None}
    for name, value in (("rates", [0.1]), ("losses", [1.0]), ("smoothed", []), ("rates", [0.0, 0.1])):
        with pytest.raises(DataError, match="rates > 0, and as many"):
            plot.learning_rates(SimpleNamespace(**good | {name: value}))
