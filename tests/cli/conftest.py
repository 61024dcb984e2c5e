"""A run that tests of several commands go on from."""

from __future__ import annotations

import pytest

from .command import FAST, xpcnn_command


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The folder of a finished run of two epochs on the digits, and what the command said."""
    folder = tmp_path_factory.mktemp("cli")
    done = xpcnn_command("train", "digits", *FAST, "--out", "run", cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout
