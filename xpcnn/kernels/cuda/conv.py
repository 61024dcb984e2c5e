"""Convolution on CuPy: one kernel that copies what a position reads into a row, and one product in each direction.

With T = N·OH·OW positions t = (n, i, j), and K = KH·KW·C taps and channels k = (u, v, c) of a group,

    a[t,k] = x̂[n, i·S + u·D, j·S + v·D, c],   0 beyond the image, which is not padded         (1)
    y = a wᵀ,    dw = dyᵀ a,    da = dy w                                                      (2)
    dx[n,p,q,c] = Σ da[t,k]  over the t and k that read (p, q, c)                              (3)
    db = Σ_t dy[t]                                                                             (4)

(2) holds for each group. (3) is a thread for each element of dx, which looks for the positions that read it: i is
(p + P − u·D)/S where that is a whole number. a and da are made for as many images at once as fit WORKSPACE, or for some
positions of one image. For one tap, stride 1 and no padding, a is x itself. Where each group has one channel
(depthwise), sums (5) to (7) of a few terms are taken directly:

    y[t,f] = Σ_{u,v} x̂ · w[f,u,v],   dx[n,p,q,c] = Σ_{f,u,v} dy · w[f,u,v]                    (5), (6)
    dw[f,u,v] = Σ_t dy[t,f] · x̂                                                               (7)

Source: K. Chellapilla, S. Puri and P. Simard, High performance convolutional neural networks, 2006, section 2
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ...ops.check import check_gradient
from ...ops.conv import check_conv2d
from ...ops.window import Placement, Window
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import column_sums, empty, parts_of, total
from .windows import GEOMETRY, geometry, over_readers

WORKSPACE = 1 << 29  # bytes of a, or of da

LOWER = Kernel(
    "lower",
    f"raw T x, {GEOMETRY}, index cg, index from, index count",
    "raw T a",
    """
    index k = i % (kh * kw * cg), r = i / (kh * kw * cg);
    index t = from + r % count, g = r / count;
    index c = k % cg, v = k / cg % kw, u = k / cg / kw;
    index oj = t % ow, oi = t / ow % oh, n = t / ow / oh;
    index p = oi * sh + u * dh - ph, q = oj * sw + v * dw - pw;
    a[i] = p >= 0 && p < h && q >= 0 && q < w ? x[((n * h + p) * w + q) * ch + g * cg + c] : T(0);
    """,
)
GATHER = Kernel(
    "gather",
    f"raw T da, {GEOMETRY}, index cg, index from, index count, index add",
    "raw T dx",
    over_readers(
        """
        index t = (n * oh + oi) * ow + oj - from;
        if (t >= 0 && t < count) sum += da[((c / cg * count + t) * kh * kw + u * kw + v) * cg + c % cg];
        """,
        "add ? dx[i] : T(0)",
    ),
)
FINISH = Kernel(
    "finish",
    "raw T z, raw T scale, raw T b, index f, index fg, index count, index scaled, index biased, index relu",
    "raw T y",
    """
    index c = i % f, t = i / f;
    T sum = z[(c / fg * count + t) * fg + c % fg];
    if (scaled) sum *= scale[c];
    if (biased) sum += b[c];
    y[i] = relu && sum < 0 ? T(0) : sum;
    """,
)
DEPTHWISE = Kernel(
    "depthwise",
    f"raw T x, raw T k, raw T scale, raw T b, {GEOMETRY}, index f, index scaled, index biased, index relu",
    "raw T y",
    """
    index c = i % f, oj = i / f % ow, oi = i / f / ow % oh, n = i / f / ow / oh;
    T sum = 0;
    for (index u = 0; u < kh; ++u) {
        index p = oi * sh + u * dh - ph;
        if (p < 0 || p >= h) continue;
        for (index v = 0; v < kw; ++v) {
            index q = oj * sw + v * dw - pw;
            if (q >= 0 && q < w) sum += x[((n * h + p) * w + q) * ch + c / (f / ch)] * k[(c * kh + u) * kw + v];
        }
    }
    if (scaled) sum *= scale[c];
    if (biased) sum += b[c];
    y[i] = relu && sum < 0 ? T(0) : sum;
    """,
)
DEPTHWISE_DX = Kernel(
    "depthwise_dx",
    f"raw T dy, raw T k, {GEOMETRY}, index f",
    "raw T dx",
    over_readers(
        "for (index m = f / ch, j = c * m; j < c * m + m; ++j) "
        "sum += dy[((n * oh + oi) * ow + oj) * f + j] * k[(j * kh + u) * kw + v];"
    ),
)
DEPTHWISE_DW = Kernel(
    "depthwise_dw",
    f"raw T x, raw T dy, {GEOMETRY}, index f, index count, index rows",
    "raw T s",
    """
    index v = i % kw, u = i / kw % kh, c = i / kw / kh % f, first = i / kw / kh / f * rows;
    index last = first + rows < count ? first + rows : count;
    T sum = 0;
    for (index t = first; t < last; ++t) {
        index p = t / ow % oh * sh + u * dh - ph, q = t % ow * sw + v * dw - pw;
        if (p >= 0 && p < h && q >= 0 && q < w)
            sum += dy[t * f + c] * x[((t / ow / oh * h + p) * w + q) * ch + c / (f / ch)];
    }
    s[i] = sum;
    """,
)


def refuses(x: Any, w: Any, b: Any = None, *, scale: Any = None, **options: Any) -> str | None:
    """The reason why this implementation refuses the call, or None."""
    return refuses_kind(x, w, b, scale)


def forward(x: Array, w: Array, b: Array | None = None, *, window: Window, groups: int = 1) -> tuple[Array, Cache]:
    """`conv2d_forward`."""
    _, place = check_conv2d(x, w, b, window, groups)
    return _correlate(x, w, b, None, False, place, groups), (x, w, b is not None, place, groups)


def inference(
    x: Array,
    w: Array,
    b: Array | None = None,
    *,
    window: Window,
    groups: int = 1,
    scale: Array | None = None,
    relu: bool = False,
) -> Array:
    """`conv2d_inference`."""
    _, place = check_conv2d(x, w, b, window, groups, scale)
    return _correlate(x, w, b, scale, relu, place, groups)


def backward(
    dy: Array, cache: Cache, *, input_grad: bool = True, weight_grad: bool = True
) -> tuple[Array | None, Array | None, Array | None]:
    """`conv2d_backward`."""
    import cupy

    x, w, has_bias, place, groups = cache
    n, f = x.shape[0], w.shape[0]
    check_gradient("Conv2d", dy, (n, *place.out, f), w)
    db = (
        column_sums(dy) if has_bias and weight_grad else None
    )  # (F,)                                                  (4)
    if _is_depthwise(w, groups):
        dx, dw = _depthwise_backward(dy, x, w, place, input_grad, weight_grad)
        return dx, dw, db
    numbers, filters = geometry(x, place), w.reshape(groups, f // groups, -1)  # (G, F/G, K)
    rows = dy.reshape(-1, groups, f // groups).swapaxes(0, 1)  # (G, T, F/G)
    rows = rows if groups == 1 else cupy.ascontiguousarray(rows)
    dw, dx = None, empty(x.shape, x) if input_grad else None
    for images, start, stop in _chunks(n, place, x.dtype.itemsize * filters.shape[-1] * groups):
        part = rows[:, start:stop]
        if weight_grad:
            one = _matmul(part.swapaxes(1, 2), _lowered(x, w, place, groups, start, stop))  # (G, F/G, K)     (2)
            dw = one if dw is None else dw + one
        if dx is None:
            continue
        if _is_view(w, place, groups):
            _matmul(part, filters, out=dx.reshape(1, -1, dx.shape[3])[:, start:stop])  # (2), (3)
            continue
        da, some, first = _matmul(part, filters), dx[images], images.start * place.out[0] * place.out[1]  # (2)
        GATHER(
            da,
            *numbers,
            w.shape[3],
            start - first,
            stop - start,
            int(start > first),
            some,
            size=some.size,
            reach=da.size,
        )  # fmt: skip                                                                                (3)
    return dx, None if dw is None else dw.reshape(w.shape), db


def _correlate(
    x: Array, w: Array, b: Array | None, scale: Array | None, relu: bool, place: Placement, groups: int
) -> Array:
    """y, scaled, with the bias, without what is negative."""
    f, n = w.shape[0], x.shape[0]
    y = empty((n, *place.out, f), x)  # (N, OH, OW, F)
    finish = (w if scale is None else scale, w if b is None else b)
    flags = (int(scale is not None), int(b is not None), int(relu))
    if _is_depthwise(w, groups):
        return DEPTHWISE(x, w, *finish, *geometry(x, place), f, *flags, y, size=y.size)  # (5)
    filters, rows = w.reshape(groups, f // groups, -1).swapaxes(1, 2), y.reshape(-1, f)  # (G, K, F/G), (T, F)
    for _, start, stop in _chunks(n, place, x.dtype.itemsize * filters.shape[1] * groups):
        part = rows[start:stop]
        a = _lowered(x, w, place, groups, start, stop)  # (G, t, K)
        z = _matmul(a, filters, out=part[None] if groups == 1 else None)  # (G, t, F/G)                  (2)
        if groups > 1 or any(flags):
            FINISH(z, *finish, f, f // groups, stop - start, *flags, part, size=part.size)
    return y


def _lowered(x: Array, w: Array, place: Placement, groups: int, start: int, stop: int) -> Array:
    """(1) for these positions: (G, t, K)."""
    if _is_view(w, place, groups):
        return x.reshape(1, -1, x.shape[3])[:, start:stop]
    a = empty((groups, stop - start, w[0].size), x)
    return LOWER(x, *geometry(x, place), w.shape[3], start, stop - start, a, size=a.size, reach=stop)  # (1)


def _depthwise_backward(
    dy: Array, x: Array, w: Array, place: Placement, input_grad: bool, weight_grad: bool
) -> tuple[Array | None, Array | None]:
    numbers, f, count = geometry(x, place), w.shape[0], dy.size // w.shape[0]
    dx = dw = None
    if weight_grad:
        parts, rows = parts_of(count)
        s = empty((parts, *w.shape), x)
        dw = total(DEPTHWISE_DW(x, dy, *numbers, f, count, rows, s, size=s.size))  # (7)
    if input_grad:
        dx = empty(x.shape, x)
        DEPTHWISE_DX(dy, w, *numbers, f, dx, size=dx.size)  # (6)
    return dx, dw


def _matmul(a: Array, b: Array, out: Array | None = None) -> Array:
    """The product of (G, …) matrices; of one, a plain product, which takes transposed factors as they lie."""
    import cupy

    if a.shape[0] > 1:
        return cupy.matmul(a, b, out=out)
    return cupy.matmul(a[0], b[0], out=None if out is None else out[0])[None]


def _chunks(images: int, place: Placement, row_bytes: int) -> Iterator[tuple[slice, int, int]]:
    """Images, first position and end, of pieces whose rows of so many bytes fit the workspace."""
    positions, most = place.out[0] * place.out[1], max(1, WORKSPACE // row_bytes)
    together = most // positions
    for n in range(0, images, max(1, together)):
        if together:
            last = min(n + together, images)
            yield slice(n, last), n * positions, last * positions
            continue
        for start in range(0, positions, most):
            yield slice(n, n + 1), n * positions + start, n * positions + min(start + most, positions)


def _is_depthwise(w: Array, groups: int) -> bool:
    return groups > 1 and w.shape[3] == 1


def _is_view(w: Array, place: Placement, groups: int) -> bool:
    """True if a is x."""
    window = place.window
    return groups == 1 and window.taps == 1 and window.stride == (1, 1) and not any(place.pads)


IMPLEMENTATION = proven("conv2d", refuses, forward, backward)
INFERENCE = proven("conv2d_inference", refuses, inference)
