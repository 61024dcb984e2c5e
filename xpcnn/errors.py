"""The errors and warnings of xpcnn: one line with who, what was expected, what was given, and the remedy.

Such a line may quote a file or a user: `one_line` makes the quotation harmless to a terminal, `shortened` limits it.
"""

from __future__ import annotations

import re
import signal
import warnings
from typing import ClassVar, Self

__all__ = [
    "BackendError",
    "DTypeError",
    "DataError",
    "FileError",
    "FormatError",
    "GradientError",
    "Interrupted",
    "MissingExtraError",
    "NonFiniteError",
    "OptionError",
    "OutOfMemoryError",
    "RankError",
    "ShapeError",
    "XpcnnError",
    "XpcnnWarning",
]


def readable(name: object) -> str:
    r"""A file's name as text that UTF-8 can encode: invalid bytes are written like \xe9, other surrogates as U+FFFD.

    >>> print(readable("caf\udce9"))
    caf\xe9
    """

    def written(match: re.Match[str]) -> str:
        byte = ord(match[0]) - 0xDC00  # as `surrogateescape` encodes it
        return f"\\x{byte:x}" if 0x80 <= byte <= 0xFF else "\ufffd"

    return re.sub("[\ud800-\udfff]", written, str(name))


def printable(text: str) -> str:
    """The `readable` text with U+FFFD for each character that a terminal obeys or does not show.

    >>> printable("red \x1b[31m, new\\nline")
    'red �[31m, new�line'
    """
    if text.isprintable():
        return text
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in readable(text))


def one_line(text: str) -> str:
    """The text as one `printable` line: each run of white space, such as the end of a line, becomes one space.

    >>> one_line("two\\n  lines")
    'two lines'
    """
    return printable(" ".join(text.split()))


def shortened(text: str, most: int = 200) -> str:
    """The text, or its beginning and its end, in at most `most` characters.

    >>> shortened("abcdefghijklmnopqrstuvwxyz", 12)
    'abcdef … xyz'
    """
    if len(text) <= most:
        return text
    end = (most - 3) // 3
    return f"{text[: most - 3 - end]} … {text[len(text) - end :]}"


class XpcnnError(Exception):
    """Base class of all errors that xpcnn raises on purpose.

    It prints as one line, with long parts shortened; the attributes hold the full text. Quotations from files and users
    are in `who` and `got`.

    >>> raise ShapeError("Linear(4→2)", "input (N, 4)", "(8, 3)", "pass in_features=3")
    Traceback (most recent call last):
    xpcnn.errors.ShapeError: Linear(4→2): expected input (N, 4), got (8, 3); pass in_features=3
    """

    _most: ClassVar = {"who": 200, "expected": 400, "got": 200, "remedy": 600}  # printed characters of each part

    def __init__(self, who: str, expected: str, got: str, remedy: str = "") -> None:
        super().__init__(who, expected, got, remedy)
        self.who, self.expected, self.got, self.remedy = who, expected, got, remedy
        self.where: list[str] = []  # names of layers, outermost first; containers fill it in

    def __str__(self) -> str:
        parts = [shortened(one_line(str(getattr(self, part))), most) for part, most in self._most.items()]
        who, expected, got, remedy = parts
        where = f"layer {shortened(one_line('.'.join(self.where)))}: " if self.where else ""
        return f"{where}{who}: expected {expected}, got {got}" + (f"; {remedy}" if remedy else "")


class ShapeError(XpcnnError, ValueError):
    """An array has the wrong shape, or a window does not fit into it.

    >>> import numpy as np
    >>> from xpcnn.nn import Linear
    >>> try:
    ...     Linear(4, 2)(np.ones((8, 3), np.float32))
    ... except ShapeError as error:
    ...     print(error.who, error.expected, error.got, sep=" | ")
    Linear(4→2) | input (N, 4) | (8, 3)
    """


class DTypeError(XpcnnError, TypeError):
    """An array has the wrong element type.

    >>> import numpy as np
    >>> from xpcnn.nn import ReLU
    >>> try:
    ...     ReLU().forward(np.ones((2, 3), int))
    ... except DTypeError as error:
    ...     print(error.who, error.expected, error.got, sep=" | ")
    ReLU | float32 or float64 | int64
    """


class OptionError(XpcnnError, ValueError):
    """An argument has an invalid value.

    >>> from xpcnn.nn import Linear
    >>> Linear(0, 2)
    Traceback (most recent call last):
    xpcnn.errors.OptionError: Linear: expected in_features: an integer ≥ 1, got 0
    """


class BackendError(XpcnnError, RuntimeError):
    """A backend is unknown, missing or unusable, or arrays of two backends meet.

    >>> import xpcnn
    >>> try:
    ...     xpcnn.use_backend("numpi").__enter__()
    ... except BackendError as error:
    ...     print(error.who, error.expected, error.got, sep=" | ")
    XPCNN_BACKEND | one of numpy, cupy, torch, array_api_strict | 'numpi'
    """


class DataError(XpcnnError, ValueError):
    """A data set is missing or invalid: labels out of range, NaN, no items.

    >>> import numpy as np
    >>> from xpcnn.data import Split
    >>> try:
    ...     Split(np.zeros((2, 8, 8, 1), np.uint8), np.array([0, 1, 2]))
    ... except DataError as error:
    ...     print(error.who, error.expected, error.got, sep=" | ")
    Split | labels (2,), one an image | (3,)
    """


class FormatError(XpcnnError, ValueError):
    """A file is not what it claims to be.

    >>> import tempfile
    >>> from pathlib import Path
    >>> from xpcnn.io import load_model
    >>> path = Path(tempfile.mkdtemp()) / "model.safetensors"
    >>> _ = path.write_bytes(b"no model")
    >>> try:
    ...     load_model(path)
    ... except FormatError as error:
    ...     print(error.expected)
    a safetensors file
    """


class FileError(XpcnnError, OSError):
    """A file cannot be read or written: it is missing, the disk is full, access is denied …

    >>> from xpcnn.io import load_model
    >>> try:
    ...     load_model("/no/such/file.safetensors")
    ... except FileError as error:
    ...     print(error.who, error.expected, error.got, sep=" | ")
    /no/such/file.safetensors | a readable file | No such file or directory
    """

    @classmethod
    def unreadable(cls, path: object, error: OSError) -> Self:
        """The error for a file that could not be opened or read, with the reason."""
        return cls(str(path), "a readable file", error.strerror or str(error), "check the name")


class OutOfMemoryError(XpcnnError, MemoryError):
    """There is not enough memory for the operation; saved files are unchanged.

    >>> issubclass(OutOfMemoryError, MemoryError)
    True
    """


class NonFiniteError(XpcnnError, ArithmeticError):
    """NaN or infinity, with which training cannot continue.

    >>> import numpy as np
    >>> from xpcnn.training import accuracy
    >>> accuracy(np.array([[np.nan, 1.0]]), np.array([0]))
    Traceback (most recent call last):
    xpcnn.errors.NonFiniteError: metrics: expected scores without NaN, got NaN in row 0
    """

    _most: ClassVar = XpcnnError._most | {"got": 500}  # it names layer, step and images


class GradientError(XpcnnError, ArithmeticError):
    """A gradient is wrong, or cannot be checked at the given point.

    >>> import numpy as np
    >>> from xpcnn import gradcheck
    >>> from xpcnn.nn import ReLU
    >>> try:
    ...     gradcheck(ReLU(), np.array([[0.0, 1.0]]))
    ... except GradientError as error:
    ...     print(error.who, error.expected, error.got, sep=" | ")
    ReLU | a point where it is differentiable in x | one at a kink
    """


class RankError(XpcnnError, RuntimeError):
    """Another process of the same program has failed, has gone, or hangs.

    Parameters
        missing : the ranks that did not come, of those that hang or have gone

    >>> issubclass(RankError, RuntimeError)
    True
    """

    def __init__(self, who: str, expected: str, got: str, remedy: str = "", missing: tuple[int, ...] = ()) -> None:
        super().__init__(who, expected, got, remedy)
        self.missing = missing


class MissingExtraError(XpcnnError, ImportError):
    """A required optional package is not installed.

    >>> issubclass(MissingExtraError, ImportError)
    True
    """


class Interrupted(KeyboardInterrupt):
    """A signal that asks the program to end, like Ctrl-C; everything that must be saved has been saved.

    Parameters
        number : of the signal: SIGINT, SIGTERM or SIGHUP

    >>> issubclass(Interrupted, KeyboardInterrupt)
    True
    """

    def __init__(self, text: str, number: int = signal.SIGINT) -> None:
        super().__init__(text)
        self.number = int(number)

    def _render_traceback_(self) -> list[str]:
        """What a notebook shows below the cell: where the training stopped, without the lines of the library."""
        return [f"{self}; calling fit again goes on from there"]


class XpcnnWarning(UserWarning):
    """Something was done that is probably not intended; the line says who, what, and what to do about it.

    >>> issubclass(XpcnnWarning, UserWarning)
    True
    """


def warn(who: str, what: str, remedy: str = "") -> None:
    """Issue an `XpcnnWarning` in one line; the command line prints it on standard error.

    Parameters
        who : the function, layer or file concerned
        what : what was done, or left out
        remedy : what the user can do

    >>> with warnings.catch_warnings(record=True) as caught:
    ...     warnings.simplefilter("always")
    ...     warn("data set", "2 files were left out", "see xpcnn data show")
    >>> print(caught[0].message)
    data set: 2 files were left out; see xpcnn data show
    """
    line = f"{shortened(who)}: {shortened(what, 400)}" + (f"; {shortened(remedy, 600)}" if remedy else "")
    warnings.warn(one_line(line), XpcnnWarning, stacklevel=3)
