"""Weights from and for MLX, in files of the form that mlx 0.32 wrote: the same layout, names with `layers.`."""

from __future__ import annotations

import io
import json
import os
import struct
import zipfile

import numpy as np
import pytest
from safetensors.numpy import load_file

from xpcnn import nn
from xpcnn.errors import FileError, FormatError, OptionError
from xpcnn.exchange import load_mlx, save_mlx

from ..arrays import assert_close

NAMES = {
    "layers.0.weight": (4, 3, 2, 3),
    "layers.0.bias": (4,),
    "layers.1.weight": (4,),
    "layers.1.bias": (4,),
    "layers.1.running_mean": (4,),
    "layers.1.running_var": (4,),
    "layers.3.body.layers.0.weight": (4, 3, 3, 4),
    "layers.3.body.layers.1.weight": (4,),
    "layers.4.weight": (8, 3, 3, 1),
    "layers.4.bias": (8,),
    "layers.5.weight": (6, 3, 2, 8),  # (O, KH, KW, I)
    "layers.5.bias": (6,),
    "layers.7.weight": (5, 6),
    "layers.7.bias": (5,),
}


def network(seed=0):
    return nn.Sequential(
        nn.Conv2d(3, 4, (3, 2), rng=seed),
        nn.BatchNorm2d(4),
        nn.ReLU(),
        nn.Residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1, bias=False, rng=seed), nn.PReLU(4))),
        nn.Conv2d(4, 8, 3, groups=4, rng=seed),
        nn.ConvTranspose2d(8, 6, (3, 2), stride=2, rng=seed),
        nn.GlobalAvgPool2d(),
        nn.Linear(6, 5, rng=seed),
    )


def safetensors(arrays, dtype="F32"):
    """As MLX writes it: with `"__metadata__": null`."""
    header, body = {"__metadata__": None}, b""
    for name in sorted(arrays):
        data = arrays[name].tobytes()
        header[name] = {"data_offsets": [len(body), len(body) + len(data)], "dtype": dtype}
        header[name]["shape"] = list(arrays[name].shape)
        body += data
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    return struct.pack("<Q", len(text)) + text + body


def npz(arrays, compression=zipfile.ZIP_STORED):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, array)
            archive.writestr(f"{name}.npy", member.getvalue())
    return file.getvalue()


def check(model, arrays):
    own = model.state_dict()
    assert len(own) == len(arrays)
    for theirs, array in arrays.items():
        name = theirs.replace("layers.", "")
        if name == "5.weight":
            array = np.array(array)
            turned = np.zeros((8, 3, 2, 6), "float32")
            for o, i in np.ndindex(6, 8):
                turned[i, :, :, o] = array[o, :, :, i]
            array = turned
        assert_close(own[name], array.astype("float32"), factor=0)


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz"])
def test_from_mlx(tmp_path, xp, rng, name):
    arrays = {each: rng.normal(size=shape).astype("float32") for each, shape in NAMES.items()}
    (tmp_path / name).write_bytes(safetensors(arrays) if name == "w.safetensors" else npz(arrays))
    model = network(1).to_backend()
    assert load_mlx(model, tmp_path / name) is model
    check(model, arrays)


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz"])
def test_half_precision_is_widened(tmp_path, rng, name):
    exact = {each: rng.integers(-8, 8, shape).astype("float32") / 4 for each, shape in NAMES.items()}
    upper = {each: (array.view(np.uint32) >> 16).astype("<u2") for each, array in exact.items()}
    if name == "w.npz":
        upper = {each: array.view("V2") for each, array in upper.items()}
    made = safetensors(upper, "BF16") if name == "w.safetensors" else npz(upper)
    (tmp_path / name).write_bytes(made)
    check(load_mlx(network(), tmp_path / name), exact)
    half = {each: array.astype("<f2") for each, array in exact.items()}
    (tmp_path / name).write_bytes(safetensors(half, "F16") if name == "w.safetensors" else npz(half))
    check(load_mlx(network(), tmp_path / name), exact)


@pytest.mark.parametrize("name", ["w.safetensors", "w.npz"])
def test_for_mlx(tmp_path, xp, name):
    model, other = network(0).to_backend(), network(1).to_backend()
    save_mlx(model, tmp_path / name)
    if name == "w.npz":
        with np.load(tmp_path / name, allow_pickle=False) as archive:
            written = dict(archive)
    else:
        written = load_file(tmp_path / name)
    assert {each: array.shape for each, array in written.items()} == NAMES
    check(model, written)
    load_mlx(other, tmp_path / name)
    check(other, written)


def test_arrays_with_the_first_axis_fastest(tmp_path):
    weight = np.arange(6, dtype="float32").reshape(2, 3)
    (tmp_path / "w.npz").write_bytes(npz({"weight": np.asfortranarray(weight)}))
    np.testing.assert_array_equal(load_mlx(nn.Linear(3, 2, bias=False), tmp_path / "w.npz").weight, weight)


def test_what_mlx_has_not(tmp_path):
    with pytest.raises(OptionError, match=r"layers that MLX has, at 0, got ConvTranspose2d with groups"):
        save_mlx(nn.Sequential(nn.ConvTranspose2d(4, 4, 2, groups=2)), tmp_path / "w.npz")
    with pytest.raises(OptionError, match=r"a name that ends in \.safetensors or \.npz"):
        save_mlx(nn.Linear(2, 2), tmp_path / "w.pkl")
    assert not os.listdir(tmp_path)


def member(text, body=b""):
    """A .npy member with this header."""
    text = text.encode() + b" " * (117 - len(text)) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + body


def archive_of(content):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr("weight.npy", content)
    return file.getvalue()


def claimed(content, size):
    """The archive, whose directory says that its one member has so many bytes."""
    at = content.index(b"PK\1\2")
    sizes = struct.pack("<II", size, size)
    return content[: at + 20] + sizes + content[at + 28 :]


HEADER = "{{'descr': {descr!r}, 'fortran_order': False, 'shape': {shape}, }}"
WHOLE = npz({"weight": np.zeros((2, 3), "f4")})


@pytest.mark.parametrize(
    ("content", "text"),
    [
        (b"", "a whole .npz archive"),
        (b"PK\3\4", "a whole .npz archive"),
        (WHOLE[:-5], "a whole .npz archive"),
        (WHOLE.replace(WHOLE[-6:-2], b"\xff\xff\xff\x7f"), "a whole .npz archive"),
        (claimed(WHOLE, 2**31), "weight: expected at most [0-9]+ bytes, got 2147483648"),
        (WHOLE.replace(b"NUMPY", b"NUMPX"), "weight: expected a .npy array"),
        (
            npz({"weight": np.zeros((2, 3))}, zipfile.ZIP_DEFLATED),
            "a member that is stored",
        ),
        (
            archive_of(member(HEADER.format(descr="|O", shape=(2, 3)), bytes(48))),
            "numbers or texts, got object",
        ),
        (
            archive_of(member(HEADER.format(descr="<c8", shape=(2, 3)), bytes(48))),
            "numbers or texts, got complex",
        ),
        (
            archive_of(member(HEADER.format(descr="<f4", shape=(2**40, 3)), bytes(24))),
            "got an array",
        ),
        (archive_of(member(HEADER.format(descr="<f4", shape=(-1, 3)), bytes(24))), r"got shape \(-1, 3\)"),
        (archive_of(member("__import__('os')", bytes(24))), "weight: expected a .npy array"),
    ],
)
def test_broken_and_hostile_files(tmp_path, content, text):
    (tmp_path / "w.npz").write_bytes(content)
    with pytest.raises(FormatError, match=text) as caught:
        load_mlx(nn.Linear(3, 2, bias=False), tmp_path / "w.npz")
    assert "\n" not in str(caught.value)


def test_missing_files(tmp_path):
    for name in ("none.npz", "none.safetensors"):
        with pytest.raises(FileError, match="a readable file"):
            load_mlx(nn.Linear(3, 2), tmp_path / name)
