"""Pictures and their labels in tar archives, as webdataset has them: shard-0000.tar, shard-0001.tar …

A sample is the members of one name up to its first dot: `0001.jpg` and `0001.cls`, a class as a number or text, or
`0001.json`, with the class under "cls", "label" or "class". Archives are read where they lie, and not unpacked.
"""

from __future__ import annotations

import json
import os
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FileError, FormatError, warn
from ..io.member import Member
from ..options import as_choice, expanded
from ..typing import Pair
from .decode import SOURCES, Reading
from .labels import to_classes
from .part_names import TEST, VALIDATION, part_name
from .picture_files import ENDINGS
from .pictures import read_pictures
from .source import Source
from .split import Split
from .splits import TEST_FRACTION, Parts, reader

BUFFER = 4096  # items that a loader shuffles through
_MOST_LABEL = 2**16  # bytes of a .cls or .json
_KEYS = ("cls", "label", "class")  # in a .json


@reader
def tar_shards(
    path: str | os.PathLike[str],
    *,
    size: Pair | None = None,
    resize: str = "squash",
    channels: int | None = None,
    scale: float | None = None,
    broken: str = "error",
    classes: Sequence[str] = (),
    buffer: int = BUFFER,
    test_fraction: float = TEST_FRACTION,
    seed: int = 0,
    source: str = "disk",
    cache: str | os.PathLike[str] | None = None,
) -> Parts:
    """Pictures in uncompressed .tar files: one file, or all those in a folder.

    Files whose names say so (test-0000.tar, or val-0000.tar if there is none called test) are to test on; otherwise a
    fraction of each class is held out. Pictures stay in their files, and are read nearly in their order: a loader
    shuffles through a buffer.

    Parameters
        path : a .tar file, or a folder of them
        size, resize, channels, scale, broken, cache : see `image_folder`
        classes : the classes' names, in the order of the labels
        buffer : items that a loader shuffles through, see `data.order`
        test_fraction, seed : see `hold_out`
        source : "disk", or "memory" or "cache" as in `image_folder`, which need no order
    Raises
        DataError : no such files, a sample without a label or picture;  FormatError : broken ones
        OptionError : an option makes no sense;  MissingExtraError : Pillow is not installed

    >>> import io, tarfile, tempfile
    >>> from PIL import Image
    >>> path = tempfile.mkdtemp() + "/shard-0000.tar"
    >>> with tarfile.open(path, "w") as shard:
    ...     for number in range(10):
    ...         picture = io.BytesIO()
    ...         Image.new("L", (8, 8), number * 28).save(picture, "png")
    ...         for name, content in ((f"{number}.png", picture.getvalue()), (f"{number}.cls", b"%d" % (number % 2))):
    ...             entry = tarfile.TarInfo(name)
    ...             entry.size = len(content)
    ...             shard.addfile(entry, io.BytesIO(content))
    >>> tar_shards(path, size=8).train
    Split(8 images (8, 8, 1), labels 0 … 1)
    """
    who, place = "tar_shards", expanded("tar_shards", path)
    reading = Reading.checked(
        who,
        size=size,
        resize=resize,
        channels=channels,
        scale=scale,
        broken=broken,
        source=as_choice(who, "source", source, SOURCES),
        cache=cache,
    )
    name = place.resolve().name if place.is_dir() else place.stem
    shards = sorted(place.glob("*.tar")) if place.is_dir() else [place]
    if not shards:
        raise DataError(str(place), "tar archives (.tar)", "none", "unpack .tar.gz to .tar")
    kinds = [part.kind if (part := part_name(each.stem.rstrip("0123456789-_."))) else "" for each in shards]
    kind = next((each for each in (TEST, VALIDATION) if each in kinds), None) if place.is_dir() else None
    left = [] if kind is None else [each for each, its in zip(shards, kinds, strict=True) if its == kind]
    used = [each for each, its in zip(shards, kinds, strict=True) if its not in (TEST, VALIDATION) or kind is None]
    samples = [[sample for shard in part for sample in _samples(shard)] for part in (used, left)]
    given = [label for part in samples for _, label in part]
    (numbers,), names = to_classes(str(place), [_array(str(place), given)], classes, least=1)
    images, kept = read_pictures([member for part in samples for member, _ in part], name, reading)
    if isinstance(images, Source):
        images.buffer = buffer if source == "disk" else None
    everything = Split(images, numbers[kept], reading.white, channels_first=False, resize=resize)
    ends = int(np.searchsorted(kept, len(samples[0])))
    train = everything.select(slice(ends)) if ends else None
    test = everything.select(slice(ends, None)) if ends < len(kept) else None
    found = f"{used[0].name} … and {left[0].name} …" if used and left else ""
    if passed := [each.name for each in shards if each not in (*used, *left)]:
        found += f" (left alone: {passed[0]} …)"
    return Parts(str(place), name, train, test, names, found, test_fraction, seed)


def _samples(shard: Path) -> list[tuple[Member, Any]]:
    """The pictures of an archive, in its order, each with its label."""
    pictures: dict[str, Member] = {}
    labels: dict[str, Any] = {}
    try:
        with tarfile.open(shard, "r:") as archive:
            for each in archive:
                key, _, ending = each.name.rpartition("/")[2].partition(".")
                key, ending = f"{os.path.dirname(each.name)}/{key}", f".{ending.lower()}"
                if not each.isreg() or each.issparse():
                    if ending.endswith((*ENDINGS, ".cls", ".json")) and not each.isdir():
                        remedy = "tar --dereference --hard-dereference stores the files themselves"
                        raise FormatError(str(shard), "whole files", f"{each.name}, a link or in parts", remedy)
                    continue
                member = Member(shard, each.name, each.offset_data, each.size)
                if ending.endswith(ENDINGS):
                    if key in pictures:
                        raise DataError(str(shard), "one picture a sample", f"{pictures[key].name} and {each.name}")
                    pictures[key] = member
                elif ending in (".cls", ".json"):
                    found = _label(member, ending)
                    if found is not None and labels.get(key) not in (None, found):
                        raise DataError(str(member), "one label a sample", f"{labels[key]!r} and {found!r}")
                    labels[key] = found if found is not None else labels.get(key)
                archive.members = []  # type: ignore[attr-defined]  # it would grow with the archive
            _check_end(shard, archive.offset)
    except tarfile.TarError as error:
        remedy = "unpack .tar.gz to .tar: a compressed one can be read from its beginning only"
        raise FormatError(str(shard), "an uncompressed tar archive", str(error), remedy) from error
    except OSError as error:
        if isinstance(error, FileError):
            raise
        raise FileError.unreadable(shard, error) from error
    if missing := [key for key in pictures if labels.get(key) is None]:
        name = pictures[missing[0]].name
        remedy = "add its .cls, or a .json with cls, label or class"
        raise DataError(str(shard), "a label of each picture", f"none of {name}", remedy)
    if alone := [key for key, label in labels.items() if label is not None and key not in pictures]:
        what = f"{len(alone)} labels have no picture, such as {alone[0].lstrip('/')}, and are left out"
        warn(str(shard), what, f"pictures are {', '.join(ENDINGS[:3])} …, under the same name")
    if not pictures:
        raise DataError(str(shard), f"pictures ({' '.join(ENDINGS[:3])} …)", "none")
    return [(member, labels[key]) for key, member in pictures.items()]


def _check_end(shard: Path, at: int) -> None:
    """Refuse an archive that goes on after its last member: `tarfile` takes a damaged header for the end."""
    with shard.open("rb") as file:
        file.seek(at)
        size = 0
        while piece := file.read(2**20):
            if piece.strip(b"\0"):
                remedy = "it is damaged, or joined of several: get it again"
                raise FormatError(str(shard), "nothing after its last member", f"more, from byte {at} on", remedy)
            size += len(piece)
    if size < tarfile.BLOCKSIZE:
        raise FormatError(str(shard), "a whole tar archive", f"one that ends at byte {at + size}", "get it again")


def _label(member: Member, ending: str) -> Any:
    """The label in a .cls or .json; None if a .json has none."""
    if member.size > _MOST_LABEL:
        raise FormatError(str(member), f"a label of at most {_MOST_LABEL} bytes", str(member.size))
    try:
        text = member.contents().decode().strip()
        found = json.loads(text) if ending == ".json" else int(text) if text.lstrip("-").isdecimal() else text
    except (ValueError, RecursionError) as error:
        raise FormatError(str(member), "a label in UTF-8", str(error)[:80], "mend it") from error
    if isinstance(found, dict):
        found = next((found[key] for key in _KEYS if key in found), None)
    if found is not None and (isinstance(found, bool) or not isinstance(found, int | str)):
        raise FormatError(str(member), "a class: a whole number or a text", repr(found)[:80], "mend it")
    return found


def _array(who: str, labels: list[Any]) -> np.ndarray[Any, Any]:
    kinds = {type(label) for label in labels}
    if len(kinds) > 1:
        raise DataError(who, "labels that are all numbers, or all texts", "both", "mend them")
    return np.array(labels)
