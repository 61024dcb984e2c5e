"""What tests of plans share."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn

NUMPY_AS_USUAL = [
    pytest.mark.skipif(
        not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="other arrays than NumPy's are not planned"
    ),
    pytest.mark.usefixtures("nothing_is_forced"),
]


def close(plan, model, x):
    """Equal within rounding; that of Winograd's algorithm is up to 1e-5 of the largest output in float32."""
    rtol, atol = (1e-9, 1e-12) if x.dtype == np.float64 else (2e-5, 1e-4)
    np.testing.assert_allclose(plan(x), model(x), rtol=rtol, atol=atol)
