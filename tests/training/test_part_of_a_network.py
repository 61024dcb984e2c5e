"""Training a part of a network: the optimizer has some of the parameters, and all others stay bit for bit."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn.errors import OptionError
from xpcnn.nn import BatchNorm2d, Conv2d, CrossEntropyLoss, Flatten, Linear, ReLU, Sequential, eval_mode
from xpcnn.optim import SGD, Adam, clip_by_norm
from xpcnn.training import Trainer, gradient_statistics, lr_find

from .small import assert_same, host, loader, split


def network():
    body = Sequential(Conv2d(1, 4, 3, rng=0), BatchNorm2d(4), ReLU())
    return Sequential(body, Flatten(), Linear(64, 3, rng=1))


def head(model):
    return {name: p for name, p in model.parameters().items() if name.startswith("2.")}


def test_the_trainer_writes_what_the_optimizer_has_and_nothing_else(xp):
    by_hand = network()
    optimizer, criterion = SGD(head(by_hand), lr=0.1, momentum=0.9), CrossEntropyLoss()
    for x, y in loader().epoch(0):
        logits, cache = by_hand.forward(x)
        _, loss_cache = criterion.forward(logits, y)
        _, grads = by_hand.backward(criterion.backward(loss_cache), cache)
        grads, _ = clip_by_norm({name: grads[name] for name in ("2.weight", "2.bias")}, 0.5)  # of the part alone
        optimizer.step(grads)
    model = network()
    before = host(model.parameters())
    Trainer(model, SGD(head(model), lr=0.1, momentum=0.9), clip_norm=0.5, verbose=False).fit(loader(), epochs=1)
    assert_same(host(model.state_dict()), host(by_hand.state_dict()))
    for name, p in host(model.parameters()).items():
        assert np.array_equal(p, before[name]) == name.startswith("0."), name


def test_it_resumes(tmp_path):
    whole, half, rest = (
        Trainer(model, Adam(head(model)), folder=tmp_path / folder, verbose=False)
        for model, folder in ((network(), "whole"), (network(), "half"), (network(), "half"))
    )
    whole.fit(loader(), split(6, seed=1), epochs=2)
    half.fit(loader(), split(6, seed=1), epochs=1)
    rest.fit(loader(), split(6, seed=1), epochs=2, resume=True)
    assert_same(host(rest.model.state_dict()), host(whole.model.state_dict()))


def test_a_body_in_inference_keeps_its_running_statistics(xp):
    body, _, linear = network().children().values()
    model = Sequential(eval_mode(body), Flatten(), linear)
    before = host(body.state_dict())
    Trainer(model, SGD(head(model), lr=0.1), verbose=False).fit(loader(), epochs=1)
    assert_same(host(body.state_dict()), before)


def test_a_sweep_and_statistics_take_a_part(xp):
    model = network()
    before = host(model.state_dict())
    optimizer, (x, y) = SGD(head(model), lr=0.1), next(loader().epoch(0))
    assert len(lr_find(model, optimizer, loader(), steps=5).rates) > 1
    rows = gradient_statistics(model, x, y, optimizer=optimizer).parameters
    assert [row.update > 0 for row in rows] == [row.name.startswith("2.") for row in rows]
    assert_same(host(model.state_dict()), before)


def test_a_sweep_and_statistics_refuse_an_optimizer_of_other_arrays():
    """As after `astype`, where a sweep would show a loss that no rate changes."""
    model = network()
    optimizer, (x, y) = SGD(network().parameters(), lr=0.1), next(loader().epoch(0))
    with pytest.raises(OptionError, match="lr_find: expected an optimizer of this model's parameters"):
        lr_find(model, optimizer, loader())
    with pytest.raises(OptionError, match="gradient_statistics: expected an optimizer of this model's parameters"):
        gradient_statistics(model, x, y, optimizer=optimizer)


def test_a_step_with_the_gradients_of_a_whole_network_says_how(xp):
    model = network()
    optimizer, (x, _) = SGD(head(model), lr=0.1), next(loader().epoch(0))
    y, cache = model.forward(x)
    _, grads = model.backward(y, cache)
    with pytest.raises(OptionError, match=r"unknown \['0.0.bias', .*; optimizer.select\(grads\) trains these alone"):
        optimizer.step(grads)
    optimizer.step(optimizer.select(grads))
    assert optimizer.select(grads).keys() == head(model).keys()
    with pytest.raises(OptionError, match="SGD select: expected a mapping of gradients, got tuple; dx, grads ="):
        optimizer.select(model.backward(y, cache))
