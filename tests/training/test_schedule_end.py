"""A schedule that ends before the training is named at the start, in steps; in a loop of one's own when it ends."""

from __future__ import annotations

import warnings

import pytest

from xpcnn.data import Loader
from xpcnn.errors import XpcnnWarning
from xpcnn.optim import Constant, Cosine, Exponential, OneCycle, Plateau, StepDecay, WarmUp
from xpcnn.training.schedule_end import idle_from

from .small import batch, loader, split, trainer

SHORT = {
    "OneCycle": OneCycle(0.003, 6),
    "Cosine": Cosine(0.003, 6),
    "WarmUp": WarmUp(Cosine(0.003, 4), 2),
    "StepDecay": StepDecay(0.003, every=1),
    "Exponential": Exponential(0.003, 0.1),
}


@pytest.mark.parametrize("name", SHORT)
def test_epochs_where_steps_are_meant_are_noticed_before_the_first(name):
    """6 epochs of 7 steps, and a schedule of 6."""
    run, seen = trainer(schedule=SHORT[name]), []
    run.on_step = (lambda trainer, step: seen.append(step),)
    said = rf"Trainer.fit: {name} ends after 6 steps, and this training makes 42, 36 at .*in all, these are 42$"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(XpcnnWarning, match=said):
            run.fit(loader(), epochs=6)
    assert seen == []
    with pytest.warns(XpcnnWarning, match=said) as caught:
        run.fit(loader(), epochs=6)
    assert len(caught) == 1
    assert seen[-1].step == 42


@pytest.mark.parametrize(
    "schedule",
    [
        *(OneCycle(0.003, 42), Cosine(0.003, 42), WarmUp(Cosine(0.003, 40), 2), Cosine(0.003, 1000)),
        *(Constant(0.1), WarmUp(Constant(0.1), 3), Plateau(0.1), StepDecay(0.1, every=14), StepDecay(0.1, 1, factor=1)),
        *(Exponential(0.1, 0.01, every=42), Exponential(0.1, 1.5)),
    ],
    ids=lambda schedule: type(schedule).__name__,
)
def test_a_schedule_that_fits_is_none_to_warn_of(schedule):
    trainer(schedule=schedule).fit(loader(), epochs=6)


@pytest.mark.parametrize("schedule", [OneCycle(0.003, 300_000), WarmUp(Constant(0.003), 43)])
def test_a_schedule_that_warms_up_until_the_end_is_noticed(schedule):
    with pytest.warns(
        XpcnnWarning, match=r"warms up for \d+ steps, and this training makes 42: the rate does not reach"
    ):
        trainer(schedule=schedule).fit(loader(), epochs=6)


def test_a_later_fit_and_a_resumed_one_count_what_has_been_done(tmp_path):
    run = trainer(tmp_path, schedule=Cosine(0.003, 14))
    run.fit(loader(), epochs=1)
    run.fit(loader(), epochs=2)
    again = trainer(tmp_path, schedule=Cosine(0.003, 14))
    again.fit(loader(), epochs=2, resume=True)
    with pytest.warns(XpcnnWarning, match="Cosine ends after 14 steps, and this training makes 21, 7 at a learning"):
        again.fit(loader(), epochs=3)


def test_steps_of_several_batches_are_counted_as_one():
    trainer(schedule=Cosine(0.003, 2 * 3), accumulate=3).fit(loader(), epochs=2)
    with pytest.warns(XpcnnWarning, match="Cosine ends after 14 steps, and this training makes 6, of batches"):
        trainer(schedule=Cosine(0.003, 2 * 7), accumulate=3).fit(loader(), epochs=2)


def test_a_loop_of_one_s_own_is_told_once_when_it_ends():
    run = trainer(schedule=Cosine(0.003, 3))
    for _ in range(3):
        run.train_step(*batch())
    with pytest.warns(XpcnnWarning, match="Trainer.train_step: Cosine has ended after 3 steps"):
        run.train_step(*batch())
    run.train_step(*batch())


def test_trying_out_warns_of_nothing():
    trainer(schedule=Cosine(0.003, 6), fast_dev_run=True).fit(Loader(split(), 10), epochs=6)


def test_the_end_is_where_the_rate_stays():
    for schedule in SHORT.values():
        end = idle_from(schedule)
        highest = max(schedule.lr_at(step) for step in range(end))
        assert schedule.lr_at(end) < 1e-5 * highest
        assert schedule.lr_at(end - 2) > 1e-5 * highest
