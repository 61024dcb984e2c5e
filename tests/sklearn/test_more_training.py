"""Weights of items, several labels, data in parts, warm starts, augmentation, evaluation sets, hints on flat images."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.datasets import load_digits
from sklearn.metrics import f1_score, r2_score

from xpcnn.backend import to_numpy
from xpcnn.errors import OptionError, ShapeError, XpcnnWarning
from xpcnn.nn import BCEWithLogitsLoss, CrossEntropyLoss, MSELoss
from xpcnn.sklearn import CNNClassifier, CNNRegressor
from xpcnn.sklearn.flat_images import looks_like

from .small import quick

STILL = {"lr": 1e-30, "optimizer": "sgd", "weight_decay": 0.0}  # it stays as it began


@pytest.mark.parametrize("criterion", [CrossEntropyLoss(), BCEWithLogitsLoss(), MSELoss()])
def test_an_item_of_weight_three_is_three_items(xp, rng, criterion):
    host, y = xp.normal(rng, 4, 3)
    t = rng.integers(0, 3, 4) if criterion.classifies else rng.integers(0, 2, (4, 3)).astype(host.dtype)
    times = [1, 3, 1, 2]
    target, weight = xp.array(t), xp.array(np.array(times, "f4"))
    loss, cache = criterion.forward(y, target, item_weight=weight)
    repeated, its_cache = criterion.forward(xp.array(np.repeat(host, times, 0)), xp.array(np.repeat(t, times, 0)))
    np.testing.assert_allclose(to_numpy(loss), to_numpy(repeated), rtol=1e-6)
    starts = np.cumsum([0, *times[:-1]])
    expected = np.add.reduceat(to_numpy(criterion.backward(its_cache)), starts, axis=0)
    np.testing.assert_allclose(to_numpy(criterion.backward(cache)), expected, rtol=1e-5, atol=1e-7)
    assert float(criterion.items(y, target, item_weight=weight)) == 7


def test_weights_of_items_and_of_classes_multiply(rng):
    X, y, weight = rng.normal(size=(50, 3)), rng.integers(0, 3, 50), rng.random(50)
    fitted = quick(epochs=1, class_weight={0: 1, 1: 2, 2: 5}, **STILL).fit(X, y, weight)
    whole = weight * np.array([1, 2, 5])[y]
    chosen = fitted.predict_proba(X)[np.arange(50), y]
    assert fitted.history_[0]["loss"] == pytest.approx(-(whole * np.log(chosen)).sum() / whole.sum(), rel=1e-6)


def test_several_labels(rng):
    X = rng.normal(size=(300, 4))
    Y = (X[:, :3] + rng.normal(0, 0.2, (300, 3)) > [0, 0.8, -0.5]).astype(int)
    fitted = CNNClassifier(epochs=30, random_state=0, class_weight="balanced").fit(X[:200], Y[:200])
    assert f1_score(Y[200:], fitted.predict(X[200:]), average="macro") > 0.8
    assert ((fitted.predict_proba(X) > 0.5) == fitted.predict(X)).all()
    assert fitted.predict_proba(X).sum(1).max() > 1.5
    yes = Y[:200].sum(0)
    balanced = fitted._classes.loss("", "balanced", Y[:200], None).pos_weight
    assert balanced == pytest.approx((200 - yes) / yes)
    part = fitted._classes.loss("", "balanced", Y, np.repeat([1.0, 0.0], [200, 100]))  # an item of weight 0 is none
    assert part.pos_weight == pytest.approx(balanced)
    with pytest.raises(OptionError, match="expected several labels an item, as in fit"):
        fitted.set_params(warm_start=True).fit(X, Y[:, 0])
    with pytest.raises(ShapeError, match="3 labels, as in fit"):
        fitted.fit(X, Y[:, :2])


def test_data_in_parts_are_learnt_as_a_whole(digits):
    x, y, test, labels = digits
    parts, x = quick(model="mlp", batch_size=16), x.astype("float32")
    for begin in [*range(0, 600, 100)] * 4:
        parts.partial_fit(x[begin : begin + 100], y[begin : begin + 100], classes=range(10))
    assert (parts.predict(test) == labels).mean() > 0.85
    np.testing.assert_allclose(parts.scaler_.mean_, x.mean(), rtol=1e-5)
    assert [row["epoch"] for row in parts.history_] == list(range(1, 25))
    numbers, rows = CNNRegressor(random_state=0), x.reshape(600, 64)[:, 16:24]
    for begin in [0, 300] * 8:
        numbers.partial_fit(rows[begin : begin + 300], rows[begin : begin + 300].mean(1))
    assert r2_score(rows.mean(1), numbers.predict(rows)) > 0.9


def test_a_warm_start_goes_on(blobs):
    x, y = blobs
    fitted = quick(warm_start=True).fit(x, y)
    losses = [row["loss"] for row in fitted.history_]
    model = fitted.model_
    again = [row["loss"] for row in fitted.fit(x, y).history_]
    assert fitted.model_ is model
    assert again[0] < losses[0] / 2
    with pytest.raises(OptionError, match="classes among"):
        fitted.fit(x, np.where(y == "a", "other", y))
    assert quick().fit(x, y).fit(x, y).history_[0]["loss"] == losses[0]  # without, it begins anew


def test_an_evaluation_set_is_validated_on_and_chooses_the_epoch(rng):
    X, y = rng.normal(size=(200, 20)), rng.integers(0, 2, 200)
    stopped = quick(epochs=30, early_stopping=True, n_iter_no_change=5, lr=0.02)
    kept = stopped.fit(X[:100], y[:100], eval_set=(X[100:], y[100:]))
    scores = [row["validation_score"] for row in kept.history_]
    assert kept.score(X[100:], y[100:]) == max(scores)
    assert kept.scaler_.n_samples_seen_ == 100  # nothing of X is held out
    seen = CNNRegressor(epochs=2, random_state=0).fit(X[:100], X[:100, 0], eval_set=(X[100:], X[100:, 0]))
    assert seen.score(X[100:], X[100:, 0]) == pytest.approx(seen.history_[-1]["validation_score"])
    with pytest.raises(OptionError, match=r"a pair \(X, y\)"):
        quick().fit(X, y, eval_set=X)


def test_images_are_augmented_and_rows_are_not(digits):
    x, y, _, _ = digits
    seen = []

    def record(images, labels, rng):
        seen.append(images.shape)
        return images, labels

    quick(epochs=1, augment=record).fit(x[:64], y[:64])
    assert seen == [(32, 8, 8, 1)] * 2
    for text in ("crop:1,shift:1", "mixup:0.2"):
        assert quick(epochs=1, augment=text).fit(x[:64], y[:64]).n_iter_ == 1
    for options, given, text in (
        ({"augment": "flip"}, x[:64].reshape(64, 64) * 0 + 1, "images, as there is augment"),
        ({"augment": "brightness:0.1"}, x[:64], "standardised"),
        ({"augment": 3}, x[:64], "text, or a function"),
    ):
        with pytest.raises(OptionError, match=text):
            quick(epochs=1, **options).fit(given, y[:64])


def test_flat_rows_that_look_like_images_get_a_hint(rng):
    X, y = load_digits(return_X_y=True)
    with pytest.warns(XpcnnWarning, match=r"look like images \(8, 8\).*pass image_shape=\(8, 8\)"):
        quick(epochs=1).fit(X[:100], y[:100])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        quick(epochs=1, model="mlp").fit(X[:100], y[:100])
        quick(epochs=1, image_shape=(8, 8)).fit(X[:100], y[:100])
    curves = np.abs(rng.normal(size=(100, 256))).cumsum(1)
    for rows in (rng.random((100, 64)), curves, np.sin(curves / 9) + 1, rng.poisson(0.1, (100, 400)), np.ones((9, 64))):
        assert looks_like(rows) is None
    colours = np.repeat(np.repeat(rng.random((20, 4, 4, 3)), 4, 1), 4, 2).reshape(20, -1)
    assert looks_like(colours) == (16, 16, 3)


@pytest.mark.parametrize(
    ("call", "text"),
    [
        (lambda x, y: quick().partial_fit(x, y), "classes in the first call"),
        (lambda x, y: quick(class_weight="balanced").partial_fit(x, y, np.unique(y)), "class_weight by classes"),
        (lambda x, y: quick().partial_fit(x, y, ["a", "b"]), "classes among"),
        (lambda x, y: quick(epochs=1).fit(x, y).partial_fit(x, y, ["a"]), "classes"),
        (lambda x, y: quick(class_weight={9: 1}).fit(x, np.eye(4, dtype=int)[np.arange(200) % 4] | 1), "by labels"),
    ],
)
def test_what_is_refused(blobs, call, text):
    with pytest.raises(OptionError, match=text):
        call(*blobs)
