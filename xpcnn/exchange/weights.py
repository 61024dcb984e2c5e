"""Weights for a network, by name, from any file that holds them; what is not taken is said, or refused.

    a file of xpcnn, or the folder of a run
    a PyTorch `state_dict` in a safetensors file         layouts as in `xpcnn.exchange.pytorch`; weight norm, spectral
                                                         norm and pruning are computed (`reparametrized`)
    an ONNX file                                         by the names of its nodes; where these differ, use the network
                                                         of `import_onnx` itself
    https://…/FILE#sha256=HASH                           one of these, downloaded once
    hf:OWNER/NAME/FILE@REVISION#sha256=HASH              the same, of a repository on Hugging Face

Names of wrappers, such as `module.` before every name, are taken off. float16 and bfloat16 become the network's type.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ..backend import dtype_name, to_numpy
from ..data.remote_weights import fetch_weights, is_address
from ..errors import FormatError, one_line
from ..io import safetensors
from ..nn.layer import Layer, check_layer, dotted
from ..options import Patterns, as_path, few, matching
from ..typing import NDArray, Shape
from .file_names import Named, with_own_names
from .layout import Layout, Part, own_arrays
from .onnx import import_onnx
from .pytorch import file_layers, parts_of
from .reparametrized import folded
from .weight_matching import FileLayers, check_numbers

_RUN = "model.safetensors"  # in the folder of a run
_FLOATS = ("float16", "bfloat16", "float32", "float64")
_MOST_PATTERNS = 4


@dataclass(frozen=True)
class Taken:
    """What `load_weights` has done with each array.

    Parameters
        source : the file
        taken, kept : names of the network's arrays: those that are the file's now, and those that stay as they were
        left : names of the file's arrays that the network did not get
        notes : what was done to the file's names and numbers, in a line each
    """

    source: str
    taken: tuple[str, ...]
    kept: tuple[str, ...]
    left: tuple[str, ...]
    notes: tuple[str, ...] = ()

    def __str__(self) -> str:
        lines = [f"took {len(self.taken)} arrays of {one_line(self.source)}"]
        lines += [f"kept {len(self.kept)} of the network's own: {few(self.kept)}"] if self.kept else []
        lines += [f"left {len(self.left)} of the file's: {few(self.left)}"] if self.left else []
        lines += self.notes
        return "\n".join(lines)


def load_weights(
    model: Layer,
    source: str | os.PathLike[str],
    *,
    new: Patterns = (),
    unused: Patterns = (),
    prefix: str | None = None,
    input_shape: Shape | None = None,
) -> Taken:
    """Copy weights into a network by name: all of them, except what `new` and `unused` name.

    Parameters
        model : the network to change
        source : a path, or an address; see the module's docstring
        new : names of the network's arrays that stay as they are, such as "fc.*" for a head of another width; * stands
            for any text
        unused : names of the file's arrays that the network does not have, such as "aux*"
        prefix : the beginning of the names to take from a file of several networks, such as "state_dict_ema."; by
            default one that all names have is taken off
        input_shape : of one input, such as (H, W, C); required for PyTorch's files if the network has a Flatten
    Returns
        what was taken, kept and left; `print` it
    Raises
        FormatError : names or shapes differ beyond `new` and `unused`, or the file is damaged; nothing is changed then
        FileError : it cannot be read
        OptionError : a pattern matches no name, or an argument is invalid
        DataError, MissingExtraError : the file cannot be downloaded

    >>> import tempfile
    >>> from xpcnn import io, models
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     io.save_model(models.mlp((4,), 10, rng=0), f"{folder}/m.safetensors", input_shape=(4,))
    ...     taken = load_weights(models.mlp((4,), 3, rng=1), f"{folder}/m.safetensors", new="3.*")
    >>> taken.taken, taken.kept
    (('1.weight', '1.bias'), ('3.weight', '3.bias'))
    """
    check_layer("load_weights", model)
    path = fetch_weights(str(source)) if is_address(source) else as_path("load_weights", source)
    who = str(path)
    parts, layers, named = _opened(path, model, input_shape, prefix)
    fresh = matching("load_weights", "new", new, list(model.state_dict()), "the network's arrays")
    of_file = [dotted(name, key) for name, arrays in layers.items() for key in arrays]
    left = matching("load_weights", "unused", unused, of_file, "the file's arrays")
    state: dict[str, NDArray] = {}
    missing, unfit = list[str](), list[str]()
    unknown = dict.fromkeys(name for name in of_file if name not in left)
    for part in parts:
        for key, own in part.arrays.items():
            name, array = dotted(part.file_name, key), layers.get(part.file_name, {}).get(key)
            if own in fresh or array is None or name in left:
                unknown.pop(name, None)
                if own in fresh:
                    left |= {name} if array is not None else set()
                else:
                    missing.append(own)
                continue
            unknown.pop(name)
            layout = next((each[key] for each in part.layouts if each[key].shape == array.shape), None)
            if layout is None or array.dtype.kind != "f":
                expected = part.layouts[0][key].shape
                unfit.append(f"{own} {array.shape} of {array.dtype}, here {expected}")
            else:
                state[own] = layout.ours(array)
    _refuse(who, missing, unfit, list(unknown), named.hint)
    if not state:
        raise FormatError(who, "arrays of this network", "none that is to be taken", "pass fewer names as new")
    check_numbers(who, state)
    model.load_state_dict(state, strict=False)
    kept = [name for name in model.state_dict() if name not in state]
    return Taken(who, tuple(state), tuple(kept), (*sorted(left), *named.others), tuple(named.said))


def _opened(
    path: Path, model: Layer, input_shape: Shape | None, prefix: str | None
) -> tuple[Sequence[Part], FileLayers, Named]:
    """The network's layers with their layouts in the file, the file's layers, and what was done to their names."""
    if path.is_dir():
        path /= _RUN
    own = model.state_dict()
    if path.suffix.lower() == ".onnx":
        state = import_onnx(path, input_shape=input_shape).model.state_dict()
        arrays = {name: to_numpy(array) for name, array in state.items()}
        own_parts = _own_parts(model, underlined=True)
        return own_parts, _by_layer(arrays), with_own_names(arrays, arrays if prefix is None else own, prefix)
    arrays, texts = safetensors.load(path, widen=True)
    types = Counter(safetensors.element_types(path).values())
    ours = {dtype_name(array) for array in own.values()}
    said = [f"converted {types[name]} arrays of {name}" for name in _FLOATS if types[name] and name not in ours]
    if "xpcnn" not in texts:
        arrays, computed = folded(str(path), arrays)
        said += computed
    named = with_own_names(arrays, own, prefix)
    named.said.extend(said)
    if "xpcnn" in texts:
        return _own_parts(model), _by_layer(named.arrays), named
    return parts_of(str(path), model, input_shape), file_layers(named.arrays, model), named


def _own_parts(model: Layer, *, underlined: bool = False) -> list[Part]:
    """The network's layers as xpcnn writes them; the nodes of a graph that is read have _ where a name has a dot."""
    return [
        Part(
            name,
            name.replace(".", "_") if underlined else name,
            {key: dotted(name, key) for key in shapes},
            ({key: Layout.same(shape) for key, shape in shapes.items()},),
        )
        for name, _, shapes in own_arrays(model)
    ]


def _by_layer(arrays: Mapping[str, NDArray]) -> FileLayers:
    layers: FileLayers = {}
    for full, array in arrays.items():
        name, _, key = full.rpartition(".")
        layers.setdefault(name, {})[key] = array
    return layers


def _refuse(who: str, missing: list[str], unfit: list[str], unknown: list[str], prefix: str) -> None:
    """Raise an error that lists what differs and says how to go on, if anything differs."""
    listed = (("missing in the file", missing), ("of another shape or type", unfit), ("not in the network", unknown))
    if not any(names for _, names in listed):
        return
    got = "; ".join(f"{len(names)} {what}: {few(names)}" for what, names in listed if names)
    ours = _patterns([*missing, *(each.split(" ")[0] for each in unfit)])
    ways = [f"new={ours} keeps the network's own"] if ours else []
    ways += [f"unused={_patterns(unknown)} leaves the file's"] if unknown else []
    ways = [f"prefix={prefix!r} takes the names that begin so"] if prefix else ways
    same = (
        "import_onnx(path).model is the file's own network" if who.endswith(".onnx") else "take the same architecture"
    )
    remedy = f"{same}; or {' and '.join(ways)}"
    raise FormatError(who, "the arrays of this network", got, remedy)


def _patterns(names: Sequence[str]) -> str:
    """A few patterns that match these names: their layers, or if these are many, the first parts of their names."""
    found = list(dict.fromkeys(f"{name.rpartition('.')[0]}.*" for name in names))
    if len(found) > _MOST_PATTERNS:
        found = list(dict.fromkeys(f"{name.partition('.')[0]}.*" for name in names))
    more = ", …" if len(found) > _MOST_PATTERNS else ""
    return f"[{', '.join(map(repr, found[:_MOST_PATTERNS]))}{more}]" if found else ""
