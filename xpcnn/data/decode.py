"""Many pictures as one array: decoded in threads, within the available memory, all broken ones reported at once."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np

from ..errors import DataError, FormatError, OptionError, shortened, warn
from ..io.limits import machine_memory
from ..options import as_choice, expanded
from ..progress import Progress, counting
from ..typing import NDArray, Pair, Shape
from .picture import MOST_PIXELS, Header, Place, header, read_picture
from .picture_scale import warn_of_dark_pictures, warn_of_stated_scale
from .picture_source import LARGE, THREADS
from .resizing import as_resize
from .scale import BYTE, as_scale
from .source import Items

Item = TypeVar("Item")
Result = TypeVar("Result")

SOURCES = ("memory", "cache", "disk")
IN_MEMORY = 2**29  # bytes; larger sets are read from a disk
_DECODED = 16  # most bytes per pixel during decoding, with the result: WebP's; 8 for most formats
_TOLD = 5  # broken pictures that the message names


@dataclass(frozen=True)
class Reading:
    """How pictures are read.

    Parameters
        size, channels, scale : see `read_picture`; without channels, 1 if all pictures are grey
        skip_broken : leave out pictures that cannot be read, with a warning, instead of refusing all; None where each
            is needed
        source : "memory" holds all pictures there; "cache" decodes each once into a file; "disk" decodes them whenever
            they are needed; None is memory up to `IN_MEMORY`, else a cache, or disk where there is no room for one
        most_bytes : refuse to hold more in memory; None for as much as this machine has
        cache : the folder for caches, and for what is known of pictures on disk; None for the user's
        resize : see `data.resizing`
        who : the function that reads them, for errors
    """

    size: tuple[int, int] | None = None
    channels: int | None = None
    scale: float | None = None
    skip_broken: bool | None = False
    source: str | None = None
    most_bytes: int | None = None
    cache: Path | None = None
    resize: str = "squash"
    who: str = "image_folder"

    @classmethod
    def checked(
        cls,
        who: str,
        *,
        size: Pair | None,
        resize: str,
        channels: int | None,
        scale: float | None,
        source: str | None,
        cache: str | os.PathLike[str] | None,
        broken: str | None = None,
        most_bytes: int | None = None,
    ) -> Self:
        """The way of reading for these arguments, as of `image_folder`.

        Parameters
            broken : None where each picture is needed
        Raises
            OptionError : one of them makes no sense
        """
        shape, resize = as_resize(who, resize, size)
        if channels not in (None, 1, 3):
            raise OptionError(who, "channels: 1 for grey, 3 for RGB", repr(channels))
        skip = None if broken is None else as_choice(who, "broken", broken, ("error", "skip")) == "skip"
        if source is not None:
            as_choice(who, "source", source, SOURCES)
        elif most_bytes is not None:
            source = "memory"
        scale = None if scale is None else as_scale(who, scale)
        place = None if cache is None else expanded(who, cache)
        return cls(shape, channels, scale, skip, source, most_bytes, place, resize, who)

    @property
    def white(self) -> float:
        """The number that stands for white in the result."""
        return BYTE if self.scale is None else self.scale

    @property
    def pixel_bytes(self) -> int:
        """Bytes of a number in the result."""
        return 1 if self.scale is None else 4

    @property
    def options(self) -> tuple[Any, ...]:
        """All that changes the numbers that are read."""
        resize = () if self.size is None or self.resize == "squash" else (self.resize,)
        return self.size, self.channels, self.scale, *resize

    def headers(self, places: Sequence[Place], faults: dict[int, FormatError]) -> dict[int, Header]:
        """The header of each picture, by number; the errors of broken ones are added to `faults`."""
        with counting("pictures") as shown:
            shown.start("looking", len(places))
            return _tried(partial(header, size=self.size, who=self.who), dict(enumerate(places)), faults, shown)

    def read(self, place: Place, channels: int) -> NDArray:
        """One picture, (H, W, C)."""
        options: dict[str, Any] = {"size": self.size, "scale": self.scale, "resize": self.resize}
        return read_picture(place, channels=channels, who=self.who, **options)

    def warn(self, images: Items, bits: int) -> None:
        """Warn of numbers that do not fit the scale; `bits` is the most of a number in the pictures' files."""
        if self.scale is None:
            warn_of_dark_pictures(self.who, images, bits)
        else:
            warn_of_stated_scale(self.who, images, bits, self.scale)


def decoded(
    places: Sequence[Place],
    reading: Reading,
    headers: dict[int, Header],
    channels: int,
    most_bytes: int,
    faults: dict[int, FormatError],
) -> tuple[NDArray, list[int]]:
    """All pictures, (N, H, W, C), of the first one's size, and the positions of those that could be read.

    Parameters
        most_bytes : refuse to hold more in memory, or to use more for the pictures that are decoded at once
    Raises
        DataError : pictures of several sizes, or too large;  FormatError : broken ones
    """
    largest = sorted((each.decoded for each in headers.values()), reverse=True)[:THREADS]
    decoding = _DECODED * min(sum(largest), max(MOST_PIXELS, *largest[:1], 0))
    images: NDArray | None = None
    first = ""

    def place(i: int) -> None:
        nonlocal images, first
        image = reading.read(places[i], channels)
        if images is None:  # the first one, before any thread starts
            check_bytes(reading.who, len(places), image.shape, reading.pixel_bytes, most_bytes, decoding)
            images, first = np.empty((len(places), *image.shape), image.dtype), f"{_size(image.shape)} ({places[i]})"
        if image.shape != images.shape[1:]:
            raise other_size(reading.who, first, f"{_size(image.shape)} ({places[i]})")
        images[i] = image

    waiting = list(headers)
    with counting("pictures") as shown:
        shown.start("reading", len(waiting))
        while waiting and images is None:
            _tried(place, {waiting[0]: waiting.pop(0)}, faults, shown, threads=0)
        # Memory that one thread has freed is not always available to another: each may keep a largest picture.
        large = {i: i for i in waiting if headers[i].decoded > LARGE}
        _tried(place, large, faults, shown, threads=0)
        _tried(place, {i: i for i in waiting if i not in large}, faults, shown)
    kept = [i for i in headers if i not in faults]
    if faults:
        tell(reading, places, faults, some=bool(kept))
    assert images is not None
    return images[kept] if faults else images, kept


def other_size(who: str, one: str, other: str) -> DataError:
    """The error for pictures of two sizes, each with its name."""
    remedy = "pass size=64 or another; to a command, --option size=64"
    return DataError(who, "pictures of one size", f"{one} and {other}", remedy)


def _tried(
    work: Callable[[Item], Result],
    items: dict[int, Item],
    faults: dict[int, FormatError],
    shown: Progress,
    threads: int = THREADS,
) -> dict[int, Result]:
    """work(item) for each item. If it says that the file is broken, the error is added to `faults`, by number.

    Parameters
        shown : counts the items
        threads : how many do the work; 0 for the calling one
    """

    def one(i: int) -> Result | None:
        try:
            return work(items[i])
        except FormatError as error:
            faults[i] = error
            return None

    done: dict[int, Result | None] = {}
    if not threads:
        for i in items:
            done[i] = one(i)
            shown.advance()
    else:
        pool = ThreadPoolExecutor(threads)
        try:
            for i, result in zip(items, pool.map(one, items), strict=True):
                done[i] = result
                shown.advance()
        finally:  # after an error or Ctrl-C, cancel what has not begun
            pool.shutdown(cancel_futures=True)
    return {i: result for i, result in done.items() if i not in faults}  # type: ignore[misc]


def check_bytes(who: str, count: int, shape: Shape, pixel_bytes: int, most_bytes: int, decoding: int = 0) -> None:
    """Refuse pictures that take more memory than is allowed, or than there is."""
    needed = count * math.prod(shape) * pixel_bytes
    most, remedy = f"at most {most_bytes} bytes", "pass a smaller size, or most_bytes, or leave source=memory out"
    if needed > most_bytes:
        got = f"{needed} for {count} pictures of {_size(shape)}"
    elif needed + decoding > most_bytes:
        got = f"{needed + decoding} for {count} pictures of {_size(shape)} and what is decoded at once"
    elif needed > (memory := machine_memory()):  # it would be allocated page by page, until the system ends the program
        got, remedy = f"{needed} for {count} pictures of {_size(shape)}", "pass a smaller size"
        most = f"at most {memory} bytes, which this machine has"
    else:
        return
    raise DataError(who, most, got, remedy)


def tell(reading: Reading, paths: Sequence[Place], faults: dict[int, FormatError], *, some: bool) -> None:
    """Warn of the pictures that cannot be read, or refuse them.

    Parameters
        some : there are others
    """
    told = [faults[i] for i in sorted(faults)]
    option = '; or leave them out with broken="skip"; to a command, --option broken=skip'
    option = "" if reading.skip_broken is None else option
    if reading.skip_broken and some:
        names = ", ".join(error.who for error in told[:_TOLD]) + (" …" if len(told) > _TOLD else "")
        warn(reading.who, f"{len(told)} of {len(paths)} pictures cannot be read and are left out: {names}")
    elif len(told) == 1:
        (error,) = told
        raise FormatError(error.who, error.expected, error.got, f"{error.remedy}{option}") from error
    else:
        root = os.path.commonpath(paths)
        first, *others = (os.path.relpath(error.who, root) for error in told[:_TOLD])
        names = ", ".join([f"{first} ({shortened(told[0].got, 60)})", *others])
        names += f" … in {root}" if len(told) > _TOLD else f" in {root}"
        remedies = {error.remedy for error in told}
        remedy = remedies.pop() if len(remedies) == 1 else "get them again, or take them away"
        got = f"{len(told)} of {len(paths)} that cannot: {names}"
        raise FormatError(reading.who, "pictures that can be read", got, f"{remedy}{option}") from told[0]


def _size(shape: Shape) -> str:
    return f"{shape[0]}×{shape[1]}"
