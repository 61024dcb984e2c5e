"""The estimators' own training loop: its losses, what it refuses to keep, and how much it looks at together."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("sklearn")

from tests.limits import at_most
from xpcnn.errors import NonFiniteError
from xpcnn.nn import Flatten, Linear, MaxPool2d, Sequential
from xpcnn.optim import OPTIMIZERS, SGD
from xpcnn.sklearn import CNNClassifier


@pytest.mark.parametrize("batch_size", [1, 8, 97])
def test_the_loss_is_weighted_by_the_classes_weights(batch_size):
    """At almost no learning rate it is that of all items, however they are cut into batches."""
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(97, 4)), rng.choice(3, 97, p=[0.8, 0.1, 0.1])
    options = {"lr": 1e-30, "optimizer": "sgd", "weight_decay": 0.0, "epochs": 1, "random_state": 0}
    weight = {0: 0.1, 1: 5.0, 2: 5.0}
    fitted = CNNClassifier("mlp", batch_size=batch_size, class_weight=weight, **options).fit(X, y)
    chosen = fitted.predict_proba(X)[np.arange(97), y]
    weights = np.array([weight[label] for label in y])
    expected = -(weights * np.log(chosen)).sum() / weights.sum()
    assert fitted.history_[0]["loss"] == pytest.approx(expected, rel=1e-6)


def test_a_class_that_weighs_nothing_is_left_out_of_the_loss_and_classes_that_all_do_are_refused():
    X, y = np.random.default_rng(0).normal(size=(20, 4)), np.arange(20) % 2
    options = {"epochs": 2, "batch_size": 1, "random_state": 0}
    fitted = CNNClassifier("mlp", class_weight={0: 0.0, 1: 1.0}, **options).fit(X, y)
    assert all(np.isfinite(row["loss"]) for row in fitted.history_)
    with pytest.raises(NonFiniteError, match=r"a finite loss, got nan in epoch 1; give a class .* class_weight"):
        CNNClassifier("mlp", class_weight={0: 0.0, 1: 0.0}, **options).fit(X, y)


class Spoils(SGD):
    """Whose last step, the 6th, overflows."""

    def step(self, grads):
        super().step(grads)
        if self.steps == 6:
            next(iter(self.parameters.values()))[0, 0] = np.inf


@pytest.mark.parametrize("early_stopping", [False, True])
def test_weights_that_the_last_step_made_infinite_are_none_to_predict_with(monkeypatch, early_stopping):
    monkeypatch.setitem(OPTIMIZERS, "sgd", lambda parameters, lr, weight_decay: Spoils(parameters, lr=lr))
    X, y = np.random.default_rng(0).normal(size=(24, 4)), np.arange(24) % 2
    options = {"epochs": 2, "batch_size": 6 if early_stopping else 8, "validation_fraction": 0.25, "random_state": 0}
    estimator = CNNClassifier("mlp", optimizer="sgd", early_stopping=early_stopping, **options)
    with pytest.raises(NonFiniteError, match=r"CNNClassifier: expected finite weights, .* after epoch 2; lower lr"):
        estimator.fit(X, y)


def test_prediction_takes_as_few_images_at_a_time_as_training(monkeypatch):
    seen = []

    class Counts(Flatten):
        def __call__(self, x):
            seen.append(len(x))
            return super().__call__(x)

    def model(input_shape, outputs, rng):
        return Sequential(Counts(), Linear(int(np.prod(input_shape)), outputs, rng=rng))

    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(40, 64, 64, 3)).astype("float32"), np.arange(40) % 2
    fitted = CNNClassifier(model, epochs=1, batch_size=4, random_state=0).fit(X, y)
    expected = fitted.predict_proba(X)
    assert max(seen) == 4
    fitted.batch_size = 40
    np.testing.assert_allclose(fitted.predict_proba(X), expected, rtol=1e-4, atol=1e-6)


def test_the_scaler_converts_few_large_images_at_a_time():
    X, y = np.zeros((64, 128, 128, 3), "float32"), np.arange(64) % 2
    X[:, 0, 0, 0] = 1
    fitted = CNNClassifier(flat, epochs=1, batch_size=4, random_state=0)
    with at_most(1.8 * X.nbytes):  # the standardised copy is 1, and all of them in float64 would be 2 more
        fitted.fit(X, y)


def flat(input_shape, outputs, rng):
    return Sequential(MaxPool2d(32), Flatten(), Linear(48, outputs, rng=rng))
