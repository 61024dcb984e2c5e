"""Plain loops that define each loss and its gradient, in float64. They share nothing with the package."""

from __future__ import annotations

import math

import numpy as np


def elementwise(loss, slope, y, t, mean):
    """A loss and its gradient, from the loss and the slope of one element."""
    total, dy = 0.0, np.zeros_like(y)
    for index in np.ndindex(*y.shape):
        total += loss(y[index], t[index], index)
        dy[index] = slope(y[index], t[index], index)
    size = y.size if mean else 1
    return total / size, dy / size


def mse(y, t, mean=True):
    return elementwise(lambda y, t, _: (y - t) ** 2, lambda y, t, _: 2 * (y - t), y, t, mean)


def mae(y, t, mean=True):
    return elementwise(lambda y, t, _: abs(y - t), lambda y, t, _: int(y > t) - int(y < t), y, t, mean)


def huber(y, t, delta, mean=True):
    def loss(y, t, _):
        return 0.5 * (y - t) ** 2 if abs(y - t) <= delta else delta * (abs(y - t) - delta / 2)

    def slope(y, t, _):
        return y - t if abs(y - t) <= delta else math.copysign(delta, y - t)

    return elementwise(loss, slope, y, t, mean)


def bce_with_logits(y, t, pos_weight, mean=True):
    """Computed from the probability itself; only for logits that are not large."""

    def p(y):
        return 1 / (1 + math.exp(-y))

    def weight(index):
        return 1.0 if pos_weight is None else float(np.broadcast_to(pos_weight, y.shape)[index])

    def loss(y, t, index):
        return -weight(index) * t * math.log(p(y)) - (1 - t) * math.log(1 - p(y))

    def slope(y, t, index):
        return -weight(index) * t * (1 - p(y)) + (1 - t) * p(y)

    return elementwise(loss, slope, y, t, mean)


def cross_entropy(y, target, weight=None, smoothing=0.0, mean=True):
    """Softmax and cross-entropy, without the shift; target is labels (N,) or probabilities (N, K)."""
    n_rows, n_classes = y.shape
    w = np.ones(n_classes) if weight is None else weight
    total, divisor, dy = 0.0, 0.0, np.zeros_like(y)
    for n in range(n_rows):
        p = [math.exp(v) / sum(math.exp(u) for u in y[n]) for v in y[n]]
        divisor += w[target[n]] if target.ndim == 1 else 1.0
        for k in range(n_classes):
            q = float(target[n] == k) if target.ndim == 1 else target[n, k]
            a = w[k] * ((1 - smoothing) * q + smoothing / n_classes)
            total -= a * math.log(p[k])
            for j in range(n_classes):  # ∂ log p[k] / ∂ y[j] = [j = k] − p[j]
                dy[n, j] -= a * ((j == k) - p[j])
    return (total / divisor, dy / divisor) if mean else (total, dy)


def nll(y, labels, weight=None, mean=True):
    w = np.ones(y.shape[1]) if weight is None else weight
    total, divisor, dy = 0.0, 0.0, np.zeros_like(y)
    for n, label in enumerate(labels):
        total -= w[label] * y[n, label]
        divisor += w[label]
        dy[n, label] = -w[label]
    return (total / divisor, dy / divisor) if mean else (total, dy)


def hinge(y, labels, mean=True):
    n_rows, n_classes = y.shape
    total, dy = 0.0, np.zeros_like(y)
    for n, label in enumerate(labels):
        for k in range(n_classes):
            margin = 1 - y[n, label] + y[n, k]
            if k != label and margin > 0:
                total += margin / n_classes
                dy[n, k] += 1 / n_classes
                dy[n, label] -= 1 / n_classes
    return (total / n_rows, dy / n_rows) if mean else (total, dy)
