"""Finds the pictures in a folder, by their endings, and the files that are ignored."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from ..errors import FileError, warn
from .picture import FORMATS

ENDINGS = tuple(ending for endings in FORMATS.values() for ending in endings)
_QUIET = ("thumbs.db", "desktop.ini")  # files that a system adds to folders; its hidden files begin with a dot


def find_pictures(folder: Path) -> tuple[list[Path], list[Path]]:
    """The picture files in a folder and its subfolders, sorted by name, and the other files.

    Hidden files, and those that a system adds, are in neither list. Links to subfolders are not followed, and FIFOs,
    sockets and devices are not pictures.

    Raises
        FileError : a folder cannot be read
    """
    found: list[Path] = []
    others: list[Path] = []

    def refuse(error: OSError) -> None:
        raise FileError.unreadable(error.filename, error)

    for place, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        others += [Path(place, name) for name in folders if os.path.islink(Path(place, name))]
        for name in files:
            path = Path(place, name)
            if name.startswith(".") or name.lower() in _QUIET:
                continue
            is_special = path.exists() and not path.is_file()
            (found if name.lower().endswith(ENDINGS) and not is_special else others).append(path)
    return sorted(found), sorted(others)


def say_passed_over(who: str, paths: Sequence[Path]) -> None:
    """Warn of files that are left out, if any, with the count of each ending and the first names."""
    if not paths:
        return
    endings = Counter(path.suffix.lower() or "no ending" for path in paths)
    kinds = ", ".join(f"{count} of {ending}" for ending, count in endings.most_common(5))
    names = ", ".join(path.name for path in paths[:3]) + (" …" if len(paths) > 3 else "")
    what = f"{len(paths)} file{'s are' if len(paths) > 1 else ' is'} no picture and passed over ({kinds}): {names}"
    warn(who, what, "turn pictures into .png or .jpg, and take other files away")
