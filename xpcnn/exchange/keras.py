"""Weights from Keras, from any file that it writes.

    keras:  model.save("model.keras")
    here:   load_keras(model, "model.keras")

    Keras                                    xpcnn
    Conv2D (KH, KW, I/g, O)                  Conv2d (O, KH, KW, I/g)
    DepthwiseConv2D (KH, KW, C, M)           Conv2d with groups=C (C·M, KH, KW, 1)
    Conv2DTranspose (KH, KW, O, I)           ConvTranspose2d (I, KH, KW, O)
    Conv1D (K, I/g, O)                       Conv1d (O, K, I/g)
    DepthwiseConv1D (K, C, M)                Conv1d with groups=C (C·M, K, 1)
    Conv1DTranspose (K, O, I)                ConvTranspose1d (I, K, O)
    Dense (I, O)                             Linear (O, I)
    PReLU with shared_axes=[1, 2] (1, 1, C)  PReLU (C,)
    PReLU with shared_axes=[1] (1, C)        PReLU (C,)
    SeparableConv1D, SeparableConv2D         NAME/depthwise: Conv1d or Conv2d with groups=C and no bias;
                                             NAME/pointwise: one with kernel_size=1
    BatchNormalization without scale         γ = 1
    BatchNormalization without centre        β = 0
    Normalization                            Scale(C), or Normalize with the same numbers
    other normalisations                     γ, β, mean and variance

Both are channels last, so a Flatten makes the same rows, and a Reshape the same images as an Unflatten. Give the layers
the same options: Keras's normalisations add eps=0.001, and its "same" padding with a stride pads below and to the
right first.
"""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np

from .. import nn
from ..errors import FormatError, warn
from ..nn.layer import Layer, check_layer, dotted
from ..options import as_path
from ..typing import Shape
from .keras_file import KerasFile, read_keras
from .layout import CONVOLUTIONS, Layout, Part, own_arrays
from .weight_matching import Names, copy_weights, shapes_of

_NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)
_NAMES = {"weight": "gamma", "bias": "beta", "running_mean": "moving_mean", "running_var": "moving_variance"}
_CLOSE = 1e-4  # relative difference of numbers that Keras and the network both have


def load_keras(model: Layer, path: str | os.PathLike[str], *, names: Names = None, strict: bool = True) -> Layer:
    """Copy the weights of a Keras model into a network with the same layers.

    Layers are matched by name ("block/conv" there is "block.conv" here), or if the names differ, those with arrays of
    the same shapes in order. A .keras file states the model's order; where layers of one shape are in branches beside
    each other, pass `names`. A .h5 file has names alone, whose numbers must show the order. A .weights.h5 file has
    numbered names ("layers/conv2d", "layers/conv2d_1") in the order in which the layers were made.

    Parameters
        model : the network to change
        path : a .keras, .weights.h5 or .h5 file
        names : a mapping or a function from the network's layers ("0") to those of the file ("conv2d", "inner/dense";
            in a .weights.h5 file "layers/conv2d"), which omits the rest or returns None for them; or the file's names
            in the order of the layers
        strict : True refuses missing and additional arrays in the file, False ignores them
    Returns
        the model
    Raises
        FormatError : the file is no Keras file, or its arrays do not match the network; then nothing is changed
        FileError : it cannot be read
        MissingExtraError : h5py is not installed

    >>> import h5py, numpy, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/model.weights.h5", "w") as file:
    ...         file["layers/dense/vars/0"] = numpy.ones((3, 2), "float32")
    ...     model = load_keras(nn.Linear(3, 2, bias=False), f"{folder}/model.weights.h5")
    >>> model.weight.shape, float(model.weight.sum())
    ((2, 3), 6.0)
    """
    who = str(path)
    check_layer("load_keras", model)
    file = read_keras(as_path("load_keras", path))
    _take_normalizations(who, model, file)
    _fill_norms(model, file)
    parts = [_part(name, layer, shapes) for name, layer, shapes in own_arrays(model)]
    if file.model is not None and names is None and not all(part.file_name in file.layers for part in parts):
        _check_order(who, parts, file)
        names = list(file.layers)
    pairs = copy_weights(who, model, parts, file.layers, names=names, strict=strict)
    _compare_epsilons(who, model, file, pairs)
    return model


def _part(name: str, layer: Layer, shapes: dict[str, Shape]) -> Part:
    """The layer in Keras: its variables by name or, where a file does not tell these, by number."""
    theirs = [_name(layer, key) for key in shapes]
    numbers = [str(number) for number in range(len(shapes))]
    arrays = {key: dotted(name, own) for keys in (theirs, numbers) for key, own in zip(keys, shapes, strict=True)}
    layouts = [
        {key: kind[own] for key, own in zip(keys, shapes, strict=True)}
        for keys in (theirs, numbers)
        for kind in _layouts(layer, shapes)
    ]
    return Part(name, name.replace(".", "/"), arrays, tuple(layouts))


def _name(layer: Layer, key: str) -> str:
    """Keras's name of the layer's array."""
    if isinstance(layer, nn.Scale):
        return {"weight": "scale", "bias": "offset"}[key]
    if isinstance(layer, nn.PReLU):
        return "alpha"
    return _NAMES.get(key, key) if isinstance(layer, _NORMS) else "kernel" if key == "weight" else key


def _layouts(layer: Layer, shapes: dict[str, Shape]) -> list[dict[str, Layout]]:
    """The possible layouts of this layer's arrays in Keras."""
    same = {key: Layout.same(shape) for key, shape in shapes.items()}
    if "weight" not in shapes:
        return [same]
    weight, shape = [], shapes["weight"]
    if isinstance(layer, CONVOLUTIONS):
        weight.append(Layout.moved(shape, (*range(1, len(shape)), 0)))
        if isinstance(layer, nn.Conv1d | nn.Conv2d) and layer.groups == layer.in_channels:
            split = (layer.groups, shape[0] // layer.groups, *shape[1:-1])  # (C, M, KH, KW)
            weight.append(Layout(shape, split, (*range(2, len(split)), 0, 1)))
    elif isinstance(layer, nn.Linear):
        weight.append(Layout.moved(shape, (1, 0)))
    elif isinstance(layer, nn.PReLU):
        weight += [Layout(shape, (*ones, *shape), tuple(range(len(ones) + 1))) for ones in ((1, 1), (1,), ())]
    else:
        weight.append(same["weight"])
    return [same | {"weight": each} for each in weight]


def _take_normalizations(who: str, model: Layer, file: KerasFile) -> None:
    """Take out the file's Normalizations that are a `Normalize` here, whose numbers are options, not weights."""
    found = [name for name, arrays in file.layers.items() if arrays.keys() == {"scale", "offset"}]
    own = [(name, layer) for name, layer in model.named_layers() if isinstance(layer, nn.Normalize)]
    for (name, layer), theirs in zip(own, found, strict=False):
        arrays = file.layers.pop(theirs)
        std, mean = 1 / arrays["scale"], -arrays["offset"] / arrays["scale"]
        same = len(mean) == len(layer.mean) and all(
            np.allclose(one, other, rtol=_CLOSE, atol=_CLOSE * float(std.max()))
            for one, other in ((mean, layer.mean), (std, layer.std))
        )
        if not same:
            numbers = [", ".join(f"{number:.7g}" for number in each[:8]) for each in (mean, std)]
            expected = f"Normalize of mean ({numbers[0]}) and std ({numbers[1]}) at {name or 'the top'}, as in {theirs}"
            raise FormatError(who, expected, "others", "build the network with these")


def _fill_norms(model: Layer, file: KerasFile) -> None:
    """Give γ = 1 and β = 0 to batch normalisations without both, unless the network has such ones."""
    plain = [layer for _, layer in model.named_layers() if isinstance(layer, _NORMS[:2]) and not layer.affine]
    for arrays in file.layers.values():
        if arrays.keys() == {"moving_mean", "moving_variance"} and not plain:
            ones = np.ones_like(arrays["moving_mean"])
            arrays |= {"gamma": ones, "beta": 0 * ones}


def _check_order(who: str, parts: list[Part], file: KerasFile) -> None:
    """Refuse to match by order layers of one shape of which neither comes before the other."""
    alike: dict[object, list[str]] = {}
    for name, arrays in file.layers.items():
        alike.setdefault(shapes_of(arrays), []).append(name)
    for names in alike.values():
        for one, other in pairwise(names):
            first, second = (file.options[name].name if name in file.options else () for name in (one, other))
            if first != second and file.model is not None and not file.model.is_before(first, second):
                raise FormatError(
                    who,
                    "layers of one shape one after another, to match them by order",
                    f"{one!r} and {other!r}, in branches",
                    "give the network's layers the same names, or pass names=",
                )


def _compare_epsilons(who: str, model: Layer, file: KerasFile, pairs: dict[str, str]) -> None:
    """Warn of normalisations that add another number to the variance."""
    layers = dict(model.named_layers())
    for own, theirs in pairs.items():
        here, options = getattr(layers.get(own), "eps", None), file.options.get(theirs)
        there = None if options is None else options.config.get("epsilon")
        if isinstance(here, float) and isinstance(there, float) and abs(here - there) > _CLOSE * there:
            what = f"{theirs} adds {there:g} to the variance, and {own or 'the layer'} here {here:g}"
            warn(who, what, f"build the network with eps={there:g}")
            return
