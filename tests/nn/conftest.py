"""A fixture of several files of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest


@pytest.fixture(scope="module")
def nothing_is_forced() -> Iterator[None]:
    """A plan passes everything to the network where an implementation is forced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPCNN_IMPLEMENTATION", raising=False)
        yield
