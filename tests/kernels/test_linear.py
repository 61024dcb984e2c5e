"""Fully connected layers with the batch last: the reference's numbers in every order, cut or whole, on any threads."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.errors import DTypeError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.kernels import linear
from xpcnn.kernels.batch_last import MINIMUM_BATCH
from xpcnn.kernels.linear import IMPLEMENTATION, backward, forward, refuses
from xpcnn.ops.linear import linear_backward, linear_forward

from .cases import BATCHES, DTYPES, assert_independent_of_threads, assert_same, is_batch_last, orders


@pytest.fixture(params=["whole", "in parts"])
def cut(request, monkeypatch):
    if request.param == "in parts":
        monkeypatch.setattr(linear, "WORTH", 0.0)
        monkeypatch.setattr(linear, "LEAST", 3)


def draw(rng, images, inputs, outputs, dtype, bias=True):
    x, w, b = (rng.normal(size=s).astype(dtype) for s in ((images, inputs), (outputs, inputs), outputs))
    return x, w, b if bias else None


def compare(x, w, b, rng):
    expected, reference_cache = linear_forward(x, w, b)
    dy = rng.normal(size=expected.shape).astype(x.dtype)
    gradients = linear_backward(dy, reference_cache)
    weights, dys = orders(w), orders(dy)
    for name, x_ in orders(x).items():
        y, cache = forward(x_, weights[name], b)
        assert_same(y, expected, 4)
        results = backward(dys[name], cache)
        for actual, wanted in zip(results, gradients, strict=True):
            assert_same(actual, wanted, 4)
        no_dx, dw, db = backward(dys[name], cache, input_grad=False)
        assert no_dx is None
        assert_same(dw, gradients[1], 4)
        assert_same(db, gradients[2], 4)
        assert is_batch_last(y)
        assert is_batch_last(results[0])
        assert results[1].flags.c_contiguous


@pytest.mark.parametrize("images", BATCHES)
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
def test_agrees_with_the_reference(cut, rng, images, bias, dtype):
    compare(*draw(rng, images, 37, 21, dtype, bias), rng)


@given(
    images=st.integers(16, 40),
    inputs=st.integers(1, 50),
    outputs=st.integers(1, 50),
    least=st.integers(1, 9),
    parts=st.integers(1, 9),
    seed=st.integers(0, 99),
)
def test_any_size_in_any_parts(monkeypatch, images, inputs, outputs, least, parts, seed):
    monkeypatch.setattr(linear, "WORTH", 0.0)
    monkeypatch.setattr(linear, "LEAST", least)
    monkeypatch.setattr(linear, "PARTS", parts)
    rng = np.random.default_rng(seed)
    compare(*draw(rng, images, inputs, outputs, "float64"), rng)


def test_large_products_are_cut(monkeypatch, rng):
    calls = []
    matmul = np.matmul
    monkeypatch.setattr(np, "matmul", lambda *args, out: calls.append(out.shape) or matmul(*args, out=out))
    x, w, _ = draw(rng, 129, 300, 200, "float32")
    y, cache = forward(x, w)
    assert len(calls) > 1
    del calls[:]
    backward(y, cache)
    assert len(calls) > 3
    del calls[:]
    forward(x[:, :9], w[:, :9])
    assert len(calls) == 1


def test_witnesses(rng):
    x, w, b = draw(rng, 16, 4, 3, "float64")
    report = check_pair(forward, backward, {"x": x, "w": w, "b": b})
    assert report.passed, report


def test_independent_of_threads(cut, rng, monkeypatch):
    x, w, b = draw(rng, 129, 300, 150, "float32")

    def run():
        y, cache = forward(x, w, b)
        return [y, *backward(y, cache)]

    assert_independent_of_threads(run, monkeypatch)


def test_refuses():
    assert IMPLEMENTATION.refuses is refuses
    x, w, b = np.ones((16, 3)), np.ones((2, 3)), np.ones(2)
    assert refuses(x, w, b) is None
    assert refuses(x[: MINIMUM_BATCH - 1], w) == f"there are fewer than {MINIMUM_BATCH} images"
    with pytest.raises(ShapeError, match=r"Linear\(3→2\): expected input \(N, 3\), got \(16, 2\)"):
        forward(x[:, :2], w)
    with pytest.raises(ShapeError, match=r"Linear\(3→2\): expected bias \(2,\)"):
        forward(x, w, np.ones(3))
    with pytest.raises(ShapeError, match=r"Linear: expected weight \(out, in\)"):
        forward(x, b)
    with pytest.raises(DTypeError, match=r"Linear\(3→2\): expected arrays of one dtype"):
        forward(x, w.astype("f4"), b)
    _, cache = forward(x, w)
    with pytest.raises(ShapeError, match=r"Linear backward: expected dy \(16, 2\)"):
        backward(x, cache)
    with pytest.raises(DTypeError, match=r"Linear backward: expected arrays of one dtype"):
        backward(np.ones((16, 2), "f4"), cache)
