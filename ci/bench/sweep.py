"""One convolution, forward and backward, along every axis of its geometry, to find cliffs.

Each axis varies one number of the base geometry (`Geometry()`: 64 images of 28×28, 16 → 32 channels, 3×3). The cost of
a multiply-add should change smoothly along it; a jump between neighbours is a cliff.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from .geometry import Geometry
from .peers import BAR
from .processes import Workers
from .rounds import Effort, measure

AXES: dict[str, tuple[Geometry, str, tuple[int, ...]]] = {
    "batch": (Geometry(), "batch", (1, 2, 4, 8, 15, 16, 17, 24, 31, 32, 64, 128, 256, 512, 1024)),
    "image": (Geometry(), "size", (28, 32, 48, 56, 64, 96, 112, 128, 160, 192, 224)),
    "kernel": (Geometry(), "kernel", (1, 3, 5, 7, 9, 11)),
    "stride": (Geometry(), "stride", (1, 2, 3, 4)),
    "dilation": (Geometry(), "dilation", (1, 2, 3)),
    "channels in": (Geometry(), "cin", (1, 3, 8, 16, 64, 128, 256, 512)),
    "channels out": (Geometry(), "cout", (1, 3, 8, 16, 64, 128, 256, 512)),
    "groups of 32 → 32": (Geometry(cin=32), "groups", (1, 2, 4, 8, 16, 32)),
}


def run(workers: Workers, effort: Effort, points: int | None) -> list[dict[str, Any]]:
    """For each axis its points: the geometry, its multiply-adds and the time of each peer.

    Parameters
        points : number of points of each axis, from its start; None for all
    """
    axes = []
    for name, (base, field, values) in AXES.items():
        measured = []
        for value in values[:points]:
            geometry = replace(base, **{field: value}).bounded()
            request = {"what": "convolution", "geometry": geometry.to_json()}
            results = measure(workers, f"sweep {name} {value}", request, effort, ["xpcnn", *BAR])
            for result in results.values():
                result.pop("sums", None)
            measured.append(
                {
                    "value": value,
                    "geometry": geometry.to_json(),
                    "multiply_adds": geometry.multiply_adds,
                    "peers": results,
                }
            )
        axes.append({"axis": name, "points": measured})
    return axes
