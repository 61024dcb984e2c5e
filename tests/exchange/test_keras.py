"""Weights from Keras 3 arrive where they belong: in files of the form that Keras 3.15 wrote, array by array.

The arrays are laid out here by plain loops over Keras's own equations: y[i,j,f] = Σ x[i+u,j+v,c] · kernel[u,v,c,f],
y[f] = Σ x[c] · kernel[c,f].
"""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

import xpcnn
from xpcnn import extras, nn
from xpcnn.errors import FileError, FormatError, MissingExtraError
from xpcnn.exchange import load_keras

from ..arrays import assert_close

h5py = pytest.importorskip("h5py")


def write(path, layers, **others):
    """A file as `save_weights` writes it."""
    with h5py.File(path, "w") as file:
        file.create_group("vars").attrs["name"] = "sequential"
        for name, arrays in layers.items():
            group = file.create_group(f"layers/{name}/vars")
            group.attrs["name"] = name
            for i, array in enumerate(arrays):
                group[str(i)] = np.asarray(array, "float32")
        for name, array in others.items():
            file[name.replace("__", "/")] = array


def kernel(layer):
    """(KH, KW, I/g, O) of a convolution; (KH, KW, O, I) of a transposed one."""
    w = layer.weight
    made = np.zeros((*w.shape[1:3], w.shape[3], w.shape[0]), "float32")
    for f, u, v, c in product(*map(range, w.shape)):
        made[u, v, c, f] = w[f, u, v, c]
    return made


def depthwise_kernel(layer):
    """(KH, KW, C, M): channel c makes the outputs c·M + m."""
    w, channels = layer.weight, layer.groups
    multiplier = w.shape[0] // channels
    made = np.zeros((*w.shape[1:3], channels, multiplier), "float32")
    for u, v, c, m in product(*map(range, made.shape)):
        made[u, v, c, m] = w[c * multiplier + m, u, v, 0]
    return made


def network(seed):
    rng = np.random.default_rng(seed)
    model = nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), rng=rng),
        nn.BatchNorm2d(4),
        nn.Conv2d(4, 8, 3, groups=4, rng=rng),
        nn.Conv2d(8, 8, 3, groups=2, bias=False, rng=rng),
        nn.Residual(nn.Sequential(nn.Conv2d(8, 8, 1, groups=8, rng=rng), nn.PReLU(8))),
        nn.ConvTranspose2d(8, 6, (3, 2), stride=2, rng=rng),
        nn.GroupNorm(2, 6),
        nn.Flatten(),
        nn.BatchNorm1d(336, affine=False),
        nn.Linear(336, 7, rng=rng),
        nn.Linear(7, 5, rng=rng),
        nn.LayerNorm(5),
    )
    for array in model.state_dict().values():
        if array.ndim == 1:
            array[...] = rng.uniform(0.4, 2.0, array.shape)
    return model


def layers_of(model):
    first, norm, depthwise, grouped, residual, transposed, group_norm, _, rows_norm, dense, last, layer_norm = model
    one, slopes = residual.children()["body"]
    return {
        "p_re_lu": [slopes.weight.reshape(1, 1, 8)],
        "layer_normalization": [layer_norm.weight, layer_norm.bias],
        "group_normalization": [group_norm.weight, group_norm.bias],
        "dense_1": [last.weight.T, last.bias],
        "dense": [dense.weight.T, dense.bias],
        "depthwise_conv2d": [depthwise_kernel(depthwise), depthwise.bias],
        "depthwise_conv2d_1": [depthwise_kernel(one), one.bias],
        "conv2d_transpose": [kernel(transposed), transposed.bias],
        "conv2d_1": [kernel(grouped)],
        "conv2d": [kernel(first), first.bias],
        "batch_normalization_1": [rows_norm.running_mean, rows_norm.running_var],
        "batch_normalization": [norm.weight, norm.bias, norm.running_mean, norm.running_var],
    }


def test_all_kinds_of_layers(tmp_path, xp, rng):
    with xpcnn.use_backend("numpy"):
        theirs, ours = network(1), network(2)
    adam = {"optimizer__vars__0": np.int32(7), "layers__dropout__seed_generator__vars__0": np.zeros(2, np.uint32)}
    write(tmp_path / "m.weights.h5", layers_of(theirs), **adam)
    ours.to_backend()
    assert load_keras(ours, tmp_path / "m.weights.h5") is ours
    for name, array in theirs.state_dict().items():
        assert_close(ours.state_dict()[name], array, factor=0)
    _, x = xp.normal(rng, 2, 9, 9, 3, dtype="float32")
    assert tuple(ours(x).shape) == (2, 5)


def test_depthwise_as_a_convolution_with_groups(tmp_path):
    theirs, ours = (nn.Conv2d(4, 8, 3, groups=4, rng=seed) for seed in (0, 1))
    write(tmp_path / "w", {"conv2d": [kernel(theirs), theirs.bias]})
    np.testing.assert_array_equal(load_keras(ours, tmp_path / "w").weight, theirs.weight)


def test_the_eleventh_layer_comes_after_the_third(tmp_path):
    write(tmp_path / "w", {f"dense_{i}" if i else "dense": [np.full((2, 2), i)] for i in range(12)})
    model = load_keras(nn.Sequential(*(nn.Linear(2, 2, bias=False) for _ in range(12))), tmp_path / "w")
    assert [int(layer.weight[0, 0]) for layer in model] == list(range(12))


def test_nested_models_and_names(tmp_path):
    nested = {"dense": [np.full((2, 2), 0)], "sequential/layers/dense": [np.full((2, 2), 1)]}
    write(tmp_path / "w", nested)
    model = nn.Sequential(nn.Linear(2, 2, bias=False), nn.Linear(2, 2, bias=False))
    with pytest.raises(FormatError, match="names that tell the order of layers of one shape"):
        load_keras(model, tmp_path / "w")
    load_keras(model, tmp_path / "w", names={"1": "layers/sequential/layers/dense"})
    assert [int(layer.weight[0, 0]) for layer in model] == [0, 1]


@pytest.mark.parametrize(
    ("layers", "text"),
    [
        ({"dense": [np.zeros((3, 2))]}, "missing: bias, weight|missing: weight, bias"),
        (
            {"dense": [np.zeros((2, 3)), np.zeros(2)]},
            "missing: weight, bias; unknown: layers/dense.bias, layers/dense.kernel",
        ),
        ({"dense": [np.zeros((3, 2)), np.zeros(2)], "dense_1": [np.zeros(2)]}, "unknown: layers/dense_1.kernel"),
        ({}, "missing: weight, bias"),
    ],
)
def test_what_does_not_fit_is_listed_and_changes_nothing(tmp_path, layers, text):
    write(tmp_path / "w", layers)
    model = nn.Linear(3, 2)
    before = model.weight.copy()
    with pytest.raises(FormatError, match=text) as caught:
        load_keras(model, tmp_path / "w")
    assert "\n" not in str(caught.value)
    np.testing.assert_array_equal(model.weight, before)


def test_other_files(tmp_path, monkeypatch):
    with h5py.File(tmp_path / "w", "w") as file:
        file["kernel"] = np.zeros((3, 2))
    with pytest.raises(FormatError, match=r"a file of Keras, with arrays by layer, got kernel; in Keras: model\.save"):
        load_keras(nn.Linear(3, 2), tmp_path / "w")
    with pytest.raises(FileError, match="a readable file"):
        load_keras(nn.Linear(3, 2), tmp_path / "none")

    def missing(name):
        raise ImportError("no h5py")

    monkeypatch.setattr(extras, "import_module", missing)
    with pytest.raises(MissingExtraError, match=r"xpcnn\[hdf5\]"):
        load_keras(nn.Linear(3, 2), tmp_path / "w")
