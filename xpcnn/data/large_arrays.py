"""Arrays of .npy and .npz files that stay there: what is too large for memory is read in parts."""

from __future__ import annotations

import os
import sys
from collections.abc import Collection
from hashlib import blake2b
from pathlib import Path

from ..errors import OptionError
from ..io.atomic import write_atomically
from ..io.limits import machine_memory
from ..io.npy import Placed, place_npy, place_npz, read_npy, read_npz, unpack_npz
from .decode import IN_MEMORY
from .file_source import FileSource
from .source import Items

_SOURCES = {None: IN_MEMORY, "memory": 2**63, "disk": 0}  # bytes that are read into memory


def npy_items(path: Path, source: str | None, most_bytes: int) -> Items:
    """The array of a .npy file, in memory or as a source.

    Parameters
        source : "memory" or "disk"; None is memory up to `IN_MEMORY`
        most_bytes : refuse to hold more in memory
    """
    placed = place_npy(path)
    return _stays(placed, source) or read_npy(path, most_bytes=most_bytes)


def npz_items(path: Path, names: Collection[str], source: str | None, most_bytes: int) -> dict[str, Items]:
    """The arrays of a .npz file with those names; see `npy_items`.

    A deflated one is unpacked into a file in the user's cache, once, as its numbers cannot be read in any order.
    """
    every = place_npz(path, names, _SOURCES[source]) if source != "memory" else {}
    large = {name: placed for name, placed in every.items() if _is_large(placed, source)}
    items: dict[str, Items] = {}
    for name, placed in large.items():
        items[name] = _stays(placed, source) or _unpacked(placed, name)
    return items | read_npz(path, set(names) - large.keys(), most_bytes=most_bytes)


def _is_large(placed: Placed, source: str | None) -> bool:
    kind = placed.dtype.kind in "biuf" and not placed.by_columns
    return kind and len(placed.shape) > 1 and placed.bytes > _SOURCES[source]


def _stays(placed: Placed, source: str | None) -> FileSource | None:
    if placed.offset is None or not _is_large(placed, source):
        return None
    return FileSource(placed.path, placed.offset, placed.shape, placed.dtype)


def _unpacked(placed: Placed, name: str) -> FileSource:
    """A deflated array, from its unpacked copy."""
    from platformdirs import user_cache_path

    found = os.stat(placed.path)
    mark = repr((str(placed.path.resolve()), name, found.st_size, found.st_mtime_ns, found.st_ctime_ns))
    folder = user_cache_path("xpcnn") / "arrays"
    path = folder / f"{placed.path.stem}-{name}-{blake2b(mark.encode(), digest_size=8).hexdigest()}.numbers"
    if not path.exists() or path.stat().st_size != placed.bytes:
        print(f"{placed.path}: {name}, {placed.bytes / 1e9:.2f} GB, is unpacked once into {path}", file=sys.stderr)
        write_atomically(path, lambda file: unpack_npz(placed, name, file.write), make_folder=True)
    return FileSource(path, 0, placed.shape, placed.dtype)


def as_array_source(who: str, source: str | None, most_bytes: int | None) -> tuple[str | None, int]:
    """The source, and the bytes that may be held in memory, for these options of a data set.

    Raises
        OptionError : another source than "memory" or "disk"
    """
    if not isinstance(source, str | None) or source not in _SOURCES:
        raise OptionError(who, 'source: "memory" or "disk"', repr(source))
    if most_bytes is None:
        return source, machine_memory()
    return source or "memory", most_bytes
