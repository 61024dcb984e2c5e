"""Losses: values and gradients against plain loops, differences, PyTorch; that each gradient is of the loss that
was returned; and that large logits are safe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.backend import to_numpy
from xpcnn.gradient_check import check_pair
from xpcnn.nn import Linear

from .. import reference_loss as reference
from ..arrays import assert_close, needs_torch
from .losses import ELEMENTWISE, LABELLED, check, pair, run

REDUCTIONS = st.sampled_from(["mean", "sum"])
DTYPES = st.sampled_from(["float32", "float64"])
SIZES = st.lists(st.integers(1, 4), min_size=1, max_size=4)


@given(shape=SIZES, reduction=REDUCTIONS, dtype=DTYPES, delta=st.sampled_from([0.3, 1.0, 2.5]), seed=st.integers(0, 99))
def test_regression_agrees_with_plain_loops(xp, shape, reduction, dtype, delta, seed):
    rng = np.random.default_rng(seed)
    y, y_ = xp.normal(rng, *shape, dtype=dtype)
    t, t_ = xp.normal(rng, *shape, dtype=dtype)
    y, t, mean = y.astype("f8"), t.astype("f8"), reduction == "mean"
    check("mse", y_, t_, reference.mse(y, t, mean), dtype, reduction=reduction)
    check("mae", y_, t_, reference.mae(y, t, mean), dtype, reduction=reduction)
    expected = reference.huber(y, t, delta, mean)
    check("huber", y_, t_, expected, dtype, delta=delta, reduction=reduction)


@pytest.mark.parametrize("weighted", ["no", "scalar", "vector"])
@given(shape=SIZES, reduction=REDUCTIONS, dtype=DTYPES, soft=st.booleans(), seed=st.integers(0, 99))
def test_bce_agrees_with_plain_loops(xp, weighted, shape, reduction, dtype, soft, seed):
    rng = np.random.default_rng(seed)
    y, y_ = xp.normal(rng, *shape, dtype=dtype)
    t = (rng.uniform(size=shape) if soft else rng.integers(0, 2, shape)).astype(dtype)
    w = {"no": None, "scalar": np.asarray(2.5), "vector": rng.uniform(0.5, 3, shape[-1])}[weighted]
    w = None if w is None else w.astype(dtype)
    w_ = None if w is None else xp.array(w, dtype)
    expected = reference.bce_with_logits(y.astype("f8"), t.astype("f8"), w, reduction == "mean")
    check("bce_with_logits", y_, xp.array(t, dtype), expected, dtype, pos_weight=w_, reduction=reduction)


@given(
    n=st.integers(1, 5),
    k=st.integers(1, 5),
    reduction=REDUCTIONS,
    dtype=DTYPES,
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 0.9]),
    labels_dtype=st.sampled_from(["int64", "int32", "uint8"]),
    seed=st.integers(0, 99),
)
def test_classification_agrees_with_plain_loops(xp, n, k, reduction, dtype, weighted, smoothing, labels_dtype, seed):
    rng = np.random.default_rng(seed)
    y, y_ = xp.normal(rng, n, k, dtype=dtype)
    labels = rng.integers(0, k, n)
    labels_ = xp.array(labels.astype(labels_dtype))
    soft = rng.dirichlet(np.ones(k), n).astype(dtype)
    w = rng.uniform(0.5, 2, k).astype(dtype) if weighted else None
    options = {"weight": None if w is None else xp.array(w, dtype), "reduction": reduction}
    y, mean = y.astype("f8"), reduction == "mean"
    expected = reference.cross_entropy(y, labels, w, smoothing, mean)
    check("cross_entropy", y_, labels_, expected, dtype, label_smoothing=smoothing, **options)
    expected = reference.cross_entropy(y, soft.astype("f8"), w, smoothing, mean)
    check("cross_entropy", y_, xp.array(soft, dtype), expected, dtype, label_smoothing=smoothing, **options)
    check("nll", y_, labels_, reference.nll(y, labels, w, mean), dtype, **options)
    check("hinge", y_, labels_, reference.hinge(y, labels, mean), dtype, reduction=reduction)


@needs_torch
@given(
    n=st.integers(1, 6),
    k=st.integers(2, 6),
    reduction=REDUCTIONS,
    weighted=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.2]),
    scale=st.sampled_from([0.1, 1.0, 100.0]),
    seed=st.integers(0, 999),
)
def test_agrees_with_pytorch(n, k, reduction, weighted, smoothing, scale, seed):
    import torch

    rng = np.random.default_rng(seed)
    y, t = scale * rng.normal(size=(n, k)), rng.normal(size=(n, k))
    y[0, 0] = t[0, 0]  # a kink of the absolute error
    labels, soft = rng.integers(0, k, n), rng.dirichlet(np.ones(k), n)
    y[-1] = 0.0
    y[-1, labels[-1]] = 1.0  # a kink of the hinge
    w = rng.uniform(0.5, 2, k) if weighted else None
    w_ = None if w is None else torch.tensor(w)
    nn = torch.nn.functional
    logs = {"weight": w, "label_smoothing": smoothing}
    logs_ = {"weight": w_, "label_smoothing": smoothing}
    for name, theirs, target, options, options_ in (
        ("mse", nn.mse_loss, t, {}, {}),
        ("mae", nn.l1_loss, t, {}, {}),
        ("huber", nn.huber_loss, t, {"delta": 0.7}, {"delta": 0.7}),
        ("bce_with_logits", nn.binary_cross_entropy_with_logits, soft, {"pos_weight": w}, {"pos_weight": w_}),
        ("cross_entropy", nn.cross_entropy, labels, logs, logs_),
        ("cross_entropy", nn.cross_entropy, soft, logs, logs_),
        ("nll", nn.nll_loss, labels, {"weight": w}, {"weight": w_}),
        ("hinge", nn.multi_margin_loss, labels, {}, {}),
    ):
        loss, dy = run(name, y, target, reduction=reduction, **options)
        y_ = torch.tensor(y, requires_grad=True)
        loss_ = theirs(y_, torch.tensor(target), reduction=reduction, **options_)
        loss_.backward()
        np.testing.assert_allclose(loss, loss_.item(), rtol=1e-12, atol=1e-12, err_msg=name)
        np.testing.assert_allclose(dy, y_.grad, rtol=1e-10, atol=1e-12, err_msg=name)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("name", [*ELEMENTWISE, *LABELLED, "soft"])
def test_witnesses(xp, rng, name, reduction):
    """Factors of two and of N cannot hide: the witnesses differentiate the very loss that forward returned."""
    _, y = xp.normal(rng, 5, 4)
    _, t = xp.normal(rng, 5, 4)
    if name in LABELLED:
        target = xp.array([3, 0, 1, 1, 2])
    else:
        target = t if name != "soft" else xp.array(rng.dirichlet(np.ones(4), 5))
    forward, backward = pair("cross_entropy" if name == "soft" else name)
    report = check_pair(
        lambda y: forward(y, target, reduction=reduction),
        lambda dy, cache: (backward(cache) * dy,),
        {"y": y},
    )
    assert report.passed, report
    assert {row.witness for row in report.rows} >= {"central difference"}
    if name == "nll":
        assert "adjoint identity" in {row.witness for row in report.rows}


@pytest.mark.parametrize("reduction", ["mean", "sum"])
def test_mse_by_complex_steps(xp, rng, reduction):
    """d·d is analytic, so its gradient is known to rounding."""
    (_, y), (_, t) = xp.normal(rng, 5, 4), xp.normal(rng, 5, 4)
    forward, backward = pair("mse")
    report = check_pair(
        lambda y, t: forward(y, t, reduction=reduction),
        lambda dy, cache: (backward(cache) * dy, None),
        {"y": y, "target": t},
    )
    assert report.passed, report
    assert {row.witness for row in report.rows} == {"central difference", "complex step"}


def test_a_network_s_gradients_are_all_of_the_same_loss(xp, rng):
    """The seeds' mistakes: the MSE's gradient off by two from its loss; dW divided by N inside the layer, dx not.

    The derivative of the printed loss by every single input, weight and bias, without looking at how it is made.
    """
    layer = Linear(3, 2, rng=0).astype("float64")
    x, t = rng.normal(size=(5, 3)), rng.normal(size=(5, 2))
    y, cache = layer.forward(xp.array(x))
    forward, backward = pair("mse")
    _, loss_cache = forward(y, xp.array(t))
    dx, grads = layer.backward(backward(loss_cache), cache)
    w, b = to_numpy(layer.weight).copy(), to_numpy(layer.bias).copy()

    def loss():
        return ((x @ w.T + b - t) ** 2).mean()

    for array, gradient in ((x, dx), (w, grads["weight"]), (b, grads["bias"])):
        expected = np.zeros_like(array)
        for index in np.ndindex(*array.shape):
            kept = array[index]
            array[index] = kept + 0.5
            above = loss()
            array[index] = kept - 0.5
            expected[index] = above - loss()  # exact: the loss is a parabola in each number
            array[index] = kept
        assert_close(gradient, expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [100.0, 1e4])
def test_large_logits_are_safe(xp, dtype, size):
    """The seeds' mistake: softmax without the shift by the maximum. Values known by heart, no overflow warnings."""
    y = np.array([[size, 0.0, -size], [-size, -size, size]])
    labels = np.array([2, 2])
    loss, dy = run("cross_entropy", xp.array(y, dtype), xp.array(labels))
    assert_close(loss, np.asarray(size, dtype))  # (2·size + 0) / 2
    assert_close(dy, np.array([[0.5, 0, -0.5], [0, 0, 0]], dtype))
    loss, dy = run("bce_with_logits", xp.array(y, dtype), xp.array(np.zeros((2, 3)), dtype))
    assert_close(loss, np.asarray((2 * size + np.log(2)) / 6, dtype))
    assert_close(dy, np.array([[1, 0.5, 0], [0, 0, 1]], dtype) / 6)
    loss, dy = run("bce_with_logits", xp.array(y, dtype), xp.array(np.ones((2, 3)), dtype))
    assert_close(dy, np.array([[0, -0.5, -1], [-1, -1, 0]], dtype) / 6)
    for name in ("mse", "mae", "huber"):
        for value in run(name, xp.array(y, dtype), xp.array(-y, dtype)):
            assert np.isfinite(to_numpy(value)).all()
    assert np.isfinite(to_numpy(run("hinge", xp.array(y, dtype), xp.array(labels))[0]))


def test_rows_of_very_different_size_are_shifted_each_by_its_own_maximum(xp):
    """Shifted by the batch's maximum, the second row would be all −∞."""
    y = np.array([[2000.0, 0.0], [-2000.0, -2000.0]])
    loss, dy = run("cross_entropy", xp.array(y), xp.array([0, 1]))
    assert_close(loss, np.asarray(np.log(2) / 2))
    assert_close(dy, np.array([[0, 0], [0.25, -0.25]]))


def test_shifting_all_logits_of_a_row_changes_nothing(xp, rng):
    y, y_ = xp.normal(rng, 4, 3)
    labels = xp.array([0, 2, 1, 1])
    loss, dy = run("cross_entropy", y_, labels)
    shifted = run("cross_entropy", xp.array(y + 2.0**20), labels)
    np.testing.assert_allclose(to_numpy(shifted[0]), to_numpy(loss), atol=1e-9)
    np.testing.assert_allclose(to_numpy(shifted[1]), to_numpy(dy), atol=1e-9)


def test_relative_accuracy_far_from_the_boundary(xp):
    """A confident right answer has a small loss, not zero: log1p keeps its digits. (Softmax with two classes
    has the limits of 1 + tiny.)"""
    loss, dy = run("bce_with_logits", xp.array([40.0]), xp.array([1.0]))
    np.testing.assert_allclose(to_numpy(loss), np.exp(-40.0), rtol=1e-12)
    np.testing.assert_allclose(to_numpy(dy), [-np.exp(-40.0)], rtol=1e-12)


@pytest.mark.parametrize(("dtype", "largest"), [("float32", 3e38), ("float64", 1e308)])
@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_right_answers_keep_their_digits_on_both_sides(xp, dtype, largest, weight):
    for y, target in ((-17.0, 0), (-40.0, 0), (40.0, 1), (-largest, 0), (largest, 1)):
        loss, _ = run(
            "bce_with_logits", xp.array([y], dtype), xp.array([target], dtype), pos_weight=xp.array([weight], dtype)
        )
        expected = np.log1p(np.exp(-abs(y))) * (weight if target else 1)
        np.testing.assert_allclose(to_numpy(loss), expected, rtol=1e-5)


@pytest.mark.parametrize("name", LABELLED)
def test_kinks_and_known_values(xp, name):
    labels = xp.array([0])
    y = xp.array([[2.0, 1.0, 0.5]])  # the second class is at the hinge's kink, the third beyond it
    loss, dy = run(name, y, labels)
    if name == "hinge":
        assert_close(loss, np.asarray(0.0))
        assert_close(dy, np.zeros((1, 3)))
    elif name == "nll":
        assert_close(loss, np.asarray(-2.0))
    else:
        assert_close(loss, np.log(1 + np.exp(-1.0) + np.exp(-1.5)))


def test_many_classes_and_small_label_types(xp, rng):
    """Labels of uint8 meet 300 classes without wrapping around."""
    y, y_ = xp.normal(rng, 2, 300)
    labels = np.array([255, 3], "uint8")
    check("nll", y_, xp.array(labels), reference.nll(y, labels), "float64")


def test_arguments_are_left_alone_and_need_no_order(xp, rng):
    """Strided views in, and nothing written (the read-only arrays would say so)."""
    y, y_ = xp.normal(rng, 8, 6)
    t, t_ = xp.normal(rng, 8, 6)
    for name in ELEMENTWISE:
        loss, dy = run(name, y_[::2, 1::2], t_[::2, 1::2])
        contiguous = run(name, xp.array(y[::2, 1::2].copy()), xp.array(t[::2, 1::2].copy()))
        assert_close(loss, to_numpy(contiguous[0]))
        assert_close(dy, to_numpy(contiguous[1]))
    labels = np.array([2, 9, 0, 9, 1, 9, 1, 9])
    expected = reference.cross_entropy(y[::2, ::2], labels[::2])
    check("cross_entropy", y_[::2, ::2], xp.array(labels)[::2], expected, "float64")
