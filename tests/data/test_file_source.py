"""Arrays that stay in .npy, .npz and HDF5 files give the bits that reading them whole does, or one line."""

from __future__ import annotations

import os

import numpy as np
import pytest

import xpcnn
from xpcnn.data import Loader, load
from xpcnn.data.source import Source
from xpcnn.errors import DataError, FormatError

X = np.random.default_rng(0).integers(0, 256, (40, 6, 5, 3), dtype=np.uint8)
Y = np.arange(40) % 3


def npy(folder):
    np.save(folder / "images.npy", X)
    np.save(folder / "labels.npy", Y)
    return folder / "images.npy", {}


def stored(folder):
    np.savez(folder / "a.npz", x_train=X, y_train=Y, x_test=X[::-1].astype(">u2"), y_test=Y)
    return folder / "a.npz", {}


def deflated(folder):
    np.savez_compressed(folder / "a.npz", images=X.transpose(0, 3, 1, 2), labels=Y)
    return folder / "a.npz", {"channels_first": True}


def rows(folder):
    np.savez(folder / "a.npz", x=X.reshape(40, -1) / 255, y=Y)
    return folder / "a.npz", {"image_shape": (6, 5, 3)}


def by_columns(folder):
    np.savez(folder / "a.npz", x=np.asfortranarray(X), y=Y)
    return folder / "a.npz", {}


def hdf5(folder):
    h5py = pytest.importorskip("h5py")
    with h5py.File(folder / "a.h5", "w") as file:
        file["train_set_x"], file["train_set_y"], file["test_set_y"] = X, Y, Y
        file.create_dataset("test_set_x", data=X, chunks=(7, 6, 5, 3), compression="gzip")
    return folder / "a.h5", {}


@pytest.mark.parametrize("write", [npy, stored, deflated, rows, by_columns, hdf5])
def test_what_stays_in_its_file_is_what_is_read_whole(tmp_path, write):
    path, options = write(tmp_path)
    whole, lazy = (load(path, source=source, **options) for source in ("memory", "disk"))
    assert isinstance(lazy.train.images, Source) == (write is not by_columns)
    for one, other in ((whole.train, lazy.train), (whole.test, lazy.test)):
        np.testing.assert_array_equal(one.digests, other.digests)
        for (x, y), (x2, y2) in zip(Loader(one, 7, shuffle=True), Loader(other, 7, shuffle=True), strict=True):
            np.testing.assert_array_equal(xpcnn.to_numpy(x), xpcnn.to_numpy(x2))
            np.testing.assert_array_equal(xpcnn.to_numpy(y), xpcnn.to_numpy(y2))


@pytest.mark.parametrize("write", [npy, stored, hdf5])
def test_a_file_that_is_written_meanwhile_is_noticed(tmp_path, write):
    path, _ = write(tmp_path)
    split = load(path, source="disk").train
    with path.open("r+b") as file:
        file.seek(-2000, os.SEEK_END)
        file.write(bytes(100))
    with pytest.raises(DataError, match="the file as it was at first, got one that was written since"):
        list(Loader(split, 8))


def test_a_file_that_is_cut_is_noticed(tmp_path):
    path, _ = npy(tmp_path)
    split = load(path, source="disk").train
    found = path.stat()
    os.truncate(path, 1000)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))
    with pytest.raises(FormatError, match=r"images\.npy: expected \d+ bytes, got \d+; it has become shorter"):
        list(Loader(split, 8))
