"""Whole Keras models (.keras, .h5): variables get their names from the configuration; a hostile file is refused.

The files are written here in the layout of Keras 3.15 and Keras 2; test_keras_witness.py reads those of Keras itself.
"""

from __future__ import annotations

import io
import json
import zipfile

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.errors import FormatError
from xpcnn.exchange import load_keras

h5py = pytest.importorskip("h5py")

# Each layer: class, name, options, and its variables by name in Keras's order.
SHAPES = {
    "Normalization": {"mean": (3,), "variance": (3,), "count": ()},
    "SeparableConv2D": {"depthwise_kernel": (3, 3, 3, 2), "pointwise_kernel": (1, 1, 6, 4), "bias": (4,)},
    "BatchNormalization": {"gamma": (4,), "beta": (4,), "moving_mean": (4,), "moving_variance": (4,)},
    "Dense": {"kernel": (4, 2), "bias": (2,)},
}


def layer(kind, name, without=(), **options):
    rng = np.random.default_rng(len(name) + len(kind))
    drawn = {key: rng.uniform(0.5, 2, shape).astype("f4") for key, shape in SHAPES[kind].items() if key not in without}
    return {"class_name": kind, "config": {"name": name, **options}, "arrays": drawn}


def chain():
    return [
        layer("Normalization", "prepare", axis=[-1]),
        layer("SeparableConv2D", "b"),
        layer("BatchNormalization", "norm", ["gamma"], scale=False),
        layer("BatchNormalization", "a", ["beta"], center=False, epsilon=1e-5),
        layer("Dense", "head"),
    ]


def config_of(layers, kind="Sequential"):
    listed = [{key: each[key] for key in ("class_name", "config", "inbound_nodes") if key in each} for each in layers]
    return {"class_name": kind, "config": {"name": "model", "layers": listed}}


def as_keras(path, layers, config=None, compression=zipfile.ZIP_STORED):
    buffer = io.BytesIO()
    groups = {"Normalization": "normalization", "SeparableConv2D": "separable_conv2d", "Dense": "dense"}
    seen = {}
    with h5py.File(buffer, "w") as file:
        file["optimizer/vars/0"] = np.int32(3)
        for each in layers:
            group = groups.get(each["class_name"], "batch_normalization")
            count = seen[group] = seen.get(group, -1) + 1
            for i, array in enumerate(each["arrays"].values()):
                file[f"layers/{group}{f'_{count}' if count else ''}/vars/{i}"] = array
    with zipfile.ZipFile(path, "w", compression) as archive:
        archive.writestr("config.json", json.dumps(config or config_of(layers)))
        archive.writestr("model.weights.h5", buffer.getvalue())


def as_h5(path, layers, root="model_weights", config=True):
    """As `model.save("m.h5")`; without the configuration, as Keras 2's `save_weights`."""
    with h5py.File(path, "w") as file:
        group = file.create_group(root) if root else file
        if config:
            file.attrs["model_config"] = json.dumps(config_of(layers))
        group.attrs["layer_names"] = [each["config"]["name"].encode() for each in layers]
        for each in layers:
            name = each["config"]["name"]
            full = {key: f"{'model/' if config else ''}{name}/{key}{'' if config else ':0'}" for key in each["arrays"]}
            group.create_group(name).attrs["weight_names"] = [key.encode() for key in full.values()]
            for key, array in each["arrays"].items():
                group[f"{name}/{full[key]}"] = array


def network():
    return nn.Sequential(
        nn.Scale(3),
        nn.Conv2d(3, 6, 3, groups=3, bias=False),
        nn.Conv2d(6, 4, 1),
        nn.BatchNorm2d(4),
        nn.BatchNorm2d(4),
        nn.GlobalAvgPool2d(),
        nn.Linear(4, 2),
    )


WRITE = {
    "keras": as_keras,
    "deflated": lambda path, layers: as_keras(path, layers, compression=zipfile.ZIP_DEFLATED),
    "h5": as_h5,
    "h5 of Keras 2's save_weights": lambda path, layers: as_h5(path, layers, "", config=False),
}


@pytest.mark.parametrize("write", WRITE.values(), ids=WRITE)
def test_each_variable_arrives_under_its_name(tmp_path, write, request):
    layers = chain()
    write(tmp_path / "m", layers)
    prepare, both, norm, other, head = (each["arrays"] for each in layers)
    names = None
    if "h5" in request.node.callspec.id:  # it says nothing of the order
        with pytest.raises(FormatError, match="names that tell the order of layers of one shape, got 'a' and 'norm'"):
            load_keras(network(), tmp_path / "m")
        names = {"3": "norm", "4": "a"}
    net = load_keras(network(), tmp_path / "m", names=names)
    state = {name: xpcnn.to_numpy(array) for name, array in net.state_dict().items()}
    expected = {
        "0.weight": 1 / np.sqrt(prepare["variance"]),
        "0.bias": -prepare["mean"] / np.sqrt(prepare["variance"]),
        "2.bias": both["bias"],
        "3.weight": np.ones(4),
        "3.bias": norm["beta"],
        "3.running_mean": norm["moving_mean"],
        "3.running_var": norm["moving_variance"],
        "4.weight": other["gamma"],
        "4.bias": np.zeros(4),
        "4.running_var": other["moving_variance"],
        "6.weight": head["kernel"].T,
    }
    for name, array in expected.items():
        np.testing.assert_allclose(state[name], array, rtol=1e-6, err_msg=name)
    for u, v, c, m in np.ndindex(3, 3, 3, 2):
        assert state["1.weight"][2 * c + m, u, v, 0] == both["depthwise_kernel"][u, v, c, m]
    np.testing.assert_array_equal(state["2.weight"][:, 0, 0, :], both["pointwise_kernel"][0, 0].T)


@pytest.mark.filterwarnings("ignore::xpcnn.errors.XpcnnWarning")
def test_a_normalization_of_stated_numbers_and_names_here(tmp_path):
    """In any order, by names; the numbers are options of the layer, so that the file has none of its variables."""
    stated = layer("Normalization", "prepare", ["mean", "variance", "count"], mean=[1, 2, 3], variance=[[4, 9, 16]])
    layers = [
        layer("Dense", "head"),
        stated,
        layer("BatchNormalization", "norm", ["gamma", "beta"], scale=False, center=False),
    ]
    as_keras(tmp_path / "m", layers)
    chained = {
        "norm": (nn.BatchNorm1d(4, affine=False), "x"),
        "head": (nn.Linear(4, 2), "norm"),
        "own": (nn.ReLU(), "head"),
    }
    with pytest.raises(FormatError, match=r"unknown: prepare.offset, prepare.scale"):
        load_keras(nn.Graph(chained), tmp_path / "m")
    net = load_keras(nn.Graph(chained), tmp_path / "m", strict=False)
    assert float(net.state_dict()["norm.running_mean"][0]) == pytest.approx(layers[2]["arrays"]["moving_mean"][0])
    net = load_keras(nn.Scale(3), tmp_path / "m", names={"": "prepare"}, strict=False)
    np.testing.assert_allclose(xpcnn.to_numpy(net.weight), [1 / 2, 1 / 3, 1 / 4])
    np.testing.assert_allclose(xpcnn.to_numpy(net.bias), [-1 / 2, -2 / 3, -3 / 4])


def inbound(*names):
    """As Keras 3 writes it: tensors with their history."""
    return [{"args": [{"class_name": "__keras_tensor__", "config": {"keras_history": [name, 0, 0]}} for name in names]}]


@pytest.mark.parametrize("newer", [True, False])
def test_order_is_used_only_where_one_layer_leads_to_the_next(tmp_path, newer):
    def of(*names):
        return inbound(*names) if newer else [[[name, 0, 0, {}] for name in names]]

    def square(name, *names):
        made = {"class_name": "Dense", "config": {"name": name}, "inbound_nodes": of(*names)}
        return made | {"arrays": {"kernel": np.full((2, 2), len(name), "f4"), "bias": np.zeros(2, "f4")}}

    one = [square("bb", "x"), square("a", "bb")]
    as_keras(tmp_path / "m", one, config_of(one, "Functional"))
    net = load_keras(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), tmp_path / "m")
    assert [float(each.weight[0, 0]) for each in net] == [2, 1]
    beside = [square("bb", "x"), square("a", "x")]
    as_keras(tmp_path / "m", beside, config_of(beside, "Functional"))
    with pytest.raises(
        FormatError, match="'bb' and 'a', in branches; give the network's layers the same names, or pass"
    ):
        load_keras(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)), tmp_path / "m")


def archive(**members):
    def write(path):
        with zipfile.ZipFile(path, "w") as file:
            for name, contents in members.items():
                file.writestr(name.replace("__", "."), contents)

    return write


@pytest.mark.parametrize(
    ("write", "text"),
    [
        (archive(config__json="{}"), "of config.json and model.weights.h5, got an archive of config.json"),
        (archive(config__json="{}", model__weights__json="{}"), "weights in one file, got weights in shards"),
        (archive(config__json="{}", model__weights__h5="no HDF5"), "a whole HDF5 file"),
        (
            lambda path: as_keras(path, chain(), {"class_name": "Mine", "config": {}}),
            "Sequential or Functional, got Mine",
        ),
        (lambda path: as_keras(path, chain(), ["no model"]), "the configuration of a Keras model"),
        (lambda path: as_keras(path, chain(), compression=zipfile.ZIP_BZIP2), "stored or deflated"),
        (lambda path: as_keras(path, [layer("Dense", "d"), layer("Dense", "d")]), "one name for two layers"),
        (
            lambda path: as_keras(path, [layer("Dense", "d", ["bias"])]),
            "d: expected the arrays kernel, bias, got 1 arrays",
        ),
        (lambda path: as_keras(path, [layer("BatchNormalization", "n", renorm=True)]), r"got renorm=True"),
    ],
)
def test_what_is_refused(tmp_path, write, text):
    write(tmp_path / "m.keras")
    with pytest.raises(FormatError, match=text) as caught:
        load_keras(network(), tmp_path / "m.keras")
    assert "\n" not in str(caught.value)


def test_bfloat16_is_read_as_float32(tmp_path):
    """Keras writes it as two bytes without a type, which are refused where they may be something else."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "half.weights.h5"
    numbers = np.array([[1.0, 2.5], [3.0, -4.0], [0.15625, 7.0]], "f4")
    with h5py.File(path, "w") as file:
        file["layers/dense/vars/0"] = (numbers.view("<u4") >> 16).astype("<u2").view("V2")
    np.testing.assert_array_equal(load_keras(nn.Linear(3, 2, bias=False), path).weight, numbers.T)
    with pytest.raises(FormatError, match=r"numbers, or texts .* of \|V2; two bytes .* bfloat16: write it as float32"):
        xpcnn.io.hdf5.read_hdf5(path)


def test_a_small_archive_that_holds_much(tmp_path, monkeypatch):
    monkeypatch.setattr("xpcnn.io.limits._SMALL", 1000)
    with zipfile.ZipFile(tmp_path / "m.keras", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("config.json", "{}")
        file.writestr("model.weights.h5", bytes(10**6))
    with pytest.raises(FormatError, match=r"model.weights.h5: expected at most \d{5,6} bytes, got more"):
        load_keras(network(), tmp_path / "m.keras")


def test_a_damaged_archive(tmp_path):
    as_keras(tmp_path / "m.keras", chain())
    whole = (tmp_path / "m.keras").read_bytes()
    for end in range(200, len(whole), len(whole) // 20):
        (tmp_path / "m.keras").write_bytes(whole[:end])
        with pytest.raises(FormatError) as caught:
            load_keras(network(), tmp_path / "m.keras")
        assert "\n" not in str(caught.value)
