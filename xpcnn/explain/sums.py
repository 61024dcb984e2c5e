"""Numbers that are sums of products of other numbers: nearly all that a network computes."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from ..typing import NDArray
from .explanation import Explanation, Index, Piece, Ref, Worked

MOST_TERMS = 30  # terms that are written out: the largest, and a bias; the others are added up


class Factor(NamedTuple):
    """Elements of an array: integers, and integer arrays that broadcast together.

    Parameters
        array : its name
        at : an index for each axis
        divides : the product is divided by it
    """

    array: str
    at: tuple[Any, ...]
    divides: bool = False


def total(page: Explanation, target: Ref, *products: list[Factor], over: Piece | None = None) -> Worked:
    """The target as a sum over all elements of each product, divided by `over`.

    Parameters
        products : factors whose indices broadcast; a product has one term for each element of that shape
        over : a reference, or a number in words
    """
    parts: list[Any] = []  # of each product and factor, the indices along each axis, flat
    values = np.zeros(0)
    for factors in products:
        shape = np.broadcast_shapes(*(np.shape(part) for factor in factors for part in factor.at))
        value = np.ones(shape)
        for factor in factors:
            numbers = page.arrays[factor.array].values[factor.at].astype(np.float64)
            value = value / numbers if factor.divides else value * numbers
        values = np.concatenate([values, value.ravel()])
        parts.append([[np.broadcast_to(part, shape).ravel() for part in factor.at] for factor in factors])
    starts = np.cumsum([0, *(len(each[0][0]) for each in parts)])
    kept = np.arange(len(values))
    if len(values) > MOST_TERMS:
        alone = np.isin(kept, starts[:-1][np.diff(starts) == 1])  # such as the bias: the equation names it
        order = np.argsort(np.where(alone, -np.inf, -np.abs(values)), kind="stable")
        kept = np.sort(order[:MOST_TERMS])
        kept = kept[(values[kept] != 0) | alone[kept]]
    pieces: list[Piece] = []
    for i in kept:
        which = int(np.searchsorted(starts, i, side="right")) - 1
        pieces += [*([" + "] if pieces else []), *_term(products[which], parts[which], int(i - starts[which]))]
    if len(kept) < len(values):
        left, rest = len(values) - len(kept), np.delete(values, kept)
        said = f"({left} smaller terms: {rest.sum():z.3g})" if rest.any() else f"({left} terms that are 0)"
        pieces.append((" + " if pieces else "") + said.replace("-", "−"))
    result = float(values.sum())
    if over is not None:
        divisor = page.value(over) if isinstance(over, Ref) else float(over)
        pieces, result = (["(", *pieces, ") / ", over] if len(pieces) > 1 else [*pieces, " / ", over]), result / divisor
    return Worked(target, tuple(pieces) or ("0",), result)


def maximum(page: Explanation, target: Ref, candidates: Factor) -> Worked:
    """The target as the largest of some elements; if there are many, only the largest few are written out."""
    values = page.arrays[candidates.array].values[candidates.at].astype(np.float64).ravel()
    places = np.stack([np.broadcast_to(part, values.shape) for part in candidates.at], axis=1)
    order = np.argsort(np.where(np.isnan(values), -np.inf, -values), kind="stable")
    kept = np.sort(order[:MOST_TERMS])
    pieces: list[Piece] = ["max("]
    for k in kept:
        pieces += [*([", "] if len(pieces) > 1 else []), Ref(candidates.array, tuple(map(int, places[k])))]
    rest = len(values) - len(kept)
    pieces.append(f", and {rest} smaller ones)" if rest else ")")
    return Worked(target, tuple(pieces), float(np.max(values)))


def largest(values: NDArray, within: tuple[Any, ...] = ()) -> Index:
    """The index of the number furthest from 0, among those in `within` (an index or a slice for each axis)."""
    allowed = np.zeros(values.shape, bool)
    allowed[within] = True
    size = np.where(allowed & np.isfinite(values), np.abs(values), -1.0)
    if size.max() < 0:
        size = allowed * 1.0
    return tuple(int(i) for i in np.unravel_index(int(size.argmax()), values.shape))


def _term(factors: list[Factor], parts: list[Any], number: int) -> tuple[Piece, ...]:
    pieces: list[Piece] = []
    for factor, index in zip(factors, parts, strict=True):
        if pieces:
            pieces.append("/" if factor.divides else "·")
        pieces.append(Ref(factor.array, tuple(int(part[number]) for part in index)))
    return tuple(pieces)
