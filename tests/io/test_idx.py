"""IDX files are read exactly, and whatever is broken about one ends in FormatError, before anything is allocated."""

from __future__ import annotations

import gzip
import struct
from functools import partial

import numpy as np
import pytest

from xpcnn.errors import FileError, FormatError
from xpcnn.io.idx import read_idx

from ..limits import at_most

CODES = {"uint8": 8, "int8": 9, "int16": 11, "int32": 12, "float32": 13, "float64": 14}
zipped = partial(gzip.compress, mtime=0)  # the same bytes in every run


def idx(array: np.ndarray) -> bytes:
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[array.dtype.name], array.ndim, *array.shape)
    return header + array.astype(array.dtype.newbyteorder(">")).tobytes()


@pytest.mark.parametrize("pack", [bytes, zipped])
@pytest.mark.parametrize("dtype", CODES)
def test_reads_every_type(write, rng, dtype, pack):
    array = (rng.normal(size=(3, 4, 5)) * 50).clip(0).astype(dtype)
    read = read_idx(write(pack(idx(array))))
    assert read.dtype == array.dtype
    assert read.dtype.isnative
    assert read.flags.writeable
    np.testing.assert_array_equal(read, array)


GOOD = idx(np.arange(60, dtype=np.uint8).reshape(3, 4, 5))


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "got an empty file"),
        (GOOD[:3], "an IDX file, which begins"),
        (b"\1" + GOOD[1:], "an IDX file, which begins 00 00 type axes, got 01 00 08 03"),
        (b"\0\0\7" + GOOD[3:], "an IDX file"),
        (b"\0\0\x08\0", "an IDX file"),
        (b"\0\0\x08\x09" + bytes(100), "an IDX file"),
        (b"\x89PNG\r\n", "an IDX file"),
        (GOOD[:10], "3 axes in the header"),
        (GOOD[:-1], r"60 bytes for an array \(3, 4, 5\), got fewer"),
        (GOOD + b"\0", r"60 bytes for an array \(3, 4, 5\), got more"),
        (zipped(GOOD[:-1]), "got fewer"),
        (zipped(GOOD + b"\0"), "got more"),
        (zipped(GOOD)[:-10], "a whole gzip file"),
        (zipped(GOOD)[:5], "a whole gzip file"),
        (zipped(GOOD)[:-6] + bytes(6), "a whole gzip file"),  # wrong sum
        (b"\x1f\x8b" + bytes(30), "a whole gzip file"),
        (zipped(GOOD)[:10] + b"\xff" * 30, "a whole gzip file"),  # no deflate block
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_refuses_broken_files(write, data, text):
    with pytest.raises(FormatError, match=text):
        read_idx(write(data))


@pytest.mark.parametrize("pack", [bytes, zipped])
@pytest.mark.parametrize("shape", [(2**31 - 1,), (2**32 - 1,) * 8])
def test_allocates_nothing_that_the_file_cannot_hold(write, shape, pack):
    path = write(pack(struct.pack(f">BBBB{len(shape)}I", 0, 0, 8, len(shape), *shape) + bytes(50)))
    with at_most(2**20), pytest.raises(FormatError, match="bytes"):
        read_idx(path)


def test_a_gzip_bomb_ends_at_the_size_of_the_header(write):
    path = write(zipped(GOOD + bytes(50_000_000)))
    with at_most(2**21), pytest.raises(FormatError, match="got more"):
        read_idx(path)


def test_refuses_more_than_it_was_told_to_read(write):
    assert read_idx(write(GOOD), most_bytes=60).size == 60
    with pytest.raises(FormatError, match="at most 59 bytes"):
        read_idx(write(GOOD), most_bytes=59)


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError, match=r"a readable file, got (No such file|Is a dir)"):
            read_idx(path)


def test_random_damage_gives_nothing_but_format_errors(write, rng):
    good = [GOOD, zipped(GOOD)]
    refused = 0
    for i in range(400):
        data = bytearray(good[i % 2])
        for position in rng.integers(len(data), size=rng.integers(1, 4)):
            data[position] = rng.integers(256)
        data = data[: rng.integers(len(data))] if i % 3 == 0 else data
        try:
            read_idx(write(bytes(data)))
        except FormatError:
            refused += 1
    assert refused > 200


def test_an_array_is_read_once_and_not_copied(write):
    array = np.arange(2**23, dtype="u1").reshape(2**13, 2**10)
    data = bytes([0, 0, 8, 2]) + np.array(array.shape, ">u4").tobytes() + array.tobytes()
    for contents in (data, gzip.compress(data)):
        path = write(contents)
        with at_most(array.nbytes + 4 * 2**20):
            read = read_idx(path)
        np.testing.assert_array_equal(read, array)
        assert read.flags.writeable
