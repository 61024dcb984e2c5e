"""The `xpcnn` command. Each subcommand is a file of this folder, imported when it is run.

Exit status: 0 done; 1 a gradient check that failed; 2 wrong options, missing or broken files, each with one line on
standard error; 130 interrupted, as by Ctrl-C; 141 nobody reads the output any more; 143 terminated, by SIGTERM (but
130 where training has finished its step first).
"""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import warnings
from collections.abc import Iterable, Sequence
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

COMMANDS = {
    "train": "train a model on a data set",
    "eval": "accuracy of a saved model on a data set's test images, or on all of them",
    "predict": "what a saved model says of pictures or .npy arrays",
    "plot": "pictures of a run, a model, what it looks at and where it errs, or a data set",
    "explain": "real numbers through one layer, forward and backward, beside its formula",
    "data": "list, download and look at data sets",
    "export": "write a saved model for ONNX, PyTorch or MLX",
    "summary": "a table of a model's layers",
    "gradcheck": "check every layer's hand-written gradients on this machine",
    "info": "versions, backend, BLAS, threads and implementations on this machine",
    "doctor": "versions, backend, BLAS, and whether all is well: a block to paste into a bug report",
    "completion": "a script that completes this command's words in a shell, such as bash",
}


class _Parser(argparse.ArgumentParser):
    """One line for a wrong option, without the usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self.set_defaults(prog=self.prog)  # the innermost one's stays: "xpcnn plot batch"

    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"{self.prog}: {message}{end} see {self.prog} --help\n")

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            from ..options import did_you_mean

            remedy = did_you_mean(value, action.choices or ())
            error.message += f"; {remedy}" if remedy else ""
            raise


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line; always ends in SystemExit, with SIGINT and SIGTERM handled as a process's end wants it."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    terminated = False
    if sys.stdout is None:  # closed: what is printed is for nobody
        sys.stdout = io.StringIO()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for × in a log in ASCII, as Python does on standard error

    def terminate(number: int, frame: FrameType | None) -> None:
        nonlocal terminated
        terminated = True
        raise KeyboardInterrupt("terminated")

    signal.signal(signal.SIGTERM, terminate)
    try:
        status = _run(_parse(words))
    except KeyboardInterrupt as error:  # also while modules are imported
        for number in (signal.SIGINT, signal.SIGTERM):  # in what Python still does, one more would print a traceback
            signal.signal(number, signal.SIG_IGN)
        print(f"xpcnn: {str(error) or 'interrupted'}", file=sys.stderr)
        status = 143 if terminated else 130
    sys.exit(status)


def _parse(words: list[str]) -> argparse.Namespace:
    chosen = next((word for word in words if not word.startswith("-")), None)
    spoken = parser([chosen] if chosen in COMMANDS else [])
    options, unknown = spoken.parse_known_args(words)
    if options.version:
        from .. import __version__

        print(f"xpcnn {__version__}")
        sys.exit(0)
    if unknown:
        spoken.exit(2, f"{options.prog}: unrecognized arguments: {' '.join(unknown)}; see {options.prog} --help\n")
    if options.command is None:
        spoken.print_help()
        sys.exit(2)
    return options


def parser(complete: Iterable[str]) -> argparse.ArgumentParser:
    """The command line's parser; only the commands in `complete`, which are imported, know their own options."""
    whole = _Parser(
        prog="xpcnn", description="Convolutional networks with every gradient written by hand.", allow_abbrev=False
    )
    whole.add_argument("--version", action="store_true", help="print the version and exit")
    commands = whole.add_subparsers(dest="command", metavar="COMMAND", parser_class=_Parser)
    for name, purpose in COMMANDS.items():
        command = commands.add_parser(
            name, help=purpose, allow_abbrev=False, description=purpose[0].upper() + purpose[1:] + "."
        )
        if name in complete:
            import_module(f"{__name__}.{name}").add_arguments(command)
    return whole


def _run(options: argparse.Namespace) -> int:
    from ..errors import GradientError, XpcnnError

    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = import_module(f"{__name__}.{options.command}").run(options)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader of our output has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 141
    except (XpcnnError, OSError, MemoryError) as error:
        line, status = _described(error), 1 if isinstance(error, GradientError) else 2
    else:
        return status or 0
    print(f"xpcnn: {line}", file=sys.stderr)
    return status


def _described(error: Exception) -> str:
    from ..errors import XpcnnError

    if isinstance(error, MemoryError):  # what the frames hold is needed to say so
        each: BaseException | None = error
        while each is not None:
            each.__traceback__, each = None, each.__cause__ or each.__context__
    line = str(error)
    if isinstance(error, OSError) and not isinstance(error, XpcnnError):
        line = _system_error(error)
    elif isinstance(error, MemoryError) and not isinstance(error, XpcnnError):
        line = f"not enough memory: {line or 'no more'}; pass fewer or smaller images at a time"
    return one_line(line) or type(error).__name__


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(f"xpcnn: warning: {one_line(str(message))}", file=sys.stderr)


def one_line(text: str) -> str:
    """The text in one line that does nothing to a terminal, whatever a file put into it."""
    return "".join(letter if letter.isprintable() else "\ufffd" for letter in " ".join(text.split()))


def _system_error(error: OSError) -> str:
    where = f"{error.filename}: " if error.filename else ""
    return f"{where}{error.strerror or error}"
