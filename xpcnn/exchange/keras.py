"""Weights from Keras 3: the `.weights.h5` file of `model.save_weights`.

    keras:  model.save_weights("model.weights.h5")
    here:   load_keras(model, "model.weights.h5")

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
    BatchNormalization, LayerNormalization, GroupNormalization: vectors in the order gamma, beta, mean, variance

Both are channels last, so a Flatten makes the same rows, and a Reshape the same images as an Unflatten. Give the layers
the same options: Keras's normalisations add eps=0.001, and its "same" padding with a stride pads below and to the
right first.
"""

from __future__ import annotations

import os
import zipfile

from .. import nn
from ..errors import FormatError
from ..io.hdf5 import read_hdf5
from ..nn.layer import Layer, check_layer, dotted
from ..options import as_path
from ..typing import Shape
from .layout import CONVOLUTIONS, Layout, Part, own_arrays
from .weight_matching import FileLayers, Names, copy_weights

_VARIABLES = "vars"
_SAVE = 'save_weights("model.weights.h5")'


def load_keras(model: Layer, path: str | os.PathLike[str], *, names: Names = None, strict: bool = True) -> Layer:
    """Copy the weights of a Keras 3 model into a network with the same layers.

    Layers of the same kind are matched in order, which Keras's names show ("layers/conv2d", "layers/conv2d_1").

    Parameters
        model : the network to change
        path : a file by `save_weights`, whose name ends in .weights.h5
        names : a mapping or a function from the network's layers ("0") to those of the file ("layers/conv2d"), which
            omits the rest or returns None for them; or the file's names in the order of the layers
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
    path = as_path("load_keras", path)
    parts = []
    for name, layer, shapes in own_arrays(model):
        numbers = {str(number): key for number, key in enumerate(shapes)}
        layouts = tuple({number: kind[key] for number, key in numbers.items()} for kind in _layouts(layer, shapes))
        parts.append(Part(name, name, {number: dotted(name, key) for number, key in numbers.items()}, layouts))
    copy_weights(who, model, parts, _read(path), names=names, strict=strict)
    return model


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


def _read(path: str | os.PathLike[str]) -> FileLayers:
    """The file's arrays by layer, without those of the optimizer and of random number generators."""
    if zipfile.is_zipfile(path):
        raise FormatError(str(path), "a .weights.h5 file", "a .keras archive", f"in Keras: model.{_SAVE}")
    layers: FileLayers = {}
    for full, array in read_hdf5(path).items():
        name, _, number = full.rpartition("/")
        layer, _, kind = name.rpartition("/")
        if full.startswith("optimizer/") or layer.endswith("seed_generator"):
            continue
        if kind != _VARIABLES and name != _VARIABLES:
            raise FormatError(
                str(path),
                "the file of Keras 3's save_weights, with arrays in groups named vars",
                full[:80],
                f"in Keras 3: model.{_SAVE}",
            )
        layers.setdefault(layer, {})[number] = array
    return layers
