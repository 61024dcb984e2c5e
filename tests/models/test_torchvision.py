"""The large architectures equal torchvision's: names, outputs, running statistics and all gradients.

`python -m ci.torchvision_equality` prints the table.
"""

from __future__ import annotations

import pytest

from .known import IMAGES
from .shapes import heavy_ones_slow

pytest.importorskip("torch")
CLOSE = 1e-10


@pytest.mark.parametrize("name", heavy_ones_slow(IMAGES))
def test_all_numbers_equal_torchvisions(torchvision, name):
    from .torchvision_witness import compared

    found, _ = compared(torchvision, name)
    assert max(found.values()) <= CLOSE, found
