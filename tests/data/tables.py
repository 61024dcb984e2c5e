"""Tables of small images for the tests."""

from __future__ import annotations

import numpy as np


def table(labels, images, *, separator=",", header="", end="\n", last=False, number=str) -> str:
    rows = [header] if header else []
    for label, image in zip(labels, images, strict=True):
        fields = [number(value) for value in image]
        rows.append(separator.join([*fields, str(label)] if last else [str(label), *fields]))
    return end.join(rows) + end


LABELS = [7, 5] * 10


PIXELS = ",".join(f"pixel{i}" for i in range(9))


def check(data, images, labels=LABELS, classes=("5", "7")):
    """Every image is there once, with its label, in one part or the other."""
    assert data.classes == classes
    assert data.input_shape == (3, 3, 1)
    both = np.concatenate([data.train.images, data.test.images]).reshape(-1, 9)
    kept = np.concatenate([data.train.labels, data.test.labels])
    assert len(both) == len(images)
    for image, label in zip(both, kept, strict=True):
        (where,) = np.flatnonzero((images == image).all(1))
        assert str(labels[where]) == classes[label]
