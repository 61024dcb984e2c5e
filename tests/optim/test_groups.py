"""Parameters with rates and decays of their own move as in an optimizer of their own; late ones begin anew."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import OptionError
from xpcnn.optim import OPTIMIZERS, SGD, Adam, AdamW

NAMES = ("body.weight", "body.bias", "head.weight")


def parameters(xp):
    rng = np.random.default_rng(0)
    return {name: xpcnn.asarray(rng.normal(size=(3, 2))) for name in NAMES}


def gradients(xp, seed, names=NAMES):
    rng = np.random.default_rng(seed)
    drawn = {name: xpcnn.asarray(rng.normal(size=(3, 2))) for name in NAMES}
    return {name: drawn[name] for name in names}


def part(given, *names):
    return {name: given[name] for name in names}


def host(given):
    return {name: xpcnn.to_numpy(each).tolist() for name, each in given.items()}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_scaled_parameters_move_as_in_an_optimizer_of_their_own(xp, name):
    make, together, apart = OPTIMIZERS[name], parameters(xp), parameters(xp)
    one = make(together, lr=0.1, weight_decay=0.4)
    assert one.scale(lr={"body*": 0.5, "*.bias": 2}, weight_decay={"*.bias": 0}) is one
    several = [
        make(part(apart, "body.weight"), lr=0.05, weight_decay=0.4),
        make(part(apart, "body.bias"), lr=0.2, weight_decay=0.0),
        make(part(apart, "head.weight"), lr=0.1, weight_decay=0.4),
    ]
    for i in range(3):
        one.step(gradients(xp, i))
        for each in several:
            each.step(each.select(gradients(xp, i)))
    assert host(together) == host(apart)
    assert (one.lr, one.weight_decay, one.steps) == (0.1, 0.4, 3)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_parameters_that_are_added_begin_as_in_a_new_optimizer(xp, name):
    make, together, apart = OPTIMIZERS[name], parameters(xp), parameters(xp)
    late = ("body.weight", "body.bias")
    one = make(part(together, "head.weight")).scale(lr={"body.*": 0.1}, names=NAMES)
    first, second = make(part(apart, "head.weight")), make(part(apart, *late), lr=0.1 * make.lr)
    for i in range(3):
        one.step(gradients(xp, i, ["head.weight"]))
        first.step(gradients(xp, i, ["head.weight"]))
    one.add(part(together, *late))
    for i in range(3, 6):
        one.step(gradients(xp, i))
        first.step(gradients(xp, i, ["head.weight"]))
        second.step(gradients(xp, i, late))
    assert host(together) == host(apart)
    assert one.scalars() == {"steps": 6, "lr": make.lr, "begun": dict.fromkeys(late, 3)}

    again = parameters(xp)
    for key, p in again.items():
        p[...] = together[key]
    other = make(again).scale(lr={"body.*": 0.1})
    other.load_state_dict(one.state_dict(), **one.scalars())
    one.step(gradients(xp, 7))
    other.step(gradients(xp, 7))
    assert host(together) == host(again)


def test_a_step_that_fails_leaves_the_numbers_as_they_were():
    class Broken(SGD):
        def update(self, p, g, *slots):
            raise RuntimeError

    optimizer = Broken({"p": np.ones(2)}, lr=0.1, weight_decay=0.5).scale(lr={"p": 3}, weight_decay={"p": 3})
    with pytest.raises(RuntimeError):
        optimizer.step({"p": np.ones(2)})
    assert (optimizer.lr, optimizer.weight_decay) == (0.1, 0.5)


def test_large_factors_are_checked_like_large_rates():
    p = np.full(2, 1e30, np.float32)
    optimizer = SGD({"p": p}, lr=1.0).scale(lr={"p": 1e30})
    with pytest.raises(xpcnn.errors.NonFiniteError):
        optimizer.step({"p": np.full(2, 1e20, np.float32)})
    np.testing.assert_array_equal(p, np.full(2, 1e30, np.float32))


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda o: o.scale(lr={"fc*": 0.1}), r"lr: names of parameters, got 'fc\*', which matches none of a, b"),
        (lambda o: o.scale(lr={"a": -1}), r"lr: a number in \[0, inf\), got -1"),
        (lambda o: o.scale(weight_decay={"a": None}), "weight_decay: a number"),
        (lambda o: o.scale(lr=0.1), "lr: factors by names"),
        (lambda o: o.add({"a": np.ones(1)}), "AdamW add: expected parameters that it does not have, got a"),
        (lambda o: o.add({}), "at least one parameter"),
        (lambda o: o.load_state_dict(o.state_dict(), steps=1, begun={"c": 1}), "begun: steps by names"),
        (lambda o: o.load_state_dict(o.state_dict(), steps=1, begun={"a": 2}), "begun: an integer from 1 to 1"),
    ],
)
def test_wrong_turns(change, said):
    optimizer = AdamW({"a": np.ones(1), "b": np.ones(1)})
    with pytest.raises(OptionError, match=said):
        change(optimizer)
    assert optimizer.scalars() == {"steps": 0, "lr": 1e-3}


def test_state_of_an_optimizer_without_groups_is_as_before():
    assert Adam({"a": np.ones(1)}).scalars() == {"steps": 0, "lr": 1e-3}
