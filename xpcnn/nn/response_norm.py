"""Normalisation without statistics of a batch: of neighbouring channels, and to length 1.

Equations in `xpcnn.ops.response_norm` and `xpcnn.ops.l2_normalize`.
"""

from __future__ import annotations

from ..ops.l2_normalize import l2_normalize_backward, l2_normalize_forward
from ..ops.response_norm import local_response_norm_backward, local_response_norm_forward
from ..options import as_count, as_number
from .op_layer import OpLayer


class LocalResponseNorm(OpLayer):
    """y = x / (k + α/n Σ x²)^β, the sum over n neighbouring channels: AlexNet's and GoogLeNet's normalisation.

    Parameters
        size : n
        alpha, beta, k : α ≥ 0, β ≥ 0, k > 0
    Shapes
        (N, H, W, C) → (N, H, W, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> LocalResponseNorm(5)(np.ones((8, 7, 7, 64), np.float32)).shape
    (8, 7, 7, 64)
    """

    pair = (local_response_norm_forward, local_response_norm_backward)
    config_names = ("size", "alpha", "beta", "k")

    def __init__(self, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0) -> None:
        who = "LocalResponseNorm"
        self.size = as_count(who, "size", size)
        self.alpha = as_number(who, "alpha", alpha, "[0, inf)")
        self.beta = as_number(who, "beta", beta, "[0, inf)")
        self.k = as_number(who, "k", k, "(0, inf)")


class L2Normalize(OpLayer):
    """y = x / max(‖x‖, ε) along the last axis: PyTorch's `torch.nn.functional.normalize` over the channels.

    Parameters
        eps : ε > 0
    Shapes
        (N, …, C) → (N, …, C)
    Raises
        OptionError, ShapeError, DTypeError

    >>> import numpy as np
    >>> L2Normalize()(np.array([[3.0, 4.0]]))
    array([[0.6, 0.8]])
    """

    pair = (l2_normalize_forward, l2_normalize_backward)
    config_names = ("eps",)
    keeps_columns = True

    def __init__(self, eps: float = 1e-12) -> None:
        self.eps = as_number("L2Normalize", "eps", eps, "(0, inf)")
