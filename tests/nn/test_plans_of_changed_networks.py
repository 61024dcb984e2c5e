"""A plan sees what has become of its network's arrays and layers, or refuses it."""

from __future__ import annotations

import numpy as np
import pytest

from tests.nn.plans import NUMPY_AS_USUAL, close
from xpcnn import models, nn
from xpcnn.errors import ShapeError, XpcnnError
from xpcnn.ops import Window
from xpcnn.optim import SGD

pytestmark = NUMPY_AS_USUAL


def test_weights_that_change_are_seen():
    model = models.build("resnet20", (32, 32, 3), 10, rng=0)
    x = np.random.default_rng(0).random((1, 32, 32, 3), np.float32)
    plan = nn.plan(model, (32, 32, 3))
    before = plan(x)
    _, cache = model.forward(np.random.default_rng(1).random((8, 32, 32, 3), np.float32))  # running statistics
    _, grads = model.backward(np.ones((8, 10), np.float32), cache)
    SGD(model.parameters(), lr=0.1).step(grads)  # in place
    close(plan, model, x)
    assert not np.allclose(plan(x), before)
    model.load_state_dict({name: array / 2 for name, array in model.state_dict().items()})
    close(plan, model, x)
    layer = model.children()["0"]
    layer.weight = layer.weight * 2
    close(plan, model, x)
    model.astype("float64")
    with pytest.raises(ShapeError, match="make a new plan"):
        plan(x)


def test_filters_in_another_memory_order_that_change_in_place():
    model = nn.Sequential(nn.Conv2d(3, 4, 3, rng=0))
    layer = model.children()["0"]
    layer.weight = np.asfortranarray(layer.weight)
    x = np.random.default_rng(0).random((1, 8, 8, 3), np.float32)
    plan = nn.plan(model, (8, 8, 3))
    for _ in range(2):
        close(plan, model, x)
        layer.weight *= 2


@pytest.mark.parametrize("key", ["weight", "bias"])
def test_a_mask_of_weights_is_not_passed_over(key):
    layer = nn.Linear(3, 2, rng=0)
    plan, x = nn.plan(layer, (3,)), np.ones((1, 3), np.float32)
    array = getattr(layer, key)
    setattr(layer, key, np.ma.masked_array(array, np.ones(array.shape, bool)))
    with pytest.raises(XpcnnError):
        layer(x)
    with pytest.raises(ShapeError, match=f"the {key} of Linear as it was, got MaskedArray"):
        plan(x)


def test_a_function_that_takes_the_place_of_a_layer_s_own_is_called():
    model, x = nn.Sequential(nn.Linear(3, 2, rng=0), nn.ReLU()), np.ones((1, 3), np.float32)
    plan = nn.plan(model, (3,))
    model[1].forward = lambda x: (x * 0 + 7, None)
    assert (plan(x) == 7).all()
    assert (nn.plan(model, (3,))(x) == 7).all()
    del model[1].forward
    close(plan, model, x)


@pytest.mark.parametrize(
    ("layer", "change"),
    [
        (nn.Conv2d(4, 4, 3, rng=0), lambda layer: setattr(layer, "window", Window(3, padding=1))),
        (nn.MaxPool2d(2), lambda layer: setattr(layer, "window", Window(3))),
        (nn.ZeroPad2d(1), lambda layer: setattr(layer, "padding", (2, 1, 0, 1))),
        (nn.ZeroPadChannels(1, 0), lambda layer: setattr(layer, "after", 2)),
        (nn.LeakyReLU(0.1), lambda layer: setattr(layer, "negative_slope", 0.5)),
        (nn.BatchNorm2d(4), lambda layer: setattr(layer, "eps", 0.5)),
    ],
    ids=lambda case: type(case).__name__,
)
def test_a_layer_that_is_changed_is_planned_again(layer, change):
    model, x = nn.Sequential(layer), np.random.default_rng(0).normal(size=(1, 5, 5, 4)).astype("float32")
    if not layer.state_dict():
        model = nn.Sequential(nn.Conv2d(4, 4, 1, rng=1), layer)
    plan = nn.plan(model, (5, 5, 4))
    before = plan(x)
    change(layer)
    close(plan, model, x)
    assert not np.array_equal(plan(x), before)


@pytest.mark.parametrize("key", ["weight", "bias", "running_mean", "running_var"])
@pytest.mark.parametrize("value", [np.ones(1, np.float32), np.ones(3), [1.0, 1.0, 1.0]])
def test_arrays_of_a_batch_norm_that_do_not_fit_any_more(key, value):
    for layers in ([], [nn.Conv2d(3, 3, 1, rng=0)]):
        norm = nn.BatchNorm2d(3)
        plan = nn.plan(nn.Sequential(*layers, norm), (2, 2, 3))
        setattr(norm, key, value)
        with pytest.raises(ShapeError, match=f"the {key} of BatchNorm2d as it was"):
            plan(np.ones((1, 2, 2, 3), np.float32))
