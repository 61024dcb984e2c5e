"""What data look like as the value of a notebook's cell: numbers, and a few pictures."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import html
from ..errors import one_line, shortened
from ..typing import NDArray
from .pixels import to_floats

PICTURES = 10


def split(part: Any, classes: Sequence[str] = ()) -> str:
    """A `Split`, with pictures from its beginning to its end."""
    said = {
        "one image": part.input_shape,
        "numbers": f"{part.images.dtype}: {part.scale_in_words}",
        "labels": f"0 … {part.labels.max()}" if part.has_classes else f"targets {part.labels.shape[1:]}",
    }
    return html.panel(f"{len(part):,} images", html.facts(said), pictures(part, classes))


def dataset(found: Any) -> str:
    """A `Dataset`, with pictures to train on."""
    said = {
        "to train on": f"{len(found.train):,} images",
        "to test on": f"{len(found.test):,}",
        "one image": found.input_shape,
        "numbers": found.scale_in_words,
        "classes": f"{len(found.classes)}: {', '.join(found.classes)}" if found.classes else None,
        "parts": found.parts or None,
    }
    return html.panel(one_line(found.name), html.facts(said), pictures(found.train, found.classes))


def loader(batches: Any) -> str:
    """A `Loader`, with the first images of epoch 0, before they are augmented."""
    said = {
        "batches": f"{len(batches):,} of {batches.batch_size} images",
        "order": f"shuffled anew in each epoch (seed {batches.seed})" if batches.shuffle else "that of the images",
        "last batch": "left out if it is smaller" if batches.drop_last else None,
        "augment": batches.augment,
        "of": batches.split,
    }
    first = batches.split.select(batches.indices(0, 0)[:PICTURES])
    return html.panel("Loader", html.facts(said), pictures(first))


def pictures(part: Any, classes: Sequence[str] = ()) -> html.Html:
    """Some images, evenly spaced, with their labels."""
    few = part.select(np.unique(np.linspace(0, len(part) - 1, PICTURES).astype(int)))
    labels = few.labels.tolist()
    captions = [classes[label] if part.has_classes and classes else _label(label) for label in labels]
    return html.pictures(as_bytes(to_floats(few.images, part.scale)), captions)


def as_bytes(images: NDArray) -> NDArray:
    """Images (N, H, W, C) as bytes, grey or RGB. If they leave [0, 1], the smallest is black, the largest white."""
    if images.shape[3] not in (1, 3):
        images = images.mean(axis=3, keepdims=True)
    low, high = float(images.min()), float(images.max())
    if low < 0 or high > 1:
        images = (images - low) / ((high - low) or 1.0)
    return np.round(images * 255).astype(np.uint8)


def _label(label: Any) -> str:
    if isinstance(label, list):
        return shortened(", ".join(f"{each:.3g}" for each in label), 30)
    return f"{label:.4g}" if isinstance(label, float) else str(label)
