"""An epoch's training loss is the criterion's of all its images together, however they are cut into batches."""

from __future__ import annotations

from functools import partial

import numpy as np
import pytest

import xpcnn
from tests.arrays import assert_close
from xpcnn.data import Loader, Split
from xpcnn.errors import NonFiniteError, XpcnnWarning
from xpcnn.nn import (
    BCEWithLogitsLoss,
    CrossEntropyLoss,
    Flatten,
    HingeLoss,
    HuberLoss,
    L1Loss,
    Linear,
    LogSoftmax,
    MSELoss,
    NLLLoss,
    Sequential,
)
from xpcnn.optim import SGD, Plateau
from xpcnn.training import STOP, Trainer, evaluate
from xpcnn.training.checkpoint import CHECKPOINT
from xpcnn.training.gradients import Gradients, batch_gradients, joined

from .small import assert_same, host

IMAGES = 97
WEIGHT = [0.1, 5.0, 5.0]
CRITERIA = {
    "plain": CrossEntropyLoss(),
    "weighted": CrossEntropyLoss(weight=WEIGHT),
    "a class of no weight": CrossEntropyLoss(weight=[0.0, 5.0, 1.0]),
    "weighted sum": CrossEntropyLoss(weight=WEIGHT, reduction="sum"),
    "smooth": CrossEntropyLoss(weight=WEIGHT, label_smoothing=0.2),
    "smooth, a class of no weight": CrossEntropyLoss(weight=[0.0, 5.0, 1.0], label_smoothing=0.2),
    "likelihood": NLLLoss(weight=WEIGHT),
    "hinge": HingeLoss(),
    "soft": CrossEntropyLoss(weight=WEIGHT),
    "squares": MSELoss(),
    "absolute": L1Loss(reduction="sum"),
    "huber": HuberLoss(),
    "binary": BCEWithLogitsLoss(pos_weight=WEIGHT),
}


def split(name, n=IMAGES):
    rng = np.random.default_rng(3)
    images = rng.integers(0, 256, (n, 3, 3, 1)).astype("uint8")
    labels = rng.choice(3, n, p=[0.7, 0.2, 0.1])
    if name == "soft":
        labels = rng.dirichlet([1, 1, 1], n).astype("float32")
    elif name in ("squares", "absolute", "huber"):
        labels = rng.normal(size=(n, 3)).astype("float32")
    elif name == "binary":
        labels = (rng.random((n, 3)) < 0.3).astype("float32")
    return Split(images, labels)


def network():
    return Sequential(Flatten(), Linear(9, 3, rng=0), LogSoftmax())


def trainer(criterion, lr=0.0, **options):
    model = network()
    return Trainer(model, SGD(model.parameters(), lr=lr), criterion, verbose=False, **options)


def of_all(criterion, images):
    """The criterion of all images at once; of one that sums, an image's share."""
    (x, y), *_ = Loader(images, len(images))
    loss = float(criterion(network()(x), y))
    return loss if criterion.reduction == "mean" else loss / len(images)


@pytest.mark.parametrize("accumulate", [1, 3])
@pytest.mark.parametrize("batch_size", [1, 8, IMAGES])
@pytest.mark.parametrize("name", CRITERIA)
def test_the_batches_size_makes_no_difference(name, batch_size, accumulate):
    criterion, images = CRITERIA[name], split(name)
    run = trainer(criterion, accumulate=accumulate)
    (row,) = run.fit(Loader(images, batch_size, shuffle=True), images, epochs=1)
    assert row.train_loss == pytest.approx(of_all(criterion, images), rel=1e-5)
    assert row.validation_loss == pytest.approx(row.train_loss, rel=1e-5)


@pytest.mark.parametrize("read_every", [1, 4, 50])
def test_losses_that_are_read_late_weigh_the_same(xp, read_every):
    criterion, images = CRITERIA["weighted"], split("weighted")
    (row,) = trainer(criterion, read_every=read_every).fit(Loader(images, 8), epochs=1)
    assert row.train_loss == pytest.approx(of_all(criterion, images), rel=1e-5)


def test_a_step_s_loss_is_that_of_its_images_and_the_plateau_hears_the_epoch_s(monkeypatch):
    criterion, images = CRITERIA["a class of no weight"], split("weighted")
    steps, heard, schedule = [], [], Plateau(0.0)
    monkeypatch.setattr(schedule, "observe", heard.append)
    run = trainer(criterion, schedule=schedule, on_step=[lambda trainer, step: steps.append(step)])
    (row,) = run.fit(Loader(images, 4), epochs=1)
    assert heard == [row.train_loss]
    for step, (x, y) in zip(steps, Loader(images, 4).epoch(0), strict=True):
        with np.errstate(invalid="ignore"):
            expected = float(criterion(network()(x), y))  # NaN where all weigh nothing
        assert step.loss == pytest.approx(expected, rel=1e-5, nan_ok=True)
    assert any(np.isnan(step.loss) for step in steps)


@pytest.mark.parametrize("stop_after", [1, 5])
def test_a_resumed_epoch_has_the_same_loss(tmp_path, stop_after):
    def run(folder, **options):
        return trainer(CRITERIA["weighted"], 0.1, folder=tmp_path / folder, **options)

    loader = Loader(split("weighted"), 8, shuffle=True)
    whole = run("whole").fit(loader, epochs=2)
    stop = [lambda trainer, step: STOP if step.step == stop_after else None]
    run("stopped", on_step=stop).fit(loader, epochs=2)
    again = run("stopped").fit(loader, epochs=2, resume=True)
    assert [row.train_loss for row in again] == [row.train_loss for row in whole]


@pytest.mark.parametrize("name", ["plain", "weighted"])
def test_a_checkpoint_without_items_is_gone_on_with_and_says_what_is_not_exact(tmp_path, name):
    """Those of xpcnn 0.1 know images only; without class weights these are the items."""
    criterion, loader = CRITERIA[name], Loader(split(name), 8)
    stop = [lambda trainer, step: STOP if step.step == 5 else None]
    trainer(criterion, folder=tmp_path, on_step=stop).fit(loader, epochs=1)
    path = tmp_path / CHECKPOINT
    forget_items(path)
    again = trainer(criterion, folder=tmp_path)
    if name == "weighted":
        with pytest.warns(XpcnnWarning, match="resume: the training loss of epoch 1, which xpcnn 0.1 began, is not"):
            again.fit(loader, epochs=1, resume=True)
    else:
        (row,) = again.fit(loader, epochs=1, resume=True)
        assert row.train_loss == pytest.approx(of_all(criterion, split(name)), rel=1e-5)


def forget_items(path):
    tensors, metadata = xpcnn.io.read_tensors(path)
    del metadata["position"]["items"]
    xpcnn.io.write_tensors(path, tensors, {key: value for key, value in metadata.items() if key != "format"})


def batches(xp, labels):
    rng = np.random.default_rng(7)
    images = rng.normal(size=(len(labels), 3, 3, 1))
    return xp.array(images), xp.array(np.asarray(labels))


SMOOTH = partial(CrossEntropyLoss, label_smoothing=0.2)  # the classes that an item is not have weights


@pytest.mark.parametrize("kind", [CrossEntropyLoss, NLLLoss, SMOOTH], ids=["plain", "likelihood", "smooth"])
@pytest.mark.parametrize("order", [([0, 0], [1, 2, 0]), ([1, 2, 0], [0, 0]), ([0], [0, 0], [2])])
def test_a_part_without_a_mean_counts_as_its_sum(xp, kind, order):
    """A step on several batches is one on all their images, also where the class weights of one part are all 0."""
    criterion, model = kind(weight=[0.0, 2.0, 1.0]), network().astype("float64")
    x, y = batches(xp, np.concatenate(order))
    whole, total, start = batch_gradients(model, criterion, x, y), None, 0
    for part in order:
        images, labels = x[start : start + len(part), ...], y[start : start + len(part)]
        start += len(part)
        with np.errstate(invalid="ignore"):
            given = batch_gradients(model, criterion, images, labels)
        assert given.finite()
        total = given if total is None else joined(total, given, "mean")
    assert_close(total.loss, np.asarray(xpcnn.to_numpy(whole.loss)))
    for key, gradient in whole.grads.items():
        assert_close(total.grads[key], xpcnn.to_numpy(gradient))


@pytest.mark.parametrize("shards", [1, 2])
@pytest.mark.parametrize("kind", [CrossEntropyLoss, SMOOTH], ids=["plain", "smooth"])
def test_a_step_whose_images_weigh_nothing_moves_nothing(xp, kind, shards):
    run = trainer(kind(weight=[0.0, 2.0, 1.0]), 0.1, shards=shards)
    before = host(run.model.state_dict())
    x, y = batches(xp, [0, 0])
    x = xp.array(xpcnn.to_numpy(x), "float32")
    done = run.train_step(x, y, (x, y))
    assert (float(done.items), float(done.loss) > 0) == (0, kind is SMOOTH)
    assert_same(host(run.model.state_dict()), before)


def test_images_that_all_weigh_nothing_have_no_loss():
    images = Split(split("plain", 8).images, np.zeros(8, np.int64))
    with pytest.raises(NonFiniteError, match="expected a mean loss, got class weights of 0 for all images of epoch 1"):
        trainer(CrossEntropyLoss(weight=[0.0, 2.0, 1.0])).fit(Loader(images, 3), epochs=1)


def test_two_parts_that_weigh_nothing_join_to_one_that_does():
    nothing = Gradients(np.float32(0), 0, np.float32(0), {"w": np.zeros(2, "float32")})
    both = joined(nothing, nothing, "mean")
    assert (float(both.loss), float(both.items), both.grads["w"].tolist()) == (0, 0, [0, 0])


def test_evaluation_agrees():
    criterion, images = CRITERIA["smooth"], split("smooth")
    assert evaluate(network(), images, criterion, batch_size=5).loss == pytest.approx(
        of_all(criterion, images), rel=1e-5
    )
