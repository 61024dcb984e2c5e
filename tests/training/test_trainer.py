"""The trainer: it is the explicit loop, it resumes bit for bit, and a broken run loses nothing."""

from __future__ import annotations

import signal
import threading
from types import SimpleNamespace

import numpy as np
import pytest

import xpcnn
from xpcnn.data import augment
from xpcnn.data.loader import Loader
from xpcnn.data.split import Split
from xpcnn.errors import DataError, FormatError, NonFiniteError, OptionError
from xpcnn.io import load_model, read_tensors
from xpcnn.nn import (
    CrossEntropyLoss,
    Flatten,
    Linear,
    MSELoss,
    ReLU,
    Sequential,
)
from xpcnn.optim import SGD, Adam, Cosine, Plateau
from xpcnn.training import Trainer, evaluate
from xpcnn.training.best_model import MODEL
from xpcnn.training.checkpoint import CHECKPOINT

from .small import assert_same, host, loader, network, rows, split, stopped_at, trainer


def test_it_is_the_explicit_loop(xp):
    model, criterion = network(), CrossEntropyLoss()
    optimizer = SGD(model.parameters(), lr=0.1, momentum=0.9)
    for epoch in range(2):
        for x, y in loader().epoch(epoch):
            logits, cache = model.forward(x)
            _, loss_cache = criterion.forward(logits, y)
            _, grads = model.backward(criterion.backward(loss_cache), cache, input_grad=False)
            optimizer.step(grads)
    run = trainer(schedule=None)
    run.optimizer = SGD(run.model.parameters(), lr=0.1, momentum=0.9)
    run.schedule = xpcnn.optim.Constant(0.1)
    run.fit(loader(), epochs=2)
    assert_same(host(run.model.state_dict()), host(model.state_dict()))


def test_it_learns_and_says_so(xp, tmp_path, capsys):
    run = trainer(tmp_path / "run", verbose=True, classes=("top", "middle", "bottom"))
    history = run.fit(loader(), split(30, seed=1), epochs=6)
    assert history[-1].train_loss < history[0].train_loss / 2
    assert run.evaluate(split(30, seed=1)).accuracy > 0.9
    assert len(capsys.readouterr().out.splitlines()) == 6
    saved = load_model(tmp_path / "run" / MODEL)
    assert saved.classes == ("top", "middle", "bottom")
    assert saved.input_shape == (6, 6, 1)
    best = max(row.validation_accuracy for row in history)
    assert evaluate(saved.model, split(30, seed=1)).accuracy == best
    lines = (tmp_path / "run" / "history.csv").read_text().splitlines()
    assert lines[0] == "epoch,lr,train_loss,train_accuracy,validation_loss,validation_accuracy,seconds,validation_f1"
    assert len(lines) == 7


@pytest.mark.parametrize("stop_after", [3, 7, 9])
def test_resume_continues_bit_for_bit(xp, tmp_path, stop_after):
    """Stopped in the middle of an epoch, at its last batch, in the second: weights, statistics and history agree."""
    whole = trainer(tmp_path / "whole")
    whole.fit(loader(), split(30, seed=1), epochs=2)

    with stopped_at(stop_after, trainer(tmp_path / "stopped")) as stopped:
        stopped.fit(loader(), split(30, seed=1), epochs=2)

    xpcnn.seed(999)  # a new process has another default generator
    again = trainer(tmp_path / "stopped")
    for array in again.model.parameters().values():
        array[...] = array + 1.0  # whatever it was built with is replaced
    again.fit(loader(), split(30, seed=1), epochs=2, resume=True)
    assert_same(host(again.model.state_dict()), host(whole.model.state_dict()))
    assert rows(again) == rows(whole)
    for file in (MODEL,):
        assert (tmp_path / "stopped" / file).read_bytes() == (tmp_path / "whole" / file).read_bytes()


def test_a_checkpoint_is_written_every_so_often(tmp_path, monkeypatch):
    run = trainer(tmp_path, checkpoint_seconds=0.0)
    written = []
    monkeypatch.setattr("xpcnn.training.checkpoint.save", lambda path, *rest: written.append(path))
    run.fit(loader(), epochs=1)
    assert len(written) == 7 + 1
    run = trainer(tmp_path / "other", checkpoint_seconds=1e9)
    written.clear()
    run.fit(loader(), epochs=2)
    assert len(written) == 2


def test_between_two_checkpoints_are_so_many_seconds(tmp_path, monkeypatch):
    """A step takes a second: with more than 2.5 s between them, there is one after steps 3 and 6, and at the end."""
    now, written = [0.0], []

    def second(trainer, step):
        now[0] += 1.0

    monkeypatch.setattr("xpcnn.training.fitting.time", SimpleNamespace(perf_counter=lambda: now[0]))
    monkeypatch.setattr("xpcnn.training.checkpoint.save", lambda path, *rest: written.append(now[0]))
    trainer(tmp_path, checkpoint_seconds=2.5, on_step=[second]).fit(loader(), epochs=1)
    assert written == [3.0, 6.0, 7.0]


@pytest.mark.parametrize("bad", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite_ends_the_run_and_keeps_the_checkpoint(xp, tmp_path, bad):
    run = trainer(tmp_path)
    run.fit(loader(), epochs=1)
    before = (tmp_path / CHECKPOINT).read_bytes()
    step, calls = run.train_step, []

    def diverging(x, y):
        done = step(x, y)
        calls.append(1)
        return done._replace(loss=done.loss * bad) if len(calls) == 3 else done

    run.train_step = diverging
    with pytest.raises(NonFiniteError, match=rf"finite loss, got {bad} in epoch 2, batch 3; lower the learning rate"):
        run.fit(loader(), epochs=2)
    assert (tmp_path / CHECKPOINT).read_bytes() == before


def test_early_stopping(tmp_path):
    run = trainer(tmp_path, patience=2)
    run.optimizer.lr = 0.0
    run.schedule = xpcnn.optim.Constant(0.0)
    run.model = Sequential(Flatten(), Linear(36, 3, rng=0))  # no learning, no running statistics
    run.optimizer = SGD(run.model.parameters(), lr=0.0)
    run.fit(loader(), split(30, seed=1), epochs=50)
    assert len(run.history) == 3  # the first, and two in which nothing improved
    assert run.position.best_epoch == 1


def test_schedule_and_clipping_are_used():
    run = trainer(schedule=Cosine(0.5, total=14), clip_norm=1e-3)
    before = host(run.model.state_dict())
    run.optimizer = SGD(run.model.parameters(), lr=0.1)
    run.fit(loader(), epochs=1)
    assert run.history[0].lr == Cosine(0.5, total=14).lr_at(6)
    moved = (
        sum(np.sum((host(run.model.state_dict())[name] - before[name]) ** 2.0) for name in run.model.parameters())
        ** 0.5
    )
    assert 0 < moved <= 7 * 0.5 * 1e-3


def test_resuming_what_does_not_fit(tmp_path):
    trainer(tmp_path).fit(loader(), epochs=1)
    model = Sequential(Flatten(), Linear(36, 3))
    other = Trainer(model, SGD(model.parameters(), lr=0.1), folder=tmp_path, verbose=False)
    with pytest.raises(FormatError):
        other.fit(loader(), epochs=2, resume=True)
    with pytest.raises(DataError, match="no such file"):
        trainer(tmp_path / "empty").fit(loader(), epochs=1, resume=True)
    with pytest.raises(OptionError, match="folder"):
        trainer().fit(loader(), epochs=1, resume=True)
    (tmp_path / CHECKPOINT).write_bytes(b"\x00" * 100)
    with pytest.raises(FormatError):
        trainer(tmp_path).fit(loader(), epochs=2, resume=True)


def test_an_earlier_run_is_not_overwritten(tmp_path):
    run = trainer(tmp_path)
    run.fit(loader(), epochs=1)
    run.fit(loader(), epochs=2)  # the same trainer goes on
    assert len(run.history) == 2
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(OptionError, match=r"a folder without a run.*pass resume=True"):
        trainer(tmp_path).fit(loader(), epochs=1)
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_a_model_with_layers_of_ones_own_keeps_its_weights_and_resumes(tmp_path):
    class Own(ReLU):
        pass

    def own():
        model = Sequential(Flatten(), Linear(36, 8, rng=0), Own(), Linear(8, 3, rng=1))
        return Trainer(model, Adam(model.parameters(), lr=0.01), folder=tmp_path, verbose=False)

    run = own()
    run.fit(loader(), epochs=1)
    again = own()
    again.fit(loader(), epochs=2, resume=True)
    weights, _ = read_tensors(tmp_path / "weights.safetensors")
    own_loaded = own()
    own_loaded.model.load_state_dict(weights)
    assert_same(host(own_loaded.model.state_dict()), host(again.model.state_dict()))
    assert not (tmp_path / MODEL).exists()


@pytest.mark.parametrize("call", [lambda r: r.fit(split(), epochs=1), lambda r: r.fit(loader(), loader(), epochs=1)])
def test_a_split_is_no_loader(call):
    with pytest.raises(OptionError, match=r"Trainer.fit: expected a (Loader|Split), got (Split|Loader)"):
        call(trainer())
    with pytest.raises(OptionError, match=r"evaluate: expected a Split.*got Loader"):
        trainer().evaluate(loader())


def test_divergence_ends_in_one_error_without_warnings():
    model = Sequential(Flatten(), Linear(36, 64, rng=0), ReLU(), Linear(64, 3, rng=1))
    run = Trainer(model, SGD(model.parameters(), lr=1e30), verbose=False)
    with pytest.raises(NonFiniteError):
        run.fit(loader(), epochs=2)


def test_labels_that_the_model_has_no_output_for():
    model = Sequential(Flatten(), Linear(36, 2))
    with pytest.raises(DataError, match=r"labels below 2.*got 2"):
        evaluate(model, split())


def test_in_another_thread_signals_are_left_alone():
    handler = signal.getsignal(signal.SIGINT)
    histories = []
    thread = threading.Thread(target=lambda: histories.append(trainer().fit(loader(), epochs=1)))
    thread.start()
    thread.join()
    assert [len(history) for history in histories] == [1]
    assert signal.getsignal(signal.SIGINT) is handler


def test_a_run_does_not_go_on_with_another_augmentation(tmp_path):
    def shifted(by):
        return Loader(split(), 10, augment=augment.Compose(augment.Shift(by), same))

    def same(x, y, rng):
        return x, y

    trainer(tmp_path).fit(shifted(1), epochs=1)
    trainer(tmp_path).fit(shifted(1), epochs=2, resume=True)
    for other in (shifted(2), Loader(split(), 10)):
        with pytest.raises(FormatError, match="a run with augmentation"):
            trainer(tmp_path).fit(other, epochs=3, resume=True)


def test_a_regression_is_trained_validated_and_resumed(xp, tmp_path):
    rng = np.random.default_rng(0)
    images = rng.random((60, 4, 4, 1)).astype("float32")
    targets = images.mean(axis=(1, 2))  # (60, 1): how bright the image is
    train, held = Split(images[:50], targets[:50]), Split(images[50:], targets[50:])

    def run():
        model = Sequential(Flatten(), Linear(16, 1, rng=0))
        adam = Adam(model.parameters(), lr=0.02)
        return Trainer(model, adam, MSELoss(), folder=tmp_path, verbose=False)

    first = run()
    first.fit(Loader(train, 10, shuffle=True), held, epochs=20)
    again = run()
    rows = again.fit(Loader(train, 10, shuffle=True), held, epochs=40, resume=True)
    assert len(rows) == 40
    assert rows[-1].validation_loss < 0.1 * rows[0].validation_loss
    assert np.isnan(rows[-1].train_accuracy)
    assert np.isnan(rows[-1].validation_accuracy)
    assert again.position.best_epoch == 1 + min(range(40), key=lambda i: rows[i].validation_loss)
    tested = again.evaluate(held)
    np.testing.assert_allclose(tested.loss, rows[-1].validation_loss, rtol=1e-6)
    assert np.isnan(tested.accuracy)


def test_accuracy_of_targets_that_are_probabilities_is_by_the_likeliest(xp):
    run = trainer(schedule=None)
    x, y = next(iter(Loader(split(), 64).epoch(0)))
    soft = xp.array(0.8 * np.eye(3)[xpcnn.to_numpy(y)] + 0.1, "float32")
    before = host(run.model.state_dict())
    hard_correct = run.train_step(x, y).correct
    run = trainer(schedule=None)
    assert_same(host(run.model.state_dict()), before)
    soft_correct = run.train_step(x, soft).correct
    assert 0 < int(soft_correct) == int(hard_correct)


def test_a_checkpoint_that_is_refused_leaves_the_schedule_as_it_was(tmp_path):
    trainer(tmp_path, schedule=Plateau(0.1)).fit(loader(), epochs=1)
    wider = Sequential(Flatten(), Linear(36, 5, rng=0))
    other = Trainer(wider, Adam(wider.parameters(), lr=0.1), folder=tmp_path, schedule=Plateau(0.1), verbose=False)
    before = other.schedule.state_dict()
    with pytest.raises(FormatError, match="model"):
        other.fit(loader(), epochs=2, resume=True)
    assert other.schedule.state_dict() == before


@pytest.mark.parametrize("name", ["model.safetensors", "history.csv", "checkpoint.safetensors"])
def test_a_new_run_writes_over_no_file(tmp_path, name):
    (tmp_path / name).write_text("somebody's")
    with pytest.raises(OptionError, match=rf"Trainer.fit: expected a folder without a run, got {name} in "):
        trainer(tmp_path).fit(loader(), epochs=1)
    assert (tmp_path / name).read_text() == "somebody's"
