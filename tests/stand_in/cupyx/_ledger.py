"""The stand-in's own: what a GPU would have been asked to do, for `python -m ci.launches`.

A launch is one kernel, library product, fill or copy on the device. Its bytes are those of each array that it reads or
writes, once each. Counted where CuPy would need several: a product of arrays that BLAS cannot read as they lie copies
them before; `concatenate` and `stack` copy array by array; a mask as an index is counted first.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

records: list[Record] | None = None  # None: nothing is written down
computes = True  # False: kernels and products leave their results as memory is, which changes no number here
labels: list[Any] = []  # what the work is for, the innermost last


@dataclass
class Record:
    kind: str  # launch, to_device, to_host, wait
    name: str
    read: int = 0
    written: int = 0
    operations: int = 0  # of products: additions and multiplications
    labels: tuple[Any, ...] = field(default_factory=lambda: tuple(labels))


def note(kind, name, read=(), written=(), operations=0):
    """Write it down; `read` and `written` are NumPy arrays."""
    if records is not None:
        sizes = (sum(each.nbytes for each in arrays if hasattr(each, "nbytes")) for arrays in (read, written))
        records.append(Record(kind, name, *sizes, operations))
