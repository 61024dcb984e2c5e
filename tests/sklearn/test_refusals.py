"""Estimators refuse in a line: options, images, a training that diverges, no scikit-learn."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("sklearn")

from xpcnn import nn
from xpcnn.errors import DataError, DTypeError, NonFiniteError, OptionError, ShapeError
from xpcnn.sklearn import CNNClassifier, CNNRegressor

from .small import quick


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"epochs": 0}, "epochs: an integer ≥ 1, got 0"),
        ({"batch_size": 2.5}, "batch_size: an integer ≥ 1"),
        ({"n_iter_no_change": -1}, "n_iter_no_change: an integer ≥ 1"),
        ({"lr": 0}, r"lr: a number in \(0, inf\)"),
        ({"lr": float("nan")}, "lr: a number in"),
        ({"weight_decay": -1}, "weight_decay: a number in"),
        ({"validation_fraction": 1.0}, "validation_fraction: a number in"),
        ({"optimizer": "adamax"}, "optimizer: one of sgd, adam"),
        ({"schedule": None}, "schedule: one of constant"),
        ({"model": "resnet"}, 'model: "auto", a function .* or one of mlp'),
        ({"model": ["mlp"]}, 'model: "auto", a function'),
        ({"model": lambda *_: None}, "a function that returns a Layer, got NoneType"),
        ({"model": lambda shape, outputs, rng: nn.Linear(2, 3)}, r"a model with 4 outputs, got \(3,\)"),
        ({"model": "lenet5"}, r"input_shape \(H, W, C\)"),
        ({"image_shape": (3, 1)}, r"images of image_shape \(3, 1, 1\), got 2 features"),
        ({"image_shape": 2}, r"image_shape \(H, W\) or \(H, W, C\)"),
        ({"image_shape": (0, 2)}, "each axis of image_shape: an integer ≥ 1"),
        ({"class_weight": "even"}, "class_weight"),
        ({"random_state": "x"}, "cannot be used to seed"),
    ],
)
def test_bad_options_get_a_line(blobs, options, text):
    with pytest.raises(ValueError, match=text) as caught:
        quick(**options).fit(*blobs)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("channels", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("estimator", [CNNClassifier, CNNRegressor])
def test_channels_first_are_not_taken_for_rows(estimator, channels):
    x = np.random.default_rng(0).random((8, channels, 8, 8))
    y = np.arange(8) % 2
    text = rf"images \(N, H, W, C\), got \(8, {channels}, 8, 8\); np.moveaxis\(X, 1, -1\) if they are \(N, C"
    with pytest.raises(DataError, match=text):
        estimator(epochs=1).fit(x, y)
    fitted = estimator(epochs=1).fit(np.moveaxis(x, 1, -1), y)
    with pytest.raises(ShapeError, match="as in fit"):
        fitted.predict(x)
    stated = estimator(model="mlp", epochs=1, image_shape=(channels, 8, 8)).fit(x, y)  # images of eight channels
    assert stated.predict(x).shape == (8,)


@pytest.mark.parametrize("channels", [1, 2, 3, 5])
def test_rows_whose_channels_come_first_are_refused(channels):
    x = np.random.default_rng(0).random((8, channels * 64))
    text = (
        rf"image_shape \(H, W, C\), got \({channels}, 8, 8\); np.moveaxis\(X.reshape\(-1, {channels}, 8, 8\), 1, -1\)"
    )
    with pytest.raises(DataError, match=text):
        quick(epochs=1, image_shape=(channels, 8, 8)).fit(x, np.arange(8) % 2)
    assert quick(epochs=1, image_shape=(8, 8, channels)).fit(x, np.arange(8) % 2).input_shape_ == (8, 8, channels)


def test_bad_images_get_a_line(digits):
    x, y, test, _ = digits
    with pytest.raises(ShapeError, match=r"images of image_shape \(4, 16, 1\), got images \(8, 8, 1\)"):
        quick(image_shape=(4, 16)).fit(x, y)
    fitted = quick(epochs=1).fit(x, y)
    with pytest.raises(ShapeError, match=r"images \(8, 8, 1\), as in fit, got \(4, 16, 1\)"):
        fitted.predict(test.reshape(-1, 4, 16))
    with pytest.raises(ValueError, match="63 features, but CNNClassifier is expecting 64"):
        fitted.predict(test.reshape(-1, 64)[:, 1:])
    broken = x.astype("float32")
    broken[3, 2, 1] = np.nan
    with pytest.raises(ValueError, match="contains NaN"):
        quick().fit(broken, y)
    with pytest.raises(ValueError, match="minimum of 1 is required"):
        fitted.predict(test[:0])


def test_what_diverges_says_so(blobs):
    x, _ = blobs
    with pytest.raises(NonFiniteError, match=r"Regressor: expected finite .*, in epoch \d+; lower lr"):
        CNNRegressor(lr=1e30, optimizer="sgd", schedule="constant", random_state=0).fit(x, x[:, 0])


@pytest.mark.parametrize("method", ["predict", "predict_proba", "score"])
def test_outputs_that_are_not_finite_are_no_class(blobs, method):
    """The highest of NaN would be one."""
    x, y = blobs
    fitted = quick().fit(x.astype("float32"), y)
    *_, bias = fitted.model_.parameters().values()
    bias[1] = np.nan
    with pytest.raises(NonFiniteError, match="CNNClassifier: expected finite outputs, got NaN or infinity for row 0"):
        getattr(fitted, method)(x, *[y] * (method == "score"))


def test_a_failed_check_of_options_leaves_a_fitted_estimator_as_it_was(blobs):
    x, y = blobs
    fitted = quick().fit(x, y)
    expected = fitted.predict_proba(x)
    with pytest.raises(OptionError):
        fitted.set_params(lr=-1).fit(x[:, :1], y)
    np.testing.assert_array_equal(fitted.predict_proba(x), expected)


def test_without_scikit_learn_the_error_names_the_extra():
    code = "import sys; sys.modules['sklearn'] = None\nimport xpcnn\nimport xpcnn.sklearn"
    run = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingExtraError: xpcnn.sklearn: expected scikit-learn for its estimators" in run.stderr
    assert "pip install scikit-learn, which is the extra xpcnn[sklearn]" in run.stderr


@pytest.mark.parametrize("masked", ["X", "y"])
@pytest.mark.parametrize("kind", [CNNClassifier, CNNRegressor])
def test_what_is_masked_is_refused(kind, masked):
    given = {"X": np.ma.array(np.random.default_rng(0).random((12, 4))), "y": np.ma.array(np.arange(12) % 2)}
    kind(epochs=2, random_state=0).fit(**given)  # nothing is masked
    given[masked][3] = np.ma.masked
    with pytest.raises(DTypeError, match=rf"{kind.__name__}: expected an array without a mask, got \d+ of \d+ numbers"):
        kind(epochs=2, random_state=0).fit(**given)
