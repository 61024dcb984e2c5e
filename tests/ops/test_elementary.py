"""Magnitude, exponential, logarithm, powers: values and gradients, PyTorch's, and where there is no value."""

from __future__ import annotations

import numpy as np
import pytest

from ci.reliability.pytorch_layers import FUNCTIONS
from xpcnn import nn
from xpcnn.errors import OptionError
from xpcnn.gradient_check import gradcheck

from ..arrays import assert_close, needs_torch
from ..reference_layers import LOOPS

LAYERS = [nn.Abs(), nn.Exp(), nn.Log(), *map(nn.Power, (2, 3, 0.5, -1, -0.5, 1.5))]


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_loops_and_gradients(xp, rng, layer):
    host = rng.uniform(0.3, 2, (3, 2, 4)) * (
        1 if isinstance(layer, nn.Log | nn.Power) else rng.choice([-1, 1], (3, 2, 4))
    )
    x = xp.array(host)
    assert_close(layer(x), LOOPS[type(layer).__name__](layer, host, {}))
    assert gradcheck(layer, x, directions=2).passed


@needs_torch
@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_against_pytorch_also_where_there_is_no_value(layer):
    import torch

    x = np.array([[-2.0, 0.0, 1.0, 1e-300, 700.0, np.inf]])
    x_t = torch.tensor(x, requires_grad=True)
    y_t = FUNCTIONS[type(layer).__name__](torch, layer, x_t, {})
    y, cache = layer.forward(x)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=1e-15)
    with np.errstate(over="ignore"):
        dx = layer.backward(np.ones_like(x), cache)[0]
    y_t.backward(torch.ones_like(y_t))
    np.testing.assert_allclose(dx, x_t.grad.numpy(), rtol=1e-14)


def test_an_exponent_is_a_number():
    for wrong in ("2", None, np.nan):
        with pytest.raises(OptionError, match="Power: expected exponent"):
            nn.Power(wrong)
