"""The statistics of batch norm, and the sums of its gradients, of a batch in shards.

Each shard s has n_s numbers of a channel, their mean μ_s and their variance σ²_s about it. The whole batch has, with
numbers that continue those of `xpcnn.ops.batch_norm`,

    M = Σ_s n_s,   μ = Σ_s n_s μ_s / M                                     (6)
    σ² = Σ_s n_s (σ²_s + (μ_s − μ)²) / M                                   (7)

With these, each shard computes its own y, dγ_s and dβ_s. In its dx, equation 5, are the sums of all shards, Σ_s dγ_s
and Σ_s dβ_s; it returns its own dγ_s and dβ_s. Sums over shards are in float64 and in the shards' order.

Source: T. Chan, G. Golub and R. LeVeque, Algorithms for computing the sample variance, 1983, equation 2.1
"""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np

from ..backend import array_namespace, dtype_name, to_numpy
from ..errors import ShapeError
from ..typing import Array, NDArray


class Shards(Protocol):
    """The other shards of the batch, as `xpcnn.shards.Shard` is."""

    items: int

    def gather(self, numbers: Any) -> NDArray:
        """The numbers of all shards, (k,) → (S, k)."""


def joined_statistics(mean: Array, var: Array, count: int, shards: Shards) -> tuple[Array, Array, int]:
    """μ and σ² of the whole batch, (C,) each, and M, from those of this shard; (6) and (7)."""
    own = [np.asarray(to_numpy(each), np.float64) for each in (mean, var)]
    counts, means, variances = np.split(shards.gather(np.concatenate([[count], *own])), [1, 1 + len(own[0])], axis=1)
    m = enough(int(counts.sum()), f"{int(counts.sum())} in all shards")
    mu = (counts * means).sum(axis=0) / m  # (S, C) → (C,)                 (6)
    sigma2 = (counts * (variances + (means - mu) ** 2)).sum(axis=0) / m  # (C,)                            (7)
    return _like(mu, mean), _like(sigma2, mean), m


def joined_sums(dgamma: Array, dbeta: Array, shards: Shards) -> tuple[Array, Array]:
    """Σ_s dγ_s and Σ_s dβ_s of the whole batch, (C,) each."""
    both = shards.gather(np.concatenate([to_numpy(dgamma), to_numpy(dbeta)])).sum(axis=0)  # (2C,)
    return _like(both[: len(both) // 2], dgamma), _like(both[len(both) // 2 :], dbeta)


def _like(numbers: NDArray, array: Array) -> Array:
    xp: Any = array_namespace(array)
    with np.errstate(over="ignore"):  # then it is infinite
        made: Array = xp.asarray(numbers.astype(dtype_name(array)), device=array.device)
    return made


def enough(count: int, got: str) -> int:
    """Check that M is enough for a variance; return it."""
    if count < 2:
        raise ShapeError(
            "BatchNorm",
            "more than one value a channel to train on",
            got,
            "use larger batches (Loader's drop_last=True leaves out one image left over), or layer(x) for inference",
        )
    return count
