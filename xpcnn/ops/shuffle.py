"""Channels that become pixels, pixels that become channels, what changes places, and slices; the gradients.

    pixel shuffle      y[n, i·r + a, j·r + b, c] = x[n, i, j, c·r² + a·r + b],   a, b < r          (1)
    pixel unshuffle    y[n, i, j, c·r² + a·r + b] = x[n, i·r + a, j·r + b, c]                      (2)
    channel shuffle    y[n, …, k·g + h] = x[n, …, h·(C/g) + k],   h < g, k < C/g                   (3)
    slice              y[n, …, i, …] = x[n, …, start + i·step, …]                                  (4)
    permutation        y's axis i is x's axis axes[i]                                              (5)

(1) and (2) are each other's reverse, and so each is the other's gradient; that of (3) is (3) with C/g groups; that of
(4) has zeros around dy; that of (5) is the reverse permutation.

Sources
    W. Shi et al., Real-time single image and video super-resolution, 2016, equation 4       → (1)
    X. Zhang et al., ShuffleNet, 2018, section 3.1                                           → (3)
"""

from __future__ import annotations

from ..backend import array_namespace
from ..errors import ShapeError
from ..options import as_count
from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient, check_items


def pixel_shuffle_forward(x: Array, *, upscale_factor: int) -> tuple[Array, Cache]:
    """Every r² channels become r by r pixels; (1).

    Parameters
        x : Array (N, H, W, C·r²), float
        upscale_factor : r
    Returns
        y : Array (N, H·r, W·r, C)
        cache : for `pixel_shuffle_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> pixel_shuffle_forward(np.arange(4.0).reshape(1, 1, 1, 4), upscale_factor=2)[0][0, :, :, 0]
    array([[0., 1.],
           [2., 3.]])
    """
    who = "PixelShuffle"
    r = as_count(who, "upscale_factor", upscale_factor)
    check_batch(who, x, "H", "W", "C")
    check_floats(who, x)
    if x.shape[3] % (r * r):
        raise ShapeError(who, f"channels that {r * r} divides", str(x.shape[3]))
    y = _spread(x, r)  # (N, H·r, W·r, C)                                     (1)
    return y, (r, tuple(y.shape))


def pixel_shuffle_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `pixel_shuffle_forward`, (2): dy (N, H·r, W·r, C) → dx (N, H, W, C·r²).

    >>> import numpy as np
    >>> y, cache = pixel_shuffle_forward(np.arange(4.0).reshape(1, 1, 1, 4), upscale_factor=2)
    >>> pixel_shuffle_backward(np.ones_like(y), cache).round(4)
    array([[[[1., 1., 1., 1.]]]])
    """
    r, shape = cache
    check_gradient("PixelShuffle", dy, shape)
    return _gathered(dy, r)  # (2)


def pixel_unshuffle_forward(x: Array, *, downscale_factor: int) -> tuple[Array, Cache]:
    """Every r by r pixels become r² channels; (2).

    Parameters
        x : Array (N, H·r, W·r, C), float
        downscale_factor : r
    Returns
        y : Array (N, H, W, C·r²)
        cache : for `pixel_unshuffle_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> pixel_unshuffle_forward(np.arange(4.0).reshape(1, 2, 2, 1), downscale_factor=2)[0].ravel()
    array([0., 1., 2., 3.])
    """
    who = "PixelUnshuffle"
    r = as_count(who, "downscale_factor", downscale_factor)
    check_batch(who, x, "H", "W", "C")
    check_floats(who, x)
    if x.shape[1] % r or x.shape[2] % r:
        raise ShapeError(who, f"a height and a width that {r} divides", str(tuple(x.shape[1:3])))
    y = _gathered(x, r)  # (N, H, W, C·r²)                                    (2)
    return y, (r, tuple(y.shape))


def pixel_unshuffle_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `pixel_unshuffle_forward`, (1): dy (N, H, W, C·r²) → dx (N, H·r, W·r, C).

    >>> import numpy as np
    >>> y, cache = pixel_unshuffle_forward(np.arange(4.0).reshape(1, 2, 2, 1), downscale_factor=2)
    >>> pixel_unshuffle_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[1., 1.],
           [1., 1.]])
    """
    r, shape = cache
    check_gradient("PixelUnshuffle", dy, shape)
    return _spread(dy, r)  # (1)


def channel_shuffle_forward(x: Array, *, groups: int) -> tuple[Array, Cache]:
    """Channels dealt out like cards, one of each group in turn; (3).

    Parameters
        x : Array (N, …, C), float
        groups : g, which divides C
    Returns
        y : Array (N, …, C)
        cache : for `channel_shuffle_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> channel_shuffle_forward(np.arange(6.0).reshape(1, 6), groups=2)[0]
    array([[0., 3., 1., 4., 2., 5.]])
    """
    groups = as_count("ChannelShuffle", "groups", groups)
    check_items("ChannelShuffle", x)
    if x.shape[-1] % groups:
        raise ShapeError("ChannelShuffle", f"channels that {groups} groups divide", str(x.shape[-1]))
    return _dealt(x, groups), (x.shape[-1] // groups, tuple(x.shape))  # (3)


def channel_shuffle_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `channel_shuffle_forward`, (3) the other way: dy (N, …, C) → dx (N, …, C).

    >>> import numpy as np
    >>> y, cache = channel_shuffle_forward(np.arange(4.0).reshape(1, 1, 1, 4), groups=2)
    >>> channel_shuffle_backward(np.ones_like(y), cache).round(4)
    array([[[[1., 1., 1., 1.]]]])
    """
    groups, shape = cache
    check_gradient("ChannelShuffle", dy, shape)
    return _dealt(dy, groups)  # (3)


def slice_forward(x: Array, *, start: int, stop: int, step: int = 1, axis: int = -1) -> tuple[Array, Cache]:
    """Part of each item, along one axis; (4).

    Parameters
        x : Array (N, …), float
        start, stop : the first place, and one behind the last; 0 ≤ start < stop ≤ the axis' length
        step : from place to place
        axis : not 0, the batch's; negative ones from the end
    Returns
        y : Array (N, …), ⌈(stop − start) / step⌉ long along the axis
        cache : for `slice_backward`; holds no numbers of x
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> slice_forward(np.arange(6.0).reshape(1, 6), start=1, stop=6, step=2)[0]
    array([[1., 3., 5.]])
    """
    who = "Slice"
    start, stop, step = as_count(who, "start", start, least=0), as_count(who, "stop", stop), as_count(who, "step", step)
    check_items(who, x)
    if not -x.ndim < axis < x.ndim or axis % x.ndim == 0:
        raise ShapeError(who, f"an axis of {x.ndim} axes, and not the batch's", str(axis))
    if not start < stop <= x.shape[axis]:
        raise ShapeError(who, f"0 ≤ start < stop ≤ {x.shape[axis]}, the axis' length", f"{start} and {stop}")
    at = [slice(None)] * x.ndim
    at[axis] = slice(start, stop, step)
    y = x[tuple(at)]
    return y, (tuple(at), tuple(x.shape), tuple(y.shape))  # (4)


def slice_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `slice_forward`, (4): dy of y's shape → dx (N, …).

    >>> import numpy as np
    >>> y, cache = slice_forward(np.arange(4.0).reshape(1, 4), start=1, stop=3)
    >>> slice_backward(np.ones_like(y), cache).round(4)
    array([[0., 1., 1., 0.]])
    """
    at, shape, made = cache
    xp = check_gradient("Slice", dy, made)
    dx: Array = xp.zeros(shape, dtype=dy.dtype, device=dy.device)
    dx[at] = dy  # (4)
    return dx


def permute_forward(x: Array, *, axes: tuple[int, ...]) -> tuple[Array, Cache]:
    """An item's axes in another order; (5).

    Parameters
        x : Array (N, …), float
        axes : x's axes in the order that y has them, without 0, the batch's
    Returns
        y : Array (N, …)
        cache : for `permute_backward`; holds no numbers of x
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> permute_forward(np.zeros((8, 2, 3, 4)), axes=(3, 1, 2))[0].shape
    (8, 4, 2, 3)
    """
    xp = check_items("Permute", x)
    if sorted(axes) != list(range(1, x.ndim)):
        raise ShapeError("Permute", f"items of {len(axes)} axes", str(tuple(x.shape)))
    y = xp.permute_dims(x, (0, *axes))
    return y, (tuple(axes), tuple(y.shape))  # (5)


def permute_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `permute_forward`, (5) the other way: dy of y's shape → dx (N, …).

    >>> import numpy as np
    >>> y, cache = permute_forward(np.arange(6.0).reshape(1, 2, 3), axes=(2, 1))
    >>> permute_backward(np.ones_like(y), cache).round(4)
    array([[[1., 1., 1.],
            [1., 1., 1.]]])
    """
    axes, shape = cache
    xp = check_gradient("Permute", dy, shape)
    back = [axes.index(axis) + 1 for axis in range(1, len(axes) + 1)]
    return xp.permute_dims(dy, (0, *back))  # type: ignore[no-any-return]  # (5)


def _spread(x: Array, r: int) -> Array:
    xp = array_namespace(x)
    n, h, w, c = x.shape
    blocks = xp.reshape(x, (n, h, w, c // (r * r), r, r))  # (N, H, W, C, r, r)
    moved: Array = xp.reshape(xp.permute_dims(blocks, (0, 1, 4, 2, 5, 3)), (n, h * r, w * r, c // (r * r)))
    return moved


def _gathered(x: Array, r: int) -> Array:
    xp = array_namespace(x)
    n, h, w, c = x.shape
    blocks = xp.reshape(x, (n, h // r, r, w // r, r, c))  # (N, H, r, W, r, C)
    moved: Array = xp.reshape(xp.permute_dims(blocks, (0, 1, 3, 5, 2, 4)), (n, h // r, w // r, c * r * r))
    return moved


def _dealt(x: Array, groups: int) -> Array:
    xp = array_namespace(x)
    axes = x.ndim - 1
    parts = xp.reshape(x, (*x.shape[:-1], groups, x.shape[-1] // groups))  # (N, …, g, C/g)
    moved: Array = xp.reshape(xp.permute_dims(parts, (*range(axes), axes + 1, axes)), x.shape)
    return moved
