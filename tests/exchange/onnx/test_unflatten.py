"""Rows that become images: what is written and what other programs write computes the same here and in onnxruntime."""

from __future__ import annotations

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.errors import FormatError
from xpcnn.exchange import export_onnx, import_onnx

from .graphs import (
    assert_near,
    check,
    compare,
    constant,
    first,
    host,
    kinds,
    last,
    node,
    numbers,
    randomize,
    run,
    write,
)


def decoder(*, image=(3, 2, 4)):
    """Layers that tell columns apart before the image, and rows and pixels after it."""
    features = int(np.prod(image))
    return nn.Sequential(
        *(nn.Linear(5, features, rng=0), nn.BatchNorm1d(features), nn.PReLU(features), nn.Unflatten(image)),
        *(nn.ConvTranspose2d(image[2], 3, (3, 2), stride=2, rng=1), nn.Sigmoid()),
    )


@pytest.mark.parametrize("image", [(3, 2, 4), (3, 2, 1), (1, 1, 6), (1, 3, 2)])
def test_a_decoder(tmp_path, rng, image):
    model = randomize(decoder(image=image), rng)
    back = compare(tmp_path / "m.onnx", model, rng.normal(size=(3, 5)).astype("float32"))
    assert kinds(back) == kinds(model)
    assert back[3].shape == image


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("batch", [None, 3])
def test_an_autoencoder(tmp_path, rng, layout, batch):
    encoder = nn.Sequential(nn.Conv2d(2, 3, 3, rng=0), nn.Flatten(), nn.ReLU(), nn.Linear(36, 5, rng=1))
    model = randomize(nn.Sequential(encoder, *decoder().children().values()), rng)
    x = rng.normal(size=(3, 6, 5, 2)).astype("float32")
    export_onnx(model, tmp_path / "m.onnx", input_shape=x.shape[1:], layout=layout, batch=batch)
    y = run(tmp_path / "m.onnx", first(x) if layout == "NCHW" else x)
    assert_near(last(y) if layout == "NCHW" else y, host(model, x))
    assert_near(host(import_onnx(tmp_path / "m.onnx").model, x), host(model, x))


def test_an_image_that_was_flattened(tmp_path, rng):
    model = nn.Sequential(nn.Flatten(), nn.Tanh(), nn.Unflatten((4, 1, 6)), nn.Conv2d(6, 2, 1, rng=0))
    compare(tmp_path / "m.onnx", model, rng.normal(size=(2, 2, 3, 4)).astype("float32"))


W = {
    "w": numbers(24, 5), "b": numbers(24, seed=1), "wt": numbers(5, 24, seed=2), "t": numbers(4, 3, 2, 2, seed=3),
    "v": numbers(24, seed=4), "m": numbers(24, seed=5), "var": np.abs(numbers(24, seed=6)), "u": numbers(7, 24, seed=7),
    "s": numbers(24, seed=8), "g": numbers(4, seed=9), "h": numbers(4, seed=10), "k": numbers(3, 7, seed=11),
}  # fmt: skip
IMAGE = constant("to", [-1, 4, 3, 2])
BEFORE = {
    "Gemm": [node("Gemm", "x w b", "r", transB=1)],
    "MatMul": [node("MatMul", "x wt", "r")],
    "MatMul and Add": [node("MatMul", "x wt", "p"), node("Add", "b p", "r")],
    "batch norm and PReLU": [node("Gemm", "x w b", "p", transB=1), node("BatchNormalization", "p v b m var", "q"),
                             node("PRelu", "q s", "r")],
    "SiLU": [node("Gemm", "x w", "p", transB=1), node("Sigmoid", "p", "q"), node("Mul", "p q", "r")],
    "layer norm": [node("Gemm", "x w", "p", transB=1), node("LayerNormalization", "p s b", "q"), node("Elu", "q", "r")],
    "Softmax": [node("Gemm", "x w", "p", transB=1), node("Softmax", "p", "q", axis=1), node("Identity", "q", "r")],
}  # fmt: skip
AFTER = {
    "one step": [IMAGE, node("Reshape", "r to", "i")],
    "PyTorch's older exporter": [
        node("Shape", "r", "shape"),
        constant("1", 1),
        constant("2", 2),
        node("Mod", "1 2", "at"),
        constant("0", [0]),
        constant("one", [1]),
        node("Reshape", "at one", "here"),
        node("Slice", "shape 0 here", "n"),
        node("Add", "at 1", "next"),
        node("Reshape", "next one", "there"),
        constant("all", [2**63 - 1]),
        node("Slice", "shape there all", "rest"),
        constant("a", [4, 3, 2]),
        node("Concat", "n a rest", "to", axis=0),
        node("Reshape", "r to", "i", allowzero=0),
    ],
    "two steps": [constant("a", [0, 4, -1]), node("Reshape", "r a", "j"), IMAGE, node("Reshape", "j to", "i")],
}


@pytest.mark.parametrize("before", BEFORE)
@pytest.mark.parametrize("after", AFTER)
def test_channels_first(tmp_path, before, after):
    """As PyTorch has it: the rows of the product, and what follows them, are put into the layers' order."""
    nodes = [*BEFORE[before], *AFTER[after], node("ConvTranspose", "i t", "y")]
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 5], **W), 5)
    assert kinds(model)[0] == "Linear"
    assert kinds(model)[-2:] == ["Unflatten", "ConvTranspose2d"]


def test_channels_last(tmp_path):
    """As TensorFlow has it."""
    nodes = [*BEFORE["MatMul and Add"], constant("to", [-1, 3, 2, 4]), node("Reshape", "r to", "j"),
             node("Shape", "j", "shape"), node("Transpose", "j", "i", perm=[0, 3, 1, 2]),
             node("ConvTranspose", "i t", "c"), node("Transpose", "c", "y", perm=[0, 2, 3, 1])]  # fmt: skip
    path = write(tmp_path / "m.onnx", nodes, ["n", 5], **W)
    model = check(path, 5, turned=False)
    assert kinds(model) == ["Linear", "Unflatten", "ConvTranspose2d"]
    np.testing.assert_allclose(host(nn.Sequential(model[0]), np.eye(5, dtype="float32")), W["wt"] + W["b"], atol=1e-6)


@pytest.mark.parametrize("how", [[], [node("Relu", "i", "y")], [node("InstanceNormalization", "i g h", "y")]])
def test_what_takes_the_image(tmp_path, how):
    nodes = [*BEFORE["Gemm"], IMAGE, node("Reshape", "r to", "i" if how else "y"), *how]
    check(write(tmp_path / "m.onnx", nodes, ["n", 5], **W), 5)


def test_the_row_has_another_use(tmp_path):
    """Its columns are in the layers' order for the other product, too."""
    nodes = [*BEFORE["Gemm"], *AFTER["one step"], node("GlobalAveragePool", "i", "p"), node("Flatten", "p", "f"),
             node("Gemm", "r u", "o", transB=1), node("Gemm", "o k", "q", transB=1),
             node("Concat", "f q", "y", axis=1)]  # fmt: skip
    constants = W | {"k": numbers(3, 7)}
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 5], **constants), 5)
    assert kinds(model) == ["Linear", "Unflatten", "GlobalAvgPool2d", "Linear", "Linear", "Concat"]


def test_two_images_of_two_rows(tmp_path):
    nodes = [*BEFORE["Gemm"], *AFTER["one step"], node("Conv", "i c", "d"), node("Flatten", "d", "f"),
             node("Gemm", "f e", "l", transB=1), constant("to2", [0, 2, 2, 2]), node("Reshape", "l to2", "j"),
             node("Tanh", "j", "y")]  # fmt: skip
    constants = W | {"c": numbers(2, 4, 1, 1), "e": numbers(8, 12)}
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 5], **constants), 5)
    assert kinds(model) == ["Linear", "Unflatten", "Conv2d", "Flatten", "Linear", "Unflatten", "Tanh"]


def test_pooled_channels_as_an_image_of_one_pixel(tmp_path):
    nodes = [node("GlobalAveragePool", "x", "p"), node("Flatten", "p", "f"), constant("axes", [2, 3]),
             node("Unsqueeze", "f axes", "i"), node("Conv", "i c", "y")]  # fmt: skip
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 4, 3, 5], c=numbers(2, 4, 1, 1)), 3, 5, 4)
    assert kinds(model) == ["GlobalAvgPool2d", "Unflatten", "Conv2d"]


def test_an_image_without_an_order_that_nobody_uses(tmp_path):
    nodes = [*BEFORE["Gemm"], constant("to", [-1, 3, 2, 4]), node("Reshape", "r to", "j"),
             node("Transpose", "j", "i", perm=[0, 3, 1, 2]), node("Conv", "i c", "d"), node("GlobalMaxPool", "d", "y"),
             node("Flatten", "d", "f"), constant("other", [0, 3, 2, 2]), node("Reshape", "f other", "o"),
             node("Relu", "o", "unused")]  # fmt: skip
    model = check(write(tmp_path / "m.onnx", nodes, ["n", 5], c=numbers(2, 4, 1, 1), **W), 5)
    assert kinds(model)[:3] == ["Linear", "Unflatten", "Conv2d"]


OTHER = [constant("other", [0, 2, 4, 3]), node("Reshape", "r other", "o"), node("Conv", "o c", "e"),
         node("GlobalAveragePool", "d", "d1"), node("Flatten", "d1", "d2"), node("GlobalAveragePool", "e", "e1"),
         node("Flatten", "e1", "e2"), node("Add", "d2 e2", "y")]  # fmt: skip
ORDER = r"Reshape\): expected an image of numbers in an order that one product can give them"


@pytest.mark.parametrize(
    ("nodes", "text"),
    [
        ([IMAGE, node("Reshape", "x5 to", "i"), node("Relu", "i", "y")], ORDER),  # of the input
        ([node("Gemm", "x5 q", "a"), node("Gemm", "x5 q", "e"), node("Add", "a e", "r"), *AFTER["one step"],
          node("Relu", "i", "y")], ORDER),
        ([node("Gemm", "x5 q", "r"), *AFTER["one step"], node("Conv", "i d4", "d"), *OTHER], ORDER),
        ([node("Gemm", "x5 q", "r"), *AFTER["one step"], node("Conv", "i d4", "d"), constant("last", [0, 3, 2, 4]),
          node("Reshape", "r last", "j"), node("Transpose", "j", "o", perm=[0, 3, 1, 2]), node("Conv", "o d4", "e"),
          node("Add", "d e", "y")], ORDER),
        ([node("Gemm", "x5 q", "r"), constant("five", [0, 2, 2, 2, 3]), node("Reshape", "r five", "i"),
          node("Relu", "i", "y")], "images, or rows with one axis, got an item of sizes"),
        ([node("Gemm", "x5 q", "r"), *AFTER["one step"], node("Transpose", "i", "j", perm=[0, 1, 3, 2]),
          node("Conv", "j d4", "y")], r"images \(N, C, H, W\)"),
    ],
)  # fmt: skip
def test_orders_that_no_layers_have(tmp_path, nodes, text):
    constants = {"q": numbers(24, 24), "d4": numbers(2, 4, 1, 1), "c": numbers(2, 2, 1, 1)}
    path = write(tmp_path / "m.onnx", [node("Identity", "x", "x5"), *nodes], ["n", 24], **constants)
    with pytest.raises(FormatError, match=text) as caught:
        import_onnx(path)
    assert "\n" not in str(caught.value)
