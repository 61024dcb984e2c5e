"""A network that classifies, as a scikit-learn estimator."""

from __future__ import annotations

from typing import Any, Self

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.validation import check_is_fitted

from ..backend import to_numpy
from ..errors import OptionError
from ..io.model_file import LABELS, REGRESSION
from ..ops.activation import sigmoid_forward
from ..ops.softmax import softmax_forward
from ..typing import NDArray
from .epochs import Items, as_eval_set
from .network import ModelFunction, Network
from .targets import Classes


class CNNClassifier(ClassifierMixin, Network):  # type: ignore[misc]
    """A neural network that classifies images or rows of numbers, by one class or several labels an item.

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
        The weight of each class in the loss, as in scikit-learn's classifiers. With several labels an item, that of
        yes by the label's number; "balanced" gives all yes and all no of a label the same weight.

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
    classes_ : ndarray of shape (n_classes,)
        The classes' labels; with several labels an item, their numbers.

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
        "epoch", "loss" and, with early stopping or an evaluation set, "validation_score" (accuracy) of each epoch.

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

    _classes: Classes

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
        augment: Any = None,
        warm_start: bool = False,
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
            augment=augment,
            warm_start=warm_start,
            random_state=random_state,
            verbose=verbose,
        )
        self.class_weight = class_weight

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags

    def fit(self, X: Any, y: Any, sample_weight: Any = None, *, eval_set: Any = None) -> Self:
        """Train a new network, or with `warm_start` the one that there is.

        Parameters
        ----------
        X : array-like of shape (n_samples, n_features), or array of shape (n_samples, H, W) or (n_samples, H, W, C)
            Rows of numbers, or images.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The classes; or several labels an item, each 0 or 1.
        sample_weight : array-like of shape (n_samples,), default=None
            The weight of each item in the loss; 0 leaves it out.
        eval_set : tuple (X, y), default=None
            Items to validate on after each epoch, instead of a fraction of X.

        Returns
        -------
        self : object
            This estimator.
        """
        who, more = type(self).__name__, self._continues()
        X, y, weight = self._items(X, y, sample_weight, more=more)
        classes = self._classes if more else Classes.of(y)
        targets = classes.targets(who, y)
        criterion = classes.loss(who, self.class_weight, targets, weight)
        held = None
        if eval_set is not None:
            held_X, held_y = as_eval_set(who, eval_set)
            held = Items(self._rows(held_X, fit=False), classes.targets(who, held_y))
        self._classes, self.classes_ = classes, classes.labels
        return self._fit(X, targets, len(self.classes_), criterion, weight, held)

    def partial_fit(self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None) -> Self:
        """Train on these items once, at the constant rate `lr`; for data that come in parts.

        Inputs are standardised with the mean and deviation of all items so far.

        Parameters
        ----------
        X : array of the same form as in `fit`
            Rows of numbers, or images.
        y : array-like of shape (n_samples,) or (n_samples, n_labels)
            The classes, or labels.
        classes : array-like of shape (n_classes,), default=None
            All classes that there will be; needed in the first call, but not for several labels.
        sample_weight : array-like of shape (n_samples,), default=None
            The weight of each item in the loss.

        Returns
        -------
        self : object
            This estimator.
        """
        who, more = type(self).__name__, hasattr(self, "model_")
        X, y, weight = self._items(X, y, sample_weight, more=more)
        if not more and classes is None and y.ndim == 1:
            remedy = "pass classes=, all that there will be"
            raise OptionError(who, "classes in the first call of partial_fit", "none", remedy)
        if more and classes is not None and not np.array_equal(np.unique(classes), self.classes_):
            raise OptionError(who, f"classes {self.classes_.tolist()}"[:200], repr(classes)[:80])
        if isinstance(self.class_weight, str):
            remedy = "state the weights, or sample_weight"
            raise OptionError(who, "class_weight by classes in partial_fit", self.class_weight, remedy)
        known = self._classes if more else Classes.of(y) if classes is None else Classes(np.unique(classes))
        targets = known.targets(who, y)
        criterion = known.loss(who, self.class_weight, targets, weight)
        self._classes, self.classes_ = known, known.labels
        return self._partial_fit(X, targets, len(self.classes_), criterion, weight)

    def predict_proba(self, X: Any) -> NDArray:
        """Probabilities of the classes, or of each label.

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
        return to_numpy(sigmoid_forward(logits)[0] if self._classes.multilabel else softmax_forward(logits)[0])

    def predict(self, X: Any) -> NDArray:
        """The most probable classes, or the labels with a probability above ½.

        Parameters
        ----------
        X : array of the same form as in `fit`
            Rows of numbers, or images.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_labels)
            Labels from `classes_`; or 0 and 1.
        """
        check_is_fitted(self)
        outputs = self._outputs(self._rows(X, fit=False))
        if self._classes.multilabel:
            return (outputs > 0).astype(np.int64)
        labels: NDArray = self.classes_[outputs.argmax(axis=1)]
        return labels

    def _items(self, X: Any, y: Any, sample_weight: Any, *, more: bool) -> tuple[NDArray, NDArray, NDArray | None]:
        """Checked rows, classes (N,) or labels (N, K), and weights, of the items that have one above 0."""
        X, y = self._rows(X, fit=True, y=y, more=more, multi_output=True)
        weight = self._item_weights(X, sample_weight)
        if weight is not None:
            X, y, weight = X[weight > 0], y[weight > 0], weight[weight > 0]
        return X, y, weight

    def _own(self) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
        told = self._classes.told(type(self).__name__)
        outputs = {REGRESSION: True, LABELS: True} if self._classes.multilabel else {}
        return tuple(map(str, told["classes"])), told, outputs

    def _score(self, y: NDArray, outputs: NDArray, weight: NDArray | None) -> float:
        answers = outputs > 0 if self._classes.multilabel else outputs.argmax(axis=1)
        return float(accuracy_score(y, answers, sample_weight=weight))
