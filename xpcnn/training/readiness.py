"""Before the first step, try everything that a training needs only at the end of an epoch, or later."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import numpy as np

from ..data.loader import Loader
from ..data.source import Source, blocks
from ..data.split import Split
from ..errors import DataError, OptionError, ShapeError, XpcnnError, warn
from ..nn import BCEWithLogitsLoss, CrossEntropyLoss, DiceLoss, FocalLoss, NLLLoss, Sigmoid, Softmax
from ..nn.freezing import all_parameters
from ..nn.last_layer import last_layer
from ..nn.layer import Layer, check_layer
from ..nn.loss import Loss, check_loss
from ..optim.optimizer import Optimizer, check_optimizer
from ..optim.schedule import Schedule
from ..options import as_count, as_number, did_you_mean
from .evaluation import check_probabilities, highest_label, try_out
from .history import VALIDATION
from .position import Position
from .tallies import Classes, Images, Labels, Numbers
from .training_state import unchanged

WHO = "Trainer.fit"
_METRICS = tuple(
    dict.fromkeys(("loss", *chain.from_iterable(each.names for each in (Classes, Labels, Numbers, Images))))
)
_PART_OF: dict[type, tuple[type, ...]] = {  # of a loss, or of what goes before it
    CrossEntropyLoss: (Softmax,),
    FocalLoss: (Softmax,),
    NLLLoss: (Softmax,),
    BCEWithLogitsLoss: (Sigmoid,),
    DiceLoss: (Softmax, Sigmoid),
}


def check_arguments(
    model: Layer,
    optimizer: Optimizer,
    criterion: Loss,
    schedule: Schedule | None,
    patience: int | None,
    clip_norm: float | None,
    checkpoint_seconds: float,
) -> None:
    """Refuse arguments from which no `Trainer` can be made."""
    check_layer("Trainer", model)
    check_optimizer("Trainer", optimizer, model.parameters())
    check_loss("Trainer", criterion)
    _warn_of_activation(model, criterion)
    if not isinstance(schedule, Schedule | None):
        raise OptionError("Trainer", "a schedule, such as Cosine(0.1, 1000)", repr(schedule)[:80])
    if patience is not None:
        as_count("Trainer", "patience", patience)
    if clip_norm is not None:
        as_number("Trainer", "clip_norm", clip_norm, "(0, inf)")
    as_number("Trainer", "checkpoint_seconds", checkpoint_seconds, "[0, inf)")


def _warn_of_activation(model: Layer, criterion: Loss) -> None:
    """Warn if the network ends in what the criterion does itself: it would then learn slowly, or hardly."""
    path = last_layer(model)
    last = type(path[-1][1] if path else model)
    if last in _PART_OF.get(type(criterion), ()):
        wanted = "log-probabilities" if isinstance(criterion, NLLLoss) else "logits"
        what = f"{type(criterion).__name__} takes {wanted}, and the network ends in {last.__name__}"
        warn("Trainer", what, f"let it end in {'LogSoftmax' if isinstance(criterion, NLLLoss) else 'the layer before'}")


def as_monitor(monitor: object, min_delta: object) -> tuple[str, float]:
    """The number by which epochs are compared, or "", and by how much an epoch must be better."""
    if not (monitor is None or (isinstance(monitor, str) and monitor.startswith(("train_", VALIDATION)))):
        remedy = f"such as monitor={VALIDATION + monitor!r}" if isinstance(monitor, str) and monitor in _METRICS else ""
        expected = f"monitor: train_loss, train_accuracy, or {VALIDATION} followed by one of {', '.join(_METRICS)}"
        raise OptionError("Trainer", expected, repr(monitor)[:80], remedy)
    if as_number("Trainer", "min_delta", min_delta, "[0, inf)") and monitor is None:
        raise OptionError("Trainer", "a monitor, as there is min_delta", "none", 'such as monitor="validation_loss"')
    return monitor or "", float(min_delta)  # type: ignore[arg-type]


def as_unfreeze_at(model: Layer, epoch: int | None) -> int | None:
    """Check the epoch from which all parameters are trained, or None; return it."""
    if epoch is None:
        return None
    if all_parameters(model).keys() == model.parameters().keys():
        remedy = "pass nn.freeze(model, …), or leave unfreeze_at out"
        raise OptionError("Trainer", "unfreeze_at: a network with frozen parameters", "none", remedy)
    return as_count("Trainer", "unfreeze_at", epoch, least=2)


def check_fit(loader: object, validation: object, epochs: int, patience: int | None, monitor: str) -> None:
    """Refuse arguments that `Trainer.fit` cannot work with."""
    as_count(WHO, "epochs", epochs)
    for given, kind in ((loader, Loader), (validation, Split)):
        if given is not None and not isinstance(given, kind):
            raise OptionError(WHO, f"a {kind.__name__}", type(given).__name__, "see xpcnn.data")
    if validation is None and patience is not None and not monitor:
        remedy = "pass a Split to fit, such as one of split.split(0.1), or leave patience out"
        raise OptionError(WHO, "validation images, as there is patience", "none", remedy)


def check_ready(
    loader: Loader,
    validation: Split | None,
    model: Layer,
    kept_model: Layer,
    criterion: Loss,
    classes: Sequence[str],
    monitor: str = "",
) -> None:
    """Refuse anything that would end the training after an epoch of work.

    Parameters
        model, kept_model : the one that is trained, and the one that is validated and kept
        classes : their names, or none
        monitor : the number by which epochs are compared, or ""
    Raises
        OptionError : the number of names differs from that of classes, or no epoch has the monitored number
        DataError, ShapeError, DTypeError : model or criterion refuses the validation images, a label has no output, or
            the last batch has a single image, which is too few for batch norm
    """
    for split in (loader.split, validation):
        if split is not None and criterion.classifies:
            check_probabilities(WHO, criterion, split)
            _check_classes(split, criterion.ignore_index)
    known = ["train_loss", *(["train_accuracy"] if criterion.classifies or criterion.binary else [])]
    if validation is not None:
        try:
            outputs, metrics = try_out(kept_model, validation, criterion)
            known += [VALIDATION + name for name in ("loss", *metrics)]
        except XpcnnError as error:
            error.who = f"{WHO}, validation: {error.who}"
            raise
        if criterion.classifies:
            _check_outputs(loader, classes, outputs, highest_label(criterion, loader.split))
    if monitor and monitor not in known:
        remedy = did_you_mean(monitor, known) or ("pass a Split to validate on" if validation is None else "")
        raise OptionError(WHO, "monitor: one of " + ", ".join(known), monitor, remedy)
    if loader.batch_size == 1 or (len(loader.split) % loader.batch_size == 1 and not loader.drop_last):
        _try_one_image(model, loader)


def _check_classes(split: Split, ignored: int | None) -> None:
    """Refuse negative classes in a source, which nothing has looked at yet; a split refuses those of an array."""
    first = 0
    for block in blocks(split.labels) if split.has_classes and isinstance(split.labels, Source) else ():
        wrong = (block < 0) & (block != ignored) if block.dtype.kind == "i" else np.zeros(block.shape, bool)
        if wrong.any():
            at = np.argwhere(wrong)[0]
            raise DataError(WHO, "labels from 0 on", f"{block[tuple(at)]} of item {first + at[0]}")
        first += len(block)


def _check_outputs(loader: Loader, classes: Sequence[str], outputs: int, highest: int) -> None:
    if classes and len(classes) != outputs:
        raise OptionError(WHO, f"{outputs} names of classes, as the model has outputs", str(len(classes)))
    if loader.augment is None and highest >= outputs:
        raise DataError(WHO, f"labels below {outputs}, as the model has outputs", str(highest))


def _try_one_image(model: Layer, loader: Loader) -> None:
    """Refuse a last batch of one image if batch norm gets 1×1 maps, and so a single value per channel."""
    x, _ = next(loader.epoch(0, start=len(loader) - 1))
    try:
        with unchanged(model), np.errstate(over="ignore", invalid="ignore"):
            model.forward(x)
    except ShapeError as error:
        error.who = f"{WHO}, the last batch, of one image: {error.who}"
        error.remedy = "leave it out: Loader(…, drop_last=True); or choose another batch_size"
        raise


def warn_of_nothing_left(position: Position, epochs: int, patience: int | None) -> None:
    """Warn if `fit` has nothing left to do and returns at once."""
    done = position.epoch
    if done >= epochs:
        remedy = f"epochs are counted in all: pass epochs={done + epochs} for {epochs} more"
        warn(WHO, f"{done} epochs are done already, and none is trained", remedy)
    elif position.is_stale(patience):
        remedy = "raise patience, or set it to None"
        warn(WHO, f"validation has not improved for patience={patience} epochs, and none is trained", remedy)
