"""A reader's requests cost no more memory than the file has bytes."""

from __future__ import annotations

import pytest

from xpcnn.io.whole_file import WholeFile

from ..limits import at_most


@pytest.fixture
def path(tmp_path):
    (tmp_path / "file").write_bytes(bytes(range(200)) * 1000)
    return tmp_path / "file"


def test_reads_as_any_file_does(path):
    with WholeFile(path) as file, open(path, "rb") as plain:
        for size in (0, 3, 70_000, 5, 100_000, 100_000, 100_000, 1):
            assert file.read(size) == plain.read(size)
            assert file.tell() == plain.tell()
        for place in (0, 150_000, 10**9):
            file.seek(place)
            plain.seek(place)
            assert file.read(2**20) == plain.read(2**20)
        file.seek(7)
        plain.seek(7)
        assert file.read() == plain.read()
        assert file.read(None) == b""
    assert file.closed


def test_what_is_not_there_takes_no_memory(path):
    with WholeFile(path) as file, at_most(2**20):
        file.read(1000)
        assert len(file.read(2**60)) == 199_000
        assert file.read(2**60) == b""


def test_is_called_by_its_path(path):
    with WholeFile(path) as file:
        assert repr(file) == repr(str(path))
