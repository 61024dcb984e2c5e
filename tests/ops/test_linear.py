"""The fully connected product: plain loops, the witnesses, PyTorch, what is left out, bad input."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn import nn
from xpcnn.backend import to_numpy
from xpcnn.errors import DTypeError, ShapeError
from xpcnn.gradient_check import check_pair, gradcheck
from xpcnn.ops import linear_backward, linear_forward

from ..arrays import assert_close

SIZES = st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 6))  # N, in, out


def loops(x, w, b):
    y = np.zeros((len(x), len(w)))
    for n, o in itertools.product(range(len(x)), range(len(w))):
        y[n, o] = 0.0 if b is None else b[o]
        for i in range(x.shape[1]):
            y[n, o] += x[n, i] * w[o, i]
    return y


def loops_backward(x, w, dy):
    """Every term of the forward sum hands its dy to both of its factors."""
    dx, dw, db = np.zeros(x.shape), np.zeros(w.shape), np.zeros(len(w))
    for n, o in itertools.product(*map(range, dy.shape)):
        db[o] += dy[n, o]
        for i in range(x.shape[1]):
            dx[n, i] += dy[n, o] * w[o, i]
            dw[o, i] += dy[n, o] * x[n, i]
    return dx, dw, db


@given(sizes=SIZES, dtype=st.sampled_from(["float32", "float64"]), bias=st.booleans(), seed=st.integers(0, 99))
def test_agrees_with_plain_loops(xp, sizes, dtype, bias, seed):
    rng = np.random.default_rng(seed)
    n, inputs, outputs = sizes
    x, x_ = xp.normal(rng, n, inputs, dtype=dtype)
    w, w_ = xp.normal(rng, outputs, inputs, dtype=dtype)
    b, b_ = xp.normal(rng, outputs, dtype=dtype) if bias else (None, None)
    y, cache = linear_forward(x_, w_, b_)
    assert_close(y, loops(x, w, b).astype(dtype))
    dy, dy_ = xp.normal(rng, n, outputs, dtype=dtype)
    dx, dw, db = loops_backward(*(a.astype("f8") for a in (x, w, dy)))
    for input_grad in (True, False):
        actual_dx, actual_dw, actual_db = linear_backward(dy_, cache, input_grad=input_grad)
        assert_close(actual_dw, dw.astype(dtype))
        assert (actual_db is None) == (not bias)
        if bias:
            assert_close(actual_db, db.astype(dtype))
        assert (actual_dx is None) == (not input_grad)
        if input_grad:
            assert_close(actual_dx, dx.astype(dtype))


@given(sizes=SIZES)
def test_witnesses(xp, sizes):
    rng = np.random.default_rng(0)
    n, inputs, outputs = sizes
    arguments = {
        name: xp.normal(rng, *shape)[1]
        for name, shape in {"x": (n, inputs), "w": (outputs, inputs), "b": (outputs,)}.items()
    }
    report = check_pair(linear_forward, linear_backward, arguments, directions=2)
    assert report.passed, report
    spoken = [row.witness for row in report.rows]
    assert [spoken.count(name) for name in ("central difference", "complex step", "adjoint identity")] == [3, 3, 3]


@given(sizes=SIZES, bias=st.booleans(), seed=st.integers(0, 99))
def test_agrees_with_pytorch(sizes, bias, seed):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(seed)
    n, inputs, outputs = sizes
    arrays = [rng.normal(size=(n, inputs)), rng.normal(size=(outputs, inputs)), *[rng.normal(size=outputs)] * bias]
    dy = rng.normal(size=(n, outputs))
    y, cache = linear_forward(*arrays)
    tensors = [torch.tensor(a, requires_grad=True) for a in arrays]
    expected = torch.nn.functional.linear(*tensors)
    expected.backward(torch.tensor(dy))
    np.testing.assert_allclose(y, expected.detach().numpy(), rtol=1e-12, atol=1e-12)
    gradients = linear_backward(dy, cache)[: len(arrays)]
    for ours, theirs in zip(gradients, tensors, strict=True):
        np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_numbers_stay_finite(xp, rng, dtype):
    x, x_ = xp.normal(rng, 3, 4, dtype=dtype)
    w, w_ = xp.normal(rng, 2, 4, dtype=dtype)
    y, cache = linear_forward(x_ * 1e4, w_ * 1e4)
    assert_close(y / 1e8, loops(x, w, None).astype(dtype))
    dx, dw, _ = linear_backward(y, cache)
    expected_dx, expected_dw, _ = loops_backward(x, w, loops(x, w, None))
    assert_close(dx / 1e12, expected_dx.astype(dtype))
    assert_close(dw / 1e12, expected_dw.astype(dtype))


def test_non_contiguous_inputs(xp, rng):
    x, x_ = xp.normal(rng, 6, 10)
    w, w_ = xp.normal(rng, 5, 4)
    dy, dy_ = xp.normal(rng, 8, 3)
    x, x_ = x[::2, 1::2], x_[::2, 1::2]  # (3, 5)
    w, w_ = w.T, w_.T  # (4, 5)
    dy, dy_ = dy[:4, :].T, dy_[:4, :].T  # (3, 4)
    y, cache = linear_forward(x_, w_)
    assert_close(y, loops(x, w, None))
    for actual, expected in zip(linear_backward(dy_, cache)[:2], loops_backward(x, w, dy)[:2], strict=True):
        assert_close(actual, expected)


def test_one_cache_serves_two_gradients(xp, rng):
    """Backward is linear in dy, and leaves the cache as it was."""
    _, x = xp.normal(rng, 3, 4)
    _, w = xp.normal(rng, 2, 4)
    _, b = xp.normal(rng, 2)
    y, cache = linear_forward(x, w, b)
    first, doubled = linear_backward(y, cache), linear_backward(2 * y, cache)
    for one, two in zip(first, doubled, strict=True):
        assert_close(two - 2 * one, np.zeros(one.shape))


@pytest.mark.parametrize(
    ("x", "w", "b", "text"),
    [
        ((4, 5), (2, 3), None, r"Linear\(3→2\): expected input \(N, 3\), got \(4, 5\); build the layer for 5"),
        ((3,), (2, 3), None, r"Linear\(3→2\): expected input \(N, 3\), got \(3,\); add the batch axis"),
        ((4, 7, 3), (2, 3), None, r"input \(N, 3\), got \(4, 7, 3\)"),
        ((0, 3), (2, 3), None, "at least one item"),
        ((4, 3), (3,), None, r"weight \(out, in\), got \(3,\)"),
        ((4, 3), (2, 3), (3,), r"bias \(2,\), got \(3,\)"),
        ((4, 3), (2, 3), (1,), r"bias \(2,\), got \(1,\)"),  # would broadcast
    ],
)
def test_shapes_that_do_not_fit(xp, x, w, b, text):
    arrays = [None if shape is None else xp.array(np.ones(shape)) for shape in (x, w, b)]
    with pytest.raises(ShapeError, match=text) as caught:
        linear_forward(*arrays)
    assert "\n" not in str(caught.value)


def test_dtypes_and_gradients_that_do_not_fit(xp):
    x, w, b = (xp.array(np.ones(shape), "float32") for shape in ((4, 3), (2, 3), (2,)))
    with pytest.raises(DTypeError, match="float32 or float64, got int64"):
        linear_forward(xp.array(np.ones((4, 3), "int64")), w, b)
    with pytest.raises(DTypeError, match="float64 and float32"):
        linear_forward(xp.array(np.ones((4, 3))), w, b)
    with pytest.raises(DTypeError, match="float32 and float64"):
        linear_forward(x, w, xp.array(np.ones(2)))
    _, cache = linear_forward(x, w, b)
    with pytest.raises(ShapeError, match=r"Linear backward: expected dy \(4, 2\).*got \(4, 3\)"):
        linear_backward(x, cache)
    with pytest.raises(ShapeError, match=r"dy \(4, 2\).*got \(1, 2\)"):
        linear_backward(xp.array(np.ones((1, 2)), "float32"), cache)
    with pytest.raises(DTypeError, match="float64 and float32"):
        linear_backward(xp.array(np.ones((4, 2))), cache)


@pytest.mark.parametrize("shape", [(2, 5, 3), (2, 4, 5, 3)])
def test_the_layer_on_the_last_axis_of_anything(xp, rng, shape):
    layer = nn.Linear(3, 4, rng=0).astype("float64")
    host, x = xp.normal(rng, *shape)
    y, cache = layer.forward(x)
    weight, bias = to_numpy(layer.weight), to_numpy(layer.bias)
    expected = np.zeros((*shape[:-1], 4))
    for place in np.ndindex(*shape[:-1]):
        expected[place] = weight @ host[place] + bias
    assert_close(y, expected)
    dy, dy_ = xp.normal(rng, *expected.shape)
    dx, grads = layer.backward(dy_, cache)
    assert_close(dx, dy @ weight)
    assert_close(grads["weight"], sum(np.outer(dy[place], host[place]) for place in np.ndindex(*shape[:-1])))
    assert_close(grads["bias"], dy.reshape(-1, 4).sum(0))
    assert layer.backward(dy_, cache, input_grad=False)[0] is None
    assert gradcheck(layer, x).passed
    with pytest.raises(ShapeError, match=r"Linear backward: expected dy"):
        layer.backward(dy_[..., :3], cache)
    with pytest.raises(ShapeError, match=r"Linear\(3→4\): expected input \(N, 3\), got"):
        layer(dy_)


def test_it_is_the_same_in_a_file_for_onnx_and_before_flattening(tmp_path, rng):
    pytest.importorskip("onnxruntime")
    from ..exchange.onnx.graphs import compare

    x = rng.normal(size=(2, 3, 4, 3)).astype("float32")
    compare(tmp_path / "m.onnx", nn.Linear(3, 5, rng=0), x, back=False)
    compare(
        tmp_path / "m.onnx", nn.Sequential(nn.Linear(3, 5, rng=0), nn.Flatten(), nn.Linear(60, 2, rng=1)), x, back=False
    )
    compare(tmp_path / "m.onnx", nn.Linear(3, 5, bias=False, rng=0), x[:, 0], back=False)
