"""Arrays in .npy files are read exactly; a hostile header allocates nothing, and no pickle is ever opened."""

from __future__ import annotations

import io
import pickle
import struct
import zipfile

import numpy as np
import pytest

from xpcnn.errors import FileError, FormatError
from xpcnn.io.npy import read_npy, read_npz

from ..limits import at_most


def npy(array: np.ndarray) -> bytes:
    file = io.BytesIO()
    np.save(file, array, allow_pickle=True)
    return file.getvalue()


def hand_made(header: str, body: bytes = b"", version: int = 1) -> bytes:
    size = struct.pack("<H" if version == 1 else "<I", len(header))
    return b"\x93NUMPY" + bytes([version, 0]) + size + header.encode("latin1") + body


@pytest.mark.parametrize("dtype", ["?", "u1", "<i2", ">i4", "<u8", "<f4", ">f8", "<U5", "S3"])
def test_reads_what_numpy_writes(write, rng, dtype):
    array = (rng.random((3, 4, 5)) * 100).astype(dtype)
    for each in (array, np.asfortranarray(array), array[1], array.ravel(), array[0, 0, 0].reshape(())):
        read = read_npy(write(npy(each)))
        assert read.dtype == array.dtype.newbyteorder("=")
        assert read.flags.writeable
        assert read.flags.c_contiguous
        np.testing.assert_array_equal(read, each)


def test_an_empty_array(write):
    assert read_npy(write(npy(np.zeros((0, 4))))).shape == (0, 4)


GOOD = npy(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))
HEADER = "{{'descr': {}, 'fortran_order': False, 'shape': {}, }}\n"


class Evil:
    def __reduce__(self):
        return (pytest.fail, ("a pickle was opened",))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "a .npy array, version 1.0"),
        (b"no array", "a .npy array, version 1.0"),
        (GOOD[:40], "a .npy array, version 1.0"),
        (GOOD[:-1], r"60 bytes for an array \(3, 4, 5\), got fewer"),
        (GOOD + b"\0", r"60 bytes for an array \(3, 4, 5\), got more"),
        (npy(np.array([Evil()], dtype=object)), "numbers or texts, got object; .* pickle"),
        (pickle.dumps(Evil()), "a .npy array"),
        (npy(np.zeros(2, "i4,f4")), "numbers or texts, got"),
        (npy(np.zeros(2, complex)), "numbers or texts, got complex128"),
        (npy(np.zeros(2, "datetime64[s]")), "numbers or texts, got datetime64"),
        (hand_made(HEADER.format("'|u1'", "(10**9,)")), "a .npy array"),  # an expression, not a number
        (hand_made("__import__('os').abort()"), "a .npy array"),
        (hand_made(HEADER.format("'|u1'", "(-1,)")), r"got shape \(-1,\)"),
        (hand_made(HEADER.format("'|u1'", "(-2, -2)"), b"abcd"), r"got shape \(-2, -2\)"),
        (hand_made(HEADER.format("'|u1'", "(2.5,)")), "a .npy array"),
        (hand_made(HEADER.format("'|u1'", "(4,)"), b"abcd", version=2), r"version 1.0, got version 2.0"),
        (hand_made(HEADER.format("'|V0'", "(4,)")), "numbers or texts"),
        (hand_made(HEADER.format("'<U0'", "(4,)")), "numbers or texts"),
    ],
    ids=range(18),
)
def test_refuses_broken_files(write, data, text):
    with pytest.raises(FormatError, match=text):
        read_npy(write(data))


@pytest.mark.parametrize(
    "shape", [(3 * 10**8,), (3 * 10**9,), (2**62, 2**62), (2**30, 2**30, 0), (2**31, 2**31, 2**31, 0)]
)
def test_allocates_nothing_that_the_file_does_not_hold(write, shape):
    path = write(hand_made(HEADER.format("'<f8'", shape), bytes(50) if all(shape) else b""))
    with at_most(2**20), pytest.raises(FormatError, match="bytes"):
        read_npy(path)


def test_refuses_more_than_it_was_told_to_read(write):
    assert read_npy(write(GOOD), most_bytes=60).size == 60
    with pytest.raises(FormatError, match=r"at most 59 bytes, got an array \(3, 4, 5\), 60 bytes"):
        read_npy(write(GOOD), most_bytes=59)


def test_missing_files(tmp_path):
    with pytest.raises(FileError, match="No such file"):
        read_npy(tmp_path / "none.npy")


def test_random_damage_gives_nothing_but_format_errors(write, rng):
    refused = 0
    for _ in range(150):
        data = bytearray(GOOD)
        for position in rng.integers(128, size=rng.integers(1, 4)):
            data[position] = rng.integers(256)
        try:
            read_npy(write(bytes(data)))
        except FormatError:
            refused += 1
    assert refused > 75


def test_bfloat16_comes_as_float32(write):
    """MLX writes it as pairs of bytes without a name."""
    upper = (np.array([[1.5, -2.0], [0.0, np.inf]], np.float32).view(np.uint32) >> 16).astype(np.uint16).view("V2")
    for each in (upper, np.asfortranarray(upper)):
        read = read_npy(write(npy(each)))
        assert read.dtype == np.float32
        np.testing.assert_array_equal(read, [[1.5, -2.0], [0.0, np.inf]])


def test_archives_of_named_arrays(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.arange(3), y=np.ones(2), z=np.array("text"))
    assert {name: each.tolist() for name, each in read_npz(tmp_path / "a.npz").items()} == {
        "x": [0, 1, 2],
        "y": [1.0, 1.0],
        "z": "text",
    }
    assert list(read_npz(tmp_path / "a.npz", {"y", "other"})) == ["y"]


def test_deflated_archives_if_they_are_wanted(tmp_path):
    np.savez_compressed(tmp_path / "a.npz", x=np.zeros(100_000))
    assert read_npz(tmp_path / "a.npz")["x"].shape == (100_000,)
    with pytest.raises(FormatError, match=r"a\.npz: x: expected a member that is stored, got another kind"):
        read_npz(tmp_path / "a.npz", compressed=False)
    with at_most(2**19), pytest.raises(FormatError, match="at most 500000 bytes"):
        read_npz(tmp_path / "a.npz", most_bytes=500_000)
    with pytest.raises(FileError, match="No such file"):
        read_npz(tmp_path / "none.npz")


def test_members_are_limited_together_and_of_two_of_one_name_the_first_is_taken(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(100), y=np.zeros(100))
    assert len(read_npz(tmp_path / "a.npz", most_bytes=1600)) == 2
    with pytest.raises(FormatError, match=r"^\S*a\.npz: y: expected at most 799 bytes"):
        read_npz(tmp_path / "a.npz", most_bytes=1599)
    with zipfile.ZipFile(tmp_path / "b.npz", "w") as archive:
        archive.writestr("x", npy(np.array([1])))
        archive.writestr("x.npy", npy(np.array([2])))
    assert read_npz(tmp_path / "b.npz")["x"].tolist() == [1]


def test_a_member_that_is_encrypted_is_named(tmp_path):
    np.savez(tmp_path / "a.npz", x=np.zeros(3))
    data = bytearray((tmp_path / "a.npz").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the bit that says so
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(FormatError, match=r"^\S*a\.npz: x: expected a member that is stored or deflated"):
        read_npz(tmp_path / "a.npz")


@pytest.mark.parametrize("order", ["C", "F"])
def test_an_array_is_read_once_and_not_copied(tmp_path, order):
    array = np.asarray(np.arange(2**20, dtype="f8").reshape(2**10, 2**10), order=order)
    np.save(tmp_path / "a.npy", array)
    np.savez(tmp_path / "a.npz", a=array)
    np.savez_compressed(tmp_path / "b.npz", a=array)
    for name in ("a.npy", "a.npz", "b.npz"):
        copies = 1 if order == "C" else 2  # columns are turned into rows
        with at_most(copies * array.nbytes + 5 * 2**20):
            read = read_npy(tmp_path / name) if name == "a.npy" else read_npz(tmp_path / name)["a"]
        np.testing.assert_array_equal(read, array)
        assert read.flags.writeable
        assert read.flags.c_contiguous


def test_where_memory_is_short_the_file_is_not_at_fault(write, monkeypatch):
    file = io.BytesIO()
    np.savez(file, a=np.zeros(3))
    path = write(file.getvalue())
    monkeypatch.setattr(np, "empty", lambda *shape, **options: (_ for _ in ()).throw(MemoryError))
    with pytest.raises(MemoryError):
        read_npz(path)
