"""Maximum and average pooling of images, and their gradients.

A window of KH·KW taps slides over each channel separately. With x̂ the padded input, S and D the stride and
dilation of each axis, and x̂(u,v) short for x̂[n, i·S + u·D, j·S + v·D, c],

    maximum    y[n,i,j,c] = max_{u,v} x̂(u,v)                    padded with −∞, so that no padding ever wins     (1)
               t[n,i,j,c] = the first tap (u,v), row by row, that reads this maximum                             (2)
    average    y[n,i,j,c] = Σ_{u,v} x̂(u,v) / r[i,j]             padded with 0                                    (3)

where r[i,j] counts the taps inside the image, or inside the image and the padding that was asked for. Padding that
`ceil` adds is never counted.

Let dy = ∂L/∂y. In (1) y is a copy of one element and depends on no other, so that element gets all of dy. In
(3) each tap contributes 1/r of its element:

    maximum    dx̂[n,p,q,c] = Σ dy[n,i,j,c]           over the i, j whose tap t[n,i,j,c] reads (p, q)            (4)
    average    dx̂[n,p,q,c] = Σ dy[n,i,j,c] / r[i,j]  over the i, j and all taps that read (p, q)                (5)

and dx is dx̂ without its padding. These are sums: where windows overlap, one element may win several times.

Of equal maxima, the first gets all of dy, as in PyTorch. (To give dy to each would count one output twice.) A NaN
wins over everything, so that it shows in y. In a window of nothing but −∞, the first tap wins, even if it is padding.

Sources
    Charlotte77, 卷积神经网络详解(二), 2017: MaxPoolingLayer; the derivation that it leaves open     → (1), (4)
    "Convolution without a framework", after A. Ng: mask and distribute                                → (4), (5)
    M. Nielsen, Neural Networks and Deep Learning, 2015, ch. 6: the error upsampled through pooling    → (4), (5)
"""

from __future__ import annotations

import math
from itertools import repeat
from typing import Any

from ..errors import ShapeError
from ..typing import Array, Cache
from .check import check_batch, check_floats, check_gradient
from .window import Placement, Window


def max_pool2d_forward(x: Array, *, window: Window) -> tuple[Array, Cache]:
    """The largest element under the window, (1).

    Parameters
        x : Array (N, H, W, C), float
        window : of any geometry that leaves each position at least one element of the image
    Returns
        y : Array (N, OH, OW, C);  OH = ⌊(H + 2P − D(K−1) − 1)/S⌋ + 1, or ⌈…⌉ with `ceil`
        cache : for `max_pool2d_backward`; holds one small integer per output, (2), not x
    Raises
        ShapeError : the window does not fit into the image, or covers only padding somewhere
        DTypeError : x has no floating dtype

    >>> import numpy as np
    >>> x = np.array([[1., 1, 2, 4], [5, 6, 7, 8], [3, 2, 1, 0], [1, 2, 3, 4]])[None, :, :, None]
    >>> y, cache = max_pool2d_forward(x, window=Window((2, 2), stride=(2, 2)))
    >>> y[0, :, :, 0]
    array([[6., 8.],
           [3., 4.]])
    >>> max_pool2d_backward(np.array([[1., 2], [2, 4]])[None, :, :, None], cache)[0, :, :, 0]
    array([[0., 0., 0., 0.],
           [0., 1., 0., 2.],
           [2., 0., 0., 0.],
           [0., 0., 0., 4.]])
    """
    xp, place = check_pool(f"MaxPool2d({window})", x, window)
    taps = enumerate(place.taps(x, xp, -math.inf))
    _, y = next(taps)  # (N, OH, OW, C)
    winner = xp.zeros(y.shape, dtype=xp.uint8 if window.taps <= 256 else xp.int32, device=x.device)  # (N, OH, OW, C)
    for number, tap in taps:
        wins = (tap > y) | (tap != tap)  # strictly greater, or NaN
        y = xp.maximum(y, tap)  # (1)
        winner = xp.where(wins, xp.full((), number, dtype=winner.dtype, device=x.device), winner)  # (2)
    return y, (winner, tuple(x.shape), place)


def max_pool2d_inference(x: Array, *, window: Window) -> Array:
    """y of `max_pool2d_forward` alone, (1).

    Parameters
        x : Array (N, H, W, C), float
        window : of any geometry that leaves each position at least one element of the image
    Returns
        y : Array (N, OH, OW, C)
    Raises
        ShapeError, DTypeError

    >>> import numpy as np
    >>> max_pool2d_inference(np.array([[1.0, 3], [5, 7]])[None, :, :, None], window=Window(2)).tolist()
    [[[[7.0]]]]
    """
    xp, place = check_pool(f"MaxPool2d({window})", x, window)
    taps = place.taps(x, xp, -math.inf)
    y = next(taps)  # (N, OH, OW, C)
    for tap in taps:
        y = xp.maximum(y, tap)  # (1)
    return y  # with one tap, a view of x


def max_pool2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `max_pool2d_forward`, (4).

    Parameters
        dy : Array (N, OH, OW, C)
    Returns
        dx : Array (N, H, W, C)

    >>> import numpy as np
    >>> from xpcnn.ops import Window
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> y, cache = max_pool2d_forward(x, window=Window(2))
    >>> max_pool2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[0., 0.],
           [0., 1.]])
    """
    winner, shape, place = cache
    xp = check_gradient("MaxPool2d", dy, winner.shape)
    zero = xp.zeros((), dtype=dy.dtype, device=dy.device)
    taps = (xp.where(winner == number, dy, zero) for number in range(place.window.taps))  # (N, OH, OW, C)
    dx: Array = place.fold(taps, shape, xp)  # (4)
    return dx


def avg_pool2d_forward(x: Array, *, window: Window, count_include_pad: bool = True) -> tuple[Array, Cache]:
    """The mean of the elements under the window, (3).

    Parameters
        x : Array (N, H, W, C), float
        window : of any geometry that leaves each position at least one element of the image
        count_include_pad : whether to include the padding's zeros in the mean
    Returns
        y : Array (N, OH, OW, C), sizes as in `max_pool2d_forward`
        cache : for `avg_pool2d_backward`; holds no images
    Raises
        ShapeError : the window does not fit into the image, or covers only padding somewhere
        DTypeError : x has no floating dtype

    >>> import numpy as np
    >>> y, cache = avg_pool2d_forward(np.array([[1., 3], [5, 7]])[None, :, :, None], window=Window((2, 2)))
    >>> y
    array([[[[4.]]]])
    """
    xp, place = check_pool(f"AvgPool2d({window})", x, window)
    r = tap_counts(place, count_include_pad, x, xp)
    y = xp.zeros((x.shape[0], *place.out, x.shape[3]), dtype=x.dtype, device=x.device)  # (N, OH, OW, C)
    for tap in place.taps(x, xp):
        y += tap
    y /= r  # (3)
    return y, (r, tuple(x.shape), place)


def avg_pool2d_backward(dy: Array, cache: Cache) -> Array:
    """The gradient of `avg_pool2d_forward`, (5).

    Parameters
        dy : Array (N, OH, OW, C)
    Returns
        dx : Array (N, H, W, C)

    >>> import numpy as np
    >>> from xpcnn.ops import Window
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> y, cache = avg_pool2d_forward(x, window=Window(2))
    >>> avg_pool2d_backward(np.ones_like(y), cache)[0, :, :, 0].round(4)
    array([[0.25, 0.25],
           [0.25, 0.25]])
    """
    r, shape, place = cache
    xp = check_gradient("AvgPool2d", dy, (shape[0], *place.out, shape[3]))
    dx: Array = place.fold(repeat(dy / r, place.window.taps), shape, xp)  # (5)
    return dx


def check_pool(who: str, x: Array, window: Window) -> tuple[Any, Placement]:
    """Check that the window covers part of the image at each position; return the namespace and its placement."""
    check_batch(who, x, "H", "W", "C")
    xp = check_floats(who, x)
    place = window.place(x.shape[1], x.shape[2], who)
    if any(place.pads) and not place.covered:
        raise ShapeError(
            who,
            "an element of the image under every position of the window",
            f"positions over nothing but padding {place.pads} of images {place.size}",
            "use less padding, a larger kernel or a smaller dilation",
        )
    return xp, place


def tap_counts(place: Placement, include_pad: bool, x: Array, xp: Any) -> Any:
    """r of (3): one number if it is the same at all positions, else an array (OH, OW, 1) of x's dtype."""
    window = place.window
    asked = place.pads if isinstance(window.padding, str) else window.padding  # without what `ceil` has added
    if not any(place.pads) or (include_pad and asked == place.pads):
        return window.taps
    axes = []
    for axis in (0, 1):
        before, after = asked[2 * axis : 2 * axis + 2] if include_pad else (0, 0)
        first, last = -before, place.size[axis] + after
        counts = [sum(first <= at < last for at in place.reads(axis, i)) for i in range(place.out[axis])]
        axes.append(xp.asarray(counts, dtype=x.dtype, device=x.device))
    return axes[0][:, None, None] * axes[1][None, :, None]
