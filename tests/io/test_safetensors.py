"""The official library's files are read, and it reads ours; neither takes memory beyond the arrays.

Damage of a single bit anywhere in a file of ours is noticed.
"""

from __future__ import annotations

import json
import os
import struct
import tracemalloc

import numpy as np
import pytest
from safetensors import safe_open
from safetensors.numpy import load_file, save_file

from xpcnn.errors import DTypeError, FormatError
from xpcnn.io import safetensors as module
from xpcnn.io.tensors import read_tensors, write_tensors

from ..limits import at_most

DTYPES = ["float64", "float32", "float16", "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8"]
DTYPES += ["bool"]


def arrays(rng):
    made = {dtype: (rng.normal(size=(3, 5)) * 50).astype(dtype) for dtype in DTYPES}
    return made | {"none": np.zeros((0, 3), "f4"), "scalar": np.array(2.5), "ä ": np.arange(4)}


def assert_equal(actual, expected):
    assert actual.keys() == expected.keys()
    for name, array in expected.items():
        assert (actual[name].dtype, actual[name].shape) == (array.dtype, array.shape)
        np.testing.assert_array_equal(actual[name], array)


def test_the_official_library_reads_ours(tmp_path, rng):
    given = arrays(rng)
    module.save(tmp_path / "file", given, {"format": "pt"}, checksum=True)
    assert_equal(load_file(tmp_path / "file"), given)
    with safe_open(tmp_path / "file", "np") as opened:
        assert opened.metadata()["format"] == "pt"
    header = int.from_bytes((tmp_path / "file").read_bytes()[:8], "little")
    assert header % 8 == 0
    for entry in json.loads((tmp_path / "file").read_bytes()[8 : 8 + header]).values():
        itemsize = {"F64": 8, "I64": 8, "U64": 8, "F32": 4, "I32": 4, "U32": 4}.get(entry.get("dtype"), 1)
        assert entry.get("data_offsets", [0])[0] % itemsize == 0  # aligned, for programs that map the file


def test_ours_reads_the_official_library_s(tmp_path, rng):
    given = arrays(rng)
    save_file(given, tmp_path / "file", {"format": "pt"})
    read, texts = module.load(tmp_path / "file")
    assert_equal(read, given)
    assert texts == {"format": "pt"}
    save_file({}, tmp_path / "file")
    assert module.load(tmp_path / "file") == ({}, {})


def test_files_as_other_programs_write_them_have_no_checksum(tmp_path):
    module.save(tmp_path / "file", {"a": np.zeros(2)}, {"format": "pt"}, checksum=False)
    with safe_open(tmp_path / "file", "np") as opened:
        assert opened.metadata() == {"format": "pt"}


def layouts(shape):
    """Arrays of that shape, 32 MiB, in several orders of memory, and what they hold in C order."""
    n, h, w, c = shape
    plain = np.arange(n * h * w * c, dtype="f8").reshape(shape)
    batch_last = np.moveaxis(np.ascontiguousarray(np.moveaxis(plain, 0, -1)), -1, 0)
    return {
        "plain": plain,
        "batch last": batch_last,
        "turned": plain.reshape(n * h, w * c).T,
        "by twos": np.repeat(plain, 2, axis=-1)[..., ::2],
        "backwards": plain[::-1, :, ::-1],
        "big-endian": plain.astype(">f8"),
        "one row, many times": np.broadcast_to(plain[0, 0, 0, 0], shape),
    }


@pytest.mark.parametrize("layout", list(layouts((1, 1, 1, 1))))
def test_writing_takes_no_memory_beyond_the_arrays(tmp_path, layout):
    array = layouts((8, 64, 64, 128))[layout]
    with at_most(4 * 2**20):
        write_tensors(tmp_path / "file", {"a": array}, {})
    np.testing.assert_array_equal(load_file(tmp_path / "file")["a"], array)


def test_arrays_of_devices_come_to_the_host_one_by_one(tmp_path, xp, monkeypatch):
    made, alive = [], []
    original = module.to_numpy

    def counted(array):
        host = np.array(original(array))
        alive.append(tracemalloc.get_traced_memory()[0])
        made.append(host.nbytes)
        return host

    given = {str(i): xp.array(np.full((2**18,), i), "float32") for i in range(6)}
    monkeypatch.setattr(module, "to_numpy", counted)
    tracemalloc.start()
    try:
        write_tensors(tmp_path / "file", given, {})
    finally:
        tracemalloc.stop()
    assert len(made) == 6
    assert max(alive) < 3 * max(made) + 2**20  # what xpcnn holds at a time, not all six


def test_reading_takes_no_memory_beyond_the_arrays(tmp_path):
    write_tensors(tmp_path / "file", {str(i): np.zeros(2**20) for i in range(4)}, {})
    with at_most(4 * 2**23 + 3 * 2**20):
        read_tensors(tmp_path / "file")


def test_every_flipped_bit_is_noticed_or_makes_no_difference(tmp_path):
    given = {"0.weight": np.arange(4, dtype="f4").reshape(2, 2), "flag": np.array([True]), "n": np.arange(2)}
    document = {"kind": "checkpoint", "position": {"epoch": 3, "best": [0.5, -0.25]}}
    write_tensors(tmp_path / "file", given, document)
    data, harmless = (tmp_path / "file").read_bytes(), 0
    for at in range(len(data)):
        for bit in range(8):
            changed = bytearray(data)
            changed[at] ^= 1 << bit
            (tmp_path / "file").write_bytes(changed)
            try:
                read, described = read_tensors(tmp_path / "file")
            except FormatError:
                continue
            harmless += 1
            assert described == document
            assert_equal(read, given)
    assert harmless <= 8  # such as of a blank at the header's end; of the checksum's name, none


def test_two_arrays_that_changed_places_are_noticed(tmp_path):
    write_tensors(tmp_path / "file", {"a": np.zeros(2), "b": np.ones(2)}, {})
    data = (tmp_path / "file").read_bytes()
    (tmp_path / "file").write_bytes(data[:-32] + data[-16:] + data[-32:-16])
    with pytest.raises(FormatError, match="numbers and texts that were written, got others: its checksum differs"):
        read_tensors(tmp_path / "file")


def test_the_order_in_a_file_makes_no_difference(tmp_path):
    """Another program may write the same things anew."""
    write_tensors(tmp_path / "file", {"a": np.zeros(2), "b": np.ones(3, "f4")}, {"x": 1})
    with safe_open(tmp_path / "file", "np") as opened:
        texts, read = opened.metadata(), {name: opened.get_tensor(name) for name in ("b", "a")}
    header = {"b": {"dtype": "F32", "shape": [3], "data_offsets": [0, 12]}}
    header |= {"a": {"dtype": "F64", "shape": [2], "data_offsets": [12, 28]}, "__metadata__": texts}
    body = read["b"].tobytes() + read["a"].tobytes()
    (tmp_path / "file").write_bytes(raw(json.dumps(header), body))
    assert_equal(read_tensors(tmp_path / "file")[0], read)


def test_files_without_a_checksum_are_read(tmp_path):
    save_file({"a": np.ones(2)}, tmp_path / "file", {"xpcnn": '{"format": 1, "x": 2}'})
    read, document = read_tensors(tmp_path / "file")
    assert document == {"x": 2}
    assert_equal(read, {"a": np.ones(2)})


def raw(header, body=b""):
    header = header.encode()
    return struct.pack("<Q", len(header)) + header + body


def entry(begin, end, shape=(1,), dtype="F64"):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


HUGE = [0, *[2**31] * 3]


@pytest.mark.parametrize(
    "header",
    [
        {"a": entry(0, 8), "b": entry(0, 8)},  # the same place
        {"a": entry(0, 8), "b": entry(4, 12)},
        {"a": entry(8, 16)},  # a gap
        {"a": entry(0, 8)},  # bytes that belong to none
        {"a": entry(0, 16)},
        {"a": entry(16, 0, [2])},
        {"a": entry(0, 16, [-2])},
        {"a": entry(0, 16, [True, 2])},
        {"a": entry(0, 16, [2.0])},
        {"a": entry(0, 16, "2")},
        {"a": entry(0, 16, [1] * 40 + [2])},
        {"a": entry(0, 16, [2**40, 2**40])},
        {"a": entry(0, 16, [2]), "b": entry(16, 16, HUGE)},
        {"a": entry(0, 16, [2]), "b": entry(0, 2**64)},
        {"a": entry(0.0, 16.0, [2])},
        {"a": {"dtype": "F64", "shape": [2]}},
        {"a": {"dtype": 1, "shape": [2], "data_offsets": [0, 16]}},
        {"a": {"dtype": "F64", "shape": [2], "data_offsets": [0, 8, 16]}},
        {"a": [0, 16]},
        {"a": None},
        {"a": entry(0, 16, [2]), "__metadata__": {"x": 1}},
        {"a": entry(0, 16, [2]), "__metadata__": "x"},
        {"a": entry(0, 16, [2]), "__metadata__": [1]},
    ],
    ids=lambda header: json.dumps(header)[:60],
)
def test_headers_that_do_not_fit_their_file(write, header):
    path = write(raw(json.dumps(header), bytes(16)))
    with at_most(2**20), pytest.raises(FormatError, match="a whole safetensors file"):
        module.load(path)


def test_a_name_stands_once(write):
    one, other = (json.dumps(entry(begin, begin + 8)) for begin in (0, 8))
    twice = f'{{"a":{one},"a":{other}}}'
    with pytest.raises(FormatError, match="a name that stands twice"):
        module.load(write(raw(twice, bytes(16))))


def test_a_file_that_is_cut_off_while_it_is_read(tmp_path, monkeypatch):
    write_tensors(tmp_path / "file", {"a": np.zeros(100_000)}, {})
    original = module.read_header

    def cut(*arguments):
        header = original(*arguments)
        os.truncate(tmp_path / "file", os.path.getsize(tmp_path / "file") - 8)
        return header

    monkeypatch.setattr(module, "read_header", cut)
    with pytest.raises(FormatError, match="ends before its last number"):
        read_tensors(tmp_path / "file")


def test_what_fails_half_way_leaves_the_old_file(tmp_path, monkeypatch):
    write_tensors(tmp_path / "file", {"a": np.ones(2)}, {})
    before, original = (tmp_path / "file").read_bytes(), module._pieces

    def no_more(array, dtype):
        yield next(original(array, dtype))
        raise MemoryError

    monkeypatch.setattr(module, "_pieces", no_more)
    with pytest.raises(MemoryError):
        write_tensors(tmp_path / "file", {"a": np.zeros(2)}, {})
    assert os.listdir(tmp_path) == ["file"]
    assert (tmp_path / "file").read_bytes() == before


def test_types_that_numpy_has_not_are_named(tmp_path):
    torch = pytest.importorskip("torch")
    with pytest.raises(DTypeError, match="a: expected an array of real numbers or truth values, got bfloat16"):
        write_tensors(tmp_path / "file", {"a": torch.zeros(2, dtype=torch.bfloat16)}, {})
    assert not os.listdir(tmp_path)
