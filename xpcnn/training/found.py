"""What a run has found of its data, so that the user notices mistakes."""

from __future__ import annotations

from ..data.dataset import Dataset
from ..data.split import Split
from ..errors import one_line

_OF = {"pixels": "of each pixel, one of", "labels": "of each image, some of"}


def found(dataset: Dataset, train: Split, validation: Split | None) -> str:
    """Describe a run's data: the number of images, their size, the classes, and the origin of the parts."""
    counts = [f"{len(train)} images to train on", f"{len(dataset.test)} to test on"]
    if validation is not None:
        counts.insert(1, f"{len(validation)} to validate")
    size = "×".join(map(str, dataset.input_shape))
    lines = [f"{one_line(dataset.name)}: {', '.join(counts)}; {size}, {dataset.scale_in_words}"]
    if dataset.classes:
        names = ", ".join(map(one_line, dataset.classes[:8])) + (" …" if len(dataset.classes) > 8 else "")
        lines.append(f"{len(dataset.classes)} classes: {names}")
    else:
        lines.append(f"targets: {train.labels.shape[1]} an image")
    if dataset.task in ("pixels", "labels"):
        lines[-1] = f"{_OF[dataset.task]}: {lines[-1]}"
    if dataset.parts:
        lines.append(f"parts: {one_line(dataset.parts)}")
    return "\n".join(lines)
