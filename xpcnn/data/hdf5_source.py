"""Arrays of HDF5 files that stay there, and are read in parts, under the rules of `xpcnn.io.hdf5`."""

from __future__ import annotations

import os
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError
from ..io.hdf5 import open_hdf5
from ..typing import NDArray
from .decode import IN_MEMORY
from .file_source import check_unwritten
from .source import Items, Source


class Hdf5Source(Source):
    """A data set of an open HDF5 file, whose checks it has passed."""

    def __init__(self, path: Path, dataset: Any) -> None:
        self.path, self.dataset = path, dataset
        self.shape, self.dtype = tuple(dataset.shape), np.dtype(dataset.dtype.newbyteorder("="))
        self._descriptor = dataset.file.id.get_vfd_handle()
        self._stat = os.fstat(self._descriptor)

    def __getitem__(self, positions: NDArray) -> NDArray:
        check_unwritten(self.path, self._descriptor, self._stat)  # HDF5 itself does not notice
        ascending, inverse = np.unique(positions, return_inverse=True)
        items = np.empty((len(ascending), *self.shape[1:]), self.dtype)
        ends = np.flatnonzero(np.diff(ascending) != 1) + 1
        try:
            for run in np.split(np.arange(len(ascending)), ends):  # neighbours at once
                first, last = int(ascending[run[0]]), int(ascending[run[-1]])
                items[run[0] : run[-1] + 1] = self.dataset[first : last + 1]
        except (OSError, RuntimeError) as error:
            raise FileError(str(self.path), "a file that can be read", " ".join(str(error).split())[:200]) from error
        return items[inverse]

    def facts(self) -> dict[str, Any]:
        return {"kind": "file", "path": str(self.path), "items": len(self), "bytes": self._stat.st_size}


def hdf5_items(path: Path, names: Collection[str], source: str | None, most_bytes: int) -> dict[str, Items]:
    """The arrays of an HDF5 file with those names, in memory or as sources.

    Parameters
        source : "memory" or "disk"; None is memory up to `IN_MEMORY` an array
        most_bytes : refuse to hold more in memory
    Raises
        as `read_hdf5`
    """
    limit = {None: IN_MEMORY, "memory": 2**63, "disk": 0}[source]

    def stays(dataset: Any) -> bool:
        return len(dataset.shape) > 2 and dataset.dtype.kind in "biuf" and dataset.nbytes > limit

    with open_hdf5(path, keep=True) as (file, read):
        found = read(file, names, most_bytes, stays)
        kept = {name: each for name, each in found.items() if not isinstance(each, np.ndarray)}
        if not kept:
            file.close()
    return found | {name: Hdf5Source(path, dataset) for name, dataset in kept.items()}
