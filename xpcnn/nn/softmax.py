"""Softmax and its logarithm as layers; equations in `xpcnn.ops.softmax`. Both take (N, …, K) to (N, …, K)."""

from __future__ import annotations

from ..ops import softmax
from .op_layer import OpLayer


class Softmax(OpLayer):
    """y = eˣ / Σ eˣ along the last axis. For training, use a loss that includes it: more exact, and faster.

    >>> import numpy as np
    >>> Softmax()(np.array([[0.0, 1.0, 2.0]])).round(4)
    array([[0.09  , 0.2447, 0.6652]])
    """

    pair = (softmax.softmax_forward, softmax.softmax_backward)
    keeps_columns = True


class LogSoftmax(OpLayer):
    """y = x − log Σ eˣ along the last axis.

    >>> import numpy as np
    >>> LogSoftmax()(np.array([[0.0, 1.0, 2.0]])).round(4)
    array([[-2.4076, -1.4076, -0.4076]])
    """

    pair = (softmax.log_softmax_forward, softmax.log_softmax_backward)
    keeps_columns = True
