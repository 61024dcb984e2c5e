"""Transposed convolution, and its three gradients.

Convolution is linear in its input: y = C(w)·x for a matrix C(w). Transposed convolution (often misnamed
"deconvolution") multiplies by the transpose of that matrix, and so maps the small image back to the large one.
Here x is the small image. The convolution that is transposed maps Cout channels to Cin, so its weight is
w (Cin, KH, KW, Cout). With S and D the stride and dilation of each axis and one group, each input element
adds the kernel, times its value, to the padded output ŷ:

    ŷ[n,p,q,f] = b[f] + Σ x[n,i,j,c] · w[c,u,v,f]  over all c, i, j, u, v with i·S + u·D = p,
                                                                              j·S + v·D = q              (1)

and y is ŷ without its padding. That is equation (4) of `xpcnn.ops.conv`, with x in the role of dy. For the gradients,
that module's (1) and (2) change roles in the same way: with d̂y the zero-padded dy,

    dx[n,i,j,c] = Σ_{u,v,f} d̂y[n, i·S + u·D, j·S + v·D, f] · w[c,u,v,f]             its (1)              (2)
    dw[c,u,v,f] = Σ_{n,i,j} x[n,i,j,c] · d̂y[n, i·S + u·D, j·S + v·D, f]             its (2)              (3)
    db[f]       = Σ_{n,p,q} dy[n,p,q,f]                                                                  (4)

Sizes. Convolution rounds down, so several large sizes give the same small one. Transposed convolution returns the
smallest of them:

    OH = (H − 1)·S − P₀ − P₁ + D·(K − 1) + 1 + output_padding                                            (5)

To get one of the others, `output_padding` adds rows (columns) after the last.

Sources
    M. Zeiler et al., Deconvolutional networks, 2010
    V. Dumoulin and F. Visin, A guide to convolution arithmetic for deep learning, 2016, relations 13, 14  → (5)
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError, ShapeError
from ..options import as_pair
from ..typing import Array, Cache
from .check import check_array, check_batch, check_floats, check_gradient
from .conv import correlate, correlate_dw, correlate_dx
from .window import Placement, Window


def conv_transpose2d_forward(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    window: Window,
    output_padding: tuple[int, int] = (0, 0),
    groups: int = 1,
) -> tuple[Array, Cache]:
    """Add the kernel, times each input element, to the output, (1).

    Parameters
        x : Array (N, H, W, Cin), float
        w : Array (Cin, KH, KW, Cout/groups), of x's dtype
        b : Array (Cout,) or None
        window : of the convolution that is transposed; its kernel is (KH, KW), its padding is cut off y
        output_padding : additional rows and columns of y, below and to the right
        groups : as in `conv2d_forward`
    Returns
        y : Array (N, OH, OW, Cout), (5)
        cache : for `conv_transpose2d_backward`; refers to x and w, copies nothing
    Raises
        ShapeError : x, w and b do not fit together, or nothing of y is left once its padding is cut off
        OptionError : padding is "same", output_padding ≥ max(stride, dilation), or groups does not divide Cin
        DTypeError : x, w and b do not have the same floating dtype

    >>> import numpy as np
    >>> x, w = np.array([[[[1.], [2.]]]]), np.array([[[[3.], [4.], [5.]]]])
    >>> y, cache = conv_transpose2d_forward(x, w, window=Window((1, 3), stride=(1, 2)))
    >>> y[0, 0, :, 0]
    array([ 3.,  4., 11.,  8., 10.])
    """
    xp, place, cout = _check(x, w, b, window, output_padding, groups)
    y = correlate_dx(x, w, (x.shape[0], *place.size, cout), place, groups, xp)  # (N, OH, OW, Cout)
    if b is not None:
        y += b  # (1)
    return y, (x, w, b is not None, place, groups)


def conv_transpose2d_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `conv_transpose2d_forward`, (2) to (4).

    Parameters
        dy : Array (N, OH, OW, Cout)
        input_grad : False leaves dx out, as the first layer of a network can
        weight_grad : False leaves dw and db out, as a frozen layer can
    Returns
        dx : Array (N, H, W, Cin), or None
        dw : Array (Cin, KH, KW, Cout/groups), or None
        db : Array (Cout,), or None, as without a bias

    >>> import numpy as np
    >>> from xpcnn.ops import Window
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> y, cache = conv_transpose2d_forward(x, np.ones((1, 2, 2, 1)), np.zeros(1), window=Window(2))
    >>> dx, dw, db = conv_transpose2d_backward(np.ones_like(y), cache)
    >>> dx[0, :, :, 0].round(4)
    array([[4., 4.],
           [4., 4.]])
    >>> dw[0, :, :, 0].round(4)
    array([[6., 6.],
           [6., 6.]])
    >>> db.round(4)
    array([9.])
    """
    x, w, has_bias, place, groups = cache
    xp = check_gradient("ConvTranspose2d", dy, (x.shape[0], *place.size, w.shape[3] * groups), w)
    dx = correlate(dy, w, place, groups, xp) if input_grad else None  # (N, H, W, Cin)                   (2)
    dw = correlate_dw(dy, x, place, groups, xp) if weight_grad else None  # (Cin, KH, KW, Cout/G)        (3)
    db = xp.sum(dy, axis=(0, 1, 2)) if has_bias and weight_grad else None  # (Cout,)                     (4)
    return dx, dw, db


def check_output_padding(who: str, window: Window, output_padding: Any) -> tuple[int, int]:
    """Check the window and the output padding of a transposed convolution; return the output padding as a pair."""
    if isinstance(window.padding, str):
        raise OptionError(who, "padding in numbers", repr(window.padding), "which size it would keep is ambiguous")
    extra = as_pair(who, "output_padding", output_padding, least=0)
    least = tuple(max(steps) for steps in zip(window.stride, window.dilation, strict=True))
    if any(more >= limit for more, limit in zip(extra, least, strict=True)):
        raise OptionError(
            who,
            f"output_padding below the larger of stride and dilation, {least}",
            str(extra),
            "pad the output with zero_pad",
        )
    return extra


def _check(
    x: Array, w: Array, b: Array | None, window: Window, output_padding: tuple[int, int], groups: int
) -> tuple[Any, Placement, int]:
    """Check the arguments; return the namespace, the placement of the transposed convolution on y, and Cout."""
    who = "ConvTranspose2d"
    check_array(who, w, b)
    if w.ndim != 4 or tuple(w.shape[1:3]) != window.kernel:
        kh, kw = window.kernel
        raise ShapeError(who, f"weight (Cin, {kh}, {kw}, Cout/groups)", str(tuple(w.shape)))
    cin, cout = w.shape[0], w.shape[3] * groups
    who = f"ConvTranspose2d({cin}→{cout}, {window})"
    if groups < 1 or cin % groups:
        raise OptionError(who, f"groups that divide the {cin} input channels", str(groups))
    extra = check_output_padding(who, window, output_padding)
    check_batch(who, x, "H", "W", cin)
    if b is not None and tuple(b.shape) != (cout,):
        raise ShapeError(who, f"bias ({cout},)", str(tuple(b.shape)))
    xp = check_floats(who, x, w, b)
    pads: Any = window.padding
    oh, ow = (
        (x.shape[1 + axis] - 1) * window.stride[axis]
        - pads[2 * axis]
        - pads[2 * axis + 1]
        + window.dilation[axis] * (window.kernel[axis] - 1)
        + 1
        + extra[axis]
        for axis in (0, 1)
    )  # (5)
    if oh < 1 or ow < 1:
        raise ShapeError(
            who, "an output of at least 1 × 1", f"{oh} × {ow}", "use less padding, a larger kernel or larger images"
        )
    return xp, Placement(window, (oh, ow), (x.shape[1], x.shape[2]), pads), cout
