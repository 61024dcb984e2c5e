"""Local response norm and vectors of length 1: loops, gradients, PyTorch, ONNX; large and tiny numbers; refusals."""

from __future__ import annotations

import numpy as np
import pytest

from ci.reliability.pytorch_layers import FUNCTIONS
from xpcnn import nn
from xpcnn.backend import to_numpy
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck

from ..arrays import assert_close, needs_torch
from ..reference_layers import LOOPS

LAYERS = [
    nn.LocalResponseNorm(1, 0.3), nn.LocalResponseNorm(2, 0.3, 0.5, 0.7), nn.LocalResponseNorm(4, 0.1, 1.5),
    nn.LocalResponseNorm(5, 0.3, 0.75, 2.0), nn.LocalResponseNorm(12, 1.0, 0.0), nn.L2Normalize(), nn.L2Normalize(3.0),
    nn.InstanceNorm2d(5, eps=0.1), nn.InstanceNorm2d(5),
]  # fmt: skip


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_loops_and_gradients(xp, rng, layer):
    host, x = xp.normal(rng, 2, 3, 2, 5)
    assert_close(layer(x), LOOPS[type(layer).__name__](layer, host, {}))
    report = gradcheck(layer, x, directions=2)
    assert report.passed, report


@needs_torch
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_against_pytorch(rng, layer):
    import torch

    x = rng.normal(size=(2, 3, 2, 5))
    x_t = torch.tensor(x, requires_grad=True)
    y_t = FUNCTIONS[type(layer).__name__](torch, layer, x_t, {})
    y, cache = layer.forward(x)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=0, atol=1e-12)
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.backward(dy, cache)[0], x_t.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
@pytest.mark.parametrize("opset", [17, 20])
def test_in_onnxruntime(tmp_path, rng, layer, opset):
    pytest.importorskip("onnxruntime")
    from ..exchange.onnx.graphs import compare

    compare(tmp_path / "m.onnx", layer, rng.normal(size=(2, 3, 2, 5)).astype("float32"), back=False, opset=opset)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("size", [1e-30, 1e-5, 1.0, 1e30])
def test_length_1_of_large_and_tiny_vectors(xp, dtype, size):
    """Their squares are ∞ and 0 in float32."""
    x = xp.array(np.array([[3.0, -4.0]]) * size, dtype)
    y, cache = nn.L2Normalize(eps=1e-37).forward(x)
    np.testing.assert_allclose(to_numpy(y), [[0.6, -0.8]], rtol=1e-6)
    dx = nn.L2Normalize().backward(xp.array([[1.0, 1.0]], dtype), cache)[0]
    np.testing.assert_allclose(to_numpy(dx), np.array([[0.64 + 0.48, 0.36 + 0.48]]) / 5 / size, rtol=1e-5)


def test_length_1_of_a_vector_whose_length_overflows(xp):
    largest = float(np.finfo(np.float32).max)
    y, cache = nn.L2Normalize().forward(xp.array([[largest, -largest], [largest, 1.0]], "float32"))
    np.testing.assert_allclose(to_numpy(y), [[0.5**0.5, -(0.5**0.5)], [1.0, 0.0]], rtol=1e-6, atol=1e-37)
    assert np.abs(to_numpy(nn.L2Normalize().backward(xp.array(np.ones((2, 2)), "float32"), cache)[0])).max() < 1e-37


@pytest.mark.filterwarnings("ignore:invalid")
def test_a_nan_stays_one(xp):
    y = to_numpy(nn.L2Normalize()(xp.array([[np.nan, 1.0], [np.inf, 1.0], [3.0, 4.0]])))
    assert np.isnan(y[0]).all()
    assert np.isnan(y[1, 0])
    np.testing.assert_allclose(y[2], [0.6, 0.8])


@pytest.mark.parametrize("size", [1e12, 1e15, 1e18])
def test_gradients_of_large_numbers(xp, rng, size):
    """s^(−β−1) vanishes in float32, its product with x does not."""
    layer, host, dy = nn.LocalResponseNorm(3), rng.normal(size=(2, 1, 1, 4)) * size, rng.normal(size=(2, 1, 1, 4))
    (_, exact), (_, cache) = layer.forward(host), layer.forward(xp.array(host, "float32"))
    dx = to_numpy(layer.backward(xp.array(dy, "float32"), cache)[0])
    wanted = layer.backward(dy, exact)[0]
    np.testing.assert_allclose(dx, wanted, rtol=0, atol=1e-5 * np.abs(wanted).max())


@pytest.mark.filterwarnings("ignore:(overflow|invalid)")
def test_what_overflows_is_no_number(xp):
    y, cache = nn.LocalResponseNorm(3).forward(xp.array([[[[1e30, 1.0, 1.0, 1.0]]]], "float32"))
    assert np.isnan(to_numpy(y)).tolist() == [[[[True, True, False, False]]]]
    dx = to_numpy(nn.LocalResponseNorm(3).backward(xp.array(np.ones((1, 1, 1, 4)), "float32"), cache)[0])
    assert np.isnan(dx).any()


def test_a_vector_of_zeros(xp):
    y, cache = nn.L2Normalize(eps=0.5).forward(xp.array(np.zeros((1, 3))))
    assert_close(y, np.zeros((1, 3)))
    assert_close(nn.L2Normalize(eps=0.5).backward(xp.array([[1.0, 2.0, 3.0]]), cache)[0], np.array([[2.0, 4.0, 6.0]]))


def test_what_makes_no_sense_is_refused():
    with pytest.raises(OptionError, match=r"LocalResponseNorm: expected k: a number in \(0, inf\), got 0"):
        nn.LocalResponseNorm(5, k=0)
    with pytest.raises(ShapeError, match=r"LocalResponseNorm: expected input \(N, H, W, C\)"):
        nn.LocalResponseNorm(5)(np.ones((2, 5)))
    with pytest.raises(ShapeError, match=r"InstanceNorm2d\(3\): expected images of more than one pixel"):
        nn.InstanceNorm2d(3)(np.ones((2, 1, 1, 3)))
