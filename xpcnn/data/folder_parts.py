"""Tells which subfolders are parts, to train and to test on, and which are classes."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError
from .part_names import TEST, TRAIN, VALIDATION, PartName, part_name

_OPTION = "or pass parts=False (to a command, --option parts=False) if these are classes"
_SLICES = ("fold", "split", "part", "partition")  # of a data set; no name says which of them is to test on
_DATE = re.compile(r"\d[\d_. -]{2,}\d")  # each class may have such a folder


class FolderParts(NamedTuple):
    """The folders of classes to train on and to test on; `found` says in words where they are."""

    train: Path | None
    test: Path | None
    found: str = ""


def folder_parts(root: Path, has_pictures: Callable[[Path], bool]) -> FolderParts:
    """The parts among a folder's subfolders; if there are none, it is a folder of classes itself.

    Parameters
        has_pictures : tells whether a folder itself has pictures, not only its subfolders
    Raises
        DataError : subfolders that may be parts, but not clearly
    """
    inside = subfolders(root)
    _check_within_classes(root, inside)
    named = {path: name for path in inside if (name := part_name(path.name))}
    parted = [path for path in named if not has_pictures(path) and subfolders(path)]
    for rest in dict.fromkeys(name.rest for name in named.values()):
        parts = {path: name.kind for path, name in named.items() if name.rest == rest}
        kinds = {kind: [path for path in parts if parts[path] == kind] for kind in (TRAIN, TEST, VALIDATION)}
        tests = kinds[TEST] or kinds[VALIDATION]
        if not (kinds[TRAIN] and tests) and list(parts) != inside:
            continue
        if doubled := next((paths for paths in kinds.values() if len(paths) > 1), None):
            raise _unclear(root, doubled)
        chosen = [*kinds[TRAIN], *tests]
        if unsorted := [path for path in chosen if path not in parted]:
            if len(inside) == 1:
                continue
            names = ", ".join(f"{path.name}/" for path in unsorted)
            raise DataError(str(root), "folders of classes in each part", f"none in {names}", f"sort them, {_OPTION}")
        train, test = (_within(paths[0]) if paths else None for paths in (kinds[TRAIN], tests))
        left = [path for path in inside if path not in chosen]
        return FolderParts(train, test, _words(root, [train, test], left))
    _check_classes(root, inside, named, parted, has_pictures)
    return FolderParts(root, None)


def subfolders(root: Path) -> list[Path]:
    """The folders in a folder, sorted by name, without hidden ones."""
    return sorted(path for path in root.iterdir() if path.is_dir() and not path.name.startswith("."))


def _within(part: Path) -> Path:
    """The folder of classes: the part itself, or the only folder in it if that has the same name (train/train/cat)."""
    inside = subfolders(part)
    return inside[0] if len(inside) == 1 and part_name(inside[0].name) == part_name(part.name) else part


def _check_within_classes(root: Path, inside: list[Path]) -> None:
    """Refuse cat/train and cat/test, which would be mixed up."""
    for path in inside:
        if part_name(path.name):
            continue
        parts = [part.kind for each in subfolders(path) if (part := part_name(each.name))]
        if TRAIN in parts and len(set(parts)) > 1:
            got = ", ".join(f"{path.name}/{each.name}" for each in subfolders(path))
            remedy = f"move them, {_OPTION} with all that is in them"
            raise DataError(str(root), "parts that hold the classes, such as train/cat and test/cat", got, remedy)


def _check_classes(
    root: Path,
    inside: list[Path],
    named: dict[Path, PartName],
    parted: list[Path],
    has_pictures: Callable[[Path], bool],
) -> None:
    """Refuse classes that look like parts: a test beside cat and dog, and folders that all hold a cat and a dog."""
    if len(inside) < 2:
        return
    names = {path.name.lower() for path in inside}
    for path, name in named.items():
        shares = path in parted and any(each.name.lower() in names for each in subfolders(path))
        if name.rest:
            looks_so = shares
        elif name.kind == TRAIN:  # a class of vehicles, if it has pictures
            looks_so = shares or (path in parted and len(subfolders(path)) > 1)
        else:
            looks_so = f"in{path.name.lower()}" not in names  # valid and invalid are classes
        if looks_so:
            raise _unclear(root, [path])
    contents = {tuple(each.name.lower() for each in subfolders(path)) for path in inside}
    if len(contents) == 1 and len(within := contents.pop()) > 1:  # each has the same ones, which may be the classes
        sliced = all(path.name.lower().rstrip("0123456789-_ ") in _SLICES for path in inside)
        if sliced or not (all(map(_DATE.fullmatch, within)) or any(map(has_pictures, inside))):
            raise _unclear(root, inside)


def _unclear(root: Path, paths: list[Path]) -> DataError:
    got = ", ".join(f"{path.name}/" for path in paths[:4])
    remedy = f"if they are parts, put all classes into train/ and test/, {_OPTION}"
    return DataError(str(root), "folders that are clearly parts or clearly classes", got, remedy)


def _words(root: Path, parts: list[Path | None], left: list[Path]) -> str:
    found = " and ".join(f"{part.relative_to(root)}/" for part in parts if part is not None)
    names = ", ".join(f"{path.name}/" for path in left[:4]) + (" …" if len(left) > 4 else "")
    return f"{found} (left alone: {names})" if left else found
