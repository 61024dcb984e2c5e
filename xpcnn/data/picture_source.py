"""Pictures that are decoded when they are needed, in threads; each must still be what it was when it was first read."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from functools import partial
from hashlib import blake2b
from pathlib import Path
from threading import Lock
from typing import Any

import numpy as np

from ..errors import DataError, FileError, FormatError
from ..io.member import Member
from ..typing import NDArray, Shape
from .digests import image_digests
from .file_source import FileSource
from .picture import MOST_PIXELS, Place
from .prefetch import prefetched
from .source import Source

THREADS = 4  # that decode; Pillow releases the interpreter's lock
LARGE = MOST_PIXELS // THREADS  # pixels; of larger pictures one is decoded at a time, as each takes much memory


def stat_of(place: Place) -> tuple[int, ...]:
    """What a picture's file is by now: size, and times of its last change in contents and in anything.

    The last time changes with every write, whatever a program then makes of the others.

    Raises
        FileError : it is gone
    """
    try:
        found = place.stat()
    except OSError as error:
        raise FileError.unreadable(place, error) from error
    size = place.size if isinstance(place, Member) else found.st_size
    return size, found.st_mtime_ns, found.st_ctime_ns


def fingerprint(places: Sequence[Place], stats: Sequence[tuple[int, ...]], *options: Any) -> str:
    """One digest of the pictures' names and `stat_of`, and of how they are read."""
    whole = blake2b(repr(options).encode(), digest_size=16)
    for place, stat in zip(places, stats, strict=True):
        whole.update(f"{os.fspath(place)}\0{stat}\0".encode(errors="surrogateescape"))
    return whole.hexdigest()


class Decoder:
    """Reads pictures by number, large ones one at a time.

    Parameters
        places : of the pictures;  stats : `stat_of` each
        read : `read_picture`, with its options
        large : for each, whether it is `LARGE`
    """

    def __init__(
        self,
        places: Sequence[Place],
        stats: Sequence[tuple[int, ...]],
        read: Callable[[Place], NDArray],
        large: NDArray,
    ) -> None:
        self.places, self.stats, self.read, self.large, self._alone = places, stats, read, large, Lock()

    def __call__(self, i: int) -> NDArray:
        """The picture, (H, W, C).

        Raises
            DataError : it is no longer what it was;  FileError, FormatError : it cannot be read
        """
        if stat_of(self.places[i]) != self.stats[i]:
            remedy = "put the old one back to go on, or begin again with the new one"
            raise DataError(str(self.places[i]), "the picture as it was at first", "one written since", remedy)
        if not self.large[i]:
            return self.read(self.places[i])
        with self._alone:
            return self.read(self.places[i])

    def fault(self, i: int) -> FormatError:
        """The error of a picture that is known to be broken."""
        try:
            self(i)
        except FormatError as error:
            return error
        return FormatError(str(self.places[i]), "a picture", "one that could not be read at first", "try again")

    def facts(self) -> dict[str, Any]:
        """What the pictures are; the digest is of their names within the folder, and their sizes."""
        root, names = os.path.commonpath([os.fspath(place) for place in self.places]), blake2b(digest_size=16)
        for place, stat in zip(self.places, self.stats, strict=True):
            names.update(f"{os.path.relpath(place, root)}\0{stat[0]}\0".encode(errors="surrogateescape"))
        total, n = sum(stat[0] for stat in self.stats), len(self.places)
        return {"kind": "pictures", "path": root, "items": n, "bytes": total, "names and sizes": names.hexdigest()}


class Pictures(Source):
    """Pictures that are decoded when they are needed.

    Parameters
        decoder : reads them by number;  shape, dtype : of all of them
        digests, extremes : see `Source`
    """

    ahead = 2

    def __init__(
        self, decoder: Decoder, shape: Shape, dtype: np.dtype[Any], digests: NDArray, extremes: NDArray
    ) -> None:
        self.decoder, self.shape, self.dtype = decoder, shape, dtype
        self.digests, self.extremes = digests, extremes

    def __getitem__(self, positions: NDArray) -> NDArray:
        items = np.empty((len(positions), *self.shape[1:]), self.dtype)
        read = partial(_checked, self.decoder, self.shape[1:])
        for place, image in enumerate(prefetched(read, positions.tolist(), THREADS, threads=THREADS)):
            items[place] = image
        return items

    def facts(self) -> dict[str, Any]:
        return self.decoder.facts()


class CachedPictures(FileSource):
    """Pictures that were decoded into a file; each is compared with its digest when it is first read.

    Parameters
        decoder : of the pictures themselves;  path … dtype : see `FileSource`;  digests, extremes : see `Source`
        scale : of the digests
    """

    def __init__(
        self,
        decoder: Decoder,
        path: Path,
        offset: int,
        shape: Shape,
        dtype: np.dtype[Any],
        digests: NDArray,
        extremes: NDArray,
        scale: float,
    ) -> None:
        super().__init__(path, offset, shape, dtype)
        self.decoder, self.digests, self.extremes, self.scale = decoder, digests, extremes, scale
        self._expected, self._known = digests, np.zeros(len(digests), bool)

    def __getitem__(self, positions: NDArray) -> NDArray:
        items = super().__getitem__(positions)
        if (first := np.flatnonzero(~self._known[positions])).size:
            others = image_digests(items[first], self.scale) != self._expected[positions[first]]
            if others.any():
                picture = self.decoder.places[positions[first[others]][0]]
                remedy = "remove it: it is damaged, and is made anew then"
                raise FormatError(str(self.path), f"the pixels of {picture}", "others", remedy)
            self._known[positions[first]] = True
        return items

    def facts(self) -> dict[str, Any]:
        return self.decoder.facts()


def _checked(decoder: Decoder, shape: Shape, i: int) -> NDArray:
    image = decoder(i)
    if image.shape != shape:
        raise DataError(str(decoder.places[i]), f"a picture {shape}", str(image.shape))
    return image
