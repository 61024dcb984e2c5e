"""Small trainings: one step that tries all out and leaves nothing, and a few batches that a network should learn."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader
from xpcnn.errors import OptionError
from xpcnn.training import CSVLog

from .small import assert_same, everything, generators, loader, rows, split, trainer


def state(run):
    return everything(run), generators(run.model), run.optimizer.scalars(), run.schedule.state_dict(), rows(run)


def assert_as_before(run, before):
    arrays, *rest = state(run)
    assert_same(arrays, before[0])
    assert rest == list(before[1:])


def test_it_goes_through_everything_once_and_leaves_nothing(xp, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    run = trainer(tmp_path / "runs" / "new", ema=0.9, fast_dev_run=True, verbose=False)
    seen, written = [], []
    run.on_step = (lambda trainer, step: seen.append(step),)
    run.on_epoch = (lambda trainer, row: written.extend(each.name for each in trainer.folder.iterdir()),)
    before = state(run)
    save = xpcnn.training.checkpoint.save
    monkeypatch.setattr(
        "xpcnn.training.checkpoint.save", lambda path, *rest: written.append(path.name) or save(path, *rest)
    )
    (row,) = run.fit(loader(), split(300, seed=1), epochs=9)
    assert [(step.batch, step.images) for step in seen] == [(1, 10)]
    assert 0 <= row.validation_accuracy <= 1
    assert {"checkpoint.safetensors", "model.safetensors", "history.csv"} <= set(written)
    assert list(tmp_path.iterdir()) == []
    assert run.folder == tmp_path / "runs" / "new"
    assert_as_before(run, before)
    run.fast_dev_run = False
    other = trainer(tmp_path / "other", ema=0.9)
    for each in (run, other):  # and the true run is what it would have been
        each.fit(loader(), split(30, seed=1), epochs=2)
    assert_same(everything(run), everything(other))
    assert rows(run) == rows(other)


def test_a_run_that_stands_is_left_as_it_is(tmp_path):
    trainer(tmp_path).fit(loader(), epochs=1)
    files = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    run = trainer(tmp_path, fast_dev_run=True)
    assert len(run.fit(loader(), epochs=1, resume=True)) == 1
    assert (run.position.epoch, len(run.history), run.optimizer.steps) == (1, 1, 7)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == files


def test_a_step_of_several_batches_is_tried_with_all_of_them():
    seen = []
    run = trainer(fast_dev_run=True, accumulate=3, on_step=[lambda trainer, step: seen.append(step.images)])
    run.fit(loader(), epochs=1)
    assert seen == [30]
    assert run.optimizer.steps == 0


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt])
def test_what_goes_wrong_is_told_and_all_is_as_before(tmp_path, error):
    def fails(trainer, happened):
        raise error("mine")

    run = trainer(tmp_path / "run", fast_dev_run=True, on_epoch=[fails])
    before = state(run)
    with pytest.raises(error, match="mine"):
        run.fit(loader(), split(10), epochs=1)
    assert_as_before(run, before)
    assert list(tmp_path.iterdir()) == []


def test_an_interrupt_leaves_nothing_either(tmp_path):
    run = trainer(tmp_path, fast_dev_run=True)
    run.on_step = (lambda trainer, step: os.kill(os.getpid(), signal.SIGINT),)
    before = state(run)
    with pytest.raises(KeyboardInterrupt):
        run.fit(loader(), epochs=1)
    assert_as_before(run, before)
    assert list(tmp_path.iterdir()) == []


def test_logs_are_not_begun(tmp_path):
    log = CSVLog(tmp_path / "steps.csv")
    run = trainer(fast_dev_run=True, on_step=[log])
    run.fit(loader(), epochs=1)
    assert list(tmp_path.iterdir()) == []
    run.fast_dev_run = False
    run.fit(loader(), epochs=1)
    assert len(log.path.read_text().splitlines()) == 8


@pytest.mark.parametrize(
    ("batches", "sizes"), [(1, [10]), (3, [10, 10, 10]), (7, [10] * 6 + [4]), (99, [10] * 6 + [4])]
)
def test_a_few_batches_are_the_first_ones_in_every_epoch(batches, sizes):
    seen = []
    run = trainer(overfit_batches=batches)
    step = run.train_step
    run.train_step = lambda x, y: seen.append(y) or step(x, y)
    given = loader()
    run.fit(given, split(30, seed=1), epochs=2)
    assert [len(each) for each in seen] == sizes * 2
    assert np.concatenate(seen).tolist() == split().labels[: sum(sizes)].tolist() * 2
    assert (given.shuffle, len(given.split)) == (True, 64)  # the loader itself is left alone


def test_a_few_batches_are_learned_by_heart():
    run = trainer(overfit_batches=2, schedule=xpcnn.optim.Constant(0.01))
    run.model[5].p = 0.0
    assert run.fit(loader(), epochs=30)[-1].train_accuracy == 1


def test_a_run_on_a_few_batches_resumes(tmp_path):
    whole = trainer(overfit_batches=2)
    whole.fit(loader(), epochs=2)
    trainer(tmp_path, overfit_batches=2).fit(loader(), epochs=1)
    again = trainer(tmp_path, overfit_batches=2)
    again.fit(loader(), epochs=2, resume=True)
    assert_same(everything(again), everything(whole))
    with pytest.raises(xpcnn.errors.FormatError, match="the 20 training images that the run began with, got 64"):
        trainer(tmp_path).fit(loader(), epochs=3, resume=True)


@pytest.mark.parametrize("value", [-1, 1.5, None])
def test_how_many_batches_is_a_count(value):
    with pytest.raises(OptionError, match="overfit_batches"):
        trainer(overfit_batches=value)


def test_whole_batches_alone_stay_whole():
    run = trainer(overfit_batches=7)
    seen = []
    run.on_step = (lambda trainer, step: seen.append(step.images),)
    run.fit(Loader(split(), 10, drop_last=True), epochs=1)
    assert seen == [10] * 6


def test_its_folder_stands_where_the_run_s_would_and_one_batch_is_validated(tmp_path, monkeypatch):
    seen = []
    evaluate = xpcnn.training.trainer.evaluate
    monkeypatch.setattr(
        "xpcnn.training.trainer.evaluate",
        lambda model, split, *rest: seen.append(len(split)) or evaluate(model, split, *rest),
    )
    (tmp_path / "runs").mkdir()
    run = trainer(tmp_path / "runs" / "all" / "new", fast_dev_run=True)
    run.on_epoch = (lambda trainer, row: seen.append(trainer.folder.parent.parent),)
    run.fit(loader(), split(300, seed=1), epochs=3)
    assert seen == [256, tmp_path / "runs"]
