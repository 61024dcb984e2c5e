"""Grad-CAM by its equations: by hand, against PyTorch's hooks, and the layer that is chosen where none is named."""

from __future__ import annotations

import numpy as np
import pytest

from tests.arrays import assert_close, needs_torch
from tests.plot.networks import ours, pair, picture_of
from xpcnn import models, plot
from xpcnn.errors import DataError, NonFiniteError, OptionError, ShapeError
from xpcnn.nn import (
    Concat,
    Conv2d,
    ConvTranspose2d,
    Flatten,
    GlobalAvgPool2d,
    Linear,
    MaxPool2d,
    ReLU,
    Sequential,
    ZeroPadChannels,
)
from xpcnn.nn.init import constant
from xpcnn.ops import bilinear2d_forward


def two_channels(xp, head):
    """A = (x, 2x) of a grey image; scores = head · mean A."""
    model = Sequential(Conv2d(1, 2, 1, bias=False, rng=0), GlobalAvgPool2d(), Linear(2, 2, bias=False, rng=0))
    model.astype("float64")
    model[0].weight = xp.array(np.array([1.0, 2.0]).reshape(2, 1, 1, 1))
    model[2].weight = xp.array(np.asarray(head, float))
    return model


def test_by_hand(xp):
    """α = head / (h·w): the map of class 0 is max(0, (1·3 − 2·1) x) / 4, that of class 1 max(0, −x) / 4."""
    model = two_channels(xp, [[3.0, -1.0], [-3.0, 1.0]])
    x = xp.array(np.array([[1.0, -2.0], [0.0, 4.0]]).reshape(1, 2, 2, 1))
    assert_close(plot.grad_cam_map(model, x, 0), np.array([[[0.25, 0.0], [0.0, 1.0]]]))
    assert_close(plot.grad_cam_map(model, x, 1), np.array([[[0.0, 0.5], [0.0, 0.0]]]))
    assert_close(plot.grad_cam_map(model, x), np.array([[[0.25, 0.0], [0.0, 1.0]]]))  # class 0 scores 0.75


def test_the_map_has_the_image_s_size(xp, rng):
    """A convolution with stride 2 halves it; the map is that of the small one, enlarged."""
    model = Sequential(Conv2d(1, 1, 2, stride=2, weight_init=constant(0.25)), GlobalAvgPool2d()).astype("float64")
    host = rng.uniform(size=(2, 6, 4, 1))
    small = host.reshape(2, 3, 2, 2, 2).mean(axis=(2, 4))  # (2, 3, 2)
    expected = bilinear2d_forward(small[..., None] / 6, size=(6, 4))[0][..., 0]
    assert_close(plot.grad_cam_map(model, xp.array(host)), expected)


@needs_torch
@pytest.mark.parametrize(
    ("layer", "module"), [(None, 6), ("6", 6), ("5.body.0", "5.body.0"), ("0", 0), ("2", 2), ("3", 3)]
)
def test_pytorch_s_hooks_say_the_same(xp, rng, layer, module):
    import torch

    model, other = pair(rng)
    host, labels = rng.normal(size=(3, 8, 8, 3)), np.array([2, 0, 1])
    kept = {}

    def keep(_module, _inputs, output):
        output.retain_grad()
        kept["a"] = output

    handle = other.get_submodule(str(module)).register_forward_hook(keep)
    for each in other.modules():
        if isinstance(each, torch.nn.ReLU):
            each.inplace = False
    other(torch.tensor(host.transpose(0, 3, 1, 2)))[torch.arange(3), torch.tensor(labels)].sum().backward()
    handle.remove()
    a = kept["a"]
    heat = torch.relu((a.grad.mean(dim=(2, 3), keepdim=True) * a).sum(dim=1, keepdim=True))
    heat = torch.nn.functional.interpolate(heat, size=(8, 8), mode="bilinear", align_corners=False)
    expected = heat[:, 0].detach().numpy()
    assert expected.max() > 0
    assert_close(plot.grad_cam_map(model, xp.array(host), xp.array(labels), layer), expected)


@pytest.mark.parametrize(
    ("make", "shape", "name"),
    [
        (
            lambda: models.build("lenet5", (28, 28, 1), 3, rng=0),
            (28, 28, 1),
            "4",
        ),  # the ReLU after the second convolution
        (lambda: models.build("resnet20", (16, 16, 3), 3, rng=0), (16, 16, 3), "20"),  # the ReLU after the last sum
        (lambda: Sequential(Conv2d(1, 2, 3, rng=0), Flatten(), Linear(8, 3, rng=0)), (4, 4, 1), "0"),
        (
            lambda: Sequential(Concat(Conv2d(1, 2, 1, rng=0), Conv2d(1, 2, 1, rng=0)), GlobalAvgPool2d()),
            (4, 4, 1),
            "0.1",
        ),
        (lambda: Sequential(Conv2d(1, 2, 1, rng=0), MaxPool2d(2), ReLU(), GlobalAvgPool2d()), (4, 4, 1), "0"),
        (lambda: Sequential(Conv2d(1, 2, 1, rng=0), MaxPool2d((1, 2)), GlobalAvgPool2d()), (4, 4, 1), "0"),
        (lambda: Sequential(Conv2d(1, 2, 1, rng=0), ZeroPadChannels(1, 0), GlobalAvgPool2d()), (4, 4, 1), "1"),
        (lambda: Sequential(ConvTranspose2d(1, 2, 2, stride=2, rng=0), GlobalAvgPool2d()), (4, 4, 1), "0"),
    ],
)
def test_without_a_name_it_is_the_last_convolution_s_activations(make, shape, name):
    figure = plot.grad_cam(make(), np.random.default_rng(0).uniform(size=shape).astype("float32"), 0)
    assert figure.get_suptitle() == f"Grad-CAM for output 0, layer {name}"


def test_of_a_layer_that_runs_twice_the_last_time_counts(xp, rng):
    shared = Conv2d(1, 1, 1, weight_init=constant(2.0))
    model = Sequential(shared, shared, GlobalAvgPool2d()).astype("float64")
    host = rng.uniform(size=(1, 3, 3, 1))
    assert_close(plot.grad_cam_map(model, xp.array(host), 0, "0"), host[..., 0] * 4 / 9)
    both = Sequential(Concat(shared, shared), GlobalAvgPool2d(), Linear(2, 1, bias=False, rng=0)).astype("float64")
    both[2].weight = xp.array(np.array([[-1.0, 5.0]]))
    assert_close(plot.grad_cam_map(both, xp.array(host), 0, "0.0"), host[..., 0] * 2 * 5 / 9)


def test_a_picture_shows_the_map_and_says_where_nothing_speaks_for_the_class(xp):
    image = xp.array(np.array([[0.2, 0.8], [0.4, 0.6]])[..., None])
    figure = plot.grad_cam(two_channels(xp, [[1.0, 1.0], [-1.0, 0.0]]), image, classes=("cat", "dog"))
    np.testing.assert_allclose(picture_of(figure.axes[2]), np.array([[0.2, 0.8], [0.4, 0.6]]) * 0.75)
    assert figure.get_suptitle() == "Grad-CAM for class cat, layer 0"
    assert figure.get_supxlabel() == ""
    none = plot.grad_cam(two_channels(xp, [[1.0, 1.0], [-1.0, 0.0]]), image, 1)
    assert none.get_supxlabel() == "nothing speaks for this class here"


def test_a_picture_is_of_the_layer_that_is_named():
    model = Sequential(Conv2d(1, 1, 1, weight_init=constant(1.0)), ReLU(), GlobalAvgPool2d()).astype("float64")
    image = np.array([[-1.0, 3.0]])[..., None]
    figure = plot.grad_cam(model, image, 0, "0")
    assert figure.get_suptitle() == "Grad-CAM for output 0, layer 0"
    np.testing.assert_allclose(picture_of(figure.axes[2]), [[0.0, 0.75]])


def test_a_map_of_nan_is_not_drawn():
    model = Sequential(Conv2d(1, 1, 1, weight_init=constant(np.nan)), GlobalAvgPool2d())
    with pytest.raises(NonFiniteError, match="finite gradients"):
        plot.grad_cam(model, np.ones((2, 2, 1), np.float32), 0)


def test_bad_input_is_one_clear_line():
    model, x = ours(), np.zeros((1, 8, 8, 3))
    with pytest.raises(OptionError, match=r"a layer inside of it: 5\.body\.0 Conv2d, 5\.body\.1 \w+, got '5'"):
        plot.grad_cam_map(model, x, layer=5)
    with pytest.raises(ShapeError, match=r"layer 8: expected an output \(N, h, w, channels\), got \(1, 3\)"):
        plot.grad_cam_map(model, x, layer="8")
    with pytest.raises(OptionError, match="a network with a convolution"):
        plot.grad_cam_map(Sequential(Flatten(), Linear(192, 2)).astype("float64"), x)
    with pytest.raises(DataError, match="an output 0 … 2, got 3"):
        plot.grad_cam_map(model, x, 3)
    with pytest.raises(ShapeError, match=r"of one image, pass x\[None"):
        plot.grad_cam_map(model, x[0])


def test_errors_name_the_function_that_was_called():
    model, x = ours(), np.zeros((1, 8, 8, 3))
    dense = Sequential(Flatten(), Linear(192, 2)).astype("float64")
    for who, call, images in (("grad_cam_map", plot.grad_cam_map, x), ("grad_cam", plot.grad_cam, x[0])):
        with pytest.raises(OptionError, match=f"^{who}: .*a layer inside of it"):
            call(model, images, layer=5)
        with pytest.raises(ShapeError, match=f"^{who}: layer 8"):
            call(model, images, layer="8")
        with pytest.raises(OptionError, match=f"^{who}: .*a network with a convolution"):
            call(dense, images)
        with pytest.raises(DataError, match=f"^{who}: .*an output 0 … 2, got 3"):
            call(model, images, 3)
