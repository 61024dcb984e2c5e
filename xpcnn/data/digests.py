"""Images known by what they hold: a digest of each, and a choice among them that depends on the digests alone.

So an image that is renamed, moved or joined by others is still known, and stays in the part that it was in.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np

from ..random import generator
from ..typing import NDArray

_BLOCK = 2**24  # bytes that are copied together where images do not lie one after the other in memory


def image_digests(images: NDArray) -> NDArray:
    """A digest of 8 bytes of each image's numbers, whatever its label: int64 (N,).

    Parameters
        images : NumPy array (N, …), of any memory order

    >>> first, again, other = image_digests(np.array([[1, 2], [1, 2], [2, 1]], np.uint8))
    >>> bool(first == again), bool(first == other)
    (True, False)
    """
    size = images[0].nbytes
    step = len(images) if images.flags.c_contiguous else max(1, _BLOCK // size)
    found = []
    for begin in range(0, len(images), step):
        block = np.ascontiguousarray(images[begin : begin + step]).data.cast("B")
        found += [blake2b(block[at : at + size], digest_size=8).digest() for at in range(0, len(block), size)]
    return np.frombuffer(b"".join(found), np.int64)


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
