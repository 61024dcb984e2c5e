"""Channels that become pixels, pixels that become channels, and channels that change places; the gradients.

    pixel shuffle      y[n, i·r + a, j·r + b, c] = x[n, i, j, c·r² + a·r + b],   a, b < r          (1)
    pixel unshuffle    y[n, i, j, c·r² + a·r + b] = x[n, i·r + a, j·r + b, c]                      (2)
    channel shuffle    y[n, …, k·g + h] = x[n, …, h·(C/g) + k],   h < g, k < C/g                   (3)
    slice              y[n, …, c] = x[n, …, start + c]                                             (4)

(1) and (2) are each other's reverse, and so each is the other's gradient; that of (3) is (3) with C/g groups; that of
(4) has zeros around dy.

Sources
    W. Shi et al., Real-time single image and video super-resolution, 2016, equation 4       → (1)
    X. Zhang et al., ShuffleNet, 2018, section 3.1                                           → (3)
"""

from __future__ import annotations

from ..backend import array_namespace
from ..errors import ShapeError
from ..options import as_count
from ..typing import Array, Cache
from . import dispatch
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
    """The gradient of `pixel_shuffle_forward`, (2): dy (N, H·r, W·r, C) → dx (N, H, W, C·r²)."""
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
    """The gradient of `pixel_unshuffle_forward`, (1): dy (N, H, W, C·r²) → dx (N, H·r, W·r, C)."""
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
    """The gradient of `channel_shuffle_forward`, (3) the other way: dy (N, …, C) → dx (N, …, C)."""
    groups, shape = cache
    check_gradient("ChannelShuffle", dy, shape)
    return _dealt(dy, groups)  # (3)


def channel_slice_forward(x: Array, *, start: int, stop: int) -> tuple[Array, Cache]:
    """Some of the channels; (4).

    Parameters
        x : Array (N, …, C), float
        start, stop : the first channel, and the one after the last; 0 ≤ start < stop ≤ C
    Returns
        y : Array (N, …, stop − start)
        cache : for `channel_slice_backward`; holds no images
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> channel_slice_forward(np.arange(6.0).reshape(1, 6), start=1, stop=3)[0]
    array([[1., 2.]])
    """
    who = "ChannelSlice"
    start, stop = as_count(who, "start", start, least=0), as_count(who, "stop", stop)
    check_items(who, x)
    if not start < stop <= x.shape[-1]:
        raise ShapeError(who, f"0 ≤ start < stop ≤ {x.shape[-1]}, the channels", f"{start} and {stop}")
    return x[..., start:stop], (start, stop, tuple(x.shape))  # (4)


def channel_slice_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `channel_slice_forward`, (4): dy (N, …, stop − start) → dx (N, …, C)."""
    start, stop, shape = cache
    check_gradient("ChannelSlice", dy, (*shape[:-1], stop - start))
    around = [(0, 0)] * (len(shape) - 2) + [(start, shape[-1] - stop)]
    dx: Array = dispatch.forward("zero_pad", dy, around)[0]  # (4)
    return dx


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
