"""A fitted estimator goes to a file, to ONNX Runtime and back with the same numbers, on its own inputs."""

from __future__ import annotations

import json
import warnings
from contextlib import suppress

import numpy as np
import pytest

pytest.importorskip("sklearn")

from sklearn.base import clone

import xpcnn
from xpcnn import data, exchange, io, nn, sklearn
from xpcnn.cli import main
from xpcnn.errors import FormatError, OptionError
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.sklearn import CNNClassifier, CNNRegressor

from .small import quick

N = 40
RNG = np.random.default_rng(0)
ROWS = RNG.normal([5.0, -300.0, 0.1], [1.0, 50.0, 0.01], (N, 3))
IMAGES = RNG.integers(0, 256, (N, 8, 8, 2)).astype("uint8")
LABELS = (RNG.random((N, 3)) < 0.4).astype(int)
CASES = {
    "rows": (quick, ROWS, np.array(["yes", "no"])[np.arange(N) % 2]),
    "float32": (quick, ROWS.astype("float32"), np.arange(N) % 3 - 1),
    "images": (quick, IMAGES, np.array(["a", "b", "c"], dtype=object)[np.arange(N) % 3]),
    "labels": (quick, ROWS, LABELS),
    "number": (CNNRegressor, ROWS, ROWS @ [1.0, 20.0, 0.0] + 1e3),
    "numbers": (CNNRegressor, IMAGES, np.stack([IMAGES.mean((1, 2, 3)), np.arange(N)], axis=1)),
}


@pytest.fixture(params=CASES)
def case(request):
    make, X, y = CASES[request.param]
    return make(epochs=2, random_state=0).fit(X, y), X, y


def numbers(estimator, X):
    return getattr(estimator, "predict_proba", estimator.predict)(X)


def test_there_and_back(case, tmp_path):
    fitted, X, y = case
    path = tmp_path / "model.safetensors"
    io.save_model(fitted, path)
    again = sklearn.load(path)
    assert type(again) is type(fitted)
    np.testing.assert_array_equal(numbers(again, X), numbers(fitted, X))
    np.testing.assert_array_equal(again.predict(X), fitted.predict(X))
    assert again.predict(X).dtype == fitted.predict(X).dtype
    assert again.get_params() == fitted.get_params()
    assert (again.history_, again.n_iter_) == (fitted.history_, fitted.n_iter_)
    np.testing.assert_array_equal(
        numbers(again.partial_fit(X, y), X), numbers(fitted.partial_fit(X, y), X)
    )  # it goes on alike, too
    np.testing.assert_array_equal(numbers(clone(again).fit(X, y), X), numbers(clone(fitted).fit(X, y), X))


def test_a_saved_network_takes_the_estimator_s_own_inputs(case, tmp_path):
    fitted, X, _ = case
    io.save_model(fitted, tmp_path / "model.safetensors")
    answers = xpcnn.load(tmp_path / "model.safetensors").predict(X[:5])
    if isinstance(fitted, CNNRegressor):
        expected = fitted.predict(X[:5]).reshape(5, -1)
        got = [[value for _, value in answer.scores] for answer in answers]
    else:
        expected, names = fitted.predict_proba(X[:5]), [str(each) for each in fitted.classes_]
        got = [[dict(answer.scores)[name] for name in names] for answer in answers]
    np.testing.assert_allclose(got, expected, rtol=1e-4)


def test_a_data_set_is_judged_as_the_estimator_does(tmp_path, monkeypatch, capsys):
    digits = data.digits()
    bytes_, labels = digits.train.images[:300], digits.train.labels[:300]
    monkeypatch.chdir(tmp_path)
    for numbers, known in ((bytes_, True), (bytes_ / 255.0, True), (bytes_ / 16.0, False)):
        fitted = quick().fit(numbers, labels)
        io.save_model(fitted, "model.safetensors")
        with suppress(SystemExit), warnings.catch_warnings():
            warnings.simplefilter("always")
            main(["eval", "model.safetensors", "digits", "--part", "test"])
        share = fitted.score(digits.test.images / (255 if numbers.max() == 1 else 1), digits.test.labels)
        printed = capsys.readouterr()
        assert (f"test accuracy {share:.2%}" in printed.out, "beyond [0, 1]" in printed.err) == (known, not known)


def test_onnx_runtime_says_the_same(case, tmp_path):
    runtime = pytest.importorskip("onnxruntime")
    fitted, X, _ = case
    path = tmp_path / "model.onnx"
    exchange.export_onnx(fitted, path, layout="NHWC")
    (got,) = runtime.InferenceSession(path).run(None, {"input": X.astype("float32")})
    expected = numbers(fitted, X)
    np.testing.assert_allclose(got.reshape(expected.shape), expected, rtol=2e-4)


def test_what_belongs_to_the_estimator_is_not_given_again(tmp_path):
    fitted, path = quick(epochs=1).fit(ROWS, np.arange(N) % 2), tmp_path / "model"
    for write in (io.save_model, exchange.export_onnx):
        with pytest.raises(OptionError, match="leave input_shape and classes out"):
            write(fitted, path, input_shape=(3,))
    with pytest.raises(OptionError, match="input_shape"):
        io.save_model(nn.Linear(3, 2, rng=0), path)
    with pytest.raises(Exception, match="not fitted"):
        io.save_model(quick(), path)
    assert not path.exists()


def linear(input_shape, outputs, rng):
    return nn.Linear(3, outputs, rng=rng)


def test_the_function_of_a_network_is_stated_again(tmp_path):
    y = np.arange(N) % 2
    fitted = quick(model=linear, class_weight={0: 1.0, 1: 2.0}, epochs=1).fit(ROWS, y)
    io.save_model(fitted, tmp_path / "model")
    again = sklearn.load(tmp_path / "model")
    np.testing.assert_array_equal(again.predict_proba(ROWS), fitted.predict_proba(ROWS))
    assert again.class_weight == {0: 1.0, 1: 2.0}
    with pytest.raises(OptionError, match=r"set_params\(model=…\)"):
        again.fit(ROWS, y)
    assert clone(again).set_params(model=linear).fit(ROWS, y).score(ROWS, y) == fitted.score(ROWS, y)


def test_other_and_damaged_files_are_refused(tmp_path):
    path = tmp_path / "model"
    io.save_model(nn.Linear(3, 2, rng=0), path, input_shape=(3,))
    with pytest.raises(FormatError, match=r"xpcnn.load\(path\)"):
        sklearn.load(path)
    io.save_model(quick(epochs=1).fit(ROWS, np.arange(N) % 2), path)
    tensors, metadata = read_tensors(path)
    whole = metadata["extra"]["estimator"]
    for name in whole:
        for value in (None, [], {}, "text", -1):
            if json.dumps(value) != json.dumps(whole[name]) and (name, value) != ("history", []):
                metadata["extra"]["estimator"] = whole | {name: value}
                write_tensors(path, tensors, metadata)
                with suppress(FormatError):
                    assert isinstance(sklearn.load(path), CNNClassifier)
