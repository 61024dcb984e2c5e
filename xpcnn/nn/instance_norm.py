"""Instance normalisation as a layer: group norm with a group a channel. Equations in `xpcnn.ops.norm`."""

from __future__ import annotations

from ..errors import ShapeError
from ..ops import norm
from ..ops.check import check_batch
from ..options import as_count, as_flag, as_number
from ..typing import Array, Cache
from .norm import Normalization


class InstanceNorm2d(Normalization):
    """Normalises each channel of each image over its pixels.

    Parameters
        num_features : C
        eps : added to the variance
        affine : whether `weight` and `bias` are there
    Parameters that are trained
        weight, bias : (C,), start at 1 and 0
    Shapes
        (N, H, W, C) → (N, H, W, C), of more than one pixel
    Raises
        ShapeError, OptionError, DTypeError
    Source
        D. Ulyanov, A. Vedaldi and V. Lempitsky, Instance normalization, 2016

    >>> import numpy as np
    >>> InstanceNorm2d(1)(np.array([[[[1.0], [3.0]]]], np.float32)).ravel().round(3)
    array([-1.,  1.], dtype=float32)
    """

    pair_backward = staticmethod(norm.group_norm_backward)
    config_names = ("num_features", "eps", "affine")

    def __init__(self, num_features: int, *, eps: float = 1e-5, affine: bool = False) -> None:
        self.num_features = num_features = as_count("InstanceNorm2d", "num_features", num_features)
        self.eps = as_number("InstanceNorm2d", "eps", eps, "(0, inf)")
        self.affine = affine = as_flag("InstanceNorm2d", "affine", affine)
        self._start((num_features,), affine, affine)

    def forward(self, x: Array) -> tuple[Array, Cache]:
        who = f"InstanceNorm2d({self.num_features})"
        check_batch(who, x, "H", "W", self.num_features)
        if x.shape[1] * x.shape[2] == 1:
            raise ShapeError(who, "images of more than one pixel", str(tuple(x.shape)), "what is left is 0")
        return norm.group_norm_forward(x, self.weight, self.bias, groups=self.num_features, eps=self.eps)
