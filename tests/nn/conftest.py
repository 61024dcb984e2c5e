"""Fixtures of several files of tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from xpcnn.kernels import winograd


@pytest.fixture(scope="module")
def nothing_is_forced() -> Iterator[None]:
    """A plan passes everything to the network where an implementation is forced."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("XPCNN_IMPLEMENTATION", raising=False)
        yield


@pytest.fixture
def parts_of_users(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is forced, and thresholds are those of a user, too."""
    monkeypatch.delenv("XPCNN_IMPLEMENTATION", raising=False)
    monkeypatch.delenv("XPCNN_NUMBA", raising=False)
    monkeypatch.setattr(winograd, "FEWEST_CHANNELS", 8)
    monkeypatch.setattr(winograd, "LEAST_SAVING", 0.25)
