"""Runs of numbers within a compiled loop: copied, or set to zero."""

from __future__ import annotations

from typing import Any

from .loop import part


@part
def move(a: Any, i: int, b: Any, j: int, count: int) -> None:
    """b[j : j + count] ← a[i : i + count]"""
    source, target = a[i : i + count], b[j : j + count]
    for k in range(count):
        target[k] = source[k]


@part
def clear(b: Any, j: int, count: int) -> None:
    """b[j : j + count] ← 0"""
    target, zero = b[j : j + count], b.dtype.type(0)
    for k in range(count):
        target[k] = zero
