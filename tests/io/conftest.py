"""Fixtures of the tests of files."""

from __future__ import annotations

import pytest


@pytest.fixture
def write(tmp_path):
    """A function that writes bytes to a file, and gives its path."""

    def to_file(data: bytes):
        path = tmp_path / "file"
        path.write_bytes(data)
        return path

    return to_file
