"""What data look like as the value of a notebook's cell: numbers, and a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import html
from ..errors import one_line, shortened
from ..typing import NDArray
from .targets import in_words

PICTURES = 10


def split(part: Any, classes: Sequence[str] = ()) -> str:
    """A `Split`, with pictures from its beginning to its end."""
    types = ", ".join(str(each.dtype) for each in part.inputs)
    said = {
        "one item": part.input_shape,
        "numbers": f"{types}: {part.scale_in_words}",
        "to learn": in_words(part.labels),
        "read from": ", ".join(str(fact.get("kind")) for fact in part.facts) or None,
    }
    return html.panel(f"{len(part):,} items", html.facts(said), pictures(part, classes))


def dataset(found: Any) -> str:
    """A `Dataset`, with pictures to train on."""
    said = {
        "to train on": f"{len(found.train):,} items",
        "to test on": f"{len(found.test):,}",
        "one item": found.input_shape,
        "numbers": found.scale_in_words,
        "classes": f"{len(found.classes)}: {', '.join(found.classes)}" if found.classes else None,
        "parts": found.parts or None,
    }
    return html.panel(one_line(found.name), html.facts(said), pictures(found.train, found.classes))


def loader(batches: Any) -> str:
    """A `Loader`, with the first images of epoch 0, before they are augmented."""
    said = {
        "batches": f"{len(batches):,} of {batches.batch_size} items",
        "order": f"shuffled anew in each epoch (seed {batches.seed})" if batches.shuffle else "that of the split",
        "last batch": "left out if it is smaller" if batches.drop_last else None,
        "augment": batches.augment,
        "of": batches.split,
    }
    first = batches.split.select(np.asarray(batches.indices(0, 0)[:PICTURES]))
    return html.panel("Loader", html.facts(said), pictures(first))


def pictures(part: Any, classes: Sequence[str] = ()) -> html.Html:
    """Some items, evenly spaced, each with the images of all inputs, and its label, or the map to learn."""
    x, y = part.batch(np.unique(np.linspace(0, len(part) - 1, PICTURES).astype(int)))
    inputs = [each for each in (x if isinstance(x, tuple) else (x,)) if each.ndim == 4]
    named = classes if part.has_classes and y.ndim == 1 else ()
    if y.ndim > 2:
        inputs.append(_map(y))
        captions = ["" for _ in y]
    else:
        captions = [named[label] if named else _label(label) for label in y.tolist()]
    return html.beside(*(html.pictures(as_bytes(each), captions) for each in inputs))


def as_bytes(images: NDArray) -> NDArray:
    """Images (N, H, W, C) as bytes, grey or RGB. If they leave [0, 1], the smallest is black, the largest white."""
    if images.shape[3] not in (1, 3):
        images = images.mean(axis=3, keepdims=True)
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        images = (images - low) / ((high - low) or 1.0)
    return np.round(images * 255).astype(np.uint8)


def _map(y: NDArray) -> NDArray:
    """Targets (N, H, W) or (N, H, W, C) as grey images; of classes, the highest is white."""
    maps = y.astype(np.float32).reshape(*y.shape[:3], -1)
    return maps / max(float(maps.max()), 1.0)


def _label(label: Any) -> str:
    if isinstance(label, list):
        return shortened(", ".join(f"{each:.3g}" for each in label), 30)
    return f"{label:.4g}" if isinstance(label, float) else str(label)
