"""A trained network in one file: its layers, their weights, and everything needed to use it.

The file has the safetensors format and is safe to open: no pickle, no lookup of arbitrary names, no paths.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Literal, Protocol, runtime_checkable

from ..backend import to_numpy, use_backend
from ..errors import FormatError, OptionError, ShapeError, XpcnnError
from ..nn.display import headline
from ..nn.layer import Layer, check_layer
from ..options import as_names, as_path, as_shape
from ..random import Seed
from ..typing import NDArray, Shape
from .architecture import check_same, from_config, to_config
from .document import parse_json
from .extent import check_extent
from .tensors import read_tensors, write_tensors

MOST_CLASSES = 2**20
MOST_NAME = 1000
# In `extra`:
REGRESSION = "regression"  # true if the outputs are values
LABELS = "labels"  # true if each of these is the logit of a yes-or-no question of its own
SCALE = "scale"  # the divisor of the training images' numbers
MOST_INPUTS = 64
UNIT = "unit"  # false if they were not in [0, 1] after the division
RESIZE = "resize"  # how pictures were brought to this size, if not by squashing
IGNORE = "ignore_index"  # the class of pixels that do not count
_RESIZES = ("squash", "crop", "pad")


@dataclass(frozen=True, eq=False)
class SavedModel:
    """The contents of a model file.

    Parameters
        model : the network, with its parameters on the current backend
        input_shape : of one input, without the batch axis
        classes : names of the outputs, if any
        extra : other values saved with it

    >>> from xpcnn.nn import Linear
    >>> SavedModel(Linear(3, 2), (3,), ("cat", "dog"), {})
    SavedModel(Linear, 8 parameters, input (3,), 2 classes)
    """

    model: Layer
    input_shape: Shape
    classes: tuple[str, ...]
    extra: dict[str, Any]

    def __repr__(self) -> str:
        outputs = f", {len(self.classes)} classes" if self.classes else ""
        return f"{type(self).__name__}({headline(self.model)}, input {self.input_shape}{outputs})"

    def _repr_html_(self) -> str:
        return self.model._repr_html_()

    @property
    def is_classifier(self) -> bool:
        """True if the outputs are scores of classes, and not the values of a regression."""
        return not self.extra.get(REGRESSION)

    @property
    def has_labels(self) -> bool:
        """True if each output is the logit of a yes-or-no question of its own."""
        return bool(self.extra.get(LABELS))

    @property
    def kind_of_outputs(self) -> Literal["classes", "labels", "values"]:
        """What an item's outputs are: scores of classes, logits of labels, or the values of a regression."""
        return "labels" if self.has_labels else "classes" if self.is_classifier else "values"

    @property
    def scale(self) -> float:
        """The divisor of the training images' numbers; 255 if the file does not state it."""
        return float(self.extra.get(SCALE, 255))

    @property
    def resize(self) -> str:
        """How pictures are brought to the network's size; see `data.resizing`."""
        return str(self.extra.get(RESIZE, "squash"))

    @property
    def ignore_index(self) -> int | None:
        """The class of pixels that do not count, if any."""
        return self.extra.get(IGNORE)

    @property
    def is_unit(self) -> bool:
        """True if the training images were in [0, 1] after the division."""
        return self.extra.get(UNIT, True) is not False


@runtime_checkable
class Estimator(Protocol):
    """An estimator of `xpcnn.sklearn`."""

    def to_saved(self, *, divided: bool = True) -> SavedModel: ...


def save_model(
    model: Layer | Estimator,
    path: str | os.PathLike[str],
    *,
    input_shape: Iterable[int] | None = None,
    classes: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> None:
    """Write a network to a file that `load_model` reads; the file is written completely or not at all.

    Parameters
        model : of layers of `xpcnn.nn`, and of classes that `nn.register` knows; for others, save the weights with
            `write_tensors`. Or a fitted estimator of `xpcnn.sklearn`, which `sklearn.load` reads; the file's network
            takes the estimator's own inputs, or of images of bytes these divided by 255, not standardised ones
        path : of the file
        input_shape : of one input, without the batch axis, such as (28, 28, 1); for several inputs, one shape each. An
            estimator has its own, and its own classes
        classes : names of the outputs, all different, one for each
        extra : anything else, as JSON values
    Raises
        OptionError : a file cannot describe the network, or an argument is invalid
        FileError : the file cannot be written; an older one is untouched

    >>> import tempfile
    >>> from xpcnn.models import lenet5
    >>> path = tempfile.mkdtemp() + "/lenet.safetensors"
    >>> save_model(lenet5(rng=0), path, input_shape=(28, 28, 1), classes="0123456789")
    >>> load_model(path)
    SavedModel(Sequential of 12 layers, 61,706 parameters, input (28, 28, 1), 10 classes)
    """
    if isinstance(model, Estimator):
        model, input_shape, classes, own = of_estimator("save_model", model, input_shape, classes, divided=True)
        extra = own | dict(extra or {})
    write_tensors(path, *described(model, path, input_shape=input_shape, classes=classes, extra=extra))


def of_estimator(
    who: str, estimator: Estimator, input_shape: object, classes: Iterable[str], *, divided: bool
) -> tuple[Layer, Shape, Iterable[str], dict[str, Any]]:
    """Network, input shape, classes and `extra` of an estimator, of which the second and third must not be given.

    Parameters
        divided : whether the network takes images of bytes divided by 255
    Raises
        OptionError : one of them is
    """
    if input_shape is not None or list(classes):
        remedy = "leave input_shape and classes out"
        raise OptionError(who, "an estimator alone, which has its shape and classes", "others", remedy)
    saved = estimator.to_saved(divided=divided)
    return saved.model, saved.input_shape, saved.classes, saved.extra


def described(
    model: Layer,
    path: str | os.PathLike[str],
    *,
    input_shape: Iterable[int] | None,
    classes: Iterable[str] = (),
    extra: Mapping[str, Any] | None = None,
) -> tuple[dict[str, NDArray], dict[str, Any]]:
    """The arrays and metadata that `save_model` writes; checks that they can be read again.

    Raises
        OptionError : as in `save_model`
    """
    check_layer("save_model", model)
    path = as_path("save_model", path)
    if not isinstance(extra, Mapping | None):
        raise OptionError("save_model", "extra: a mapping", type(extra).__name__)
    metadata = {
        "input_shape": _shapes(model, input_shape),
        "classes": as_names("save_model", "classes", classes, distinct=True),
        "extra": dict(extra or {}),
        "architecture": to_config(model),
    }
    tensors = {name: to_numpy(array) for name, array in model.state_dict().items()}
    try:
        with use_backend("numpy"):
            again = _parse(str(path), parse_json(json.dumps(metadata)), tensors, rng=0)  # raises unless it can be
        check_same(model, again.model)
        if check_extent(model, again.input_shape) is None:
            _refuse_shape(model, again.input_shape)
    except (XpcnnError, TypeError, ValueError, RecursionError) as error:
        raise OptionError(str(path), "a network and metadata that a file can hold", str(error)) from error
    return tensors, metadata


def load_model(path: str | os.PathLike[str]) -> SavedModel:
    """Read a network from a file by `save_model`. Untrusted files are safe to open.

    Raises
        FormatError : the file is no model file, is damaged, or was made by a newer xpcnn
        FileError : it is missing or cannot be read

    >>> import tempfile
    >>> from xpcnn.nn import Linear
    >>> path = tempfile.mkdtemp() + "/linear.safetensors"
    >>> save_model(Linear(3, 2), path, input_shape=(3,), classes=["cat", "dog"])
    >>> saved = load_model(path)
    >>> saved.input_shape, saved.classes
    ((3,), ('cat', 'dog'))
    """
    path = as_path("load_model", path)
    tensors, metadata = read_tensors(path)
    if "architecture" not in metadata:
        kind = metadata.get("kind", "another file")
        raise FormatError(str(path), "a model", f"a file of kind {kind!r}"[:80], "use the run's model.safetensors")
    return _parse(str(path), metadata, tensors)


def _parse(who: str, metadata: Mapping[str, Any], tensors: Mapping[str, Any], rng: Seed = None) -> SavedModel:
    shape: Any
    shape, classes, extra = (metadata.get(name) for name in ("input_shape", "classes", "extra"))
    several = isinstance(shape, list) and 2 <= len(shape) <= MOST_INPUTS and all(map(_is_shape, shape))
    if not several and not _is_shape(shape):
        raise FormatError(who, "input_shape: sizes ≥ 1", repr(shape)[:80])
    input_shape: Any = tuple(map(tuple, shape)) if several else tuple(shape)
    if not (isinstance(classes, list) and len(classes) <= MOST_CLASSES and all(map(_is_name, classes))):
        expected = f"classes: names, at most {MOST_CLASSES} of at most {MOST_NAME} characters"
        raise FormatError(who, expected, repr(classes)[:80])
    if not isinstance(extra, dict):
        raise FormatError(who, "extra: an object", repr(extra)[:80])
    scale = extra.get(SCALE, 255)
    if type(scale) not in (int, float) or not 0 < scale < math.inf:
        raise FormatError(who, "extra: a scale above 0", repr(scale)[:80])
    if extra.get(RESIZE, "squash") not in _RESIZES:
        raise FormatError(who, f"extra: resize: one of {', '.join(_RESIZES)}", repr(extra[RESIZE])[:80])
    if not isinstance(extra.get(IGNORE), int | None):
        raise FormatError(who, "extra: ignore_index: an integer", repr(extra[IGNORE])[:80])
    try:
        model = from_config(metadata.get("architecture", {}), tensors, rng=rng)
        if model.arity[0] != (len(shape) if several else 1):
            raise FormatError("input_shape", f"shapes of {model.arity[0]} inputs", repr(shape)[:80])
        _check_classes(classes, check_extent(model, input_shape))
    except FormatError as error:
        raise FormatError(f"{who}: {error.who}", error.expected, error.got, error.remedy) from error
    return SavedModel(model, input_shape, tuple(classes), extra)


def _check_classes(classes: list[str], output: Any) -> None:
    """Refuse names of other outputs than the network has; `output` is their shape, several, or None if unknown."""
    if classes and output and not isinstance(output[-1], tuple) and len(classes) != output[-1]:
        got = f"{len(classes)}, {', '.join(classes)}"[:80]
        raise FormatError("classes", f"a name for each of the {output[-1]} outputs, or none", got)


def _refuse_shape(model: Layer, input_shape: Any) -> None:
    """Refuse an input's shape for which the network itself raises an error.

    Raises
        FormatError
    """
    try:
        model.output_shape(input_shape)
    except ShapeError as error:
        raise FormatError(
            "input_shape", "that of an item which the network takes", f"{input_shape}: {error}"
        ) from error


def _shapes(model: Layer, input_shape: Any) -> list[Any]:
    """The shape of one item; for several inputs, a list of shapes."""
    if model.arity[0] == 1:
        return list(as_shape("save_model", input_shape))
    if not isinstance(input_shape, tuple | list) or len(input_shape) != model.arity[0]:
        raise OptionError(
            "save_model", f"input_shape: a shape for each of {model.arity[0]} inputs", repr(input_shape)[:80]
        )
    return [list(as_shape("save_model", shape)) for shape in input_shape]


def _is_shape(sizes: Any) -> bool:
    return isinstance(sizes, list) and 1 <= len(sizes) <= 8 and all(type(n) is int and n >= 1 for n in sizes)


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and len(name) <= MOST_NAME
