"""Weights that a PyTorch module computes from other arrays: computed once, when its file is read.

    weight norm     weight_g, weight_v             w = g · v / ‖v‖         (1)   ‖·‖ over the axes that g has not
    spectral norm   weight_orig, weight_u, weight_v    w = W / (uᵀ W v)    (2)   W as a matrix
    pruning         weight_orig, weight_mask       w = W · mask            (3)

The newer form of (1) has `parametrizations.weight.original0` and `original1`, that of (2) `original`, `0._u` and
`0._v`. Other parametrizations are refused.

Sources
    Salimans and Kingma 2016, https://arxiv.org/abs/1602.07868, equation 2
    Miyato et al. 2018, https://arxiv.org/abs/1802.05957, equation 8
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import numpy as np

from ..errors import FormatError
from ..typing import NDArray

_NEWER = re.compile(r"((?:.*\.)?)parametrizations\.([^.]+)\.(.+)")
_OLDER = re.compile(r"(.+)_(g|v|u|orig|mask)")
_ALIKE = 0.1  # the cosine by which one way to read W as a matrix must be better than the others
_FORMS = {
    frozenset({"g", "v"}): ("g", "v"),
    frozenset({"original0", "original1"}): ("original0", "original1"),
    frozenset({"orig", "u", "v"}): ("orig", "u", "v"),
    frozenset({"original", "0._u", "0._v"}): ("original", "0._u", "0._v"),
    frozenset({"orig", "mask"}): ("orig", "mask"),
}


def folded(who: str, arrays: Mapping[str, NDArray]) -> tuple[dict[str, NDArray], list[str]]:
    """The arrays with each such weight under its own name, and what was done, in lines for people.

    Raises
        FormatError : a parametrization that is neither, or arrays that do not belong together

    >>> arrays = {"fc.weight_g": np.full((2, 1), 3.0), "fc.weight_v": np.array([[0.0, 2.0], [4.0, 0.0]])}
    >>> made, said = folded("a file", arrays)
    >>> made["fc.weight"].tolist(), said
    ([[0.0, 3.0], [3.0, 0.0]], ['computed 1 weights from weight norm: fc.weight'])
    """
    groups: dict[str, dict[str, str]] = {}
    for name in arrays:
        if found := _NEWER.fullmatch(name):
            groups.setdefault(found[1] + found[2], {})[found[3]] = name
        elif found := _OLDER.fullmatch(name):
            groups.setdefault(found[1], {})[found[2]] = name
    made = dict(arrays)
    counted: dict[str, list[str]] = {}
    for name, parts in groups.items():
        form = _FORMS.get(frozenset(parts))
        if form is None and not any("parametrizations." in part for part in parts.values()):
            if parts.keys() == {"orig", "u"}:
                raise _refusal(who, name, "spectral norm of PyTorch before 1.0, without v")
            continue  # a layer's own array
        if form is None:
            raise _refusal(who, name, f"another parametrization, of {', '.join(sorted(parts))}")
        if name in arrays:
            raise _refusal(who, name, f"it, and {', '.join(parts.values())} too")
        values = [arrays[parts[key]] for key in form]
        if any(value.dtype.kind != "f" for value in values):
            raise _refusal(who, name, "parts that are no floats")
        if len(form) == 3:
            kind, weight = "spectral norm", _spectral(who, name, *values)
        elif "mask" in form:
            kind, weight = "pruning", _pruned(who, name, *values)
        else:
            kind, weight = "weight norm", _normed(who, name, *values)
        for part in parts.values():
            del made[part]
        made[name] = weight.astype(values[0].dtype)
        counted.setdefault(kind, []).append(name)
    return made, [f"computed {len(names)} weights from {kind}: {_few(names)}" for kind, names in counted.items()]


def _normed(who: str, name: str, g: NDArray, v: NDArray) -> NDArray:
    fits = g.ndim == 0 or (g.ndim == v.ndim and all(n in (1, size) for n, size in zip(g.shape, v.shape, strict=True)))
    if not fits:
        raise _refusal(who, name, f"a g {g.shape} for a v {v.shape}")
    wide = v.astype(np.float64)
    axes = tuple(axis for axis in range(v.ndim) if g.ndim == 0 or g.shape[axis] == 1)
    norm = np.sqrt((wide**2).sum(axes, keepdims=True))
    if not norm.all():
        raise _refusal(who, name, "a v of norm 0, which has no direction")
    made: NDArray = g * wide / norm  # (1)
    return made


def _spectral(who: str, name: str, w: NDArray, u: NDArray, v: NDArray) -> NDArray:
    ways = []
    for axis in range(w.ndim):  # 0 for most layers, 1 for transposed convolutions; files do not state it
        if u.shape == (w.shape[axis],) and v.shape == (w.size // w.shape[axis],):
            product = np.moveaxis(w.astype(np.float64), axis, 0).reshape(len(u), len(v)) @ v
            sigma = float(u @ product)
            ways.append((sigma / max(float(np.linalg.norm(u) * np.linalg.norm(product)), 1e-300), sigma))
    ways.sort(reverse=True)
    if not ways or (len(ways) > 1 and ways[0][0] - ways[1][0] < _ALIKE):
        got = f"a u {u.shape} and v {v.shape} for {w.shape}" + (", which fit several axes" if ways else "")
        raise _refusal(who, name, got)
    if ways[0][1] == 0:
        raise _refusal(who, name, "a spectral norm of 0")
    made: NDArray = w.astype(np.float64) / ways[0][1]  # (2)
    return made


def _pruned(who: str, name: str, w: NDArray, mask: NDArray) -> NDArray:
    if mask.shape != w.shape:
        raise _refusal(who, name, f"a mask {mask.shape} for {w.shape}")
    return w * mask  # (3)


def _few(names: list[str]) -> str:
    return ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _refusal(who: str, name: str, got: str) -> FormatError:
    remedy = (
        "in PyTorch, before saving: torch.nn.utils.parametrize.remove_parametrizations, remove_weight_norm, "
        "remove_spectral_norm or prune.remove"
    )
    return FormatError(who, f"a weight, weight norm, spectral norm or pruning at {name[:80]}", got[:200], remedy)
