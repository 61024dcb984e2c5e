"""Reads the weights of a Keras file, layer by layer, each under the name of its variable.

    .keras          a zip archive of config.json and model.weights.h5      Keras 3, model.save
    .weights.h5     groups named vars, with numbered variables             Keras 3, model.save_weights
    .h5             groups of named variables                              Keras 2 and 3, model.save;
                                                                           Keras 2, model.save_weights

The configuration in a .h5 file is an attribute, and is not read: a damaged one can keep HDF5 in an endless loop.

A layer of Keras that is two here, or has other numbers here, is written as those:

    SeparableConv                  NAME/depthwise (kernel), NAME/pointwise (kernel, bias)
    Normalization                  scale 1/σ, offset −μ/σ, of σ = max(√variance, 1e-7)
    BatchNormalization             without scale: γ = 1; without centre: β = 0

Nothing is extracted, and each size is checked before anything of that size is made.
"""

from __future__ import annotations

import os
import re
import zipfile
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

import numpy as np

from ..errors import FormatError
from ..io.hdf5 import read_hdf5
from ..io.limits import REMEDY, most_inflated
from ..typing import NDArray
from .keras_config import KerasLayer, KerasModel
from .weight_matching import FileLayers

_MOST_CONFIG = 2**26  # bytes
_MOST_WEIGHTS = 2**32
_CONFIG, _WEIGHTS = "config.json", "model.weights.h5"
_WHOLE = 'in Keras: model.save("model.keras")'
_NUMBERED = re.compile(r"_\d+$")
_EPSILON = 1e-7  # Keras's, in Normalization
_KINDS = {  # of groups in a file without configuration: the numbers of variables that tell which they are
    **dict.fromkeys(
        ("conv1d", "conv2d", "conv1d_transpose", "conv2d_transpose", "depthwise_conv1d", "depthwise_conv2d", "dense"),
        (("kernel",), ("kernel", "bias")),
    ),
    **dict.fromkeys(
        ("separable_conv1d", "separable_conv2d"),
        (("depthwise_kernel", "pointwise_kernel"), ("depthwise_kernel", "pointwise_kernel", "bias")),
    ),
    "batch_normalization": (("moving_mean", "moving_variance"), ("gamma", "beta", "moving_mean", "moving_variance")),
    "layer_normalization": (("gamma", "beta"),),
    "group_normalization": (("gamma", "beta"),),
    "p_re_lu": (("alpha",),),
    "normalization": (("mean", "variance", "count"),),
}
_AMBIGUOUS = ("batch_normalization", "layer_normalization", "group_normalization")


@dataclass
class KerasFile:
    """The contents of a file.

    Parameters
        layers : arrays by layer and variable, in the model's order if `model` is known
        model : the configuration; None if the file has none
        options : of each layer in `layers`, as far as the configuration has them
    """

    layers: FileLayers
    model: KerasModel | None = None
    options: dict[str, KerasLayer] = field(default_factory=dict)


def read_keras(path: str | os.PathLike[str]) -> KerasFile:
    """The weights of a file of any of these forms.

    Raises
        FormatError : it is none, is damaged, or has layers that it does not describe well enough
        FileError : it cannot be read;  MissingExtraError : h5py is not installed
    """
    who = str(path)
    contents, config = _unzipped(who, path) if zipfile.is_zipfile(path) else (None, None)
    arrays = read_hdf5(path, contents=contents, most_bytes=_MOST_WEIGHTS, widen=True)
    model = KerasModel(who, config) if config else None
    numbered = any("/vars/" in f"/{name}" for name in arrays)
    raw = _numbered(who, arrays, model) if numbered else _by_name(who, arrays)
    known = {"/".join(layer.name): layer for layer in model.layers} if model else {}
    _check_options(who, list(known.values()))
    for name, layer in known.items():
        if layer.kind == "Normalization" and layer.config.get("mean") is not None:  # which it has no variables of
            raw[name] = {key: np.asarray(layer.config[key], np.float64) for key in ("mean", "variance")}
            raw[name]["count"] = np.zeros(())
    if model is not None:
        order = {name: position for position, name in enumerate(known)}
        raw = dict(sorted(raw.items(), key=lambda each: order.get(each[0], len(order))))
    file = KerasFile({}, model)
    for name, variables in raw.items():
        for made, those in _as_here(who, name, variables).items():
            file.layers[made] = those
            if name in known:
                file.options[made] = known[name]
    return file


def _unzipped(who: str, path: str | os.PathLike[str]) -> tuple[bytes, bytes]:
    """The weights and the configuration of a .keras file."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            if "model.weights.json" in names:
                raise FormatError(who, "weights in one file", "weights in shards", f"{_WHOLE} without max_shard_size")
            if not {_CONFIG, _WEIGHTS} <= set(names):
                got = "an archive of " + (", ".join(names)[:100] or "nothing")
                raise FormatError(who, f"a .keras file, of {_CONFIG} and {_WEIGHTS}", got, _WHOLE)
            return _member(who, archive, _WEIGHTS, _MOST_WEIGHTS), _member(who, archive, _CONFIG, _MOST_CONFIG)
    except FormatError:
        raise
    except (zipfile.BadZipFile, OSError, RuntimeError, NotImplementedError, EOFError, ValueError) as error:
        raise FormatError(who, "a whole .keras file", str(error)[:200], "get the file again") from error


def _member(who: str, archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    described = archive.getinfo(name)
    if described.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise FormatError(f"{who}: {name}", "a member that is stored or deflated", "another compression", REMEDY)
    most = min(most, most_inflated(described.compress_size))
    with archive.open(name) as file:
        contents = file.read(most + 1)
    if len(contents) > most:
        raise FormatError(f"{who}: {name}", f"at most {most} bytes", "more", REMEDY)
    return contents


def _numbered(who: str, arrays: Mapping[str, NDArray], model: KerasModel | None) -> FileLayers:
    """Layers of Keras 3's files, whose variables have numbers."""
    groups: dict[str, dict[str, NDArray]] = {}
    for full, array in arrays.items():
        group, _, number = full.rpartition("/")
        layer, _, kind = group.rpartition("/")
        if full.startswith("optimizer/") or layer.endswith("seed_generator"):
            continue
        if kind != "vars":
            raise FormatError(who, "arrays in groups named vars, as Keras 3 writes them", full[:80], _WHOLE)
        groups.setdefault(layer, {})[number] = array
    described = {layer.place: layer for layer in model.layers} if model else {}
    layers: FileLayers = {}
    for group, variables in groups.items():
        known = described.get(group)
        if known is None:
            layers[group] = _named_by_kind(who, group, variables) if model is None else variables
            continue
        names = known.variables()
        if names is not None and len(names) != len(variables):
            got = f"{len(variables)} arrays in a {known.kind}, as a quantised one has"
            raise FormatError(f"{who}: {'/'.join(known.name)}", f"the arrays {', '.join(names)}", got)
        ordered = sorted(variables.items(), key=lambda each: (len(each[0]), each[0]))
        renamed = names or [key for key, _ in ordered]
        layers["/".join(known.name)] = dict(zip(renamed, (array for _, array in ordered), strict=True))
    return layers


def _named_by_kind(who: str, group: str, variables: dict[str, NDArray]) -> dict[str, NDArray]:
    """The variables by name, if the group's name and their number tell them."""
    kind = _NUMBERED.sub("", group.rpartition("/")[2])
    for names in _KINDS.get(kind, ()):
        if len(names) == len(variables):
            return {name: variables[str(i)] for i, name in enumerate(names) if str(i) in variables}
    if kind in _AMBIGUOUS and len(variables) in (1, 3):
        got = f"{len(variables)} arrays at {group}, of which the first may be gamma or beta"
        raise FormatError(who, "normalisations with scale and centre, or with neither", got[:160], f"{_WHOLE} tells")
    return variables


def _by_name(who: str, arrays: Mapping[str, NDArray]) -> FileLayers:
    """Layers of Keras 2's files, and of .h5 files of Keras 3."""
    root = "model_weights/" if any(name.startswith("model_weights/") for name in arrays) else ""
    layers: FileLayers = {}
    for full in (name for name in arrays if name.startswith(root)):
        top, _, rest = full.removeprefix(root).partition("/")
        if not rest:
            raise FormatError(who, "a file of Keras, with arrays by layer", full[:80], _WHOLE)
        *parts, variable = rest.split("/")
        parts = parts[parts.index(top) + 1 :] if top in parts else parts
        name = "/".join([top, *parts])
        layers.setdefault(name, {})[variable.partition(":")[0]] = arrays[full]
    return layers


def _check_options(who: str, layers: Collection[KerasLayer]) -> None:
    """Refuse layers whose numbers would be read into other places than their own."""
    flat = any(layer.kind in ("Flatten", "Reshape") for layer in layers)
    first = any(layer.config.get("data_format") == "channels_first" for layer in layers)
    for layer in layers:
        axis = np.ravel(layer.config.get("axis", -1)).tolist()
        if layer.config.get("data_format") == "channels_first" and flat:
            got = "channels_first and a Flatten, which gives columns another order"
        elif layer.kind == "BatchNormalization" and layer.rank and not first and axis not in ([-1], [layer.rank - 1]):
            got = f"axis={axis}"[:60]
        elif named := [name for name in ("rms_scaling", "renorm", "invert") if layer.config.get(name)]:
            got = f"{named[0]}=True"
        else:
            continue
        raise FormatError(f"{who}: {'/'.join(layer.name)}", f"a {layer.kind} that has a counterpart here", got)


def _as_here(who: str, name: str, variables: dict[str, NDArray]) -> FileLayers:
    """The layer's arrays, as layers of this library have them."""
    keys = set(variables)
    if "depthwise_kernel" in keys:
        depthwise = {"kernel": variables["depthwise_kernel"]}
        if "pointwise_kernel" not in keys:
            return {name: depthwise | {key: variables[key] for key in keys & {"bias"}}}
        pointwise = {"kernel": variables["pointwise_kernel"]} | {key: variables[key] for key in keys & {"bias"}}
        return {f"{name}/depthwise": depthwise, f"{name}/pointwise": pointwise}
    if keys == {"mean", "variance", "count"}:
        mean, variance = (np.asarray(variables[key], np.float64) for key in ("mean", "variance"))
        one_axis = all(each.size == max(each.shape, default=1) for each in (mean, variance))
        if mean.size != variance.size or not one_axis or (variance < 0).any():
            got = f"mean {mean.shape} and variance {variance.shape}"
            raise FormatError(f"{who}: {name}", "a Normalization with a mean for each channel, axis=-1", got)
        sigma = np.maximum(np.sqrt(variance.ravel()), _EPSILON)
        return {name: {"scale": (1 / sigma).astype("f4"), "offset": (-mean.ravel() / sigma).astype("f4")}}
    if "moving_mean" in keys and len(keys & {"gamma", "beta"}) == 1:
        ones = np.ones_like(variables["moving_mean"])
        return {name: {"gamma": ones, "beta": 0 * ones} | variables}
    return {name: variables}
