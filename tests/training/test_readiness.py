"""Faults that only an epoch's end would show are refused before the first step; a failure there loses no epoch."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.data import Loader, Split, augment
from xpcnn.errors import DataError, DTypeError, FileError, OptionError, ShapeError, XpcnnError
from xpcnn.io import load_model
from xpcnn.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    CrossEntropyLoss,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    LogSoftmax,
    MSELoss,
    NLLLoss,
    ReLU,
    Sequential,
)
from xpcnn.optim import SGD, Adam
from xpcnn.training import STOP, Trainer, evaluate
from xpcnn.training.best_model import MODEL

from .small import assert_same, everything, generators, loader, rows, split, trainer


def soft(n=30, seed=1, classes=3):
    """Labels as probabilities: what mixup and label smoothing give."""
    labels = np.random.default_rng(seed).dirichlet([1] * classes, n).astype("float32")
    return Split(split(n, seed).images, labels)


def one_hot(given):
    return Split(given.images, np.eye(3, dtype="float32")[given.labels])


def regression(n=30, outputs=3, size=6):
    rng = np.random.default_rng(0)
    return Split(rng.random((n, size, size, 1)).astype("float32"), rng.normal(size=(n, outputs)).astype("float32"))


def plain(criterion=None, outputs=3, **options):
    model = Sequential(Flatten(), Linear(36, outputs, rng=0), LogSoftmax())
    return Trainer(model, SGD(model.parameters(), lr=0.1), criterion, verbose=False, **options)


@pytest.mark.parametrize("outputs", [1, 3])
def test_numbers_to_predict_are_no_probabilities(xp, outputs):
    """With one output, cross-entropy would be 0 and the accuracy 100 %."""
    numbers, network = regression(outputs=outputs), plain(outputs=outputs)
    for call in (lambda: network.fit(Loader(numbers, 10), epochs=1), lambda: evaluate(network.model, numbers)):
        with pytest.raises(DataError, match=r"probabilities, for CrossEntropyLoss, got numbers from -.*MSELoss"):
            call()


@pytest.mark.parametrize("training", ["labels", "one-hot", "soft"])
@pytest.mark.parametrize("validation", ["labels", "one-hot", "soft"])
def test_targets_that_are_probabilities_are_trained_and_validated(xp, training, validation):
    kinds = {"labels": split, "one-hot": lambda *given: one_hot(split(*given)), "soft": soft}
    run, held = trainer(), kinds[validation](30, 1)
    row = run.fit(Loader(kinds[training](64, 0), 10), held, epochs=1)[0]
    labels = held.labels if held.labels.ndim == 1 else held.labels.argmax(axis=1)
    hard = evaluate(run.model, Split(held.images, labels))
    assert row.validation_accuracy == hard.accuracy
    np.testing.assert_array_equal(run.evaluate(held).confusion, hard.confusion)
    if validation == "one-hot":
        assert row.validation_loss == pytest.approx(hard.loss, rel=1e-5)


def test_a_probability_of_1_is_no_label():
    certain = Split(np.zeros((4, 6, 6, 1), "u1"), np.ones((4, 1), "f4"))
    plain(outputs=1).fit(Loader(certain, 2), certain, epochs=1)


def test_mixed_up_training_images_are_validated_with_labels():
    images = Loader(split(), 10, augment=augment.parse("mixup:0.4", 3))
    assert 0 <= trainer().fit(images, split(30, seed=1), epochs=1)[0].validation_accuracy <= 1


ODD = {
    "targets too wide": (lambda: plain(), lambda: soft(classes=4), ShapeError, r"labels \(1,\) or probabilities"),
    "labels beyond": (
        lambda: plain(),
        lambda: Split(split(9).images, np.arange(9, dtype=np.int64) % 5),
        DataError,
        r"expected labels below 3, as the model has outputs, got 4",
    ),
    "a regression's": (
        lambda: plain(),
        lambda: Split(split(9).images, np.arange(9, dtype=np.float32)),
        DTypeError,
        "integer labels",
    ),
    "soft where labels are meant": (lambda: plain(NLLLoss()), soft, ShapeError, r"labels \(1,\)"),
    "labels where values are meant": (lambda: plain(MSELoss()), split, XpcnnError, "MSELoss"),
    "values of another shape": (lambda: plain(MSELoss()), lambda: regression(outputs=2), ShapeError, "MSELoss"),
    "another size": (
        lambda: plain(),
        lambda: Split(np.zeros((4, 8, 8, 1), np.uint8), np.zeros(4, np.int64)),
        ShapeError,
        "layer 1: ",
    ),
    "other channels": (
        lambda: trainer(),
        lambda: Split(np.zeros((4, 6, 6, 3), np.uint8), np.zeros(4, np.int64)),
        ShapeError,
        "layer 0: ",
    ),
    "classes that weigh nothing": (
        lambda: plain(CrossEntropyLoss(weight=[0.0, 1.0, 1.0])),
        lambda: Split(split(9).images, np.zeros(9, np.int64)),
        DataError,
        "classes with a weight",
    ),
}


@pytest.mark.parametrize("name", ODD)
def test_validation_that_cannot_be_is_refused_before_the_first_step(tmp_path, name):
    make, validation, kind, text = ODD[name]
    run = make()
    run.folder = tmp_path / "run"
    before, places = everything(run), generators(run.model)
    given = regression() if isinstance(run.criterion, MSELoss) else split()
    with pytest.raises(kind, match=text) as caught:
        run.fit(Loader(given, 10), validation(), epochs=2)
    assert "Trainer.fit, validation: " in str(caught.value)
    assert "\n" not in str(caught.value)
    assert_same(everything(run), before)
    assert (run.optimizer.steps, generators(run.model)) == (0, places)
    assert list(tmp_path.iterdir()) == []


def test_labels_of_training_images_are_looked_at_before_the_first_step():
    images = Split(split().images, np.append(np.zeros(63, np.int64), 7))
    run = plain()
    with pytest.raises(DataError, match=r"Trainer.fit: expected labels below 3, as the model has outputs, got 7"):
        run.fit(Loader(images, 10), split(9), epochs=1)
    assert run.optimizer.steps == 0


def test_names_are_as_many_as_outputs():
    run = plain(classes=("a", "b"))
    with pytest.raises(OptionError, match="expected 3 names of classes, as the model has outputs, got 2"):
        run.fit(loader(), split(9), epochs=1)
    assert run.optimizer.steps == 0


def test_names_that_no_file_holds_are_refused_before_the_first_step(tmp_path):
    with pytest.raises(OptionError, match="classes: names"):
        plain(classes=(1, 2, 3), folder=tmp_path / "run")
    assert not list(tmp_path.iterdir())


def test_what_is_tried_out_leaves_no_trace(xp):
    plain_run, tried = trainer(ema=0.9), trainer(ema=0.9)
    plain_run.fit(Loader(split(61), 10), epochs=2)
    tried.fit(Loader(split(61), 10), split(9, seed=1), epochs=2)  # the last batch has one image
    assert_same(everything(tried), everything(plain_run))
    assert generators(tried.model) == generators(plain_run.model)


def with_one_value(kind):
    layers = {
        "rows": [Flatten(), Linear(36, 4, rng=0), BatchNorm1d(4), Linear(4, 3, rng=1)],
        "maps of 1×1": [Conv2d(1, 4, 6, rng=0), BatchNorm2d(4), ReLU(), Flatten(), Linear(4, 3, rng=1)],
    }[kind]
    model = Sequential(*layers)
    return Trainer(model, SGD(model.parameters(), lr=0.1), verbose=False, on_step=[lambda run, step: STOP])


@pytest.mark.parametrize("batch_size", [1, 10, 60])
@pytest.mark.parametrize("kind", ["rows", "maps of 1×1"])
def test_one_image_left_over_for_batch_norm_is_noticed_at_the_start(kind, batch_size):
    run = with_one_value(kind)
    run.accumulate = 3
    before = everything(run)
    with pytest.raises(ShapeError, match=r"Trainer.fit, the last batch, of one image: .*drop_last=True"):
        run.fit(Loader(split(61), batch_size, shuffle=True), epochs=1)
    assert run.optimizer.steps == 0
    assert_same(everything(run), before)


@pytest.mark.parametrize(("images", "drop_last"), [(61, True), (62, False)])
def test_none_left_over_is_fine(images, drop_last):
    run = with_one_value("rows")
    run.fit(Loader(split(images), 10, drop_last=drop_last), epochs=1)
    assert run.optimizer.steps == 1


def test_one_image_is_enough_for_maps_of_several_pixels():
    trainer().fit(Loader(split(61), 10), epochs=1)


def test_batch_norm_s_own_error_names_the_remedy():
    with pytest.raises(ShapeError, match="drop_last"):
        with_one_value("rows").train_step(np.zeros((1, 6, 6, 1), "float32"), np.array([0]))


def test_patience_takes_validation():
    run = trainer(patience=2)
    with pytest.raises(OptionError, match=r"Trainer.fit: expected validation images, as there is patience, got none; "):
        run.fit(loader(), epochs=3)
    assert run.optimizer.steps == 0


class Fails(Exception):
    """Of the user's own code."""


def broken_validation(monkeypatch, error, at=1):
    calls, original = [], evaluate

    def fails(*arguments):
        calls.append(1)
        if len(calls) == at:
            raise error
        return original(*arguments)

    monkeypatch.setattr("xpcnn.training.trainer.evaluate", fails)


@pytest.mark.parametrize("error", [Fails("mine"), MemoryError(), KeyboardInterrupt()])
@pytest.mark.parametrize("at", [1, 2])
def test_an_error_at_the_end_of_an_epoch_loses_none(tmp_path, monkeypatch, error, at):
    whole = trainer(tmp_path / "whole")
    whole.fit(loader(), split(30, seed=1), epochs=3)
    with monkeypatch.context() as patch:
        broken_validation(patch, error, at)
        with pytest.raises(type(error)):
            trainer(tmp_path / "run").fit(loader(), split(30, seed=1), epochs=3)
    again, seen = trainer(tmp_path / "run"), []
    again.on_step = (lambda trainer, step: seen.append(step.step),)
    again.fit(loader(), split(30, seed=1), epochs=3, resume=True)
    assert seen == list(range(7 * at + 1, 22))  # no step is made again
    assert rows(again) == rows(whole)
    assert_same(everything(again), everything(whole))


def test_a_best_model_that_cannot_be_written_loses_none(tmp_path, monkeypatch):
    def full(*arguments, **options):
        raise FileError("model.safetensors", "to write a file", "No space left on device")

    run = trainer(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr("xpcnn.training.fitting.keep_best", full)
        with pytest.raises(FileError, match="No space left"):
            run.fit(loader(), split(30, seed=1), epochs=1)
    again = trainer(tmp_path)
    again.on_step = (lambda trainer, step: pytest.fail("no step is made again"),)
    again.fit(loader(), split(30, seed=1), epochs=1, resume=True)
    assert load_model(tmp_path / MODEL).input_shape == (6, 6, 1)


def test_any_size_is_validated_where_the_network_takes_any():
    model = Sequential(Conv2d(1, 3, 3, rng=0), GlobalAvgPool2d())
    run = Trainer(model, Adam(model.parameters()), verbose=False)
    larger = Split(np.zeros((4, 9, 8, 1), np.uint8), np.zeros(4, np.int64))
    assert len(run.fit(loader(), larger, epochs=1)) == 1


def test_a_second_fit_with_the_same_epochs_says_that_it_does_nothing():
    run = plain()
    run.fit(loader(), epochs=2)
    said = "Trainer.fit: 2 epochs are done already, and none is trained; epochs are counted in all: pass epochs=4 for 2"
    with pytest.warns(xpcnn.errors.XpcnnWarning, match=re.escape(said)):
        assert len(run.fit(loader(), epochs=2)) == 2
    assert run.optimizer.steps == 14
    run.fit(loader(), epochs=4)
    assert run.optimizer.steps == 28


def test_a_second_fit_after_patience_says_that_it_does_nothing():
    run = plain(patience=1)
    run.optimizer.lr, run.schedule = 0.0, xpcnn.optim.Constant(0.0)
    run.fit(loader(), split(9), epochs=5)
    assert len(run.history) == 2
    with pytest.warns(xpcnn.errors.XpcnnWarning, match="not improved for patience=1 epochs, and none is trained"):
        run.fit(loader(), split(9), epochs=5)


@pytest.mark.parametrize(
    ("criterion", "last", "said"),
    [
        (nn.CrossEntropyLoss(), nn.Softmax(), "CrossEntropyLoss takes logits, and the network ends in Softmax"),
        (nn.FocalLoss(), nn.Softmax(), "FocalLoss takes logits"),
        (nn.NLLLoss(), nn.Softmax(), "NLLLoss takes log-probabilities.*; let it end in LogSoftmax"),
        (nn.BCEWithLogitsLoss(), nn.Sigmoid(), "BCEWithLogitsLoss takes logits, and the network ends in Sigmoid"),
        (nn.CrossEntropyLoss(), nn.LogSoftmax(), None),
        (nn.NLLLoss(), nn.LogSoftmax(), None),
        (nn.MSELoss(), nn.Sigmoid(), None),
    ],
)
def test_an_activation_that_is_part_of_the_loss_is_told(criterion, last, said):
    for model in (
        nn.Sequential(nn.Linear(4, 3, rng=0), last),
        nn.Graph({"a": (nn.Linear(4, 3, rng=0), "x"), "b": (nn.Sequential(last), "a")}, inputs="x"),
    ):
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            Trainer(model, SGD(model.parameters(), lr=0.1), criterion, verbose=False)
        assert [bool(re.search(said or "", str(each.message))) for each in told] == [True] * (said is not None)
