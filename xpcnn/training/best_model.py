"""The file that the best model is kept in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..data.dataset import Split
from ..io.architecture import registry
from ..io.model_file import REGRESSION, SCALE, UNIT, save_model
from ..io.tensors import write_tensors
from ..nn import Layer
from ..typing import Shape

MODEL = "model.safetensors"
WEIGHTS = "weights.safetensors"  # of a model with a layer of the user's own, which no file can name


def save_best(
    folder: Path,
    model: Layer,
    input_shape: Shape,
    classes: Iterable[str],
    *,
    classifies: bool,
    split: Split | None = None,
) -> None:
    """Write the model to `MODEL`, or its arrays alone to `WEIGHTS`.

    Parameters
        classifies : whether its outputs are scores of classes, see `SavedModel.is_classifier`
        split : what it was trained on, which says what images are divided by
    """
    if all(type(layer) in registry().values() for _, layer in model.named_layers()):
        extra: dict[str, object] = {} if classifies else {REGRESSION: True}
        extra |= {} if split is None else {SCALE: split.scale, UNIT: split.is_unit}
        save_model(model, folder / MODEL, input_shape=input_shape, classes=classes, extra=extra)
    else:
        write_tensors(folder / WEIGHTS, model.state_dict(), {"kind": "weights"})
