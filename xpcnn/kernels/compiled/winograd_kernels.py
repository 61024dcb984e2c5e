"""The kernels of Winograd's algorithm with the channels last: G g Gᵀ of (1) and Gᵀ du G of (2) of `winograd_tiles`.

The transforms work on runs of C·F numbers, first along the kernel's rows, then along its columns.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ...typing import NDArray
from ..memory import empty
from .loop import In2, In3, Out2, Out3, loop, part
from .winograd_points import kernel_points, part_of, taps


@part
def kernel_transform(g: Any, i: int, step: int, u: Any, o: int, gap: int, count: int) -> None:
    """G g: six runs of u, `gap` apart from o on, of the three of g, `step` apart from i on."""
    kernel_points(
        part_of(g, i, step, 0, count), part_of(g, i, step, 1, count), part_of(g, i, step, 2, count),
        part_of(u, o, gap, 0, count), part_of(u, o, gap, 1, count), part_of(u, o, gap, 2, count),
        part_of(u, o, gap, 3, count), part_of(u, o, gap, 4, count), part_of(u, o, gap, 5, count),
    )  # fmt: skip


@part
def tap_transform(u: Any, i: int, step: int, g: Any, o: int, gap: int, count: int) -> None:
    """Gᵀ u: three runs of g, `gap` apart from o on, of the six of u, `step` apart from i on."""
    taps(
        part_of(u, i, step, 0, count), part_of(u, i, step, 1, count), part_of(u, i, step, 2, count),
        part_of(u, i, step, 3, count), part_of(u, i, step, 4, count), part_of(u, i, step, 5, count),
        part_of(g, o, gap, 0, count), part_of(g, o, gap, 1, count), part_of(g, o, gap, 2, count),
    )  # fmt: skip


@loop
def transform_kernel(g: In3, half: Out3, u: Out2) -> None:
    """G g Gᵀ: (3, 3, C·F), scratch (6, 3, C·F) → (36, C·F)."""
    size = u.shape[1]
    flat_g, flat_half, flat_u = g.reshape(g.size), half.reshape(half.size), u.reshape(u.size)
    kernel_transform(flat_g, 0, 3 * size, flat_half, 0, 3 * size, 3 * size)
    for p in range(6):
        kernel_transform(flat_half, 3 * p * size, size, flat_u, 6 * p * size, size, size)


@loop
def transform_gradient(u: In2, half: Out3, g: Out3) -> None:
    """Gᵀ u G: (36, C·F), scratch (6, 3, C·F) → (3, 3, C·F)."""
    size = u.shape[1]
    flat_u, flat_half, flat_g = u.reshape(u.size), half.reshape(half.size), g.reshape(g.size)
    for p in range(6):
        tap_transform(flat_u, 6 * p * size, size, flat_half, 3 * p * size, size, size)
    tap_transform(flat_half, 0, 3 * size, flat_g, 0, 3 * size, 3 * size)


def transformed_kernel(w: NDArray) -> NDArray:
    """G g Gᵀ of a kernel (F, 3, 3, C), as (36, C, F)."""
    f, c = w.shape[0], w.shape[3]
    u, half = empty((36, c, f), w.dtype), empty((6, 3, c * f), w.dtype)
    transform_kernel(np.ascontiguousarray(w.transpose(1, 2, 3, 0)).reshape(3, 3, -1), half, u.reshape(36, -1))
    return u


def kernel_gradient(du: NDArray) -> NDArray:
    """Gᵀ du G: (36, C, F) → (F, 3, 3, C)."""
    _, c, f = du.shape
    dw, half = empty((3, 3, c, f), du.dtype), empty((6, 3, c * f), du.dtype)
    transform_gradient(du.reshape(36, -1), half, dw.reshape(3, 3, -1))
    return np.ascontiguousarray(dw.transpose(3, 0, 1, 2))
