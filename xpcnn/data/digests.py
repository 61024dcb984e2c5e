"""Images identified by their contents: a digest of each, and a choice among them that depends on the digests alone.

So an image is still recognised, and stays in its part, when it is renamed or moved, or when others are added.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b

import numpy as np

from ..random import generator
from ..typing import NDArray
from .pixels import to_floats
from .scale import BYTE, SIXTEEN_BITS
from .source import Items, blocks, item_bytes

_NUMBERS = 2**20  # that are examined at once if they are not bytes
_STEPS = ((BYTE, "u1"), (16.0, "u1"), (SIXTEEN_BITS, "<u2"))  # to white, and their type: common forms of images
_ROUNDING = 4 * float(np.finfo(np.float32).eps)  # relative distance from such a step that a number may have


def image_digests(images: Items, scale: float) -> NDArray:
    """A digest of 8 bytes of each image as a network gets it, without its label: int64 (N,).

    These are the same image: 0 … 255 with scale 255, in any type; 0 … 65535 in steps of 257 with scale 65535; and the
    same fractions 0 … 1, up to rounding in float32. An image's digest does not depend on the other images.

    Parameters
        images : NumPy array or source (N, …), in any memory order;  scale : the number that they are divided by

    >>> first, again, other = image_digests(np.array([[1, 2], [1, 2], [2, 1]], np.uint8), 255)
    >>> bool(first == again), bool(first == other)
    (True, False)
    >>> bool(image_digests(np.array([[1 / 255, 2 / 255]], np.float32), 1) == first)
    True
    """
    forms = _bytes(images) if images.dtype == np.uint8 and scale == BYTE else _common_forms(images, scale)
    return np.frombuffer(b"".join([blake2b(form, digest_size=8).digest() for form in forms]), np.int64)


def _bytes(images: Items) -> Iterator[memoryview]:
    """Each image's bytes."""
    size = item_bytes(images)
    for each in blocks(images):
        block = np.ascontiguousarray(each).data.cast("B")
        yield from (block[at : at + size] for at in range(0, len(block), size))


def _common_forms(images: Items, scale: float) -> Iterator[bytes]:
    """Each image in the first form of `_STEPS` that fits it, or else as float32."""
    for each in blocks(images, max(1, _NUMBERS * images.dtype.itemsize // item_bytes(images))):
        block = to_floats(each, scale)
        rows = block.reshape(len(block), -1) + np.float32(0)  # (n, D); −0 is 0
        forms = [row.astype("<f4").tobytes() for row in rows]
        left = np.arange(len(rows))
        for white, kind in _STEPS:
            few = rows[left, :: max(1, rows.shape[1] // 64)]  # a few numbers rule out most images of other forms
            left_so = left[_in_steps(few, white)]
            fit = left_so[_in_steps(rows[left_so], white)]
            for i, row in zip(fit, np.rint(rows[fit] * np.float64(white)).astype(kind), strict=True):
                forms[i] = row.tobytes()
            left = np.setdiff1d(left, fit)
        yield from forms


def _in_steps(rows: NDArray, white: float) -> NDArray:
    """True for each row of only multiples of 1 / white in [0, 1], up to rounding: bool (n,)."""
    numbers = rows * np.float64(white)
    whole = np.rint(numbers)
    fits = (whole >= 0) & (whole <= white) & (np.abs(numbers - whole) <= _ROUNDING * whole)
    return np.asarray(fits.all(axis=1))


def choose(digests: NDArray, count: int, seed: int) -> NDArray:
    """Positions of some of the images, in their order: those whose digests, hashed with the seed, come first.

    An image is chosen by its contents. When others are added or removed, it stays in its part, except for the few at
    the boundary that keep the count. Equal images are chosen together or not at all, so the count may be off by a
    few. They are chosen one by one only if every different image makes up half of all or more.

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
    if not fits.all():  # half of the rarer ones stay: else only the repeated ones would be left
        wanted = min(count, max(1, int(sizes[fits].sum()) // 2))
    taken = np.zeros(len(values), bool)
    for i in np.flatnonzero(fits):
        if sizes[i] <= wanted:
            taken[i] = True
            wanted -= sizes[i]
    for size in np.unique(sizes[taken]) if wanted else ():  # exchange a chosen one for one that completes the count
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
