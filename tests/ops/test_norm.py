"""Batch, layer and group norm: values and gradients against plain loops, witnesses, PyTorch, odd inputs."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from xpcnn.backend import to_numpy
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import check_pair
from xpcnn.ops.batch_norm import batch_norm_backward, batch_norm_forward, batch_norm_inference
from xpcnn.ops.norm import group_norm_backward, group_norm_forward, layer_norm_backward, layer_norm_forward

from .. import reference_norm as reference
from ..arrays import assert_close, needs_torch

AFFINE = st.sampled_from([(True, True), (True, False), (False, True), (False, False)])
EPS = 1e-3


def batch_norm(x, gamma, beta):
    y, cache, _ = batch_norm_forward(x, gamma, beta, eps=EPS)
    return y, cache


def cases(kind, shape, option):
    """(forward, backward, sets, shape of gamma and beta); option: k of layer norm, G of group norm."""
    if kind == "batch":
        return batch_norm, batch_norm_backward, reference.batch_sets(shape), shape[-1:]
    if kind == "layer":
        axes = min(option, len(shape) - 1)
        return (
            lambda x, gamma, beta: layer_norm_forward(x, gamma, beta, axes=axes, eps=EPS),
            layer_norm_backward,
            reference.layer_sets(shape, axes),
            shape[len(shape) - axes :],
        )
    return (
        lambda x, gamma, beta: group_norm_forward(x, gamma, beta, groups=option, eps=EPS),
        group_norm_backward,
        reference.group_sets(shape, option),
        shape[-1:],
    )


@st.composite
def shapes(draw, kind):
    """A batch with zero to two axes between N and C, and the option that goes with it."""
    option = draw(st.integers(1, 3))
    between = draw(st.lists(st.integers(1, 3), max_size=2))
    channels = draw(st.integers(1, 3)) * (option if kind == "group" else 1)
    return (draw(st.integers(2, 3)), *between, channels), option


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@given(data=st.data(), affine=AFFINE, dtype=st.sampled_from(["float32", "float64"]), seed=st.integers(0))
def test_agrees_with_plain_loops(xp, kind, data, affine, dtype, seed):
    rng = np.random.default_rng(seed)
    shape, option = data.draw(shapes(kind))
    forward, backward, sets, affine_shape = cases(kind, shape, option)
    x, x_ = xp.normal(rng, *shape, dtype=dtype)
    gamma, gamma_ = xp.normal(rng, *affine_shape, dtype=dtype)
    beta, beta_ = xp.normal(rng, *affine_shape, dtype=dtype)
    dy, dy_ = xp.normal(rng, *shape, dtype=dtype)
    x, dy = x.astype("f8"), dy.astype("f8")
    if not affine[0]:
        gamma, gamma_ = np.ones(affine_shape), None
    if not affine[1]:
        beta, beta_ = np.zeros(affine_shape), None
    x_hat = reference.normalise(x, sets, EPS)
    y, cache = forward(x_, gamma_, beta_)
    assert_close(y, (x_hat * gamma + beta).astype(dtype), factor=10)
    dx, dgamma, dbeta = backward(dy_, cache)
    assert_close(dx, reference.normalise_gradient(x, dy * gamma, sets, EPS).astype(dtype), factor=50)
    shared = tuple(range(len(shape) - len(affine_shape)))
    for grad, expected, there in zip((dgamma, dbeta), (dy * x_hat, dy), affine, strict=True):
        if there:
            assert_close(grad, expected.sum(shared).astype(dtype), factor=10)
        else:
            assert grad is None
    assert backward(dy_, cache, input_grad=False)[0] is None


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("shape", [(5, 6), (2, 3, 2, 4)])
def test_witnesses(xp, kind, shape, rng):
    forward, backward, _, affine_shape = cases(kind, shape, 2)
    arrays = {"x": xp.normal(rng, *shape)[1]}
    arrays |= {name: xp.normal(rng, *affine_shape)[1] for name in ("gamma", "beta")}
    report = check_pair(forward, backward, arrays, directions=3)
    assert report.passed, report
    spoke = [(row.argument, row.witness) for row in report.rows]
    assert [witness for _, witness in spoke].count("complex step") == 3
    assert ("gamma", "adjoint identity") in spoke
    assert ("beta", "adjoint identity") in spoke


@needs_torch
@given(data=st.data(), seed=st.integers(0), kind=st.sampled_from(["batch", "layer", "group"]))
def test_agrees_with_pytorch(kind, data, seed):
    import torch

    functions = torch.nn.functional
    rng = np.random.default_rng(seed)
    shape, option = data.draw(shapes(kind))
    forward, backward, _, affine_shape = cases(kind, shape, option)
    arrays = rng.normal(size=shape), rng.normal(size=affine_shape), rng.normal(size=affine_shape)
    dy = rng.normal(size=shape)
    x_t, gamma_t, beta_t = (torch.tensor(array, requires_grad=True) for array in arrays)
    first = x_t.movedim(-1, 1)  # channels first
    if kind == "batch":
        y_t = functions.batch_norm(first, None, None, gamma_t, beta_t, True, eps=EPS).movedim(1, -1)
    elif kind == "layer":
        y_t = functions.layer_norm(x_t, affine_shape, gamma_t, beta_t, EPS)
    else:
        y_t = functions.group_norm(first, option, gamma_t, beta_t, EPS).movedim(1, -1)
    y_t.backward(torch.tensor(dy))
    y, cache = forward(*arrays)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=0, atol=1e-11)
    for actual, tensor in zip(backward(dy, cache), (x_t, gamma_t, beta_t), strict=True):
        np.testing.assert_allclose(actual, tensor.grad.numpy(), rtol=1e-10, atol=1e-10)


def test_batch_statistics_and_inference(xp, rng):
    x, x_ = xp.normal(rng, 4, 3, 5, 2)
    gamma, gamma_ = xp.normal(rng, 2)
    beta, beta_ = xp.normal(rng, 2)
    y, _, (mean, var) = batch_norm_forward(x_, gamma_, beta_, eps=EPS)
    assert_close(mean, x.mean((0, 1, 2)))
    assert_close(var, x.var((0, 1, 2)))
    again = batch_norm_inference(x_, gamma_, beta_, mean, var, eps=EPS)
    assert_close(again, (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + EPS) * gamma + beta)
    assert_close(y, (x - x.mean((0, 1, 2))) / np.sqrt(x.var((0, 1, 2)) + EPS) * gamma + beta)
    mean, var = np.array([1.0, -2.0]), np.array([4.0, 0.25])
    plain = batch_norm_inference(x_, None, None, xp.array(mean), xp.array(var), eps=EPS)
    assert_close(plain, (x - mean) / np.sqrt(var + EPS))


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_large_and_constant_inputs(xp, kind, dtype):
    """A mean far from 0 costs no variance (E[x²] − E[x]² would), and a constant channel gives β, not NaN."""
    forward, backward, sets, affine_shape = cases(kind, (8, 4), 2)
    x = 1e4 + np.arange(32.0).reshape(8, 4) ** 2 % 7
    ones = xp.array(np.ones(affine_shape), dtype)
    y, _ = forward(xp.array(x, dtype), ones, ones)
    assert_close(y, (reference.normalise(x, sets, EPS) + 1).astype(dtype), factor=50)
    y, cache = forward(xp.array(np.full((8, 4), -1e4), dtype), ones, ones)
    assert_close(y, np.ones((8, 4), dtype))
    assert_close(backward(xp.array(np.ones((8, 4)), dtype), cache)[0], np.zeros((8, 4), dtype))


CONSTANTS = [0.1, -0.02, 1 / 3, 7.7, -1e4 / 3, 123456.7]


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("value", CONSTANTS)
def test_a_set_that_is_the_same_everywhere(xp, rng, kind, dtype, value):
    """x̂ is 0, and so is dγ, to the last bit: r is 1/√ε, and would multiply what a rounded mean leaves of x."""
    forward, backward, _, affine_shape = cases(kind, (7, 11, 13, 6), 3)
    ones = xp.array(np.ones(affine_shape), dtype)
    y, cache = forward(xp.array(np.full((7, 11, 13, 6), value), dtype), ones, ones)
    np.testing.assert_array_equal(to_numpy(y), 1)
    _, dgamma, _ = backward(xp.array(rng.uniform(1, 2, (7, 11, 13, 6)), dtype), cache)
    np.testing.assert_array_equal(to_numpy(dgamma), 0)


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize("offset", [0.1, 1e4, 1e7])
@pytest.mark.parametrize("first", [0.0, 30.0])
def test_numbers_far_from_zero(xp, rng, kind, offset, first):
    """float32 as float64 on the same numbers: some steps of the last digit apart, the first perhaps far from others."""
    shape = (7, 5, 6, 6)
    forward, backward, sets, affine_shape = cases(kind, shape, 3)
    steps = rng.integers(-2, 3, shape).astype(float)
    steps[0, 0, 0] = first
    x = (np.float32(offset) + np.spacing(np.float32(offset)) * steps).astype("f4")
    ones = xp.array(np.ones(affine_shape), "float32")
    dy = rng.normal(size=shape).astype("f4")
    y, cache = forward(xp.array(x, "float32"), ones, ones)
    x_hat = reference.normalise(x.astype("f8"), sets, EPS)
    np.testing.assert_allclose(to_numpy(y), x_hat + 1, rtol=1e-5, atol=2e-6)
    dx, dgamma, _ = backward(xp.array(dy, "float32"), cache)
    shared = tuple(range(len(shape) - len(affine_shape)))
    np.testing.assert_allclose(to_numpy(dgamma), (dy * x_hat).sum(shared), rtol=1e-4, atol=1e-4 * np.abs(x_hat).max())
    expected = reference.normalise_gradient(x.astype("f8"), dy.astype("f8"), sets, EPS)
    np.testing.assert_allclose(to_numpy(dx), expected, rtol=1e-4, atol=1e-4 * np.abs(expected).max())


def test_statistics_far_from_zero(xp, rng):
    x = rng.normal(1e4, 1, (16, 9, 8, 3)).astype("f4")
    _, _, (mean, var) = batch_norm_forward(xp.array(x, "float32"))
    np.testing.assert_allclose(to_numpy(mean), x.astype("f8").mean((0, 1, 2)), rtol=1e-7)
    np.testing.assert_allclose(to_numpy(var), x.astype("f8").var((0, 1, 2)), rtol=1e-5)


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
@pytest.mark.parametrize(("dtype", "size"), [("float32", 1e20), ("float32", 1e35), ("float64", 1e200)])
def test_numbers_whose_squares_overflow(xp, rng, kind, dtype, size):
    """On NumPy the output and the gradients are right, beside sets of usual size; on a device NaN, where 0 would be."""
    shape = (6, 2, 2, 6)
    forward, backward, sets, affine_shape = cases(kind, shape, 3)
    x = rng.normal(size=shape)
    x[:2] *= 1 if kind == "batch" else size  # whole items
    x[2:, :, :, :2] *= size  # a group, channels, a part of each set
    x, dy = x.astype(dtype), rng.normal(size=shape).astype(dtype)
    ones = xp.array(np.ones(affine_shape), dtype)
    with np.errstate(over="ignore", invalid="ignore"):
        y, cache = forward(xp.array(x, dtype), ones, None)
        dx, dgamma, _ = backward(xp.array(dy, dtype), cache)
    exact = np.longdouble
    x_hat = reference.normalise(x.astype(exact), sets, EPS)
    if xp.backend != "numpy":
        assert np.isnan(to_numpy(y)).any()
        assert np.all(np.isnan(to_numpy(y)) | (np.abs(to_numpy(y) - x_hat) < 1e-3))
        return
    np.testing.assert_allclose(to_numpy(y), x_hat.astype("f8"), rtol=1e-4, atol=1e-6)
    shared = tuple(range(len(shape) - len(affine_shape)))
    np.testing.assert_allclose(to_numpy(dgamma), (dy * x_hat).sum(shared).astype("f8"), rtol=1e-3, atol=1e-5)
    expected = reference.normalise_gradient(x.astype(exact), dy.astype(exact), sets, EPS)
    scale = np.abs(expected).max(axis=(1, 2), keepdims=True)
    assert (np.abs(to_numpy(dx) - expected) <= 1e-4 * scale + 1e-300).all()


def test_a_variance_that_overflows_is_seen_in_inference(xp):
    """0 would be β for every image."""
    one = xp.array([1.0, 1.0], "float32")
    x, var = xp.array([[2.0, 2.0]], "float32"), xp.array([np.inf, 1.0], "float32")
    with np.errstate(invalid="ignore"):
        y = batch_norm_inference(x, one, one, one, var)
    np.testing.assert_array_equal(np.isnan(to_numpy(y)), [[True, False]])


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_strided_inputs(kind, rng):
    forward, backward, _, affine_shape = cases(kind, (3, 4, 4), 2)
    x, dy = rng.normal(size=(6, 8, 5))[::-2, ::2, 1:], rng.normal(size=(4, 4, 3)).transpose(2, 1, 0)
    gamma = rng.normal(size=(*affine_shape, 2))[..., 0]
    y, cache = forward(x, gamma, gamma)
    packed, packed_cache = forward(x.copy(), gamma.copy(), gamma.copy())
    np.testing.assert_allclose(y, packed, rtol=0, atol=1e-13)
    for a, b in zip(backward(dy, cache), backward(dy.copy(), packed_cache), strict=True):
        np.testing.assert_allclose(a, b, rtol=0, atol=1e-12)


@pytest.mark.parametrize("kind", ["batch", "layer", "group"])
def test_bad_input_is_refused(xp, kind):
    forward, backward, _, _ = cases(kind, (2, 4), 2)
    forward = cases(kind, (2, 4), 1)[0] if kind == "layer" else forward
    good, four = xp.array(np.ones((2, 4))), xp.array(np.ones(4))
    with pytest.raises(ShapeError, match=r"Norm: expected weight \(4,\) for this input, got \(3,\)"):
        forward(good, xp.array(np.ones(3)), None)
    with pytest.raises(ShapeError, match=r"Norm: expected bias \(4,\) for this input, got \(1,\)"):
        forward(good, four, xp.array(np.ones(1)))
    with pytest.raises(ShapeError, match="skip empty batches"):
        forward(xp.array(np.ones((0, 4))), None, None)
    with pytest.raises(ShapeError, match=r"got \(4,\)"):
        forward(four, None, None)
    with pytest.raises(DTypeError, match="Norm: expected arrays of one dtype, got float32 and float64"):
        forward(xp.array(np.ones((2, 4)), "float32"), four, None)
    with pytest.raises(DTypeError, match="expected float32 or float64, got int64"):
        forward(xp.array(np.ones((2, 4), "i8")), None, None)
    _, cache = forward(good, four, four)
    with pytest.raises(ShapeError, match=r"Norm backward: expected dy \(2, 4\)"):
        backward(xp.array(np.ones((2, 1))), cache)
    with pytest.raises(DTypeError, match="Norm backward: expected arrays of one dtype"):
        backward(xp.array(np.ones((2, 4)), "float32"), cache)


def test_bad_options_are_refused(xp):
    x, four = xp.array(np.ones((2, 4))), xp.array(np.ones(4))
    with pytest.raises(ShapeError, match="BatchNorm: expected more than one value a channel to train on"):
        batch_norm_forward(xp.array(np.ones((1, 1, 1, 4))))
    with pytest.raises(OptionError, match=r"BatchNorm: expected eps: a number in \(0, inf\), got 0"):
        batch_norm_forward(x, eps=0)
    with pytest.raises(ShapeError, match=r"BatchNorm: expected var \(4,\) for this input, got \(1,\)"):
        batch_norm_inference(x, None, None, four, xp.array(np.ones(1)))
    with pytest.raises(DTypeError, match="BatchNorm: expected arrays of one dtype"):
        batch_norm_inference(x, None, None, four, xp.array(np.ones(4), "float32"))
    for axes in (0, 2):
        with pytest.raises(ShapeError, match="LayerNorm: expected a batch axis and"):
            layer_norm_forward(x, axes=axes)
    for groups in (0, 3):
        with pytest.raises(OptionError, match="GroupNorm: expected groups that divide the 4 channels"):
            group_norm_forward(x, groups=groups)
