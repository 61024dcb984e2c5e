"""The definition of normalisation, set by set: plain loops, independent of the package.

`sets` lists, for each set that is normalised together, the positions (index tuples) of its numbers in x.
"""

from __future__ import annotations

import itertools

import numpy as np


def batch_sets(shape):
    return [[(*place, c) for place in np.ndindex(*shape[:-1])] for c in range(shape[-1])]


def layer_sets(shape, axes):
    split = len(shape) - axes
    return [[(*item, *place) for place in np.ndindex(*shape[split:])] for item in np.ndindex(*shape[:split])]


def group_sets(shape, groups):
    width = shape[-1] // groups
    return [
        [(n, *place, c) for place in np.ndindex(*shape[1:-1]) for c in range(g * width, (g + 1) * width)]
        for n, g in itertools.product(range(shape[0]), range(groups))
    ]


def normalise(x, sets, eps):
    x_hat = np.zeros_like(x)
    for places in sets:
        values = [x[place] for place in places]
        mean = sum(values) / len(values)
        var = sum((v - mean) ** 2 for v in values) / len(values)
        for place in places:
            x_hat[place] = (x[place] - mean) / np.sqrt(var + eps)
    return x_hat


def normalise_gradient(x, g, sets, eps):
    """dx for g = ∂L/∂x̂, through the Jacobian of each set by the quotient rule: x̂ = (x − μ) / s."""
    dx = np.zeros_like(x)
    for places in sets:
        m = len(places)
        values = [x[place] for place in places]
        mean = sum(values) / m
        s = np.sqrt(sum((v - mean) ** 2 for v in values) / m + eps)
        for k, place_k in enumerate(places):
            ds = (values[k] - mean) / (m * s)
            for i, place_i in enumerate(places):
                numerator = ((i == k) - 1 / m) * s - (values[i] - mean) * ds
                dx[place_k] += g[place_i] * numerator / s**2
    return dx
