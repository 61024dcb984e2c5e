"""A split whose images lie on the GPU as bytes, a quarter of what they are as floats; batches are gathered there.

So an epoch copies to the device nothing but the order of the images, and what augmentation has drawn for them. It is
for CuPy, and for bytes in memory that take at most SHARE of the device's free memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..backend import array_namespace, asarray, current_backend
from ..ops import dispatch
from ..typing import Array, NDArray

SHARE = 0.25


class OnDevice:
    """Images and labels on the current device.

    Parameters
        images, labels : (N, H, W, C) bytes, and (N, …), on the host
        scale : the number that stands for white
    """

    def __init__(self, images: NDArray, labels: NDArray, scale: float) -> None:
        self.images, self.labels, self.scale = asarray(images), asarray(labels), scale

    def batches(self, order: NDArray, batch_size: int, start: int, stop: int) -> Iterator[tuple[Array, Array]]:
        """Batches `start` … `stop` − 1 of the items in that order: x float32, and y."""
        on_device: Any = asarray(order)
        xp = array_namespace(on_device)
        for number in range(start, stop):
            index = on_device[number * batch_size : (number + 1) * batch_size]
            x = dispatch.output("gather_images", self.images, index, scale=self.scale)
            yield x, xp.take(self.labels, index, axis=0)


def fits(images: Any, labels: Any) -> bool:
    """True if they can lie on the current device."""
    in_memory = type(images) is np.ndarray and type(labels) is np.ndarray
    if not in_memory or images.dtype != np.uint8 or current_backend().name != "cupy":
        return False
    import cupy

    return bool(images.nbytes <= SHARE * cupy.cuda.runtime.memGetInfo()[0])
