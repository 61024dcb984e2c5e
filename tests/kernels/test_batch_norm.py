"""Batch normalisation with the batch last: the reference's numbers, in every order, piece by piece, on any threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.kernels import batch_norm
from xpcnn.kernels.batch_last import MANY, MINIMUM_BATCH
from xpcnn.kernels.batch_norm import IMPLEMENTATION, INFERENCE, backward, forward, inference, refuses
from xpcnn.ops.batch_norm import (
    batch_norm_backward,
    batch_norm_forward,
    batch_norm_inference,
    batch_norm_relu_backward,
    batch_norm_relu_forward,
)

from .cases import BATCHES, DTYPES, assert_independent_of_threads, assert_same, is_batch_last, orders

ITEMS = [(1,), (7,), (5, 3), (1, 1, 2), (4, 5, 3)]
PARAMETERS = [(True, True), (True, False), (False, True), (False, False)]


def draw(rng, shape, dtype, given=(True, True)):
    x = (rng.normal(size=shape) * rng.uniform(0.5, 2, shape[-1]) + rng.normal(size=shape[-1])).astype(dtype)
    gamma, beta = (rng.normal(size=shape[-1]).astype(dtype) if there else None for there in given)
    return x, gamma, beta


def compare(x, gamma, beta, rng, factor=1.0, orders_of=orders):
    expected, reference_cache, statistics = batch_norm_forward(x, gamma, beta, eps=1e-3)
    dy = rng.normal(size=x.shape).astype(x.dtype)
    gradients = batch_norm_backward(dy, reference_cache)
    fixed = batch_norm_inference(x, gamma, beta, *statistics, eps=1e-3)
    dys = orders_of(dy)
    for name, x_ in orders_of(x).items():
        y, cache, (mean, var) = forward(x_, gamma, beta, eps=1e-3)
        assert_same(y, expected, factor)
        assert_same(mean, statistics[0], factor)
        assert_same(var, statistics[1], factor)
        results = backward(dys[name], cache)
        for actual, wanted in zip(results, gradients, strict=True):
            assert_same(actual, wanted, factor)
        no_dx, *others = backward(dys[name], cache, input_grad=False)
        assert no_dx is None
        for actual, wanted in zip(others, gradients[1:], strict=True):
            assert_same(actual, wanted, factor)
        z = inference(x_, gamma, beta, *statistics, eps=1e-3)
        assert_same(z, fixed, factor)
        few = name == "C" and x.ndim == 4 and len(x) < MANY
        for each in (y, results[0], z):
            assert each.flags.c_contiguous if few else is_batch_last(each)


@pytest.mark.parametrize("given", PARAMETERS)
@pytest.mark.parametrize("item", ITEMS, ids=str)
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_the_reference(rng, item, dtype, given):
    compare(*draw(rng, (17, *item), dtype, given), rng, factor=5)


@pytest.mark.parametrize("images", BATCHES)
@pytest.mark.parametrize("item", [(3,), (4, 5, 2)], ids=str)
def test_batches(rng, images, item):
    compare(*draw(rng, (images, *item), "float32"), rng, factor=5)


@given(
    images=st.integers(16, 70),
    item=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    piece=st.sampled_from([1, 40, 100, 400]),
    seed=st.integers(0, 99),
)
def test_pieces_of_any_size(monkeypatch, images, item, piece, seed):
    """A piece is some places, some channels of one place, or one run of the batch, or of neighbouring positions."""
    monkeypatch.setattr(batch_norm, "PIECE", piece)
    monkeypatch.setattr(batch_norm, "RUN", 16)
    rng = np.random.default_rng(seed)
    compare(*draw(rng, (images, *item), "float64"), rng, 5, lambda x: {"C": x})


@pytest.mark.parametrize("piece", [100, 1 << 16])
def test_a_variance_far_from_zero_is_as_exact_as_the_reference_s(rng, monkeypatch, piece):
    """Mean 1000, deviation 1: Σ x² − M μ² would have no correct digit in float32."""
    monkeypatch.setattr(batch_norm, "PIECE", piece)
    x = (rng.normal(size=(32, 9, 8, 3)) + 1000).astype("f4")
    x[:, 0] += 50.0  # and not the same in every piece
    exact = x.astype("f8")
    y, cache, (mean, var) = forward(x)
    np.testing.assert_allclose(mean, exact.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(var, exact.var(axis=(0, 1, 2)), rtol=1e-5)
    expected, reference_cache, _ = batch_norm_forward(exact)
    np.testing.assert_allclose(y, expected, atol=5e-4)
    dy = rng.normal(size=x.shape)
    dx, *_ = backward(dy.astype("f4"), cache)
    np.testing.assert_allclose(dx, batch_norm_backward(dy, reference_cache)[0], atol=5e-4)


def test_witnesses(rng):
    x, gamma, beta = draw(rng, (16, 2, 3, 2), "float64")
    report = check_pair(
        lambda x, gamma, beta: forward(x, gamma, beta)[:2], backward, {"x": x, "gamma": gamma, "beta": beta}
    )
    assert report.passed, report


def test_nan_stays_in_its_channel(rng):
    x, gamma, beta = draw(rng, (16, 3, 3, 2), "float64")
    x[3, 1, 1, 0] = np.nan
    y, *_ = forward(x, gamma, beta)
    assert np.isnan(y[..., 0]).all()
    assert np.isfinite(y[..., 1]).all()


def test_the_cache_refers_to_x_and_holds_no_other_image(rng):
    x, gamma, beta = draw(rng, (16, 6, 5, 4), "float32")
    x = orders(x)["batch last"]
    _, cache, _ = forward(x, gamma, beta)
    arrays = [each for each in cache if isinstance(each, np.ndarray)]
    assert np.shares_memory(arrays[0], x)
    assert all(each.size == 4 for each in arrays[1:])


def test_independent_of_threads(rng, monkeypatch):
    monkeypatch.setattr(batch_norm, "PIECE", 1 << 10)
    for item in [(9, 7, 8), (50,)]:
        x, gamma, beta = draw(rng, (33, *item), "float32")

        def run(x=x, gamma=gamma, beta=beta):
            y, cache, statistics = forward(x, gamma, beta)
            return [y, *statistics, *backward(y + 1, cache), inference(x, gamma, beta, *statistics)]

        assert_independent_of_threads(run, monkeypatch)


def test_refuses():
    assert IMPLEMENTATION.refuses is refuses
    assert INFERENCE.forward is inference
    x, one, two = np.ones((16, 4, 3)), np.ones(3), np.ones(2)
    assert refuses(x, one, one, eps=1.0) is None
    assert INFERENCE.refuses(x, None, None, one, one, eps=1.0) is None
    few = f"there are fewer than {MINIMUM_BATCH} images"
    assert refuses(np.ones((1, 2, 2, 3))) is refuses(np.ones((5, 2, 2, 3))) is None
    assert refuses(x[: MINIMUM_BATCH - 1]) == INFERENCE.refuses(x[: MINIMUM_BATCH - 1], None, None, one, one) == few
    for wrong in ((x, two), (x, one, two)):
        with pytest.raises(ShapeError, match=r"BatchNorm: expected (weight|bias) \(3,\)"):
            forward(*wrong)
    with pytest.raises(ShapeError, match=r"BatchNorm: expected more than one value a channel"):
        forward(np.ones((1, 3)))
    with pytest.raises(OptionError, match=r"eps"):
        forward(x, eps=0)
    with pytest.raises(DTypeError, match=r"BatchNorm: expected arrays of one dtype"):
        forward(x, one.astype("f4"))
    with pytest.raises(ShapeError, match=r"BatchNorm: expected var \(3,\)"):
        inference(x, None, None, one, two)
    _, cache, _ = forward(x)
    with pytest.raises(ShapeError, match=r"BatchNorm backward: expected dy \(16, 4, 3\)"):
        backward(x[:4], cache)
    with pytest.raises(DTypeError, match=r"BatchNorm backward: expected arrays of one dtype"):
        backward(x.astype("f4"), cache)


@pytest.mark.parametrize("relu", [False, True])
def test_gradients_of_numbers_far_from_zero(rng, relu):
    """Σ dy · x − μ Σ dy would cancel to nothing in float32."""
    x = (3000 + rng.normal(size=(64, 6, 5, 3))).astype("float32")
    dy, one = rng.normal(size=x.shape), np.ones(3)
    results = {}
    for dtype in ("float32", "float64"):
        _, cache, _ = forward(x.astype(dtype), one.astype(dtype), one.astype(dtype), relu=relu)
        results[dtype] = backward(dy.astype(dtype), cache)
    np.testing.assert_allclose(results["float32"][1], results["float64"][1], atol=0.02)


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize("piece", [100, 1 << 18])
@pytest.mark.parametrize("dtype", DTYPES)
def test_a_channel_that_is_the_same_everywhere(rng, monkeypatch, relu, piece, dtype):
    """x̂ is 0, and so is dγ, to the last bit, beside a channel that is not."""
    monkeypatch.setattr(batch_norm, "PIECE", piece)
    constants = np.array([0.1, -0.02, 1 / 3, 7.7, -1e4 / 3, 123456.7])
    x = np.broadcast_to(np.append(constants, 0), (32, 9, 8, 7)).astype(dtype)
    x[..., 6] = rng.normal(size=x.shape[:3])
    beta = np.ones(7, dtype)
    y, cache, (mean, var) = forward(x, beta, beta, relu=relu)
    np.testing.assert_array_equal(y[..., :6], 1)
    np.testing.assert_array_equal(mean[:6], constants.astype(dtype))
    np.testing.assert_array_equal(var[:6], 0)
    dx, dgamma, _ = backward(rng.uniform(1, 2, x.shape).astype(dtype), cache)
    np.testing.assert_array_equal(dgamma[:6], 0)
    assert dgamma[6] != 0
    assert np.isfinite(dx).all()
    fixed = inference(x, beta, beta, mean, var)
    np.testing.assert_array_equal(fixed[..., :6], 1)


@pytest.mark.parametrize("first", [0.0, 30.0])
@pytest.mark.parametrize("piece", [100, 1 << 18])
@pytest.mark.parametrize("offset", [0.1, 1e4, 1e7])
def test_numbers_far_from_zero(rng, monkeypatch, offset, piece, first):
    """Some steps of float32's last digit apart, the first perhaps far from all others: as the reference in float64."""
    monkeypatch.setattr(batch_norm, "PIECE", piece)
    steps = rng.integers(-2, 3, (32, 6, 5, 3)).astype(float)
    steps[0, 0, 0] = first
    x = (np.float32(offset) + np.spacing(np.float32(offset)) * steps).astype("f4")
    dy, one = rng.normal(size=x.shape).astype("f4"), np.ones(3)
    expected, reference_cache, statistics = batch_norm_forward(x.astype("f8"), one, one)
    gradients = batch_norm_backward(dy.astype("f8"), reference_cache)
    one = one.astype("f4")
    y, cache, (mean, var) = forward(x, one, one)
    np.testing.assert_allclose(y, expected, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(mean, statistics[0], rtol=1e-7)
    np.testing.assert_allclose(var, statistics[1], rtol=1e-5)
    for actual, wanted in zip(backward(dy, cache), gradients, strict=True):
        np.testing.assert_allclose(actual, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


@pytest.mark.parametrize("relu", [False, True])
@pytest.mark.parametrize(
    ("dtype", "size"), [("float32", 1e12), ("float32", 1e20), ("float32", 1e34), ("float64", 1e200)]
)
def test_variances_too_large_are_left_to_the_reference(rng, relu, dtype, size):
    x, gamma, beta = draw(rng, (16, 3, 4, 5), dtype)
    x[..., :2] *= size
    dy = rng.normal(size=x.shape).astype(dtype)
    y, cache, statistics = forward(x, gamma, beta, relu=relu)
    expected, reference_cache, expected_statistics = (batch_norm_relu_forward if relu else batch_norm_forward)(
        x, gamma, beta
    )
    np.testing.assert_array_equal(y, expected)
    np.testing.assert_array_equal(statistics, expected_statistics)
    results = (batch_norm_relu_backward if relu else batch_norm_backward)(dy, reference_cache)
    for actual, wanted in zip(backward(dy, cache), results, strict=True):
        np.testing.assert_array_equal(actual, wanted)
    with np.errstate(invalid="ignore"):
        z = inference(x, gamma, beta, *statistics)
    assert np.isnan(z[..., np.isinf(statistics[1])]).all()
    assert np.isfinite(z[..., 2:]).all()


def test_inference_far_from_zero(rng):
    x = rng.normal(1e4, 1, (32, 3, 2)).astype("f4")
    mean, var = np.full(2, 1e4, "f4"), np.ones(2, "f4")
    expected = batch_norm_inference(*(each.astype("f8") for each in (x, var, var, mean, var)))
    np.testing.assert_allclose(inference(x, var, var, mean, var), expected, rtol=1e-6, atol=1e-6)
