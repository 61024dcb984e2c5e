"""Keep the best model: in a file or, without a folder, as copies of its arrays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from pathlib import Path
from typing import Any

from ..backend import array_namespace, asarray
from ..data.loader import Loader, images_at_once
from ..data.split import Split
from ..io.known_layers import can_name
from ..io.model_file import IGNORE, LABELS, REGRESSION, RESIZE, SCALE, UNIT, SavedModel, described
from ..io.tensors import read_tensors, write_tensors
from ..nn import Layer
from ..nn.loss import Loss
from ..typing import Array, Shape

MODEL = "model.safetensors"
WEIGHTS = "weights.safetensors"  # for a model with a user's own layer, which no file can name
SCALES = "scales"  # in the file's `extra`: the divisors of several inputs
BATCH_SIZE = "batch_size"  # in the file's `extra`: the batch size in training


def model_path(path: Path) -> Path:
    """The model file at the path: the file itself, or the one in a run's folder."""
    return path / MODEL if path.is_dir() else path


def keep_best(
    folder: Path | None, model: Layer, loader: Loader, classes: Iterable[str], *, criterion: Loss, validated: bool
) -> dict[str, Array] | None:
    """Save the model in the run's folder; without a folder, return copies of its arrays.

    Parameters
        loader : the training's
        validated : False if the best epoch is always the last, so that the model itself is the best
    """
    if folder is None:
        arrays = model.state_dict() if validated else {}
        return {name: array_namespace(a).asarray(a, copy=True) for name, a in arrays.items()} or None
    split, size = loader.split, loader.batch_size
    save_best(folder, model, split.input_shape, classes, criterion=criterion, batch_size=size, split=split)
    return None


def save_best(
    folder: Path,
    model: Layer,
    input_shape: Shape,
    classes: Iterable[str],
    *,
    criterion: Loss,
    batch_size: int | None = None,
    split: Split | None = None,
) -> None:
    """Write the model to `MODEL`, or its arrays alone to `WEIGHTS`.

    Parameters
        criterion : says what its outputs are: scores of classes, answers to yes-or-no questions, or values
        batch_size : of the training, for `run_batch_size`
        split : the training images, which hold the divisor of their numbers
    Raises
        OptionError : as in `best_file`;  FileError : the file cannot be written
    """
    options: dict[str, Any] = {"criterion": criterion, "batch_size": batch_size, "split": split}
    name, tensors, metadata = best_file(model, input_shape, classes, **options)
    write_tensors(folder / name, tensors, metadata)


def best_file(
    model: Layer,
    input_shape: Shape,
    classes: Iterable[str],
    *,
    criterion: Loss,
    batch_size: int | None = None,
    split: Split | None = None,
) -> tuple[str, Mapping[str, Array], dict[str, Any]]:
    """The file's name, arrays and metadata.

    Raises
        OptionError : a file cannot hold the model or the names
    """
    if not can_name(model):
        return WEIGHTS, model.state_dict(), {"kind": "weights"}
    extra: dict[str, object] = {} if batch_size is None else {BATCH_SIZE: batch_size}
    extra |= {} if criterion.classifies else {REGRESSION: True}
    extra |= {LABELS: True} if criterion.binary else {}
    if split is not None:
        several = isinstance(split.images, tuple)
        extra |= {SCALES: list(split.scale)} if several else {SCALE: split.scale, UNIT: split.is_unit}
        extra |= {} if split.resize == "squash" else {RESIZE: split.resize}
        ignored = criterion.ignore_index if split.ignore_index is None else split.ignore_index
        extra |= {} if ignored is None else {IGNORE: ignored}
    return MODEL, *described(model, MODEL, input_shape=input_shape, classes=classes, extra=extra)


def run_batch_size(saved: SavedModel) -> int:
    """The batch size for inference with a saved model; for large images that of its training, if the file has it."""
    said = saved.extra.get(BATCH_SIZE)
    return images_at_once(saved.input_shape, said if isinstance(said, int) and said >= 1 else None)


def with_arrays(model: Layer, kept: Path | Mapping[str, Array]) -> Layer:
    """A copy of the model with the arrays of the best epoch, from the run's folder or from memory.

    Raises
        FormatError, FileError : the folder's file is missing or broken
    """
    best = deepcopy(model)
    if isinstance(kept, Path):
        path = next((kept / name for name in (MODEL, WEIGHTS) if (kept / name).exists()), kept / MODEL)
        kept = {name: asarray(array) for name, array in read_tensors(path)[0].items()}
    best.load_state_dict(kept)
    return best
