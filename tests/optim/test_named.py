"""Optimizers by name: each public one has a name, makes what it says, and goes downhill at its own rate."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import optim
from xpcnn.nn import Linear
from xpcnn.optim import OPTIMIZERS, Optimizer


def test_every_public_optimizer_has_a_name():
    public = {kind for kind in vars(optim).values() if isinstance(kind, type) and issubclass(kind, Optimizer)}
    assert {named.kind for named in OPTIMIZERS.values()} == public - {Optimizer}
    assert all(name == named.kind.__name__.lower() for name, named in OPTIMIZERS.items())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_name_makes_the_optimizer_with_its_own_rate_or_another(xp, name):
    layer = Linear(3, 2, rng=0)
    named = OPTIMIZERS[name]
    plain = named(layer.parameters())
    assert (type(plain), plain.lr, plain.weight_decay) == (named.kind, named.lr, named.weight_decay)
    assert all(getattr(plain, option) == value for option, value in named.options.items())
    other = named(layer.parameters(), lr=0.25, weight_decay=0.5)
    assert (other.lr, other.weight_decay) == (0.25, 0.5)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_each_goes_downhill(xp, name):
    """f(p) = ½ Σ p²: every step makes every number smaller, and none leaps across 0."""
    p = xpcnn.asarray(np.array([3.0, -2.0, 0.5]), "float64") + 0
    optimizer, before = OPTIMIZERS[name]({"p": p}), xpcnn.to_numpy(p).copy()
    for _ in range(10):
        optimizer.step({"p": p + 0})
        after = xpcnn.to_numpy(p).copy()
        assert np.all(np.abs(after) < np.abs(before))
        assert np.all(after * before > 0)
        before = after
