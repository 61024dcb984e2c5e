"""Normalisation layers: running statistics, inference, configs, gradients, and PyTorch over many steps."""

from __future__ import annotations

import numpy as np
import pytest

import xpcnn
from xpcnn.errors import DTypeError, OptionError, ShapeError
from xpcnn.gradient_check import gradcheck
from xpcnn.nn.norm import BatchNorm1d, BatchNorm2d, GroupNorm, LayerNorm

from ..arrays import assert_close, needs_torch

LAYERS = {
    "BatchNorm1d": (lambda **o: BatchNorm1d(4, **o), (5, 4)),
    "BatchNorm1d over L": (lambda **o: BatchNorm1d(4, **o), (3, 2, 4)),
    "BatchNorm2d": (lambda **o: BatchNorm2d(4, **o), (3, 2, 3, 4)),
    "LayerNorm": (lambda affine=True: LayerNorm((3, 4), elementwise_affine=affine), (2, 2, 3, 4)),
    "LayerNorm without bias": (lambda affine=True: LayerNorm(4, elementwise_affine=affine, bias=False), (3, 4)),
    "GroupNorm": (lambda **o: GroupNorm(2, 4, **o), (2, 3, 2, 4)),
}


@pytest.mark.parametrize("name", LAYERS)
@pytest.mark.parametrize("affine", [True, False])
def test_gradcheck(xp, name, affine, rng):
    make, shape = LAYERS[name]
    layer = make(affine=affine)
    before = {key: xpcnn.to_numpy(value).copy() for key, value in layer.state_dict().items()}
    report = gradcheck(layer, xp.normal(rng, *shape)[1], directions=2)
    assert report.passed, report
    assert {row.argument for row in report.rows} == {"x", *layer.parameters()}
    for key, value in layer.state_dict().items():
        assert_close(value, before[key])


@pytest.mark.parametrize("name", LAYERS)
def test_config_makes_the_same_layer(name):
    for affine in (True, False):
        layer = LAYERS[name][0](affine=affine)
        again = type(layer)(**layer.config())
        assert repr(again) == repr(layer)
        assert again.state_dict().keys() == layer.state_dict().keys()
        learned = ["weight"] if "without bias" in name else ["weight", "bias"]
        assert list(layer.parameters()) == (learned if affine else [])


@needs_torch
@pytest.mark.parametrize("kind", ["1d", "2d"])
def test_running_statistics_and_inference_agree_with_pytorch(kind, rng):
    import torch

    ours, theirs, shape = (
        (BatchNorm1d(3, momentum=0.3, eps=1e-3), torch.nn.BatchNorm1d(3, momentum=0.3, eps=1e-3), (4, 3))
        if kind == "1d"
        else (BatchNorm2d(3, momentum=0.3, eps=1e-3), torch.nn.BatchNorm2d(3, momentum=0.3, eps=1e-3), (2, 4, 5, 3))
    )
    ours.astype("float64")
    theirs.double()
    for _ in range(5):
        x = rng.normal(2, 3, size=shape)
        y, _ = ours.forward(x)
        np.testing.assert_allclose(y, theirs(torch.tensor(x).movedim(-1, 1)).movedim(1, -1).detach(), atol=1e-12)
    for name in ("running_mean", "running_var"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-12)
    theirs.eval()
    x = rng.normal(size=shape)
    np.testing.assert_allclose(ours(x), theirs(torch.tensor(x).movedim(-1, 1)).movedim(1, -1).detach(), atol=1e-12)


def test_forward_binds_new_statistics_and_leaves_the_old_ones(xp):
    layer = BatchNorm1d(2)
    held_mean, held_var = layer.running_mean, layer.running_var
    x = xp.array([[1, 4], [3, 8]], "float32")
    layer.forward(x)
    assert_close(held_mean, np.zeros(2, "f4"))
    assert_close(held_var, np.ones(2, "f4"))
    assert_close(layer.running_mean, np.array([0.2, 0.6], "f4"))
    assert_close(layer.running_var, np.array([0.9 + 0.2, 0.9 + 0.8], "f4"))  # unbiased variances 2 and 8
    mean, var = layer.running_mean, layer.running_var
    layer(x)
    assert layer.running_mean is mean
    assert layer.running_var is var


def test_one_value_a_channel_trains_nothing_and_changes_nothing(xp):
    layer = BatchNorm2d(3)
    mean = layer.running_mean
    x = xp.array(np.ones((1, 1, 1, 3)), "float32")
    with pytest.raises(ShapeError, match=r"expected more than one value a channel to train on, got \(1, 1, 1, 3\)"):
        layer.forward(x)
    assert layer.running_mean is mean
    assert_close(layer(x), np.full((1, 1, 1, 3), 1 / np.sqrt(1 + 1e-5), "f4"))


def test_bad_input_is_refused_before_anything_changes(xp):
    layer = BatchNorm2d(3, affine=False)
    mean = layer.running_mean
    for run in (layer, layer.forward):
        with pytest.raises(ShapeError, match=r"BatchNorm2d\(3\): expected input \(N, H, W, 3\), got \(2, 3\)"):
            run(xp.array(np.ones((2, 3)), "float32"))
        with pytest.raises(ShapeError, match="images are channels last"):
            run(xp.array(np.ones((2, 3, 4, 4)), "float32"))
        with pytest.raises(
            DTypeError, match=r"BatchNorm2d\(3\): expected arrays of one dtype, got float64 and float32"
        ):
            run(xp.array(np.ones((2, 4, 4, 3))))
    assert layer.running_mean is mean
    with pytest.raises(ShapeError, match=r"BatchNorm1d\(3\): expected input \(N, 3\), got \(2, 4\)"):
        BatchNorm1d(3)(xp.array(np.ones((2, 4)), "float32"))
    with pytest.raises(ShapeError, match=r"BatchNorm1d\(3\): expected input \(N, 3\), got \(2, 4, 4, 3\)"):
        BatchNorm1d(3)(xp.array(np.ones((2, 4, 4, 3)), "float32"))
    with pytest.raises(ShapeError, match=r"LayerNorm\(3, 4\): expected input \(N, 3, 4\), got \(3, 4\)"):
        LayerNorm((3, 4))(xp.array(np.ones((3, 4)), "float32"))
    with pytest.raises(ShapeError, match=r"GroupNorm\(2, 4\): expected input \(N, 5, 4\), got \(2, 5, 6\)"):
        GroupNorm(2, 4)(xp.array(np.ones((2, 5, 6)), "float32"))


def test_bad_options_are_refused():
    for wrong in ({"eps": 0}, {"eps": -1e-5}, {"momentum": 1.5}, {"momentum": None}):
        (name,) = wrong
        with pytest.raises(OptionError, match=rf"BatchNorm2d: expected {name}: a number in"):
            BatchNorm2d(3, **wrong)
    with pytest.raises(OptionError, match="BatchNorm1d: expected num_features"):
        BatchNorm1d(0)
    with pytest.raises(OptionError, match="LayerNorm: expected normalized_shape"):
        LayerNorm((3, 0))
    with pytest.raises(OptionError, match="LayerNorm: expected normalized_shape"):
        LayerNorm(())
    with pytest.raises(OptionError, match="GroupNorm: expected groups that divide the 6 channels, got 4"):
        GroupNorm(4, 6)


def test_state_is_loaded_and_shapes_are_known():
    source, target = BatchNorm2d(3), BatchNorm2d(3)
    source.forward(xpcnn.asarray(np.random.default_rng(0).normal(size=(4, 5, 5, 3)), "float32"))
    target.load_state_dict(source.state_dict())
    assert_close(target.running_var, xpcnn.to_numpy(source.running_var))
    assert list(target.state_dict()) == ["weight", "bias", "running_mean", "running_var"]
    for make, shape in LAYERS.values():
        assert make().output_shape(shape[1:]) == shape[1:]
