"""Layer and group normalisation: equations (1) to (5) of `xpcnn.ops.norm`, over sets of numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..backend import to_numpy
from ..nn.norm import GroupNorm, LayerNorm
from ..ops.norm import group_norm_forward, layer_norm_forward
from ..typing import NDArray
from .equations import quoted
from .explanation import Explanation, Index, letters
from .rules import Sum, Text
from .run import Visit
from .sums import largest


class _Sets:
    """The sets of numbers that are normalised together, and the learned numbers that belong to each number."""

    def __init__(self, layer: LayerNorm | GroupNorm, shape: Index) -> None:
        self.shape = shape
        self.axes = len(layer.normalized_shape) if isinstance(layer, LayerNorm) else 0
        self.width = shape[-1] // layer.num_groups if isinstance(layer, GroupNorm) else 0

    def of(self, index: Index) -> Index:
        """The set's index."""
        return (index[0], index[-1] // self.width) if self.width else index[: len(self.shape) - self.axes]

    def members(self, which: Index) -> tuple[Any, ...]:
        """The set's numbers: one index for each axis."""
        if not self.width:
            return (*which, *np.indices(self.shape[len(which) :]))
        *places, channel = np.indices((*self.shape[1:-1], self.width))
        return (which[0], *places, which[1] * self.width + channel)

    def learned(self, index: Index) -> Index:
        """The index of γ and β for a number."""
        return index[-1:] if self.width else index[len(self.shape) - self.axes :]


def _centred(x: NDArray, sets: _Sets, size: Index) -> NDArray:
    """x minus the mean of each number's set."""
    d = np.empty_like(x)
    for which in np.ndindex(size):
        members = sets.members(which)
        d[members] = x[members] - x[members].mean()
    return d


def set_norm(page: Explanation, visit: Visit, layer: LayerNorm | GroupNorm, at: Index) -> None:
    """Mean 0 and variance 1 in each set, then a learned mean and variance."""
    shape = tuple(visit.x.shape)
    sets = _Sets(layer, shape)
    if isinstance(layer, LayerNorm):
        _, (x_hat, *_) = layer_norm_forward(visit.x, axes=sets.axes, eps=layer.eps)
    else:
        _, (x_hat, *_) = group_norm_forward(visit.x, groups=layer.num_groups, eps=layer.eps)
    x, dy, normal = to_numpy(visit.x), to_numpy(visit.dy), to_numpy(x_hat).reshape(shape)
    count = x[sets.members(sets.of(at))].size  # M
    axes = letters(len(shape))
    of_set = ("n", "g") if sets.width else axes[: len(shape) - sets.axes]
    own = ("c",) if sets.width else axes[len(shape) - sets.axes :]
    size = (shape[0], shape[-1] // sets.width) if sets.width else shape[: len(of_set)]
    learned = (shape[-1],) if sets.width else shape[len(of_set) :]
    gamma = np.ones(learned) if layer.weight is None else to_numpy(layer.weight)
    beta = np.zeros(learned) if layer.bias is None else to_numpy(layer.bias)

    def per_set(function: Any, values: Any) -> Any:
        return np.array([function(values[sets.members(which)]) for which in np.ndindex(size)]).reshape(size)

    gradient = dy * gamma
    visit.show(page, axes, axes)
    page.add("μ", "mean of each set", of_set, per_set(np.mean, x))
    page.add("d", "x − μ", axes, _centred(x, sets, size))
    page.add("σ²", "variance of each set", of_set, per_set(np.var, x))
    page.add("x̂", "normalised input: mean 0, variance 1", axes, normal)
    page.add("γ", "1: nothing is learned" if layer.weight is None else "learned", own, gamma)
    page.add("β", "0: nothing is learned" if layer.bias is None else "learned", own, beta)
    page.add("g", "dy · γ", axes, gradient)
    page.add("a", "mean(g) of each set", of_set, per_set(np.mean, gradient))
    page.add("b", "mean(g x̂) of each set", of_set, per_set(np.mean, gradient * normal))

    every = f"[{','.join(axes)}]"  # a number, by its own letters; its set; what is learned for it
    whose = f"[n, c//{sets.width}]" if sets.width else f"[{','.join(of_set)}]"
    known = f"[{','.join(own)}]"
    member = f"[{','.join((*axes[:-1], f'g*{sets.width} + c'))}]" if sets.width else every  # of a set, by its letters
    inner = [*zip(axes[1:-1], shape[1:-1], strict=True), ("c", sets.width)] if sets.width else []
    inside = " | " + ", ".join(f"{letter}<{size}" for letter, size in inner or zip(own, learned, strict=True))
    outer = zip(axes, shape, strict=True) if not sets.width else zip(axes[:-1], shape, strict=False)
    shared = " | " + ", ".join(f"{letter}<{size}" for letter, size in outer if letter not in own)
    deviation = f"√({{σ²{whose}}} + {{ε}})"
    eps = {"ε": layer.eps}
    mean_of = Sum(f"x{member}{inside}", over=str(count))
    variance = Sum(f"d{member}·d{member}{inside}", over=str(count))
    normalised = Text(f"{{d{every}}} / {deviation}", eps)
    output = Sum(f"γ{known}·x̂{every}", f"β{known}")
    weight_gradient, bias_gradient = Sum(f"dy{every}·x̂{every}{shared}"), Sum(f"dy{every}{shared}")
    scaled = Sum(f"dy{every}·γ{known}")
    mean_of_g = Sum(f"g{member}{inside}", over=str(count))
    mean_of_g_x = Sum(f"g{member}·x̂{member}{inside}", over=str(count))
    input_gradient = Text(f"({{g{every}}} − {{a{whose}}} − {{x̂{every}}}·{{b{whose}}}) / {deviation}", eps)

    which, place = sets.of(at), sets.learned(at)
    title = f"Forward: the mean of the {count} numbers of a set"
    page.add_step(title, quoted("norm", 1), ("x",), "μ", which, mean_of)
    page.add_step("Forward: less the mean", (), ("x", "μ"), "d", at, Text(f"{{x{every}}} − {{μ{whose}}}"))
    page.add_step("Forward: their variance", quoted("norm", 1), ("d",), "σ²", which, variance)
    page.add_step("Forward: mean 0 and variance 1", quoted("norm", 2), ("d", "σ²"), "x̂", at, normalised)
    page.add_step("Forward: the learned mean and variance", quoted("norm", 3), ("γ", "x̂", "β"), "y", at, output)
    for name, key, reads, work in (
        ("γ", "weight", ("dy", "x̂"), weight_gradient),
        ("β", "bias", ("dy",), bias_gradient),
    ):
        if key in visit.grads:
            page.add(f"d{name}", f"∂L/∂{name}", own, to_numpy(visit.grads[key]))
            title = f"Backward: {name}, which all sets share"
            page.add_step(title, quoted("norm", 4), reads, f"d{name}", place, work)
    focus = largest(page.arrays["dx"].values, (at[0],))
    page.add_step("Backward: dy, as γ lets it through", (), ("dy", "γ"), "g", focus, scaled)
    page.add_step("Backward: its mean over the set", (), ("g",), "a", sets.of(focus), mean_of_g)
    page.add_step("Backward: its mean along x̂", (), ("g", "x̂"), "b", sets.of(focus), mean_of_g_x)
    note = "g = dy · γ;  a = mean(g) and b = mean(g x̂) over the set."
    page.add_step(
        "Backward: the input", quoted("norm", 5), ("g", "a", "x̂", "b", "σ²"), "dx", focus, input_gradient, note
    )
