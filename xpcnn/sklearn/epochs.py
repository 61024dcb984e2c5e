"""The estimators' training loop.

Plan, gradients of a batch, and checks of the weights are those of `Trainer`, but not its loop: items may have weights,
batches have nearly equal lengths and are drawn by the estimator's generator, scikit-learn's score chooses the best
epoch, and there are no files.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from .. import data
from ..backend import asarray, to_numpy
from ..data.augment import Augment
from ..errors import NonFiniteError, OptionError
from ..nn import Layer, PartsPlan, plan_training
from ..nn.loss import Loss
from ..optim.optimizer import Optimizer
from ..optim.schedule import Schedule
from ..training.finite_weights import FiniteWeights
from ..training.gradients import addends, batch_gradients, step_gradients
from ..typing import NDArray, Shape


class Items(NamedTuple):
    """What a network is trained on: its inputs, its targets, and the items' weights, if they have any."""

    x: NDArray
    y: NDArray
    weight: NDArray | None = None


class FitOptions(NamedTuple):
    """How it is trained.

    Parameters
        who : for errors
        batch_size, epochs : of the training;  first : the number of the first epoch
        augment : changes each batch (x, y, rng), or None
        score : of held-out items, higher is better, or None
        patience : epochs without a better score after which it stops, with the best epoch's weights; None for all
        verbose : print a line for each epoch
    """

    who: str
    batch_size: int
    epochs: int
    first: int = 1
    augment: Augment | None = None
    score: Callable[[], float] | None = None
    patience: int | None = None
    verbose: bool = False


def train(
    model: Layer, optimizer: Optimizer, schedule: Schedule, criterion: Loss, items: Items, options: FitOptions, rng: Any
) -> list[dict[str, float]]:
    """Train the network; return a row for each epoch.

    Raises
        NonFiniteError : the loss, a gradient or a weight is NaN or infinite
    """
    plan, weights, history = plan_training(model), FiniteWeights(model), list[dict[str, float]]()
    best_score, best_epoch, best_state = -math.inf, options.first - 1, dict[str, NDArray]()
    for epoch in range(options.first, options.first + options.epochs):
        loss = _epoch(plan, optimizer, schedule, criterion, items, options, rng, epoch)
        weights.check(options.who, model.state_dict(), f"after epoch {epoch}", "lower lr")
        row = {"epoch": epoch, "loss": loss}
        schedule.observe(loss)
        if options.score is not None:
            row["validation_score"] = score = options.score()
            if score > best_score and options.patience is not None:
                best_score, best_epoch = score, epoch
                best_state = {name: to_numpy(array).copy() for name, array in model.state_dict().items()}
        history.append(row)
        if options.verbose:
            print("  ".join(f"{name} {value:z.4g}" for name, value in row.items()), flush=True)
        if options.patience is not None and epoch - best_epoch >= options.patience:
            break
    if best_state:
        model.load_state_dict(best_state)
    return history


def _epoch(
    plan: PartsPlan,
    optimizer: Optimizer,
    schedule: Schedule,
    criterion: Loss,
    items: Items,
    options: FitOptions,
    rng: Any,
    epoch: int,
) -> float:
    """Take all items once, in batches of nearly equal lengths; return their mean loss."""
    who, losses = options.who, []
    for batch in np.array_split(rng.permutation(len(items.x)), math.ceil(len(items.x) / options.batch_size)):
        x, y = items.x[batch], items.y[batch]
        if options.augment is not None:
            x, y = options.augment(x, y, rng)
        with np.errstate(over="ignore", invalid="ignore"):  # the results are checked
            weight = None if items.weight is None else asarray(items.weight[batch])
            part = batch_gradients(plan, criterion, asarray(x), asarray(y), weight)
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
    return loss


def augmentation(who: str, given: Any, input_shape: Shape, outputs: int) -> Augment | None:
    """The augmentation of standardised images that text or a function states, or None.

    Raises
        OptionError : it is something else, or inputs are no images
    """
    if given is None:
        return None
    if len(input_shape) != 3:
        raise OptionError(who, "images, as there is augment", f"rows {input_shape}", "state image_shape")
    augment: Any = data.augment.parse(given, outputs) if isinstance(given, str) else given
    if not callable(augment):
        raise OptionError(who, "augment: text, or a function (x, y, rng) → (x, y)", repr(given)[:80])
    steps = getattr(augment, "steps", (augment,))
    if any(getattr(step, "clips", False) for step in (augment, *steps)):
        raise OptionError(who, "augment for standardised images", repr(given), "leave brightness and contrast out")
    return augment  # type: ignore[no-any-return]


def as_eval_set(who: str, given: Any) -> tuple[Any, Any]:
    """A pair (X, y).

    Raises
        OptionError : it is something else
    """
    if not isinstance(given, tuple | list) or len(given) != 2:
        raise OptionError(who, "eval_set: a pair (X, y)", repr(type(given).__name__))
    return given[0], given[1]
