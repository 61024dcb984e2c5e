"""Networks that PyTorch exports: outputs and gradients, in float64, are those that PyTorch computes."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.exchange import import_onnx

from .graphs import last

torch = pytest.importorskip("torch")
F = torch.nn.functional

NODES = {"Conv2d": "Conv", "Linear": "Gemm", "BatchNorm2d": "BatchNormalization"}


class InvertedResidual(torch.nn.Module):
    """With squeeze and excitation, as in MobileNetV3 and EfficientNet."""

    def __init__(self):
        super().__init__()
        self.expand = torch.nn.Conv2d(3, 6, 1)
        self.depthwise = torch.nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.norm = torch.nn.BatchNorm2d(6)
        self.squeeze = torch.nn.Conv2d(6, 2, 1)
        self.excite = torch.nn.Conv2d(2, 6, 1)
        self.project = torch.nn.Conv2d(6, 3, 1)

    def forward(self, x):
        y = F.silu(self.norm(self.depthwise(F.silu(self.expand(x)))))
        gate = self.excite(F.relu(self.squeeze(F.adaptive_avg_pool2d(y, 1))))
        return x + self.project(torch.sigmoid(gate) * y)


class Dense(torch.nn.Module):
    """Each layer reads all before it, as in DenseNet; and a head of its own."""

    def __init__(self):
        super().__init__()
        self.a, self.b = torch.nn.Conv2d(3, 2, 3, padding=1), torch.nn.Conv2d(5, 2, 3, padding=1)
        self.c = torch.nn.Conv2d(7, 4, 1)
        self.out = torch.nn.Linear(4, 3)

    def forward(self, x):
        a = self.a(F.relu(x))
        b = self.b(F.relu(torch.cat([x, a], 1)))
        c = self.c(torch.cat([x, a, b], 1))
        return self.out(F.adaptive_avg_pool2d(torch.maximum(c, torch.tanh(c) - c), 1).flatten(1))


class UNet(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.down, self.deep = torch.nn.Conv2d(3, 4, 3, padding=1), torch.nn.Conv2d(4, 4, 3, padding=1)
        self.up, self.last = torch.nn.Conv2d(8, 4, 3, padding=1), torch.nn.Conv2d(7, 2, 1)

    def forward(self, x):
        down = torch.tanh(self.down(x))
        deep = F.elu(self.deep(F.max_pool2d(down, 2)))
        up = F.interpolate(deep, scale_factor=2, mode="nearest")
        return self.last(torch.cat([x, self.up(torch.cat([up, down], 1))], 1))


class TwoHeads(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.trunk, self.mask, self.label = (
            torch.nn.Conv2d(3, 4, 3),
            torch.nn.Conv2d(4, 1, 1),
            torch.nn.Linear(4 * 4 * 6, 3),
        )

    def forward(self, x):
        y = F.relu(self.trunk(x))
        mask = torch.sigmoid(self.mask(y))
        return self.label((y * mask).flatten(1)), mask


def exported(module, x, path):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        preserve = torch.onnx.TrainingMode.PRESERVE
        torch.onnx.export(
            module.eval(), (x,), path, dynamo=False, opset_version=17, training=preserve, do_constant_folding=False,
            input_names=["x"], dynamic_axes={"x": {0: "n"}},
        )  # fmt: skip
    return import_onnx(path)


def rearranged(array):
    """A weight or its gradient, in our layout."""
    return np.transpose(array, (0, 2, 3, 1)) if array.ndim == 4 else array


@pytest.mark.parametrize("kind", [InvertedResidual, Dense, UNet, TwoHeads])
def test_outputs_and_gradients(tmp_path, kind):
    torch.manual_seed(0)
    module = kind().double()
    x = torch.randn(2, 3, 6, 8, dtype=torch.float64, requires_grad=True)
    saved = exported(module, x, str(tmp_path / "m.onnx"))
    assert isinstance(saved.model, nn.Graph)
    ys = module.train()(x)
    ys = ys if isinstance(ys, tuple) else (ys,)
    dys = [torch.randn_like(y) for y in ys]
    torch.autograd.backward(ys, dys)
    ours = xpcnn.asarray(last(x.detach().numpy()))
    y, cache = saved.model.forward(ours)
    given = [xpcnn.asarray(last(dy.numpy()) if dy.ndim == 4 else dy.numpy()) for dy in dys]
    dx, grads = saved.model.backward(given[0] if len(given) == 1 else tuple(given), cache)
    for actual, expected in zip(y if len(ys) > 1 else (y,), ys, strict=True):
        theirs = expected.detach().numpy()
        np.testing.assert_allclose(xpcnn.to_numpy(actual), last(theirs) if theirs.ndim == 4 else theirs, atol=1e-12)
    np.testing.assert_allclose(xpcnn.to_numpy(dx), last(x.grad.numpy()), atol=1e-12)
    found = 0
    for name, layer in module.named_modules():
        for key, parameter in layer.named_parameters(recurse=False):
            theirs = rearranged(parameter.grad.numpy())
            if name == "label" and key == "weight":  # after a Flatten
                theirs = theirs.reshape(-1, 4, 4, 6).transpose(0, 2, 3, 1).reshape(len(theirs), -1)
            actual = xpcnn.to_numpy(grads[f"{name}_{NODES[type(layer).__name__]}.{key}"])
            np.testing.assert_allclose(actual, theirs, atol=1e-11)
            found += 1
    assert found == len(grads)
