"""Sources: what a split reads its items from, by position, such that they need not be in memory all at once.

A source has `shape` (N, …), `dtype`, `len` and `source[positions]`, the items at an array of positions, in that order.
A NumPy array is one. Objects of other programs are taken as they are, see `as_source`. The classes here combine
sources; those that read files have a file each.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from ..backend import refuse_mask
from ..errors import DataError, FileError, XpcnnError
from ..typing import NDArray, Shape
from .prefetch import prefetched

BLOCK_BYTES = 2**24  # that are read at once where all items are looked at


class Source:
    """N items of one shape and one type, read by position.

    Attributes
        shape : (N, …);  dtype : NumPy's
        digests : int64 (N,), the items' `image_digests`, if they are known without reading all items; else None
        extremes : (N, 2), each item's lowest and highest number; or None
        ahead : batches that a loader makes ahead while the loop works, as reading takes time
        buffer : items that a loader shuffles through (see `Loader`), if only reading in order is fast; else None
    """

    shape: Shape
    dtype: np.dtype[Any]
    digests: NDArray | None = None
    extremes: NDArray | None = None
    ahead: int = 1
    buffer: int | None = None

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, positions: NDArray) -> NDArray:
        """The items at these positions, int64 (n,), each from 0 to N − 1: a new array (n, …)."""
        raise NotImplementedError

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray:
        """All items, in memory: for NumPy, and for what takes arrays alone, such as the estimators."""
        items = self[np.arange(len(self))]
        return items if dtype is None else items.astype(dtype)

    def expect(self, positions: NDArray) -> None:
        """Be told which items will be read next, so that a disk can begin; reading nothing is right, too."""

    def facts(self) -> dict[str, Any]:
        """What it is, in JSON's values: where it lies, how many items and bytes, a digest of names and sizes."""
        return {"kind": type(self).__name__, "items": len(self)}


Items: TypeAlias = NDArray | Source


class Selected(Source):
    """The items of a source at some positions."""

    def __init__(self, source: Source, positions: NDArray) -> None:
        if isinstance(source, Selected):
            positions = source.positions[positions]
            source = source.source
        self.source: Source = source
        self.positions: NDArray = positions
        self.shape, self.dtype = (len(positions), *source.shape[1:]), source.dtype
        self.ahead, self.buffer = source.ahead, source.buffer
        self.digests = None if source.digests is None else source.digests[positions]
        self.extremes = None if source.extremes is None else source.extremes[positions]

    def __getitem__(self, positions: NDArray) -> NDArray:
        return self.source[self.positions[positions]]

    def expect(self, positions: NDArray) -> None:
        self.source.expect(self.positions[positions])

    def facts(self) -> dict[str, Any]:
        return self.source.facts()


class Joined(Source):
    """The items of one source, then those of another, of the same shape and type."""

    def __init__(self, first: Items, second: Items) -> None:
        self.parts, self.n = (first, second), len(first)
        self.shape = self.n + len(second), *first.shape[1:]
        self.dtype = np.result_type(first.dtype, second.dtype)
        for name in ("digests", "extremes"):
            known: list[Any] = [getattr(part, name, None) for part in self.parts]
            setattr(self, name, None if any(each is None for each in known) else np.concatenate(known))
        self.ahead = max(getattr(part, "ahead", 0) for part in self.parts)

    def __getitem__(self, positions: NDArray) -> NDArray:
        items = np.empty((len(positions), *self.shape[1:]), self.dtype)
        later = positions >= self.n
        for part, chosen, offset in zip(self.parts, (~later, later), (0, self.n), strict=True):
            if chosen.any():
                items[chosen] = part[positions[chosen] - offset]
        return items

    def facts(self) -> dict[str, Any]:
        return {"kind": "Joined", "parts": [part.facts() for part in self.parts if isinstance(part, Source)]}


class Mapped(Source):
    """A function of a source's items, applied when they are read.

    Parameters
        function : of an array (n, …) with the items of any positions, each independently of the others
    """

    def __init__(self, source: Source, function: Callable[[NDArray], NDArray]) -> None:
        self.source, self.function = source, function
        example = function(np.zeros((1, *source.shape[1:]), source.dtype))
        self.shape, self.dtype = (len(source), *example.shape[1:]), example.dtype
        self.ahead, self.buffer = source.ahead, source.buffer

    def __getitem__(self, positions: NDArray) -> NDArray:
        return self.function(self.source[positions])

    def expect(self, positions: NDArray) -> None:
        self.source.expect(positions)

    def facts(self) -> dict[str, Any]:
        return self.source.facts()


class Foreign(Source):
    """An object of another program, with `shape`, `dtype` and items by position.

    Parameters
        read : the items at an array of positions, from the object
    """

    def __init__(self, who: str, given: Any, read: Callable[[Any, NDArray], Any]) -> None:
        self.who, self.given, self.read = f"{who}: {type(given).__name__}", given, read
        self.shape, self.dtype = tuple(map(int, given.shape)), np.dtype(given.dtype)
        digests = getattr(given, "digests", None)
        if isinstance(digests, np.ndarray) and digests.dtype == np.int64 and digests.shape == self.shape[:1]:
            self.digests = digests

    def __getitem__(self, positions: NDArray) -> NDArray:
        try:
            items = np.asarray(self.read(self.given, positions))
        except (XpcnnError, MemoryError):
            raise
        except OSError as error:
            raise FileError(self.who, "items that can be read", error.strerror or str(error)) from error
        except Exception as error:
            expected, got = f"{len(positions)} of {len(self)} items", f"{type(error).__name__}: {error}"
            raise DataError(self.who, expected, got, "see its own documentation") from error
        if items.shape != (len(positions), *self.shape[1:]) or items.dtype != self.dtype:
            expected = f"{self.dtype} {(len(positions), *self.shape[1:])} at {len(positions)} positions"
            raise DataError(self.who, expected, f"{items.dtype} {items.shape}")
        return items


def _at_positions(given: Any, positions: NDArray) -> Any:
    return given[positions]


def _at_sorted_positions(given: Any, positions: NDArray) -> Any:
    """For h5py, whose positions must increase."""
    ascending, inverse = np.unique(positions, return_inverse=True)
    return np.asarray(given[ascending])[inverse]


def _one_by_one(given: Any, positions: NDArray) -> Any:
    return np.stack([np.asarray(given[i]) for i in positions.tolist()])


def _by_slices(given: Any, positions: NDArray) -> Any:
    return np.concatenate([np.asarray(given[i : i + 1]) for i in positions.tolist()])


def as_source(who: str, name: str, given: Any) -> Items:
    """The array or source itself, or for any other object a source that reads it.

    An object needs `shape`, `dtype`, `len`, and items by an array of positions, in any order or ascending, or else by
    one position or slice at a time. Which of these it has is tried here, with its first and its last item.

    Raises
        DataError : it has none of these

    >>> class Squares:
    ...     shape, dtype = (4, 1), np.dtype("int64")
    ...     def __len__(self):
    ...         return 4
    ...     def __getitem__(self, i: int):
    ...         return np.array([i * i])
    >>> as_source("Split", "images", Squares())[np.array([3, 1])].tolist()
    [[9], [1]]
    """
    if isinstance(given, Source):
        return given
    if isinstance(given, np.ndarray):
        refuse_mask(f"{who} {name}", given)
        if not isinstance(given, np.memmap):
            return given
    expected = f"{name} as a NumPy array, or a source with shape, dtype, len and items at an array of positions"
    try:
        shape, dtype, n = tuple(map(int, given.shape)), np.dtype(given.dtype), len(given)
    except Exception:
        raise DataError(who, expected, type(given).__name__, "use xpcnn.to_numpy") from None
    if not shape or shape[0] != n or not n:
        raise DataError(who, f"{name} with a first axis of {n} items, at least one", str(shape))
    positions, faults = np.array([n - 1, 0, n - 1]), []
    for read in (_at_positions, _at_sorted_positions, _one_by_one, _by_slices):
        source = Foreign(who, given, read)
        try:
            last, _, again = source[positions]
            (alone,) = source[positions[:1]]
            if last.tobytes() == again.tobytes() == alone.tobytes():
                return source
        except FileError:
            raise
        except XpcnnError as error:
            faults.append(error.got)
    got = f"{type(given).__name__} of {dtype} {shape}, which gives none" + (f" ({faults[-1]})" if faults else "")
    raise DataError(who, expected, got)


def blocks(items: Items, step: int | None = None) -> Iterator[NDArray]:
    """All items, `step` at a time; by default about `BLOCK_BYTES`. Views of an array, and new arrays of a source."""
    if step is None:
        step = max(1, BLOCK_BYTES // max(1, item_bytes(items)))
    begins = range(0, len(items), step)
    if not isinstance(items, Source):
        yield from (items[begin : begin + step] for begin in begins)
    elif items.ahead:
        yield from prefetched(partial(_block, items, step), begins, items.ahead)
    else:
        yield from map(partial(_block, items, step), begins)


def _block(source: Source, step: int, begin: int) -> NDArray:
    return source[np.arange(begin, min(begin + step, len(source)))]


def item_bytes(items: Items) -> int:
    """Bytes of one item."""
    return int(np.prod(items.shape[1:], dtype=np.int64)) * items.dtype.itemsize


def selected(items: Items, index: NDArray | slice) -> Items:
    """The items at these positions, or where the index is True: of an array a view or a copy, of a source a source."""
    return Selected(items, np.arange(len(items))[index]) if isinstance(items, Source) else items[index]
