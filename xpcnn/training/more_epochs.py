"""A run that is resumed with another number of epochs than it began with."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

from ..errors import FileError, FormatError, OptionError
from .history import HISTORY, read_csv


def refuse_fewer(folder: Path, epochs: int) -> None:
    """Refuse fewer epochs than the run has done.

    Raises
        OptionError
    """
    with suppress(FileError, FormatError):  # the checkpoint, which is read next, holds them, too
        if (done := len(read_csv(folder / HISTORY))) > epochs:
            expected = f"the {done} epochs that the run has done, or more"
            raise OptionError("train epochs", expected, str(epochs), "epochs are counted in all")


def in_words(schedule: str, before: int, epochs: int) -> str:
    """What becomes of the learning rate.

    >>> in_words("cosine", 10, 20)
    'cosine, which was over 10 epochs, is now over 20: the learning rate goes on where it would be then'
    """
    if before == epochs or schedule in ("constant", "plateau"):
        return ""
    said = f"{schedule}, which was over {before} epochs, is now over {epochs}"
    return f"{said}: the learning rate goes on where it would be then"
