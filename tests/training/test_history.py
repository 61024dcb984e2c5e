"""A run's history is read as it was written, and a broken file is named with its row."""

from __future__ import annotations

import math

import pytest

from xpcnn.errors import FileError, FormatError
from xpcnn.training.history import Epoch, read_csv, write_csv

ROWS = [Epoch(1, 0.1, 2.0, 0.25, 1.75, 0.5, 3.5), Epoch(2, 1e-30, 1 / 3, 1.0, math.inf, 0.0, 3.5)]


def test_what_was_written_is_read(tmp_path):
    write_csv(tmp_path / "history.csv", ROWS)
    assert read_csv(tmp_path / "history.csv") == ROWS
    write_csv(tmp_path / "history.csv", [Epoch(1, 0.1, 2.0, math.nan, math.nan, math.nan, 3.5)])
    (row,) = read_csv(tmp_path / "history.csv")
    assert isinstance(row.epoch, int)
    assert math.isnan(row.validation_loss)
    write_csv(tmp_path / "history.csv", [])
    assert read_csv(tmp_path / "history.csv") == []


@pytest.mark.parametrize(
    ("text", "where"),
    [
        (b"epoch,lr\n1,0.1\n", "row 1"),
        (b"no history at all\n1\n", "row 1"),
        (b"\xff\xfe\x00", "a run's history"),
        (b"{old}2,many,1,1,1,1,1\n", "row 3"),
        (b"{old}2.5,1,1,1,1,1,1\n", "row 3"),
        (b"{old}3,1,1\n", "row 3"),
        (b'{old}"3,1,1,1,1,1,1\n', "row 3"),
    ],
)
def test_a_broken_file_is_one_clear_line(tmp_path, text, where):
    path = tmp_path / "history.csv"
    write_csv(path, ROWS)
    path.write_bytes(text.replace(b"{old}", path.read_bytes()))
    with pytest.raises(FormatError, match=where) as caught:
        read_csv(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_is_one_clear_line(tmp_path):
    with pytest.raises(FileError, match="name the folder of a run"):
        read_csv(tmp_path / "history.csv")
    with pytest.raises(FileError, match="a run's history"):
        read_csv(tmp_path)
