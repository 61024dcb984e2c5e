"""Fitted estimators from model files."""

from __future__ import annotations

import math
import os
from collections.abc import Mapping
from typing import Any

import numpy as np

from ..errors import FormatError, XpcnnError
from ..io.model_file import SavedModel, load_model
from ..nn.predicting import Predictor
from ..options import as_path
from ..training.best_model import model_path
from .classifier import CNNClassifier
from .described import ESTIMATOR, given, scaler_of
from .network import Network
from .regressor import CNNRegressor
from .targets import Classes

_KINDS: dict[str, type[Network]] = {kind.__name__: kind for kind in (CNNClassifier, CNNRegressor)}


def load(path: str | os.PathLike[str]) -> Any:
    """The estimator that `io.save_model` wrote, fitted. Untrusted files are safe to open.

    Parameters
    ----------
    path : str or path-like
        The file.

    Returns
    -------
    estimator : CNNClassifier or CNNRegressor
        It predicts the same numbers. It can be fitted again; if its network was made by a function of your own, state
        that first, with `set_params(model=…)`.

    Raises
    ------
    FormatError
        The file holds no estimator, or is damaged.
    FileError
        It cannot be read.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from xpcnn import io, sklearn
    >>> X, y = np.random.default_rng(0).random((40, 3)), np.arange(40) % 2
    >>> classifier = sklearn.CNNClassifier(epochs=1, random_state=0).fit(X, y)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.save_model(classifier, folder + "/model.safetensors")
    ...     again = sklearn.load(folder + "/model.safetensors")
    >>> bool((again.predict_proba(X) == classifier.predict_proba(X)).all())
    True
    """
    found = load_model(model_path(as_path("load", path)))
    told = found.extra.get(ESTIMATOR)
    if not isinstance(told, dict) or str(told.get("kind")) not in _KINDS:
        remedy = "xpcnn.load(path) reads any network"
        raise FormatError(str(path), "the file of an estimator", "another model's", remedy)
    try:
        return _read(found, told)
    except (KeyError, TypeError, ValueError, AttributeError, XpcnnError) as error:
        raise FormatError(str(path), "the file of an estimator", f"{type(error).__name__}: {error}"[:200]) from error


def _read(found: SavedModel, told: Mapping[str, Any]) -> Network:
    options = {name: given(name, value) for name, value in told["options"].items()}
    estimator: Any = _KINDS[told["kind"]](**options)
    estimator._check_options(told["kind"])
    estimator.scaler_, estimator.model_ = scaler_of(told["scaler"]), list(found.model.children().values())[1]
    estimator.input_shape_, estimator.n_features_in_ = found.input_shape, int(told["features"])
    estimator._predictor = Predictor(estimator.model_, estimator.input_shape_)
    if math.prod(found.input_shape) != estimator.n_features_in_ or told["dtype"] not in ("float32", "float64"):
        raise ValueError("features and dtype")
    if told["names"]:
        estimator.feature_names_in_ = np.array([str(name) for name in told["names"]], dtype=object)
    estimator.dtype_, estimator._range = told["dtype"], tuple(map(float, told["range"]))
    estimator.history_ = [{str(name): float(value) for name, value in row.items()} for row in told["history"]]
    for row in estimator.history_:
        row["epoch"] = int(row["epoch"])
    estimator.n_iter_ = len(estimator.history_)
    if isinstance(estimator, CNNClassifier):
        labels = np.array(told["classes"], dtype=np.dtype(told["classes dtype"]))
        if labels.dtype.kind not in "biufUO" or labels.shape != (len(found.classes),):
            raise ValueError("classes")
        estimator._classes = Classes(labels, found.has_labels)
        estimator.classes_ = labels
    else:
        estimator.target_scaler_, estimator._one_target = scaler_of(told["target scaler"]), bool(told["one target"])
    return estimator  # type: ignore[no-any-return]
