"""Convolution, and its three gradients.

Convolution in deep learning is a cross-correlation: the kernel is not flipped. With x̂ the zero-padded input,
S and D the stride and dilation of each axis, and one group,

    y[n,i,j,f] = b[f] + Σ_{u,v,c} x̂[n, i·S + u·D, j·S + v·D, c] · w[f,u,v,c]                     (1)

Let dy = ∂L/∂y. Each x̂ and each w appears in many terms of (1), so its gradient is a sum over these terms:

    dw[f,u,v,c] = Σ_{n,i,j} dy[n,i,j,f] · x̂[n, i·S + u·D, j·S + v·D, c]                          (2)
    db[f]       = Σ_{n,i,j} dy[n,i,j,f]                                                          (3)
    dx̂[n,p,q,c] = Σ dy[n,i,j,f] · w[f,u,v,c]  over all f, i, j, u, v with i·S + u·D = p,
                                                                          j·S + v·D = q          (4)

and dx is dx̂ without its padding. For S = D = 1 the condition in (4) says i = p − u: dx̂ is dy, padded by
K − 1 zeros on every side and correlated with the kernel rotated by 180°. That is the "full convolution" of the
textbooks; with a stride, they put zeros between the elements of dy. (4) needs neither padding nor rotation, and holds
for every stride: each tap (u, v) adds dy · w[:,u,v,:] to the slice that it read in (1).

So (1), (2) and (4) are loops over the taps of the kernel, with one matrix product per tap. Groups split the channels
into G independent convolutions, which are the leading axis of each product below.

Sources
    Charlotte77, 卷积神经网络详解(二), 2017: net_o → (1);  ∂E/∂i, the rotated kernel → (4);  ∂E/∂w → (2)
    "Convolution without a framework", after A. Ng's course: equations 1 (dA) → (4), 2 (dW) → (2), 3 (db) → (3)
    yizt, numpy_neuron_network (GitHub), note 0_2_2: equations 4 → (1), 5 → (2), 6 → (3), 8 → (4)
    M. Nielsen, Neural Networks and Deep Learning, 2015, ch. 6; Y. LeCun et al., Proc. IEEE 86(11), 1998
"""

from __future__ import annotations

from typing import Any

from ..errors import OptionError, ShapeError
from ..typing import Array, Cache
from .check import check_array, check_batch, check_floats, check_gradient
from .rectifier import relu_forward
from .window import Placement, Window


def conv2d_forward(
    x: Array, w: Array, b: Array | None = None, *, window: Window, groups: int = 1
) -> tuple[Array, Cache]:
    """Correlate images with filters, (1).

    Parameters
        x : Array (N, H, W, Cin), float
        w : Array (Cout, KH, KW, Cin/groups), of x's dtype
        b : Array (Cout,) or None
        window : its kernel is (KH, KW)
        groups : G. In group g, the Cin/G channels from g·Cin/G on meet only the Cout/G filters from g·Cout/G on;
            G = Cin is depthwise
    Returns
        y : Array (N, OH, OW, Cout);  OH = ⌊(H + 2P − D(K−1) − 1)/S⌋ + 1
        cache : for `conv2d_backward`; refers to x and w, copies nothing
    Raises
        ShapeError : x, w and b do not fit together, or the window does not fit into the image
        DTypeError : they do not have the same floating dtype

    >>> import numpy as np
    >>> image = np.array([[1., 0, 1, 0], [1, 1, 1, 0], [1, 0, 1, 0], [0, 0, 1, 0]])[None, :, :, None]
    >>> kernel = np.array([[1., -1], [1, -1]])[None, :, :, None]
    >>> y, cache = conv2d_forward(image, kernel, window=Window((2, 2)))
    >>> y[0, :, :, 0]
    array([[ 1., -1.,  2.],
           [ 1., -1.,  2.],
           [ 1., -2.,  2.]])
    """
    xp, place = check_conv2d(x, w, b, window, groups)
    y = correlate(x, w, place, groups, xp)  # (N, OH, OW, Cout)
    if b is not None:
        y += b  # (1)
    return y, (x, w, b is not None, place, groups)


def conv2d_inference(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    window: Window,
    groups: int = 1,
    scale: Array | None = None,
    relu: bool = False,
) -> Array:
    """y of `conv2d_forward` alone, (1); in inference also with batch norm (`scale`) and ReLU applied.

    Parameters
        x, w, b, window, groups : as in `conv2d_forward`
        scale : Array (Cout,) or None; the sums of (1) are multiplied by it before b is added
        relu : whether to replace negative numbers with 0
    Returns
        y : Array (N, OH, OW, Cout)
    Raises
        ShapeError, DTypeError, OptionError

    >>> import numpy as np
    >>> x, w = np.ones((1, 1, 2, 1)), np.array([2.0, -2.0]).reshape(2, 1, 1, 1)
    >>> conv2d_inference(x, w, window=Window(1), scale=np.array([0.5, 1]), relu=True).tolist()
    [[[[1.0, 0.0], [1.0, 0.0]]]]
    """
    xp, place = check_conv2d(x, w, b, window, groups, scale)
    y = correlate(x, w, place, groups, xp)  # (N, OH, OW, Cout)
    if scale is not None:
        y *= scale
    if b is not None:
        y += b  # (1)
    return relu_forward(y)[0] if relu else y


def conv2d_backward(
    dy: Array, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """The gradients of `conv2d_forward`, (2) to (4).

    Parameters
        dy : Array (N, OH, OW, Cout)
        input_grad : False leaves dx out, as the first layer of a network can
        weight_grad : False leaves dw and db out, as a frozen layer can
    Returns
        dx : Array (N, H, W, Cin), or None
        dw : Array (Cout, KH, KW, Cin/groups), or None
        db : Array (Cout,), or None, as without a bias

    >>> import numpy as np
    >>> from xpcnn.ops import Window
    >>> x = np.arange(4.0).reshape(1, 2, 2, 1)
    >>> y, cache = conv2d_forward(x, np.ones((1, 2, 2, 1)), np.zeros(1), window=Window(2))
    >>> dx, dw, db = conv2d_backward(np.ones_like(y), cache)
    >>> dx[0, :, :, 0].round(4)
    array([[1., 1.],
           [1., 1.]])
    >>> dw[0, :, :, 0].round(4)
    array([[0., 1.],
           [2., 3.]])
    >>> db.round(4)
    array([1.])
    """
    x, w, has_bias, place, groups = cache
    xp = check_gradient("Conv2d", dy, (x.shape[0], *place.out, w.shape[0]), w)
    dw = correlate_dw(x, dy, place, groups, xp) if weight_grad else None  # (Cout, KH, KW, Cin/G)
    db = xp.sum(dy, axis=(0, 1, 2)) if has_bias and weight_grad else None  # (Cout,)                     (3)
    dx = correlate_dx(dy, w, x.shape, place, groups, xp) if input_grad else None  # (N, H, W, Cin)
    return dx, dw, db


def correlate(x: Array, w: Array, place: Placement, groups: int, xp: Any) -> Array:
    """(1) without its bias: (N, H, W, Cin), (Cout, KH, KW, Cin/G) → (N, OH, OW, Cout)."""
    y: Array | None = None
    for tap, w_uv in zip(place.taps(x, xp), _kernel_taps(w, groups, xp), strict=True):
        term = _split(tap, groups, xp) @ w_uv  # (G, T, Cin/G) @ (G, Cin/G, Cout/G) → (G, T, Cout/G)        (1)
        if y is None:
            y = term
        else:
            y += term
    assert y is not None
    return _join(y, (x.shape[0], *place.out, w.shape[0]), xp)


def correlate_dw(x: Array, dy: Array, place: Placement, groups: int, xp: Any) -> Array:
    """(2): x (N, H, W, Cin) and dy (N, OH, OW, Cout) → dw (Cout, KH, KW, Cin/G)."""
    dy_t = xp.matrix_transpose(_split(dy, groups, xp))  # (G, Cout/G, T)
    taps = [dy_t @ _split(tap, groups, xp) for tap in place.taps(x, xp)]  # KH·KW × (G, Cout/G, Cin/G)      (2)
    shape = (dy.shape[-1], *place.window.kernel, x.shape[-1] // groups)
    dw: Array = xp.reshape(xp.stack(taps, axis=2), shape)
    return dw


def correlate_dx(dy: Array, w: Array, shape: tuple[int, ...], place: Placement, groups: int, xp: Any) -> Array:
    """(4): dy (N, OH, OW, Cout) → dx of that shape, (N, H, W, Cin)."""
    dy_g = _split(dy, groups, xp)  # (G, T, Cout/G)
    tap_shape = (*dy.shape[:3], shape[-1])
    taps = (
        _join(dy_g @ xp.matrix_transpose(w_uv), tap_shape, xp)  # (G, T, Cout/G) @ (G, Cout/G, Cin/G)       (4)
        for w_uv in _kernel_taps(w, groups, xp)
    )
    return place.fold(taps, shape, xp)


def check_conv2d(
    x: Array, w: Array, b: Array | None, window: Window, groups: int, scale: Array | None = None
) -> tuple[Any, Placement]:
    """Check that all arguments fit together; return the arrays' namespace and the window's placement on x."""
    who = "Conv2d"
    check_array(who, w, b, scale)
    if w.ndim != 4 or tuple(w.shape[1:3]) != window.kernel:
        raise ShapeError(who, f"weight (Cout, {window.kernel[0]}, {window.kernel[1]}, Cin/groups)", str(tuple(w.shape)))
    cout, cin = w.shape[0], w.shape[3] * groups
    who = f"Conv2d({cin}→{cout}, {window})"
    if groups < 1 or cout % groups:
        raise OptionError(who, f"groups that divide the {cout} output channels", str(groups))
    check_batch(who, x, "H", "W", cin)
    for name, each in (("bias", b), ("scale", scale)):
        if each is not None and tuple(each.shape) != (cout,):
            raise ShapeError(who, f"{name} ({cout},)", str(tuple(each.shape)))
    xp = check_floats(who, x, w, b, scale)
    return xp, window.place(x.shape[1], x.shape[2], who)


def _kernel_taps(w: Array, groups: int, xp: Any) -> list[Array]:
    """The kernel's taps as right-hand factors: KH·KW arrays (G, Cin/G, Cout/G)."""
    cout, kh, kw, cin = w.shape
    w = xp.reshape(w, (groups, cout // groups, kh * kw, cin))
    return [xp.matrix_transpose(w[:, :, tap, :]) for tap in range(kh * kw)]


def _split(x: Array, groups: int, xp: Any) -> Array:
    """(N, OH, OW, G·C) → (G, T, C), with T = N·OH·OW rows per group."""
    n, h, w, c = x.shape
    split: Array = xp.permute_dims(xp.reshape(x, (n * h * w, groups, c // groups)), (1, 0, 2))
    return split


def _join(x: Array, shape: tuple[int, ...], xp: Any) -> Array:
    """(G, T, C) → (N, OH, OW, G·C): the inverse of `_split`."""
    joined: Array = xp.reshape(xp.permute_dims(x, (1, 0, 2)), shape)
    return joined
