"""What tests of plans share."""

from __future__ import annotations

from contextlib import contextmanager

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


class Both:
    """A network's plan with compiled loops, and the network without."""

    def __init__(self, model: nn.Layer, shape: tuple[int, ...], **options: bool) -> None:
        self.model = model
        with settings("0"):
            self.plan = nn.plan(model, shape, **options)

    def __call__(self, x):
        with settings("1"):
            return self.plan(x)

    def agree(self, x):
        with settings("0"):
            expected = self.model(x)
        np.testing.assert_allclose(self(x), expected, rtol=2e-5, atol=1e-4)


@contextmanager
def settings(numba: str):
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPCNN_IMPLEMENTATION", raising=False)
        patch.setenv("XPCNN_NUMBA", numba)
        yield


def block(c: int, f: int, last: nn.Layer, **options) -> nn.Layer:
    """A residual whose sum and limits are taken into its last convolution."""
    norm = nn.BatchNorm2d(f)
    norm.running_mean = np.linspace(-1, 1, f, dtype=np.float32)
    body = nn.Sequential(
        nn.Conv2d(c, f, 3, padding=1, rng=0, **options), nn.ReLU6(), nn.Conv2d(f, f, 3, padding=1, rng=1)
    )
    return nn.Sequential(nn.Residual(body, nn.Conv2d(c, f, 1, rng=2)), norm, last)


def mobile_network():
    """With a projection and an identity around what is left out, and what MobileNet has."""
    narrow = nn.Sequential(
        nn.Conv2d(16, 24, 1, rng=3), nn.ReLU6(), nn.Conv2d(24, 24, 3, stride=1, padding=1, groups=24, rng=4),
        nn.BatchNorm2d(24), nn.ReLU6(), nn.Conv2d(24, 16, 1, rng=5), nn.BatchNorm2d(16),
    )  # fmt: skip
    strided = nn.Conv2d(16, 32, 3, stride=2, padding=1, groups=16, rng=6)
    last = nn.GlobalAvgPool2d(), nn.Linear(32, 5, rng=7)
    return nn.Sequential(block(3, 16, nn.ReLU()), nn.Residual(narrow), strided, *last)
