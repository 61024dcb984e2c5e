"""Writing your own layer
======================

Independent methods check the layer's gradient. Layer scale (Touvron et al., 2021) multiplies each channel by a learned
factor::

    y = x · g            dx = dy · g            dg[c] = Σ dy · x over all but the channels
"""

import numpy as np

import xpcnn
from xpcnn import nn
from xpcnn.backend import array_namespace


class LayerScale(nn.Layer):
    parameter_names = ("factor",)

    def __init__(self, channels, start=0.1):
        self.factor = xpcnn.asarray(np.full(channels, start, "float32"))

    def forward(self, x):  # (N, H, W, C)
        return x * self.factor, x

    def backward(self, dy, cache, *, input_grad=True):
        x = cache
        dfactor = array_namespace(dy).sum(dy * x, axis=(0, 1, 2))  # (C,)
        return dy * self.factor, {"factor": dfactor}


class Forgetful(LayerScale):
    """The same, with a mistake that shapes do not reveal: dg uses only the first image, not the sum over the batch."""

    def backward(self, dy, cache, *, input_grad=True):
        return super().backward(dy, cache)[0], super().backward(dy[:1, ...], cache[:1, ...])[1]


x = np.random.default_rng(0).normal(size=(2, 5, 5, 3))
right, wrong = xpcnn.gradcheck(LayerScale(3), x), xpcnn.gradcheck(Forgetful(3), x)
print(right)
print(wrong)
assert right.passed
assert not wrong.passed

block = nn.Residual(nn.Sequential(nn.Conv2d(3, 3, 3, padding="same", rng=0), nn.ReLU(), LayerScale(3)))
report = xpcnn.gradcheck(block, x)
print(report)
assert report.passed
