"""Arrays and documents come back as they were; anything else in a file ends in FormatError."""

from __future__ import annotations

import json
import os
import struct

import numpy as np
import pytest
from safetensors.numpy import save

from xpcnn.errors import DTypeError, FileError, FormatError, OptionError
from xpcnn.io import safetensors as module
from xpcnn.io.tensors import read_tensors, write_tensors


@pytest.mark.parametrize("dtype", ["float32", "float64", "int64", "int32", "uint8", "bool"])
def test_comes_back(tmp_path, xp, rng, dtype):
    host = (rng.normal(size=(3, 4, 2)) * 9).astype(dtype)
    given = {"a.b": xp.array(host, dtype), "scalar": xp.array(host[0, 0, 0], dtype), "none": xp.array(host[:0], dtype)}
    metadata = {"name": "ä", "numbers": [1, 2.5, 2**127, None, True], "nested": {"a": {}}}
    write_tensors(tmp_path / "file", given, metadata)
    read, document = read_tensors(tmp_path / "file")
    assert document == metadata
    assert read.keys() == given.keys()
    for name, expected in (("a.b", host), ("scalar", host[0, 0, 0]), ("none", host[:0])):
        assert (read[name].dtype, read[name].shape) == (np.dtype(dtype), expected.shape)
        np.testing.assert_array_equal(read[name], expected)
        assert read[name].flags.writeable


def test_arrays_in_any_layout(tmp_path, rng):
    base = rng.normal(size=(6, 8))
    given = {"turned": base.T, "strided": base[::2, ::-3], "repeated": np.broadcast_to(base[0], (3, 8))}
    given["foreign"] = base.astype(">f8")
    write_tensors(tmp_path / "file", given, {})
    read, _ = read_tensors(tmp_path / "file")
    for name, expected in given.items():
        np.testing.assert_array_equal(read[name], expected)


def test_the_same_contents_make_the_same_bytes(tmp_path, rng):
    given = {name: rng.normal(size=3) for name in "cab"}
    for name in "12":
        write_tensors(tmp_path / name, given, {"a": 1, "b": 2})
    assert (tmp_path / "1").read_bytes() == (tmp_path / "2").read_bytes()


@pytest.mark.parametrize("value", [float("nan"), float("inf"), {1, 2}, np.zeros(2), b"bytes", "\ud800"])
def test_refuses_metadata_that_json_has_not(tmp_path, value):
    with pytest.raises(OptionError, match="metadata in values that JSON has"):
        write_tensors(tmp_path / "file", {}, {"a": [value]})
    assert not os.listdir(tmp_path)


@pytest.mark.parametrize("array", [np.zeros(2, complex), np.array(["a"]), np.array([None])])
def test_refuses_arrays_of_no_numbers(tmp_path, array):
    with pytest.raises(DTypeError, match=r"weight: expected an array of real numbers or truth values"):
        write_tensors(tmp_path / "file", {"weight": array}, {})
    assert not os.listdir(tmp_path)


def document(text: str, tensors: dict | None = None) -> bytes:
    return save(tensors or {"a": np.zeros(2)}, {"xpcnn": text})


def raw(header: str | bytes, body: bytes = b"") -> bytes:
    header = header.encode() if isinstance(header, str) else header
    return struct.pack("<Q", len(header)) + header + body


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (b"", "a safetensors file, got an empty file; get it again"),
        (b"short", "a safetensors file, got another kind of file; xpcnn.exchange reads ONNX"),
        (b"\10\7\22\5xpcnn of ONNX", "a safetensors file, got another kind of file"),
        (b"PK\3\4" + bytes(50), "a safetensors file, got a pickle, or another archive, as torch.save writes it; conv"),
        (b"\x80\4\x95" + bytes(50), "a safetensors file, got a pickle"),
        (b"\x89HDF\r\n\x1a\n" + bytes(50), "a safetensors file, got another kind of file"),
        (struct.pack("<Q", 2**63) + b"{}", "a safetensors file, got another kind of file"),
        (raw(b'{"a"' + b" " * 2**24), "a header of at most 16777216 bytes, got one of 16777220"),
        (raw('{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}')[:-20], "a whole safetensors file"),
        (raw("{}") + b"x", "a whole safetensors file"),
        (raw("[]"), "another kind of file"),
        (raw('{"a":' + "[" * 100_000), "a whole safetensors file"),
        (raw(b"{\xff\xfe}"), "a whole safetensors file"),
        (
            raw('{"a":{"dtype":"F32","shape":[300000000000],"data_offsets":[0,8]}}', bytes(8)),
            "a whole safetensors file",
        ),
        (raw('{"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}}', bytes(12)), "a whole safetensors file"),
        (
            raw('{"a":{"dtype":"PICKLE","shape":[2],"data_offsets":[0,8]}}', bytes(8)),
            "a: expected element types F64.*got PICKLE",
        ),
        (document("{}")[:-1], "a whole safetensors file"),
        (document("{}") + b"x", "a whole safetensors file"),
        (save({"a": np.zeros(2)}), "of another program; weights alone are read into a network by xpcnn.exchange"),
        (save({"a": np.zeros(2)}, {"format": "pt"}), "a safetensors file of another program"),
        (document("nonsense"), "metadata in JSON"),
        (document('{"format": 1, "a": NaN}'), "NaN is no JSON number"),
        (document('{"format": 1, "a": -Infinity}'), "-Infinity is no JSON number"),
        (document('{"format": 1, "a": ' + "9" * 5000 + "}"), "metadata in JSON"),
        (document('{"a":' * 50_000 + "1" + "}" * 50_000), "metadata in JSON"),
        (document("[]"), "metadata with a format number, got None"),
        (document("{}"), "metadata with a format number, got None"),
        (document('{"format": 1, "a": 1e999}'), "1e999 is no JSON number"),
        (document('{"format": true}'), "metadata with a format number, got True"),
        (document('{"format": 0}'), "metadata with a format number, got 0"),
        (document('{"format": 2}'), "expected format 1, got format 2, made by a newer xpcnn; upgrade xpcnn"),
        (
            document('{"format": 1}', {"a": np.zeros(2, "c8")}),
            "a: expected element types F64.*got C64; convert",
        ),
    ],
    ids=lambda value: value[:20] if isinstance(value, str) else "",
)
def test_broken_files(tmp_path, data, text):
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(FormatError, match=text):
        read_tensors(tmp_path / "file")


def test_a_checksum_under_another_name_is_no_reason_not_to_look(tmp_path):
    """Damage may hit the checksum's name and, unnoticed then, a number as well."""
    write_tensors(tmp_path / "file", {"a": np.zeros(2)}, {})
    data = (tmp_path / "file").read_bytes().replace(b"xpcnn_crc32", b"xpcnn_cbc32")[:-1] + b"?"
    (tmp_path / "file").write_bytes(data)
    with pytest.raises(
        FormatError, match="metadata under xpcnn alone, got also under 'xpcnn_cbc32'; the file is damaged"
    ):
        read_tensors(tmp_path / "file")


def test_missing_files_and_folders(tmp_path):
    for path in (tmp_path / "none", tmp_path):
        with pytest.raises(FileError, match=r"a readable file, got (No such file|Is a dir)"):
            read_tensors(path)


def test_never_writes_what_it_would_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(module.safetensors_header, "MOST_HEADER", 1000)
    write_tensors(tmp_path / "file", {}, {"a": "x" * 800})
    assert read_tensors(tmp_path / "file")[1] == {"a": "x" * 800}
    with pytest.raises(OptionError, match="names and metadata of at most 1000 bytes"):
        write_tensors(tmp_path / "file", {}, {"a": "x" * 1000})
    assert json.dumps(read_tensors(tmp_path / "file")[1])  # the old file is untouched
