"""Layers that run as one, or change places, give what they give one by one."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.nn import (
    BatchNorm1d,
    BatchNorm2d,
    Conv2d,
    Hooks,
    LeakyReLU,
    MaxPool2d,
    ReLU,
    ReLU6,
    Residual,
    Sequential,
    freeze,
    with_hooks,
)
from xpcnn.nn.fusion import FusedConvolution, inference_steps, training_steps

from ..arrays import Library, assert_close


def one_by_one(net, x):
    for layer in net:
        x = layer(x)
    return x


def trained_norm(channels, rng, xp, affine=True):
    norm = BatchNorm2d(channels, affine=affine).astype("float64").to_backend()
    norm.running_mean = xp.array(rng.normal(size=channels))
    norm.running_var = xp.array(rng.uniform(0.5, 2, size=channels))
    if affine:
        norm.weight, norm.bias = xp.array(rng.normal(size=channels)), xp.array(rng.normal(size=channels))
    return norm


@pytest.mark.parametrize("images", [2, 17])
@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize("affine", [True, False])
@pytest.mark.parametrize("relu", [True, False])
@pytest.mark.parametrize("groups", [1, 2])
def test_convolution_norm_and_relu_in_inference(xp, rng, images, bias, affine, relu, groups):
    conv = Conv2d(4, 8, 3, padding=1, groups=groups, bias=bias, rng=0).astype("float64").to_backend()
    if bias:
        conv.bias = xp.array(rng.normal(size=8))
    layers = [conv, trained_norm(8, rng, xp, affine), *([ReLU()] if relu else [])]
    net = Sequential(*layers)
    assert [name for name, _ in inference_steps(net.children())] == ["0"]
    x = xp.array(rng.normal(size=(images, 8, 7, 4)))
    assert_close(net(x), xpcnn.to_numpy(one_by_one(net, x)))


@pytest.mark.parametrize("implementation", [None, "reference", "im2col", "rows", "winograd"])
def test_convolution_norm_and_relu_with_every_implementation(rng, any_batch, implementation):
    norm = trained_norm(8, rng, Library("numpy"))
    net = Sequential(
        Conv2d(8, 8, 3, padding=1, rng=0), ReLU(), Conv2d(8, 8, 3, padding=1, rng=0), norm, ReLU(), Conv2d(8, 4, 1)
    ).astype("float64")
    net[0].bias[...] = rng.normal(size=8)
    x = rng.normal(size=(9, 8, 8, 8))
    with xpcnn.use_implementation("reference"):
        expected = one_by_one(net, x)
    with xpcnn.use_implementation(implementation):
        np.testing.assert_allclose(net(x), expected, atol=1e-11)


def test_only_what_may_be_fused_is():
    class Mine(ReLU):
        pass

    for layers, expected in [
        ([Conv2d(1, 2, 3), ReLU(), ReLU()], ["0", "2"]),
        ([Conv2d(1, 2, 3), BatchNorm2d(2), BatchNorm2d(2), ReLU()], ["0", "2", "3"]),
        ([Conv2d(1, 2, 3), Mine()], ["0", "1"]),
        ([BatchNorm2d(2), Conv2d(2, 2, 3), LeakyReLU()], ["0", "1", "2"]),
        ([ReLU(), BatchNorm2d(2)], ["0", "1"]),
        ([], []),
    ]:
        steps = inference_steps(Sequential(*layers).children())
        assert [name for name, _ in steps] == expected
        fused = [name for name, step in steps if isinstance(step, FusedConvolution)]
        assert fused == (["0"] if len(expected) < len(layers) else [])


def test_norm_of_other_channels_or_dtype_is_one_clear_line(rng):
    x = rng.normal(size=(2, 5, 5, 1)).astype(np.float32)
    with pytest.raises(ShapeError, match=r"running_mean \(2,\) for this input, got \(3,\)"):
        Sequential(Conv2d(1, 2, 3), BatchNorm2d(3))(x)
    with pytest.raises(DTypeError, match="float32 and float64"):
        Sequential(Conv2d(1, 2, 3), BatchNorm2d(2).astype("float64"))(x)


def test_what_is_not_a_number_passes_relu(rng):
    net = Sequential(Conv2d(1, 2, 3, rng=0), ReLU())
    x = rng.normal(size=(2, 5, 5, 1)).astype(np.float32)
    x[0, 2, 2, 0] = np.nan
    np.testing.assert_array_equal(np.isnan(net(x)), np.isnan(one_by_one(net, x)))
    assert np.isnan(net(x)[0]).all()


def test_what_changes_places_or_is_one_in_training():
    conv, norm, relu, pool = Conv2d(1, 1, 3), BatchNorm2d(1), ReLU(), MaxPool2d(2)
    for layers, expected in [
        ([conv, relu, pool, pool], ["0", "2", "3", "1"]),
        ([LeakyReLU(), pool, relu], ["0", "1", "2"]),
        ([conv, norm, relu, conv, norm], ["0", "1 relu", "3", "4"]),
        ([norm, relu, relu], ["0 relu"]),
        ([norm, ReLU6(), relu], ["0 relu6"]),
        ([norm, relu, ReLU6()], ["0 relu", "2"]),
        ([norm, relu, pool], ["0", "2", "1"]),
        ([relu, norm], ["0", "1"]),
        ([], []),
    ]:
        steps = training_steps({str(i): layer for i, layer in enumerate(layers)})
        assert [" ".join([name, *options]) for name, options in steps] == expected


@pytest.mark.parametrize("images", [3, 16])
@pytest.mark.parametrize("norm", [BatchNorm1d, BatchNorm2d])
@pytest.mark.parametrize("relu", [ReLU(), ReLU6()])
def test_norm_and_relu_in_training(xp, rng, norm, images, relu):
    shape = (images, 4) if norm is BatchNorm1d else (images, 5, 6, 4)
    nets = [Sequential(norm(4), *rest).astype("float64").to_backend() for rest in ([relu], [])]
    assert len(nets[0]._training) == 1
    for net in nets:
        net[0].weight = xp.array(np.array([1.0, 6.0, -8.0, 9.0]))
        net[0].bias = xp.array(np.arange(4.0) - 1.5)
    x, dy = xp.array(rng.normal(size=shape)), xp.array(rng.normal(size=shape))
    y, cache = nets[0].forward(x)
    dx, grads = nets[0].backward(dy, cache)
    hidden, norm_cache = nets[1].forward(x)
    expected, relu_cache = relu.forward(hidden)
    wanted, wanted_grads = nets[1].backward(relu.backward(dy, relu_cache)[0], norm_cache)
    assert_close(y, xpcnn.to_numpy(expected))
    assert_close(dx, xpcnn.to_numpy(wanted))
    assert grads.keys() == wanted_grads.keys() == {"0.weight", "0.bias"}
    for name in grads:
        assert_close(grads[name], xpcnn.to_numpy(wanted_grads[name]))
    for name in ("running_mean", "running_var"):
        assert_close(getattr(nets[0][0], name), xpcnn.to_numpy(getattr(nets[1][0], name)))


@pytest.mark.parametrize("pool", [MaxPool2d(2), MaxPool2d(3, stride=2, padding=1), MaxPool2d((1, 3), ceil_mode=True)])
@pytest.mark.parametrize("images", [3, 16])
def test_relu_and_max_pooling_commute_bit_for_bit(xp, rng, pool, images):
    """With ties, zeros of both signs, infinities and what is not a number."""
    values = np.array([-2.0, -1.0, -0.0, 0.0, 1.0, 2.0, np.inf, -np.inf, np.nan])
    x = xp.array(rng.choice(values, size=(images, 8, 9, 3), p=[0.15] * 6 + [0.04, 0.04, 0.02]))
    net, relu = Sequential(ReLU(), pool), ReLU()
    hidden, relu_cache = relu.forward(x)
    expected, pool_cache = pool.forward(hidden)
    y, cache = net.forward(x)
    np.testing.assert_array_equal(xpcnn.to_numpy(y), xpcnn.to_numpy(expected))
    dy = xp.array(rng.normal(size=expected.shape))
    dx, _ = net.backward(dy, cache)
    wanted = relu.backward(pool.backward(dy, pool_cache)[0], relu_cache)[0]
    np.testing.assert_array_equal(xpcnn.to_numpy(dx), xpcnn.to_numpy(wanted))
    assert type(dx) is type(x)


@pytest.mark.parametrize(
    ("body", "shortcut", "after", "input_grad"),
    [
        ("conv", None, [ReLU()], True),
        ("conv", None, [ReLU()], False),
        ("conv", None, [], True),
        ("conv", None, [ReLU(), MaxPool2d(2)], True),
        ("conv", "conv", [ReLU()], True),
        ("conv", "conv", [], False),
        ("conv", "norm", [ReLU()], True),
        ("norm", "conv", [ReLU()], False),
        ("frozen conv", None, [ReLU()], False),
        ("frozen norm", "conv", [ReLU()], True),
    ],
    ids=str,
)
def test_norm_sum_and_relu_of_a_residual_block(xp, body, shortcut, after, input_grad):
    """As layer by layer, with hooks: outputs, gradients, and running statistics."""
    results = []
    for one_by_one in (False, True):
        conv, norm = Conv2d(4, 4, 3, padding=1, rng=0), BatchNorm2d(4)
        layers = [conv, BatchNorm2d(4), ReLU(), Conv2d(4, 4, 1, rng=1), norm] if "conv" in body else [norm]
        around = {None: None, "conv": Conv2d(4, 4, 1, rng=2), "norm": norm}[shortcut]
        net = Sequential(Residual(Sequential(*layers), around), *after).astype("float64").to_backend()
        if "frozen" in body:
            freeze(net, "0.body.0.*" if "conv" in body else "0.body.*")
        run = with_hooks(net, Hooks()) if one_by_one else net
        generator = np.random.default_rng(0)
        x = xp.array(generator.normal(size=(9, 4, 6, 4)))
        y, cache = run.forward(x)
        dx, grads = run.backward(xp.array(generator.normal(size=tuple(y.shape))), cache, input_grad=input_grad)
        results.append({"y": y, "dx": dx, "mean": norm.running_mean, "var": norm.running_var} | grads)
    assert results[0].keys() == results[1].keys()
    for name, expected in results[1].items():
        if expected is None:
            assert results[0][name] is None
        else:
            assert_close(results[0][name], xpcnn.to_numpy(expected))


def test_a_residual_block_whose_shortcut_does_not_fit(xp):
    x = xp.array(np.ones((2, 4, 4, 1)))
    net = Sequential(Residual(Sequential(Conv2d(1, 2, 1), BatchNorm2d(2)), Conv2d(1, 3, 1)), ReLU())
    with pytest.raises(ShapeError, match=r"layer 0: Residual: .*body's output \(2, 4, 4, 2\), got \(2, 4, 4, 3\)"):
        net.astype("float64").to_backend().forward(x)
    net = Sequential(Residual(Sequential(Conv2d(1, 2, 1), BatchNorm2d(3)), Conv2d(1, 2, 1)), ReLU())
    with pytest.raises(ShapeError, match=r"layer 0.body.1: BatchNorm2d\(3\)"):
        net.astype("float64").to_backend().forward(x)
    with pytest.raises(OptionError, match="ends in batch norm"):
        Residual(ReLU()).forward(x, relu=True)
