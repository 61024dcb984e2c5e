"""What a training needs only at the end of its first epoch, or later, tried before its first step."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.dataset import Split
from ..data.loader import Loader
from ..errors import DataError, OptionError, ShapeError, XpcnnError, warn
from ..nn.layer import Layer, check_layer
from ..nn.loss import Loss, check_loss
from ..optim.optimizer import Optimizer, check_optimizer
from ..optim.schedule import Schedule
from ..options import as_count, as_number
from .best_model import best_file
from .dry_run import first_batches
from .epoch_end import stale
from .evaluation import try_out
from .training_state import unchanged

if TYPE_CHECKING:
    from .trainer import Trainer

WHO = "Trainer.fit"


def check_arguments(
    model: Layer,
    optimizer: Optimizer,
    criterion: Loss,
    schedule: Schedule | None,
    patience: int | None,
    clip_norm: float | None,
    checkpoint_seconds: float,
) -> None:
    """Refuse what no `Trainer` can be made of."""
    check_layer("Trainer", model)
    check_optimizer("Trainer", optimizer, model.parameters())
    check_loss("Trainer", criterion)
    if not isinstance(schedule, Schedule | None):
        raise OptionError("Trainer", "a schedule, such as Cosine(0.1, 1000)", repr(schedule)[:80])
    if patience is not None:
        as_count("Trainer", "patience", patience)
    if clip_norm is not None:
        as_number("Trainer", "clip_norm", clip_norm, "(0, inf)")
    as_number("Trainer", "checkpoint_seconds", checkpoint_seconds, "[0, inf)")


def check_ready(trainer: Trainer, loader: Loader, validation: Split | None) -> Loader:
    """Refuse what would end the training after an epoch of work; the loader, of the batches that are trained on.

    Raises
        OptionError : other arguments than these; patience without validation; not as many names as classes; a model
            that no file can hold
        DataError, ShapeError, DTypeError : validation that model or criterion cannot take, a label without an output,
            or batch norm that the last batch's one image does not suffice for
    """
    for given, kind in ((loader, Loader), (validation, Split)):
        if given is not None and not isinstance(given, kind):
            raise OptionError(WHO, f"a {kind.__name__}", type(given).__name__, "see xpcnn.data")
    if trainer.overfit_batches:
        loader = first_batches(loader, trainer.overfit_batches)
    if validation is None and trainer.patience is not None:
        remedy = "pass a Split to fit, such as one of split.split(0.1), or leave patience out"
        raise OptionError(WHO, "validation images, as there is patience", "none", remedy)
    if validation is not None:
        try:
            outputs = try_out(trainer.kept_model, validation, trainer.criterion)
        except XpcnnError as error:
            error.who = f"{WHO}, validation: {error.who}"
            raise
        _check_outputs(trainer, loader, outputs)
    if trainer.folder is not None:
        shape, classifies = loader.split.input_shape, trainer.criterion.classifies
        best_file(trainer.kept_model, shape, trainer.classes, classifies=classifies)
    if loader.batch_size == 1 or (len(loader.split) % loader.batch_size == 1 and not loader.drop_last):
        _try_one_image(trainer, loader)
    return loader


def _check_outputs(trainer: Trainer, loader: Loader, outputs: int) -> None:
    if not trainer.criterion.classifies:
        return
    if trainer.classes and len(trainer.classes) != outputs:
        raise OptionError(WHO, f"{outputs} names of classes, as the model has outputs", str(len(trainer.classes)))
    highest = int(loader.split.labels.max())
    if loader.augment is None and loader.split.has_classes and highest >= outputs:
        raise DataError(WHO, f"labels below {outputs}, as the model has outputs", str(highest))


def _try_one_image(trainer: Trainer, loader: Loader) -> None:
    """The last batch has one image, which is not enough for batch norm where its maps are 1×1."""
    x, _ = next(loader.epoch(0, start=len(loader) - 1))
    try:
        with unchanged(trainer.model), np.errstate(over="ignore", invalid="ignore"):
            trainer.model.forward(x)
    except ShapeError as error:
        error.who = f"{WHO}, the last batch, of one image: {error.who}"
        error.remedy = "leave it out: Loader(…, drop_last=True); or choose another batch_size"
        raise


def warn_of_nothing_left(trainer: Trainer, epochs: int, *, resumed: bool) -> None:
    """Say that `fit` returns at once; who resumes asks for no more than that all epochs are done."""
    done = trainer.position.epoch
    if resumed:
        return
    if done >= epochs:
        remedy = f"epochs are counted in all: pass epochs={done + epochs} for {epochs} more"
        warn(WHO, f"{done} epochs are done already, and none is trained", remedy)
    elif stale(trainer):
        remedy = "raise patience, or set it to None"
        warn(WHO, f"validation has not improved for patience={trainer.patience} epochs, and none is trained", remedy)
