"""Load and save weights for MLX: the .safetensors or .npz file of `mlx.nn.Module.save_weights`.

    mlx:   module.save_weights("weights.safetensors")
    here:  load_mlx(model, "weights.safetensors")

    here:  save_mlx(model, "weights.safetensors")
    mlx:   module.load_weights("weights.safetensors")

MLX is channels last, too, and its arrays have the same layout as ours, except ConvTranspose2d, (O, KH, KW, I) there and
(I, KH, KW, O) here, and ConvTranspose1d alike. Layers within an mlx.nn.Sequential are named layers.0, layers.1 …

Give the layers the same options; MLX's GroupNorm forms the same groups as ours with pytorch_compatible=True.
"""

from __future__ import annotations

import os
import zipfile
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import BinaryIO

import numpy as np

from .. import nn
from ..backend import to_numpy
from ..errors import OptionError
from ..io import safetensors
from ..io.atomic import write_atomically
from ..io.npy import read_npz
from ..io.tensors import read_foreign_tensors
from ..nn.layer import Layer, check_layer, dotted
from ..options import as_path
from ..typing import NDArray
from .layout import Layout, Part, own_arrays
from .weight_matching import FileLayers, Names, copy_weights


def load_mlx(model: Layer, path: str | os.PathLike[str], *, names: Names = None, strict: bool = True) -> Layer:
    """Copy the weights of an MLX module into a network with the same layers.

    Parameters
        model : the network to change
        path : a file by `save_weights`, .safetensors or .npz
        names, strict : as in `load_pytorch`
    Returns
        the model
    Raises
        FormatError : the file is no such file, or its arrays do not match the network; then nothing is changed
        FileError : it cannot be read
        OptionError : an argument is invalid

    >>> import tempfile
    >>> model, other = (nn.Sequential(nn.Linear(3, 2, rng=seed)) for seed in (0, 1))
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     save_mlx(model, f"{folder}/weights.npz")
    ...     _ = load_mlx(other, f"{folder}/weights.npz")
    >>> bool((other[0].weight == model[0].weight).all())
    True
    """
    check_layer("load_mlx", model)
    path = as_path("load_mlx", path)
    layers: FileLayers = {}
    arrays = read_npz(path, compressed=False) if Path(path).suffix == ".npz" else read_foreign_tensors(path)
    for full, array in arrays.items():
        name, _, key = full.rpartition(".")
        layers.setdefault(name, {})[key] = array
    copy_weights(str(path), model, _parts(str(path), model), layers, names=names, strict=strict)
    return model


def save_mlx(model: Layer, path: str | os.PathLike[str]) -> None:
    """Write a network's weights for MLX; the file is written completely or not at all.

    Parameters
        model : the network
        path : of the file; its name ends in .safetensors or .npz
    Raises
        OptionError : the name ends otherwise, or MLX lacks one of the layers
        FileError : the file cannot be written; an older one is untouched

    >>> import tempfile
    >>> from xpcnn.nn import Linear
    >>> path = tempfile.mkdtemp() + "/net.safetensors"
    >>> save_mlx(Linear(3, 2, rng=0), path)
    >>> load_mlx(Linear(3, 2, rng=1), path).weight.shape
    (2, 3)
    """
    check_layer("save_mlx", model)
    path = as_path("save_mlx", path)
    state = {name: to_numpy(array) for name, array in model.state_dict().items()}
    tensors = {
        dotted(part.file_name, key): np.ascontiguousarray(part.layouts[0][key].theirs(state[own]))
        for part in _parts(str(path), model)
        for key, own in part.arrays.items()
    }
    suffix = Path(path).suffix
    if suffix == ".safetensors":
        safetensors.save(path, tensors, {"format": "mlx"}, checksum=False)
    elif suffix == ".npz":
        write_atomically(path, partial(_write_npz, tensors))
    else:
        raise OptionError("save_mlx", "a name that ends in .safetensors or .npz", str(path)[-80:])


def _write_npz(arrays: Mapping[str, NDArray], file: BinaryIO) -> None:
    """Write the same bytes for the same arrays, which NumPy's `savez` does not guarantee."""
    with zipfile.ZipFile(file, "w") as archive:
        for name, array in arrays.items():
            member = zipfile.ZipInfo(f"{name}.npy")
            member.file_size = array.nbytes
            with archive.open(member, "w") as opened:
                np.lib.format.write_array(opened, array, allow_pickle=False)


def _parts(who: str, model: Layer) -> list[Part]:
    theirs = _names(model)
    parts = []
    for name, layer, shapes in own_arrays(model):
        layouts = {key: Layout.same(shape) for key, shape in shapes.items()}
        if isinstance(layer, nn.ConvTranspose1d | nn.ConvTranspose2d):
            if layer.groups > 1:
                raise OptionError(who, f"layers that MLX has, at {name}", f"{type(layer).__name__} with groups")
            last = len(shapes["weight"]) - 1
            layouts["weight"] = Layout.moved(shapes["weight"], (last, *range(1, last), 0))
        parts.append(Part(name, theirs[name], {key: dotted(name, key) for key in shapes}, (layouts,)))
    return parts


def _names(model: Layer) -> dict[str, str]:
    """Each layer's name in MLX, where the layers of a Sequential are in its list `layers`."""
    theirs = {"": ""}
    for name, layer in model.named_layers():
        prefix = dotted(theirs[name], "layers") if isinstance(layer, nn.Sequential) else theirs[name]
        for key in layer.children():
            theirs.setdefault(dotted(name, key), dotted(prefix, key))
    return theirs
