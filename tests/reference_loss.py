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


def positions(rows, y, target, ignore=None):
    """A loss of rows (N, K) at all positions of y (N, …, K) but those with the label `ignore`, and its gradient."""
    k = y.shape[-1]
    target = target.reshape(-1, k) if target.ndim == y.ndim else target.reshape(-1)
    kept = np.ones(len(target), bool) if ignore is None else target != ignore
    loss, dy = rows(y.reshape(-1, k)[kept], target[kept])
    whole = np.zeros((len(target), k))
    whole[kept] = dy
    return loss, whole.reshape(y.shape)


def focal(y, labels, gamma, weight=None, mean=True):
    """From the probability of the class itself; only where it is far from 0 and 1."""
    n_classes = y.shape[1]
    w = np.ones(n_classes) if weight is None else weight
    total, divisor, dy = 0.0, 0.0, np.zeros_like(y)
    for n, c in enumerate(labels):
        p = [math.exp(v) / sum(math.exp(u) for u in y[n]) for v in y[n]]
        total -= w[c] * (1 - p[c]) ** gamma * math.log(p[c])
        divisor += w[c]
        slope = gamma * (1 - p[c]) ** (gamma - 1) * math.log(p[c]) - (1 - p[c]) ** gamma / p[c]  # ∂L/∂p[c]
        for k in range(n_classes):
            dy[n, k] = w[c] * slope * p[c] * ((k == c) - p[k])
    return (total / divisor, dy / divisor) if mean else (total, dy)


def dice(y, q, kept, sigmoid, smooth, mean=True):
    """y and q (N, positions, K), kept (N, positions)."""
    (n_images, n_positions, n_classes), total, dy = y.shape, 0.0, np.zeros_like(y)
    count = n_classes * (n_images if mean else 1)
    for n in range(n_images):
        if sigmoid:
            p = [[1 / (1 + math.exp(-v)) for v in row] for row in y[n]]
        else:
            p = [[math.exp(v) / sum(math.exp(u) for u in row) for v in row] for row in y[n]]
        where = [i for i in range(n_positions) if kept[n, i]]
        for k in range(n_classes):
            both = sum(p[i][k] * q[n, i, k] for i in where)
            sizes = sum(p[i][k] + q[n, i, k] for i in where)
            total += 1 - (2 * both + smooth) / (sizes + smooth)
            for i in where:
                slope = (2 * both + smooth) / (sizes + smooth) ** 2 - 2 * q[n, i, k] / (sizes + smooth)  # of p[i][k]
                for j in range(n_classes):
                    if sigmoid:
                        dy[n, i, j] += slope * (j == k) * p[i][k] * (1 - p[i][k])
                    else:
                        dy[n, i, j] += slope * p[i][k] * ((j == k) - p[i][j])
    return total / count, dy / count
