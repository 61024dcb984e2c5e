"""Clipping: values, the norm, and PyTorch's clipping; that zero gradients stay, and arguments are not written."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.backend import to_numpy
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
