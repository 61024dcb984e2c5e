"""A network that classifies, as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.preprocessing import LabelEncoder
from sklearn.utils import column_or_1d, compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import check_is_fitted

from ..backend import to_numpy
from ..nn import CrossEntropyLoss
from ..ops.softmax import softmax_forward
from ..typing import NDArray
from .network import ModelFunction, Network


class CNNClassifier(ClassifierMixin, Network):  # type: ignore[misc]
    """A neural network that classifies images or rows of numbers.

    Inputs are standardised with the training data's mean and deviation, per feature of rows or per channel of images.
    The network computes in float64 for float64 inputs, and in float32 for all others, which is faster.

    Parameters
    ----------
    model : str or callable, default="auto"
        The network: a name in `xpcnn.models.MODELS`, or a function `(input_shape, outputs, rng)` that returns a
        `xpcnn.nn.Layer` with logits as outputs. "auto" is "mnist_cnn", two convolutions and two dense layers, for
        images of at least 4×4 pixels, and "mlp", one hidden layer of 128, for everything else.

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

    class_weight : dict or "balanced", default=None
        The weight of each class in the loss, as in scikit-learn's classifiers.

    random_state : int, RandomState instance or None, default=None
        For initial weights, dropout, batches, and held-out items. An integer gives the same network each time.

    verbose : bool, default=False
        Print a line for each epoch.

    Attributes
    ----------
    classes_ : ndarray of shape (n_classes,)
        The classes' labels.

    n_features_in_ : int
        Numbers in one item.

    feature_names_in_ : ndarray of shape (n_features_in_,)
        Names of the columns, if X had any.

    input_shape_ : tuple of int
        Shape of one item: (H, W, C) of images, (D,) of rows.

    model_ : xpcnn.nn.Layer
        The trained network, from standardised inputs to logits.

    scaler_ : sklearn.preprocessing.StandardScaler
        Standardises the inputs.

    dtype_ : str
        The dtype in which the network computes.

    history_ : list of dict
        "epoch", "loss" and, with early stopping, "validation_score" (accuracy) of each epoch.

    n_iter_ : int
        Number of trained epochs.

    See Also
    --------
    CNNRegressor : The same for numbers.

    Examples
    --------
    >>> from sklearn.datasets import load_digits
    >>> from sklearn.model_selection import train_test_split
    >>> from xpcnn.sklearn import CNNClassifier
    >>> digits = load_digits()
    >>> X_train, X_test, y_train, y_test = train_test_split(
    ...     digits.images.astype("float32"), digits.target, random_state=0
    ... )
    >>> classifier = CNNClassifier(epochs=5, random_state=0).fit(X_train, y_train)
    >>> classifier.score(X_test, y_test) > 0.97
    True
    """

    def __init__(
        self,
        model: str | ModelFunction = "auto",
        *,
        image_shape: tuple[int, ...] | None = None,
        epochs: int = 100,
        batch_size: int = 32,
        lr: float = 0.003,
        optimizer: str = "adamw",
        schedule: str = "onecycle",
        weight_decay: float = 0.1,
        early_stopping: bool = False,
        validation_fraction: float = 0.1,
        n_iter_no_change: int = 10,
        class_weight: Any = None,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        super().__init__(
            model,
            image_shape=image_shape,
            epochs=epochs,
            batch_size=batch_size,
            lr=lr,
            optimizer=optimizer,
            schedule=schedule,
            weight_decay=weight_decay,
            early_stopping=early_stopping,
            validation_fraction=validation_fraction,
            n_iter_no_change=n_iter_no_change,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def fit(self, X: Any, y: Any) -> Self:
        """Train a new network.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or array of shape (n_samples, H, W) or (n_samples, H, W, C)
            Rows of numbers, or images.
        y : array-like of shape (n_samples,)
            The classes.

        Returns
        -------
        self : object
            This estimator.
        """
        X, y = self._rows(X, fit=True, y=y)
        y = column_or_1d(y, warn=True)
        check_classification_targets(y)
        encoder = LabelEncoder().fit(y)
        self.classes_ = encoder.classes_
        weight = None
        if self.class_weight is not None:
            weight = compute_class_weight(self.class_weight, classes=self.classes_, y=y)
        return self._fit(X, encoder.transform(y), len(self.classes_), CrossEntropyLoss(weight=weight))

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities of the classes.

        Parameters
        ----------
        X : array of the same form as in `fit`
            Rows of numbers, or images.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            In the order of `classes_`.
        """
        check_is_fitted(self)
        logits = self._outputs(self._rows(X, fit=False)).astype(np.float64)
        return to_numpy(softmax_forward(logits)[0])

    def predict(self, X: Any) -> NDArray:
        """The most probable classes.

        Parameters
        ----------
        X : array of the same form as in `fit`
            Rows of numbers, or images.

        Returns
        -------
        y : ndarray of shape (n_samples,)
            Labels from `classes_`.
        """
        check_is_fitted(self)
        labels: NDArray = self.classes_[self._outputs(self._rows(X, fit=False)).argmax(axis=1)]
        return labels

    def _score(self, y: NDArray, outputs: NDArray) -> float:
        return float(accuracy_score(y, outputs.argmax(axis=1)))
