"""Softmax and its logarithm as layers; equations in `xpcnn.ops.softmax`. Both take (N, …, K) to (N, …, K)."""

from __future__ import annotations

from ..ops import softmax
from .layer import OpLayer


class Softmax(OpLayer):
    """y = eˣ / Σ eˣ along the last axis. For training, use a loss that includes it: more exact, and faster."""

    pair = (softmax.softmax_forward, softmax.softmax_backward)
    keeps_columns = True


class LogSoftmax(OpLayer):
    """y = x − log Σ eˣ along the last axis."""

    pair = (softmax.log_softmax_forward, softmax.log_softmax_backward)
    keeps_columns = True
