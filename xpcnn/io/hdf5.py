"""Read the arrays of an HDF5 file, such that an untrusted file cannot reach beyond itself.

HDF5 can do more than hold arrays: a data set may be in another file (external storage, virtual data sets), a name
may lead to another place or file (soft and external links), groups may contain themselves, a filter may be a
plug-in, and a few bytes may claim to be terabytes of fill values. All of that is refused here, before anything of the
claimed size is made: each number, or text of a fixed length, must be in the file, plain or compressed by deflate.

Sources
    The HDF Group, HDF5 user's guide, chapters 4 (groups and links) and 5 (data sets)
    CVE-2026-1669 (files read through external storage), CVE-2026-12480, CVE-2026-0897 (sizes claimed, not stored)
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np

from ..errors import FileError, FormatError
from ..extras import need
from ..typing import NDArray
from .limits import REMEDY, most_inflated
from .safetensors import from_bfloat16

MOST_OBJECTS = 100_000
MOST_DEPTH = 32
_BFLOAT16 = np.dtype("V2")  # HDF5 has no type for it
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}


def read_hdf5(
    path: str | os.PathLike[str],
    *,
    names: Collection[str] | None = None,
    contents: bytes | None = None,
    most_bytes: int = 2**32,
    widen: bool = False,
) -> dict[str, NDArray]:
    """The arrays of a file, by their names from the root, such as "layers/conv2d/vars/0".

    Parameters
        names : the root's arrays and groups to read, if they exist; None reads all
        contents : of the file, if it is inside another one; `path` is then for errors only
        most_bytes : refuse files whose arrays together are larger
        widen : True takes two bytes without a type for a bfloat16, which Keras stores so, and converts it to float32
    Raises
        FormatError : the file is no complete HDF5 file, or uses a feature that is refused here
        FileError : it is missing or cannot be read
        MissingExtraError : h5py is not installed

    >>> import h5py, tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with h5py.File(f"{folder}/file.h5", "w") as file:
    ...         file["a/b"] = [1.0, 2.0]
    ...     read_hdf5(f"{folder}/file.h5")
    {'a/b': array([1., 2.])}
    """
    with open_hdf5(path, contents=contents, widen=widen) as (file, reader):
        return reader(file, names, most_bytes, lambda dataset: False)


Reader: TypeAlias = Callable[[Any, Collection[str] | None, int, Callable[[Any], bool]], dict[str, Any]]


@contextmanager
def open_hdf5(
    path: str | os.PathLike[str], *, contents: bytes | None = None, keep: bool = False, widen: bool = False
) -> Iterator[tuple[Any, Reader]]:
    """The open file, and the function that reads it: (file, names, most_bytes, stays) → arrays by name.

    Where `stays(dataset)` is true, the arrays have the data set itself, after the same checks.

    Parameters
        contents, widen : see `read_hdf5`
        keep : leave the file open at the end of the block, unless there is an error
    Raises
        as `read_hdf5`
    """
    who = str(path)
    h5py = need("h5py", who, "to read HDF5 files")
    source: Any = path if contents is None else io.BytesIO(contents)
    try:
        file_size = Path(path).stat().st_size if contents is None else len(contents)
        if contents is None:
            Path(path).open("rb").close()
    except OSError as error:
        raise FileError.unreadable(who, error) from error

    def read(file: Any, names: Any, most_bytes: int, stays: Callable[[Any], bool]) -> dict[str, Any]:
        return _Reader(h5py, who, file_size, most_bytes, stays, widen).read(file, names)

    file: Any = None
    try:
        file = h5py.File(source, "r")
        yield file, read
        if not keep:
            file.close()
    except BaseException as error:
        if file is not None:
            file.close()
        if isinstance(error, FormatError | MemoryError) or not isinstance(error, Exception):
            raise
        text = " ".join(str(error).split())[:200]  # any error of the library means that the file is wrong
        raise FormatError(who, "a whole HDF5 file", text or type(error).__name__, "get the file again") from error


class _Reader:
    def __init__(
        self, h5py: Any, who: str, file_size: int, most_bytes: int, stays: Callable[[Any], bool], widen: bool
    ) -> None:
        self.h5py, self.who, self.file_size, self.most_bytes = h5py, who, file_size, most_bytes
        self.stays, self.widen = stays, widen
        self.seen: set[int] = set()  # addresses of groups and data sets in the file
        self.bytes = 0
        self.arrays: dict[str, Any] = {}

    def read(self, file: Any, names: Collection[str] | None) -> dict[str, Any]:
        self._once("/", file)
        self._group("", file, 1, [key for key in file if names is None or key in names])
        return self.arrays

    def _group(self, path: str, group: Any, depth: int, keys: Iterable[str]) -> None:
        for key in keys:
            name = f"{path}/{key}" if path else key
            if depth > MOST_DEPTH:
                raise self._refusal(f"at most {MOST_DEPTH} levels of groups", name)
            link = group.get(key, getlink=True)
            if type(link) is not self.h5py.HardLink:
                raise self._refusal("what it holds itself", f"a {type(link).__name__} at {name}")
            child = group[key]
            self._once(name, child)
            if isinstance(child, self.h5py.Group):
                self._group(name, child, depth + 1, child)
            elif isinstance(child, self.h5py.Dataset):
                self.arrays[name] = self._array(name, child)
            else:
                raise self._refusal("groups and arrays", f"a {type(child).__name__} at {name}")

    def _once(self, name: str, child: Any) -> None:
        address = self.h5py.h5o.get_info(child.id).addr
        if address in self.seen:
            raise self._refusal("each group and array in one place", f"one again at {name}")
        self.seen.add(address)
        if len(self.seen) > MOST_OBJECTS:
            raise self._refusal(f"at most {MOST_OBJECTS} groups and arrays", "more")

    def _array(self, name: str, dataset: Any) -> Any:
        """The array, or the data set itself if it is to stay in the file."""
        created = dataset.id.get_create_plist()
        if created.get_layout() == self.h5py.h5d.VIRTUAL or created.get_external_count():
            raise self._refusal("numbers that stand in it", f"{name}, which lies in another file")
        known = dataset.dtype.kind == "S" or (dataset.dtype.kind in "biuf" and dataset.dtype.itemsize <= 8)
        halved = dataset.dtype == _BFLOAT16
        if not (known or (halved and self.widen)) or dataset.shape is None:
            remedy = "two bytes without a type may be a bfloat16: write it as float32" if halved else ""
            raise self._refusal("numbers, or texts of a fixed length", f"{name} of {dataset.dtype}", remedy)
        filters = [created.get_filter(i)[0] for i in range(created.get_nfilters())]
        if unknown := [each for each in filters if each not in _FILTERS]:
            raise self._refusal("filters " + ", ".join(_FILTERS.values()), f"number {unknown[0]} at {name}")
        size = int(dataset.size) * dataset.dtype.itemsize
        stored = min(dataset.id.get_storage_size(), self.file_size)  # the first is only a claim of the file
        if size > (most_inflated(stored) if filters else stored):
            remedy = REMEDY if filters and stored else ""
            raise self._refusal(f"{size} bytes for {name} {dataset.shape}", f"{stored}", remedy)
        if self.stays(dataset):
            return dataset
        self.bytes += size
        if self.bytes > self.most_bytes:
            raise self._refusal(f"at most {self.most_bytes} bytes of arrays", f"more, up to {name}")
        array: NDArray = np.asarray(dataset[()])
        return from_bfloat16(np.frombuffer(array.tobytes(), "<u2").reshape(array.shape)) if halved else array

    def _refusal(self, expected: str, got: str, remedy: str = "") -> FormatError:
        return FormatError(self.who, expected, got[:200], remedy)
