"""Requests to images: a picture as the body, pictures of a form, or arrays in JSON."""

from __future__ import annotations

import json
import threading
from typing import Any, NoReturn

import numpy as np

from ..data.model_images import images_in
from ..data.picture import header
from ..data.picture_source import LARGE
from ..errors import MissingExtraError, XpcnnError
from ..io.member import InMemory
from ..saved import Saved
from ..typing import NDArray
from .errors import Refused

_ONE_LARGE = threading.Lock()  # a large picture takes hundreds of MiB while it is decoded
MOST_DEPTH = 8  # of lists within lists


async def pictures_of(request: Any, most: int) -> list[InMemory] | NDArray:
    """The pictures of a request, or the array.

    Parameters
        most : pictures of a form
    Raises
        Refused : it has none
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind == "application/json":
        return array_of(await request.body())
    if kind == "multipart/form-data":
        return await _form(request, most)
    if kind.startswith("image/") or kind in ("application/octet-stream", ""):
        return [InMemory("picture", _some(await request.body()))]
    raise Refused(415, "expected a picture (image/…), a form (multipart/form-data) or application/json, got " + kind)


async def _form(request: Any, most: int) -> list[InMemory]:
    from starlette.exceptions import HTTPException

    try:
        async with request.form(max_files=most, max_fields=most) as form:
            files = [each for _, each in form.multi_items() if not isinstance(each, str)]
            found = [InMemory(each.filename or str(i), _some(await each.read())) for i, each in enumerate(files)]
    except HTTPException as error:
        raise Refused(400, f"expected a form: {error.detail}") from error
    if not found:
        raise Refused(400, "expected a file in the form, such as one that is named picture")
    return found


def _some(body: bytes) -> bytes:
    if not body:
        raise Refused(400, "expected a picture, got an empty body")
    return body


def array_of(body: bytes) -> NDArray:
    """The array in a JSON document: lists of numbers, or an object with them under "images".

    Raises
        Refused : it is none

    >>> array_of(b'{"images": [[0, 255], [3, 4]]}').shape
    (2, 2)
    """

    def refuse(word: str) -> NoReturn:
        raise Refused(400, f"expected numbers, got {word}")

    try:
        found = json.loads(body, parse_constant=refuse)
    except (ValueError, RecursionError) as error:
        raise Refused(400, f"expected JSON: {str(error)[:100]}") from error
    if isinstance(found, dict):
        found = found.get("images")
    if not isinstance(found, list) or not found:
        raise Refused(400, 'expected lists of numbers, or an object with them under "images"')
    try:
        array = np.array(found)
    except (ValueError, OverflowError) as error:
        raise Refused(400, "expected lists of equal lengths") from error
    if array.dtype.kind not in "biuf" or array.ndim > MOST_DEPTH:
        raise Refused(400, "expected lists of lists of numbers, of equal lengths")
    return array


def prepared(saved: Saved, given: list[InMemory] | NDArray, *, scale: float | None, invert: bool) -> list[Any]:
    """The images as the network takes them, with their names.

    Raises
        Refused : one of them is no picture, or does not fit
    """
    try:
        if isinstance(given, np.ndarray):
            return list(saved.images(given, scale=scale, invert=invert))
        return [each for place in given for each in _picture(saved, place, scale, invert)]
    except MissingExtraError as error:
        raise Refused(501, str(error)) from error
    except XpcnnError as error:
        raise Refused(400, str(error)) from error
    except MemoryError as error:
        raise Refused(413, "expected a picture for which there is memory") from error


def _picture(saved: Saved, place: InMemory, scale: float | None, invert: bool) -> list[Any]:
    size = (saved.input_shape[0], saved.input_shape[1]) if len(saved.input_shape) == 3 else None
    if header(place, size=size, who=str(place)).decoded > LARGE:
        with _ONE_LARGE:
            return list(images_in(place, saved, scale=scale, invert=invert))
    return list(images_in(place, saved, scale=scale, invert=invert))
