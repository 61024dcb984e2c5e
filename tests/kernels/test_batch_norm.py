"""Batch normalisation with the batch last: the reference's numbers, in every order, piece by piece, on any threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.kernels import batch_norm
from xpcnn.kernels.batch_last import FEWEST
from xpcnn.kernels.batch_norm import IMPLEMENTATION, INFERENCE, backward, forward, inference, refuses
from xpcnn.ops.batch_norm import batch_norm_backward, batch_norm_forward, batch_norm_inference

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
        assert is_batch_last(y)
        assert is_batch_last(results[0])
        assert is_batch_last(z)


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
    """A piece is some places, some channels of one place, or one run of the batch."""
    monkeypatch.setattr(batch_norm, "PIECE", piece)
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
    few = f"there are fewer than {FEWEST} images"
    assert refuses(x[: FEWEST - 1]) == INFERENCE.refuses(x[: FEWEST - 1], None, None, one, one) == few
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
