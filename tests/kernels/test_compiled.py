"""Compiled loops: the reference's numbers in every memory order and geometry, the same bits for any number of threads.

And: without being compiled they compute the same, and nobody who does not ask for them pays for it. Those that treat
each number by itself are in `test_compiled_elementwise.py`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from itertools import product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import xpcnn
from xpcnn.errors import MissingExtraError, OptionError
from xpcnn.kernels.compiled import batch_norm, depthwise, depthwise_last, loop, pool, prelu
from xpcnn.ops import Window, dispatch

from ..geometry import geometries, window_of
from .cases import DTYPES, WINDOWS, assert_independent_of_threads, assert_same, orders
from .test_max_pool import special

pytestmark = pytest.mark.usefixtures("any_batch")
needs_numba = pytest.mark.skipif(not loop._is_installed(), reason="numba is not installed")
COMPILED = [op for op in dispatch.operations() if "numba" in [each.name for each in dispatch.implementations(op)]]


def own(op):
    """Of several for convolution, the first, which is depthwise."""
    return next(each for each in dispatch.implementations(op) if each.name == "numba")


def results(implementation, arrays, options, dy):
    """All arrays that it computes, with the gradients of dy if there is a backward."""
    made = implementation.forward(*arrays, **options)
    if implementation.backward is None:
        return [made]
    y, cache, *more = made
    loss = y.ndim == 0
    gradients = implementation.backward(cache) if loss else implementation.backward(dy, cache)
    y = np.asarray(y) if loss else y
    return [y, *(more[0] if more else ()), *(gradients if isinstance(gradients, tuple) else (gradients,))]


def compare(op, arrays, options, rng, orders_of=orders, factor=5.0):
    reference = dispatch.implementations(op)[-1]
    made = reference.forward(*arrays, **options)
    y = made[0] if isinstance(made, tuple) else made
    dys = orders_of(rng.normal(size=y.shape).astype(y.dtype))
    expected = results(reference, arrays, options, next(iter(dys.values())))
    for name, x in orders_of(arrays[0]).items():
        assert own(op).refuses(x, *arrays[1:], **options) is None
        found = results(own(op), (x, *arrays[1:]), options, dys[name])
        for actual, wanted in zip(found, expected, strict=True):
            assert_same(actual, wanted, factor)


def depthwise_arrays(rng, images, size, channels, kernel, dtype, filters=1):
    shapes = (images, *size, channels), (filters * channels, *kernel, 1), (filters * channels,)
    return [rng.normal(size=shape).astype(dtype) for shape in shapes]


@pytest.fixture(params=[(512, 1 << 17, 16), (16, 1, 99), (1, 100, 99)], ids=str)
def parts(request, monkeypatch):
    """Everything at once; runs of some positions, in parts of a few rows; of some of a position's channels."""
    for name, value in zip(("RUN", "PIECE", "LONG"), request.param, strict=True):
        monkeypatch.setattr(depthwise, name, value)


@needs_numba
@given(
    g=geometries(),
    images=st.sampled_from([1, 3, 9, 17]),
    channels=st.sampled_from([2, 3, 5, 20]),
    filters=st.sampled_from([1, 2]),
    dtype=st.sampled_from(DTYPES),
    order=st.sampled_from(["C", "batch last"]),
    scaled=st.booleans(),
    relu=st.booleans(),
)
def test_depthwise_convolution_of_every_geometry(parts, g, images, channels, filters, dtype, order, scaled, relu):
    rng = np.random.default_rng(0)
    arrays = depthwise_arrays(rng, images, g.size, channels, g.kernel, dtype, filters)
    options = {"window": Window(g.kernel, g.stride, g.pads, g.dilation), "groups": channels}
    one = lambda x: {order: orders(x)[order]}  # noqa: E731
    compare("conv2d", arrays, options, rng, one)
    compare("conv2d", arrays[:2], options, rng, one)
    scale = rng.normal(size=filters * channels).astype(dtype) if scaled else None
    compare("conv2d_inference", arrays, options | {"scale": scale, "relu": relu}, rng, one)


@needs_numba
@pytest.mark.parametrize("images", [2, 16])
@pytest.mark.parametrize("kernel", [(5, 5), (1, 11), (7, 3)], ids=str)
def test_depthwise_convolution_with_more_taps_than_are_taken_at_once(rng, monkeypatch, images, kernel):
    monkeypatch.setattr(depthwise_last, "PIECE", 1)
    arrays = depthwise_arrays(rng, images, (9, 12), 3, kernel, "float32")
    for stride in (1, 2):
        options = {"window": Window(kernel, stride, "same"), "groups": 3}
        compare("conv2d", arrays, options, rng)
        y, cache = own("conv2d").forward(*arrays, **options)
        assert own("conv2d").backward(y, cache, weight_grad=False)[1:] == (None, None)


@needs_numba
@pytest.mark.parametrize(("kind", "dtype"), [*product(["normal", "tied", "wild", "infinite"], DTYPES)])
@pytest.mark.parametrize(("window", "size"), WINDOWS, ids=lambda each: str(each) if isinstance(each, Window) else "")
def test_maximum_pooling_has_the_same_maxima_and_winners(rng, monkeypatch, kind, dtype, window, size):
    monkeypatch.setattr(pool, "PIECE", 40)
    x = special(rng, (9, *size, 3), kind).astype(dtype)
    reference = dispatch.implementations("max_pool2d")[-1]
    y, (winner, *_) = reference.forward(x, window=window)
    for order in ("C", "batch last"):
        found, (found_winner, *_) = own("max_pool2d").forward(orders(x)[order], window=window)
        np.testing.assert_array_equal(found, y)
        expected = winner if order == "C" else np.moveaxis(winner, 0, -1)
        np.testing.assert_array_equal(found_winner, expected.reshape(found_winner.shape))
    compare("max_pool2d", [x], {"window": window}, rng)
    np.testing.assert_array_equal(own("max_pool2d_inference").forward(x, window=window), y)


@needs_numba
@given(g=geometries(), ceil=st.booleans(), dtype=st.sampled_from(DTYPES), counted=st.booleans())
def test_pooling_of_every_geometry(g, ceil, dtype, counted):
    rng, window = np.random.default_rng(0), window_of(g, ceil)
    x = rng.normal(size=(g.images, *g.size, g.channels)).astype(dtype)
    compare("max_pool2d", [x], {"window": window}, rng)
    compare("avg_pool2d", [x], {"window": window, "count_include_pad": counted}, rng)


@needs_numba
@pytest.mark.parametrize("op", ["batch_norm", "batch_norm_relu", "batch_norm_inference"])
@pytest.mark.parametrize("item", [(7,), (5, 3), (4, 5, 3)], ids=str)
@pytest.mark.parametrize(("piece", "dtype"), [*product([1, 40, batch_norm.PIECE], DTYPES)])
def test_batch_norm(rng, monkeypatch, op, item, piece, dtype):
    monkeypatch.setattr(batch_norm, "PIECE", piece)
    c = item[-1]
    x, gamma, beta, mean = (rng.normal(size=shape).astype(dtype) for shape in ((17, *item), c, c, c))
    given_too = (mean, np.abs(mean) + 1) if op == "batch_norm_inference" else ()
    for factors in ((gamma, beta), (gamma, None), (None, None)):
        compare(op, [x, *factors, *given_too], {"eps": 1e-3}, rng)
    if op == "batch_norm_relu":
        compare(op, [x, 9 * gamma, beta], {"eps": 1e-3, "relu6": True}, rng)


@needs_numba
@pytest.mark.parametrize("piece", [100, 1 << 16])
def test_batch_norm_far_from_zero_and_of_constant_channels(rng, monkeypatch, piece):
    monkeypatch.setattr(batch_norm, "PIECE", piece)
    x = (rng.normal(size=(32, 9, 8, 3)) + 1000).astype("f4")
    x[:, 0] += 50.0
    exact = x.astype("f8")
    y, cache, (mean, var) = batch_norm.forward(x)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(axis=(0, 1, 2)), rtol=1e-5)
    reference = dispatch.implementations("batch_norm")[-1]
    expected, reference_cache, _ = reference.forward(exact)
    np.testing.assert_allclose(y, expected, atol=5e-4)
    dy = rng.normal(size=x.shape)
    dx, *_ = batch_norm.backward(dy.astype("f4"), cache)
    np.testing.assert_allclose(dx, reference.backward(dy, reference_cache)[0], atol=5e-4)
    x[..., 1] = 0.1
    y, _, (_, var) = batch_norm.forward(x)
    assert not y[..., 1].any()
    assert var[1] == 0
    x[3, 1, 1, 0] = np.nan
    x[..., 2] *= 1e30  # σ² overflows
    y, cache, _ = batch_norm.forward(x)
    expected, reference_cache, _ = reference.forward(x)
    np.testing.assert_array_equal(np.isfinite(y), np.isfinite(expected))
    np.testing.assert_allclose(y, expected, atol=1e-4)


def example(op, rng, images=33):
    """A call of that operation with float32, large enough for several units."""
    x, c = rng.normal(size=(images, 14, 15, 8)).astype("f4"), np.ones(8, "f4")
    if op.startswith("conv2d"):
        return (x, rng.normal(size=(8, 3, 3, 1)).astype("f4"), c), {"window": Window(3, padding=1), "groups": 8}
    if "pool" in op:
        return (x,), {"window": Window(3, 2, padding=1)}
    if op.startswith("batch_norm"):
        return (x, c, c, *((c, c) if op == "batch_norm_inference" else ())), {}
    if op in ("multiply", "maximum", "minimum"):
        return ((x, rng.normal(size=x.shape).astype("f4")),), {}
    if op == "prelu":
        return (x, c / 4), {}
    if op == "cross_entropy":
        return (x, rng.integers(0, 8, x.shape[:-1])), {}
    return (x, x) if op == "add" else (x,), {}


def changed(arrays, change):
    """Arguments with all arrays of images changed, also those in a tuple."""
    return tuple(
        changed(each, change) if isinstance(each, tuple) else change(each) if each.ndim > 2 else each for each in arrays
    )


@needs_numba
@pytest.mark.parametrize("op", COMPILED)
@pytest.mark.parametrize("images", [33, 9])
def test_independent_of_threads(rng, monkeypatch, op, images):
    for module in (batch_norm, depthwise, depthwise_last, pool, prelu):
        monkeypatch.setattr(module, "PIECE", 1 << 9)
    monkeypatch.setattr("xpcnn.kernels.compiled.runs.BLOCK", 1 << 9)
    monkeypatch.setattr("xpcnn.kernels.compiled.cross_entropy.BLOCK", 1 << 9)
    arrays, options = example(op, rng, images)
    made = own(op).forward(*arrays, **options)
    dy = made[0] + 1 if own(op).backward else None
    assert_independent_of_threads(lambda: results(own(op), arrays, options, dy), monkeypatch)


@needs_numba
@pytest.mark.parametrize("op", COMPILED)
def test_without_being_compiled_they_compute_the_same(rng, monkeypatch, op):
    """They are functions of Python, too: readable, and to be followed step by step."""
    monkeypatch.setattr(depthwise, "LONG", 3)
    for some in (2, 3):
        arrays, options = example(op, rng, some)
        arrays = changed(arrays, lambda each, n=some: each[:, :4, :4] if len(each) == n else each)
        dy = np.ones_like(dispatch.implementations(op)[-1].forward(*arrays, **options)[0]) if own(op).backward else None
        expected = results(own(op), arrays, options, dy)
        with monkeypatch.context() as patch:
            patch.setattr(loop.Loop, "__call__", lambda self, *given: self.function(*given))
            found = results(own(op), arrays, options, dy)
        for actual, wanted in zip(found, expected, strict=True):
            assert_same(actual, wanted)


@needs_numba
def test_where_numba_compiles_nothing_every_part_is_of_python(monkeypatch):
    numba = pytest.importorskip("numba")
    monkeypatch.setattr(numba.config, "DISABLE_JIT", 1)
    parts = loop._compiled_parts(numba, "f")
    assert all(parts[id(each.function)].__code__.co_code == each.function.__code__.co_code for each in loop._parts)


@needs_numba
@pytest.mark.parametrize("op", COMPILED)
def test_refuses(op, rng):
    arrays, options = example(op, rng)
    refused = lambda change: own(op).refuses(*changed(arrays, change), **options)  # noqa: E731
    x = arrays[0]
    if op != "cross_entropy":
        assert refused(lambda each: each.tolist()) == "the arrays are not NumPy's"
    for dtype in ("f2", ">f4", "c8", "i4"):
        assert refused(lambda each, to=dtype: each.astype(to)) == "loops are compiled for float32 and float64"
    if op.startswith("conv2d"):
        assert own(op).refuses(x, np.ones((8, 3, 3, 8)), window=Window(3)) == "it is not depthwise"
        assert own(op).refuses(x, np.ones((16, 3, 3, 2)), window=Window(3), groups=4) == "it is not depthwise"
    if op.startswith("max_pool"):
        assert own(op).refuses(x, window=Window(17)) == "the window has more than 256 taps"


def test_they_run_where_they_are_asked_for(monkeypatch, rng):
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)
    (x, w, b), options = example("conv2d", rng)
    for setting in (None, "", "0"):
        monkeypatch.setenv("XPCNN_NUMBA", setting or "")
        assert dispatch.choose("conv2d", x, w, b, **options).name == "depthwise"
    monkeypatch.setenv("XPCNN_NUMBA", "yes")
    with pytest.raises(OptionError, match="XPCNN_NUMBA: expected 0 or 1, got 'yes'"):
        dispatch.choose("conv2d", x, w, b, **options)
    monkeypatch.setenv("XPCNN_NUMBA", "1")
    if loop._is_installed():
        assert dispatch.choose("conv2d", x, w, b, **options).name == "numba"
        with xpcnn.use_implementation("reference"):
            assert dispatch.choose("conv2d", x, w, b, **options).name == "reference"
    monkeypatch.setitem(sys.modules, "numba", None)  # as if it was not installed
    with pytest.raises(MissingExtraError, match=r"pip install numba, which is the extra xpcnn\[numba\]"):
        dispatch.choose("conv2d", x, w, b, **options)
    monkeypatch.delenv("XPCNN_NUMBA")
    with xpcnn.use_implementation("numba"), pytest.raises(MissingExtraError):
        dispatch.choose("relu", x)


def test_who_does_not_ask_does_not_even_import_numba():
    code = "import sys, numpy as np\nfrom xpcnn import models\n"
    code += "models.lenet5(rng=0)(np.zeros((8, 28, 28, 1), np.float32))\nassert 'numba' not in sys.modules"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("XPCNN")}
    subprocess.run([sys.executable, "-c", code], check=True, env=environment)
