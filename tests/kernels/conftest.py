"""These tests name their implementation, and some are about what it refuses: none is forced on them."""

from __future__ import annotations

import pytest


@pytest.fixture
def _any_batch_where_an_implementation_is_forced() -> None:
    pass
