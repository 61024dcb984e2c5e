"""A layer's facts for the parts that rearrange numbers (ONNX, weights of PyTorch) are true."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import OptionError, XpcnnError
from xpcnn.exchange import save_pytorch
from xpcnn.nn.layer_examples import EXAMPLES

_ROWS = {"LayerNorm": lambda: nn.LayerNorm(4)}  # the samples of these take images
_CONTAINERS = ("Sequential", "Residual", "Concat")


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in _CONTAINERS])
def test_elementwise_layers_are_those_that_do_not_mind_where_a_number_stands(name):
    layer, host = EXAMPLES[name]()
    layer.astype("float64")
    randomize(layer)
    shuffled = np.random.default_rng(1).permutation(host.size)
    y = xpcnn.to_numpy(layer(xpcnn.asarray(host)))
    moved = xpcnn.to_numpy(layer(xpcnn.asarray(host.ravel()[shuffled].reshape(host.shape))))
    same = y.shape == host.shape and np.array_equal(y.ravel()[shuffled], moved.ravel())
    assert same == layer.elementwise


@pytest.mark.parametrize("name", [name for name in EXAMPLES if name not in _CONTAINERS])
def test_layers_that_keep_columns_are_those_whose_columns_can_be_moved(name):
    layer = _ROWS[name]() if name in _ROWS else EXAMPLES[name]()[0]
    layer.astype("float64")
    randomize(layer)
    host = np.random.default_rng(2).normal(size=(5, 4))
    order = np.array([2, 0, 3, 1])
    try:
        y = xpcnn.to_numpy(layer(xpcnn.asarray(host)))
    except XpcnnError:  # it takes no rows
        assert not layer.keeps_columns
        return
    for array in layer.state_dict().values():
        if array.shape[-1] == 4:
            array[...] = array[..., order]
    moved = xpcnn.to_numpy(layer(xpcnn.asarray(host[:, order])))
    keeps = y.shape == host.shape and np.allclose(y[:, order], moved, rtol=1e-12, atol=0, equal_nan=True)
    flattens = name == "Flatten"  # rows as they are: what it does to images is not said by one flag
    assert keeps == (layer.elementwise or layer.keeps_columns or flattens)


def randomize(layer):
    rng = np.random.default_rng(0)
    for array in layer.state_dict().values():
        array[...] = rng.uniform(0.5, 1.5, array.shape)


def test_a_layer_of_one_s_own_says_it_itself_where_it_computes_something_else(tmp_path):
    class Shifted(nn.ReLU):
        def forward(self, x):
            return x + 1, None

    class Negated(nn.Layer):
        elementwise = True

        def forward(self, x):
            return -x, None

        def backward(self, dy, cache, *, input_grad=True):
            return -dy, {}

    class Renamed(nn.ReLU):
        pass

    assert not Shifted().elementwise
    assert Negated().elementwise
    assert Renamed().elementwise
    net = nn.Sequential(nn.Flatten(), Negated(), nn.Linear(12, 2))
    save_pytorch(net, tmp_path / "weights.safetensors", input_shape=(2, 3, 2))
    shifted = nn.Sequential(nn.Flatten(), Shifted(), nn.Linear(12, 2))
    with pytest.raises(OptionError, match=r"at 1, got Shifted"):
        save_pytorch(shifted, tmp_path / "other.safetensors", input_shape=(2, 3, 2))
