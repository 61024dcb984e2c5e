"""Reads pictures from files with Pillow, as people see them, and converts them to one form."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, TypeAlias

import numpy as np

from ..errors import DataError, FormatError, XpcnnError
from ..extras import need
from ..io.member import InMemory, Member, Opened
from ..io.whole_file import WholeFile
from ..typing import NDArray
from .resizing import resized
from .scale import BYTE
from .strips import as_array, converted

# Formats of pixels, not of programs: Pillow would also run PostScript in an interpreter. A file's contents tell its
# format; its ending only marks it as a picture among other files.
FORMATS = {
    "PNG": (".png", ".apng"),
    "JPEG": (".jpg", ".jpeg", ".jpe", ".jfif"),
    "JPEG2000": (".jp2", ".j2k", ".jpc", ".jpf", ".jpx", ".j2c"),
    "BMP": (".bmp",),
    "DIB": (".dib",),
    "GIF": (".gif",),
    "WEBP": (".webp",),
    "AVIF": (".avif", ".avifs"),
    "TIFF": (".tif", ".tiff"),
    "PPM": (".ppm", ".pgm", ".pbm", ".pnm", ".pfm"),
    "TGA": (".tga", ".icb", ".vda", ".vst"),
    "ICO": (".ico",),
    "QOI": (".qoi",),
    "PCX": (".pcx",),
    "SGI": (".sgi", ".rgb", ".rgba", ".bw"),
    "SUN": (".ras",),
}
Place: TypeAlias = Path | Member  # where a picture lies
MOST_PIXELS = 2**26  # 67 million; checked before they are decoded
_ORIENTATION = 0x0112  # EXIF's tag
MOST_SIDE = 2**18  # pixels; to resize an axis, Pillow takes 32 bytes for each of its pixels, and 8 for each row


def read_picture(
    path: Place | InMemory,
    *,
    size: tuple[int, int] | None = None,
    channels: int = 3,
    scale: float | None = None,
    resize: str = "squash",
    who: str = "picture",
) -> NDArray:
    """A picture as pixels: turned according to its EXIF data, on white where it is transparent, grey or RGB, resized.

    Parameters
        size : (height, width) to resize to, with Pillow's bicubic filter; None keeps its size
        channels : 1 for grey, 3 for RGB
        scale : the number that stands for white, required for pictures of 32 bits or of floats, which do not state it;
            in a picture of one bit, 1 stands for white whatever the scale
        resize : what happens to pictures of other proportions, see `data.resizing`
        who : the feature that needs Pillow, for the error if it is missing
    Returns
        NumPy array (H, W, C); of an animation, the first picture. uint8, where 255 is white, also for 16 bits; with
        a scale, the picture's original numbers as float32, not divided by it
    Raises
        FormatError : the file is not a picture, is broken, has more than 67 million pixels or 262,144 along an axis,
            needs a scale, cannot hold the number that stands for white, or has NaN or infinity
        DataError : neither 1 nor 3 channels
        MissingExtraError : Pillow is not installed
    """
    pillow, operations = need("PIL.Image", who, "to read pictures"), need("PIL.ImageOps", who, "to read pictures")
    if channels not in (1, 3):
        raise DataError(str(path), f"an array of {channels} channels (.npy)", "a picture")
    try:
        with open_picture(pillow, path) as opened:
            _draft(opened, size)
            bits, factor = _bits(opened), 1.0
            if scale is not None:
                _check_holds(path, bits, opened.mode, scale)
                factor = scale / BYTE if opened.mode == "1" else stretched(opened)
            operations.exif_transpose(opened, in_place=True)
            if bits == 32 and scale is None:
                raise _without_scale(path, opened)
            convert = partial(_as_seen, pillow, bits=bits, channels=channels, own=scale is not None)
            if size is None:
                pixels = as_array(opened, convert)  # (H, W) or (H, W, 3)
            else:
                pixels = np.array(resized(converted(pillow, opened, convert), size, resize))
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:  # any error of Pillow's means that the file is at fault
        raise broken(path, error) from error
    if not np.isfinite(pixels).all():
        raise FormatError(str(path), "a picture of finite numbers", "NaN or infinity", "take it away")
    pixels = pixels.reshape(*pixels.shape[:2], -1)
    if pixels.shape[2] != channels:
        pixels = np.repeat(pixels, channels, axis=2)
    if scale is None:
        return pixels
    own = pixels.astype(np.float32, copy=False)
    if factor != 1:
        own *= np.float32(factor)
        own = np.rint(own) if size is None else own
    return own if bits == 32 else own.clip(0)  # bicubic resizing overshoots


class Header(NamedTuple):
    """The facts about a picture that its header tells."""

    is_grey: bool
    bits: int  # per number: 8, 16, or 32, also for floats
    decoded: int  # pixels that reading it decodes
    shape: tuple[int, int]  # height and width as people see it


def header(path: Place | InMemory, *, size: tuple[int, int] | None = None, who: str = "picture") -> Header:
    """Read the header alone.

    Parameters
        size : see `read_picture`
    Raises
        FormatError : the file is not a picture;  MissingExtraError : Pillow is not installed
    """
    pillow = need("PIL.Image", who, "to read pictures")
    try:
        with open_picture(pillow, path) as image:
            bits = _bits(image)
            pixels, shape = image.width * image.height, _shape(image)
            _draft(image, size)
            # all coefficients of a JPEG may be in memory before any pixel: 6 bytes, of the 16 that a pixel may take
            pixels = max(image.width * image.height, pixels * 3 // 8)
            return Header(image.mode in ("1", "L", "LA", "La") or bits > 8, bits, pixels, shape)
    except (XpcnnError, MemoryError):
        raise
    except Exception as error:
        raise broken(path, error) from error


def _shape(image: Any) -> tuple[int, int]:
    """Height and width, after the turn that EXIF data ask for."""
    known = image.format != "PNG" or "exif" in image.info  # a PNG would be decoded to look for them
    turned = known and image.getexif().get(_ORIENTATION) in (5, 6, 7, 8)
    return (image.width, image.height) if turned else (image.height, image.width)


@contextmanager
def open_picture(pillow: Any, path: Place | InMemory) -> Iterator[Any]:
    if path.exists() and not path.is_file():  # opening a FIFO waits for its writer
        raise FormatError(str(path), "a picture", "no plain file", "take it away")
    pillow.init()
    known = [name for name in FORMATS if name in pillow.OPEN and (name != "TGA" or _ends(path, "TGA"))]
    file: Any = WholeFile(path) if isinstance(path, Path) else Opened(path)
    with file, pillow.open(file, formats=known) as image:
        size = f"{image.width}×{image.height}"
        if image.width * image.height > MOST_PIXELS or max(image.size) > MOST_SIDE:
            expected = f"at most {MOST_PIXELS} pixels, {MOST_SIDE} along an axis"
            raise FormatError(str(path), expected, size, "make it smaller")
        yield image


def _draft(image: Any, size: tuple[int, int] | None) -> None:
    """Let Pillow decode a large JPEG at a smaller size."""
    if size is not None:
        image.draft(None, (2 * max(size), 2 * max(size)))


def _ends(path: Place | InMemory, name: str) -> bool:
    """True if the ending is that format's: for TGA, nothing else identifies the format."""
    return path.suffix.lower() in FORMATS[name]


def _bits(image: Any) -> int:
    """8, 16 or 32: Pillow reads 16 bits as I;16 or, in file formats with at most 16 bits, as I."""
    if image.mode not in ("I", "F") and not image.mode.startswith("I;16"):
        return 8
    return 16 if image.mode.startswith("I;16") or (image.mode == "I" and image.format in ("PNG", "PPM")) else 32


def _check_holds(path: Place | InMemory, bits: int, mode: str, scale: float) -> None:
    """Refuse a picture whose numbers cannot reach the one that stands for white."""
    most = 2**bits - 1
    if bits <= 16 and mode != "1" and scale > most:
        colours = " (Pillow has no more of colours)" if bits == 8 else ""
        remedy = f"leave the scale out, or state one up to {most}; pictures of other depths take one of their own"
        raise FormatError(str(path), f"a picture of numbers up to {scale:g}", f"{bits} bits a number{colours}", remedy)


def stretched(image: Any) -> float:
    """The factor from Pillow's numbers to the file's: Pillow scales the white of portable anymaps to 255 or 65535."""
    tile = image.tile[0] if image.format == "PPM" and image.tile else ()
    if tile and str(tile[0]).startswith("ppm") and isinstance(tile[3], tuple) and isinstance(tile[3][-1], int):
        return float(tile[3][-1]) / (2.0 ** _bits(image) - 1)
    return 1.0


def _as_seen(pillow: Any, image: Any, *, bits: int, channels: int, own: bool) -> Any:
    """The picture in the mode in which it is read: L, also for three channels of a grey one, RGB or F.

    Parameters
        own : keep the picture's original numbers; those of more than 8 bits, and grey ones, become floats
    Returns
        the picture itself if it has that mode
    """
    if bits > 8:
        image = _in_mode(image, "F" if image.mode == "F" else "I")
        if own:
            return _in_mode(image, "F")
        image = image.point(lambda value: value / 257).convert("L")
    elif image.has_transparency_data:
        image = _in_mode(image, "RGBA")
        image = pillow.alpha_composite(pillow.new("RGBA", image.size, "white"), image)
    image = _in_mode(image, "L" if channels == 1 or image.mode in ("1", "L") else "RGB")
    # grey with a scale is resized without rounding: little would be left of 0 and 1
    return _in_mode(image, "F") if channels == 1 and own else image


def _in_mode(image: Any, mode: str) -> Any:
    return image if image.mode == mode else image.convert(mode)


def _without_scale(path: Place | InMemory, image: Any) -> FormatError:
    low, high = image.getextrema()
    found = f"{'floats' if image.mode == 'F' else '32 bits'}, {low:zg} … {high:zg}"
    remedy = "pass scale=, the number that stands for white; to xpcnn predict, --scale"
    return FormatError(str(path), "8 or 16 bits a pixel, or a scale", found, remedy)


def broken(path: Place | InMemory, error: Exception) -> FormatError:
    reason = getattr(error, "strerror", None) or str(error).partition("\n")[0] or type(error).__name__
    return FormatError(str(path), "a picture", reason, "get the file again, or take it away")
