"""Opens tables of text: .csv and .tsv, also compressed as .gz, in UTF-8 or another encoding that is stated."""

from __future__ import annotations

import codecs
import csv
import gzip
import io
import os
import re
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

from ..errors import FileError, FormatError, OptionError

TABLES = (".csv", ".tsv", ".csv.gz", ".tsv.gz")
_LONGEST_ROW = 2**22  # characters, of the first one
_MARKS = {codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}  # with which Excel's Unicode text begins


def is_table(path: str | os.PathLike[str]) -> bool:
    """True if the name is that of a table.

    >>> is_table("train.CSV"), is_table("train.csv.gz"), is_table("train.gz")
    (True, True, False)
    """
    return os.fspath(path).lower().endswith(TABLES)


@contextmanager
def open_table(path: Path, encoding: str, most_bytes: int) -> Iterator[IO[str]]:
    """The table's text, unpacked, without a mark at its beginning.

    Parameters
        encoding : of the text; a mark of UTF-16 at its beginning is believed
        most_bytes : refuse larger files, and larger texts in compressed ones
    Raises
        FormatError : bytes that are no text in that encoding, or too many;  FileError : it cannot be read
        OptionError : there is no such encoding
    """
    encoding = as_encoding(str(path), encoding)
    try:
        with path.open("rb") as raw, _unpacked(path, raw, most_bytes) as file:
            start = file.read(2)
            file.seek(0)
            with io.TextIOWrapper(file, _MARKS.get(start, encoding), newline="") as text:
                yield text
    except UnicodeDecodeError as error:
        remedy = "pass encoding='cp1252', or what it was written in; to a command, --option encoding=cp1252"
        expected = "text in UTF-8" if error.encoding.startswith("utf-8") else f"text in {error.encoding}"
        found = f"byte {error.start}: {error.reason}"
        raise FormatError(str(path), expected, found, remedy) from None
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise FormatError(str(path), "a gzip file", str(error), "get the file again") from error
    except OSError as error:
        raise FileError.unreadable(path, error) from error


def as_encoding(who: str, encoding: str) -> str:
    """The encoding's name for Python; UTF-8 may have a mark at its beginning.

    Raises
        OptionError : there is none of that name, or it is none of text
    """
    try:
        found = codecs.lookup(encoding)
        "".encode(encoding)  # LookupError for hex and the like
    except (LookupError, TypeError, ValueError):
        raise OptionError(who, "encoding: a text's, such as utf-8 or cp1252", repr(encoding)) from None
    return "utf-8-sig" if found.name == "utf-8" else found.name


def _unpacked(path: Path, raw: IO[bytes], most_bytes: int) -> IO[bytes]:
    size = os.fstat(raw.fileno()).st_size
    if not path.name.lower().endswith(".gz"):
        if size > most_bytes:
            raise FormatError(str(path), f"at most {most_bytes} bytes", "a larger file", "pass most_bytes")
        return raw
    with gzip.open(raw) as packed:
        text = packed.read(most_bytes + 1)
    if len(text) > most_bytes:
        raise FormatError(str(path), f"at most {most_bytes} bytes of text", "more", "pass most_bytes")
    return io.BytesIO(text)


def first_row(who: str, file: IO[str], what: str, *, least: int = 2) -> tuple[list[str], str]:
    """The fields of the first row that is not empty, at least so many, and their separator.

    Parameters
        what : each row holds, in words
    Raises
        FormatError
    """
    line = file.readline(_LONGEST_ROW)
    while line and not line.strip():
        line = file.readline(_LONGEST_ROW)
    separator = max(";\t,", key=line.count)  # with equal counts, not the comma: it may be in numbers
    try:
        first = [field.strip() for field in next(csv.reader([line], delimiter=separator), [])]
    except csv.Error as error:
        raise FormatError(who, what, str(error)) from None
    if len(first) < least:
        raise FormatError(who, f"{what}, separated by commas", repr(line[:40]))
    if separator != "," and (wrong := [field for field in first if re.fullmatch(r"[+-]?\d+,\d+", field)]):
        raise FormatError(who, "numbers with a decimal point", repr(wrong[0]), "write 0.5 for 0,5")
    return first, separator


class Rows(NamedTuple):
    """A table with a header: the columns' names, and each row's fields and its line."""

    names: list[str]
    fields: list[list[str]]
    lines: list[int]


def read_rows(path: Path, what: str, encoding: str, most_bytes: int) -> Rows:
    """All rows of a table with a header, without empty ones.

    Raises
        FormatError : rows of several lengths, columns of one name, or no rows;  others as `open_table`
    """
    who = str(path)
    with open_table(path, encoding, most_bytes) as file:
        names, separator = first_row(who, file, what, least=1)
        file.seek(0)
        reader, rows = csv.reader(file, delimiter=separator, strict=True), Rows(names, [], [])
        try:
            for row in reader:
                if any(field.strip() for field in row):
                    rows.fields.append([field.strip() for field in row])
                    rows.lines.append(reader.line_num)
        except csv.Error as error:
            raise FormatError(who, what, f"line {reader.line_num}: {error}") from None
    del rows.fields[0], rows.lines[0]
    if doubled := next((name for name in names if names.count(name) > 1), None):
        raise FormatError(who, "columns whose names differ", f"{doubled!r} twice", "rename one of them")
    for fields, line in zip(rows.fields, rows.lines, strict=True):
        if len(fields) != len(names):
            remedy = "put fields that have commas into quotes"
            raise FormatError(who, f"{len(names)} fields in each row", f"{len(fields)} in line {line}", remedy)
    if not rows.fields:
        raise FormatError(who, "rows below the header", "none")
    return rows
