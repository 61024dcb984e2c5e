"""A frozen plan returns what the network returned when the plan was made, whatever becomes of the network."""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from xpcnn import models, nn
from xpcnn.errors import OptionError
from xpcnn.ops import Window

pytestmark = pytest.mark.skipif(
    not isinstance(nn.Linear(1, 1).weight, np.ndarray), reason="other arrays than NumPy's are not planned"
)
IMAGE = (12, 12, 1)


@pytest.fixture(autouse=True)
def _nothing_is_forced(monkeypatch):
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)


class Own(nn.Layer):
    """Not from xpcnn, with an array that is no parameter."""

    def __init__(self):
        self.factor = np.ones(1, np.float32)

    def forward(self, x):
        return x * self.factor, None

    def backward(self, dy, cache, *, input_grad=True):
        return dy * self.factor, {}


def network(*more: nn.Layer) -> nn.Sequential:
    layers = nn.Conv2d(1, 4, 3, padding=1, rng=0), *more, nn.LeakyReLU(0.1), nn.MaxPool2d(2)
    return nn.Sequential(*layers, nn.Flatten(), nn.Linear(144, 3, rng=1))


CASES = {
    "plain": lambda: network(nn.Conv2d(4, 4, 3, padding=1, rng=2), nn.ReLU()),
    "batch norm": lambda: network(nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4)),
    "own": lambda: network(Own()),
}


def change_all(model):
    """Everything that a live plan sees, or refuses."""
    for name, array in model.state_dict().items():
        array += 1 + len(name)
    for _, layer in model.named_layers():
        if hasattr(layer, "factor"):
            layer.factor *= 3
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean, layer.eps = layer.running_mean + 1, 0.5
        if isinstance(layer, nn.LeakyReLU):
            layer.negative_slope = 0.7


def replace_all(model):
    model[0].window = Window(3, padding=3)
    model.astype("float64")
    for _, layer in model.named_layers():
        layer.forward = lambda x: (x * 0, None)


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("change", [change_all, replace_all])
@pytest.mark.parametrize("used", [False, True], ids=["at once", "before and after"])
def test_what_becomes_of_the_network_is_not_seen(case, change, used):
    model = CASES[case]()
    x = np.random.default_rng(0).normal(size=(20, *IMAGE)).astype(np.float32)
    expected, plan = model(x), nn.plan(model, IMAGE, frozen=True)
    for n in (1, 3, 9, 20) if used else ():
        plan(x[:n])
    change(model)
    for each in (plan, copy.copy(plan), copy.deepcopy(plan), pickle.loads(pickle.dumps(plan))):
        assert each.frozen
        for n in (1, 3, 9, 20):  # planned, as the network, in parts
            np.testing.assert_allclose(each(x[:n]), expected[:n], rtol=1e-4, atol=1e-5)
    assert bool(plan._large) == (case == "plain")
    with pytest.raises(ValueError, match="read-only"):
        plan._model[0].weight += 1


def test_a_live_plan_beside_it_sees_all():
    model, x = CASES["batch norm"](), np.ones((1, *IMAGE), np.float32)
    live, frozen = nn.plan(model, IMAGE), nn.plan(model, IMAGE, frozen=True)
    before = frozen(x)
    change_all(model)
    np.testing.assert_allclose(live(x), model(x), rtol=1e-4, atol=1e-4)
    np.testing.assert_allclose(nn.plan(model, IMAGE, frozen=True)(x), model(x), rtol=1e-4, atol=1e-4)
    assert (frozen(x) == before).all()
    assert (repr(live), repr(frozen)) == (repr(nn.plan(model, IMAGE)), repr(live)[:-1] + ", frozen)")


def test_a_function_in_place_of_a_layer_s_own_is_frozen_with_it():
    model, x = network(), np.ones((1, *IMAGE), np.float32)
    model[4].forward = lambda x: (x[:, :3] * 2, None)
    expected, plan = model(x), nn.plan(model, IMAGE, frozen=True)
    del model[4].forward
    assert (plan(x) == expected).all()
    assert not np.allclose(model(x), expected)


def test_a_network_with_a_frozen_part_and_one_whose_layer_is_used_twice():
    layer = nn.Linear(3, 3, rng=0)
    model, x = nn.freeze(nn.Sequential(layer, nn.ReLU(), layer, nn.Linear(3, 2, rng=1)), "0.*"), np.eye(3, dtype="f")
    expected, plan = model(x), nn.plan(model, (3,), frozen=True)
    layer.weight *= 2
    np.testing.assert_allclose(plan(x), expected, rtol=1e-5)


def test_what_cannot_be_frozen_is_refused():
    with pytest.raises(OptionError, match="a network without hooks"):
        nn.plan(nn.with_hooks(network(), nn.Hooks()), IMAGE, frozen=True)
    with pytest.raises(OptionError, match="frozen: True or False"):
        nn.plan(network(), IMAGE, frozen="no")


def test_statistics_that_are_no_numbers_show():
    model = nn.Sequential(nn.Conv2d(1, 2, 3, rng=0), nn.BatchNorm2d(2))
    model[1].running_var[...] = [0, np.nan]
    x = np.ones((2, *IMAGE), np.float32)
    np.testing.assert_allclose(nn.plan(model, IMAGE, frozen=True)(x), model(x), rtol=1e-5)


def test_models_with_large_images():
    model = models.build("mobilenet_v2", (64, 64, 3), 5, rng=0)
    x = np.random.default_rng(0).random((1, 64, 64, 3), np.float32)
    np.testing.assert_allclose(nn.plan(model, (64, 64, 3), frozen=True)(x), model(x), rtol=1e-4, atol=1e-5)
