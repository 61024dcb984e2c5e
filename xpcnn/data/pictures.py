"""The pictures of a folder or archive, in memory, in a cache or on their disk: as many as there may be."""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FormatError
from ..extras import need
from ..io.limits import machine_memory
from ..typing import NDArray, Shape
from . import picture_store
from .decode import IN_MEMORY, Reading, check_bytes, decoded, tell
from .picture import MOST_PIXELS, Header, Place
from .picture_source import LARGE, CachedPictures, Decoder, Pictures, fingerprint, stat_of
from .picture_store import BROKEN, Store
from .scale import stored
from .source import Items, Source, selected

_FREE = 2**30  # bytes that stay free on a disk for a cache that nobody asked for
_SETTLED = 0.05  # seconds: two changes of a file within less may look like one


def read_pictures(places: Sequence[Place], name: str, reading: Reading) -> tuple[Items, list[int]]:
    """All pictures, (N, H, W, C), of the first one's size, and the positions of those that could be read.

    Parameters
        name : of the folder, for messages and for the name of the cache
    Raises
        DataError : pictures of several sizes, or too large;  FormatError : broken ones
        FileError : no room on the disk;  MissingExtraError : Pillow is not installed
    """
    images, kept, bits = _Reader(places, name, reading).read()
    reading.warn(images, bits)
    if reading.scale is not None and not isinstance(images, Source):
        images = stored(reading.who, images, reading.scale)
    return images, kept


class _Reader:
    def __init__(self, places: Sequence[Place], name: str, reading: Reading) -> None:
        self.places, self.name, self.reading = places, name, reading
        self.faults: dict[int, FormatError] = {}
        self.version = need("PIL", reading.who, "to read pictures").__version__  # another one may decode otherwise
        self.stats: list[tuple[int, ...]] = []

    def read(self) -> tuple[Items, list[int], int]:
        """The pictures, the positions of those that could be read, and the most bits of a number in their files."""
        reading = self.reading
        if reading.size is not None:
            self._check_size((*reading.size, reading.channels or 1))
        if reading.source != "memory" and (known := self._known()) is not None:
            return self._from_store(*known)
        headers = reading.headers(self.places, self.faults)
        channels = reading.channels or (1 if all(each.is_grey for each in headers.values()) else 3)
        source, shape, dtype = self._choose(headers, channels)
        if source == "memory":
            most = machine_memory() if reading.most_bytes is None else reading.most_bytes
            images, kept = decoded(self.places, reading, headers, channels, most, self.faults)
            return images, kept, max(headers[i].bits for i in kept)
        mark = self._mark(settle=True)
        about = {"channels": channels, "bits": max(each.bits for each in headers.values()), "fingerprint": mark}
        store = Store(self._path(source), {**about, "dtype": dtype.str, "shape": [len(self.places), *shape]}, source)
        print(self._words(store), file=sys.stderr)
        large = np.array([i in headers and headers[i].decoded > LARGE for i in range(len(self.places))])
        store.build(self._decoder(channels, large), reading.white, f"decoding {self.name}")
        if self._mark() != mark:
            raise DataError(self.name, "pictures that stay as they are while they are read", "some that changed")
        records = store.records()
        assert records is not None
        return self._from_store(store, records)

    def _known(self) -> tuple[Store, NDArray] | None:
        """An earlier store of these pictures, and its records."""
        source, mark = self.reading.source, ""
        for kind in ("cache", "disk") if source is None else (source,):
            if about := picture_store.about(self._path(kind)):
                mark = mark or self._mark()
                store = Store.of(self._path(kind), about, kind, mark)
                records = None if store is None else store.records()
                if store is not None and records is not None and (source or store.pixels > IN_MEMORY):
                    print(self._words(store, known=True), file=sys.stderr)
                    return store, records
        return None

    def _from_store(self, store: Store, records: NDArray) -> tuple[Items, list[int], int]:
        kept = np.flatnonzero(records["state"] != BROKEN)
        decoder = self._decoder(store.about["channels"], records["state"] == picture_store.LARGE)
        for i in np.flatnonzero(records["state"] == BROKEN).tolist():
            self.faults[i] = self.faults.get(i) or decoder.fault(i)
        if len(kept) < len(records):
            tell(self.reading, self.places, self.faults, some=len(kept) > 0)
        known = records["digest"].astype(np.int64), records["extremes"].astype(np.float32)
        images: Source
        if store.source == "cache":
            place = store.path, store.first, store.shape, store.dtype
            images = CachedPictures(decoder, *place, *known, self.reading.white)
        else:
            images = Pictures(decoder, store.shape, store.dtype, *known)
        return selected(images, kept) if len(kept) < len(records) else images, kept.tolist(), store.about["bits"]

    def _choose(self, headers: dict[int, Header], channels: int) -> tuple[str, Shape, np.dtype[Any]]:
        """The source, and each picture's shape and type."""
        source, size = self.reading.source, self.reading.size
        dtype = np.dtype(np.uint8 if self.reading.scale is None else np.float32)
        if source == "memory":
            return source, (), dtype
        shape: Shape = (*size, channels) if size is not None else self._first_shape(headers, channels)
        if not shape:
            return "memory", (), dtype  # which names what is broken
        needed = len(self.places) * int(np.prod(shape)) * dtype.itemsize
        if source is None and needed <= IN_MEMORY:
            return "memory", shape, dtype
        if source is None:
            folder = next(each for each in self._path("cache").parents if each.is_dir())
            source = "cache" if shutil.disk_usage(folder).free - needed > max(_FREE, needed // 8) else "disk"
        return source, shape, dtype

    def _first_shape(self, headers: dict[int, Header], channels: int) -> Shape:
        for i in headers:
            try:
                return tuple(self.reading.read(self.places[i], channels).shape)
            except FormatError as error:
                self.faults[i] = error
        return ()

    def _check_size(self, shape: Shape) -> None:
        if self.reading.source == "memory":
            most = self.reading.most_bytes or machine_memory()
            check_bytes(self.reading.who, len(self.places), shape, self.reading.pixel_bytes, most)
        elif shape[0] * shape[1] > MOST_PIXELS:
            got = f"{shape[0]}×{shape[1]}"
            raise DataError(self.reading.who, f"a size of at most {MOST_PIXELS} pixels", got, "pass a smaller size")

    def _mark(self, *, settle: bool = False) -> str:
        """The pictures' fingerprint. With `settle`, a change from now on gives another one."""
        while True:
            self.stats = list(map(stat_of, self.places))
            age = time.time() - max(stat[2] for stat in self.stats) / 1e9
            if not (settle and -_SETTLED < age < _SETTLED):
                break
            time.sleep(_SETTLED)
        return fingerprint(self.places, self.stats, self.version, *self.reading.options)

    def _decoder(self, channels: int, large: NDArray) -> Decoder:
        return Decoder(self.places, self.stats, partial(self.reading.read, channels=channels), large)

    def _path(self, kind: str) -> Path:
        """The file of the store of that kind: one for each folder and way of reading."""
        folder = self.reading.cache
        if folder is None:
            from platformdirs import user_cache_path

            folder = user_cache_path("xpcnn") / "pictures"
        which = repr((str(self.places[0]), str(self.places[-1]), *self.reading.options))
        mark = blake2b(which.encode(errors="surrogateescape"), digest_size=6).hexdigest()
        return folder / f"{self.name}-{mark}.{kind}"

    def _words(self, store: Store, *, known: bool = False) -> str:
        n, (height, width, channels) = store.shape[0], store.shape[1:]
        what = f"{self.name}: {n} pictures of {height}×{width}×{channels}, {store.pixels / 1e9:.2f} GB decoded"
        if store.source == "cache":
            return f"{what}; from the cache {store.path}" if known else f"{what}, once, into the cache {store.path}"
        return f"{what}, each whenever it is needed" + ("" if known else " (and once now, to know and check it)")
