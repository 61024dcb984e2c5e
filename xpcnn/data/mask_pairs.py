"""Finds pictures and masks in folders, and which belongs to which: by their names, in the same subfolders."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from ..errors import DataError, warn
from .folder_parts import subfolders
from .part_names import part_name
from .picture_files import ENDINGS, find_pictures, say_passed_over

_MASKS = {"mask", "masks", "annotation", "annotations", "segmentation", "segmentations", "segmentationclass"}
_MASKS |= {"groundtruth", "gt", "gtfine", "trimaps", "labels", "label", "targets"}
_IMAGES = {"images", "image", "imgs", "img", "pictures", "photos", "jpegimages", "inputs", "leftimg8bit"}
# What masks' names have after those of their pictures, and pictures' of Cityscapes.
_AFTER = re.compile(
    r"[-_. ](masks?|labels?|segmentation|seg|annotation|gt|l|gtfine_label(train)?ids|leftimg8bit)$", re.I
)


class Folders(NamedTuple):
    """Where the pictures and the masks of one part are; `kind` is that part, or ""."""

    kind: str
    images: Path
    masks: Path | None


def mask_layout(root: Path) -> list[Folders]:
    """The folders of pictures and masks in a folder; none if it does not look like that.

    images and masks, or train_images and train_masks …, or such folders in train, val and test. Other names work, too.
    """
    found = _beside(root)
    if found:
        return found
    parts = {path: name.kind for path in subfolders(root) if (name := part_name(path.name)) and not name.rest}
    within = [Folders(parts[path], *rest[1:]) for path in parts for rest in _beside(path) if not rest.kind]
    return within if len(within) == len(parts) else []


def _beside(root: Path) -> list[Folders]:
    """Folders of pictures beside those of masks, by their names."""
    roles: dict[tuple[str, bool], Path] = {}
    for path in subfolders(root):
        words = {word.lower() for word in re.findall(r"[^\W_]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", path.name))}
        whole, part = re.sub(r"[\W_]+", "", path.name.lower()), part_name(path.name)
        of_masks = bool(words & _MASKS) or whole in _MASKS
        if not (of_masks or words & _IMAGES or whole in _IMAGES or (part and not part.rest)):
            return []
        kind = part.kind if part else ""
        if (kind, of_masks) in roles:
            return []
        roles[kind, of_masks] = path
    kinds = dict.fromkeys(kind for kind, _ in roles)
    pairs = [Folders(kind, roles[kind, False], roles.get((kind, True))) for kind in kinds if (kind, False) in roles]
    return pairs if any(each.masks for each in pairs) and all((kind, False) in roles for kind in kinds) else []


class Pairs(NamedTuple):
    """Pictures with their masks, in the order of their names; `kinds` says of which part each is, or ""."""

    images: list[Path]
    masks: list[Path]
    kinds: list[str]


def pairs_of(layout: Sequence[Folders], *, skip: bool) -> Pairs:
    """The pictures of these folders with their masks.

    Parameters
        skip : leave out pictures without a mask, with a warning
    Raises
        DataError : a mask is missing or doubled, or has no picture
    """
    pairs = Pairs([], [], [])
    for kind, images, masks in layout:
        if masks is None:
            warn(str(images), "there are no masks of these pictures, and they are left alone")
            continue
        for picture, mask in _matched(images, masks, skip=skip):
            pairs.images.append(picture)
            pairs.masks.append(mask)
            pairs.kinds.append(kind or _kind_within(images, picture))
    return pairs


def _kind_within(root: Path, path: Path) -> str:
    """The part that the picture's subfolder states, as in images/train/1.png."""
    first, *rest = path.relative_to(root).parts
    part = part_name(first) if rest else None
    return part.kind if part and not part.rest else ""


def _matched(images: Path, masks: Path, *, skip: bool) -> list[tuple[Path, Path]]:
    """Each picture of one folder with its mask in another."""
    pictures, masks_found = _files(images), _files(masks)
    keys = _by_key(images, pictures, ())
    its = _by_key(masks, masks_found, keys)
    if lost := [its[key] for key in its if key not in keys]:
        got = f"none for {_few(lost)} of {len(its)}"
        remedy = "take them away, or rename them"
        raise DataError(str(masks), f"masks with the names of pictures in {images}", got, remedy)
    if missing := [keys[key] for key in keys if key not in its]:
        if not skip or len(missing) == len(keys):
            got = f"none of {_few(missing)}: {len(missing)} of {len(keys)}"
            remedy = 'add them, or pass missing="skip"; to a command, --option missing=skip'
            raise DataError(str(masks), "a mask of each picture, of the same name", got, remedy)
        warn(str(masks), f"{len(missing)} of {len(keys)} pictures have no mask and are left out: {_few(missing)}")
    return [(path, its[key]) for key, path in keys.items() if key in its]


def _files(folder: Path) -> list[Path]:
    found, others = find_pictures(folder)
    say_passed_over(str(folder), others)
    if not found:
        raise DataError(str(folder), f"pictures ({' '.join(ENDINGS)})", "none")
    return found


def _by_key(root: Path, paths: Iterable[Path], known: Iterable[str]) -> dict[str, Path]:
    """Each file by its subfolder and name, without its ending, and without what masks have behind it."""
    found: dict[str, Path] = {}
    shorter = {_AFTER.sub("", each): each for each in known} | {each: each for each in known}
    for path in paths:
        key = path.relative_to(root).with_suffix("").as_posix()
        if shorter:
            key = shorter.get(key) or shorter.get(_AFTER.sub("", key), key)
        if key in found:
            got = f"{found[key].relative_to(root)} and {path.relative_to(root)}"
            raise DataError(str(root), "one file of each name", got, "take one of them away")
        found[key] = path
    return found


def _few(paths: Sequence[Path]) -> str:
    return ", ".join(path.name for path in paths[:3]) + (" …" if len(paths) > 3 else "")
