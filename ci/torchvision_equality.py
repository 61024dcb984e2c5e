"""The named architectures beside torchvision's, with the same weights, in float64: how far the numbers are apart.

    pip install torch==2.13.0; pip install --no-deps torchvision==0.29.1
    python -m ci.torchvision_equality [NAME …]

A number is the largest difference in a group of arrays, divided by the largest number of its array. `gradients` are
those of all parameters, each compared alone; `parameters` is how many arrays these are. The status is 1 if a number is
above 1e-9. torchvision has no U-Net; that one is built from PyTorch's modules.
"""

from __future__ import annotations

import sys
import time

import xpcnn
from tests.models.known import IMAGES
from tests.models.torchvision_witness import compared, witness
from xpcnn.table import columns

CLOSE = 1e-9
GROUPS = ("inference", "training", "statistics", "dx", "gradients")


def main(names: list[str]) -> int:
    """Print the table."""
    rows = []
    worst = 0.0
    with witness() as torchvision, xpcnn.use_backend("numpy"):
        for name in names or IMAGES:
            begin = time.perf_counter()
            found, arrays = compared(torchvision, name)
            worst = max(worst, *found.values())
            image = "×".join(map(str, IMAGES[name]))
            numbers = [f"{found[group]:.0e}" for group in GROUPS]
            rows.append([name, image, *numbers, str(arrays), f"{time.perf_counter() - begin:.1f}"])
    print(columns(["architecture", "image", *GROUPS, "parameters", "seconds"], rows, left=(0, 1)))
    print(f"the largest difference is {worst:.1e}; at most {CLOSE:g} is right")
    return int(worst > CLOSE)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
