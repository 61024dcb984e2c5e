"""Where xpcnn itself asks for predictions, a small network is planned, and the plan is never an old one."""

from __future__ import annotations

import copy
import pickle
import threading

import numpy as np
import pytest

import xpcnn
from xpcnn import data, models, nn, training
from xpcnn.cli.files import read_model
from xpcnn.errors import XpcnnError
from xpcnn.nn import predicting
from xpcnn.nn.predicting import Predictor

pytestmark = pytest.mark.skipif(
    not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="other arrays than NumPy's are not planned"
)
IMAGE = (12, 12, 1)


@pytest.fixture(autouse=True)
def _nothing_is_forced(monkeypatch):
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)


@pytest.fixture
def planned(monkeypatch):
    """The plans that are made, and the numbers of items that they were asked for."""
    asked: list[int] = []

    class Counted(nn.Plan):
        def __call__(self, x):
            asked.append(len(x))
            return super().__call__(x)

    monkeypatch.setattr(predicting, "Plan", Counted)
    return asked


def lenet():
    return models.lenet5(IMAGE, 3, rng=0)


def images(n, dtype="float32"):
    return np.random.default_rng(n).random((n, *IMAGE)).astype(dtype)


def test_any_number_of_images_is_planned(planned):
    model = lenet()
    network = Predictor(model, IMAGE)
    for n in (9, 3, 70, 1, 8):
        np.testing.assert_allclose(network(images(n)), model(images(n)), rtol=1e-5, atol=1e-6)
    assert planned == [9, 3, 70, 1, 8]


def test_an_evaluation_is_planned(planned):
    split = data.Split(images(70), np.arange(70) % 3)
    found = training.evaluate(lenet(), split, batch_size=64)
    assert planned == [64, 6]
    with xpcnn.use_implementation("reference"):
        assert found.loss == pytest.approx(training.evaluate(lenet(), split).loss, rel=1e-5)


def test_the_bits_do_not_depend_on_what_was_asked_before():
    first, second = Predictor(lenet(), IMAGE), Predictor(lenet(), IMAGE)
    for n in (9, 2, 1):
        first(images(n))
    assert (first(images(3)) == second(images(3))).all()


def test_what_changes_is_seen(planned):
    model = lenet()
    network = Predictor(model, IMAGE)
    network(images(1))
    model[0].weight *= 2
    model[3].weight = model[3].weight + 1
    np.testing.assert_allclose(network(images(1)), model(images(1)), rtol=1e-5, atol=1e-3)  # of hundreds
    model.load_state_dict({name: array / 3 for name, array in model.state_dict().items()})
    np.testing.assert_allclose(network(images(1)), model(images(1)), rtol=1e-5, atol=1e-3)  # of hundreds
    model.astype("float64")
    got = network(images(1, "float64"))
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, model(images(1, "float64")), rtol=1e-9)
    assert planned == [1] * 4
    model = nn.Sequential(nn.Conv2d(1, 2, 3, bias=False, rng=0))
    network = Predictor(model, IMAGE)
    network(images(1))
    model[0].bias = np.ones(2, np.float32)  # which a plan alone refuses
    np.testing.assert_allclose(network(images(1)), model(images(1)), rtol=1e-5, atol=1e-6)


class Observed(nn.Hooks):
    def __init__(self):
        self.seen = []

    def infer(self, name, layer, x):
        self.seen.append((name, float(x.max())))
        return layer(x)


class Own(nn.Layer):
    calls = 0

    def forward(self, x):
        self.calls += 1
        return 2 * x, None

    def backward(self, dy, cache, *, input_grad=True):
        return 2 * dy, {}


def test_nothing_runs_but_for_predictions(planned):
    hooks, own, x = Observed(), Own(), images(1)
    Predictor(nn.with_hooks(lenet(), hooks), IMAGE)(x)
    assert [name for name, _ in hooks.seen] == [name for name, layer in lenet().named_layers() if name]
    assert (Predictor(nn.Sequential(own, nn.ReLU()), IMAGE)(x) == 2 * x).all()
    assert own.calls == 1
    assert planned == []


@pytest.mark.parametrize("limit", ["MOST_BYTES", "MOST_NUMBERS"])
def test_what_would_need_much_memory_is_not_planned(planned, monkeypatch, limit):
    monkeypatch.setattr(predicting, limit, 100)
    Predictor(lenet(), IMAGE)(images(1))
    assert planned == []


def test_other_shapes_and_types_are_answered_as_by_the_network(planned):
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.GlobalAvgPool2d())
    network, x = Predictor(model, IMAGE), np.ones((1, 9, 9, 1), np.float32)
    assert (network(x) == model(x)).all()
    with pytest.raises(XpcnnError) as of_predictor:
        network(images(1, "float64"))
    with pytest.raises(XpcnnError) as of_model:
        model(images(1, "float64"))
    assert str(of_predictor.value) == str(of_model.value)
    assert (network(np.asfortranarray(images(2))) == network(images(2))).all()


def test_copies_and_pickles_make_plans_of_their_own():
    network = Predictor(lenet(), IMAGE)
    expected = network(images(2))
    for other in (pickle.loads(pickle.dumps(network)), copy.deepcopy(network)):
        assert other.model is not network.model
        assert (other(images(2)) == expected).all()
        other.model[0].weight[...] = 0
    assert (network(images(2)) == expected).all()


def test_threads_share_it():
    network, expected, wrong = Predictor(lenet(), IMAGE), Predictor(lenet(), IMAGE)(images(2)), []
    threads = [threading.Thread(target=lambda: wrong.append((network(images(2)) != expected).any())) for _ in range(8)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    assert wrong == [False] * 8


def test_a_saved_network_uses_it(planned, tmp_path):
    path = tmp_path / "m.safetensors"
    xpcnn.io.save_model(lenet(), path, input_shape=IMAGE, classes="abc")
    saved = xpcnn.load(path)
    one = (images(1) * 255).astype(np.uint8)
    first, second = saved.predict(one), saved.predict(one)
    assert first == second
    assert saved.outputs(one).tolist() == saved.outputs(one).tolist()
    assert planned == [1] * 4
    assert not saved._network._planned[1].frozen


def test_commands_freeze_the_network_that_they_alone_have(planned, tmp_path):
    path, model = tmp_path / "m.safetensors", lenet()
    xpcnn.io.save_model(model, path, input_shape=IMAGE, classes="abc")
    saved = read_model(path)
    x = (images(9) * 255).astype(np.uint8)
    expected = xpcnn.load(path).outputs(x)
    for network in (saved._network, pickle.loads(pickle.dumps(saved))._network):
        assert network.frozen
    np.testing.assert_allclose(saved.outputs(x), expected, rtol=1e-5)
    np.testing.assert_allclose(np.stack([saved.outputs(each)[0] for each in x]), expected, rtol=1e-4)
    assert saved._network._planned[1].frozen
    assert planned == [9, 9] + [1] * 9


def test_estimators_use_it(planned, tmp_path):
    sklearn = pytest.importorskip("xpcnn.sklearn")
    rng = np.random.default_rng(0)
    X, y = rng.random((30, 12, 12)), np.arange(30) % 3
    classifier = sklearn.CNNClassifier("lenet5", epochs=1, random_state=0).fit(X, y)
    planned.clear()
    before = classifier.predict_proba(X[:3])
    assert planned == [3]
    assert (pickle.loads(pickle.dumps(classifier)).predict_proba(X[:3]) == before).all()
    classifier.fit(X + rng.random(X.shape), y)
    np.testing.assert_allclose(classifier.predict_proba(X[:3]), classifier.predict_proba(X)[:3], rtol=1e-4)
    assert not np.allclose(classifier.predict_proba(X[:3]), before)
    classifier.partial_fit(X, y)
    np.testing.assert_allclose(classifier.predict_proba(X[:3]), classifier.predict_proba(X)[:3], rtol=1e-4)
    before = classifier.predict_proba(X[:3])
    xpcnn.io.save_model(classifier, tmp_path / "m.safetensors")
    planned.clear()
    assert (sklearn.load(tmp_path / "m.safetensors").predict_proba(X[:3]) == before).all()
    assert planned == [3]
    classifier.model_ = copy.deepcopy(classifier.model_)
    classifier.model_[0].weight[...] = 0
    assert not np.allclose(classifier.predict_proba(X[:3]), before)
