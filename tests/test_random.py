"""Random numbers: one seed repeats all draws, on every backend, and bad seeds change nothing."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import models
from xpcnn.errors import OptionError
from xpcnn.nn import Conv2d, Dropout, Linear, Sequential
from xpcnn.random import generator, seed

from .arrays import assert_close


def test_seed_restarts_the_default_generator():
    seed(5)
    first = generator().integers(1000, size=8)
    second = generator().integers(1000, size=8)
    assert list(first) != list(second)  # it continues
    seed(5)
    np.testing.assert_array_equal(generator().integers(1000, size=8), first)
    np.testing.assert_array_equal(generator().integers(1000, size=8), second)
    seed(6)
    assert list(generator().integers(1000, size=8)) != list(first)
    assert xpcnn.seed is seed


def test_what_a_generator_is_made_from():
    own = np.random.default_rng(3)
    assert generator(own) is own
    assert generator() is generator(None)
    assert generator(3) is not generator(3)
    for value in (0, 3, np.int64(3), 2**100):  # NumPy's own numbers from that seed
        assert generator(value).integers(1000) == np.random.default_rng(value).integers(1000)


def test_a_seed_of_ones_own_leaves_the_default_generator_alone():
    before = generator().bit_generator.state
    generator(7).normal(size=10)
    Linear(3, 2, rng=7)
    assert generator().bit_generator.state == before
    Linear(3, 2)
    assert generator().bit_generator.state != before


@pytest.mark.parametrize("bad", [-1, 1.5, float("nan"), "1", pytest.param(object(), id="object")], ids=repr)
def test_bad_seeds(bad):
    default, state = generator(), generator().bit_generator.state
    for call in (generator, seed, lambda bad: Linear(3, 2, rng=bad)):
        with pytest.raises(OptionError, match=r"(rng|seed): expected .* ≥ 0.*, got") as caught:
            call(bad)
        assert repr(bad) in str(caught.value)
    assert generator() is default
    assert default.bit_generator.state == state


def test_seed_repeats_weights_and_masks_on_every_backend(xp):
    def draw():
        """The draws of a script, in order, without an explicit generator."""
        net = Sequential(Conv2d(1, 2, 3), Dropout(0.5))
        masks = [net.forward(xpcnn.asarray(np.ones((1, 5, 5, 1)), "float32"))[0] for _ in range(2)]
        return [*net.parameters().values(), *masks, *models.mlp((2,), 3, hidden=(4,)).parameters().values()]

    with xpcnn.use_backend("numpy"):
        seed(11)
        expected = draw()
    seed(11)
    for actual, wanted in zip(draw(), expected, strict=True):
        assert_close(actual, wanted)
    assert np.any(expected[2] != expected[3])  # the second mask is another one
    seed(12)
    assert np.any(xpcnn.to_numpy(draw()[0]) != expected[0])


def test_a_generator_that_is_handed_on_gives_each_layer_its_own_weights():
    rng = generator(4)
    first, second, again = (xpcnn.to_numpy(Linear(3, 2, rng=each).weight) for each in (rng, rng, 4))
    assert np.all(first != second)
    np.testing.assert_array_equal(again, first)
