"""SIGNS and its like are read as they are; what HDF5 could do beyond that is refused before it is done."""

from __future__ import annotations

import struct
import sys
from pathlib import Path

import numpy as np
import pytest

from xpcnn.data.hdf5_file import hdf5_file
from xpcnn.data.registry import load, load_parts
from xpcnn.errors import DataError, FileError, FormatError, MissingExtraError

from ..limits import at_most

h5py = pytest.importorskip("h5py")


def write(path: Path, **arrays) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file.create_dataset(name, data=array)
    return path


@pytest.fixture
def x(rng):
    return rng.integers(256, size=(8, 64, 64, 3), dtype=np.uint8)


@pytest.fixture
def pair(tmp_path, x):
    """The two files as the course has them."""
    y = np.arange(8)[None] % 6  # (1, N)
    write(tmp_path / "train_signs.h5", train_set_x=x[:6], train_set_y=y[:, :6], list_classes=np.arange(6))
    write(tmp_path / "test_signs.h5", test_set_x=x[6:], test_set_y=y[:, 6:], list_classes=np.arange(6))
    return tmp_path


def check(data, x):
    assert data.input_shape == (64, 64, 3)
    np.testing.assert_array_equal(data.train.images, x[:6])
    np.testing.assert_array_equal(data.test.images, x[6:])
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 1, 2, 3, 4, 5], [0, 1])


def test_signs(pair, x, monkeypatch):
    data = load("signs", folder=pair)
    assert (data.name, data.classes) == ("signs", tuple("012345"))
    check(data, x)
    monkeypatch.setenv("XPCNN_DATA", str(pair))
    check(load("signs"), x)


def test_a_part_to_test_on_alone(pair, x):
    parts = load_parts(pair / "test_signs.h5")
    assert (parts.train, parts.classes) == (None, tuple("012345"))
    np.testing.assert_array_equal(parts.test.images, x[6:])
    assert parts.everything.labels.tolist() == [0, 1]
    with pytest.raises(DataError, match="images to train on, got test_set_x to test on alone"):
        load(pair / "test_signs.h5")


def test_signs_that_are_nowhere_or_something_else(tmp_path, pair):
    with pytest.raises(DataError) as caught:
        load("signs")
    assert "the file train_signs.h5, got none in " in str(caught.value)
    assert f"there is no download; put that file into {tmp_path / 'cache/xpcnn/signs'}" in str(caught.value)
    (pair / "test_signs.h5").unlink()
    with pytest.raises(DataError, match=r"the file test_signs.h5, got none"):
        load("signs", folder=pair)
    write(pair / "test_signs.h5", test_set_x=np.zeros((2, 8, 8, 3), np.uint8), test_set_y=[0, 1])
    with pytest.raises(DataError, match="images of one size"):
        load("signs", folder=pair)


def test_a_pair_of_files_and_one_alone(tmp_path, pair, x):
    check(load(pair / "train_signs.h5"), x)
    check(load(pair / "train_signs.h5", test=pair / "test_signs.h5"), x)
    alone = load(write(pair / "alone_train.h5", train_set_x=x, train_set_y=np.arange(8) % 2))
    assert (np.bincount(alone.train.labels).tolist(), np.bincount(alone.test.labels).tolist()) == ([3, 3], [1, 1])


def test_names_of_classes_and_both_parts_in_one_file(tmp_path, x):
    names = np.array([b"non-cat", b"cat"])
    path = write(tmp_path / "cats.h5", train_set_x=x[:6], train_set_y=[0, 1, 0, 0, 1, 0], list_classes=names,
                 test_set_x=x[6:], test_set_y=[1, 0])  # fmt: skip
    data = load(path)
    assert (data.name, data.classes) == ("cats", ("non-cat", "cat"))
    assert (data.train.labels.tolist(), data.test.labels.tolist()) == ([0, 1, 0, 0, 1, 0], [1, 0])
    np.testing.assert_array_equal(data.test.images, x[6:])


def test_of_the_file_to_test_on_only_that_part_counts(tmp_path, x):
    y = np.arange(8) % 2
    train = write(tmp_path / "a.h5", train_set_x=x[:6], train_set_y=y[:6], list_classes=np.array([b"cat", b"dog"]))
    test = write(tmp_path / "b.h5", test_set_x=x[6:], test_set_y=y[6:], train_set_x=x[6:], train_set_y=y[6:],
                 list_classes=np.array([b"no", b"yes"]))  # fmt: skip
    data = load(train, test=test)
    assert (len(data.train), len(data.test), data.classes) == (6, 2, ("cat", "dog"))


def test_allocates_nothing_that_the_file_is_too_small_for(tmp_path):
    """Its own bookkeeping says that a hundred million bytes are stored, and that it ends where it does."""
    path = with_x(
        tmp_path / "a.h5", lambda file: file.create_dataset("train_set_x", (10**4, 100, 100, 1), "u1")[:1].any()
    )
    with h5py.File(path, "r+") as file:
        file["train_set_x"][0, 0, 0] = 1  # now there is room for all of it
    data = bytearray(path.read_bytes()[:4096])
    data[40:48] = struct.pack("<Q", 4096)  # where the superblock, version 0, says that the file ends
    path.write_bytes(data)
    with (
        at_most(2**21),
        pytest.raises(FormatError, match=r"100000000 bytes for train_set_x .*, got 4096|whole HDF5 file"),
    ):
        hdf5_file(path)


SMALL = np.zeros((4, 3, 3, 3), np.uint8)
LABELS = np.array([0, 1, 0, 1])


def with_x(path: Path, make) -> Path:
    with h5py.File(path, "w") as file:
        file.create_dataset("train_set_y", data=LABELS)
        make(file)
    return path


def external_link(file):
    file["train_set_x"] = h5py.ExternalLink("/etc/passwd", "/x")


def soft_link(file):
    file["train_set_x"] = h5py.SoftLink("/train_set_y")


def external_data(file):
    file.create_dataset("train_set_x", SMALL.shape, "u1", external=[("/etc/passwd", 0, SMALL.nbytes)])


def virtual(file):
    layout = h5py.VirtualLayout(SMALL.shape, "u1")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", SMALL.shape)
    file.create_virtual_dataset("train_set_x", layout)


def never_written(file):
    file.create_dataset("train_set_x", (10**6, 10**3, 10**3, 3), "u1")  # 3 TB in 2 KB


def few_chunks(file):
    data = file.create_dataset("train_set_x", (10**6, 100, 100, 3), "u1", chunks=(1, 100, 100, 3))
    data[7] = 1


def group(file):
    file.create_group("train_set_x")


def empty(file):
    file["train_set_x"] = h5py.Empty("u1")


def texts(file):
    file["train_set_x"] = ["a", "b"]


def records(file):
    file["train_set_x"] = np.zeros(4, "i4,f4")


def references(file):
    file["train_set_x"] = np.array([file.ref] * 4, h5py.ref_dtype)


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (external_link, "what it holds itself, got a ExternalLink at train_set_x"),
        (soft_link, "what it holds itself, got a SoftLink at train_set_x"),
        (external_data, "numbers that stand in it, got train_set_x, which lies in another file"),
        (virtual, "numbers that stand in it, got train_set_x, which lies in another file"),
        (never_written, r"3\d+ bytes for train_set_x \(1000000, 1000, 1000, 3\), got 0"),
        (few_chunks, r"3\d+ bytes for train_set_x .*, got 30000"),
        (group, "a data set train_set_x, got train_set_y"),
        (empty, "got train_set_x of uint8"),
        (texts, "numbers, or texts of a fixed length, got train_set_x of object"),
        (records, "numbers, or texts of a fixed length"),
        (references, "numbers, or texts of a fixed length, got train_set_x of object"),
    ],
)
def test_refuses_what_is_no_plain_data(tmp_path, make, text):
    path = with_x(tmp_path / "a.h5", make)
    assert path.stat().st_size < 10**5
    with at_most(2**21), pytest.raises((DataError, FormatError), match=f"a.h5: expected .*{text}"):
        hdf5_file(path)


@pytest.mark.parametrize("options", [{"chunks": (2, 3, 3, 3)}, {"compression": "gzip"}, {"fletcher32": True}])
def test_chunks_and_what_h5py_compresses_by_itself_will_do(tmp_path, options):
    images = 2 * np.arange(SMALL.size, dtype=np.uint8).reshape(SMALL.shape)
    path = with_x(tmp_path / "a.h5", lambda file: file.create_dataset("train_set_x", data=images, **options))
    data = hdf5_file(path)
    together = np.concatenate([data.train.images, data.test.images])
    np.testing.assert_array_equal(np.sort(together, axis=0), images)


@pytest.mark.parametrize(
    ("arrays", "text"),
    [
        ({}, "a data set train_set_x, got none"),
        ({"train_set_x": SMALL}, "a data set train_set_y, got train_set_x"),
        ({"train_set_x": SMALL, "train_set_y": LABELS[:3]}, r"4 labels, one an image, got \(3,\)"),
        (
            {"train_set_x": SMALL, "train_set_y": LABELS, "list_classes": np.array([b"a"])},
            "2 names, one a class, got 1",
        ),
        ({"train_set_x": SMALL[0], "train_set_y": LABELS}, r"labels, one an image"),
        ({"train_set_x": SMALL.astype("i4") - 1, "train_set_y": LABELS}, "whole numbers from -1"),
        ({"train_set_x": SMALL, "train_set_y": LABELS, "list_classes": np.eye(2, dtype=int)}, "list_classes: exp"),
    ],
    ids=range(7),
)
def test_refuses_what_is_no_data_set(tmp_path, arrays, text):
    with pytest.raises((DataError, FormatError), match=text):
        hdf5_file(write(tmp_path / "a.h5", **arrays))


def test_limits_broken_and_missing_files(tmp_path, pair, monkeypatch):
    with pytest.raises(FormatError, match="at most 1000 bytes"):
        hdf5_file(pair / "train_signs.h5", most_bytes=1000)
    for name, other in (("train", "test"), ("test", "train")):  # whichever of the two files is too large
        small = write(tmp_path / "small.h5", **{f"{other}_set_x": SMALL, f"{other}_set_y": LABELS})
        large = pair / f"{name}_signs.h5"
        first, test = (large, small) if name == "train" else (small, large)
        with pytest.raises(FormatError, match=rf"{large.name}.* at most 1000 bytes"):
            hdf5_file(first, test=test, most_bytes=1000)
    good = (pair / "train_signs.h5").read_bytes()
    for data in (b"", b"no file", good[:1000], good[: len(good) // 2], good[:-1]):
        (tmp_path / "a.h5").write_bytes(data)
        with pytest.raises(FormatError, match=r"a.h5.*: expected"):
            hdf5_file(tmp_path / "a.h5")
    with pytest.raises(FileError, match="No such file"):
        hdf5_file(tmp_path / "none.h5")
    with pytest.raises(FileError, match="No such file"):
        hdf5_file(pair / "train_signs.h5", test=tmp_path / "none.h5")
    monkeypatch.setitem(sys.modules, "h5py", None)
    with pytest.raises(MissingExtraError, match=r"h5py to read HDF5 files.*xpcnn\[hdf5\]"):
        hdf5_file(pair / "train_signs.h5")


def test_random_damage_gives_nothing_but_one_line(tmp_path, rng):
    good = write(tmp_path / "a.h5", train_set_x=SMALL, train_set_y=LABELS).read_bytes()
    refused = 0
    for _ in range(150):
        data = bytearray(good)
        for position in rng.integers(len(data), size=rng.integers(1, 30)):
            data[position] = rng.integers(256)
        (tmp_path / "a.h5").write_bytes(data)
        try:
            hdf5_file(tmp_path / "a.h5", scale=255)
        except (FormatError, DataError):
            refused += 1
    assert refused > 40
