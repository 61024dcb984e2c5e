"""Converts a picture strip by strip, so that intermediate results of a large one are never in memory as a whole."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from ..typing import NDArray

STRIP = 2**18  # pixels, but at least one row; a smaller picture is one strip


def converted(pillow: Any, image: Any, convert: Callable[[Any], Any]) -> Any:
    """convert(image), or the image itself if there is nothing to convert.

    Parameters
        convert : from a picture to one of the same size, each pixel independently; if it has nothing to do, it returns
            its argument
    """
    if _is_small(image):
        return convert(image)
    corner = image.crop((0, 0, 1, 1))
    if convert(corner) is corner:
        return image
    whole = pillow.new(convert(corner).mode, image.size)
    for top, strip in _strips(image):
        whole.paste(convert(strip), (0, top))
    return whole


def as_array(image: Any, convert: Callable[[Any], Any]) -> NDArray:
    """convert(image) as a new array (H, W) or (H, W, 3)."""
    if _is_small(image):
        return np.array(convert(image))
    corner = np.asarray(convert(image.crop((0, 0, 1, 1))))
    whole = np.empty((image.height, image.width, *corner.shape[2:]), corner.dtype)
    for top, strip in _strips(image):
        part = np.asarray(convert(strip))
        whole[top : top + len(part)] = part
    return whole


def _is_small(image: Any) -> bool:
    return int(image.width * image.height) <= STRIP


def _strips(image: Any) -> Iterator[tuple[int, Any]]:
    """The strips of an image, from the top, and the row where each begins."""
    rows = max(1, STRIP // image.width)
    for top in range(0, image.height, rows):
        yield top, image.crop((0, top, image.width, min(top + rows, image.height)))
