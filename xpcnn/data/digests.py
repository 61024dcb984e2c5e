"""Images known by what they hold: a digest of each, and a choice among them that depends on the digests alone.

So an image that is renamed, moved or joined by others is still known, and stays in the part that it was in.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from ..random import generator
from ..typing import NDArray
from .pixels import to_floats
from .scale import BYTE, SIXTEEN_BITS

_BLOCK = 2**24  # bytes that are copied together where images do not lie one after the other in memory
_NUMBERS = 2**20  # that are looked at together where they are no bytes
_STEPS = ((BYTE, "u1"), (16.0, "u1"), (SIXTEEN_BITS, "<u2"))  # to white, and what holds them: common forms of images
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # how far from such a step a number may be, beside its size


def image_digests(images: NDArray, scale: float) -> NDArray:
    """A digest of 8 bytes of what a network is given of each image, whatever its label: int64 (N,).

    0 … 255 of 255, as bytes or in any other type, 0 … 65535 in steps of 257 of 65535, and the fractions 0 … 1 that
    these are, to rounding in float32, are the same image. What the other images are changes no digest.

    Parameters
        images : NumPy array (N, …), of any memory order;  scale : what they are divided by

    >>> first, again, other = image_digests(np.array([[1, 2], [1, 2], [2, 1]], np.uint8), 255)
    >>> bool(first == again), bool(first == other)
    (True, False)
    >>> bool(image_digests(np.array([[1 / 255, 2 / 255]], np.float32), 1) == first)
    True
    """
    forms = _bytes(images) if images.dtype == np.uint8 and scale == BYTE else _common_forms(images, scale)
    return np.frombuffer(b"".join([blake2b(form, digest_size=8).digest() for form in forms]), np.int64)


def _bytes(images: NDArray) -> Iterator[memoryview]:
    """Each image's bytes."""
    size = images[0].nbytes
    step = len(images) if images.flags.c_contiguous else max(1, _BLOCK // size)
    for begin in range(0, len(images), step):
        block = np.ascontiguousarray(images[begin : begin + step]).data.cast("B")
        yield from (block[at : at + size] for at in range(0, len(block), size))


def _common_forms(images: NDArray, scale: float) -> Iterator[bytes]:
    """Each image in the first form of `_STEPS` that it has, or else as float32."""
    step = max(1, _NUMBERS // images[0].size)
    for begin in range(0, len(images), step):
        block = to_floats(images[begin : begin + step], scale)
        rows = block.reshape(len(block), -1) + np.float32(0)  # (n, D); −0 is 0
        forms = [row.astype("<f4").tobytes() for row in rows]
        left = np.arange(len(rows))
        for white, kind in _STEPS:
            few = rows[left, :: max(1, rows.shape[1] // 64)]  # most that have not this form are known by a few numbers
            left_so = left[_in_steps(few, white)]
            fit = left_so[_in_steps(rows[left_so], white)]
            for i, row in zip(fit, np.rint(rows[fit] * np.float64(white)).astype(kind), strict=True):
                forms[i] = row.tobytes()
            left = np.setdiff1d(left, fit)
        yield from forms


def _in_steps(rows: NDArray, white: float) -> NDArray:
    """Which rows hold nothing but multiples of 1 / white in [0, 1], to rounding: bool (n,)."""
    numbers = rows * np.float64(white)
    whole = np.rint(numbers)
    fits = (whole >= 0) & (whole <= white) & (np.abs(numbers - whole) <= _ROUNDING * whole)
    return np.asarray(fits.all(axis=1))


def choose(digests: NDArray, count: int, seed: int) -> NDArray:
    """Positions of some of the images, in their order: those whose digests, hashed with the seed, come first.

    An image is chosen for what it holds. Where others come or go, it stays in its part, but for those few at the
    boundary that keep the count. Equal images are chosen together or not at all; for their sake the count may be
    missed by a few. Only where one of them would be half of all or more are they chosen one by one.

    Parameters
        digests : int64 (N,)
        count : how many, from 1 to N − 1
        seed : of the choice, from 0 on
    Returns
        positions : int64, in ascending order; from 1 to N − 1 of them

    >>> digests = np.array([40, 10, 30, 20, 10])
    >>> chosen = set(digests[choose(digests, 3, seed=0)].tolist())
    >>> chosen == set(np.sort(digests)[choose(np.sort(digests), 3, seed=0)].tolist())
    True
    """
    n, keys = len(digests), _hashed(digests, seed)
    values, group, sizes = np.unique(keys, return_inverse=True, return_counts=True)
    if len(values) == n:
        return np.sort(np.argsort(keys)[:count])
    fits, wanted = sizes <= count, count
    if not fits.all():  # of those that are there less often, half stay: else only the repeated ones would be left
        wanted = min(count, max(1, int(sizes[fits].sum()) // 2))
    taken = np.zeros(len(values), bool)
    for i in np.flatnonzero(fits):
        if sizes[i] <= wanted:
            taken[i] = True
            wanted -= sizes[i]
    for size in np.unique(sizes[taken]) if wanted else ():  # one that is taken may give way to one that fills it up
        if len(larger := np.flatnonzero(~taken & (sizes == size + wanted))):
            taken[[np.flatnonzero(taken & (sizes == size))[-1], larger[0]]] = False, True
            break
    if not taken.any():
        small = np.flatnonzero(2 * sizes < n)
        if not len(small):
            return np.sort(generator(seed).permutation(n)[:count])
        taken[small[0]] = True
    return np.flatnonzero(taken[group])


def _hashed(digests: NDArray, seed: int) -> NDArray:
    """Each digest hashed with the seed: uint64 (N,)."""
    key, numbers = blake2b(str(seed).encode(), digest_size=32).digest(), digests.tobytes()
    hashed = [blake2b(numbers[at : at + 8], digest_size=8, key=key).digest() for at in range(0, len(numbers), 8)]
    return np.frombuffer(b"".join(hashed), "<u8")
