"""Reads masks: pictures whose numbers are classes, and never colours. No number is blurred, mixed or guessed."""

from __future__ import annotations

from dataclasses import dataclass, fields
from io import BytesIO
from typing import Any, Self

import numpy as np

from ..errors import DataError, FormatError, XpcnnError
from ..extras import need
from ..typing import NDArray
from .decode import Reading
from .picture import Place, broken, open_picture, stretched
from .resizing import resized
from .source import Items, blocks

_LOSSY = ("JPEG", "JPEG2000", "AVIF")
_LOSSY_WITHIN = ("jpeg", "tiff_jpeg", "webp")  # a TIFF
_REMEDY = "write the number of each pixel's class as a palette or grey PNG"


@dataclass(frozen=True)
class MaskReading(Reading):
    """How masks are read; see `Reading`.

    Parameters
        border : the value of the border that padding adds
    """

    border: int = 255

    @classmethod
    def of(cls, reading: Reading, border: int) -> Self:
        """The way to read the masks of pictures that are read so."""
        options = {each.name: getattr(reading, each.name) for each in fields(reading)}
        return cls(**options | {"channels": 1, "scale": None, "border": border})

    @property
    def options(self) -> tuple[Any, ...]:
        return "mask", self.size, self.resize, self.border

    def read(self, place: Place, channels: int) -> NDArray:
        return read_mask(place, size=self.size, resize=self.resize, border=self.border)

    def warn(self, images: Items, bits: int) -> None:
        """Say nothing: 0, 1 and 2 are no darkness."""


def read_mask(path: Place, *, size: tuple[int, int] | None, resize: str, border: int) -> NDArray:
    """The class of each pixel as the file has it, (H, W, 1) of uint8: the palette's index, or the grey number.

    Parameters
        size, resize : see `Reading`; by the nearest pixel
        border : the value of what padding adds
    Raises
        FormatError : no mask: colours, numbers above 255, or a format that blurs;  MissingExtraError : no Pillow
    """
    pillow, operations = need("PIL.Image", "masks", "to read masks"), need("PIL.ImageOps", "masks", "to read masks")
    who = str(path)
    try:
        with open_picture(pillow, path) as image:
            if loss := _loss(image):
                raise FormatError(who, "a mask in a format without loss", loss, _REMEDY)
            factor = _factor(image)
            operations.exif_transpose(image, in_place=True)
            pixels = np.array(image)
            numbers = _numbers(who, pixels if factor == 1 else np.rint(pixels * factor).astype(np.int64))
            if size is not None:
                whole = resized(pillow.fromarray(numbers), size, resize, nearest=True, fill=border)
                numbers = np.array(whole)
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:
        raise broken(path, error) from error
    return numbers[..., None]


def _loss(image: Any) -> str:
    """What has changed numbers, or ""."""
    if image.format == "WEBP":
        image.fp.seek(0)
        return "WEBP with loss" if b"VP8 " in image.fp.read() else ""
    within = image.info.get("compression")
    return f"{image.format} with {within}" if within in _LOSSY_WITHIN else image.format * (image.format in _LOSSY)


def _factor(image: Any) -> float:
    """From Pillow's numbers to the file's: it brings grey of 2 and 4 bits, and portable anymaps, to 255."""
    raw = image.tile[0][3] if image.tile else None
    raw = raw[0] if isinstance(raw, tuple) and raw else raw
    return {"L;2": 1 / 85, "L;4": 1 / 17}.get(raw) or stretched(image) if isinstance(raw, str) else 1.0


def _numbers(who: str, pixels: NDArray) -> NDArray:
    """The numbers of a mask, (H, W)."""
    if pixels.ndim == 3:
        colours, rest = np.split(pixels, [1 if pixels.shape[2] < 3 else 3], axis=2)  # and the rest is transparency
        if rest.size and (rest != 255).any():
            raise FormatError(who, "a mask", "transparency", _REMEDY)
        if (colours != colours[..., :1]).any():
            at = np.argwhere((colours != colours[..., :1]).any(axis=2))[0]
            colour = tuple(map(int, colours[tuple(at)]))
            raise FormatError(who, "a mask: one number a pixel", f"a colour, {colour} in row {at[0]}", _REMEDY)
        pixels = colours[..., 0]
    if pixels.dtype.kind not in "biu" or pixels.min() < 0 or pixels.max() > 255:
        raise FormatError(who, "numbers from 0 to 255", f"{pixels.min():g} to {pixels.max():g}", _REMEDY)
    return pixels.astype(np.uint8)


def palette_png(mask: NDArray) -> bytes:
    """A palette PNG whose indices are the classes (H, W) of uint8; each class has a colour, and 0 is black.

    Raises
        MissingExtraError : Pillow is not installed
    """
    image = need("PIL.Image", "masks", "to write masks").fromarray(mask)
    image.putpalette(colours().tobytes())
    file = BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def colours() -> NDArray:
    """A colour for each of 256 classes, (256, 3) of uint8, those of neighbours far apart: PASCAL VOC's.

    The bits of a class, from the lowest, become the bits of red, green, blue, red … from the highest.
    """
    classes = np.arange(256)
    found = np.zeros((256, 3), np.uint8)
    for bit in range(8):
        found[:, bit % 3] |= (((classes >> bit) & 1) << (7 - bit // 3)).astype(np.uint8)
    return found


def as_classes(
    who: str,
    masks: Items,
    names: list[str],
    *,
    classes: tuple[str, ...],
    values: tuple[int, ...],
    ignore_index: int | None,
) -> tuple[tuple[str, ...], NDArray]:
    """The classes' names, and the class of each of the 256 numbers that a mask may have, (256,) of uint8.

    Parameters
        masks : (N, H, W, 1) uint8;  names : of their files, for errors
        classes : the names, or none;  values : the number that stands for each class, or none for 0, 1, 2 …
        ignore_index : the number of pixels that do not count
    Raises
        DataError : a number that is no class
    """
    found = {int(value): int(i) for value, i in _first_of_each(masks).items() if value != ignore_index}
    if not found:
        raise DataError(who, "pixels that count", f"{ignore_index} alone")
    count = len(values) or len(classes) or max(found) + 1
    known = values or tuple(range(count))
    told = f"{', '.join(map(str, known))}" if values else f"0 … {count - 1}"
    if strange := sorted(found.keys() - set(known)):
        expected = f"classes {told}" + ("" if ignore_index is None else f", or {ignore_index}, which does not count")
        remedy = "name more classes, or ignore_index=255 if it does not count" if ignore_index is None else "mend it"
        raise DataError(names[found[strange[0]]], expected, str(strange[0]), remedy)
    if not (values or classes) and (gaps := sorted(set(known) - found.keys())):
        pair = "0, 255" if sorted(found) == [0, 255] else ", ".join(map(str, sorted(found)[:4]))
        remedy = f"values=[{pair}] if these are all classes, ignore_index={max(found)} if that does not count"
        got = f"{', '.join(map(str, sorted(found)[:6]))}, and never {gaps[0]}"
        raise DataError(who, "each of the classes 0, 1, 2 … in some mask, as there are no names", got, remedy)
    table = np.arange(256, dtype=np.uint8)
    if values:
        table[:] = 255
        table[list(values)] = np.arange(count)
    return classes or tuple(map(str, known)), table


def _first_of_each(masks: Items) -> dict[int, int]:
    """Each number that occurs, and the first mask that has it."""
    found: dict[int, int] = {}
    begin = 0
    for block in blocks(masks):
        rows = block.reshape(len(block), -1)
        for value in np.flatnonzero(np.bincount(rows.ravel(), minlength=256)):
            if value not in found:
                found[int(value)] = begin + int((rows == value).any(axis=1).argmax())
        begin += len(block)
    return found
