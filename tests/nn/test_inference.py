"""The network as it is in inference: its forward is model(x), its gradients are those of model(x), nothing changes."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from tests.arrays import assert_close
from xpcnn.errors import OptionError, ShapeError
from xpcnn.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Container,
    Conv2d,
    Dropout,
    Dropout2d,
    Flatten,
    Inference,
    Layer,
    Linear,
    ReLU,
    Residual,
    Sequential,
    Tanh,
    eval_mode,
)
from xpcnn.nn.layer_examples import EXAMPLES


def trained_norms(layer, rng):
    """Running statistics and parameters as after training: not 0 and 1, where many mistakes do not show."""
    for _, each in layer.named_layers():
        if isinstance(each, BatchNorm1d | BatchNorm2d):
            shape = (each.num_features,)
            each.running_mean = xpcnn.asarray(rng.normal(size=shape))
            each.running_var = xpcnn.asarray(rng.uniform(0.3, 3.0, size=shape))
            if each.affine:
                each.weight, each.bias = xpcnn.asarray(rng.normal(size=shape)), xpcnn.asarray(rng.normal(size=shape))
    return layer


def network():
    return Sequential(
        Conv2d(2, 4, 3, padding=1, rng=0), BatchNorm2d(4), Tanh(), Dropout2d(0.5, rng=1),
        Residual(Sequential(Conv2d(4, 4, 3, padding=1, bias=False, rng=2), BatchNorm2d(4, affine=False)), Dropout(0.7)),
        Flatten(), Linear(4 * 5 * 4, 6, rng=3), BatchNorm1d(6), Dropout(0.5, rng=4), Linear(6, 3, rng=5),
    )  # fmt: skip


def check_gradients(layer, x, xp, rng):
    """Forward is layer(x); every gradient agrees with central differences of layer(x) along random directions."""
    made = eval_mode(layer)
    y, cache = made.forward(x)
    expected = xpcnn.to_numpy(layer(x))
    assert_close(y, expected)
    dy = rng.normal(size=expected.shape)
    dx, grads = made.backward(xp.array(dy), cache)
    assert grads.keys() == layer.parameters().keys()

    def loss():
        return float((xpcnn.to_numpy(layer(xp.array(host))) * dy).sum())

    host = xpcnn.to_numpy(x).copy()
    places = {name: (each, key) for name, each, key in layer.named_arrays(buffers=False)}
    for name, gradient in {"x": dx, **grads}.items():
        direction = rng.normal(size=tuple(gradient.shape))
        value = host.copy() if name == "x" else xpcnn.to_numpy(getattr(*places[name])).copy()
        ends = []
        for step in (1e-6, -1e-6):
            if name == "x":
                host = value + step * direction
            else:
                setattr(*places[name], xp.array(value + step * direction))
            ends.append(loss())
        if name == "x":
            host = value
        else:
            setattr(*places[name], xp.array(value))
        claimed = float((xpcnn.to_numpy(gradient) * direction).sum())
        assert claimed == pytest.approx((ends[0] - ends[1]) / 2e-6, rel=1e-6, abs=1e-7), name


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_layer_s_inference_has_its_gradients(xp, name, rng):
    layer, x = EXAMPLES[name]()
    check_gradients(trained_norms(layer.astype("float64"), rng), xp.array(x), xp, rng)


def test_a_network_of_batch_norm_dropout_and_residual(xp, rng):
    model = trained_norms(network().astype("float64"), rng)
    check_gradients(model, xp.array(rng.normal(size=(3, 5, 4, 2))), xp, rng)


def test_each_image_s_gradient_is_its_own(rng):
    """The other images of the batch do not matter, as they would with the batch's statistics."""
    model = trained_norms(network().astype("float64"), rng)
    x, dy = rng.normal(size=(4, 5, 4, 2)), rng.normal(size=(4, 3))
    _, cache = eval_mode(model).forward(x)
    together, _ = eval_mode(model).backward(dy, cache)
    for i in range(4):
        _, cache = eval_mode(model).forward(x[i : i + 1])
        alone, _ = eval_mode(model).backward(dy[i : i + 1], cache)
        np.testing.assert_allclose(alone[0], together[i], rtol=1e-10, atol=1e-12)


def test_nothing_of_the_network_changes(xp, rng):
    model = network()
    before = {name: xpcnn.to_numpy(array).copy() for name, array in model.state_dict().items()}
    states = [each.bit_generator.state for each in model.generators().values()]
    y, cache = eval_mode(model).forward(xp.array(rng.normal(size=(2, 5, 4, 2)), "float32"))
    eval_mode(model).backward(y, cache)
    assert all((xpcnn.to_numpy(array) == before[name]).all() for name, array in model.state_dict().items())
    assert [each.bit_generator.state for each in model.generators().values()] == states


def test_gradients_of_the_input_that_nobody_needs_are_not_made(rng):
    model = eval_mode(Sequential(BatchNorm2d(2)))
    y, cache = model.forward(np.ones((2, 3, 3, 2), np.float32))
    dx, grads = model.backward(y, cache, input_grad=False)
    assert dx is None
    assert grads["0.bias"].tolist() == pytest.approx([18.0 * float(y[0, 0, 0, 0])] * 2)


def test_a_watch_of_one_s_own_sees_every_layer():
    class Names(Inference):
        def forward(self, name, layer, x):
            seen.append(name)
            return super().forward(name, layer, x)

    seen = []
    model = Sequential(Dropout(), Residual(BatchNorm2d(1)), ReLU())
    eval_mode(model, Names()).forward(np.ones((1, 2, 2, 1), np.float32))
    assert seen == ["0", "1.body", "2"]


class Own(Layer):
    def forward(self, x):
        return 2 * x, None

    def backward(self, dy, cache, *, input_grad=True):
        return 2 * dy, {}


class OwnInference(Own):
    def __call__(self, x):
        return 3 * x


class Within(Own):
    def __init__(self, layer):
        self.inner = layer


class OwnContainer(Container):
    def __init__(self, layer):
        super().__init__({"inner": layer})

    def run_children(self, x, run):
        return run("inner", self.children()["inner"], x)

    def __call__(self, x):
        return x

    def forward(self, x):
        return self.forward_child("inner", x)

    def backward(self, dy, cache, *, input_grad=True):
        grads = {}
        return self.backward_child("inner", dy, cache, grads, input_grad), grads


def test_layers_of_the_user_s_own():
    y, _ = eval_mode(Sequential(Own(), Within(ReLU()))).forward(np.ones((1, 1)))
    assert y.tolist() == [[4.0]]
    for layer in (OwnInference(), Within(Dropout()), Within(Sequential(BatchNorm2d(1))), OwnContainer(ReLU())):
        with pytest.raises(OptionError, match=r"layer 1: gradients of inference: expected .* let a layer"):
            eval_mode(Sequential(ReLU(), layer))


def test_a_gradient_of_another_shape_is_refused():
    model = eval_mode(BatchNorm2d(2))
    _, cache = model.forward(np.ones((2, 3, 3, 2), np.float32))
    with pytest.raises(ShapeError, match=r"dy \(2, 3, 3, 2\)"):
        model.backward(np.ones((1, 3, 3, 2), np.float32), cache)
