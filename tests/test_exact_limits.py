"""Each limit accepts a size equal to it, and refuses a size larger by one."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import h5py
import numpy as np
import pytest

import xpcnn
from xpcnn import nn, settings
from xpcnn.cli.files import class_number
from xpcnn.data.picture import read_picture
from xpcnn.errors import OptionError, XpcnnError
from xpcnn.exchange import export_onnx, import_onnx
from xpcnn.io.architecture import from_config, to_config
from xpcnn.io.extent import check_extent
from xpcnn.io.hdf5 import read_hdf5
from xpcnn.io.model_file import load_model, save_model
from xpcnn.io.tensors import read_tensors, write_tensors
from xpcnn.nn.init import draw

NETWORK = nn.Sequential(nn.Conv2d(1, 2, 3), nn.Residual(nn.Sequential(nn.ReLU())), nn.MaxPool2d((5, 2)), nn.Flatten())


@pytest.fixture
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write_tensors("b.safetensors", {"a": np.zeros(2)}, {})
    return tmp_path


def rebuild():
    from_config(to_config(NETWORK), {name: xpcnn.to_numpy(array) for name, array in NETWORK.state_dict().items()})


def model_file():
    save_model(nn.Flatten(), "a.safetensors", input_shape=(1, 3), classes=["four", "sixsix", "a"])
    load_model("a.safetensors")


def tree():
    with h5py.File("a.h5", "w") as file:
        file["one/two/three"] = np.zeros(2)
        file["four"] = np.zeros(3)
    read_hdf5("a.h5")


def arrays_written():
    write_tensors("a.safetensors", {"a": np.zeros(2)}, {})


def arrays_read():
    read_tensors("b.safetensors")


def picture():
    image = pytest.importorskip("PIL.Image")
    image.new("L", (7, 5)).save("a.png")
    read_picture(Path("a.png"), size=(5, 7), channels=1)


def onnx_file():
    pytest.importorskip("onnx")
    export_onnx(NETWORK, "a.onnx", input_shape=(12, 9, 1))
    import_onnx("a.onnx")


def of_file(name):
    return Path(name).stat().st_size


def nodes():
    return len(pytest.importorskip("onnx").load("a.onnx").graph.node)


LIMITS = [
    ("io.architecture.MOST_DEPTH", rebuild, 3),
    ("io.architecture.MOST_NAME", rebuild, len("body")),
    ("io.architecture.MOST_LAYERS", rebuild, 7),
    ("io.model_file.MOST_CLASSES", model_file, 3),
    ("io.model_file.MOST_NAME", model_file, len("sixsix")),
    ("io.safetensors_header.MOST_HEADER", arrays_written, lambda: of_file("a.safetensors") - 8 - 16),
    ("io.safetensors_header.MOST_HEADER", arrays_read, lambda: of_file("b.safetensors") - 8 - 16),
    ("io.hdf5.MOST_DEPTH", tree, 3),
    ("io.hdf5.MOST_OBJECTS", tree, 5),
    ("io.extent.MOST_INPUT", lambda: check_extent(NETWORK, (12, 9, 1)), 108),
    ("io.extent.MOST_TAPS", lambda: check_extent(NETWORK, (12, 9, 1)), 10),
    ("nn.layer._MOST_NUMBERS", lambda: nn.Flatten().zeros((3, 4)), 12),
    ("nn.init._MOST_NUMBERS", lambda: draw("zeros", (3, 4)), 12),
    ("data.picture.MOST_PIXELS", picture, 35),
    ("exchange.onnx.file.MOST_BYTES", onnx_file, lambda: of_file("a.onnx")),
    ("exchange.onnx.file.MOST_NODES", onnx_file, nodes),
    ("exchange.onnx.products.MOST_WINDOW", onnx_file, 5),
    ("exchange.onnx.importer.MOST_NUMBERS", onnx_file, 108),
    ("exchange.onnx.graph_state.MOST_BYTES", onnx_file, 4 * (18 + 2)),
]


def passes(monkeypatch, limit, value, call):
    module, _, name = limit.rpartition(".")
    monkeypatch.setattr(import_module(f"xpcnn.{module}"), name, value)
    try:
        call()
    except XpcnnError:
        return False
    return True


@pytest.mark.parametrize(("limit", "call", "size"), LIMITS)
def test_as_large_as_the_limit_and_larger_by_one(here, monkeypatch, limit, call, size):
    call()
    size = size() if callable(size) else size
    assert passes(monkeypatch, limit, size, call)
    assert not passes(monkeypatch, limit, size - 1, call)


def test_numbers_of_at_most_18_digits(monkeypatch):
    """As many as surely fit into 64 bits, and Python reads those of thousands not at all."""
    monkeypatch.setenv("XPCNN_NUM_THREADS", "9" * 18)
    assert settings.num_threads() == 10**18 - 1
    assert class_number("9" * 18, ()) == 10**18 - 1
    monkeypatch.setenv("XPCNN_NUM_THREADS", "1" * 19)
    with pytest.raises(OptionError, match="a number of threads ≥ 1"):
        settings.num_threads()
    with pytest.raises(OptionError, match="--target"):
        class_number("1" * 19, ())
