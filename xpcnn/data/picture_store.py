"""What is known of a folder's pictures after each was decoded once, in one file, with their pixels or without.

    offset      bytes
    0           8          n, little-endian
    8           n          JSON: {"fingerprint": …, "shape": [N, H, W, C], "dtype": …, …}
    8 + n       32·N       for each picture: state, digest, lowest and highest number, check; int64 and float32
    8 + n + 32·N           the pixels of all pictures, if the file is a cache

The file is written under another name, picture by picture, and gets its name when all are done. If the program is
killed before, the next one goes on: a record counts if its check is that of its numbers and, in a cache, its digest
that of the pixels. One program writes at a time, and others wait.
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from io import FileIO
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import FileError, FormatError
from ..io.at_offset import read_at, write_at
from ..io.lock import locked, release
from ..progress import counting
from ..typing import NDArray
from .decode import other_size
from .digests import image_digests
from .picture_source import THREADS, Decoder
from .prefetch import prefetched

RECORD = np.dtype([("state", "<i8"), ("digest", "<i8"), ("extremes", "<f4", 2), ("check", "<u8")])
FINE, LARGE, BROKEN = 1, 2, 3  # states; 0 is a picture that is not read yet
_SPARE = 2**30  # bytes of a disk that stay free
_POLL = 0.2  # seconds
_FACTORS = np.array([0x9E3779B97F4A7C15, 0xBF58476D1CE4E5B9, 0x94D049BB133111EB, 0xD6E8FEB86659FD93], np.uint64)  # odd


class Store:
    """The file of a folder's pictures.

    Parameters
        path : of the file
        about : the JSON, of which all must be the same for a file to be used
        source : "cache", with pixels, or "disk"
    """

    def __init__(self, path: Path, about: dict[str, Any], source: str) -> None:
        self.path, self.about, self.source = path, about, source
        head = json.dumps(about, sort_keys=True).encode()
        head += b" " * (-(len(head) + 8) % 64)
        self._head = len(head).to_bytes(8, "little") + head
        self.shape, self.dtype = tuple(about["shape"]), np.dtype(about["dtype"])
        self._item = int(np.prod(self.shape[1:])) * self.dtype.itemsize
        self.first = len(self._head) + RECORD.itemsize * self.shape[0]  # bytes before the pixels
        self.pixels = self.shape[0] * self._item  # bytes
        self.bytes = self.first + (self.pixels if source == "cache" else 0)

    @classmethod
    def of(cls, path: Path, about: dict[str, Any], source: str, mark: str) -> Store | None:
        """The store whose file says that about itself; None if it is of other pictures, or none."""
        shape, dtype, rest = about.get("shape"), about.get("dtype"), (about.get("channels"), about.get("bits"))
        counts = isinstance(shape, list) and len(shape) == 4 and all(type(n) is int and n > 0 for n in shape)
        if about.get("fingerprint") != mark or not counts or dtype not in ("|u1", "<f4") or None in rest:
            return None
        return cls(path, about, source)

    def records(self, path: Path | None = None) -> NDArray | None:
        """The records of the whole file, or of the one at that path; None if it is none, or another one."""
        try:
            with (path or self.path).open("rb") as file:
                if file.read(len(self._head)) != self._head:
                    return None
                found = np.frombuffer(file.read(RECORD.itemsize * self.shape[0]), RECORD)
                size = os.fstat(file.fileno()).st_size
        except FileNotFoundError:
            return None
        except OSError as error:
            raise FileError.unreadable(path or self.path, error) from error
        if len(found) != self.shape[0] or size != self.bytes:
            return None
        return found if path is not None or (_checks(found) == found["check"]).all() else None

    def build(self, decoder: Decoder, scale: float, what: str) -> None:
        """Decode each picture, unless another program has.

        Parameters
            scale : for the digests;  what : is done, in words
        Raises
            FileError : the disk is full;  DataError : pictures of two sizes, or one that changed meanwhile
        """
        with self._alone():
            if self.records() is None:
                self._build(decoder, scale, what)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        lock, told = self.path.with_name(self.path.name + ".lock"), False
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            while (descriptor := locked(lock)) is None:
                if not told:
                    print(f"another program reads these pictures; waiting for {self.path}", file=sys.stderr)
                told = True
                time.sleep(_POLL)
        except OSError as error:
            raise _unwritable(self.path, error) from error
        try:
            yield
        finally:
            release(lock, descriptor)

    def _build(self, decoder: Decoder, scale: float, what: str) -> None:
        part = self.path.with_name(self.path.name + ".part")
        before = self.records(part)
        begun = time.perf_counter()
        try:
            with FileIO(part, "r+" if before is not None else "w+") as file:
                if before is None:
                    before = np.zeros(self.shape[0], RECORD)
                    self._make_room(file)
                valid = (_checks(before) == before["check"]) & ((before["state"] == FINE) | (before["state"] == LARGE))
                work = partial(self._one, file, decoder, scale, before, valid)
                with counting("pictures") as shown:
                    shown.start(what, len(before))
                    for i, done in enumerate(prefetched(work, range(len(before)), 2 * THREADS, threads=THREADS)):
                        if isinstance(done, FormatError):
                            done = _record(i, BROKEN, 0, (0, 0)), b""
                        if done is not None:
                            record, pixels = done
                            write_at(file, pixels, self.first + i * self._item)
                            write_at(file, record.tobytes(), len(self._head) + RECORD.itemsize * i)
                        shown.advance()
                os.fsync(file.fileno())
            os.replace(part, self.path)
        except OSError as error:
            if isinstance(error, FileError):
                raise
            raise _unwritable(self.path, error) from error
        if (seconds := time.perf_counter() - begun) > 10:
            print(f"{what}: done in {seconds:.0f} s", file=sys.stderr)

    def _make_room(self, file: FileIO) -> None:
        """Write the head, and have the disk promise the rest."""
        free = shutil.disk_usage(self.path.parent).free
        if self.bytes + _SPARE > free and self.source == "cache":
            remedy = "free some space, name another folder with cache=, or take source=disk"
            raise FileError(str(self.path), f"{self.bytes} bytes of disk, and 1 GiB left", f"{free}", remedy)
        write_at(file, self._head, 0)
        file.truncate(self.bytes)
        with suppress(AttributeError):  # Windows and macOS
            try:
                os.posix_fallocate(file.fileno(), 0, self.bytes)
            except OSError as error:
                if error.errno not in (errno.EINVAL, errno.EOPNOTSUPP):  # file systems that promise nothing
                    raise

    def _one(
        self, file: FileIO, decoder: Decoder, scale: float, before: NDArray, valid: NDArray, i: int
    ) -> tuple[NDArray, bytes] | FormatError | None:
        """The record of a picture, and in a cache its pixels; None if the file has them already."""
        if valid[i]:
            if self.source == "disk":
                return None
            stored = np.empty(self.shape[1:], self.dtype)
            read_at(file, stored.reshape(-1).view(np.uint8).data, self.first + i * self._item)
            if image_digests(stored.reshape(1, -1), scale)[0] == before["digest"][i]:
                return None
        try:
            image = decoder(i)
        except FormatError as error:
            return error
        if image.shape != self.shape[1:]:
            sizes = (f"{shape[0]}×{shape[1]}" for shape in (self.shape[1:], image.shape))
            one, other = (f"{size} ({decoder.places[at]})" for size, at in zip(sizes, (0, i), strict=True))
            raise other_size(str(decoder.places[i]), one, other)
        digest, state = image_digests(image.reshape(1, -1), scale)[0], LARGE if decoder.large[i] else FINE
        return _record(i, state, digest, (image.min(), image.max())), image.tobytes() if self.source == "cache" else b""


def about(path: Path) -> dict[str, Any]:
    """What a store's file says about itself; {} if there is none that says anything."""
    try:
        with path.open("rb") as file:
            length = int.from_bytes(file.read(8), "little")
            found = json.loads(file.read(min(length, 2**20)))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _record(i: int, state: int, digest: int, extremes: tuple[Any, Any]) -> NDArray:
    record = np.zeros(1, RECORD)
    record["state"], record["digest"], record["extremes"] = state, digest, extremes
    record["check"] = _checks(record, i)
    return record


def _checks(records: NDArray, first: int = 0) -> NDArray:
    """For each record, a number that depends on its others and its place: uint64; a torn record has another one."""
    words = np.ascontiguousarray(records).view("<u8").reshape(len(records), 4)
    places = np.arange(first + 1, first + len(records) + 1, dtype=np.uint64)[:, None]
    mixed = np.concatenate([places, words[:, :3]], axis=1) * _FACTORS
    checks: NDArray = np.bitwise_xor.reduce(mixed ^ (mixed >> np.uint64(29)), axis=1)
    return checks


def _unwritable(path: Path, error: OSError) -> FileError:
    remedy = "free some space, name another folder with cache=, or take source=disk"
    return FileError(str(path), "to write the file", error.strerror or str(error), remedy)
