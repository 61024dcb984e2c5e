"""The small digits: 1,797 images of 8×8 pixels that come with xpcnn, for tests and first steps.

The original order groups them by writer, so the file has them in a random order, drawn once. The first 1,437 are for
training and the last 360 for testing, the same for everybody.

Source
    E. Alpaydin and C. Kaynak, Optical Recognition of Handwritten Digits (its test set), UCI Machine Learning
    Repository, 1998, https://doi.org/10.24432/C50P49; CC BY 4.0, see DIGITS_LICENSE.txt
"""

from __future__ import annotations

from importlib.resources import files

import numpy as np

from .dataset import Dataset
from .split import Split

_TEST = 360


def digits() -> Dataset:
    """The small digits: images (N, 8, 8, 1) of uint8 0 … 255, 1,437 to train and 360 to test on.

    >>> len(digits().train), digits().input_shape
    (1437, (8, 8, 1))
    """
    with files(__package__).joinpath("digits.npz").open("rb") as file, np.load(file, allow_pickle=False) as archive:
        ink = archive["images"]  # (1797, 8, 8), 0 … 16 black pixels in each block of 4×4
        labels = archive["labels"].astype(np.int64)  # (1797,)
    images = np.round(ink[..., None] * (255 / 16)).astype(np.uint8)  # (1797, 8, 8, 1)
    everything = Split(images, labels)
    train, test = everything.select(slice(-_TEST)), everything.select(slice(-_TEST, None))
    return Dataset("digits", train, test, tuple("0123456789"))
