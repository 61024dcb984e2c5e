"""What xpcnn raises: one line that says who, what was expected, what came, and how to mend it; and how it warns."""

from __future__ import annotations

import warnings
from typing import Self


def printable(text: str) -> str:
    """The text with U+FFFD for each character that a terminal obeys, does not show, or that UTF-8 cannot write.

    >>> printable("red \x1b[31m, new\\nline")
    'red �[31m, new�line'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in text)


def one_line(text: str) -> str:
    """The text as one `printable` line: each run of white space, such as a line's end, is one space.

    >>> one_line("two\\n  lines")
    'two lines'
    """
    return printable(" ".join(text.split()))


class XpcnnError(Exception):
    """Base of every error that xpcnn raises on purpose.

    >>> raise ShapeError("Linear(4→2)", "input (N, 4)", "(8, 3)", "pass in_features=3")
    Traceback (most recent call last):
    xpcnn.errors.ShapeError: Linear(4→2): expected input (N, 4), got (8, 3); pass in_features=3
    """

    def __init__(self, who: str, expected: str, got: str, remedy: str = "") -> None:
        super().__init__(who, expected, got, remedy)
        self.who, self.expected, self.got, self.remedy = who, expected, got, remedy
        self.where: list[str] = []  # where in the network, outermost first; containers fill it in

    def __str__(self) -> str:
        where = f"layer {'.'.join(self.where)}: " if self.where else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return one_line(f"{where}{self.who}: expected {self.expected}, got {self.got}{remedy}")


class ShapeError(XpcnnError, ValueError):
    """An array has the wrong shape, or a window does not fit into it."""


class DTypeError(XpcnnError, TypeError):
    """An array has the wrong element type."""


class OptionError(XpcnnError, ValueError):
    """An argument has a value that makes no sense."""


class BackendError(XpcnnError, RuntimeError):
    """A backend is unknown, missing or unusable, or arrays of two backends meet."""


class DataError(XpcnnError, ValueError):
    """A data set is missing or holds what it must not: labels out of range, NaN, no items."""


class FormatError(XpcnnError, ValueError):
    """A file is not what it claims to be."""


class FileError(XpcnnError, OSError):
    """A file cannot be read or written: it is missing, the disk is full, nobody may …"""

    @classmethod
    def unreadable(cls, path: object, error: OSError) -> Self:
        """That a file could not be opened or read, and why."""
        return cls(str(path), "a readable file", error.strerror or str(error), "check the name")


class NonFiniteError(XpcnnError, ArithmeticError):
    """NaN or infinity where training cannot go on."""


class GradientError(XpcnnError, ArithmeticError):
    """A gradient is wrong, or cannot be checked where it was asked about."""


class MissingExtraError(XpcnnError, ImportError):
    """An optional package is needed and not installed."""


class XpcnnWarning(UserWarning):
    """Something was done that is probably not what was meant; the line says who, what, and what to do about it."""


def warn(who: str, what: str, remedy: str = "") -> None:
    """Issue an `XpcnnWarning` in one line; the command line prints it on standard error.

    Parameters
        who : the function, layer or file that it is about
        what : what was done, or left out
        remedy : what to do, in words that can be followed

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("data set", "2 files were left out", "see xpcnn data show")
    >>> print(caught[0].message)
    data set: 2 files were left out; see xpcnn data show
    """
    warnings.warn(f"{who}: {what}" + (f"; {remedy}" if remedy else ""), XpcnnWarning, stacklevel=3)
