"""The estimators compute what they say, on images and rows, and work where scikit-learn's own do."""

from __future__ import annotations

import pickle

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone
from sklearn.datasets import load_diabetes, make_regression
from sklearn.metrics import accuracy_score
from sklearn.model_selection import GridSearchCV, cross_val_score, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import xpcnn
from xpcnn import nn
from xpcnn.data.source import Selected, as_source
from xpcnn.sklearn import CNNClassifier, CNNRegressor

from .small import quick


def test_probabilities_are_the_network_s(blobs):
    x, y = blobs
    fitted = quick().fit(x, y)
    weight, bias, last, last_bias = (array.astype("float64") for array in fitted.model_.state_dict().values())
    expected = np.zeros((len(x), 4))
    for i, row in enumerate((x - x.mean(0)) / x.std(0)):
        hidden = np.maximum(weight @ row + bias, 0)
        logits = last @ hidden + last_bias
        expected[i] = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(fitted.predict_proba(x), expected, rtol=1e-9)
    assert fitted.classes_.tolist() == ["a", "b", "c", "d"]
    assert (fitted.predict(x) == fitted.classes_[expected.argmax(1)]).all()
    assert fitted.score(x, y) == accuracy_score(y, fitted.predict(x)) > 0.8
    assert (fitted.n_iter_, len(fitted.history_), fitted.n_features_in_) == (5, 5, 2)


class Foreign:
    def __init__(self, array):
        self.array, self.shape, self.dtype = array, array.shape, array.dtype

    def __len__(self):
        return len(self.array)

    def __getitem__(self, positions):
        return self.array[positions]


def test_it_learns_the_images_in_every_form_alike(digits):
    x, y, test, labels = digits
    fitted = quick().fit(x, y)
    assert fitted.input_shape_ == (8, 8, 1)
    assert any(isinstance(layer, nn.Conv2d) for _, layer in fitted.model_.named_layers())
    expected = fitted.predict_proba(test)
    assert (expected.argmax(1) == labels).mean() > 0.93
    for shape in ((-1, 8, 8, 1), (-1, 64)):
        other = quick(image_shape=(8, 8)).fit(x.reshape(shape), y)
        np.testing.assert_array_equal(other.predict_proba(test.reshape(shape)), expected)
        np.testing.assert_array_equal(other.predict_proba(test), expected)
    images = Selected(as_source("test", "images", Foreign(test)), np.arange(len(test)))
    np.testing.assert_array_equal(fitted.predict_proba(images), expected)
    scaled = quick().fit(x.astype("float32") / 255, y)
    agree = scaled.predict(test.astype("float32") / 255) == expected.argmax(1)
    assert agree.mean() > 0.97  # rounding differs, and training carries it on


def test_probabilities_of_large_logits(blobs):
    x, y = blobs
    fitted = quick().fit(x, y)
    fitted.model_[-1].weight[...] *= 1e6  # as an optimizer writes
    probabilities = fitted.predict_proba(x)
    np.testing.assert_allclose(probabilities.sum(1), 1.0)
    assert probabilities.max(1).mean() > 0.9


def test_schedules_are_told_the_loss(rng):
    x, y = rng.normal(size=(60, 2)), np.arange(60) % 2  # nothing to be learned: the loss is soon as good as it gets
    options = {"optimizer": "sgd", "lr": 0.5, "epochs": 40}
    constant = quick(schedule="constant", **options).fit(x, y).predict_proba(x)
    assert not np.array_equal(quick(schedule="plateau", **options).fit(x, y).predict_proba(x), constant)


class Recorder(nn.Identity):
    """Remembers what it was given in training."""

    def __init__(self):
        self.batches = []

    def forward(self, x):
        self.batches.append(x[:, 0])
        return x, None

    def __call__(self, x):
        return x


def test_each_epoch_takes_all_rows_once_in_an_order_of_its_own(rng):
    recorder = Recorder()
    x = np.arange(70.0)[:, None]
    quick(model=lambda *_: nn.Sequential(recorder, nn.Linear(1, 2)), epochs=2).fit(x, np.arange(70) % 2)
    assert [len(batch) for batch in recorder.batches] == [24, 23, 23] * 2
    first, second = (np.concatenate(recorder.batches[i : i + 3]) for i in (0, 3))
    expected = (x[:, 0] - x.mean()) / x.std()
    for epoch in (first, second):
        np.testing.assert_allclose(np.sort(epoch), expected, rtol=1e-12, atol=1e-12)
        assert not np.array_equal(epoch, np.sort(epoch))
    assert not np.array_equal(first, second)


def test_standardisation_is_by_channel_in_images_and_by_feature_in_rows(rng):
    x = rng.normal([0.0, 50.0, -3.0], [1.0, 9.0, 0.1], size=(2100, 4, 5, 3))
    y = np.arange(2100) % 2
    images = quick(epochs=1).fit(x, y)
    np.testing.assert_allclose(images.scaler_.mean_, x.mean((0, 1, 2)), rtol=1e-10)
    np.testing.assert_allclose(images.scaler_.scale_, x.std((0, 1, 2)), rtol=1e-10)
    rows = quick(epochs=1).fit(x.reshape(2100, -1), y)
    np.testing.assert_allclose(rows.scaler_.mean_, x.reshape(2100, -1).mean(0), rtol=1e-10)
    assert rows.input_shape_ == (60,)


def test_it_computes_in_double_precision_only_for_doubles(blobs):
    x, y = blobs
    for dtype, expected in (("float64", "float64"), ("float32", "float32"), ("int64", "float32"), ("uint8", "float32")):
        given = (x / 30).astype(dtype)
        fitted = quick(epochs=1).fit(given, y)
        assert {str(array.dtype) for array in fitted.model_.state_dict().values()} == {expected}
        assert fitted.predict_proba(given).dtype == np.float64


def test_an_integer_random_state_gives_the_same_network(blobs):
    x, y = blobs
    first = quick(random_state=3, early_stopping=True).fit(x, y).predict_proba(x)
    np.testing.assert_array_equal(quick(random_state=3, early_stopping=True).fit(x, y).predict_proba(x), first)
    assert not np.array_equal(quick(random_state=4, early_stopping=True).fit(x, y).predict_proba(x), first)
    shared = np.random.RandomState(3)
    assert not np.array_equal(
        quick(random_state=shared).fit(x, y).predict_proba(x), quick(random_state=shared).fit(x, y).predict_proba(x)
    )


def test_pipelines_searches_and_validation(digits, blobs):
    x, y = blobs
    assert cross_val_score(make_pipeline(StandardScaler(), quick()), x, y, cv=2).mean() > 0.8
    search = GridSearchCV(quick(), {"lr": [1e-6, 0.01], "model": ["mlp", linear], "image_shape": [None]}, cv=2)
    search.fit(x, y)
    assert search.best_params_["lr"] == 0.01
    copy = clone(search.best_estimator_)
    assert copy.get_params() == search.best_estimator_.get_params()
    assert not hasattr(copy, "model_")
    images, labels, *_ = digits
    assert cross_val_score(quick(epochs=3), images, labels, cv=2).mean() > 0.8


def linear(input_shape, outputs, rng):
    return nn.Sequential(nn.Flatten(), nn.Linear(np.prod(input_shape), outputs, rng=rng))


def test_pickled_and_read_again(digits):
    x, y, test, _ = digits
    fitted = quick(epochs=1, model=linear).fit(x, y)
    again = pickle.loads(pickle.dumps(fitted))
    np.testing.assert_array_equal(again.predict_proba(test), fitted.predict_proba(test))
    assert again.get_params() == fitted.get_params()


def test_early_stopping_keeps_the_best_epoch(rng):
    x = rng.normal(size=(300, 20))
    y = (x[:, 0] + rng.normal(size=300) > 0).astype(int)  # much noise: it soon learns by heart
    fitted = CNNClassifier(
        epochs=200, early_stopping=True, validation_fraction=0.3, n_iter_no_change=7, random_state=0, lr=0.01
    ).fit(x, y)
    scores = [row["validation_score"] for row in fitted.history_]
    assert fitted.n_iter_ == len(scores) == int(np.argmax(scores)) + 1 + 7 < 200
    assert fitted.scaler_.n_samples_seen_ == 210  # the others are held out
    random = np.random.RandomState(0)
    random.randint(np.iinfo(np.int32).max)
    _, held, _, labels = train_test_split(x, y, test_size=0.3, stratify=y, random_state=random)
    assert fitted.score(held, labels) == max(scores) > scores[-1]


def test_class_weight(rng):
    x = rng.normal(size=(300, 1))
    y = (rng.random(300) < 0.1).astype(int)  # nothing to be learned but how many there are
    shares = [
        quick(class_weight=weight).fit(x, y).predict_proba(x)[:, 1].mean() for weight in (None, "balanced", {1: 1e4})
    ]
    assert shares[0] < 0.25
    assert 0.35 < shares[1] < 0.65
    assert shares[2] > 0.9


def test_a_network_of_one_s_own_and_a_short_last_batch(blobs):
    """33 rows in batches of 16: batch norm could not take a batch of one."""

    def make(input_shape, outputs, rng):
        return nn.Sequential(
            *(nn.Linear(input_shape[0], 16, rng=rng), nn.BatchNorm1d(16), nn.ReLU(), nn.Dropout(0.1, rng=rng)),
            nn.Linear(16, outputs, rng=rng),
        )

    x, y = blobs
    fitted = quick(model=make, epochs=60, batch_size=16, lr=0.02).fit(x[:33], y[:33])
    assert fitted.score(x[:33], y[:33]) > 0.8
    assert isinstance(fitted.model_[1], nn.BatchNorm1d)


def test_one_class_is_always_predicted(blobs):
    fitted = quick(epochs=1).fit(blobs[0], ["only"] * 200)
    assert set(fitted.predict(blobs[0])) == {"only"}
    np.testing.assert_array_equal(fitted.predict_proba(blobs[0]), np.ones((200, 1)))


def test_constant_features_do_no_harm(blobs):
    x, y = blobs
    fitted = quick().fit(np.hstack([x, np.full((200, 1), 7.0)]), y)
    assert fitted.score(np.hstack([x, np.full((200, 1), 7.0)]), y) > 0.8


def test_regression_with_several_targets(rng):
    x, y = make_regression(300, 6, n_targets=3, noise=1.0, random_state=0)
    y = y * [1.0, 1e6, 1e-6] + [0.0, 5e6, 3.0]
    fitted = CNNRegressor(random_state=0).fit(x[:200], y[:200])
    predicted = fitted.predict(x[200:])
    assert predicted.shape == (100, 3)
    for target in range(3):
        assert np.corrcoef(predicted[:, target], y[200:, target])[0, 1] > 0.97
    assert fitted.score(x[200:], y[200:]) > 0.9
    alone = CNNRegressor(random_state=0).fit(x[:200], y[:200, 1])
    assert alone.predict(x[200:]).shape == (100,)
    assert alone.score(x[200:], y[200:, 1]) > 0.9


def test_regression_on_images_and_with_early_stopping(digits):
    x, _, test, _ = digits
    fitted = CNNRegressor(epochs=8, early_stopping=True, random_state=0).fit(x, x[:, :, :4].mean((1, 2)))
    assert fitted.score(test, test[:, :, :4].mean((1, 2))) > 0.8
    assert all(row["validation_score"] <= 1 for row in fitted.history_)
    x, y = load_diabetes(return_X_y=True)
    assert CNNRegressor(early_stopping=True, random_state=0).fit(x[:300], y[:300]).score(x[300:], y[300:]) > 0.4


def test_on_every_backend(xp, blobs):
    x, y = blobs
    fitted = quick(epochs=2).fit(x, y)
    assert type(next(iter(fitted.model_.parameters().values()))).__module__.split(".")[0] == xp.backend
    with xpcnn.use_backend("numpy"):
        expected = quick(epochs=2).fit(x, y).predict_proba(x)
    np.testing.assert_allclose(fitted.predict_proba(x), expected, rtol=1e-6)
    assert CNNRegressor(epochs=2, random_state=0).fit(x, x).predict(x).shape == x.shape


def test_verbose_prints_a_line_an_epoch(blobs, capsys):
    quick(verbose=True, epochs=2, early_stopping=True).fit(*blobs)
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[:3] for line in lines] == [["epoch", "1", "loss"], ["epoch", "2", "loss"]]
    assert all("validation_score" in line for line in lines)
    quick(epochs=2).fit(*blobs)
    assert not capsys.readouterr().out
