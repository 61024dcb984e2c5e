"""Normalisation: by given statistics; and by those of the batch, where x changes the output in three ways."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from ..backend import to_numpy
from ..nn.norm import BatchNorm1d, BatchNorm2d
from ..nn.normalize import Normalize
from ..ops.batch_norm import batch_norm_forward
from .equations import quoted
from .explanation import Explanation, Index, Worked, letters
from .rules import Sum, Text
from .run import Visit
from .sums import largest


def batch_norm(page: Explanation, visit: Visit, layer: BatchNorm1d | BatchNorm2d, at: Index) -> None:
    """Equations (1) to (5) of `xpcnn.ops.batch_norm`."""
    c = at[-1]
    shape = tuple(visit.x.shape)
    count = math.prod(shape[:-1])  # M
    axes = letters(len(shape))
    _, (x_hat, r, *_), (mean, var) = batch_norm_forward(visit.x, eps=layer.eps)  # the reference's cache
    x = to_numpy(visit.x)
    visit.show(page, axes, axes)
    page.add("μ", "mean of each channel", ("c",), to_numpy(mean))
    page.add("d", "x − μ", axes, x - to_numpy(mean))
    page.add("σ²", "variance of each channel", ("c",), to_numpy(var))
    page.add("r", "1 / √(σ² + ε)", ("c",), to_numpy(r))
    page.add("x̂", "normalised input: mean 0, variance 1", axes, to_numpy(x_hat))
    ones, zeros = np.ones(shape[-1]), np.zeros(shape[-1])
    affine = layer.weight is not None
    page.add("γ", "learned" if affine else "1: nothing is learned", ("c",), to_numpy(layer.weight) if affine else ones)
    page.add("β", "learned" if affine else "0: nothing is learned", ("c",), to_numpy(layer.bias) if affine else zeros)
    at_all = f"[{','.join(axes)}]"
    loops = " | " + ", ".join(f"{letter}<{size}" for letter, size in zip(axes[:-1], shape, strict=False))
    mean_of = Sum(f"x{at_all}{loops}", over=str(count))
    variance = Sum(f"d{at_all}·d{at_all}{loops}", over=str(count))
    inverse = Text("1 / √({σ²[c]} + {ε})", {"ε": layer.eps})
    normalised = Sum(f"r[c]·d{at_all}")
    output = Sum(f"γ[c]·x̂{at_all}", "β[c]")
    weight_gradient = Sum(f"dy{at_all}·x̂{at_all}{loops}")
    bias_gradient = Sum(f"dy{at_all}{loops}")
    whole = f"{{γ[c]}}·{{r[c]}}·({{dy{at_all}}} − {{dβ[c]}}/{count} − {{x̂{at_all}}}·{{dγ[c]}}/{count})"

    def input_gradient(index: Index) -> Worked:
        ways = {
            "directly": f"{{γ[c]}}·{{r[c]}}·{{dy{at_all}}}",
            "through μ": f"−{{γ[c]}}·{{r[c]}}·{{dβ[c]}}/{count}",
            "through σ²": f"−{{γ[c]}}·{{r[c]}}·{{x̂{at_all}}}·{{dγ[c]}}/{count}",
        }
        parts = {label: Text(pattern).worked(page, "dx", index) for label, pattern in ways.items()}
        remarks = tuple((label, part.pieces, part.value) for label, part in parts.items())
        return replace(Text(whole).worked(page, "dx", index), remarks=remarks)

    own = (c,)
    title = f"Forward: the mean over the {count} numbers of a channel"
    page.add_step(title, quoted("batch_norm", 1), ("x",), "μ", own, mean_of)
    page.add_step("Forward: less the mean", (), ("x", "μ"), "d", at, Text(f"{{x{at_all}}} − {{μ[c]}}"))
    page.add_step("Forward: their variance", quoted("batch_norm", 1), ("d",), "σ²", own, variance)
    page.add_step("Forward: its root, inverted", quoted("batch_norm", 2), ("σ²",), "r", own, inverse)
    page.add_step("Forward: mean 0 and variance 1", quoted("batch_norm", 2), ("r", "d"), "x̂", at, normalised)
    page.add_step("Forward: the learned mean and variance", quoted("batch_norm", 3), ("γ", "x̂", "β"), "y", at, output)
    if affine:
        page.add("dγ", "∂L/∂γ", ("c",), to_numpy(visit.grads["weight"]))
        page.add("dβ", "∂L/∂β", ("c",), to_numpy(visit.grads["bias"]))
    else:
        dy = to_numpy(visit.dy).astype(np.float64)
        places = tuple(range(dy.ndim - 1))
        page.add("dγ", "what ∂L/∂γ would be", ("c",), (dy * to_numpy(x_hat)).sum(axis=places))
        page.add("dβ", "what ∂L/∂β would be", ("c",), dy.sum(axis=places))
    equations = quoted("batch_norm", 4)
    whose = "learned " if affine else ""
    page.add_step(f"Backward: the {whose}variance", equations, ("dy", "x̂"), "dγ", own, weight_gradient)
    page.add_step(f"Backward: the {whose}mean", equations, ("dy",), "dβ", own, bias_gradient)
    focus = largest(page.arrays["dx"].values, (at[0], ..., c))
    title = "Backward: the input, which moves y in three ways"
    reads, equations = ("dy", "x̂", "γ", "r", "dβ", "dγ"), quoted("batch_norm", 5)
    page.add_step(title, equations, reads, "dx", focus, input_gradient, rule=Text(whole))


def normalize(page: Explanation, visit: Visit, layer: Normalize, at: Index) -> None:
    """Each channel minus its mean, divided by its standard deviation; both are given."""
    axes = letters(len(at))
    visit.show(page, axes, axes)
    page.add("μ", "means, given", ("c",), np.array(layer.mean))
    page.add("σ", "standard deviations, given", ("c",), np.array(layer.std))

    place = f"[{','.join(page.arrays['x'].axes)}]"
    output, input_gradient = Text(f"({{x{place}}} − {{μ[c]}}) / {{σ[c]}}"), Sum(f"dy{place} / σ[c]")
    page.add_step("Forward", quoted("normalize", 1), ("x", "μ", "σ"), "y", at, output)
    page.add_step("Backward: the input", quoted("normalize", 2), ("dy", "σ"), "dx", at, input_gradient)
