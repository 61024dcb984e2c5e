"""Record the images of a run, for training and validation, in its folder, as a digest of 8 bytes each.

For any image, wherever it is later, the digests tell whether the run has learned from it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ..data.split import Split
from ..errors import FormatError
from ..io.tensors import read_tensors, write_tensors
from ..typing import NDArray

TRAINED_ON = "trained_on.safetensors"
_KIND = "trained on"


@dataclass(frozen=True, eq=False)
class TrainedOn:
    """The digests of a run's images (see `Split.digests`): int64 (N,) each, without repetitions."""

    train: NDArray
    validation: NDArray

    def all(self) -> NDArray:
        """The digests of both: int64."""
        return np.union1d(self.train, self.validation)

    def images(self, split: Split) -> NDArray:
        """For each image, True if the run used it for training or validation: bool (N,)."""
        return np.isin(split.digests, self.all())


def keep(folder: Path, train: Split, validation: Split | None, *, add: bool) -> None:
    """Record the training and validation images of a run: a digest of each image, one of each whole split, and what
    its sources are, such as a folder's number and bytes of pictures.

    Parameters
        add : keep the digests already in the folder, for a run that continues
    Raises
        FormatError : the existing file is broken;  FileError : it cannot be written
    """
    before = read(folder) if add else None
    given = (train.digests, train.digests[:0] if validation is None else validation.digests)
    kept = given if before is None else (before.train, before.validation)
    tensors = {name: np.union1d(given[i], kept[i]) for i, name in enumerate(("train", "validation"))}
    if before is not None and all(len(tensors[name]) == len(getattr(before, name)) for name in tensors):
        return
    sources = {"train": train.facts, "validation": [] if validation is None else validation.facts}
    whole = {"train": train.digest, "validation": None if validation is None else validation.digest}
    write_tensors(folder / TRAINED_ON, tensors, {"kind": _KIND, "whole": whole, "sources": sources})


def read(folder: Path) -> TrainedOn | None:
    """The digests of the run in that folder; None if it has no record, like runs of older versions.

    Raises
        FormatError : the file is broken;  FileError : it cannot be read
    """
    path = folder / TRAINED_ON
    if not path.exists():
        return None
    tensors, metadata = read_tensors(path)
    wrong = [name for name in ("train", "validation") if name not in tensors or not _are_digests(tensors[name])]
    if metadata.get("kind") != _KIND or wrong:
        raise FormatError(str(path), "the digests of a run's images", "another file", "remove it")
    return TrainedOn(tensors["train"], tensors["validation"])


def what_changed(folder: Path, train: Split) -> str:
    """How the sources of the training images differ from the run's, in words; "" if that is not known."""
    path = folder / TRAINED_ON
    metadata = read_tensors(path)[1] if path.exists() else {}
    sources = metadata.get("sources")
    saved = sources.get("train") if isinstance(sources, dict) else None
    if not saved or saved == train.facts:
        return ""
    before, now = (", ".join(map(_in_words, facts)) for facts in (saved, train.facts))
    return f"the run had {before}, and this is {now or 'in memory'}"


def _in_words(facts: object) -> str:
    """Such as "300 pictures of 1832400 bytes in /photos"."""
    if not isinstance(facts, dict):
        return repr(facts)
    return f"{facts.get('items')} items of {facts.get('bytes')} bytes in {facts.get('path')}"


def _are_digests(array: NDArray) -> bool:
    return array.dtype == np.int64 and array.ndim == 1
