"""Match the layers of a file with those of a network, and copy the weights.

A file has another program's names for its layers. Layers are matched

    by `names`                  if these include the layer
    by equal names              if the file has a layer for every remaining name
    in order                    if it has as many layers as remain, or none of those names: among layers whose
                                arrays have the same names and shapes, the first matches the first, and so on

Files hold names in alphabetical order, not in the order of the layers. So an order is used only if numbers show it
(`features.0`, `features.3`; `conv1`, `conv2`), not if only words do (`decoder`, `encoder`).
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import TypeAlias

import numpy as np

from ..errors import FormatError, OptionError, warn
from ..nn.layer import Layer, dotted
from ..options import as_flag, few
from ..typing import NDArray, Shape
from .layout import Layout, Part

Names: TypeAlias = Mapping[str, str] | Callable[[str], str | None] | Sequence[str] | None
FileLayers: TypeAlias = dict[str, dict[str, NDArray]]
_Shapes: TypeAlias = tuple[tuple[str, Shape], ...]


def copy_weights(
    who: str, model: Layer, parts: Sequence[Part], layers: FileLayers, *, names: Names, strict: bool
) -> dict[str, str]:
    """Copy the file's arrays into the network's own, or change nothing.

    Parameters
        parts : the network's layers that have arrays
        layers : of the file, by name
        names : see `load_pytorch`
        strict : refuse arrays that only one side has
    Returns
        for each of the network's layers that was matched, the file's
    Raises
        FormatError : one line that lists the arrays that are missing, unknown, or have another shape
    """
    pairs = match(who, parts, layers, names)
    state: dict[str, NDArray] = {}
    missing: list[str] = []
    wrong: list[str] = []
    unknown = {dotted(name, key) for name, arrays in layers.items() for key in arrays}
    for part in parts:
        theirs = layers.get(pairs.get(part.name, ""), {}) if part.name in pairs else {}
        layouts = next((each for each in part.layouts if _shapes(each) == shapes_of(theirs)), part.layouts[0])
        for key, layout in layouts.items():
            own = part.arrays[key]
            if key not in theirs:
                missing.append(own)
                continue
            name, array = dotted(pairs[part.name], key), theirs[key]
            unknown.discard(name)
            if array.shape != layout.shape:
                wrong.append(f"{name} {array.shape} for {own}, which is {layout.shape} there")
            elif array.dtype.kind != "f":
                wrong.append(f"{name} of {array.dtype} for {own}")
            else:
                state[own] = layout.ours(array)
    problems = [("wrong", wrong)]
    if as_flag(who, "strict", strict):
        problems += [("missing", missing), ("unknown", sorted(unknown, key=_tokens))]
    if any(listed for _, listed in problems):
        got = "; ".join(f"{kind}: {few(listed)}" for kind, listed in problems if listed)
        remedy = "build the same network, name what belongs together (names=)"
        raise FormatError(who, "the arrays of this network", got, remedy + (" or pass strict=False" if strict else ""))
    if not state:
        raise FormatError(who, "arrays of this network", "none", "name what belongs together (names=)")
    check_numbers(who, state)
    model.load_state_dict(state, strict=False)
    return pairs


def check_numbers(who: str, state: Mapping[str, NDArray]) -> None:
    """Refuse NaN, and warn of infinity.

    Raises
        FormatError
    """
    for name, array in state.items():
        with np.errstate(over="ignore", invalid="ignore"):
            if math.isfinite(float(array.sum(dtype=np.float64))):  # then so are all numbers
                continue
        if spoilt := int(np.isnan(array).sum()):
            got = f"NaN in {spoilt} of its {array.size}"
            raise FormatError(who, f"numbers for {name}", got, "the file is spoilt: get another")
        if infinite := int(np.isinf(array).sum()):
            warn(who, f"{infinite} of the {array.size} numbers for {name} are infinite", "get another file")


def match(who: str, parts: Sequence[Part], layers: FileLayers, names: Names) -> dict[str, str]:
    """For each of the network's layers, by its name, the name of the matching layer in the file.

    Raises
        FormatError : only an order of words could decide, or `names` contains a layer that does not exist
    """
    pairs: dict[str, str] = {}
    order: Sequence[str] | None = None
    if isinstance(names, Mapping):
        pairs = _named(who, parts, layers, names.get, sorted(names.keys() - {part.name for part in parts}))
    elif callable(names):
        pairs = _named(who, parts, layers, names, [])
    elif isinstance(names, str) or not isinstance(names, Sequence | None):
        raise OptionError(who, "names: a mapping, a function or a sequence of names", repr(names)[:80])
    else:
        order = names
    left = [part for part in parts if part.name not in pairs]
    rest = {name: arrays for name, arrays in layers.items() if name not in pairs.values()}
    in_file = [part for part in left if part.file_name in rest]
    if order is None and (len(in_file) == len(left) or (in_file and len(left) != len(rest))):
        return pairs | {part.name: part.file_name for part in in_file}
    return pairs | _in_order(who, left, rest, order)


def _named(
    who: str, parts: Sequence[Part], layers: FileLayers, name_of: Callable[[str], str | None], unknown: list[str]
) -> dict[str, str]:
    pairs = {part.name: name for part in parts if (name := name_of(part.name)) is not None}
    absent = [f"{name!r} of the file" for name in pairs.values() if name not in layers]
    absent += [f"{name!r} of the network" for name in unknown]
    if absent:
        raise FormatError(who, "names of layers that have arrays", f"names= with {few(absent)}, which is none")
    if len(set(pairs.values())) < len(pairs):
        raise FormatError(who, "names= with one layer of the file for each of the network's", "one for several")
    return pairs


def _in_order(who: str, parts: Sequence[Part], layers: FileLayers, order: Sequence[str] | None) -> dict[str, str]:
    """Match layers whose arrays have the same names and shapes, in order."""
    kinds: dict[_Shapes, list[str]] = {}
    for name, arrays in layers.items():
        kinds.setdefault(shapes_of(arrays), []).append(name)
    wanted: dict[_Shapes, list[str]] = {}  # the network's layers
    for part in parts:
        kind = next((shapes for each in part.layouts if (shapes := _shapes(each)) in kinds), None)
        if kind is not None:
            wanted.setdefault(kind, []).append(part.name)
    pairs: dict[str, str] = {}
    for kind, own in wanted.items():
        alike = kinds[kind]
        if order is None:
            alike.sort(key=_tokens)
            _check_order(who, alike)
        else:
            alike.sort(key=_positions(who, order, alike).__getitem__)
        pairs |= zip(own, alike, strict=False)
    return pairs


def _positions(who: str, order: Sequence[str], layers: Sequence[str]) -> dict[str, int]:
    """The position of each layer in a sequence of names of layers, or of their arrays."""
    found: dict[str, int] = {}
    for position, name in enumerate(order):
        for candidate in (name, name.rpartition(".")[0]):
            found.setdefault(candidate, position)
    if absent := [name for name in layers if name not in found]:
        raise FormatError(who, "names= with all of the file's layers", f"none of {few(absent)}")
    return found


def _check_order(who: str, alike: Sequence[str]) -> None:
    for one, other in pairwise(alike):
        if not _numbered(_tokens(one), _tokens(other)):
            raise FormatError(
                who,
                "names that tell the order of layers of one shape",
                f"{one!r} and {other!r}",
                "pass names=, such as all names in the order of the layers: PyTorch's list(module.state_dict())",
            )


def _tokens(name: str) -> list[tuple[int, int, str]]:
    """A name as words and numbers, so that 2 comes before 10, and conv before conv_1."""
    parts = (part.strip("._/") for part in re.split(r"(\d+)", name))
    return [(0, int(part), "") if part.isdecimal() else (1, 0, part) for part in parts if part]


def _numbered(one: list[tuple[int, int, str]], other: list[tuple[int, int, str]]) -> bool:
    """True if the first difference between two names is between numbers, or a number that only one of them has."""
    word, number = 1, 0
    for (kind, *rest), (other_kind, *other_rest) in zip(one, other, strict=False):
        if (kind, rest) != (other_kind, other_rest):
            return kind == other_kind == number
    longer = max(one, other, key=len)[min(len(one), len(other)) :]
    return not longer or longer[0][0] != word


def _shapes(layouts: Mapping[str, Layout]) -> _Shapes:
    return tuple(sorted((key, layout.shape) for key, layout in layouts.items()))


def shapes_of(arrays: Mapping[str, NDArray]) -> _Shapes:
    """The names and shapes of a layer's arrays, in order."""
    return tuple(sorted((key, np.shape(array)) for key, array in arrays.items()))
