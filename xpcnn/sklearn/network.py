"""The common base of both estimators: checked input, standardisation, training and prediction.

It has its own training loop: `Trainer` takes `Split`s of images in [0, 1], but inputs here may be rows of any numbers.
"""

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
from sklearn.utils.validation import validate_data

from .. import models
from ..backend import asarray, refuse_mask, to_numpy
from ..data.pixels import channels_last, looks_channels_first
from ..errors import DataError, NonFiniteError, OptionError, ShapeError
from ..nn import Layer
from ..nn.loss import Loss
from ..optim import OPTIMIZERS
from ..options import as_count, as_number
from ..random import Seed
from ..training.config import SCHEDULES
from ..training.finite_weights import FiniteWeights
from ..training.gradients import addends, batch_gradients, step_gradients
from ..typing import NDArray, Shape

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
        self.random_state = random_state
        self.verbose = verbose

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.three_d_array = True
        return tags

    @abstractmethod
    def _score(self, y: NDArray, outputs: NDArray) -> float:
        """The score of the network's outputs on validation targets; higher is better."""

    def _fit(self, X: NDArray, y: NDArray, outputs: int, criterion: Loss) -> Self:
        """Train a new network on rows (N, D) and the targets that the criterion takes."""
        who = type(self).__name__
        random = check_random_state(self.random_state)
        rng = np.random.default_rng(random.randint(np.iinfo(np.int32).max))
        held_X, held_y = None, None
        if self.early_stopping:
            X, held_X, y, held_y = train_test_split(
                X,
                y,
                test_size=self.validation_fraction,
                random_state=random,
                stratify=y if criterion.classifies else None,
            )
        self.scaler_ = StandardScaler()
        for part in self._parts(len(X), _CONVERTED):
            self.scaler_.partial_fit(self._by_channel(X[part]))
        self.dtype_ = "float64" if X.dtype == np.float64 else "float32"
        self.model_ = self._make_model(who, outputs, rng)
        self._train(who, self._prepare(X), y, held_X, held_y, criterion, rng)
        return self

    def _train(
        self,
        who: str,
        x: NDArray,
        y: NDArray,
        held_X: NDArray | None,
        held_y: NDArray | None,
        criterion: Loss,
        rng: Any,
    ) -> None:
        model, batches = self.model_, math.ceil(len(x) / self.batch_size)
        weights = FiniteWeights(model)
        optimizer = OPTIMIZERS[self.optimizer](model.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        schedule = SCHEDULES[self.schedule](self.lr, self.epochs * batches)
        self.history_: list[dict[str, float]] = []
        best_score, best_epoch, best_state = -math.inf, 0, {}
        for epoch in range(1, self.epochs + 1):
            losses = []
            for batch in np.array_split(rng.permutation(len(x)), batches):  # of nearly equal lengths
                with np.errstate(over="ignore", invalid="ignore"):  # the results are checked
                    part = batch_gradients(model, criterion, asarray(x[batch]), asarray(y[batch]))
                    optimizer.lr = schedule.lr_at(optimizer.steps)
                    try:
                        optimizer.step(step_gradients(part, criterion.reduction))
                    except NonFiniteError as error:
                        got = f"{error.got}, in epoch {epoch}"
                        raise NonFiniteError(who, error.expected, got, "lower lr") from error
                losses.append((part.loss, part.items, len(batch)))
            sums = [addends(criterion.reduction, *each) for each in losses]  # last: reading waits for a device
            total, count = (sum(column) for column in zip(*sums, strict=True))
            loss = total / count if count else math.nan  # if all class weights are 0
            if not math.isfinite(loss):
                remedy = "lower lr" if count else "give a class that there is a class_weight above 0"
                raise NonFiniteError(who, "a finite loss", f"{loss} in epoch {epoch}", remedy)
            weights.check(who, model.state_dict(), f"after epoch {epoch}", "lower lr")
            row = {"epoch": epoch, "loss": loss}
            schedule.observe(row["loss"])
            if held_X is not None and held_y is not None:
                row["validation_score"] = score = self._score(held_y, self._outputs(held_X))
                if score > best_score:
                    best_score, best_epoch = score, epoch
                    best_state = {name: to_numpy(array).copy() for name, array in model.state_dict().items()}
            self.history_.append(row)
            if self.verbose:
                print("  ".join(f"{name} {value:z.4g}" for name, value in row.items()), flush=True)
            if self.early_stopping and epoch - best_epoch >= self.n_iter_no_change:
                break
        if best_state:
            model.load_state_dict(best_state)
        self.n_iter_ = len(self.history_)

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
        if model.output_shape(self.input_shape_) != (outputs,):
            raise ShapeError(who, f"a model with {outputs} outputs", str(model.output_shape(self.input_shape_)))
        return model

    def _rows(self, X: Any, *, fit: bool, y: Any = "no_validation", **options: Any) -> Any:
        """X as checked rows (N, D), also for images; with y if it is given."""
        for given in (X, y):
            refuse_mask(type(self).__name__, given)
        if fit:
            self._check_options(type(self).__name__)
        shape = None
        if getattr(X, "ndim", 2) > 2:
            X = check_array(X, allow_nd=True, dtype="numeric", estimator=self)
            shape = X.shape[1:] if X.ndim > 3 else (*X.shape[1:], 1)
            if fit and X.ndim == 4 and self.image_shape is None:
                remedy = f"np.moveaxis(X, 1, -1) if they are (N, C, H, W), else image_shape={shape}"
                channels_last(type(self).__name__, X, None, remedy)
            X = X.reshape(len(X), -1)
        checked = validate_data(self, X, y, reset=fit, dtype="numeric", **options)
        if fit:
            self.input_shape_ = self._input_shape(shape)
        elif shape is not None and shape != self.input_shape_:
            raise ShapeError(type(self).__name__, f"images {self.input_shape_}, as in fit", str(shape))
        return checked

    def _input_shape(self, shape: Shape | None) -> Shape:
        """(H, W, C) of images, (D,) of rows."""
        given = self.image_shape
        if given is None:
            return (self.n_features_in_,) if shape is None else shape
        who = type(self).__name__
        if not isinstance(given, tuple | list) or len(given) not in (2, 3):
            raise OptionError(who, "image_shape (H, W) or (H, W, C)", repr(given))
        given = tuple(as_count(who, "each axis of image_shape", size) for size in given)
        given = given if len(given) == 3 else (*given, 1)
        if shape not in (None, given) or math.prod(given) != self.n_features_in_:
            got = f"{self.n_features_in_} features" if shape is None else f"images {shape}"
            raise ShapeError(who, f"images of image_shape {given}", got)
        if shape is None and looks_channels_first(given):
            remedy = f"np.moveaxis(X.reshape(-1, {given[0]}, {given[1]}, {given[2]}), 1, -1) has the channels last"
            raise DataError(who, "image_shape (H, W, C)", repr(given), remedy)
        return given

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
        with np.errstate(over="ignore", invalid="ignore"):  # the results are checked
            parts = self._parts(len(X), _PREDICTED, self.batch_size)
            outputs = np.concatenate([to_numpy(self.model_(asarray(self._prepare(X[part])))) for part in parts])
        if not np.isfinite(outputs).all():
            row = int((~np.isfinite(outputs)).any(axis=1).argmax())
            remedy = "scale the inputs as those of fit, or fit again with a lower lr"
            raise NonFiniteError(type(self).__name__, "finite outputs", f"NaN or infinity for row {row}", remedy)
        return outputs
