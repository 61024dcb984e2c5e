"""No phase of a training takes memory that grows with the pictures: `ci.larger_than_memory`, with a small number."""

from __future__ import annotations

import sys

import pytest

pytest.importorskip("PIL.Image")
pytest.importorskip("matplotlib")


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_the_memory_of_each_phase_stays_below_that_of_the_pictures(capfd):
    from ci.larger_than_memory import main

    # 1,600 pictures are 230 MiB of pixels; a batch of 8 is 1.2 MiB, and 4.6 MiB in floats
    assert main(["--pictures", "1600", "--batch-size", "8", "--most", "160", "--above"]) == 0, capfd.readouterr().out
