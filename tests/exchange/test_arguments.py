"""Functions that take a network take it first, and say so to those who begin with the file."""

from __future__ import annotations

import os

import pytest

from xpcnn import nn
from xpcnn.errors import OptionError
from xpcnn.exchange import export_onnx, load_keras, load_mlx, load_pytorch, save_mlx, save_pytorch
from xpcnn.io import save_model


@pytest.mark.parametrize("function", [load_keras, load_mlx, load_pytorch, save_mlx, save_pytorch])
def test_weights(tmp_path, function):
    _refused(tmp_path, lambda path: function(path, nn.ReLU()))


@pytest.mark.parametrize("function", [export_onnx, save_model])
def test_networks(tmp_path, function):
    _refused(tmp_path, lambda path: function(path, nn.ReLU(), input_shape=(2,)))


def _refused(folder, call):
    with pytest.raises(OptionError, match=r"expected a network, got \w*Path; the network comes first"):
        call(folder / "file")
    assert not os.listdir(folder)
