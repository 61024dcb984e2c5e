"""Real files of Keras, in each form that it writes, make networks that compute what Keras computes."""

from __future__ import annotations

import os

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import FormatError, XpcnnWarning
from xpcnn.exchange import load_keras

pytest.importorskip("torch")
os.environ.setdefault("KERAS_BACKEND", "torch")
keras = pytest.importorskip("keras")
pytest.importorskip("h5py")
K = keras.layers
EPS = 0.001

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning", "ignore::UserWarning", "ignore::FutureWarning"),
]


def separable(channels, wide, multiplier=1, bias=True, rng=0):
    """Keras's SeparableConv2D: depthwise, then pointwise."""
    return nn.Sequential(
        nn.Conv2d(channels, channels * multiplier, 3, padding=1, groups=channels, bias=False, rng=rng),
        nn.Conv2d(channels * multiplier, wide, 1, bias=bias, rng=rng),
    )


def plain():
    """A chain, with a Normalization and batch norms without scale or centre."""
    theirs = keras.Sequential(
        [
            keras.Input((9, 8, 3)),
            K.Normalization(),
            K.Conv2D(4, 3, padding="same"),
            K.BatchNormalization(scale=False),
            K.ReLU(),
            K.Conv2D(4, 3),
            K.BatchNormalization(center=False),
            K.ReLU(),
            K.MaxPooling2D(),
            K.Flatten(),
            K.Dense(7, activation="relu"),
            K.Dropout(0.5),
            K.Dense(5),
        ]
    )
    ours = nn.Sequential(
        nn.Scale(3),
        nn.Conv2d(3, 4, 3, padding=1),
        nn.BatchNorm2d(4, eps=EPS),
        nn.ReLU(),
        nn.Conv2d(4, 4, 3),
        nn.BatchNorm2d(4, eps=EPS),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(36, 7),
        nn.ReLU(),
        nn.Linear(7, 5),
    )
    return theirs, ours, (9, 8, 3)


def mobile():
    """Separable and depthwise convolutions; batch norms as usual, and with neither scale nor centre."""
    theirs = keras.Sequential(
        [
            keras.Input((8, 8, 3)),
            K.SeparableConv2D(6, 3, padding="same", depth_multiplier=2, use_bias=False),
            K.BatchNormalization(),
            K.ReLU(6.0),
            K.DepthwiseConv2D(3, padding="same"),
            K.BatchNormalization(scale=False, center=False),
            K.SeparableConv2D(4, 3, padding="same"),
            K.GlobalAveragePooling2D(),
            K.Dense(5),
        ]
    )
    ours = nn.Sequential(
        separable(3, 6, 2, bias=False),
        nn.BatchNorm2d(6, eps=EPS),
        nn.ReLU6(),
        nn.Conv2d(6, 6, 3, padding=1, groups=6),
        nn.BatchNorm2d(6, eps=EPS),
        separable(6, 4),
        nn.GlobalAvgPool2d(),
        nn.Linear(4, 5),
    )
    return theirs, ours, (8, 8, 3)


def branches():
    """Branches of one shape, whose names are the same here, and a model inside the model."""
    x = start = keras.Input((8, 8, 3))
    one, two = (K.Conv2D(4, 3, padding="same", name=name)(x) for name in ("left", "right"))
    x = K.Subtract()([one, two])
    inner = [
        K.Conv2D(4, 3, padding="same", name="conv"),
        K.LayerNormalization(name="norm"),
        K.PReLU(shared_axes=[1, 2], name="slope"),
    ]
    x = keras.Sequential(inner, name="inner")(x)
    x = K.GlobalAveragePooling2D()(x)
    theirs = keras.Model(start, K.Dense(3, name="head")(x))
    body = {
        "conv": (nn.Conv2d(4, 4, 3, padding=1), "x"),
        "norm": (nn.LayerNorm(4, eps=EPS), "conv"),
        "slope": (nn.PReLU(4), "norm"),
    }
    ours = nn.Graph(
        {
            "right": (nn.Conv2d(3, 4, 3, padding=1), "x"),
            "left": (nn.Conv2d(3, 4, 3, padding=1), "x"),
            "difference": (nn.Subtract(), "left", "right"),
            "inner": (nn.Graph(body), "difference"),
            "pool": (nn.GlobalAvgPool2d(), "inner"),
            "head": (nn.Linear(4, 3), "pool"),
        }
    )
    return theirs, ours, (8, 8, 3)


def sequences():
    theirs = keras.Sequential(
        [
            keras.Input((12, 3)),
            K.SeparableConv1D(4, 3, padding="valid"),
            K.Conv1D(5, 3),
            K.GroupNormalization(5),
            K.Flatten(),
            K.Dense(2),
        ]
    )
    ours = nn.Sequential(
        nn.Conv1d(3, 3, 3, groups=3, bias=False),
        nn.Conv1d(3, 4, 1),
        nn.Conv1d(4, 5, 3),
        nn.GroupNorm(5, 5, eps=EPS),
        nn.Flatten(),
        nn.Linear(40, 2),
    )
    return theirs, ours, (12, 3)


def save(model, path):
    rng = np.random.default_rng(3)
    drawn = [
        rng.uniform(0.4, 1.5, w.shape) if w.ndim < 2 else 0.4 * rng.normal(size=w.shape) for w in model.get_weights()
    ]
    model.set_weights(drawn)
    (model.save_weights if path.name.endswith(".weights.h5") else model.save)(path)


def assert_same(theirs, ours, shape):
    x = np.random.default_rng(4).normal(size=(2, *shape)).astype("f4")
    expected = keras.ops.convert_to_numpy(theirs(x, training=False))
    y = xpcnn.to_numpy(ours(xpcnn.asarray(x)))
    np.testing.assert_allclose(y, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("ending", [".keras", ".h5", ".weights.h5"])
@pytest.mark.parametrize("make", [plain, mobile, branches, sequences])
def test_the_same_outputs(tmp_path, make, ending):
    theirs, ours, shape = make()
    save(theirs, tmp_path / f"m{ending}")
    if ending == ".weights.h5" and make is plain:
        with pytest.raises(FormatError, match=r"3 arrays at layers/batch_normalization.*model\.save\(.* tells"):
            load_keras(ours, tmp_path / f"m{ending}")
        return
    names = None
    if ending == ".weights.h5" and make is branches:
        names = {"left": "layers/conv2d", "right": "layers/conv2d_1"}
    load_keras(ours, tmp_path / f"m{ending}", names=names)
    assert_same(theirs, ours, shape)


def test_branches_of_one_shape_need_names(tmp_path):
    theirs, _, shape = branches()
    save(theirs, tmp_path / "m.keras")
    body = nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.LayerNorm(4, eps=EPS), nn.PReLU(4))
    ours = nn.Graph(
        {
            "b": (nn.Conv2d(3, 4, 3, padding=1), "x"),
            "a": (nn.Conv2d(3, 4, 3, padding=1), "x"),
            "c": (nn.Subtract(), "a", "b"),
            "d": (body, "c"),
            "e": (nn.GlobalAvgPool2d(), "d"),
            "f": (nn.Linear(4, 3), "e"),
        }
    )
    with pytest.raises(FormatError, match=r"'left' and 'right', in branches; .*names="):
        load_keras(ours, tmp_path / "m.keras")
    load_keras(ours, tmp_path / "m.keras", names={"a": "left", "b": "right"})
    assert_same(theirs, ours, shape)


def test_normalize_with_the_same_numbers_and_another_epsilon(tmp_path):
    theirs = keras.Sequential(
        [
            keras.Input((6, 6, 2)),
            K.Normalization(mean=[1.0, 2.0], variance=[4.0, 9.0]),
            K.Conv2D(3, 3),
            K.BatchNormalization(),
        ]
    )
    save(theirs, tmp_path / "m.keras")

    def ours(std, eps=EPS):
        return nn.Sequential(nn.Normalize([1, 2], std), nn.Conv2d(2, 3, 3), nn.BatchNorm2d(3, eps=eps))

    net = ours([2, 3])
    load_keras(net, tmp_path / "m.keras")
    assert_same(theirs, net, (6, 6, 2))
    with pytest.raises(FormatError, match=r"Normalize of mean \(1, 2\) and std \(2, 3\) at 0, as in normalization"):
        load_keras(ours([2, 4]), tmp_path / "m.keras")
    with pytest.warns(XpcnnWarning, match=r"batch_normalization\S* adds 0.001 to the variance, and 2 here 1e-05"):
        load_keras(ours([2, 3], 1e-5), tmp_path / "m.keras")


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        (lambda: [keras.Input((5, 4)), K.LSTM(3)], r"unknown: .*lstm"),
        (lambda: [keras.Input((5, 4)), K.Bidirectional(K.GRU(3))], r"unknown: .*bidirectional"),
        (lambda: [keras.Input((5,)), K.Embedding(4, 3)], r"unknown: .*embedding"),
        (
            lambda: [keras.Input((4, 4, 2)), K.Normalization(invert=True)],
            "a Normalization that has a counterpart here, got invert",
        ),
        (lambda: [keras.Input((4, 4, 2)), K.BatchNormalization(axis=1)], r"a BatchNormalization .*axis=\[1\]"),
        (
            lambda: [keras.Input((2, 4, 4)), K.Conv2D(2, 3, data_format="channels_first"), K.Flatten(), K.Dense(3)],
            "channels_first and a Flatten",
        ),
        (lambda: [keras.Input((4,)), K.RMSNormalization()], "unknown: rms_normalization"),
    ],
)
def test_what_has_no_counterpart_is_refused_by_name(tmp_path, layers, text):
    theirs = keras.Sequential(layers())
    theirs.save(tmp_path / "m.keras")
    net = nn.Sequential(nn.Linear(4, 3))
    with pytest.raises(FormatError, match=text) as caught:
        load_keras(net, tmp_path / "m.keras")
    assert "\n" not in str(caught.value)
