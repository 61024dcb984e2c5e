"""Pictures in files: read with Pillow, as people see them, and brought to one form."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from ..errors import DataError, FormatError, XpcnnError
from ..extras import need
from ..typing import Host

# Formats that are pixels and no programs: Pillow would also give PostScript to an interpreter.
_FORMATS = ("PNG", "JPEG", "BMP", "DIB", "GIF", "WEBP", "TIFF", "PPM")
_MOST_PIXELS = 2**26  # 67 million; checked before they are decoded


def read_picture(path: Path, *, size: tuple[int, int] | None = None, channels: int = 3, who: str = "picture") -> Host:
    """A picture as pixels: turned as its EXIF data say, on white where it is transparent, grey or RGB, resized.

    Parameters
        size : (height, width) to resize to, with Pillow's bicubic filter, whatever its shape was; None leaves it as
            large as it is
        channels : 1 for grey, 3 for RGB
        who : for the error if Pillow is missing: what needs it
    Returns
        NumPy array (H, W, C), uint8; of an animation, the first picture
    Raises
        FormatError : the file is no picture, is broken, or has more than 67 million pixels, or pixels of floats
        DataError : neither 1 nor 3 channels
        MissingExtraError : Pillow is not installed
    """
    pillow, operations = need("PIL.Image", who, "to read pictures"), need("PIL.ImageOps", who, "to read pictures")
    if channels not in (1, 3):
        raise DataError(str(path), f"an array of {channels} channels (.npy)", "a picture")
    try:
        with _open(pillow, path) as opened:
            if size is not None:
                opened.draft(None, (2 * max(size), 2 * max(size)))  # a large JPEG need not be decoded in full
            image = operations.exif_transpose(opened)
            if image.mode.startswith("I"):  # 16 bits a pixel
                image = image.convert("I").point(lambda value: value / 257).convert("L")
            if image.has_transparency_data:
                image = image.convert("RGBA")
                image = pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image)
            image = image.convert("L" if channels == 1 else "RGB")
            if size is not None:
                image = image.resize((size[1], size[0]))
            pixels = np.array(image)  # (H, W) or (H, W, 3)
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:  # whatever Pillow stumbles over, the file is at fault
        raise _broken(path, error) from error
    return pixels.reshape(*pixels.shape[:2], channels)


def is_grey(path: Path, *, who: str = "picture") -> bool:
    """Whether the picture has no colours, by its header alone.

    Raises
        FormatError : the file is no picture;  MissingExtraError : Pillow is not installed
    """
    pillow = need("PIL.Image", who, "to read pictures")
    try:
        with _open(pillow, path) as image:
            return str(image.mode) in ("1", "L", "LA", "La") or str(image.mode).startswith("I")
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:
        raise _broken(path, error) from error


def _open(pillow: Any, path: Path) -> Any:
    image = pillow.open(path, formats=_FORMATS)
    if image.width * image.height > _MOST_PIXELS:
        image.close()
        raise FormatError(
            str(path), f"at most {_MOST_PIXELS} pixels", f"{image.width}×{image.height}", "make it smaller"
        )
    if image.mode == "F":
        image.close()
        raise FormatError(str(path), "whole numbers a pixel", "float32", "save it with 8 bits a pixel")
    return image


def _broken(path: Path, error: Exception) -> FormatError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
    return FormatError(str(path), "a picture", reason, "get the file again, or take it away")
