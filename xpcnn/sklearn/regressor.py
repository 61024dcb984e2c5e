"""A network that predicts numbers, as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array
from sklearn.utils.validation import check_is_fitted

from ..errors import ShapeError
from ..io.model_file import REGRESSION
from ..nn import MSELoss
from ..typing import NDArray
from .described import scaling
from .epochs import Items, as_eval_set
from .network import Network


class CNNRegressor(RegressorMixin, Network):  # type: ignore[misc]
    """A neural network that predicts numbers from images or rows of numbers.

    Inputs and targets are standardised with the training data's mean and deviation, per feature of rows, per channel
    of images, and per target. The loss is the mean squared error of the standardised targets. The network computes in
    float64 for float64 inputs, and in float32 for all others, which is faster.

    Parameters
    ----------
    model : str or callable, default="auto"
        The network: a name in `xpcnn.models.MODELS`, or a function `(input_shape, outputs, rng)` that returns a
        `xpcnn.nn.Layer`. "auto" is "mnist_cnn", two convolutions and two dense layers, for images of at least 4×4
        pixels, and "mlp", one hidden layer of 128, for everything else.

    image_shape : tuple of int, default=None
        (H, W) or (H, W, C), if images are given as flat rows. With None, rows are not images, and "auto" is a fully
        connected network for them, not a convolutional one. Arrays (N, H, W) and (N, H, W, C) are always images.

    epochs : int, default=100
        Passes over the training data.

    batch_size : int, default=32
        Items in a batch.

    lr : float, default=0.003
        The highest learning rate.

    optimizer : a name in `xpcnn.optim.OPTIMIZERS`, default="adamw"
        The optimizer; "sgd" has Nesterov momentum 0.9.

    schedule : {"constant", "step", "exponential", "cosine", "warmup", "onecycle", "plateau"}, default="onecycle"
        The course of the learning rate over the epochs.

    weight_decay : float, default=0.1
        The optimizer's weight decay.

    early_stopping : bool, default=False
        Hold out a part of the training data, stop when the score on it stops rising, and keep the best epoch's weights,
        of equal epochs the first's.

    validation_fraction : float, default=0.1
        The fraction that is held out.

    n_iter_no_change : int, default=10
        With early stopping: epochs without a better score after which training stops.

    augment : str or callable, default=None
        Random changes of the standardised images in training, such as "flip,crop:2"; see `xpcnn.data.augment`. What a
        crop brings in is the mean colour.

    warm_start : bool, default=False
        Let `fit` go on with the network of the call before, and its standardisation.

    random_state : int, RandomState instance or None, default=None
        For initial weights, dropout, batches, and held-out items. An integer gives the same network each time.

    verbose : bool, default=False
        Print a line for each epoch.

    Attributes
    ----------
    n_features_in_ : int
        Numbers in one item.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    input_shape_ : tuple of int
        Shape of one item: (H, W, C) of images, (D,) of rows.

    model_ : xpcnn.nn.Layer
        The trained network, from standardised inputs to standardised targets.

    scaler_, target_scaler_ : sklearn.preprocessing.StandardScaler
        Standardise the inputs and the targets.

    dtype_ : str
        The dtype in which the network computes.

    history_ : list of dict
        "epoch", "loss" and, with early stopping or an evaluation set, "validation_score" (R²) of each epoch.

    n_iter_ : int
        Number of trained epochs.

    See Also
    --------
    CNNClassifier : The same for classes.

    Examples
    --------
    >>> from sklearn.datasets import make_regression
    >>> from xpcnn.sklearn import CNNRegressor
    >>> X, y = make_regression(200, 5, noise=1.0, random_state=0)
    >>> CNNRegressor(random_state=0).fit(X[:150], y[:150]).score(X[150:], y[150:]) > 0.95
    True
    """

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Self:
        """Train a new network, or with `warm_start` the one that there is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or array of shape (n_samples, H, W) or (n_samples, H, W, C)
            Rows of numbers, or images.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            The weight of each item in the loss; 0 leaves it out.
        eval_set : tuple (X, y), default=None
            Items to validate on after each epoch, instead of a fraction of X.

        Returns
        -------
        self : object
            This estimator.
        """
        more = self._continues()
        X, y, weight = self._items(X, y, sample_weight, more=more)
        if not more:
            self.target_scaler_ = StandardScaler().fit(y, sample_weight=weight)
        held = None
        if eval_set is not None:
            held_X, held_y = as_eval_set(type(self).__name__, eval_set)
            its = check_array(held_y, ensure_2d=False, dtype=np.float64).reshape(len(held_y), -1)
            held = Items(self._rows(held_X, fit=False), self.target_scaler_.transform(its))
        return self._fit(X, self.target_scaler_.transform(y), y.shape[1], MSELoss(), weight, held)

    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Train on these items once, at the constant rate `lr`; for data that come in parts.

        Inputs and targets are standardised with the mean and deviation of all items so far.

        Parameters
        ----------
        X : array of the same form as in `fit`
            Rows of numbers, or images.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            The targets.
        sample_weight : array-like of shape (n_samples,), default=None
            The weight of each item in the loss.

        Returns
        -------
        self : object
            This estimator.
        """
        more = hasattr(self, "model_")
        X, y, weight = self._items(X, y, sample_weight, more=more)
        if not more:
            self.target_scaler_ = StandardScaler()
        self.target_scaler_.partial_fit(y, sample_weight=weight)
        return self._partial_fit(X, self.target_scaler_.transform(y), y.shape[1], MSELoss(), weight)

    def predict(self, X: Any) -> NDArray:
        """The predicted numbers.

        Parameters
        ----------
        X : array of the same form as in `fit`
            Rows of numbers, or images.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
            Of the same form as the targets of `fit`.
        """
        check_is_fitted(self)
        outputs = self._outputs(self._rows(X, fit=False)).astype(np.float64)
        predicted: NDArray = self.target_scaler_.inverse_transform(outputs)
        return predicted[:, 0] if self._one_target else predicted

    def _items(self, X: Any, y: Any, sample_weight: Any, *, more: bool) -> tuple[NDArray, NDArray, NDArray | None]:
        """Checked rows, targets (N, D), and weights, of the items that have one above 0."""
        X, y = self._rows(X, fit=True, y=y, more=more, y_numeric=True, multi_output=True)
        weight = self._item_weights(X, sample_weight)
        if weight is not None:
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        targets = y.reshape(len(y), -1).astype(np.float64)  # (N, D)
        if more and targets.shape[1] != self.target_scaler_.n_features_in_:
            expected = f"{self.target_scaler_.n_features_in_} targets, as in fit"
            raise ShapeError(type(self).__name__, expected, str(targets.shape[1]))
        self._one_target = y.ndim == 1
        return X, targets, weight

    def _own(self) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
        told = {"target scaler": scaling(self.target_scaler_), "one target": self._one_target}
        return (), told, {REGRESSION: True}

    def _score(self, y: NDArray, outputs: NDArray, weight: NDArray | None) -> float:
        return float(r2_score(y, outputs, sample_weight=weight))
