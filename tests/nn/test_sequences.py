"""Layers of sequences compute what PyTorch computes, are fused like those of images, and name their own options."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import OptionError, ShapeError, XpcnnError
from xpcnn.nn.fusion import inference_steps, training_steps

from ..arrays import assert_close, needs_torch


def with_gradients(layer, x, dy, xp):
    """y, dx and the parameters' gradients."""
    layer.astype("float64").to_backend()
    y, cache = layer.forward(xp.array(x))
    dx, grads = layer.backward(xp.array(dy(tuple(y.shape))), cache)
    assert_close(layer(xp.array(x)), xpcnn.to_numpy(y))
    return y, dx, grads


def theirs(function, x, dy, *parameters):
    """The same of PyTorch's function of (x, *parameters), channels first."""
    import torch

    given = [torch.tensor(xpcnn.to_numpy(each), requires_grad=True) for each in (np.moveaxis(x, 2, 1), *parameters)]
    y = function(torch.nn.functional, *given)
    y.backward(torch.tensor(np.moveaxis(dy((y.shape[0], y.shape[2], y.shape[1])), 2, 1).copy()))
    return np.moveaxis(y.detach().numpy(), 1, 2), [each.grad.numpy() for each in given]


@pytest.fixture
def dy():
    return lambda shape: np.random.default_rng(4).normal(size=shape)


CONVOLUTIONS = [
    {},
    {"stride": 2, "padding": 2},
    {"padding": (3, 1), "dilation": 2},
    {"padding": "same", "dilation": 2, "groups": 2},
    {"stride": 3, "groups": 2, "bias": False},
]


@needs_torch
@pytest.mark.parametrize("options", CONVOLUTIONS, ids=str)
@pytest.mark.parametrize("n", [2, 9])
def test_convolution(xp, rng, dy, options, n):
    layer = nn.Conv1d(4, 6, 3, **options, rng=0)
    x = rng.normal(size=(n, 11, 4))
    y, dx, grads = with_gradients(layer, x, dy, xp)
    weight = np.moveaxis(xpcnn.to_numpy(layer.weight), 2, 1)
    bias = [] if layer.bias is None else [layer.bias]
    ends = {"same": (2, 2)}.get(layer.padding, layer.padding)
    ends = ends if isinstance(ends, tuple) else (ends, ends)

    def function(torch, x, w, b=None):
        return torch.conv1d(torch.pad(x, ends), w, b, layer.stride, 0, layer.dilation, layer.groups)

    expected, (their_dx, dw, *db) = theirs(function, x, dy, weight, *bias)
    assert_close(y, expected)
    assert_close(dx, np.moveaxis(their_dx, 1, 2))
    assert_close(grads["weight"], np.moveaxis(dw, 1, 2))
    assert len(db) == len(grads) - 1
    for each in db:
        assert_close(grads["bias"], each)


@needs_torch
@pytest.mark.parametrize(
    "options", [{}, {"stride": 2, "padding": 1, "output_padding": 1}, {"dilation": 3, "groups": 2}], ids=str
)
def test_transposed_convolution(xp, rng, dy, options):
    layer = nn.ConvTranspose1d(4, 6, 3, **options, rng=0)
    x = rng.normal(size=(2, 7, 4))
    y, dx, grads = with_gradients(layer, x, dy, xp)

    def function(torch, x, w, b):
        extra, step = layer.output_padding, layer.stride
        return torch.conv_transpose1d(x, w, b, step, layer.padding, extra, layer.groups, layer.dilation)

    weight = np.moveaxis(xpcnn.to_numpy(layer.weight), 2, 1)
    expected, (their_dx, dw, db) = theirs(function, x, dy, weight, layer.bias)
    assert_close(y, expected)
    assert_close(dx, np.moveaxis(their_dx, 1, 2))
    assert_close(grads["weight"], np.moveaxis(dw, 1, 2))
    assert_close(grads["bias"], db)


POOLS = {
    "max": (nn.MaxPool1d(3), lambda f, x: f.max_pool1d(x, 3)),
    "max, all options": (
        nn.MaxPool1d(3, stride=2, padding=1, dilation=2, ceil_mode=True),
        lambda f, x: f.max_pool1d(x, 3, 2, 1, 2, True),
    ),
    "mean": (nn.AvgPool1d(2), lambda f, x: f.avg_pool1d(x, 2)),
    "mean, all options": (
        nn.AvgPool1d(4, stride=3, padding=2, ceil_mode=True, count_include_pad=False),
        lambda f, x: f.avg_pool1d(x, 4, 3, 2, True, False),
    ),
    "bins": (nn.AdaptiveAvgPool1d(3), lambda f, x: f.adaptive_avg_pool1d(x, 3)),
    "global maximum": (nn.GlobalMaxPool1d(), lambda f, x: f.adaptive_max_pool1d(x, 1)),
    "global mean": (nn.GlobalAvgPool1d(), lambda f, x: f.adaptive_avg_pool1d(x, 1)),
}


@needs_torch
@pytest.mark.parametrize("name", POOLS)
@pytest.mark.parametrize("n", [2, 9])
def test_pooling(xp, rng, dy, name, n):
    layer, function = POOLS[name]
    x = rng.normal(size=(n, 11, 3))
    y, dx, _ = with_gradients(layer, x, dy, xp)
    expected, (their_dx,) = theirs(function, x, dy)
    assert_close(y, expected if len(y.shape) == 3 else expected[:, 0])
    assert_close(dx, np.moveaxis(their_dx, 1, 2))


def test_a_causal_convolution_reads_nothing_that_comes_later(rng):
    layer = nn.Conv1d(2, 3, 3, padding=(4, 0), dilation=2, rng=0).astype("float64")
    x, later = rng.normal(size=(1, 10, 2)), rng.normal(size=(1, 10, 2))
    later[:, :6] = x[:, :6]
    np.testing.assert_array_equal(layer(x)[:, :6], layer(later)[:, :6])
    assert layer(x).shape == (1, 10, 3)


@pytest.mark.parametrize("bias", [False, True])
def test_layers_that_run_as_one(rng, bias):
    norm = nn.BatchNorm1d(6)
    norm.running_mean, norm.running_var = rng.normal(size=6), rng.uniform(0.5, 2, size=6)
    net = nn.Sequential(nn.Conv1d(4, 6, 3, bias=bias, rng=0), norm, nn.ReLU(), nn.MaxPool1d(2)).astype("float64")
    assert [name for name, _ in inference_steps(net.children())] == ["0", "3"]
    assert [name for name, _ in training_steps(net.children())] == ["0", "1", "3", "2"]
    x = rng.normal(size=(3, 9, 4))
    y = x
    for layer in net:
        y = layer(y)
    np.testing.assert_allclose(net(x), y, atol=1e-12)
    np.testing.assert_allclose(nn.plan(net, (9, 4))(x), y, atol=1e-12)
    with pytest.raises(ShapeError, match=r"layer 0: Conv1d\(4→6, 3\): expected input \(N, L, 4\)"):
        net(x[..., :3])


MISTAKES = [
    (lambda: nn.Conv1d(4, 6, (3, 2)), "Conv1d: expected kernel_size: an integer ≥ 1, got (3, 2)"),
    (lambda: nn.Conv1d(4, 6, 3, groups=5), "Conv1d: expected groups that divide 4 and 6, got 5"),
    (lambda: nn.Conv1d(0, 6, 3), "Conv1d: expected in_channels: an integer ≥ 1, got 0"),
    (lambda: nn.Conv1d(4, 6, 3, padding=(1, 2, 3, 4)), "Conv1d: expected padding: an integer ≥ 0 or a pair of them"),
    (lambda: nn.MaxPool1d(2, padding="full"), 'MaxPool1d: expected padding: "same", "valid" or numbers'),
    (lambda: nn.ConvTranspose1d(4, 6, 3, padding="same"), "ConvTranspose1d: expected padding in numbers"),
    (lambda: nn.AdaptiveAvgPool1d((1, 2)), "AdaptiveAvgPool1d: expected output_size: an integer ≥ 1"),
]
CALLS = [
    (nn.Conv1d(4, 6, 9), (2, 4, 20), "sequences are channels last: move axis 1 to the end"),
    (nn.Conv1d(4, 6, 9), (2, 3, 4), "Conv1d(4→6, 9): expected a sequence and its padding of length ≥ 9, got length 3"),
    (nn.Conv1d(4, 6, 2), (5, 4), "expected input (N, L, 4), got (5, 4); add the batch axis"),
    (nn.MaxPool1d(2, padding=3), (2, 5, 4), "MaxPool1d(2): expected an element of the sequence under every position"),
    (nn.ConvTranspose1d(4, 6, 1, padding=3), (2, 5, 4), "expected an output of at least 1, got -1; use less padding"),
    (nn.GlobalAvgPool1d(), (2, 5, 4, 3), "GlobalAvgPool1d: expected input (N, L, C), got (2, 5, 4, 3)"),
]


@pytest.mark.parametrize(("make", "said"), MISTAKES, ids=[said for _, said in MISTAKES])
def test_options_are_refused_under_the_layer_s_own_name(make, said):
    with pytest.raises(OptionError) as raised:
        make()
    assert said in str(raised.value)


@pytest.mark.parametrize(("layer", "shape", "said"), CALLS, ids=[said for *_, said in CALLS])
def test_inputs_are_refused_in_words_of_sequences(layer, shape, said):
    layer = layer.to_backend()
    for call in (layer, layer.forward):
        with pytest.raises(XpcnnError) as raised:
            call(xpcnn.asarray(np.zeros(shape), "float32"))
        assert said in str(raised.value)
        assert not {"image", "images", "width", "2d"} & set(str(raised.value).split())


def test_gradients_of_another_shape_are_refused():
    layer = nn.Conv1d(4, 6, 3)
    _, cache = layer.forward(xpcnn.asarray(np.zeros((2, 5, 4)), "float32"))
    with pytest.raises(ShapeError, match=r"Conv1d backward: expected dy \(2, 3, 6\)"):
        layer.backward(xpcnn.asarray(np.zeros((2, 1, 3, 6)), "float32"), cache)
