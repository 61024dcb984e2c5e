"""Archives of arrays that are broken, hostile or too large: refused in a line, without memory for what they claim."""

from __future__ import annotations

import io
import pickle
import zipfile
from pathlib import Path

import numpy as np
import pytest

from xpcnn.data.array_file import array_file
from xpcnn.data.registry import load
from xpcnn.errors import DataError, FormatError

from ..io.test_npy import HEADER, Evil, hand_made, npy
from ..limits import at_most


def pack(members: dict[str, bytes], compression=zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", compression) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    return file.getvalue()


GOOD = {"x.npy": npy(np.zeros((4, 3, 3), np.uint8)), "y.npy": npy(np.arange(4) % 2)}


def test_the_hand_made_archive_is_one(tmp_path):
    (tmp_path / "a.npz").write_bytes(pack(GOOD))
    assert load(tmp_path / "a.npz").input_shape == (3, 3, 1)


@pytest.mark.parametrize(
    ("data", "error", "text"),
    [
        (b"", FormatError, "a whole .npz archive"),
        (b"no archive", FormatError, "a whole .npz archive"),
        (pack(GOOD)[:-30], FormatError, "a whole .npz archive"),
        (pack({"z.npy": GOOD["x.npy"]}), DataError, "arrays x_train and y_train or .*, got none; save them"),
        (pack({"x.npy": GOOD["x.npy"]}), DataError, "arrays x_train and y_train or .*, got x;"),
        (pack(GOOD | {"y.npy": npy(np.array([Evil()] * 4, dtype=object))}), FormatError, "a.npz: y: .*a pickle"),
        (pack(GOOD | {"y.npy": pickle.dumps(Evil())}), FormatError, "a.npz: y: expected a .npy array"),
        (pack(GOOD | {"x.npy": GOOD["x.npy"][:-1]}), FormatError, r"a.npz: x: expected 36 bytes .*, got .*"),
        (pack(GOOD | {"y.npy": npy(np.arange(5))}), DataError, r"4 labels, one an image, got \(5,\)"),
        (pack(GOOD, zipfile.ZIP_LZMA), FormatError, "stored or deflated"),
        (pack({f"../../{name}": data for name, data in GOOD.items()}), DataError, "got none"),
        (pack(GOOD | {"x.npy": npy(np.full((4, 3, 3), np.nan))}), DataError, "finite images, got NaN"),
    ],
    ids=range(12),
)
def test_refuses_broken_archives(tmp_path, data, error, text):
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(error, match=text):
        array_file(tmp_path / "a.npz")


def test_encrypted_and_damaged_members(tmp_path, rng):
    data = bytearray(pack(GOOD, zipfile.ZIP_STORED))
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the bit that says encrypted
    (tmp_path / "a.npz").write_bytes(data)
    with pytest.raises(FormatError, match="stored or deflated, got another kind"):
        array_file(tmp_path / "a.npz")
    refused = 0
    for _ in range(200):
        data = bytearray(pack(GOOD))
        for position in rng.integers(len(data), size=rng.integers(1, 4)):
            data[position] = rng.integers(256)
        (tmp_path / "a.npz").write_bytes(data)
        try:
            array_file(tmp_path / "a.npz")
        except (FormatError, DataError):
            refused += 1
    assert refused > 100


def test_a_zip_bomb_allocates_nothing(tmp_path):
    """30 MB of zeros in 30 KB, with a header that claims them, or a little."""
    for shape in ((30_000_000,), (30,)):
        member = hand_made(HEADER.format("'|u1'", shape), bytes(30_000_000))
        (tmp_path / "a.npz").write_bytes(pack(GOOD | {"x.npy": member}))
        del member
        with at_most(2**21), pytest.raises(FormatError, match="at most 1000000 bytes, got"):
            array_file(tmp_path / "a.npz", most_bytes=10**6)
    claims = hand_made(HEADER.format("'<f8'", (10**12,)), bytes(10))
    (tmp_path / "a.npz").write_bytes(pack(GOOD | {"x.npy": claims}))
    with at_most(2**21), pytest.raises(FormatError, match=r"at most .* bytes"):
        array_file(tmp_path / "a.npz")


def test_all_members_together_are_limited(tmp_path):
    members = {name: npy(np.zeros((50, 100, 100), np.uint8)) for name in ("x_train.npy", "x_test.npy")}
    labels = {name: npy(np.arange(50) % 2) for name in ("y_train.npy", "y_test.npy")}
    (tmp_path / "a.npz").write_bytes(pack(members | labels))
    assert len(array_file(tmp_path / "a.npz", most_bytes=1_100_000).train) == 50
    with pytest.raises(FormatError, match="at most"):
        array_file(tmp_path / "a.npz", most_bytes=900_000)


def test_a_link_outside_is_not_a_way_out(tmp_path):
    """Nothing is written, whatever the members are called."""
    (tmp_path / "a.npz").write_bytes(pack(GOOD | {"../../evil.npy": GOOD["x.npy"], "/abs.npy": GOOD["x.npy"]}))
    before = sorted(tmp_path.rglob("*"))
    array_file(tmp_path / "a.npz")
    assert sorted(tmp_path.rglob("*")) == before
    assert not Path("/abs.npy").exists()
