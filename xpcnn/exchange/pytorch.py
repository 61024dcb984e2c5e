"""Load and save weights for PyTorch: a `state_dict` in the safetensors format.

    torch:  safetensors.torch.save_file(module.state_dict(), "weights.safetensors")
    here:   load_pytorch(model, "weights.safetensors", input_shape=(28, 28, 1))

    here:   save_pytorch(model, "weights.safetensors", input_shape=(28, 28, 1))
    torch:  module.load_state_dict(safetensors.torch.load_file("weights.safetensors"))

    PyTorch                            xpcnn
    Conv2d (O, I/g, KH, KW)            (O, KH, KW, I/g)
    ConvTranspose2d (I, O/g, KH, KW)   (I, KH, KW, O/g)
    Conv1d (O, I/g, K)                 (O, K, I/g)
    ConvTranspose1d (I, O/g, K)        (I, K, O/g)
    Linear (O, I)                      the same; after a Flatten, columns (C, H, W) become (H, W, C), and so do rows and
                                       bias before an Unflatten, which is T.Unflatten(1, (C, H, W))
    LayerNorm (C, H, W)                (H, W, C)
    a parameter (C, 1, 1) of a module  the factors of a Scale without offsets, which has the parameter's name
    num_batches_tracked                not needed; written as 0
    weight norm, spectral norm         computed, see `xpcnn.exchange.reparametrized`
    all others                         the same

Weights alone do not make two networks equal: give the layers the same options, such as padding, eps and
GELU's `approximate`.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping

import numpy as np

from .. import nn
from ..backend import to_numpy
from ..errors import OptionError
from ..io import safetensors
from ..io.tensors import read_foreign_tensors
from ..nn.layer import Layer, check_layer, dotted
from ..options import as_path, as_shape
from ..typing import NDArray, Shape
from .flatten_order import Columns, flattened_columns
from .layout import CONVOLUTIONS, Layout, Part, own_arrays
from .reparametrized import folded
from .weight_matching import FileLayers, Names, copy_weights

_COUNTER = "num_batches_tracked"


def load_pytorch(
    model: Layer,
    path: str | os.PathLike[str],
    *,
    input_shape: Shape | None = None,
    names: Names = None,
    strict: bool = True,
) -> Layer:
    """Copy a PyTorch `state_dict` into a network with the same layers.

    Layers are matched by equal names. If the names differ, they are matched in order, provided that numbers in the
    file's names show the order. float16 and bfloat16 become the network's own type.

    Parameters
        model : the network to change
        path : a safetensors file
        input_shape : of one input, such as (H, W, C); required if the network has a Flatten or an Unflatten
        names : a mapping or a function from the network's layers ("3.body.0") to those of the file
            ("layer1.0.conv1"), which omits the rest or returns None for them; or the names in the order of the
            layers, as from `list(module.state_dict())`
        strict : True refuses missing and additional arrays in the file, False ignores them
    Returns
        the model
    Raises
        FormatError : the file is no such file, or its arrays do not match the network; then nothing is changed
        FileError : it cannot be read
        ShapeError : the network does not accept inputs of `input_shape`
        OptionError : an argument is invalid, or PyTorch cannot express the order in which the network (un)flattens

    >>> import tempfile
    >>> model, other = nn.Conv2d(1, 4, 3, rng=0), nn.Conv2d(1, 4, 3, rng=1)
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_pytorch(model, f"{folder}/weights.safetensors")
    ...     load_pytorch(other, f"{folder}/weights.safetensors")
    Conv2d(in_channels=1, out_channels=4, kernel_size=(3, 3), stride=(1, 1), padding=0, dilation=(1, 1), groups=1, \
bias=True)
    >>> bool((other.weight == model.weight).all())
    True
    """
    who = str(path)
    check_layer("load_pytorch", model)
    path = as_path("load_pytorch", path)
    parts = parts_of(who, model, input_shape)
    arrays, _ = folded(who, read_foreign_tensors(path))
    copy_weights(who, model, parts, file_layers(arrays, model), names=names, strict=strict)
    return model


def save_pytorch(
    model: Layer,
    path: str | os.PathLike[str],
    *,
    input_shape: Shape | None = None,
    names: Mapping[str, str] | Callable[[str], str | None] | None = None,
) -> None:
    """Write a network's weights as a PyTorch `state_dict`; the file is written completely or not at all.

    Parameters
        model : the network
        path : the safetensors file
        input_shape : of one input, such as (H, W, C); required if the network has a Flatten or an Unflatten
        names : for each of the network's layers its name in PyTorch; the rest keep theirs
    Raises
        OptionError : an argument is invalid, or two layers have the same name
        FileError : the file cannot be written; an older one is untouched
        ShapeError : the network does not accept inputs of `input_shape`

    >>> import tempfile
    >>> from xpcnn.nn import Linear
    >>> path = tempfile.mkdtemp() + "/net.safetensors"
    >>> save_pytorch(Linear(3, 2, rng=0), path)
    >>> load_pytorch(Linear(3, 2, rng=1), path).weight.shape
    (2, 3)
    """
    who = str(path)
    check_layer("save_pytorch", model)
    path = as_path("save_pytorch", path)
    if not (names is None or isinstance(names, Mapping) or callable(names)):
        raise OptionError(who, "names: a mapping or a function", repr(names)[:80])
    name_of: Callable[[str], str | None] = names.get if isinstance(names, Mapping) else names or (lambda name: None)
    state = {name: to_numpy(array) for name, array in model.state_dict().items()}
    tensors: dict[str, NDArray] = {}
    factors = _factors(model)
    for part in parts_of(who, model, input_shape):
        renamed = name_of(part.name)
        given = {key: part.layouts[0][key].theirs(state[own]) for key, own in part.arrays.items()}
        if "running_mean" in given:
            given[_COUNTER] = np.array(0, np.int64)
        for key, array in given.items():
            name = part.name if renamed is None else renamed
            name = name if part.name in factors else dotted(name, key)
            if name in tensors:
                raise OptionError(who, "another name for each layer", f"{name} twice")
            tensors[name] = array
    safetensors.save(path, tensors, {"format": "pt"}, checksum=False)


def parts_of(who: str, model: Layer, input_shape: Shape | None) -> list[Part]:
    """The network's layers, as they are in PyTorch's files."""
    shape = None if input_shape is None else as_shape(who, input_shape)
    columns = flattened_columns(who, model, shape)
    return [
        Part(
            name,
            name,
            {key: dotted(name, key) for key in shapes},
            _layouts(layer, shapes, columns.get(name, Columns())),
        )
        for name, layer, shapes in own_arrays(model)
    ]


def _factors(model: Layer) -> set[str]:
    """The names of the layers that are a parameter of a module in PyTorch, not a module."""
    return {name for name, layer in model.named_layers() if isinstance(layer, nn.Scale) and layer.bias is None}


def _layouts(layer: Layer, shapes: Mapping[str, Shape], columns: Columns) -> tuple[Mapping[str, Layout], ...]:
    if isinstance(layer, nn.Scale) and layer.bias is None:
        (shape,) = shapes.values()
        return {"weight": Layout(shape, (*shape, 1, 1), (0, 1, 2))}, {"weight": Layout.same(shape)}
    return ({key: _layout(layer, shape, columns) for key, shape in shapes.items()},)


def _layout(layer: Layer, shape: Shape, columns: Columns) -> Layout:
    last = len(shape) - 1
    if isinstance(layer, CONVOLUTIONS) and last:
        return Layout.moved(shape, (0, last, *range(1, last)))
    if isinstance(layer, nn.LayerNorm) and last:
        return Layout.moved(shape, (last, *range(last)))
    if isinstance(layer, nn.Linear):
        return Layout.same(shape, columns.taken if len(shape) == 2 else None, rows=columns.given)
    a_number_each = columns.taken is not None and shape[-1] == len(columns.taken)
    return Layout.same(shape, columns.taken if a_number_each else None)


def file_layers(arrays: Mapping[str, NDArray], model: Layer) -> FileLayers:
    """The file's arrays by layer, without PyTorch's unused batch counters."""
    layers: FileLayers = {}
    factors = _factors(model)
    for full, array in arrays.items():
        name, _, key = (full, "", "weight") if full in factors else full.rpartition(".")
        if key != _COUNTER:
            layers.setdefault(name, {})[key] = array
    return layers
