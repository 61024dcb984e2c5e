"""Functions that the trainer calls: when, with what, how they end a training, and what their errors leave behind."""

from __future__ import annotations

import math
import os
import signal

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import OptionError
from xpcnn.nn import CrossEntropyLoss, Flatten, Linear, MSELoss, Sequential
from xpcnn.optim import SGD
from xpcnn.training import STOP, Epoch, Step, Trainer
from xpcnn.training.checkpoint import CHECKPOINT

from .small import assert_same, everything, loader, rows, split, trainer


def test_they_are_told_what_happened(xp):
    steps, epochs = [], []
    run = trainer(
        on_step=[lambda trainer, step: steps.append((trainer, step))],
        on_epoch=[lambda trainer, row: epochs.append((trainer, row))],
    )
    run.fit(loader(), split(30, seed=1), epochs=2)
    assert {id(each) for each, _ in steps + epochs} == {id(run)}
    assert [row for _, row in epochs] == run.history
    assert all(isinstance(row, Epoch) for _, row in epochs)
    steps = [step for _, step in steps]
    assert [(s.step, s.epoch, s.batch) for s in steps] == [(1 + i, 1 + i // 7, 1 + i % 7) for i in range(14)]
    assert [s.images for s in steps] == [10, 10, 10, 10, 10, 10, 4] * 2
    assert [s.lr for s in steps] == [0.01] * 14
    for epoch, row in enumerate(run.history):
        own = steps[7 * epoch : 7 * epoch + 7]
        assert sum(s.loss * s.images for s in own) / 64 == pytest.approx(row.train_loss, rel=1e-9)
        assert sum(s.accuracy * s.images for s in own) / 64 == pytest.approx(row.train_accuracy, rel=1e-9)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_a_step_s_loss_is_a_mean_over_its_images(reduction):
    seen = []
    model = Sequential(Flatten(), Linear(36, 3, rng=0))
    criterion = CrossEntropyLoss(reduction=reduction)
    options = {"accumulate": 4, "on_step": [lambda trainer, step: seen.append(step)], "verbose": False}
    Trainer(model, SGD(model.parameters(), lr=0.0), criterion, **options).fit(loader(shuffle=False), epochs=1)
    for step, part in zip(seen, (slice(0, 40), slice(40, 64)), strict=True):
        images = split().select(part)
        logits = model(images.images.astype("float32") / np.float32(255))
        assert step.loss == pytest.approx(float(CrossEntropyLoss()(logits, images.labels)), rel=1e-6)
        assert step.accuracy == np.mean(logits.argmax(1) == images.labels)


def test_a_regression_has_no_accuracy():
    seen = []
    images = split()
    targets = xpcnn.data.Split(images.images, images.labels.astype("float32")[:, None])
    model = Sequential(Flatten(), Linear(36, 1, rng=0))
    options = {"on_step": [lambda trainer, step: seen.append(step)], "verbose": False}
    run = Trainer(model, SGD(model.parameters(), lr=0.0), MSELoss(), **options)
    run.fit(xpcnn.data.Loader(targets, 64), epochs=1)
    assert math.isnan(seen[0].accuracy)
    assert isinstance(seen[0], Step)


@pytest.mark.parametrize("at", [3, 7, 9])
def test_a_step_may_be_the_last_and_the_run_goes_on_from_there(xp, tmp_path, at):
    whole = trainer(tmp_path / "whole", ema=0.9)
    whole.fit(loader(), split(30, seed=1), epochs=2)
    after = []
    run = trainer(
        tmp_path / "run", ema=0.9,
        on_step=[lambda trainer, step: STOP if step.step == at else None, lambda trainer, step: after.append(step)],
    )  # fmt: skip
    history = run.fit(loader(), split(30, seed=1), epochs=2)
    assert len(history) == (1 if at > 7 else 0)
    assert len(after) == run.optimizer.steps == at  # the others are still called, and no other step is made
    again = trainer(tmp_path / "run", ema=0.9)
    again.fit(loader(), split(30, seed=1), epochs=2, resume=True)
    assert_same(everything(again), everything(whole))
    assert rows(again) == rows(whole)


def test_an_epoch_may_be_the_last(tmp_path):
    run = trainer(tmp_path, on_epoch=[lambda trainer, row: STOP if row.epoch == 2 else "no reason to stop"])
    assert len(run.fit(loader(), epochs=5)) == 2
    assert len(trainer(tmp_path).fit(loader(), epochs=3, resume=True)) == 3


@pytest.mark.parametrize("what", [True, 1, "stop", np.ones(3), None])
def test_nothing_else_stops(what):
    run = trainer(on_step=[lambda trainer, step: what], on_epoch=[lambda trainer, row: what])
    assert len(run.fit(loader(), epochs=2)) == 2


@pytest.mark.parametrize("kind", [ValueError, KeyboardInterrupt])
@pytest.mark.parametrize("at", [3, 7])
def test_an_error_in_a_callback_loses_nothing(tmp_path, kind, at):
    whole = trainer(tmp_path / "whole")
    whole.fit(loader(), epochs=2)

    def fails(trainer, step):
        if step.step == at:
            raise kind("mine")

    with pytest.raises(kind, match="mine"):
        trainer(tmp_path / "run", on_step=[fails]).fit(loader(), epochs=2)
    again = trainer(tmp_path / "run")
    again.fit(loader(), epochs=2, resume=True)
    assert_same(everything(again), everything(whole))
    assert rows(again) == rows(whole)


def test_an_error_after_an_epoch_loses_nothing(tmp_path):
    def fails(trainer, row):
        raise RuntimeError("mine")

    with pytest.raises(RuntimeError, match="mine"):
        trainer(tmp_path, on_epoch=[fails]).fit(loader(), epochs=2)
    again = trainer(tmp_path)
    assert len(again.fit(loader(), epochs=1, resume=True)) == 1
    assert again.optimizer.steps == 7


def test_what_a_callback_does_to_the_model_is_in_the_checkpoint(tmp_path):
    def clear(trainer, row):
        trainer.model[6].bias[...] = row.epoch

    run = trainer(tmp_path, on_epoch=[clear])
    run.fit(loader(), epochs=2)
    again = trainer(tmp_path)
    again.fit(loader(), epochs=2, resume=True)
    assert_same(everything(again), everything(run))
    assert again.model[6].bias.tolist() == [2, 2, 2]


def test_an_interrupt_while_a_callback_runs_is_kept(tmp_path):
    def interrupts(trainer, step):
        if step.step == 3:
            os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(KeyboardInterrupt, match="after batch 3 of 7"):
        trainer(tmp_path, on_step=[interrupts]).fit(loader(), epochs=1)
    again = trainer(tmp_path)
    again.fit(loader(), epochs=1, resume=True)
    whole = trainer()
    whole.fit(loader(), epochs=1)
    assert_same(everything(again), everything(whole))


@pytest.mark.parametrize("name", ["on_step", "on_epoch"])
@pytest.mark.parametrize("given", [[1], "log", [None], 3])
def test_what_is_no_function(name, given):
    with pytest.raises(OptionError, match=f"Trainer: expected {name}: functions"):
        trainer(**{name: given})


def test_one_function_is_no_list_of_them():
    with pytest.raises(OptionError, match=r"on_step: functions.*on_step=\(function,\)"):
        trainer(on_step=lambda trainer, step: None)


def test_without_a_folder_nothing_is_written(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run = trainer(on_step=[lambda trainer, step: STOP])
    assert run.fit(loader(), epochs=1) == []
    assert not (tmp_path / CHECKPOINT).exists()
    assert list(tmp_path.iterdir()) == []


def test_a_trainer_that_was_stopped_in_its_first_epoch_goes_on(tmp_path):
    whole = trainer(tmp_path / "whole")
    whole.fit(loader(), split(30, seed=1), epochs=2)
    run = trainer(tmp_path / "cut", on_step=[lambda trainer, step: STOP if step.step == 3 else None])
    assert run.fit(loader(), split(30, seed=1), epochs=2) == []
    run.fit(loader(), split(30, seed=1), epochs=2)
    assert rows(run) == rows(whole)
    assert_same(everything(run), everything(whole))
    with pytest.raises(OptionError, match="a folder without a run"):  # another one does not write over it
        trainer(tmp_path / "cut").fit(loader(), epochs=2)
