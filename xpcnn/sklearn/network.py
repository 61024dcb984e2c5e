"""The common base of both estimators: checked input, standardisation, training and prediction."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable
from typing import Any, Self, TypeAlias

import numpy as np
from sklearn.base import BaseEstimator
from sklearn.model_selection import train_test_split
from sklearn.preprocessing import StandardScaler
from sklearn.utils import check_array, check_random_state
from sklearn.utils.validation import _check_sample_weight, check_is_fitted, validate_data

from .. import models
from ..backend import asarray, refuse_mask, to_numpy
from ..data.pixels import channels_last
from ..errors import NonFiniteError, OptionError, ShapeError
from ..io.model_file import SavedModel
from ..nn import Layer
from ..nn.loss import Loss
from ..nn.predicting import Predictor
from ..optim import OPTIMIZERS, Constant
from ..options import as_count, as_number
from ..random import Seed
from ..training.config import SCHEDULES
from ..typing import NDArray, Shape
from .described import saved
from .epochs import FitOptions, Items, augmentation, train
from .flat_images import hint
from .image_shape import input_shape

ModelFunction: TypeAlias = Callable[[Shape, int, Seed], Layer]

_ROWS = 1024  # most rows to convert, or predict, at a time
_CONVERTED, _PREDICTED = 2**20, 2**15  # numbers in these rows


class Network(BaseEstimator):  # type: ignore[misc]
    """The common base of both estimators: input, training and prediction."""

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
        augment: Any = None,
        warm_start: bool = False,
        random_state: Any = None,
        verbose: bool = False,
    ) -> None:
        self.model = model
        self.image_shape = image_shape
        self.epochs = epochs
        self.batch_size = batch_size
        self.lr = lr
        self.optimizer = optimizer
        self.schedule = schedule
        self.weight_decay = weight_decay
        self.early_stopping = early_stopping
        self.validation_fraction = validation_fraction
        self.n_iter_no_change = n_iter_no_change
        self.augment = augment
        self.warm_start = warm_start
        self.random_state = random_state
        self.verbose = verbose

    _range: tuple[float, float]  # of all numbers of the rows

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    def to_saved(self, *, divided: bool = True) -> SavedModel:
        """What `io.save_model` writes: the network with the scaling in it, and this estimator's state.

        With `divided`, a network of images of bytes takes them divided by 255, as other networks in files do.
        """
        check_is_fitted(self)
        return saved(self, divided=divided)

    @abstractmethod
    def _own(self) -> tuple[tuple[str, ...], dict[str, Any], dict[str, Any]]:
        """For `to_saved`: the classes' names, the kind's own attributes, and what its outputs are."""

    @abstractmethod
    def _score(self, y: NDArray, outputs: NDArray, weight: NDArray | None) -> float:
        """The score of the network's outputs on validation targets; higher is better."""

    def _fit(
        self, X: NDArray, y: NDArray, outputs: int, criterion: Loss, weight: NDArray | None, held: Items | None
    ) -> Self:
        """Train a network on rows (N, D), or with `warm_start` the one that there is.

        Parameters
            y : the targets that the criterion takes
            weight : of each row
            held : rows to validate on, with their targets and weights
        """
        who = type(self).__name__
        random = check_random_state(self.random_state)
        rng = np.random.default_rng(random.randint(np.iinfo(np.int32).max))
        if self.early_stopping and held is None:
            kept, out = train_test_split(
                np.arange(len(X)),
                test_size=self.validation_fraction,
                random_state=random,
                stratify=y if criterion.classifies else None,
            )
            held = Items(X[out], y[out], None if weight is None else weight[out])
            X, y, weight = X[kept], y[kept], None if weight is None else weight[kept]
        if not self._continues():
            self.scaler_ = StandardScaler()
            self._standardise(X, weight)
            self.dtype_ = "float64" if X.dtype == np.float64 else "float32"
            self.model_ = self._make_model(who, outputs, rng)
        for name in {"_optimizer", "_rng"} & vars(self).keys():  # of partial_fit
            delattr(self, name)

        def score() -> float:
            assert held is not None
            return self._score(held.y, self._outputs(held.x), held.weight)

        options = FitOptions(
            who,
            self.batch_size,
            self.epochs,
            augment=augmentation(who, self.augment, self.input_shape_, outputs),
            score=None if held is None else score,
            patience=self.n_iter_no_change if self.early_stopping else None,
            verbose=self.verbose,
        )
        optimizer = OPTIMIZERS[self.optimizer](self.model_.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = SCHEDULES[self.schedule](self.lr, self.epochs * math.ceil(len(X) / self.batch_size))
        items = self._prepared(X, y, weight)
        self.history_ = train(self.model_, optimizer, schedule, criterion, items, options, rng)
        self.n_iter_ = len(self.history_)
        return self

    def _partial_fit(self, X: NDArray, y: NDArray, outputs: int, criterion: Loss, weight: NDArray | None) -> Self:
        """Train on these rows once, at the constant rate `lr`, on the network that there is or a new one."""
        who = type(self).__name__
        if not hasattr(self, "_rng"):
            random = check_random_state(self.random_state)
            self._rng = np.random.default_rng(random.randint(np.iinfo(np.int32).max))
        if not hasattr(self, "model_"):
            self.scaler_, self.history_ = StandardScaler(), []
            self.dtype_ = "float64" if X.dtype == np.float64 else "float32"
            self.model_ = self._make_model(who, outputs, self._rng)
        self._standardise(X, weight)
        if not hasattr(self, "_optimizer"):
            make = OPTIMIZERS[self.optimizer]
            self._optimizer = make(self.model_.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        first = len(self.history_) + 1
        options = FitOptions(
            who,
            self.batch_size,
            1,
            first,
            augmentation(who, self.augment, self.input_shape_, outputs),
            verbose=self.verbose,
        )
        items = self._prepared(X, y, weight)
        self.history_ += train(self.model_, self._optimizer, Constant(self.lr), criterion, items, options, self._rng)
        self.n_iter_ = len(self.history_)
        return self

    def _prepared(self, X: NDArray, y: NDArray, weight: NDArray | None) -> Items:
        """Rows as the network takes them, with targets of numbers in its type."""
        return Items(self._prepare(X), y.astype(self.dtype_) if y.dtype.kind == "f" else y, weight)

    def _continues(self) -> bool:
        """Whether `fit` goes on with the network that there is."""
        return bool(self.warm_start) and hasattr(self, "model_")

    def _standardise(self, X: NDArray, weight: NDArray | None) -> None:
        """Let the scaler take these rows into account, too."""
        low, high = self._range if hasattr(self.scaler_, "mean_") else (math.inf, -math.inf)
        least, most = (0.0, 255.0) if X.dtype == np.uint8 else (float(X.min()), float(X.max()))
        self._range = min(low, least), max(high, most)
        for part in self._parts(len(X), _CONVERTED):
            columns = self._by_channel(X[part])
            of_each = None if weight is None else np.repeat(weight[part], len(columns) // len(X[part]))
            self.scaler_.partial_fit(columns, sample_weight=of_each)

    def _item_weights(self, X: NDArray, sample_weight: Any) -> NDArray | None:
        """The weights of the rows, of which one is above 0."""
        if sample_weight is None:
            return None
        dtype = np.float64 if X.dtype == np.float64 else np.float32
        return _check_sample_weight(sample_weight, X, dtype=dtype, ensure_non_negative=True)  # type: ignore[no-any-return]

    def _check_options(self, who: str) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES)):
            if not isinstance(getattr(self, name), str) or getattr(self, name) not in known:
                raise OptionError(who, f"{name}: one of " + ", ".join(known), repr(getattr(self, name)))
        for name in ("epochs", "batch_size", "n_iter_no_change"):
            as_count(who, name, getattr(self, name))
        as_number(who, "lr", self.lr, "(0, inf)")
        as_number(who, "weight_decay", self.weight_decay, "[0, inf)")
        as_number(who, "validation_fraction", self.validation_fraction, "(0, 1)")
        if not (callable(self.model) or (isinstance(self.model, str) and self.model in ("auto", *models.MODELS))):
            expected = 'model: "auto", a function (input_shape, outputs, rng), or one of ' + ", ".join(models.MODELS)
            raise OptionError(who, expected, repr(self.model))

    def _make_model(self, who: str, outputs: int, rng: np.random.Generator) -> Layer:
        if callable(self.model):
            model = self.model(self.input_shape_, outputs, rng)
            if not isinstance(model, Layer):
                raise OptionError(who, "model: a function that returns a Layer", type(model).__name__)
        else:
            images = len(self.input_shape_) == 3 and min(self.input_shape_[:2]) >= 4
            name = self.model if self.model != "auto" else "mnist_cnn" if images else "mlp"
            model = models.build(name, self.input_shape_, outputs, rng=rng)
        model.astype(self.dtype_)
        self._predictor = Predictor(model, self.input_shape_)
        if model.output_shape(self.input_shape_) != (outputs,):
            raise ShapeError(who, f"a model with {outputs} outputs", str(model.output_shape(self.input_shape_)))
        return model

    def _rows(self, X: Any, *, fit: bool, y: Any = "no_validation", more: bool = False, **options: Any) -> Any:
        """X as checked rows (N, D), also for images; with y if it is given.

        Parameters
            fit : whether they are to train on;  more : for the network that there is
        """
        for given in (X, y):
            refuse_mask(type(self).__name__, given)
        if fit:
            self._check_options(type(self).__name__)
        shape = None
        if len(getattr(X, "shape", ())) > 2:
            X = check_array(X, allow_nd=True, dtype="numeric", estimator=self)
            shape = X.shape[1:] if X.ndim > 3 else (*X.shape[1:], 1)
            if fit and X.ndim == 4 and self.image_shape is None:
                remedy = f"np.moveaxis(X, 1, -1) if they are (N, C, H, W), else image_shape={shape}"
                channels_last(type(self).__name__, X, None, remedy)
            X = X.reshape(len(X), -1)
        checked = validate_data(self, X, y, reset=fit and not more, dtype="numeric", **options)
        if fit and not more:
            self.input_shape_ = input_shape(type(self).__name__, self.image_shape, self.n_features_in_, shape)
            if shape is None and self.image_shape is None and self.model == "auto":
                hint(type(self).__name__, checked if y is None or isinstance(y, str) else checked[0])
        elif shape is not None and shape != self.input_shape_:
            raise ShapeError(type(self).__name__, f"images {self.input_shape_}, as in fit", str(shape))
        return checked

    def _by_channel(self, X: NDArray) -> NDArray:
        """X with one column per group that is standardised together: a feature of rows, a channel of images."""
        return X.reshape(-1, self.input_shape_[-1])

    def _prepare(self, X: NDArray) -> NDArray:
        """The standardised inputs of the network."""
        x = np.empty((len(X), *self.input_shape_), self.dtype_)
        for part in self._parts(len(X), _CONVERTED):
            x[part] = self.scaler_.transform(self._by_channel(X[part])).reshape(-1, *self.input_shape_)
        return x

    def _parts(self, rows: int, numbers: int, least: int = 1) -> list[slice]:
        """Slices of all rows, of about `numbers` numbers each; at least `least` rows, at most `_ROWS`."""
        size = min(_ROWS, max(least, numbers // math.prod(self.input_shape_)))
        return [slice(begin, begin + size) for begin in range(0, rows, size)]

    def _outputs(self, X: NDArray) -> NDArray:
        """The network's outputs (N, K); raises an error unless they are finite."""
        network = getattr(self, "_predictor", None)
        if network is None or network.model is not self.model_:  # of an estimator of an older version, for example
            network = self.model_
        with np.errstate(over="ignore", invalid="ignore"):  # the results are checked
            parts = self._parts(len(X), _PREDICTED, self.batch_size)
            outputs = np.concatenate([to_numpy(network(asarray(self._prepare(X[part])))) for part in parts])
        if not np.isfinite(outputs).all():
            row = int((~np.isfinite(outputs)).any(axis=1).argmax())
            remedy = "scale the inputs as those of fit, or fit again with a lower lr"
            raise NonFiniteError(type(self).__name__, "finite outputs", f"NaN or infinity for row {row}", remedy)
        return outputs
