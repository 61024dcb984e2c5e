"""The trainer's records are true: sums over unequal batches, the best epoch, the loss that the schedule observes.

Accuracies and losses are scripted, so that each number can be checked by hand.
"""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, Split
from xpcnn.errors import FormatError, NonFiniteError, OptionError
from xpcnn.io import load_model
from xpcnn.nn import BatchNorm1d, CrossEntropyLoss, Dropout, Flatten, HingeLoss, Linear, MSELoss, Sequential
from xpcnn.optim import SGD, Adam, AdamW, Constant, Cosine, Plateau
from xpcnn.training import Evaluation, Trainer, evaluate
from xpcnn.training.config import RunConfig
from xpcnn.training.fitting import Fitting
from xpcnn.training.run import start


def split(n=10, seed=0):
    rng = np.random.default_rng(seed)
    return Split(rng.integers(0, 256, (n, 2, 2, 1)).astype("uint8"), rng.integers(0, 3, n))


def linear(lr=0.0, folder=None, **options):
    model = Sequential(Flatten(), Linear(4, 3, rng=0))
    return Trainer(model, SGD(model.parameters(), lr=lr), folder=folder, verbose=False, **options)


def scripted(monkeypatch, results):
    """Validation that gives these (accuracy, loss) one after the other, while the weights count the epochs."""
    results = iter(results)

    def evaluate(model, *rest):
        model[1].bias[...] = model[1].bias + 1.0
        accuracy, loss = next(results)
        return Evaluation(loss, accuracy, 1.0, np.zeros((3, 3), int))

    monkeypatch.setattr("xpcnn.training.trainer.evaluate", evaluate)


@pytest.mark.parametrize(
    ("results", "best"),
    [
        ([(0.5, 1.0), (0.7, 0.9), (0.6, 0.1)], 2),  # accuracy comes first, not the loss
        ([(0.5, 1.0), (0.7, 0.9), (0.7, 0.8), (0.7, 0.85)], 3),  # of equal accuracies the lower loss
        ([(0.9, 0.1), (0.5, 0.5), (0.7, 0.4)], 1),  # better than the last one is not better than the best
    ],
)
def test_the_best_epoch_is_kept(tmp_path, monkeypatch, results, best):
    scripted(monkeypatch, results)
    run = linear(folder=tmp_path)
    run.fit(Loader(split(), 4), split(), epochs=len(results))
    assert run.position.best_epoch == best
    assert all(row.seconds > 0 for row in run.history)
    kept = load_model(tmp_path / "model.safetensors").model
    np.testing.assert_array_equal(kept[1].bias, np.full(3, best, "float32"))


def test_the_batches_size_makes_no_difference_to_a_weighted_loss():
    criterion = CrossEntropyLoss(weight=[0.1, 5.0, 1.0])
    images, model = split(), linear().model
    (x, y), *_ = Loader(images, 10).epoch(0)
    for batch_size in (1, 3, 10):
        tested = evaluate(model, images, criterion, batch_size=batch_size)
        assert tested.loss == pytest.approx(float(criterion(model(x), y)), rel=1e-6)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_losses_are_means_over_images_whatever_the_batches(reduction):
    """10 images in batches of 4, 4 and 2: the last batch counts for its two images only."""
    criterion = CrossEntropyLoss(reduction=reduction)
    images = split()
    (x, y), *_ = Loader(images, 10).epoch(0)
    run = linear(criterion=criterion)
    logits = run.model(x)
    expected = float(CrossEntropyLoss()(logits, y))
    accuracy = float(np.mean(logits.argmax(axis=1) == y))
    run.fit(Loader(images, 4), epochs=1)  # lr = 0: the weights stay
    assert run.history[0].train_loss == pytest.approx(expected, rel=1e-6)
    assert run.history[0].train_accuracy == accuracy
    for batch_size in (3, 4, 10):
        tested = evaluate(run.model, images, criterion, batch_size=batch_size)
        assert tested.loss == pytest.approx(expected, rel=1e-6)
        assert tested.accuracy == accuracy


def test_evaluation_is_inference():
    """Running statistics and no dropout, and the model stays as it is."""
    model = Sequential(Flatten(), BatchNorm1d(4), Dropout(0.9, rng=0), Linear(4, 3, rng=0))
    images = split(7)
    before = {name: array.copy() for name, array in model.state_dict().items()}
    (x, y), *_ = Loader(images, 7).epoch(0)
    expected = model[3](model[1](model[0](x)))  # no dropout
    tested = evaluate(model, images, batch_size=3)
    assert tested.loss == pytest.approx(float(CrossEntropyLoss()(expected, y)), rel=1e-6)
    for name, array in model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])


def test_targets_of_a_regression_are_no_numbers_of_outputs():
    model, images = Sequential(Flatten(), Linear(4, 1, rng=0)), split()
    targets = Split(images.images, np.arange(10, dtype=np.float32)[:, None] + 5)
    y = xpcnn.to_numpy(model(images.images.astype("float32") / 255))
    expected = ((y - targets.labels) ** 2).mean()
    assert evaluate(model, targets, MSELoss(), batch_size=4).loss == pytest.approx(expected, rel=1e-5)


def test_rows_of_the_confusion_are_the_true_classes():
    model, images = Sequential(Flatten(), Linear(4, 3, rng=0)), split()
    model[1].weight[...], model[1].bias[...] = 0.0, np.array([0.0, 1.0, 0.0])  # class 1, whatever the image
    counts = np.bincount(images.labels, minlength=3)
    np.testing.assert_array_equal(evaluate(model, images).confusion, [[0, n, 0] for n in counts])


def test_an_evaluation_takes_so_many_images_at_once():
    class Counts(Flatten):
        def __call__(self, x):
            seen.append(len(x))
            return super().__call__(x)

    seen = []
    evaluate(Sequential(Counts(), Linear(4, 3, rng=0)), split(), batch_size=4)
    assert seen == [4, 4, 2]


def test_neither_a_loss_nor_a_score_that_is_infinite_is_given():
    images = split()
    model = Sequential(Flatten(), Linear(4, 3, rng=0))
    model[1].bias[...] = np.array([0.0, 0.0, -np.inf])
    zeros = Split(images.images, np.zeros(10, np.int64))  # whose loss is finite
    with pytest.raises(NonFiniteError, match="finite logits and loss"):
        evaluate(model, zeros)
    model[1].bias[...] = 1e30  # whose square is too large for float32
    targets = Split(images.images, np.zeros((10, 3), np.float32))
    with pytest.raises(NonFiniteError, match="finite logits and loss"):
        evaluate(model, targets, MSELoss())


def test_top_five_is_of_five():
    model = Sequential(Flatten(), Linear(4, 10, rng=0))
    images = Split(split(40).images, np.arange(40) % 10)
    (x, y), *_ = Loader(images, 40).epoch(0)
    order = np.argsort(-model(x), axis=1)
    share = np.mean([label in row[:5] for label, row in zip(y, order, strict=True)])
    assert evaluate(model, images).top5_accuracy == share


def test_the_schedule_observes_the_validation_loss(monkeypatch):
    heard = []
    schedule = Plateau(0.0)
    monkeypatch.setattr(schedule, "observe", heard.append)
    scripted(monkeypatch, [(0.5, 3.0), (0.4, 2.0)])
    linear(schedule=schedule).fit(Loader(split(), 4), split(), epochs=2)
    assert heard == [3.0, 2.0]
    run = linear(schedule=schedule)
    run.fit(Loader(split(), 4), epochs=1)
    assert heard[2:] == [run.history[0].train_loss]


def test_a_plateau_that_has_fired_is_resumed_as_such(tmp_path, monkeypatch):
    def run():
        return linear(lr=0.5, folder=tmp_path, schedule=Plateau(0.5, factor=0.1, patience=0))

    scripted(monkeypatch, [(0.5, 1.0), (0.5, 2.0)])
    run().fit(Loader(split(), 4), split(), epochs=2)
    scripted(monkeypatch, [(0.5, 0.5)])
    again = run()
    again.fit(Loader(split(), 4), split(), epochs=3, resume=True)
    assert [row.lr for row in again.history] == [0.5, 0.5, 0.05]


def test_a_row_s_learning_rate_survives_a_stop_at_the_end_of_its_epoch(tmp_path, monkeypatch):
    def run():
        return linear(lr=0.7, folder=tmp_path, schedule=Cosine(0.1, total=9))

    first, save = run(), Fitting.save

    def save_and_stop(self):
        save(self)
        if first.position.batch == 3:  # the last batch of the epoch is done, its row is not written
            raise KeyboardInterrupt

    first.checkpoint_seconds = 0.0
    monkeypatch.setattr(Fitting, "save", save_and_stop)
    with pytest.raises(KeyboardInterrupt):
        first.fit(Loader(split(), 4), epochs=3)
    monkeypatch.undo()
    again = run()
    again.fit(Loader(split(), 4), epochs=3, resume=True)
    assert [row.lr for row in again.history] == [Cosine(0.1, total=9).lr_at(step) for step in (2, 5, 8)]


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"optimizer": Adam}, "optimizer Adam"),
        ({"optimizer": AdamW}, "optimizer AdamW"),
        ({"schedule": Constant(0.1)}, "schedule Constant"),
        ({"criterion": HingeLoss()}, r"criterion HingeLoss\(.*, got CrossEntropyLoss"),
        ({"criterion": CrossEntropyLoss(label_smoothing=0.1)}, r"criterion .*label_smoothing=0.1"),
        ({"batch_size": 5}, "batch size 5"),
        ({"seed": 1}, "shuffling"),
        ({"buffer": 5}, "buffer 5, got None"),
        ({"images": 9}, "the 10 training images that the run began with, got 9"),
    ],
)
def test_another_run_s_checkpoint_is_refused_and_changes_nothing(tmp_path, change, text):
    def build(optimizer=SGD, schedule=None, criterion=None, batch_size=4, images=10, **order):
        model = Sequential(Flatten(), Linear(4, 3, rng=0))
        schedule = schedule or Cosine(0.1, total=9)
        optimizer = optimizer(model.parameters(), lr=0.1)
        trainer = Trainer(model, optimizer, criterion, schedule=schedule, folder=tmp_path, verbose=False)
        return trainer, Loader(split(images), batch_size, shuffle=True, **order)

    trainer, loader = build()
    trainer.fit(loader, epochs=1)
    other, loader = build(**change)
    before = {name: array.copy() for name, array in other.model.state_dict().items()}
    with pytest.raises(FormatError, match=text):
        other.fit(loader, epochs=2, resume=True)
    for name, array in other.model.state_dict().items():
        np.testing.assert_array_equal(array, before[name])
    assert other.optimizer.steps == 0


def test_an_optimizer_of_other_arrays_is_refused():
    model, other = (Sequential(Flatten(), Linear(4, 3, rng=0)) for _ in range(2))
    with pytest.raises(OptionError, match=r"an optimizer of this model's parameters"):
        Trainer(model, SGD(other.parameters(), lr=0.1))
    optimizer = SGD(model.parameters(), lr=0.1)
    Trainer(model.astype("float32"), optimizer)  # the dtype that it has: the arrays stay
    with pytest.raises(OptionError, match="after any astype"):
        Trainer(model.astype("float64"), optimizer)


@pytest.mark.parametrize(
    "options", [{"clip_norm": 0.0}, {"patience": 0}, {"patience": 1.5}, {"checkpoint_seconds": -1}]
)
def test_options_are_checked_at_once(options):
    with pytest.raises(OptionError, match=f"Trainer: expected {next(iter(options))}"):
        linear(**options)


def test_an_infinite_validation_loss_is_named(monkeypatch):
    model = Sequential(Flatten(), Linear(4, 3, rng=0))
    model[1].bias[...] = math.inf
    with pytest.raises(xpcnn.errors.NonFiniteError, match="finite logits and loss"):
        evaluate(model, split())


def test_a_run_trains_on_the_rest_and_tests_the_best_model(tmp_path, monkeypatch):
    """Held-out images are not trained on; the weight decay is used; the result is that of the saved model."""
    built = []
    original = Trainer.__init__

    def remember(self, *arguments, **options):
        original(self, *arguments, **options)
        built.append(self)

    monkeypatch.setattr(Trainer, "__init__", remember)
    fitted = []
    fit = Trainer.fit
    monkeypatch.setattr(
        Trainer, "fit", lambda self, *a, **o: fitted.append(a) or fit(self, *a, **o)
    )  # loader, validation
    config = RunConfig("digits", "mlp", epochs=3, lr=0.05, optimizer="sgd", schedule="constant", weight_decay=0.25)
    result = start(config, tmp_path / "run", verbose=False)
    (loader, validation), *_ = fitted
    assert built[0].optimizer.weight_decay == 0.25
    train = {image.tobytes() for image in loader.split.images}
    held = [image.tobytes() for image in validation.images]
    assert len(loader.split) + len(validation) == 1437
    assert len(validation) == 144
    assert sum(image in train for image in held) <= 1  # two scans of one digit may be equal
    saved = load_model(tmp_path / "run" / "model.safetensors").model
    assert result["test_accuracy"] == evaluate(saved, xpcnn.data.digits().test).accuracy
    assert json.loads((tmp_path / "run" / "result.json").read_text()) == result
    assert result["best_epoch"] == 1 + int(
        np.argmax([(row.validation_accuracy - 1e-9 * row.validation_loss) for row in built[0].history])
    )


def test_the_result_is_that_of_the_best_model_not_of_the_last(tmp_path, monkeypatch):
    step = Trainer.train_step

    def spoil(self, x, y):
        if self.position.epoch == 2:  # the last epoch ruins the model
            for array in self.model.parameters().values():
                array[...] = 0.0
        return step(self, x, y)

    monkeypatch.setattr(Trainer, "train_step", spoil)
    result = start(RunConfig("digits", "mlp", epochs=3, lr=0.01, optimizer="sgd"), tmp_path / "run", verbose=False)
    assert result["best_epoch"] == 2
    assert result["test_accuracy"] > 0.5
