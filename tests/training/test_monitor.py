"""The best epoch is that of the monitored number, by more than `min_delta`; patience, a resumed run and the best model
follow it, and a number that no epoch has is refused before the first step."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import FormatError, OptionError
from xpcnn.training.position import Position

from .small import assert_same, host, loader, split, trainer


def best(values, smaller=False, min_delta=0.0):
    at = Position()
    for value in values:
        at = at.next_epoch([-value if smaller else value], min_delta)
    return at.best_epoch


def test_an_epoch_is_better_by_more_than_min_delta():
    assert best([0.5, 0.55, 0.54, 0.61]) == 4
    assert best([0.5, 0.55, 0.6, 0.61], min_delta=0.0625) == 3
    assert best([3.0, 2.5, 2.75, 2.0], smaller=True, min_delta=0.5) == 4
    assert best([3.0, 2.5], smaller=True, min_delta=0.5) == 1


@pytest.mark.parametrize("monitor", ["validation_f1", "validation_loss", "train_loss"])
def test_the_best_model_is_that_of_the_monitored_number(monitor):
    weights = []
    run = trainer(monitor=monitor, on_epoch=[lambda run, row: weights.append(host(run.model.state_dict()))])
    rows = run.fit(loader(), None if monitor == "train_loss" else split(30, seed=1), epochs=5)
    values = [row.numbers()[monitor] for row in rows]
    expected = int(np.argmax(values) if monitor == "validation_f1" else np.argmin(values))
    assert run.position.best_epoch == expected + 1
    assert_same(host(run.best_model.state_dict()), weights[expected])


def test_patience_and_a_resumed_run_follow_it(tmp_path):
    options = {"monitor": "train_loss", "min_delta": 100.0, "patience": 2}
    assert len(trainer(tmp_path, **options).fit(loader(), epochs=9)) == 3
    again = trainer(tmp_path, **options)
    assert len(again.fit(loader(), epochs=9, resume=True)) == 3
    assert again.position.best_epoch == 1
    with pytest.raises(FormatError, match="monitor"):
        trainer(tmp_path).fit(loader(), epochs=9, resume=True)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"monitor": "validation_mean_absolute_error"}, "train_loss, train_accuracy, validation_loss"),
        ({"monitor": "f1"}, "validation_f1"),
        ({"monitor": 3}, "monitor: train_loss, train_accuracy, or"),
        ({"min_delta": 0.1}, "a monitor"),
        ({"monitor": "train_loss", "min_delta": -1}, "min_delta"),
    ],
)
def test_what_no_epoch_has_is_refused(options, text):
    with pytest.raises(OptionError, match=text):
        trainer(**options).fit(loader(), split(30), epochs=1)
