"""The check of the image shape that all architectures share."""

from __future__ import annotations

from ..errors import ShapeError
from ..options import as_count
from ..typing import Shape


def as_image_shape(who: str, input_shape: Shape, least: int = 1) -> tuple[int, int, int]:
    """Check that the shape is (H, W, C), with H and W at least `least`; return it."""
    if not isinstance(input_shape, (tuple, list)) or len(input_shape) != 3:
        raise ShapeError(who, "input_shape (H, W, C)", repr(input_shape), "such as (28, 28, 1)")
    height, width, channels = (as_count(who, "each axis of input_shape", size) for size in input_shape)
    if min(height, width) < least:
        fits = "mnist_cnn" if min(height, width) >= 4 else "mlp"
        remedy = f"resize the images, or use {fits}, which takes this size"
        raise ShapeError(who, f"images of at least {least}×{least}", f"{height}×{width}", remedy)
    return height, width, channels
