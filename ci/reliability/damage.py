"""Damages files: bytes that change, are lost, occur twice or claim a size; and documents with other values.

Each function takes bytes and a generator and returns other bytes.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import numpy as np

Rng = np.random.Generator
Change = Callable[[bytes, Rng], bytes]

NUMBERS = (0, 1, -1, 2, 3, 255, 256, 2**15, 2**16, 2**31 - 1, 2**31, -(2**31), 2**32, 2**40, 2**62, 2**63 - 1, -(2**63))
VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1, 2**31, 2**63, -(2**63), 10**400, 0.5, -0.0, 1e308, 1e-320, "", "x", "nan", "\x1b[31m",
    "../../etc/passwd", "a" * 3000, [], {}, [[]], {"": {}}, [0] * 300, {"type": "Linear"}, [[[[[[]]]]]],
)  # fmt: skip


def damage(data: bytes, rng: Rng) -> bytes:
    """One to three of the changes that do not depend on the format."""
    for _ in range(rng.integers(1, 4)):
        data = _BYTES[rng.integers(len(_BYTES))](data, rng) or b"\0"
    return data


def flip(data: bytes, rng: Rng) -> bytes:
    """Flip one bit."""
    changed = bytearray(data)
    changed[_place(data, rng)] ^= 1 << int(rng.integers(8))
    return bytes(changed)


def _place(data: bytes, rng: Rng) -> int:
    """A random position; half of the time near the start, where headers are."""
    return int(rng.integers(min(len(data), 400) if rng.random() < 0.5 else len(data)))


def _other_byte(data: bytes, rng: Rng) -> bytes:
    changed = bytearray(data)
    changed[_place(data, rng)] = int(rng.integers(256))
    return bytes(changed)


def _number(data: bytes, rng: Rng) -> bytes:
    """Replace a number: a length, a count, an offset."""
    size = (1, 2, 4, 8)[rng.integers(4)]
    value: int = NUMBERS[rng.integers(len(NUMBERS))] & (256**size - 1)
    at = _place(data, rng) // size * size
    return data[:at] + value.to_bytes(size, "little" if rng.random() < 0.5 else "big") + data[at + size :]


def _digits(data: bytes, rng: Rng) -> bytes:
    """Replace a number in a text."""
    found = list(re.finditer(rb"\d+", data[:20000]))
    if not found:
        return flip(data, rng)
    match = found[rng.integers(len(found))]
    return data[: match.start()] + str(NUMBERS[rng.integers(len(NUMBERS))]).encode() + data[match.end() :]


def _cut(data: bytes, rng: Rng) -> bytes:
    return data[: _place(data, rng)]


def _append(data: bytes, rng: Rng) -> bytes:
    return data + rng.bytes(int(rng.integers(1, 40)))


def _drop(data: bytes, rng: Rng) -> bytes:
    at = _place(data, rng)
    return data[:at] + data[at + int(rng.integers(1, 40)) :]


def _splice(data: bytes, rng: Rng) -> bytes:
    """Repeat a piece of the file in another place."""
    start, to = _place(data, rng), _place(data, rng)
    piece = data[start : start + int(rng.integers(1, 200))]
    return data[:to] + piece + data[to + (len(piece) if rng.random() < 0.5 else 0) :]


def _zeros(data: bytes, rng: Rng) -> bytes:
    """Replace a block with zeros, as after a disk lost it."""
    at, size = _place(data, rng), int(rng.integers(1, 600))
    return data[:at] + bytes(min(size, len(data) - at)) + data[at + size :]


_BYTES: tuple[Change, ...] = (flip, flip, _other_byte, _number, _number, _digits, _cut, _append, _drop, _splice, _zeros)


def replaced(document: Any, rng: Rng) -> Any:
    """A JSON document with one to three values replaced, dropped, added or exchanged."""
    document = json.loads(json.dumps(document))
    for _ in range(rng.integers(1, 4)):
        places = [(parent, key) for parent, key in _places(document)]
        if not places:
            break
        parent, key = places[rng.integers(len(places))]
        chance = rng.random()
        if chance < 0.6:
            parent[key] = _other(parent[key], rng)
        elif chance < 0.75:
            del parent[key]
        elif chance < 0.9:
            other, name = places[rng.integers(len(places))]
            parent[key] = json.loads(json.dumps(other[name]))
        elif isinstance(parent, dict):
            parent["another"] = VALUES[rng.integers(len(VALUES))]
        else:
            parent.append(VALUES[rng.integers(len(VALUES))])
    return document


def _places(document: Any) -> list[tuple[Any, Any]]:
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    return [place for key in keys for place in ((document, key), *_places(document[key]))]


def _other(value: Any, rng: Rng) -> Any:
    if isinstance(value, int | float) and not isinstance(value, bool) and rng.random() < 0.5:
        number = NUMBERS[rng.integers(len(NUMBERS))]
        return (value + 1, -value, float(number), number, number, number)[rng.integers(6)]
    return VALUES[rng.integers(len(VALUES))]


def edit_json(data: bytes, rng: Rng) -> bytes:
    """A JSON file with other values, sometimes with text that is not JSON."""
    text = json.dumps(replaced(json.loads(data), rng))
    if rng.random() < 0.1:
        strange = ["NaN", "-Infinity", "1e999", "[" * 5000, '{"a":' * 3000, "0" * 5000, "9" * 5000, '"\\ud800"']
        found = list(re.finditer(r"[\d.]+", text))
        if found:
            match = found[rng.integers(len(found))]
            text = text[: match.start()] + strange[rng.integers(len(strange))] + text[match.end() :]
    return text.encode()


def edit_lines(data: bytes, rng: Rng) -> bytes:
    """A text of lines and cells (CSV, TOML) with one value, line or separator changed."""
    lines = data.decode().split("\n")
    for _ in range(rng.integers(1, 4)):
        at = int(rng.integers(len(lines)))
        cells = re.split(r"([,=])", lines[at])
        cell = int(rng.integers(len(cells)))
        strange = [
            "", "nan", "inf", "1e999", "-1", "256", "NA", "x", '"', "1,2", "0x10", "[" * 3000, "{ a = 1 }", "١", "\x00",
            "9" * 5000, "'", "true", "[1, 2]", "1979-05-27", "\x1b[2J", "é" * 100,
        ]  # fmt: skip
        cells[cell] = strange[rng.integers(len(strange))]
        lines[at] = "".join(cells)
        if rng.random() < 0.2:
            lines.insert(at, lines[int(rng.integers(len(lines)))])
        if rng.random() < 0.1:
            del lines[int(rng.integers(len(lines)))]
        lines = lines or [""]
    return "\n".join(lines).encode()


def within_gzip(data: bytes, rng: Rng) -> bytes:
    """Damage to the unpacked contents, packed again with the right checksum."""
    return gzip.compress(damage(gzip.decompress(data), rng), 1, mtime=0)


def within_png(data: bytes, rng: Rng) -> bytes:
    """Damage to a chunk, with the right checksum."""
    chunks, at = [], 8
    while at + 12 <= len(data):
        size = int.from_bytes(data[at : at + 4], "big")
        chunks.append((data[at + 4 : at + 8], data[at + 8 : at + 8 + size]))
        at += 12 + size
    chosen = int(rng.integers(len(chunks)))
    made = data[:8]
    for i, (name, body) in enumerate(chunks):
        if i == chosen and body:
            body = _BYTES[rng.integers(len(_BYTES))](body, rng)
        made += len(body).to_bytes(4, "big") + name + body + zlib.crc32(name + body).to_bytes(4, "big")
    return made


def within_zip(data: bytes, rng: Rng) -> bytes:
    """Damage to a member or its name, in an intact archive."""
    made = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(data)) as old:
        members = [(name, old.read(name)) for name in old.namelist()]
    at = int(rng.integers(len(members)))
    with zipfile.ZipFile(made, "w", zipfile.ZIP_DEFLATED if rng.random() < 0.3 else zipfile.ZIP_STORED) as new:
        for i, (name, member) in enumerate(members):
            if i == at and rng.random() < 0.2:
                name = str(rng.choice(["../x.npy", "x", "images.npy", "labels.npy", "/etc/x.npy", "y_test.npy"]))
            elif i == at:
                member = damage(member[:128], rng) + member[128:] if rng.random() < 0.7 else damage(member, rng)
            if i != at or rng.random() < 0.95:
                new.writestr(zipfile.ZipInfo(name), member)
    return made.getvalue()
