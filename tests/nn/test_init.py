"""Initial weights: their mean, variance and limits from large draws, orthogonality, and that every backend
starts from the same numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest

import xpcnn
from xpcnn.backend import to_numpy
from xpcnn.errors import OptionError
from xpcnn.nn import Conv2d, Linear, init

from ..arrays import assert_close

FAN_IN, FAN_OUT = 50, 200
VARIANCES = {
    "he_normal": 2 / FAN_IN,
    "he_uniform": 2 / FAN_IN,
    "glorot_normal": 2 / (FAN_IN + FAN_OUT),
    "glorot_uniform": 2 / (FAN_IN + FAN_OUT),
    "lecun_normal": 1 / FAN_IN,
    "lecun_uniform": 1 / FAN_IN,
}


@pytest.mark.parametrize("name", VARIANCES)
def test_mean_variance_and_shape_of_the_distribution(name):
    """Each within five standard errors: of the mean, σ/√n; of the variance, σ²·√((kurtosis − 1)/n)."""
    n, variance = 100_000, VARIANCES[name]
    drawn = getattr(init, name)((n,), FAN_IN, FAN_OUT, np.random.default_rng(3))
    assert drawn.dtype == np.float64
    kurtosis = 3.0 if name.endswith("normal") else 9 / 5
    assert abs(drawn.mean()) < 5 * math.sqrt(variance / n)
    assert abs(drawn.var() / variance - 1) < 5 * math.sqrt((kurtosis - 1) / n)
    assert abs((drawn**4).mean() / variance**2 - kurtosis) < 0.1
    if name.endswith("uniform"):
        limit = math.sqrt(3 * variance)
        assert 0.999 * limit < np.abs(drawn).max() <= limit


@pytest.mark.parametrize("shape", [(5, 5), (3, 8), (8, 3), (6, 2, 3, 4), (40, 2, 3, 4), (1, 7), (7, 1)])
def test_orthogonal(shape):
    """Rows, or columns where they are fewer, of length `gain` and at right angles, over all axes but the first."""
    drawn = init.orthogonal(1.5)(shape, 1, 1, np.random.default_rng(0))
    assert drawn.shape == shape
    matrix = drawn.reshape(shape[0], -1)
    product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
    np.testing.assert_allclose(product, 1.5**2 * np.eye(len(product)), atol=1e-13)


def test_orthogonal_is_uniform_over_signs():
    """QR alone would prefer a sign on the diagonal; over many draws, each entry's mean is 0 and variance 1/n."""
    rng = np.random.default_rng(0)
    drawn = np.stack([init.orthogonal()((3, 3), 1, 1, rng) for _ in range(4000)])
    assert np.abs(drawn.mean(axis=0)).max() < 5 * math.sqrt(1 / 3 / 4000)
    assert np.abs((drawn**2).mean(axis=0) - 1 / 3).max() < 5 * 0.3 / math.sqrt(4000)


def test_uniform_and_constant():
    """Document 000 draws its weights uniformly from ±1e-4."""
    drawn = init.uniform(1e-4)((100_000,), 1, 1, np.random.default_rng(0))
    assert 0.9999e-4 < drawn.max() <= 1e-4
    assert -1e-4 <= drawn.min() < -0.9999e-4
    np.testing.assert_array_equal(init.constant(2.5)((2, 3), 1, 1, np.random.default_rng(0)), np.full((2, 3), 2.5))


@pytest.mark.parametrize("name", [*VARIANCES, "orthogonal", "zeros"])
def test_every_backend_starts_the_same(xp, name):
    """float32 arrays of the current backend, equal to the last bit to what NumPy draws from that seed."""
    make = getattr(init, name, None)
    if name in ("orthogonal", "zeros"):
        make = init.orthogonal() if name == "orthogonal" else init.constant(0.0)
    expected = make((4, 3), 3, 4, np.random.default_rng(7)).astype("float32")
    actual = init.draw(name, (4, 3), fan_in=3, fan_out=4, rng=7)
    assert_close(actual, expected)
    np.testing.assert_array_equal(to_numpy(actual), expected)
    np.testing.assert_array_equal(to_numpy(init.draw(make, (4, 3), fan_in=3, fan_out=4, rng=7)), expected)


def test_the_default_generator_is_the_seeded_one(xp):
    xpcnn.seed(5)
    first, second = init.draw("he_normal", (3,)), init.draw("he_normal", (3,))
    xpcnn.seed(5)
    np.testing.assert_array_equal(to_numpy(init.draw("he_normal", (3,))), to_numpy(first))
    assert not np.array_equal(to_numpy(first), to_numpy(second))


def test_a_generator_goes_on():
    rng = np.random.default_rng(0)
    first, second = init.draw("he_normal", (3,), rng=rng), init.draw("he_normal", (3,), rng=rng)
    assert not np.array_equal(to_numpy(first), to_numpy(second))


def test_layers_tell_their_fans():
    """He's variance in a layer is 2 over the inputs of one output: kernel × channels of its group."""
    seen = []

    def spy(shape, fan_in, fan_out, rng):
        seen.append((shape, fan_in, fan_out))
        return np.zeros(shape)

    Conv2d(4, 8, (3, 5), groups=2, weight_init=spy)
    Linear(7, 3, weight_init=spy)
    assert seen == [((8, 3, 5, 2), 2 * 15, 4 * 15), ((3, 7), 7, 3)]


def test_unknown_names():
    with pytest.raises(OptionError, match=r"init: expected one of he_normal, .*, zeros, got 'kaiming'"):
        init.draw("kaiming", (2,))
    with pytest.raises(OptionError, match="got 'xavier'"):
        Linear(2, 2, weight_init="xavier")
