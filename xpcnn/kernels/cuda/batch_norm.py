"""Batch normalisation on CuPy: three kernels forward, and three backward.

The M rows of x (M, C) are cut into K parts of n_k rows. A thread takes one channel of one part, and sums about the
part's first number, x_k:

    μ_k = x_k + Σ (x − x_k) / n_k,   s_k = Σ (x − x_k)² − (Σ (x − x_k))² / n_k                   (1)

One thread per channel puts the parts together, in their order, with the differences of μ_k from μ_1,

    μ = Σ n_k μ_k / M,   σ² = Σ (s_k + n_k (μ_k − μ)²) / M,   r = 1 / √(σ² + ε)                  (2)

and one per number normalises. It may add an array, and set negative y to 0; dy then counts where y > 0. With `relu` 6,
larger y become 6, where dy does not count:

    y = γ r (x − μ) + β                                                                          (3)
    dγ = r Σ dy · (x − μ),   dβ = Σ dy                                                           (4)
    dx = γ r (dy − dβ/M − r (x − μ) dγ/M)                                                        (5)

The sums of (4) are taken in parts, too. The cache refers to x, and holds no x̂. Where σ² overflows, r is NaN.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for computing the sample variance, 1983, equation 2.1 → (2)
"""

from __future__ import annotations

from functools import partial
from typing import Any

from ...ops.add import check_add
from ...ops.batch_norm import check_inference, check_training
from ...ops.check import check_gradient
from ...typing import Cache
from .kernel import Array, Kernel, refuses_kind
from .proof import proven
from .sums import empty, parts_of

MOMENTS = Kernel(
    "moments",
    "raw T x, index m, index ch, index rows",
    "raw T mean, raw T squares",
    """
    index c = i % ch, first = i / ch * rows;
    index last = first + rows < m ? first + rows : m;
    T origin = x[first * ch + c], sum = 0, square = 0;
    for (index at = first; at < last; ++at) { T d = x[at * ch + c] - origin; sum += d; square += d * d; }
    mean[i] = origin + sum / (last - first);
    squares[i] = square - sum * (sum / (last - first));
    """,
)
TOGETHER = Kernel(
    "moments_together",
    "raw T means, raw T squares, index m, index ch, index rows, index parts, T eps",
    "raw T mean, raw T var, raw T r",
    """
    T origin = means[i], sum = 0, square = 0;
    for (index k = 0; k < parts; ++k)
        sum += (means[k * ch + i] - origin) * (k == parts - 1 ? m - k * rows : rows);
    sum /= m;
    for (index k = 0; k < parts; ++k) {
        T d = means[k * ch + i] - origin - sum, s = squares[k * ch + i];
        square += (s < 0 ? T(0) : s) + d * d * (k == parts - 1 ? m - k * rows : rows);
    }
    square /= m;
    mean[i] = origin + sum;
    var[i] = square;
    r[i] = 1 / sqrt(square + eps) + 0 * square;
    """,
)
NORMALISE = Kernel(
    "normalise",
    "raw T x, raw T added, raw T mean, raw T r, raw T gamma, raw T beta, "
    "index ch, index plus, index scaled, index shifted, index relu",
    "raw T y",
    """
    index c = i % ch;
    T value = r[c] * (x[i] - mean[c]);
    if (scaled) value *= gamma[c];
    if (shifted) value += beta[c];
    if (plus) value += added[i];
    value = relu && value < 0 ? T(0) : value;
    y[i] = relu == 6 && value > 6 ? T(6) : value;
    """,
)
GRADIENTS = Kernel(
    "batch_norm_parts",
    "raw T dy, raw T x, raw T y, raw T mean, index m, index ch, index rows, index relu, index keeps",
    "raw T product, raw T sum, raw T g",
    """
    index c = i % ch, first = i / ch * rows;
    index last = first + rows < m ? first + rows : m;
    T p = 0, s = 0;
    for (index at = first; at < last; ++at) {
        T d = dy[at * ch + c];
        if (relu && !(y[at * ch + c] > 0)) d *= 0;
        if (relu == 6 && !(y[at * ch + c] < 6)) d *= 0;
        s += d;
        p += d * (x[at * ch + c] - mean[c]);
        if (keeps) g[at * ch + c] = d;
    }
    product[i] = p;
    sum[i] = s;
    """,
)
GRADIENTS_TOGETHER = Kernel(
    "batch_norm_together",
    "raw T products, raw T sums, raw T r, index ch, index parts",
    "raw T dgamma, raw T dbeta",
    """
    T p = 0, s = 0;
    for (index k = 0; k < parts; ++k) { p += products[k * ch + i]; s += sums[k * ch + i]; }
    dgamma[i] = r[i] * p;
    dbeta[i] = s;
    """,
)
DX = Kernel(
    "batch_norm_dx",
    "raw T dy, raw T x, raw T y, raw T mean, raw T r, raw T gamma, raw T dgamma, raw T dbeta, index m, index ch, "
    "index scaled, index relu",
    "raw T dx",
    """
    index c = i % ch;
    T g = dy[i];
    if (relu && !(y[i] > 0)) g *= 0;
    if (relu == 6 && !(y[i] < 6)) g *= 0;
    T value = r[c] * (g - dbeta[c] / m - r[c] * (x[i] - mean[c]) * (dgamma[c] / m));
    dx[i] = scaled ? value * gamma[c] : value;
    """,
)
GIVEN = Kernel(
    "normalise_given",
    "raw T x, raw T mean, raw T var, raw T gamma, raw T beta, T eps, index ch, index scaled, index shifted",
    "raw T y",
    """
    index c = i % ch;
    T value = (x[i] - mean[c]) * (1 / sqrt(var[c] + eps) + 0 * var[c]);
    if (scaled) value *= gamma[c];
    if (shifted) value += beta[c];
    y[i] = value;
    """,
)
AFFINE = Kernel(
    "batch_norm_affine",
    "raw T gamma, raw T beta, raw T mean, raw T var, raw T b, T eps, index scaled, index shifted, index biased",
    "raw T scale, raw T shift",
    """
    T s = 1 / sqrt(var[i] + eps) + 0 * var[i];
    if (scaled) s *= gamma[i];
    scale[i] = s;
    s *= (biased ? b[i] : T(0)) - mean[i];
    shift[i] = shifted ? s + beta[i] : s;
    """,
)
RUNNING = Kernel(
    "running_statistics",
    "T mean, T var, T batch_mean, T batch_var, T momentum, T unbiased",
    "T new_mean, T new_var",
    """
    new_mean = (1 - momentum) * mean + momentum * batch_mean;
    new_var = (1 - momentum) * var + unbiased * batch_var;
    """,
)


def refuses(
    x: Any, gamma: Any = None, beta: Any = None, *more: Any, eps: float = 1e-5, shards: Any = None, relu6: bool = False
) -> str | None:
    """The reason why these implementations refuse the call, or None."""
    if shards is not None:
        return "a batch in shards"
    return refuses_kind(x, gamma, beta, *more)


def refuses_affine(gamma: Any, beta: Any, mean: Any, var: Any, b: Any = None, **options: Any) -> str | None:
    """The reason why `affine` refuses the call, or None."""
    return refuses_kind(mean, var, gamma, beta, b)


def forward(
    x: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    eps: float = 1e-5,
    shards: None = None,
    relu: bool = False,
    relu6: bool = False,
    added: Array | None = None,
) -> tuple[Array, Cache, tuple[Array, Array]]:
    """`batch_norm_forward`, or with `relu` `batch_norm_relu_forward`."""
    _, m = check_training(x, gamma, beta, eps)
    if added is not None:
        check_add(x, added)
    ch = x.shape[-1]
    parts, rows = parts_of(m)
    means, squares = empty((parts, ch), x), empty((parts, ch), x)  # (K, C)
    MOMENTS(x, m, ch, rows, means, squares, size=means.size)  # (1)
    mean, var, r = (empty((ch,), x) for _ in range(3))
    TOGETHER(means, squares, m, ch, rows, parts, eps, mean, var, r, size=ch)  # (2)
    y = empty(x.shape, x)  # (N, …, C)
    flags, cut = [int(each is not None) for each in (added, gamma, beta)], 6 if relu6 else int(relu)
    NORMALISE(x, _or(added, mean), mean, r, _or(gamma, mean), _or(beta, mean), ch, *flags, cut, y, size=y.size)  # (3)
    return y, (x, y if relu else None, cut, mean, r, gamma, beta is not None), (mean, var)


def backward(dy: Array, cache: Cache, *, input_grad: bool = True) -> tuple[Array | None, Array | None, Array | None]:
    """`batch_norm_backward`, or `batch_norm_relu_backward`."""
    dx, _, dgamma, dbeta = _backward(dy, cache, input_grad, keeps=False)
    return dx, dgamma, dbeta


def _backward(
    dy: Array, cache: Cache, input_grad: bool, *, keeps: bool
) -> tuple[Array | None, Array, Array | None, Array | None]:
    """dx, dy where ReLU let it through (if it `keeps` that), dγ and dβ."""
    x, y, relu, mean, r, gamma, has_beta = cache
    check_gradient("BatchNorm", dy, x.shape, x)
    ch, m = x.shape[-1], x.size // x.shape[-1]
    parts, rows = parts_of(m)
    products, sums = empty((parts, ch), x), empty((parts, ch), x)  # (K, C)
    g = empty(x.shape, x) if keeps and relu else products  # (N, …, C)
    made = (products, sums, g)
    GRADIENTS(dy, x, _or(y, mean), mean, m, ch, rows, relu, int(g is not products), *made, size=products.size)
    if g is not products:
        dy, y, relu = g, None, 0
    dgamma, dbeta = empty((ch,), x), empty((ch,), x)
    GRADIENTS_TOGETHER(products, sums, r, ch, parts, dgamma, dbeta, size=ch)  # (4)
    dx = None
    if input_grad:
        dx = empty(x.shape, x)
        scaled = int(gamma is not None)
        DX(dy, x, _or(y, mean), mean, r, _or(gamma, r), dgamma, dbeta, m, ch, scaled, relu, dx, size=dx.size)  # (5)
    return dx, dy, None if gamma is None else dgamma, dbeta if has_beta else None


def forward_sum(
    x: Array,
    added: Array,
    gamma: Array | None = None,
    beta: Array | None = None,
    *,
    eps: float = 1e-5,
    relu: bool = False,
    shards: None = None,
) -> tuple[Array, Cache, tuple[Array, Array]]:
    """`batch_norm_add_forward`."""
    return forward(x, gamma, beta, eps=eps, relu=relu, added=added)


def backward_sum(
    dy: Array, cache: Cache, *, input_grad: bool = True
) -> tuple[Array | None, Array, Array | None, Array | None]:
    """`batch_norm_add_backward`: the pass that makes the sums also writes the gradient of what was added."""
    return _backward(dy, cache, input_grad, keeps=True)


def refuses_sum(x: Any, added: Any, *more: Any, **options: Any) -> str | None:
    """The reason why `forward_sum` refuses the call, or None."""
    return refuses_kind(added) or refuses(x, *more, **{name: options[name] for name in options if name != "relu"})


def inference(
    x: Array, gamma: Array | None, beta: Array | None, mean: Array, var: Array, *, eps: float = 1e-5
) -> Array:
    """`batch_norm_inference`."""
    check_inference(x, gamma, beta, mean, var, eps)
    y, flags = empty(x.shape, x), (int(gamma is not None), int(beta is not None))
    return GIVEN(x, mean, var, _or(gamma, mean), _or(beta, mean), eps, x.shape[-1], *flags, y, size=y.size)  # (3)


def affine(
    gamma: Array | None, beta: Array | None, mean: Array, var: Array, b: Array | None = None, *, eps: float = 1e-5
) -> tuple[Array, Array]:
    """`batch_norm_affine`."""
    scale, shift = empty(mean.shape, mean), empty(mean.shape, mean)
    flags = [int(each is not None) for each in (gamma, beta, b)]
    given = (_or(gamma, mean), _or(beta, mean), mean, var, _or(b, mean))
    AFFINE(*given, eps, *flags, scale, shift, size=mean.size)
    return scale, shift


def running(
    mean: Array, var: Array, batch_mean: Array, batch_var: Array, *, momentum: float, count: int
) -> tuple[Array, Array]:
    """`running_statistics`."""
    new = empty(mean.shape, mean), empty(var.shape, var)
    RUNNING(mean, var, batch_mean, batch_var, momentum, momentum * (count / (count - 1)), *new)
    return new


def _or(array: Array | None, other: Array) -> Array:
    """The array; or another, which no thread reads, in place of one that is not there."""
    return other if array is None else array


IMPLEMENTATION = proven("batch_norm", refuses, forward, backward)
WITH_RELU = proven("batch_norm_relu", refuses, partial(forward, relu=True), backward)
WITH_SUM = proven("batch_norm_add", refuses_sum, forward_sum, backward_sum)
INFERENCE = proven("batch_norm_inference", refuses, inference)
AFFINE_MAP = proven("batch_norm_affine", refuses_affine, affine)
STATISTICS = proven("running_statistics", lambda *args, **options: refuses_kind(*args), running)
