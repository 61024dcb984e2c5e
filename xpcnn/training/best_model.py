"""The file that the best model is kept in."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ..io.architecture import registry
from ..io.model_file import REGRESSION, save_model
from ..io.tensors import write_tensors
from ..nn import Layer
from ..typing import Shape

MODEL = "model.safetensors"
WEIGHTS = "weights.safetensors"  # of a model with a layer of the user's own, which no file can name


def save_best(folder: Path, model: Layer, input_shape: Shape, classes: Iterable[str], *, classifies: bool) -> None:
    """Write the model to `MODEL`, or its arrays alone to `WEIGHTS`.

    Parameters
        classifies : whether its outputs are scores of classes, see `SavedModel.is_classifier`
    """
    if all(type(layer) in registry().values() for _, layer in model.named_layers()):
        extra = {} if classifies else {REGRESSION: True}
        save_model(model, folder / MODEL, input_shape=input_shape, classes=classes, extra=extra)
    else:
        write_tensors(folder / WEIGHTS, model.state_dict(), {"kind": "weights"})
