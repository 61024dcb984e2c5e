"""Folders of uniform pictures for the tests."""

from __future__ import annotations

import pytest

image = pytest.importorskip("PIL.Image")


def put(folder, name: str, level: int, *, shape=(4, 6), mode="L", ending="png") -> None:
    path = folder / f"{name}.{ending}"
    path.parent.mkdir(parents=True, exist_ok=True)
    image.new(mode, (shape[1], shape[0]), level if mode == "L" else (level, 0, 0)).save(path)


def check(split) -> list[int]:
    """Check that each image is uniform and of its own class; return their levels."""
    levels = split.images[:, 0, 0, 0]
    assert (split.images == levels[:, None, None, None]).all()
    assert (split.labels == (levels < 200)).all()
    return sorted(levels.tolist())
