"""Reflection and replication: loops, gradients and PyTorch for all kinds of sides; what cannot be is refused."""

from __future__ import annotations

import numpy as np
import pytest

from ci.reliability.pytorch_layers import FUNCTIONS
from xpcnn import nn
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck

from ..arrays import assert_close, needs_torch
from ..reference_layers import LOOPS

KINDS = [nn.ReflectionPad2d, nn.ReplicationPad2d]
SIDES = [0, 1, (2, 0), (0, 1, 3, 2), (3, 3, 4, 4), (3, 0, 0, 4)]  # of images 4 by 5


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_loops_and_gradients(xp, rng, kind, sides):
    layer = kind(sides)
    host, x = xp.normal(rng, 2, 4, 5, 3)
    assert_close(layer(x), LOOPS[kind.__name__](layer, host, {}))
    assert layer.output_shape((4, 5, 3)) == tuple(layer(x).shape[1:])
    assert gradcheck(layer, x, directions=2).passed


@needs_torch
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("sides", SIDES, ids=str)
def test_against_pytorch(rng, kind, sides):
    import torch

    layer, x = kind(sides), rng.normal(size=(2, 4, 5, 3))
    x_t = torch.tensor(x, requires_grad=True)
    y_t = FUNCTIONS[kind.__name__](torch, layer, x_t, {})
    y, cache = layer.forward(x)
    np.testing.assert_array_equal(y, y_t.detach().numpy())
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.backward(dy, cache)[0], x_t.grad.numpy(), rtol=0, atol=1e-12)


def test_one_pixel_is_repeated_and_not_reflected():
    x = np.ones((1, 1, 1, 1))
    assert nn.ReplicationPad2d(2)(x).shape == (1, 5, 5, 1)
    with pytest.raises(ShapeError, match=r"ReflectionPad2d: expected padding below 1, the image's size, got \(0, 1\)"):
        nn.ReflectionPad2d((0, 1, 0, 0))(x)
    with pytest.raises(OptionError, match="ReplicationPad2d: expected padding: a number, a pair or"):
        nn.ReplicationPad2d("same")
    with pytest.raises(OptionError, match="ReflectionPad2d"):
        nn.ReflectionPad2d(-1)
