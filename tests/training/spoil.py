"""A layer that gives NaN where it is told to."""

from __future__ import annotations

import numpy as np

from xpcnn.nn import OpLayer


class Spoil(OpLayer):
    """The identity, which gives NaN in forward or backward where it is told to."""

    pair = (None, None)
    config_names = ()

    def __init__(self, direction, when=lambda: True, bad=np.nan):
        self.direction, self.when, self.bad = direction, when, bad

    def spoil(self, array, direction):
        if direction == self.direction and self.when():
            array = array + 0
            array[(0,) * array.ndim] = self.bad
        return array

    def forward(self, x):
        return self.spoil(x, "forward"), None

    def backward(self, dy, cache, *, input_grad=True):
        return self.spoil(dy, "backward"), {}
