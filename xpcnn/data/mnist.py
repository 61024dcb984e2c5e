"""MNIST: 70,000 handwritten digits, 28×28. Found on this machine, or downloaded once.

Source: Y. LeCun, C. Cortes and C. Burges, The MNIST database of handwritten digits.
"""

from __future__ import annotations

import gzip
import hashlib
import http.client
import io
import os
import urllib.error
import urllib.request
import zlib
from pathlib import Path

import numpy as np

from .. import settings
from ..errors import DataError, FileError, FormatError
from ..io.atomic import write_atomically
from .dataset import Dataset, Split
from .idx import read_idx

MIRROR = "https://ossci-datasets.s3.amazonaws.com/mnist/"
MD5 = {  # of the uncompressed bytes, as published
    "train-images-idx3-ubyte": "6bbc9ace898e44ae57da46a324031adb",
    "train-labels-idx1-ubyte": "a25bea736e30d166cdddb491f175f624",
    "t10k-images-idx3-ubyte": "2646ac647ad5339dbf082846283269ea",
    "t10k-labels-idx1-ubyte": "27ae3e4e09519cfbb04c329615203637",
}
_TIMEOUT = 20  # seconds
_MOST_BYTES = 64 * 2**20  # of one file; the largest has 45 MiB


def mnist(folder: str | os.PathLike[str] | None = None, *, mirror: str = MIRROR) -> Dataset:
    """MNIST: images (N, 28, 28, 1) of uint8, 60,000 to train and 10,000 to test on.

    Parameters
        folder : where the four IDX files are (gzip-compressed or not), or are to be put; by default they are
            looked for in XPCNN_DATA, in its subfolder mnist, and in the user's cache folder
        mirror : the address under which files that are nowhere are looked for, and put into `folder` or the cache
    Raises
        DataError : a folder does not exist, or a file is nowhere and cannot be downloaded
        FormatError : a file is not what it should be
    """
    folders = _folders(folder)
    images, labels, test_images, test_labels = (_locate(name, folders, mirror) for name in MD5)
    return Dataset("mnist", _read_split(images, labels), _read_split(test_images, test_labels), tuple("0123456789"))


def _folders(folder: str | os.PathLike[str] | None) -> list[Path]:
    """Where to look, in this order; a download goes to the last one."""
    if folder is not None:
        return [_existing("folder", Path(folder).expanduser())]
    from platformdirs import user_cache_path

    named = settings.data_folder()
    first = [] if named is None else [_existing("XPCNN_DATA", named), named / "mnist"]
    return [*first, user_cache_path("xpcnn") / "mnist"]


def _existing(what: str, folder: Path) -> Path:
    if not folder.is_dir():
        raise DataError("mnist", f"{what}: a folder that exists", f"'{folder}'", "make it, or correct the name")
    return folder


def _locate(name: str, folders: list[Path], mirror: str) -> Path:
    for folder in folders:
        for spelling in (name, name.replace("-idx", ".idx")):
            for path in (folder / spelling, folder / f"{spelling}.gz"):
                if path.is_file():
                    return path
    target = folders[-1] / f"{name}.gz"
    try:
        write_atomically(target, _download(mirror.rstrip("/") + f"/{name}.gz", MD5[name]), make_folder=True)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = error.got if isinstance(error, FormatError | FileError) else str(error) or type(error).__name__
        raise DataError(
            "mnist",
            f"the file {target.name}",
            f"none in {', '.join(map(str, folders))}, nor from {mirror} ({reason})",
            f"put it into {target.parent}, or set XPCNN_DATA to the folder that has it",
        ) from error
    return target


def _download(url: str, md5: str) -> bytes:
    """A gzip-compressed file whose contents have that sum."""
    try:
        with urllib.request.urlopen(url, timeout=_TIMEOUT) as response:
            data: bytes = response.read(_MOST_BYTES + 1)
    except urllib.error.HTTPError as error:
        error.close()  # it holds the connection
        raise
    try:
        contents = gzip.GzipFile(fileobj=io.BytesIO(data)).read(_MOST_BYTES + 1)
    except (EOFError, OSError, zlib.error) as error:
        raise FormatError(url, "a whole gzip file", f"a broken file: {error}") from None
    if max(len(data), len(contents)) > _MOST_BYTES:
        raise FormatError(url, f"at most {_MOST_BYTES} bytes", "a larger file")
    if (found := hashlib.md5(contents, usedforsecurity=False).hexdigest()) != md5:
        raise FormatError(url, f"MD5 {md5}", f"another file, MD5 {found}")
    return data


def _read_split(images_path: Path, labels_path: Path) -> Split:
    images, labels = read_idx(images_path, most_bytes=_MOST_BYTES), read_idx(labels_path, most_bytes=_MOST_BYTES)
    for path, array, shape in ((images_path, images, ("N", 28, 28)), (labels_path, labels, ("N",))):
        if array.dtype != np.uint8 or array.ndim != len(shape) or array.shape[1:] != shape[1:]:
            expected = f"uint8 ({', '.join(map(str, shape))})"
            raise FormatError(str(path), expected, f"{array.dtype} {array.shape}", "check which file it is")
    return Split(images[..., None], labels.astype(np.int64))  # (N, 28, 28, 1), (N,)
