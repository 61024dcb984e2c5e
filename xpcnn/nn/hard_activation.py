"""Piecewise activations as layers; equations in `xpcnn.ops.hard_activation`.

All take (N, …) to (N, …), element by element.
"""

from __future__ import annotations

from ..ops import hard_activation
from .layer import OpLayer


class HardSwish(OpLayer):
    """y = x · min(max(x + 3, 0), 6) / 6, MobileNetV3's activation.

    >>> import numpy as np
    >>> HardSwish()(np.array([-4.0, 1.5, 4.0]))
    array([-0.   ,  1.125,  4.   ])
    """

    pair = (hard_activation.hard_swish_forward, hard_activation.hard_swish_backward)
    elementwise = True
