"""One convolution, forward and backward, along every axis of its geometry, to find cliffs.

Each axis varies one number of the base geometry (`Geometry()`: 64 images of 28×28, 16 → 32 channels, 3×3). The cost of
a multiply-add should change smoothly along it; a jump between neighbours is a cliff.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from typing import Any

from .geometry import Geometry
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


POINTS = {  # where xpcnn was furthest behind in a sweep, and depthwise convolutions as in MobileNet v2
    "3×3": Geometry(),
    "1 image": Geometry(batch=1),
    "8 images": Geometry(batch=8),
    "31 images": Geometry(batch=31),
    "kernel 1×1": Geometry(kernel=1),
    "kernel 7×7": Geometry(kernel=7),
    "stride 2": Geometry(stride=2),
    "dilation 2": Geometry(dilation=2),
    "1 input channel": Geometry(cin=1),
    "8 images, 128 → 128": Geometry(batch=8, cin=128, cout=128),
    "depthwise 32": Geometry(cin=32, groups=32),
    "depthwise 144 (8 of 56×56)": Geometry(8, 56, 144, 144, groups=144),
    "depthwise 96, stride 2 (8 of 112×112)": Geometry(8, 112, 96, 96, stride=2, groups=96),
}


def points(workers: Workers, effort: Effort, peers: Collection[str], names: list[str]) -> Iterator[dict[str, Any]]:
    """Those of `POINTS`, measured."""
    for name in names:
        yield {"name": name, **_point(workers, f"convolution, {name}", POINTS[name], effort, peers)}


def run(
    workers: Workers, effort: Effort, peers: Collection[str], axes: list[str], points: int | None
) -> Iterator[dict[str, Any]]:
    """For each of these axes its points: the geometry, its multiply-adds and the time of each peer.

    Parameters
        points : number of points of each axis, from its start; None for all
    """
    for name in axes:
        base, field, values = AXES[name]
        measured = []
        for value in values[:points]:
            geometry = replace(base, **{field: value}).bounded()
            measured.append({"value": value, **_point(workers, f"sweep {name} {value}", geometry, effort, peers)})
        yield {"axis": name, "points": measured}


def _point(workers: Workers, doing: str, geometry: Geometry, effort: Effort, peers: Collection[str]) -> dict[str, Any]:
    results = measure(workers, doing, {"what": "convolution", "geometry": geometry.to_json()}, effort, peers)
    for result in results.values():
        result.pop("sums", None)
    return {"geometry": geometry.to_json(), "multiply_adds": geometry.multiply_adds, "peers": results}
