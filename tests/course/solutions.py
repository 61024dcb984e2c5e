"""Right answers to the exercises of the course, each in the styles in which learners write them. By exercise."""

from __future__ import annotations

import math

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from xpcnn import course


def one_step_loops(patch, w, b):
    y = b
    for u in range(patch.shape[0]):
        for v in range(patch.shape[1]):
            for c in range(patch.shape[2]):
                y += patch[u, v, c] * w[u, v, c]
    return y


def pad(x, padding):
    return np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)))


def conv_loops(x, w, b, stride, padding):
    n_images, height, width, _ = x.shape
    n_filters, kh, kw, _ = w.shape
    oh = (height + 2 * padding[0] - kh) // stride[0] + 1
    ow = (width + 2 * padding[1] - kw) // stride[1] + 1
    y = np.zeros((n_images, oh, ow, n_filters))
    x = pad(x, padding)
    for n, i, j, f in np.ndindex(*y.shape):
        window = x[n, i * stride[0] : i * stride[0] + kh, j * stride[1] : j * stride[1] + kw]
        y[n, i, j, f] = np.sum(window * w[f]) + b[f]
    return y


def conv_windows(x, w, b, stride, padding):
    windows = sliding_window_view(pad(x, padding), w.shape[1:3], (1, 2))[:, :: stride[0], :: stride[1]]
    return np.einsum("nijcuv,fuvc->nijf", windows, w) + b


def dw_loops(dy, x, kernel, stride, padding):
    x, dw = pad(x, padding), np.zeros((dy.shape[3], *kernel, x.shape[3]))
    for n, i, j, f in np.ndindex(*dy.shape):
        top, left = i * stride[0], j * stride[1]
        dw[f] += dy[n, i, j, f] * x[n, top : top + kernel[0], left : left + kernel[1]]
    return dw


def dw_taps(dy, x, kernel, stride, padding):
    x, (_, oh, ow, filters) = pad(x, padding), dy.shape
    dw = np.empty((filters, *kernel, x.shape[3]))
    for u, v in np.ndindex(*kernel):
        tap = x[:, u : u + (oh - 1) * stride[0] + 1 : stride[0], v : v + (ow - 1) * stride[1] + 1 : stride[1]]
        dw[:, u, v] = np.einsum("nijf,nijc->fc", dy, tap)
    return dw


def dx_loops(dy, w, size, stride, padding):
    _, kh, kw, channels = w.shape
    dx = np.zeros((len(dy), size[0] + 2 * padding[0], size[1] + 2 * padding[1], channels))
    for n, i, j, f in np.ndindex(*dy.shape):
        top, left = i * stride[0], j * stride[1]
        dx[n, top : top + kh, left : left + kw] += dy[n, i, j, f] * w[f]
    return dx[:, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1]]


def dx_textbook(dy, w, size, stride, padding):
    """Zeros between the elements of dy, zeros around, and the kernel turned by 180°."""
    n, oh, ow, filters = dy.shape
    _, kh, kw, _ = w.shape
    ph, pw = size[0] + 2 * padding[0], size[1] + 2 * padding[1]
    wide = np.zeros((n, ph + kh - 1, pw + kw - 1, filters))
    wide[:, kh - 1 : kh - 1 + oh * stride[0] : stride[0], kw - 1 : kw - 1 + ow * stride[1] : stride[1]] = dy
    windows = sliding_window_view(wide, (kh, kw), (1, 2))  # (N, PH, PW, F, KH, KW)
    dx = np.einsum("npqfuv,fuvc->npqc", windows, w[:, ::-1, ::-1])
    return dx[:, padding[0] : padding[0] + size[0], padding[1] : padding[1] + size[1], :]


def max_pool_argmax(dy, x, kernel, stride, padding):
    x_hat = np.pad(x, ((0, 0), (padding[0],) * 2, (padding[1],) * 2, (0, 0)), constant_values=-np.inf)
    dx = np.zeros_like(x_hat)
    for n, i, j, c in np.ndindex(*dy.shape):
        top, left = i * stride[0], j * stride[1]
        k = int(np.argmax(x_hat[n, top : top + kernel[0], left : left + kernel[1], c]))
        dx[n, top + k // kernel[1], left + k % kernel[1], c] += dy[n, i, j, c]
    return dx[:, padding[0] : padding[0] + x.shape[1], padding[1] : padding[1] + x.shape[2]]


def max_pool_search(dy, x, kernel, stride, padding):
    dx = np.zeros(x.shape)
    for n, i, j, c in np.ndindex(*dy.shape):
        best = None
        for u, v in np.ndindex(*kernel):
            p, q = i * stride[0] + u - padding[0], j * stride[1] + v - padding[1]
            inside = 0 <= p < x.shape[1] and 0 <= q < x.shape[2]
            if inside and (best is None or x[n, p, q, c] > x[best]):
                best = n, p, q, c
        dx[best] += dy[n, i, j, c]
    return dx


def avg_pool_loops(dy, size, kernel, stride):
    dx = np.zeros((len(dy), *size, dy.shape[3]))
    for i, j in np.ndindex(*dy.shape[1:3]):
        top, left = i * stride[0], j * stride[1]
        dx[:, top : top + kernel[0], left : left + kernel[1]] += dy[:, i : i + 1, j : j + 1] / kernel[0] / kernel[1]
    return dx


def avg_pool_kernel(dy, size, kernel, stride):
    """Average pooling is a convolution, channel by channel."""
    w = np.full((1, *kernel, 1), 1 / math.prod(kernel))
    return np.concatenate([dx_loops(dy[..., c : c + 1], w, size, stride, (0, 0)) for c in range(dy.shape[3])], axis=3)


def entropy_arrays(logits, labels):
    z = logits - logits.max(axis=1, keepdims=True)
    log_p = z - np.log(np.exp(z).sum(axis=1, keepdims=True))
    rows = np.arange(len(logits))
    d = np.exp(log_p)
    d[rows, labels] -= 1
    return -log_p[rows, labels].mean(), d / len(logits)


def entropy_loops(logits, labels):
    loss, d = 0.0, []
    for row, label in zip(logits.tolist(), labels.tolist(), strict=True):
        largest = max(row)
        total = sum(math.exp(s - largest) for s in row)
        loss -= row[label] - largest - math.log(total)
        d.append([(math.exp(s - largest) / total - (k == label)) / len(logits) for k, s in enumerate(row)])
    return loss / len(logits), d


def batch_norm_short(dy, x, gamma, eps):
    axes = tuple(range(x.ndim - 1))
    m = x[..., 0].size
    mean, r = x.mean(axes), 1 / np.sqrt(x.var(axes) + eps)
    x_hat = (x - mean) * r
    dgamma, dbeta = (dy * x_hat).sum(axes), dy.sum(axes)
    return gamma * r * (dy - dbeta / m - x_hat * dgamma / m), dgamma, dbeta


def batch_norm_steps(dy, x, gamma, eps):
    """Step by step through the graph, as in many courses."""
    axes = tuple(range(x.ndim - 1))
    m = x[..., 0].size
    mean = x.mean(axes)
    var = ((x - mean) ** 2).mean(axes)
    x_hat = (x - mean) / np.sqrt(var + eps)
    g = dy * gamma
    dvar = (g * (x - mean) * -0.5 * (var + eps) ** -1.5).sum(axes)
    dmean = (-g / np.sqrt(var + eps)).sum(axes) + dvar * (-2 * (x - mean)).sum(axes) / m
    dx = g / np.sqrt(var + eps) + dvar * 2 * (x - mean) / m + dmean / m
    return [dx, (dy * x_hat).sum(axes), dy.sum(axes)]


def momentum(p, g, v, lr, mu):
    v = mu * v + g
    return p - lr * v, v


def rmsprop(p, g, s, lr, alpha, eps):
    s = alpha * s + (1 - alpha) * g * g
    return p - lr * g / (s**0.5 + eps), s


def adam(p, g, m, v, t, lr, beta1, beta2, eps):
    m = beta1 * m + (1 - beta1) * g
    v = beta2 * v + (1 - beta2) * g**2
    m_hat, v_hat = m / (1 - beta1**t), v / (1 - beta2**t)
    return p - lr * m_hat / (np.sqrt(v_hat) + eps), m, v


def adam_as_in_the_paper_s_note(p, g, m, v, t, lr, beta1, beta2, eps):
    m, v = m + (1 - beta1) * (g - m), v + (1 - beta2) * (g * g - v)
    root = math.sqrt(1 - beta2**t)
    return p - lr * root / (1 - beta1**t) * m / (np.sqrt(v) + eps * root), m, v


def lenet5(x, labels, params):
    def max_pool(x):
        n, h, w, c = x.shape
        return x.reshape(n, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))

    conv = course.own("conv2d_forward")
    y1 = conv(x, params["0.weight"], params["0.bias"], (1, 1), (2, 2))
    a1 = np.maximum(y1, 0)
    p1 = max_pool(a1)
    y2 = conv(p1, params["3.weight"], params["3.bias"], (1, 1), (0, 0))
    a2 = np.maximum(y2, 0)
    p2 = max_pool(a2)
    flat = p2.reshape(len(x), -1)
    h1 = np.maximum(flat @ params["7.weight"].T + params["7.bias"], 0)
    h2 = np.maximum(h1 @ params["9.weight"].T + params["9.bias"], 0)
    loss, d = entropy_arrays(h2 @ params["11.weight"].T + params["11.bias"], labels)
    grads = {"11.weight": d.T @ h2, "11.bias": d.sum(axis=0)}
    d = d @ params["11.weight"] * (h2 > 0)
    grads |= {"9.weight": d.T @ h1, "9.bias": d.sum(axis=0)}
    d = d @ params["9.weight"] * (h1 > 0)
    grads |= {"7.weight": d.T @ flat, "7.bias": d.sum(axis=0)}
    d = (d @ params["7.weight"]).reshape(p2.shape)
    d = course.own("max_pool_backward")(d, a2, (2, 2), (2, 2), (0, 0)) * (y2 > 0)
    grads |= {"3.weight": course.own("conv2d_dw")(d, p1, (5, 5), (1, 1), (0, 0)), "3.bias": d.sum(axis=(0, 1, 2))}
    d = course.own("conv2d_dx")(d, params["3.weight"], p1.shape[1:3], (1, 1), (0, 0))
    d = course.own("max_pool_backward")(d, a1, (2, 2), (2, 2), (0, 0)) * (y1 > 0)
    grads |= {"0.weight": course.own("conv2d_dw")(d, x, (5, 5), (1, 1), (2, 2)), "0.bias": d.sum(axis=(0, 1, 2))}
    return loss, grads


def fast_taps(x, w):
    oh, ow = x.shape[1] - w.shape[1] + 1, x.shape[2] - w.shape[2] + 1
    return sum(x[:, u : u + oh, v : v + ow] @ w[:, u, v].T for u, v in np.ndindex(*w.shape[1:3]))


def fast_columns(x, w):
    windows = sliding_window_view(x, w.shape[1:3], (1, 2)).transpose(0, 1, 2, 4, 5, 3)
    return windows.reshape(*windows.shape[:3], -1) @ w.reshape(len(w), -1).T


SOLUTIONS = {
    "one_step": [lambda patch, w, b: np.sum(patch * w) + b, one_step_loops, lambda p, w, b: float(np.vdot(p, w)) + b],
    "output_size": [
        lambda size, kernel, stride, padding: (size + 2 * padding - kernel) // stride + 1,
        lambda size, kernel, stride, padding: len(range(0, size + 2 * padding - kernel + 1, stride)),
        lambda size, kernel, stride, padding: int((size + 2 * padding - kernel) / stride) + 1,
    ],
    "conv2d_forward": [conv_loops, conv_windows],
    "conv2d_db": [lambda dy: dy.sum(axis=(0, 1, 2)), lambda dy: np.einsum("nijf->f", dy), lambda dy: sum(sum(sum(dy)))],
    "conv2d_dw": [dw_loops, dw_taps],
    "conv2d_dx": [dx_loops, dx_textbook],
    "max_pool_backward": [max_pool_argmax, max_pool_search],
    "avg_pool_backward": [avg_pool_loops, avg_pool_kernel],
    "softmax_cross_entropy": [entropy_arrays, entropy_loops],
    "batch_norm_backward": [batch_norm_short, batch_norm_steps],
    "sgd_step": [lambda p, g, lr: p - lr * g, lambda p, g, lr: np.add(p, -lr * g)],
    "momentum_step": [momentum],
    "rmsprop_step": [rmsprop],
    "adam_step": [adam, adam_as_in_the_paper_s_note],
    "lenet5_gradients": [lenet5],
    "fast_conv2d": [fast_taps, fast_columns],
}
