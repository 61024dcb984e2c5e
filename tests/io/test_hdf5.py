"""HDF5 files give the numbers that stand in them, and nothing that lies elsewhere, is claimed only, or never ends."""

from __future__ import annotations

import os
import struct

import numpy as np
import pytest

from xpcnn.errors import FileError, FormatError
from xpcnn.io import hdf5
from xpcnn.io.hdf5 import read_hdf5

h5py = pytest.importorskip("h5py")


def write(path, make):
    with h5py.File(path, "w") as file:
        make(file)
    return path


def test_numbers_come_back(tmp_path, rng):
    given = {"a": rng.normal(size=(3, 4)), "b/c/d": np.arange(5), "b/e": np.float32(2.5), "empty": np.zeros((0, 3))}

    def make(file):
        for name, array in given.items():
            file[name] = array
        file.create_dataset("packed", data=np.zeros((64, 64)), compression="gzip", shuffle=True, fletcher32=True)
        file.create_dataset("chunked", data=given["a"], chunks=(3, 2))
        file.create_group("nothing")

    read = read_hdf5(write(tmp_path / "f", make))
    assert read.keys() == {*given, "packed", "chunked"}
    for name, expected in (given | {"packed": np.zeros((64, 64)), "chunked": given["a"]}).items():
        assert read[name].dtype == np.asarray(expected).dtype
        np.testing.assert_array_equal(read[name], expected)


def external_storage(file):
    folder = os.path.dirname(file.filename)
    with open(os.path.join(folder, "secret"), "wb") as secret:
        secret.write(bytes(80))
    file.create_dataset("a", (10,), "f8", external=[(os.path.join(folder, "secret"), 0, 80)])


def virtual(file):
    layout = h5py.VirtualLayout((4,), "f8")
    layout[:] = h5py.VirtualSource("other.h5", "x", shape=(4,))
    file.create_virtual_dataset("a", layout)


def soft(file):
    file["b"] = np.zeros(2)
    file["a"] = h5py.SoftLink("/b")


def external_link(file):
    file["a"] = h5py.ExternalLink("other.h5", "/x")


def circle(file):
    file.create_group("g")["again"] = file["/"]


def twice(file):
    file["a"] = np.zeros(2)
    file["b"] = file["a"]


def deep(file):
    file["/".join("g" * 40)] = np.zeros(2)


def claimed(file):
    file.create_dataset("a", (2**40,), "f8", chunks=(1024,))


def claimed_and_late(file):
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_alloc_time(h5py.h5d.ALLOC_TIME_LATE)
    h5py.h5d.create(file.id, b"a", h5py.h5t.NATIVE_DOUBLE, h5py.h5s.create_simple((2**36,)), plist)


def claimed_and_packed(file):
    file.create_dataset("a", (2**40,), "f8", chunks=(1024,), compression="gzip")[:1024] = 1.0


def texts(file):
    file["a"] = "text"


def nothing(file):
    file["a"] = h5py.Empty("f8")


def references(file):
    file["a"] = np.array([file.ref], dtype=h5py.ref_dtype)


def complex_numbers(file):
    file["a"] = np.zeros(2, complex)


def plug_in(file):
    file.create_dataset("a", data=np.zeros(64), compression="lzf")


def kind(file):
    file["a"] = np.dtype("f8")


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (external_storage, "numbers that stand in it, got a, which lies in another file"),
        (virtual, "numbers that stand in it, got a, which lies in another file"),
        (soft, "what it holds itself, got a SoftLink at a"),
        (external_link, "what it holds itself, got a ExternalLink at a"),
        (circle, "each group and array in one place, got one again at g/again"),
        (twice, "each group and array in one place, got one again at b"),
        (deep, "at most 32 levels of groups"),
        (claimed, r"8796093022208 bytes for a \(1099511627776,\), got 0"),
        (claimed_and_late, r"549755813888 bytes for a \(68719476736,\), got 0"),
        (claimed_and_packed, r"8796093022208 bytes for a"),
        (texts, "numbers, or texts of a fixed length, got a of object"),
        (nothing, "numbers, or texts of a fixed length, got a of float64"),
        (references, "numbers, or texts of a fixed length, got a of object"),
        (complex_numbers, "numbers, or texts of a fixed length, got a of complex128"),
        (plug_in, "filters deflate, shuffle, fletcher32, got number 32000 at a"),
        (kind, "groups and arrays, got a Datatype at a"),
    ],
)
def test_refusals(tmp_path, make, text):
    path = write(tmp_path / "f", make)
    with pytest.raises(FormatError, match=text) as caught:
        read_hdf5(path)
    assert "\n" not in str(caught.value)


def test_sizes_that_a_header_claims_in_two_places(tmp_path, rng):
    """Of the array, and of what is stored of it: the file's own size tells."""

    def make(file):
        dataset = file.create_dataset("a", (2**30,), "f8", chunks=(1000,), compression="gzip")
        dataset[:1000] = rng.normal(size=1000)
        sizes.append(dataset.id.get_chunk_info(0).size)

    sizes = []
    path = write(tmp_path / "f", make)
    data = path.read_bytes()
    stored = struct.pack("<II", sizes[0], 0)  # and no filter left out
    assert data.count(stored) == 1
    path.write_bytes(data.replace(stored, struct.pack("<II", 2**31, 0)))
    with pytest.raises(FormatError, match=rf"8589934592 bytes for a \(1073741824,\), got {len(data)}"):
        read_hdf5(path)


def test_limits(tmp_path, monkeypatch):
    path = write(tmp_path / "f", lambda file: [file.create_dataset(name, data=np.zeros(100)) for name in "abc"])
    assert len(read_hdf5(path, most_bytes=2400)) == 3
    with pytest.raises(FormatError, match="at most 2399 bytes of arrays, got more, up to c"):
        read_hdf5(path, most_bytes=2399)
    monkeypatch.setattr(hdf5, "MOST_OBJECTS", 3)
    with pytest.raises(FormatError, match="at most 3 groups and arrays"):
        read_hdf5(path)


def test_of_some_names_the_rest_is_not_looked_at(tmp_path):
    def make(file):
        external_link(file)  # at a, which would be refused
        file["b"] = np.array([b"cat", b"mouse"])
        file["c/a"] = np.ones(2)

    arrays = read_hdf5(write(tmp_path / "f", make), names=("b", "c", "none"))
    assert {name: array.tolist() for name, array in arrays.items()} == {"b": [b"cat", b"mouse"], "c/a": [1.0, 1.0]}


@pytest.mark.parametrize("content", [b"", b"\x89HDF\r\n\x1a\n", b"\x89HDF\r\n\x1a\n" + bytes(300), b"text" * 200])
def test_broken_files(tmp_path, content):
    (tmp_path / "f").write_bytes(content)
    with pytest.raises(FormatError, match="a whole HDF5 file") as caught:
        read_hdf5(tmp_path / "f")
    assert "\n" not in str(caught.value)


def test_files_that_end_early(tmp_path, rng):
    path = write(tmp_path / "f", lambda file: file.create_dataset("a", data=rng.normal(size=1000)))
    data = path.read_bytes()
    for size in (len(data) - 1, len(data) // 2, 600):
        path.write_bytes(data[:size])
        with pytest.raises(FormatError):
            read_hdf5(path)


def test_missing_files(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError, match="a readable file"):
            read_hdf5(path)


def test_where_memory_is_short_the_file_is_not_at_fault(tmp_path, monkeypatch):
    path = write(tmp_path / "f", lambda file: file.create_dataset("a", data=np.zeros(3)))
    monkeypatch.setattr(hdf5._Reader, "read", lambda *arguments: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        read_hdf5(path)
