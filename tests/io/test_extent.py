"""A small file cannot make a network that takes gigabytes or hours of one image: its sizes are followed first."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import FormatError, OptionError
from xpcnn.io import extent as module
from xpcnn.io import load_model, save_model
from xpcnn.io.architecture import to_config
from xpcnn.io.extent import check_extent
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn.layer_examples import EXAMPLES

from ..limits import at_most

SHAPE = (28, 28, 1)


def limit(model, shape):
    """The largest limit of numbers that refuses the network."""
    low, high = 0, 2**20
    while high - low > 1:
        middle = (low + high) // 2
        try:
            module._follow(model, shape, "", middle)
        except FormatError:
            low = middle
        else:
            high = middle
    return low


@pytest.mark.parametrize("name", list(EXAMPLES))
def test_shapes_are_those_of_the_outputs(name):
    model, x = EXAMPLES[name]()
    model.astype("float64")
    expected = model(x).shape[1:]
    assert module._follow(model, x.shape[1:], "", 2**20) == expected
    assert limit(model, x.shape[1:]) + 1 >= np.prod(expected)
    assert module._follow(nn.Sequential(model, nn.Flatten()), x.shape[1:], "", 2**20) == (np.prod(expected),)


@pytest.mark.parametrize(
    "layer",
    [
        nn.MaxPool2d(3, stride=2, padding=1, dilation=2, ceil_mode=True),
        nn.AvgPool2d((3, 2), stride=(2, 1), padding="same"),
        nn.Conv2d(4, 2, 3, padding="same", dilation=2),
        nn.ConvTranspose2d(4, 2, (3, 2), stride=(3, 2), padding=(1, 0, 0, 1), output_padding=(2, 1), dilation=(2, 1)),
        nn.AdaptiveAvgPool2d((9, 1)),
        nn.Sequential(),
        nn.Residual(nn.Conv2d(4, 4, 1)),
    ],
    ids=repr,
)
def test_every_geometry(layer):
    x = np.zeros((1, 9, 8, 4), "f4")
    assert module._follow(layer, x.shape[1:], "", 2**20) == layer.to_backend()(x).shape[1:]


LARGE = [
    [nn.Upsample(2**9), nn.MaxPool2d(2)],
    [nn.Upsample(2) for _ in range(20)],
    [nn.ZeroPad2d(10_000)],
    [nn.ZeroPadChannels(0, 10**9)],
    [nn.AdaptiveAvgPool2d(50_000)],
    [nn.AdaptiveAvgPool2d((10**8, 1))],
    [nn.Conv2d(1, 1, 1, padding=10_000, stride=10_000)],
    [nn.Conv2d(1, 1, 3, padding=10_000, dilation=9_000)],
    [nn.ConvTranspose2d(1, 1, 1, stride=5_000)],
    [nn.ConvTranspose2d(1, 1, 2, dilation=20_000, padding=10_000)],
    [nn.MaxPool2d(3, padding=9_000, dilation=9_000)],
    [nn.MaxPool2d(20_000, padding=10_000)],
    [nn.AvgPool2d(1025, padding=1000)],
    [nn.Concat(*(nn.Upsample(300) for _ in range(3)))],
    [nn.Residual(nn.Upsample(9_000), nn.Upsample(9_000))],
    [nn.Residual(nn.Conv2d(1, 1, 1), nn.Upsample(9_000))],
    [nn.Unflatten((2**10, 2**10, 2**10))],
]


@pytest.mark.parametrize("layers", LARGE, ids=lambda layers: repr(layers[0])[:60].replace("\n", ""))
def test_networks_that_make_gigabytes_of_one_image(tmp_path, layers):
    model = nn.Sequential(*([nn.Flatten()] if isinstance(layers[0], nn.Unflatten) else []), *layers)
    with at_most(2**20), pytest.raises(FormatError, match=r"layer '\d+.*(numbers of one item|taps)"):
        check_extent(model, SHAPE)
    with pytest.raises(OptionError, match=r"numbers of one item|taps"):
        save_model(model, tmp_path / "model", input_shape=SHAPE)
    save_model(nn.Sequential(), tmp_path / "model", input_shape=SHAPE)
    document = read_tensors(tmp_path / "model")[1]
    write_tensors(tmp_path / "model", model.state_dict(), document | {"architecture": to_config(model)})
    with at_most(2**20), pytest.raises(FormatError, match=r"layer '\d+.*(numbers of one item|taps)"):
        load_model(tmp_path / "model")


@pytest.mark.parametrize("shape", [(2**31, 1, 1), (2**14, 2**14, 3), (2**62, 2**62)])
def test_images_that_nobody_has(shape):
    with pytest.raises(FormatError, match="input_shape: expected an item of at most 268435456 numbers"):
        check_extent(nn.Sequential(), shape)


def test_large_images_may_have_large_maps():
    check_extent(nn.Sequential(nn.Conv2d(3, 64, 3, padding=1), nn.Flatten()), (8192, 8192, 3))


def test_what_does_not_fit_is_left_to_those_who_run_it():
    for layer in (nn.Conv2d(1, 1, 5), nn.Upsample(2), nn.MaxPool2d(9), nn.GlobalAvgPool2d()):
        check_extent(nn.Sequential(layer, nn.Residual(layer), nn.Concat(layer, layer)), (3,))
        check_extent(nn.Concat(layer, nn.Identity()), (4, 4, 1))
