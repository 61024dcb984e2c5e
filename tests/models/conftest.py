"""torchvision, as a witness, where it is installed."""

from __future__ import annotations

import pytest


@pytest.fixture(scope="session")
def torchvision():
    pytest.importorskip("torch")
    from .torchvision_witness import witness

    try:
        with witness() as found:
            yield found
    except ImportError as error:
        pytest.skip(str(error))
