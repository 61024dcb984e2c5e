"""Bilinear upsampling: loops, PyTorch and the adjoint for both conventions, by size and by scale; ONNX; refusals."""

from __future__ import annotations

import numpy as np
import pytest

from ci.reliability.pytorch_layers import FUNCTIONS
from xpcnn import nn
from xpcnn.backend import to_numpy
from xpcnn.errors import OptionError, ShapeError
from xpcnn.gradient_check import gradcheck

from ..arrays import assert_close, needs_torch
from ..reference_windows import bilinear

CASES = [
    {"scale_factor": 2}, {"scale_factor": (2, 3)}, {"scale_factor": (1.3, 2.5)}, {"scale_factor": 0.5},
    {"scale_factor": (1.2, 1.1)}, {"scale_factor": (1.24, 2.3)},  # 4 and 5 pixels stay as many
    {"size": (7, 9)}, {"size": (1, 3)}, {"size": (4, 5)}, {"size": (2, 1)},
]  # fmt: skip


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_against_loops(xp, rng, options, aligned, dtype):
    layer = nn.Upsample(**options, mode="bilinear", align_corners=aligned)
    host, x = xp.normal(rng, 2, 4, 5, 3, dtype=dtype)
    size = layer.output_shape((4, 5, 3))[:2]
    expected = bilinear(host.astype("f8"), size, layer.scale_factor or (None, None), aligned)
    assert_close(layer(x), expected.astype(dtype))


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_gradients(xp, rng, options, aligned):
    layer = nn.Upsample(**options, mode="bilinear", align_corners=aligned)
    assert gradcheck(layer, xp.normal(rng, 2, 4, 5, 2)[1]).passed


@needs_torch
@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_against_pytorch(rng, options, aligned):
    import torch

    layer, x = nn.Upsample(**options, mode="bilinear", align_corners=aligned), rng.normal(size=(2, 4, 5, 3))
    x_t = torch.tensor(x, requires_grad=True)
    y_t = FUNCTIONS["Upsample"](torch, layer, x_t, {})
    y, cache = layer.forward(x)
    np.testing.assert_allclose(y, y_t.detach().numpy(), rtol=0, atol=1e-12)
    dy = rng.normal(size=y.shape)
    y_t.backward(torch.tensor(dy))
    np.testing.assert_allclose(layer.backward(dy, cache)[0], x_t.grad.numpy(), rtol=0, atol=1e-12)


@pytest.mark.parametrize("aligned", [True, False])
@pytest.mark.parametrize("options", CASES, ids=str)
def test_in_onnxruntime(tmp_path, rng, options, aligned):
    pytest.importorskip("onnxruntime")
    from ..exchange.onnx.graphs import compare

    layer = nn.Upsample(**options, mode="bilinear", align_corners=aligned)
    compare(tmp_path / "m.onnx", layer, rng.normal(size=(2, 4, 5, 3)).astype("float32"), back=False)


def test_a_constant_stays_and_corners_do(xp):
    x = xp.array(np.arange(6.0).reshape(1, 2, 3, 1))
    y = to_numpy(nn.Upsample(size=(5, 7), mode="bilinear", align_corners=True)(x))[0, :, :, 0]
    assert [y[0, 0], y[0, -1], y[-1, 0], y[-1, -1]] == [0, 2, 3, 5]
    ones = nn.Upsample(2.7, mode="bilinear")(xp.array(np.ones((1, 4, 5, 2))))
    np.testing.assert_allclose(to_numpy(ones), 1, rtol=1e-15)


@pytest.mark.parametrize(
    ("options", "text"),
    [
        ({"mode": "cubic"}, 'mode: "nearest" or "bilinear"'),
        ({"size": (2, 2)}, 'a scale_factor alone for "nearest"'),
        ({"scale_factor": 2, "align_corners": True}, 'a scale_factor alone for "nearest"'),
        ({"scale_factor": 1.5}, "scale_factor: an integer ≥ 1"),
        ({"mode": "bilinear"}, "either size or scale_factor, got neither"),
        ({"scale_factor": 2, "size": (2, 2), "mode": "bilinear"}, "either size or scale_factor, got both"),
        ({"scale_factor": 0, "mode": "bilinear"}, r"scale_factor: a number in \(0, inf\)"),
        ({"scale_factor": (1, 2, 3), "mode": "bilinear"}, "scale_factor: a number or a pair"),
    ],
)
def test_options_that_make_no_sense(options, text):
    with pytest.raises(OptionError, match=f"Upsample: expected {text}"):
        nn.Upsample(**options)


def test_images_that_would_vanish():
    with pytest.raises(ShapeError, match=r"Upsample: expected an output of one pixel or more, got \(0, 0\)"):
        nn.Upsample(0.25, mode="bilinear")(np.ones((1, 3, 3, 1)))
