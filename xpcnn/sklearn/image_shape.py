"""The shape of one input of the network, of which an estimator gets images, or rows with an `image_shape`."""

from __future__ import annotations

import math
from typing import Any

from ..data.pixels import looks_channels_first
from ..errors import DataError, OptionError, ShapeError
from ..options import as_count
from ..typing import Shape


def input_shape(who: str, given: Any, features: int, shape: Shape | None) -> Shape:
    """(H, W, C) of images, (D,) of rows.

    Parameters
        who : the estimator, for errors
        given : its `image_shape`, (H, W) or (H, W, C), or None
        features : D, the length of a row
        shape : that of one image in an array of images, (H, W, C); None of rows
    Raises
        OptionError : `given` is something else;  ShapeError : it is another shape than that of the images or rows
        DataError : it looks like (C, H, W)

    >>> input_shape("CNNClassifier", None, 64, None), input_shape("CNNClassifier", (8, 8), 64, None)
    ((64,), (8, 8, 1))
    """
    if given is None:
        return (features,) if shape is None else shape
    if not isinstance(given, tuple | list) or len(given) not in (2, 3):
        raise OptionError(who, "image_shape (H, W) or (H, W, C)", repr(given))
    sizes: Shape = tuple(as_count(who, "each axis of image_shape", size) for size in given)
    sizes = sizes if len(sizes) == 3 else (*sizes, 1)
    if shape not in (None, sizes) or math.prod(sizes) != features:
        got = f"{features} features" if shape is None else f"images {shape}"
        raise ShapeError(who, f"images of image_shape {sizes}", got)
    if shape is None and looks_channels_first(sizes):
        remedy = f"np.moveaxis(X.reshape(-1, {sizes[0]}, {sizes[1]}, {sizes[2]}), 1, -1) has the channels last"
        raise DataError(who, "image_shape (H, W, C)", repr(sizes), remedy)
    return sizes
