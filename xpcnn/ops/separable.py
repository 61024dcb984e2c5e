"""One matrix along the height of images and one along their width: a map that is linear and separable.

    y[n,i,j,c] = Σ_{p,q} A[i,p] · B[j,q] · x[n,p,q,c]           y = A (B x)                      (1)

Its transpose has Aᵀ and Bᵀ in their places.
"""

from __future__ import annotations

from typing import Any

from ..typing import Array


def separable(a: Array, b: Array, x: Array, xp: Any) -> Array:
    """a (I, P) along the height and b (J, Q) along the width, (1): (N, P, Q, C) → (N, I, J, C)."""
    n, p, q, c = x.shape
    x = a @ xp.reshape(x, (n, p, q * c))  # (I, P) @ (N, P, QC) → (N, I, QC)
    y: Array = b @ xp.reshape(x, (n, a.shape[0], q, c))  # (J, Q) @ (N, I, Q, C) → (N, I, J, C)       (1)
    return y
