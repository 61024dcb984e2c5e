"""Computes each layer by plain loops: a function of (layer, x) and its arrays by name, on float64 NumPy.

The loops share nothing with the package; they read only the layer's options. They compute inference, with the current
arrays.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from . import reference, reference_activation, reference_norm, reference_windows


def _pads(layer: Any) -> tuple[int, int, int, int]:
    return layer.window.padding


def _conv(layer, x, a):
    w, b = a["weight"], a.get("bias")
    return reference.conv2d(x, w, b, layer.stride, _pads(layer), layer.dilation, layer.groups)


def _conv_transpose(layer, x, a):
    options = layer.stride, _pads(layer), layer.dilation, layer.groups, layer.output_padding
    return reference_windows.conv_transpose2d(x, a["weight"], a["bias"], *options)


def _max_pool(layer, x, a):
    window = layer.kernel_size, layer.stride, _pads(layer), layer.dilation, layer.ceil_mode
    return reference_windows.dense(reference_windows.max_pool(x, lambda *_: 0.0, *window)[0])


def _avg_pool(layer, x, a):
    window = layer.kernel_size, layer.stride, _pads(layer), (1, 1), layer.ceil_mode, layer.count_include_pad
    return reference_windows.dense(reference_windows.avg_pool(x, lambda *_: 0.0, *window)[0])


def _global(reduce):
    def pooled(layer, x, a):
        y = np.zeros((x.shape[0], x.shape[3]))
        for n, c in np.ndindex(*y.shape):
            y[n, c] = reduce([x[n, i, j, c] for i in range(x.shape[1]) for j in range(x.shape[2])])
        return y

    return pooled


def _conv1d(layer, x, a):
    """As a rule for each output: it reads what lies D apart, from j·S − P on."""
    w, (before, after) = a["weight"], layer.padding
    filters, taps, per_group = w.shape
    length = (x.shape[1] + before + after - layer.dilation * (taps - 1) - 1) // layer.stride + 1
    y = np.zeros((x.shape[0], length, filters))
    for n, j, f in np.ndindex(*y.shape):
        first = f // (filters // layer.groups) * per_group
        y[n, j, f] = a["bias"][f]
        for v, c in np.ndindex(taps, per_group):
            at = j * layer.stride + v * layer.dilation - before
            if 0 <= at < x.shape[1]:
                y[n, j, f] += x[n, at, first + c] * w[f, v, c]
    return y


def _conv_transpose1d(layer, x, a):
    w, pad = a["weight"], layer.padding
    _, taps, group_out = w.shape
    length = (x.shape[1] - 1) * layer.stride - 2 * pad + layer.dilation * (taps - 1) + 1 + layer.output_padding
    y = np.zeros((x.shape[0], length, group_out * layer.groups)) + a["bias"]
    for n, j, c in np.ndindex(*x.shape):
        first = c // (x.shape[2] // layer.groups) * group_out
        for v, f in np.ndindex(taps, group_out):
            at = j * layer.stride + v * layer.dilation - pad
            if 0 <= at < length:
                y[n, at, first + f] += x[n, j, c] * w[c, v, f]
    return y


def _pool1d(reduce):
    def pooled(layer, x, a):
        length = (x.shape[1] + 2 * layer.padding - layer.kernel_size) // layer.stride + 1
        y = np.zeros((x.shape[0], length, x.shape[2]))
        for n, j, c in np.ndindex(*y.shape):
            start = j * layer.stride - layer.padding
            y[n, j, c] = reduce([x[n, k, c] for k in range(start, start + layer.kernel_size) if 0 <= k < x.shape[1]])
        return y

    return pooled


def _global1d(reduce):
    return lambda layer, x, a: np.array([[reduce(list(item[:, c])) for c in range(x.shape[2])] for item in x])


def _bins1d(layer, x, a):
    out, length = layer.output_size, x.shape[1]
    bins = [slice(math.floor(i * length / out), math.ceil((i + 1) * length / out)) for i in range(out)]
    return np.stack([x[:, each].mean(axis=1) for each in bins], axis=1)


def _mean(values):
    return sum(values) / len(values)


def _linear(layer, x, a):
    y = np.zeros((*x.shape[:-1], len(a["weight"])))
    for *at, o in np.ndindex(*y.shape):
        y[(*at, o)] = sum(x[(*at, i)] * a["weight"][o, i] for i in range(x.shape[-1])) + a["bias"][o]
    return y


def _flatten(layer, x, a):
    return np.array([[item[place] for place in np.ndindex(*item.shape)] for item in x])


def _unflatten(layer, x, a):
    y = np.zeros((len(x), *layer.shape))
    for n in range(len(x)):
        for column, place in enumerate(np.ndindex(*layer.shape)):
            y[(n, *place)] = x[n, column]
    return y


def _zero_pad(layer, x, a):
    top, bottom, left, right = layer.padding
    y = np.zeros((x.shape[0], x.shape[1] + top + bottom, x.shape[2] + left + right, x.shape[3]))
    for n, i, j, c in np.ndindex(*x.shape):
        y[n, i + top, j + left, c] = x[n, i, j, c]
    return y


def _zero_pad_channels(layer, x, a):
    y = np.zeros((*x.shape[:3], x.shape[3] + layer.before + layer.after))
    for n, i, j, c in np.ndindex(*x.shape):
        y[n, i, j, c + layer.before] = x[n, i, j, c]
    return y


def _upsample(layer, x, a):
    rows, columns = layer.scale_factor
    y = np.zeros((x.shape[0], x.shape[1] * rows, x.shape[2] * columns, x.shape[3]))
    for n, i, j, c in np.ndindex(*y.shape):
        y[n, i, j, c] = x[n, i // rows, j // columns, c]
    return y


def _prelu(layer, x, a):
    y = np.zeros(x.shape)
    for place in np.ndindex(*x.shape):
        y[place] = x[place] * (1 if x[place] > 0 else a["weight"][place[-1] if len(a["weight"]) > 1 else 0])
    return y


def _batch_norm(layer, x, a):
    y = np.zeros(x.shape)
    for *at, c in np.ndindex(*x.shape):
        deviation = math.sqrt(a["running_var"][c] + layer.eps)
        y[(*at, c)] = (x[(*at, c)] - a["running_mean"][c]) / deviation * a["weight"][c] + a["bias"][c]
    return y


def _layer_norm(layer, x, a):
    sets = reference_norm.layer_sets(x.shape, len(layer.normalized_shape))
    return reference_norm.normalise(x, sets, layer.eps) * a["weight"] + a["bias"]


def _group_norm(layer, x, a):
    sets = reference_norm.group_sets(x.shape, layer.num_groups)
    return reference_norm.normalise(x, sets, layer.eps) * a["weight"] + a["bias"]


def _normalize(layer, x, a):
    y = np.zeros(x.shape)
    for *at, c in np.ndindex(*x.shape):
        y[(*at, c)] = (x[(*at, c)] - layer.mean[c]) / layer.std[c]
    return y


def _scale(layer, x, a):
    y = np.zeros(x.shape)
    for *at, c in np.ndindex(*x.shape):
        which = c if layer.num_features > 1 else 0
        y[(*at, c)] = x[(*at, c)] * a["weight"][which] + a["bias"][which]
    return y


def _moved(shape_of, source):
    """Each output is the input that stands at `source(layer, index, x's shape)`."""

    def moved(layer, x, a):
        y = np.zeros(shape_of(layer, x.shape))
        for at in np.ndindex(*y.shape):
            y[at] = x[source(layer, at, x.shape)]
        return y

    return moved


def _padded_shape(layer, shape):
    top, bottom, left, right = layer.padding
    return shape[0], top + shape[1] + bottom, left + shape[2] + right, shape[3]


def _mirror(i, size):
    while not 0 <= i < size:
        i = -i if i < 0 else 2 * (size - 1) - i
    return i


def _ends(place):
    """Sequences with their own numbers around them: `place(i, size)` is where that of position i stands."""

    def shape_of(layer, shape):
        return shape[0], shape[1] + sum(layer.padding), shape[2]

    return _moved(shape_of, lambda layer, at, shape: (at[0], place(at[1] - layer.padding[0], shape[1]), at[2]))


def _reflection(layer, at, shape):
    n, i, j, c = at
    return n, _mirror(i - layer.padding[0], shape[1]), _mirror(j - layer.padding[2], shape[2]), c


def _replication(layer, at, shape):
    n, i, j, c = at
    inside = (min(max(k - b, 0), size - 1) for k, b, size in zip((i, j), layer.padding[::2], shape[1:3], strict=True))
    return (n, *inside, c)


def _pixels(layer, at, shape):
    (n, i, j, c), r = at, layer.upscale_factor
    return n, i // r, j // r, c * r * r + i % r * r + j % r


def _channels(layer, at, shape):
    (n, i, j, k), r = at, layer.downscale_factor
    c, a, b = k // (r * r), k // r % r, k % r
    return n, i * r + a, j * r + b, c


def _dealt(layer, at, shape):
    *place, c = at
    return (*place, c % layer.groups * (shape[-1] // layer.groups) + c // layer.groups)


def _said_shape(layer, shape):
    return (shape[0], *layer.output_shape(shape[1:]))


def _instance_norm(layer, x, a):
    sets = reference_norm.group_sets(x.shape, x.shape[-1])
    y = reference_norm.normalise(x, sets, layer.eps)
    return y * a["weight"] + a["bias"] if layer.affine else y


def _response_norm(layer, x, a):
    y, n = np.zeros(x.shape), layer.size
    for *at, c in np.ndindex(*x.shape):
        near = [d for d in range(c - n // 2, c - n // 2 + n) if 0 <= d < x.shape[-1]]
        total = sum(x[(*at, d)] ** 2 for d in near)
        y[(*at, c)] = x[(*at, c)] / (layer.k + layer.alpha / n * total) ** layer.beta
    return y


def _l2_normalize(layer, x, a):
    y = np.zeros(x.shape)
    for at in np.ndindex(*x.shape[:-1]):
        y[at] = x[at] / max(math.sqrt(sum(v * v for v in x[at])), layer.eps)
    return y


def _reduced(reduce):
    def reduced(layer, x, a):
        over = [axis % x.ndim for axis in layer.axes]
        kept = np.zeros([1 if axis in over else size for axis, size in enumerate(x.shape)])
        for at in np.ndindex(*kept.shape):
            values = []
            for place in np.ndindex(*(x.shape[axis] for axis in over)):
                index = list(at)
                for axis, k in zip(over, place, strict=True):
                    index[axis] = k
                values.append(x[tuple(index)])
            kept[at] = reduce(values)
        return kept if layer.keepdims else kept.reshape(x.shape[0], *layer.output_shape(x.shape[1:]))

    return reduced


def _same(layer, x, a):
    return x


def _activation(value):
    return lambda layer, x, a: reference_activation.each(value, x)


ELEMENTARY = {"Abs": abs, "Exp": math.exp, "Log": math.log}


def _each(function):
    return lambda layer, x, a: np.array([function(float(v)) for v in x.ravel()]).reshape(x.shape)


def _sliced(layer, at, shape):
    axis = layer.axis % len(shape)
    return (*at[:axis], layer.start + layer.step * at[axis], *at[axis + 1 :])


def _permuted(layer, at, shape):
    return (at[0], *(at[1 + layer.axes.index(axis)] for axis in range(1, len(shape))))


def _resample(layer, x, a):
    y = np.zeros((len(x), *layer.out, x.shape[3]))
    for n, i, j, c in np.ndindex(*y.shape):
        parts = [(p, q) for p in range(x.shape[1]) for q in range(x.shape[2])]
        y[n, i, j, c] = sum(a["rows"][i, p] * a["columns"][j, q] * x[n, p, q, c] for p, q in parts)
    return y


LOOPS = {
    "Conv2d": _conv,
    "ConvTranspose2d": _conv_transpose,
    "MaxPool2d": _max_pool,
    "AvgPool2d": _avg_pool,
    "AdaptiveAvgPool2d": lambda layer, x, a: reference_windows.adaptive_avg_pool(x, layer.output_size),
    "GlobalMaxPool2d": _global(max),
    "GlobalAvgPool2d": _global(_mean),
    "Conv1d": _conv1d,
    "ConvTranspose1d": _conv_transpose1d,
    "MaxPool1d": _pool1d(max),
    "AvgPool1d": _pool1d(_mean),
    "AdaptiveAvgPool1d": _bins1d,
    "GlobalMaxPool1d": _global1d(max),
    "GlobalAvgPool1d": _global1d(_mean),
    "ZeroPad1d": lambda layer, x, a: np.stack([np.pad(item, (layer.padding, (0, 0))) for item in x]),
    "ReflectionPad1d": _ends(_mirror),
    "ReplicationPad1d": _ends(lambda i, size: min(max(i, 0), size - 1)),
    "Linear": _linear,
    "Flatten": _flatten,
    "Unflatten": _unflatten,
    "ZeroPad2d": _zero_pad,
    "ZeroPadChannels": _zero_pad_channels,
    "Upsample": _upsample,
    "Scale": _scale,
    "ReflectionPad2d": _moved(_padded_shape, _reflection),
    "ReplicationPad2d": _moved(_padded_shape, _replication),
    "PixelShuffle": _moved(_said_shape, _pixels),
    "PixelUnshuffle": _moved(_said_shape, _channels),
    "ChannelShuffle": _moved(lambda layer, shape: shape, _dealt),
    "Slice": _moved(_said_shape, _sliced),
    "Permute": _moved(_said_shape, _permuted),
    "Reshape": lambda layer, x, a: np.array([list(item.flat) for item in x]).reshape(len(x), *layer.shape),
    "Resample": _resample,
    **{name: _each(function) for name, function in ELEMENTARY.items()},
    "Power": lambda layer, x, a: _each(lambda v: v**layer.exponent)(layer, x, a),
    "Sum": _reduced(sum),
    "Min": _reduced(min),
    "InstanceNorm2d": _instance_norm,
    "LocalResponseNorm": _response_norm,
    "L2Normalize": _l2_normalize,
    "Mean": _reduced(_mean),
    "Max": _reduced(max),
    "Identity": _same,
    "PReLU": _prelu,
    "Softmax": lambda layer, x, a: reference_activation.softmax_rows(x)[0],
    "LogSoftmax": lambda layer, x, a: np.log(reference_activation.softmax_rows(x)[0]),
    "BatchNorm1d": _batch_norm,
    "BatchNorm2d": _batch_norm,
    "LayerNorm": _layer_norm,
    "GroupNorm": _group_norm,
    "Normalize": _normalize,
    "Dropout": _same,
    "Dropout1d": _same,
    "Dropout2d": _same,
    "StochasticDepth": _same,
    **{name: _activation(meaning.value) for name, meaning in reference_activation.FUNCTIONS.items()},
}
