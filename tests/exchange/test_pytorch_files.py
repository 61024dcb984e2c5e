"""Files of PyTorch may hold types that are widened or refused, pickles, and bytes that are no weights at all."""

from __future__ import annotations

import struct

import numpy as np
import pytest
from safetensors.numpy import save_file

from xpcnn import nn
from xpcnn.errors import FileError, FormatError
from xpcnn.exchange import load_pytorch

torch = pytest.importorskip("torch")
T = torch.nn


def test_half_precision_is_widened(tmp_path):
    from safetensors.torch import save_file as save_torch

    theirs = T.Linear(3, 2)
    for dtype in (torch.float16, torch.bfloat16, torch.float64):
        save_torch(theirs.to(dtype).state_dict(), tmp_path / "w.safetensors")
        ours = load_pytorch(nn.Linear(3, 2), tmp_path / "w.safetensors")
        assert ours.weight.dtype == np.float32
        np.testing.assert_array_equal(ours.weight, theirs.weight.detach().float().numpy())


@pytest.mark.parametrize("dtype", [torch.int8, torch.int64, torch.bool])
def test_other_types_are_refused(tmp_path, dtype):
    from safetensors.torch import save_file as save_torch

    state = {"weight": torch.ones(2, 3).to(dtype), "bias": torch.ones(2)}
    save_torch(state, tmp_path / "w.safetensors")
    with pytest.raises(FormatError, match="wrong: weight of"):
        load_pytorch(nn.Linear(3, 2), tmp_path / "w.safetensors")


def test_pickles_get_a_line_that_says_how_to_convert(tmp_path):
    for options in ({}, {"_use_new_zipfile_serialization": False}):
        torch.save(T.Linear(2, 2).state_dict(), tmp_path / "w.pt", **options)
        with pytest.raises(FormatError, match=r"torch\.load\(\"w\.pt\", .*safetensors\.torch\.save_file"):
            load_pytorch(nn.Linear(2, 2), tmp_path / "w.pt")


def test_a_header_of_any_length_is_no_pickle(tmp_path):
    arrays = {"weight": np.ones((2, 2), "float32"), "bias": np.ones(2, "float32")}
    lengths = set()
    for padding in range(0, 260, 4):  # a header of 128, 384, 640 … bytes begins with the byte 80, as pickles do
        save_file({**arrays, "0." + padding * "x": np.ones(1, "float32")}, tmp_path / "w")
        lengths.add((tmp_path / "w").read_bytes()[0])
        layer = load_pytorch(nn.Linear(2, 2), tmp_path / "w", strict=False)
        assert float(layer.weight.sum()) == 4
    assert 0x80 in lengths


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        struct.pack("<Q", 2) + b"{}x",
        struct.pack("<Q", 2**60),
        struct.pack("<Q", 64) + b'{"weight":{"dtype":"F8_E4M3","shape":[1],"data_offsets":[0,1]}}  '[:64] + b"x",
        struct.pack("<Q", 64) + b'{"weight":{"dtype":"F32","shape":[90,99],"data_offsets":[0,4]}}  '[:64] + b"1234",
    ],
)
def test_broken_files(tmp_path, content):
    (tmp_path / "w").write_bytes(content)
    with pytest.raises(FormatError) as caught:
        load_pytorch(nn.Linear(1, 1), tmp_path / "w")
    assert "\n" not in str(caught.value)


def test_missing_files(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError, match="a readable file"):
            load_pytorch(nn.Linear(1, 1), path)
