"""Clipping: values, the norm, and PyTorch's clipping; numbers of any size; that zero gradients stay, and arguments are
not written."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.backend import dtype_name, to_numpy
from xpcnn.errors import DTypeError, OptionError
from xpcnn.optim.clip import clip_by_norm, clip_by_value

from ..arrays import assert_close, needs_torch


def draw(xp, rng, dtype="float64"):
    hosts = {"0.weight": rng.normal(size=(3, 4)), "0.bias": rng.normal(size=3)}
    return hosts, {name: xp.array(host, dtype) for name, host in hosts.items()}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_by_value(xp, rng, dtype):
    hosts, grads = draw(xp, rng, dtype)
    clipped = clip_by_value(grads, 0.5)
    assert list(clipped) == list(hosts)
    for name, host in hosts.items():
        assert_close(clipped[name], np.minimum(np.maximum(host, -0.5), 0.5).astype(dtype))
        assert_close(grads[name], host.astype(dtype))
    assert clip_by_value({}, 1.0) == {}


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [0.1, 0.999, 1.0, 1.001, 10.0])
def test_by_norm(xp, rng, dtype, share):
    """One norm over all parameters, as long as it was or max_norm long, and never longer than it was."""
    hosts, grads = draw(xp, rng, dtype)
    true = np.sqrt(sum((host**2).sum() for host in hosts.values()))
    clipped, norm = clip_by_norm(grads, share * true)
    assert_close(norm, np.asarray(true, dtype))
    for name, host in hosts.items():
        assert_close(clipped[name], (host * min(share, 1.0)).astype(dtype))
        assert_close(grads[name], host.astype(dtype))
    if share > 1:
        for name in hosts:
            np.testing.assert_array_equal(to_numpy(clipped[name]), to_numpy(grads[name]))


def test_a_gradient_without_a_number_is_left_as_it_is(xp):
    grads = {"a": xp.array(np.zeros(0)), "b": xp.array(np.full(4, 3.0))}
    clipped, norm = clip_by_norm(grads, 1.5)
    assert (clipped["a"].shape, float(norm)) == ((0,), 6.0)
    assert_close(clipped["b"], np.full(4, 0.75))
    with pytest.raises(OptionError, match="clip_by_norm: expected at least one gradient, got 1 without a number"):
        clip_by_norm({"a": grads["a"]}, 1.5)


@needs_torch
def test_as_pytorch(rng):
    import torch

    params = [torch.zeros(3, 4, dtype=torch.float64), torch.zeros(3, dtype=torch.float64)]
    grads = {str(i): rng.normal(size=tuple(p.shape)) for i, p in enumerate(params)}
    for i, p in enumerate(params):
        p.grad = torch.tensor(grads[str(i)])
    norm_ = torch.nn.utils.clip_grad_norm_(params, 0.5)
    clipped, norm = clip_by_norm(grads, 0.5)
    np.testing.assert_allclose(norm, norm_.item(), rtol=1e-14)
    for i, p in enumerate(params):
        np.testing.assert_allclose(clipped[str(i)], p.grad, rtol=1e-5)  # PyTorch adds 1e-6 to the norm


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_zero_stays_zero(xp, dtype):
    clipped, norm = clip_by_norm({"weight": xp.array(np.zeros((2, 3)), dtype)}, 1.0)
    assert_close(norm, np.asarray(0.0, dtype))
    assert_close(clipped["weight"], np.zeros((2, 3), dtype))


def test_large_gradients(xp):
    clipped, norm = clip_by_norm({"weight": xp.array([3e4, -4e4], "float32")}, 1.0)
    assert_close(norm, np.asarray(5e4, "float32"))
    assert_close(clipped["weight"], np.array([0.6, -0.8], "float32"))


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("share", [1e-3, 0.5, 2.0])
@pytest.mark.parametrize("exponent", [0.9, 0.5, -0.5, -0.9])
def test_norms_whose_squares_are_out_of_range(xp, dtype, share, exponent):
    """Of 10³⁴ in float32, say, and 10⁻³⁴: the norm, and gradients as long as they should be."""
    size = float(np.finfo(dtype).max) ** exponent
    hosts = {"a": np.array([2.0, 1.0, 0.0]), "b": np.array([[-2.0], [4.0]])}  # of the norm 5
    grads = {name: xp.array(host * size, dtype) for name, host in hosts.items()}
    clipped, norm = clip_by_norm(grads, 5 * share * size)
    assert dtype_name(norm) == dtype
    assert float(to_numpy(norm)) == pytest.approx(5 * size, rel=1e-6)
    for name, host in hosts.items():
        np.testing.assert_allclose(to_numpy(clipped[name]), host * size * min(share, 1), rtol=2e-6)


def test_one_large_number(xp):
    """The others are as much smaller as they were, and are not lost."""
    clipped, norm = clip_by_norm({"g": xp.array([1e20, 1.0, -1.0], "float32")}, 1.0)
    assert_close(norm, np.array(1e20, "float32"))
    np.testing.assert_allclose(to_numpy(clipped["g"]), [1, 1e-20, -1e-20], rtol=1e-6)


def test_a_norm_that_the_dtype_does_not_hold(xp):
    """It is infinite, the clipped gradients are not 0; nor is a max_norm infinite that float32 does not hold."""
    grads = {"g": xp.array(np.full(16, 3e38), "float32")}  # 1.2e39
    for most, expected in ((1.0, 0.25), (1e-3, 0.25e-3), (6e38, 1.5e38), (1e39, 2.5e38), (1e300, 3e38)):
        with np.errstate(over="ignore"):
            clipped, norm = clip_by_norm(grads, most)
        assert to_numpy(norm) == np.inf
        np.testing.assert_allclose(to_numpy(clipped["g"]), np.full(16, expected), rtol=1e-6)
    small, _ = clip_by_norm({"g": xp.array([3.0, 4.0], "float32")}, 1e39)
    np.testing.assert_array_equal(to_numpy(small["g"]), [3, 4])


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_what_is_not_finite_stays_to_be_seen(xp, bad):
    with np.errstate(invalid="ignore"):
        clipped, norm = clip_by_norm({"g": xp.array([1.0, bad]), "h": xp.array([2.0])}, 1.0)
    assert not np.isfinite(to_numpy(norm))
    assert np.isnan(to_numpy(clipped["g"])[1])


def test_complex_gradients(xp):
    clipped, norm = clip_by_norm({"g": xp.array([3 + 4j, 0j])}, 1.0)
    assert float(to_numpy(norm)) == pytest.approx(5)
    np.testing.assert_allclose(to_numpy(clipped["g"]), [0.6 + 0.8j, 0])


@pytest.mark.parametrize("dtype", ["float16", "int64", "uint8", "bool"])
def test_what_is_no_gradient(dtype):
    """Bounds are cut off to whole numbers where these are clipped, and sums of squares wrap."""
    g = {"g": np.array([1, 0], dtype)}
    for refused in (lambda: clip_by_value(g, 0.5), lambda: clip_by_norm(g, 0.5)):
        with pytest.raises(DTypeError, match=f"expected float32 or float64, got {dtype}"):
            refused()


def test_limits_that_the_dtype_does_not_hold(xp):
    clipped = clip_by_value({"g": xp.array([3e38, -np.inf], "float32")}, 1e39)
    assert_close(clipped["g"], np.array([3e38, -np.inf], "float32"))


def test_bad_options(xp, rng):
    _, grads = draw(xp, rng)
    for bad in (0, -1.0, float("nan"), float("inf")):
        with pytest.raises(OptionError, match="clip_by_value: expected limit"):
            clip_by_value(grads, bad)
        with pytest.raises(OptionError, match="clip_by_norm: expected max_norm"):
            clip_by_norm(grads, bad)
    with pytest.raises(OptionError, match="at least one gradient, got none"):
        clip_by_norm({}, 1.0)
    with pytest.raises(DTypeError, match="arrays of one dtype"):
        clip_by_norm(grads | {"x": xp.array([1.0], "float32")}, 1.0)
