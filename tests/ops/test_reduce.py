"""Means, sums, maxima and minima: loops, gradients, PyTorch, ONNX; ties share; axes that are none are refused."""

from __future__ import annotations

import numpy as np
import pytest

from ci.reliability.pytorch_layers import FUNCTIONS
from xpcnn import nn
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.ops.reduce import max_backward, max_forward

from ..arrays import assert_close, needs_torch
from ..reference_layers import LOOPS

KINDS = [nn.Mean, nn.Max, nn.Sum, nn.Min]
AXES = [1, -1, (1, 2), (2, 1), (-1, 1), (1, 2, 3), (2,)]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", AXES, ids=str)
@pytest.mark.parametrize("keepdims", [True, False])
def test_loops_and_gradients(xp, rng, kind, axes, keepdims):
    layer = kind(axes, keepdims=keepdims)
    host, x = xp.normal(rng, 2, 3, 4, 2)
    y = layer(x)
    assert_close(y, LOOPS[kind.__name__](layer, host, {}))
    assert layer.output_shape((3, 4, 2)) == tuple(y.shape[1:])
    assert gradcheck(layer, x, directions=2).passed


@needs_torch
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", AXES, ids=str)
def test_against_pytorch_with_ties(rng, kind, axes):
    import torch

    layer, x = kind(axes), np.round(rng.normal(size=(2, 3, 4, 2)))
    x_t = torch.tensor(x, requires_grad=True)
    y_t = FUNCTIONS[kind.__name__](torch, layer, x_t, {})
    y, cache = layer.forward(x)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=0, atol=1e-14)
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.backward(dy, cache)[0], x_t.grad.numpy(), rtol=0, atol=1e-14)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("axes", [1, -1, (1, 2), (1, 3)], ids=str)
@pytest.mark.parametrize(("keepdims", "opset"), [(True, 17), (False, 17), (False, 20)])
def test_in_onnxruntime(tmp_path, rng, kind, axes, keepdims, opset):
    pytest.importorskip("onnxruntime")
    from ..exchange.onnx.graphs import compare

    x = rng.normal(size=(2, 3, 4, 2)).astype("float32")
    compare(tmp_path / "m.onnx", kind(axes, keepdims=keepdims), x, back=False, opset=opset)


def test_axes_that_make_no_sense():
    for axes in (0, (), (1, 1), "1", 1.0, True, (0, 1), None):
        with pytest.raises(OptionError, match="Mean: expected axes"):
            nn.Mean(axes)
    with pytest.raises(ShapeError, match=r"Max: expected axes of 2 axes, got \(2,\)"):
        nn.Max(2)(np.ones((2, 3)))
    with pytest.raises(OptionError, match="Max: expected axes: different ones"):
        nn.Max((1, -1))(np.ones((2, 3)))


def test_a_nan_is_the_largest_and_has_no_gradient():
    y, cache = max_forward(np.array([[1.0, np.nan], [1.0, 2.0]]), axes=(1,))
    np.testing.assert_array_equal(y, [np.nan, 2.0])
    assert max_backward(np.ones(2), cache).tolist() == [[0.0, 0.0], [0.0, 1.0]]
