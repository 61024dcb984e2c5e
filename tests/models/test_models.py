"""The named architectures: their published sizes, the structure, and the same weights and logits on every backend."""

from __future__ import annotations

import math
import re

import numpy as np
import pytest

import xpcnn
from xpcnn import models
from xpcnn.errors import OptionError, ShapeError
from xpcnn.models import MODELS
from xpcnn.nn import Conv2d, Dropout, GlobalAvgPool2d, Layer, Linear, ReLU, Residual, Upsample

from ..arrays import assert_close
from .shapes import SMALLEST, TRAINED, heavy_ones_slow, outputs, uneven

# torchvision's vgg11 … vgg19 and vgg11_bn … vgg19_bn
IMAGENET = {11: (132_863_336, 132_868_840), 13: (133_047_848, 133_053_736),
            16: (138_357_544, 138_365_992), 19: (143_667_240, 143_678_248)}  # fmt: skip

LAST = {"squeezenet1_1": GlobalAvgPool2d, "unet": Conv2d, "unet_small": Conv2d, "fcn_resnet50": Upsample}  # not Linear


def count(model):
    return sum(math.prod(array.shape) for array in model.parameters().values())


def layers(model, *kinds):
    return [layer for _, layer in model.named_layers() if isinstance(layer, kinds)]


@pytest.fixture
def weightless(monkeypatch):
    """Parameters have their shapes but no memory: VGG-19's would fill half a gigabyte."""
    monkeypatch.setattr("xpcnn.nn.init.draw", lambda kind, shape, **_: np.broadcast_to(np.float32(0), shape))


def test_every_model_is_listed():
    assert MODELS.keys() == SMALLEST.keys()
    assert all(models.__dict__[name] is make for name, make in MODELS.items())


@pytest.mark.parametrize(
    ("name", "shape", "parameters"),
    [
        ("mlp", (28, 28, 1), 101_770),  # 784 → 128 → 10
        ("lenet5", (28, 28, 1), 61_706),  # LeCun et al., with C3 fully connected
        ("mnist_cnn", (28, 28, 1), 320 + 18_496 + (7 * 7 * 64 + 1) * 128 + 1_290),
        ("vgg_small", (32, 32, 3), 9 * (3 * 64 + 64 * 64 + 64 * 128 + 128 * 128 + 128 * 256 + 2 * 256 * 256)
                                   + 2 * (2 * 64 + 2 * 128 + 3 * 256) + 2_570),
        ("resnet20", (32, 32, 3), 269_722),  # He et al., table 6: 0.27 million
    ],
)  # fmt: skip
def test_number_of_parameters(weightless, name, shape, parameters):
    assert count(MODELS[name](shape, 10)) == parameters


@pytest.mark.parametrize("depth", IMAGENET)
def test_vgg_at_the_size_of_imagenet(weightless, depth):
    plain, normalised = IMAGENET[depth]
    assert count(MODELS[f"vgg{depth}"]()) == plain
    biases = sum(conv.out_channels for conv in layers(models.vgg(depth), Conv2d))
    assert count(MODELS[f"vgg{depth}"](batch_norm=True)) == normalised - biases  # batch norm's β does what they did


@pytest.mark.parametrize(("name", "depth"), [(f"vgg{n}", n) for n in IMAGENET] + [("resnet20", 20), ("lenet5", 5)])
def test_the_number_in_the_name_counts_layers_with_weights(weightless, name, depth):
    assert len(layers(MODELS[name](), Conv2d, Linear)) == depth


def test_widths_of_vgg(weightless):
    def widths(*shape, **options):
        return [layer.in_features for layer in layers(models.vgg(11, shape, 7, **options), Linear)]

    assert widths(224, 224, 3) == [512 * 49, 4096, 4096]
    assert widths(223, 224, 3) == [512 * 42, 512, 512]
    assert widths(32, 64, 3) == [512 * 2, 512, 512]
    assert widths(32, 32, 3, hidden=16) == [512, 16, 16]
    dropouts = [each.p for each in layers(models.vgg(11), Dropout)]
    assert dropouts == [0.5, 0.5]
    assert [each.p for each in layers(models.vgg(11, dropout=0.1), Dropout)] == [0.1, 0.1]


def test_feature_maps_of_lenet5():
    """Sizes of figure 2 in LeCun et al.: C1 6@28×28, S2 6@14×14, C3 16@10×10, S4 16@5×5, 120, 84, 10."""
    x, shapes = xpcnn.asarray(np.zeros((1, 28, 28, 1)), "float32"), []
    for layer in models.lenet5().children().values():
        x = layer(x)
        if not isinstance(layer, ReLU):
            shapes.append(tuple(x.shape[1:]))
    assert shapes == [(28, 28, 6), (14, 14, 6), (10, 10, 16), (5, 5, 16), (400,), (120,), (84,), (10,)]


@pytest.mark.parametrize("name", heavy_ones_slow(MODELS))
def test_logits_are_the_same_on_every_backend(xp, rng, name):
    shape = uneven(name)
    x, x_ = xp.normal(rng, 2, *shape, dtype="float32")
    with xpcnn.use_backend("numpy"):
        expected = models.build(name, shape, 5, rng=3)(x)
    model = models.build(name, shape, 5, rng=3)
    assert_close(model(x_), expected, factor=10)
    assert model.output_shape(shape) == outputs(name, shape, 5) == expected.shape[1:]
    last = [layer for layer in layers(model, Layer) if not layer.children()][-1]
    assert isinstance(last, LAST.get(name, Linear))  # logits: no softmax after it


@pytest.mark.parametrize("name", heavy_ones_slow(MODELS))
def test_the_smallest_image_and_a_smaller_one(name):
    least = SMALLEST[name]
    shape = (least, least, 3)
    assert models.build(name, shape, 2, rng=0).output_shape(shape) == outputs(name, shape, 2)
    if least == 1:
        return
    for shape in ((least - 1, least, 3), (least, least - 1, 3)):
        with pytest.raises(ShapeError, match=rf"^{name}: expected images of at least {least}×{least}, got") as caught:
            models.build(name, shape, 2)
        assert "\n" not in str(caught.value)
        other = re.search(r"; resize the images, or use (\w+), which takes this size$", str(caught.value))[1]
        assert models.build(other, shape, 2).output_shape(shape) == (2,)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (lambda: models.build("alexnet", (28, 28, 1), 10), "lenet5, mnist_cnn, mlp, .*got 'alexnet'"),
        (lambda: models.build("resnet", (28, 28, 1), 10), "got 'resnet'; did you mean resnet\\d+\\?"),
        (lambda: models.unet(filters=0), "unet: expected filters: .*got 0"),
        (lambda: models.build("lenet5", (28, 28, 0), 10), "each axis of input_shape: .*got 0"),
        (lambda: models.build("mlp", (28, 0, 1), 10), "each axis of input_shape: .*got 0"),
        (lambda: models.build("mlp", (4,), 0), "out_features: .*got 0"),
        (lambda: models.build("mlp", (4,), 2, rng=-1), "seed"),
        (lambda: models.vgg(11, (32, 32, 1), 2, hidden=0, rng=0), "out_features: .*got 0"),
        (lambda: models.vgg(11, (32, 32, 1), 2, hidden=1, dropout=1.5, rng=0), "p: .*got 1.5"),
    ],
)
def test_what_makes_no_sense(make, text):
    with pytest.raises(OptionError, match=text) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("shape", [(32, 40, 3), (40, 32, 3)])
def test_unet_halves_an_image_four_times(shape):
    with pytest.raises(ShapeError, match=r"^unet: expected .* multiples of 16, got .*crop or pad"):
        models.unet(shape)


@pytest.mark.parametrize("name", TRAINED)
def test_the_same_seed_gives_the_same_weights(xp, name):
    def weights(**options):
        return models.build(name, TRAINED[name], 3, **options).parameters()

    with xpcnn.use_backend("numpy"):
        expected = weights(rng=5)
    same, other = weights(rng=5), weights(rng=6)
    xpcnn.seed(5)
    default = weights()
    assert same.keys() == expected.keys() == default.keys()
    for key, array in expected.items():
        assert_close(same[key], array)
        assert_close(default[key], array)
        if array.ndim > 1:
            assert np.all(xpcnn.to_numpy(other[key]) != array)
    drawn = [array.ravel()[:3].tolist() for array in expected.values() if array.ndim > 1]
    assert len({tuple(values) for values in drawn}) == len(drawn)  # no two layers start the same


def test_the_two_dropouts_of_vgg_differ_and_are_seeded(weightless):
    """`rng` also seeds the masks, and drawing more weights in between does not change them."""

    def masks(seed):
        dropouts = layers(models.vgg(11, (32, 32, 3), 10, rng=seed), Dropout)
        return [each.forward(np.ones((1, 64), "float32"))[0] for each in dropouts]

    first, second = masks(5)
    assert np.any(first != second)
    np.testing.assert_array_equal(masks(5), [first, second])
    assert np.any(masks(6)[0] != first)


def test_the_structure_of_resnet20():
    """Three stages of three blocks; the last two begin with a stride and a shortcut; relu follows each sum."""
    net = models.resnet20((16, 12, 3), 4, rng=0)
    top = list(net.children().values())
    at = [i for i, layer in enumerate(top) if isinstance(layer, Residual)]
    assert len(at) == 9
    assert all(isinstance(top[i + 1], ReLU) for i in at)
    assert ["shortcut" in top[i].children() for i in at] == [i in (3, 6) for i in range(9)]
    x, sizes = xpcnn.asarray(np.zeros((1, 16, 12, 3)), "float32"), []
    for i, layer in enumerate(top):
        x = layer(x)
        if i in at:
            sizes.append(tuple(x.shape[1:]))
    assert sizes == [(16, 12, 16)] * 3 + [(8, 6, 32)] * 3 + [(4, 3, 64)] * 3
    assert all(conv.bias is None for conv in layers(net, Conv2d))


@pytest.mark.parametrize("size", [(8, 8), (5, 6)])
@pytest.mark.parametrize(("index", "channels"), [(3, 16), (6, 32)])
def test_the_shortcut_takes_every_second_pixel_and_appends_zeros(xp, rng, size, index, channels):
    """With the body switched off by a last γ of zero, a block is its shortcut."""
    block = layers(models.resnet20((16, 16, 3), rng=0), Residual)[index].astype("float64")
    block.load_state_dict({"body.4.weight": np.zeros(2 * channels)}, strict=False)
    x, x_ = xp.normal(rng, 2, *size, channels)
    y, cache = block.forward(x_)
    expected = np.zeros((2, -(-size[0] // 2), -(-size[1] // 2), 2 * channels))
    expected[..., channels // 2 : channels + channels // 2] = x[:, ::2, ::2, :]
    assert_close(y, expected)
    assert_close(block(x_), expected)
    dy, dy_ = xp.normal(rng, *y.shape)
    dx = np.zeros(x.shape)
    dx[:, ::2, ::2, :] = dy[..., channels // 2 : channels + channels // 2]
    assert_close(block.backward(dy_, cache)[0], dx)
