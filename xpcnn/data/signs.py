"""SIGNS: photographs of hands that show the numbers 0 to 5, from the deeplearning.ai courses.

It is distributed only with the courses' exercises, so there is no download.

Source: A. Ng, K. Katanforoosh and Y. Bensouda Mourri, Deep Learning Specialization, SIGNS dataset
"""

from __future__ import annotations

from ..errors import FormatError
from .dataset import Dataset
from .download import RemoteFile
from .hdf5_file import hdf5_file
from .locations import Folder, RemoteFiles

SIGNS = RemoteFiles("signs", (RemoteFile("train_signs.h5"), RemoteFile("test_signs.h5")), (), ("", "signs"))


def signs(folder: Folder = None) -> Dataset:
    """SIGNS, hands that show 0 to 5: images (N, 64, 64, 3) of uint8, 1,080 to train and 120 to test on.

    Parameters
        folder : where train_signs.h5 and test_signs.h5 are; by default xpcnn searches XPCNN_DATA, its subfolder
            signs, and the user's cache folder
    Raises
        DataError : a file is not found; there is no download
        FormatError : a file is not the expected one;  MissingExtraError : h5py is not installed

    >>> signs().train  # doctest: +SKIP
    Split(1080 images (64, 64, 3), labels 0 … 5)
    """
    train, test = SIGNS.fetch(folder)
    data = hdf5_file(train, test=test)
    if data.input_shape != (64, 64, 3):
        raise FormatError(str(train), "images (64, 64, 3)", str(data.input_shape), "check which file it is")
    return Dataset("signs", data.train, data.test, data.classes)
