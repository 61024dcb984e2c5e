"""The `xpcnn` command. Each subcommand is a file of this folder, imported when it is run.

Exit status: 0 done; 1 a gradient check failed, or an answer of the course is not right; 2 wrong options, missing or
broken files, each with one line on standard error; 129 hung up by SIGHUP, for example because the terminal was closed;
130 interrupted, for example by Ctrl-C; 141 the reader of the output has gone; 143 terminated by SIGTERM. Training
finishes its step and writes a checkpoint before it ends with 129, 130 or 143. A signal that is ignored when the program
starts stays ignored: SIGHUP under nohup, SIGINT in the background of a script.
"""

from __future__ import annotations

import argparse
import atexit
import io
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterable, Sequence
from contextlib import suppress
from importlib import import_module
from types import FrameType
from typing import Any, NoReturn

from ..errors import GradientError, Interrupted, XpcnnError, one_line, shortened

COMMANDS = {
    "train": "train a model on a data set",
    "eval": "accuracy of a saved model on a data set's test images, or on all of them",
    "predict": "what a saved model says of pictures or .npy arrays",
    "serve": "answer requests for predictions over HTTP, with a page to drop pictures on",
    "plot": "pictures of a run, a model, what it looks at and where it errs, or a data set",
    "explain": "real numbers through one layer, or a whole training step, beside their formulas",
    "data": "list, download and look at data sets",
    "export": "write a saved model for ONNX, PyTorch or MLX, or as a program of NumPy calls",
    "summary": "a table of a model's layers",
    "course": "exercises on backpropagation, as notebooks and plain files, that check themselves",
    "gradcheck": "check every layer's hand-written gradients on this machine",
    "info": "versions, backend, BLAS, threads and implementations on this machine",
    "doctor": "versions, backend, BLAS, and whether all is well: a block to paste into a bug report",
    "completion": "a script that completes this command's words in a shell, such as bash",
}


_ENDS = {
    getattr(signal, name): word
    for name, word in (("SIGINT", "interrupted"), ("SIGTERM", "terminated"), ("SIGHUP", "hung up"))
    if hasattr(signal, name)  # Windows has no SIGHUP
}


class _Closed(io.StringIO):
    """Replaces a standard output that is closed."""


class _Parser(argparse.ArgumentParser):
    """Reports a wrong option in one line, without the usage."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._between = False
        self.set_defaults(prog=self.prog)  # the innermost parser's stays: "xpcnn plot batch"

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """Options may stand between the words of a command of which one is optional, as `layer` is in `explain`."""
        if self._between or not any(action.nargs == "?" for action in self._get_positional_actions()[:-1]):
            return super().parse_known_args(args, namespace)
        self._between = True  # argparse calls this function again, first without the positional words
        try:
            return self.parse_known_intermixed_args(args, namespace)
        finally:
            self._between = False

    def error(self, message: str) -> NoReturn:
        end = "" if message.endswith("?") else ";"
        self.exit(2, f"{self.prog}: {_quoted(message)}{end} see {self.prog} --help\n")

    def _print_message(self, message: str, file: Any = None) -> None:
        """Prints as argparse does, but fails if the message cannot be printed, for example on a full disk."""
        if file is not sys.stdout:
            super()._print_message(message, file)
            return
        try:
            sys.stdout.write(message)
            sys.stdout.flush()
        except OSError as error:
            sys.exit(_unwritten(error))

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        try:
            super()._check_value(action, value)
        except argparse.ArgumentError as error:
            from ..options import did_you_mean

            remedy = did_you_mean(value, action.choices or ())
            error.message += f"; {remedy}" if remedy else ""
            raise


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line. It always ends in SystemExit, with the signals of `_ENDS` set for the end of a process."""
    words = list(sys.argv[1:] if arguments is None else arguments)
    starting, received = True, 0
    again = threading.Timer(0, _send_again)  # that sends a signal once more
    if sys.stdout is None:
        sys.stdout = _Closed()
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # for × in an ASCII log, as Python does on standard error

    def send_soon(number: int) -> None:
        nonlocal again
        again = threading.Timer(0.01, _send_again, (number,))
        again.start()

    def end(number: int, frame: FrameType | None) -> None:
        nonlocal received
        received = number
        if starting:  # imported modules may convert an exception to another, or lose it; nothing is open yet
            _tell(_ENDS[signal.Signals(number)])
            os._exit(128 + number)
        if _importing(frame):
            send_soon(number)
        else:
            raise Interrupted(_ENDS[signal.Signals(number)], number)

    def unraisable(lost: Any) -> None:
        if isinstance(lost.exc_value, Interrupted):  # it came while Python was cleaning up: raise it again afterwards
            send_soon(lost.exc_value.number)
        else:
            sys.__unraisablehook__(lost)

    for number in _ENDS:
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, end)
    atexit.register(_ignore_signals)
    before, sys.unraisablehook = sys.unraisablehook, unraisable
    try:
        options = _parse(words)
        starting = False
        status = _run(options)
    except KeyboardInterrupt as error:
        status = _interrupted(error)
    except Exception:
        if not received:
            raise
        status = _interrupted(Interrupted(_ENDS[signal.Signals(received)], received))  # a module converted it
    finally:
        starting, sys.unraisablehook = False, before
        again.cancel()
    sys.exit(status)


def _importing(frame: FrameType | None) -> bool:
    """True while a module is imported: one written in C++ may abort the process later if an exception stops it."""
    while frame is not None and frame.f_code.co_filename != "<frozen importlib._bootstrap>":
        frame = frame.f_back
    return frame is not None


def _send_again(number: int) -> None:
    if hasattr(signal, "pthread_kill"):  # wakes the main thread
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:
        signal.raise_signal(number)


def _ignore_signals() -> None:
    for number in _ENDS:  # during Python's shutdown, another one would print a traceback
        signal.signal(number, signal.SIG_IGN)


def _interrupted(error: KeyboardInterrupt) -> int:
    """Report the interruption, and return the exit status."""
    _ignore_signals()
    _tell(str(error) or _ENDS[signal.SIGINT])
    try:
        sys.stdout.flush()
    except OSError:  # the terminal has gone
        _drop_output()
    return 128 + getattr(error, "number", signal.SIGINT)


def _parse(words: list[str]) -> argparse.Namespace:
    chosen = next((word for word in words if not word.startswith("-")), None)
    spoken = parser([chosen] if chosen in COMMANDS else [])
    if any("\0" in word for word in words):
        spoken.error("a word with a null byte")
    options, unknown = spoken.parse_known_args(words)
    options.words = words
    if options.version:
        from .. import __version__

        spoken._print_message(f"xpcnn {__version__}\n", sys.stdout)
        sys.exit(0)
    if unknown:
        told = _quoted(f"unrecognized arguments: {' '.join(unknown)}")
        spoken.exit(2, f"{options.prog}: {told}; see {options.prog} --help\n")
    if options.command is None:
        spoken.print_help()
        sys.exit(2)
    return options


def parser(complete: Iterable[str]) -> argparse.ArgumentParser:
    """The command line's parser; only the commands in `complete` are imported and have their options."""
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
    try:
        with warnings.catch_warnings():
            warnings.showwarning = _show_warning
            status = import_module(f"{__name__}.{options.command}").run(options)
        sys.stdout.flush()
        if isinstance(sys.stdout, _Closed) and sys.stdout.getvalue() and options.command != "train":  # it keeps a model
            _tell("standard output is closed, and what was to be printed is lost")
            return 2
    except BrokenPipeError as error:
        return _unwritten(error)
    except XpcnnError as error:
        _forget_frames(error)
        _tell(str(error))
        return 1 if isinstance(error, GradientError) else 2
    except OSError as error:
        where = f"{shortened(str(error.filename))}: " if error.filename else ""
        _tell(f"{where}{error.strerror or error}")
        try:
            sys.stdout.flush()
        except OSError:  # writing to it has failed; Python would try once more when it exits
            _drop_output()
        return 2
    except MemoryError as error:
        _forget_frames(error)
        _tell(f"not enough memory: {str(error) or 'no more'}; pass fewer or smaller images at a time")
        return 2
    except (OverflowError, RecursionError) as error:  # more than Python can hold
        _tell(str(error) or type(error).__name__)
        return 2
    return status or 0


def _unwritten(error: OSError) -> int:
    """Report why writing to standard output fails, unless its reader has gone, and return the exit status."""
    _drop_output()
    if isinstance(error, BrokenPipeError):
        return 141
    _tell(error.strerror or str(error))
    return 2


def _forget_frames(error: BaseException) -> None:
    """Release the objects in the frames: after a MemoryError, the report needs the memory."""
    each: BaseException | None = error if isinstance(error, MemoryError) else None
    while each is not None:
        each.__traceback__, each = None, each.__cause__ or each.__context__


def _drop_output() -> None:
    with suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    _tell(f"warning: {message}")


def _tell(text: str) -> None:
    """Print one line on standard error, if it still exists."""
    if sys.stderr is not None:
        with suppress(OSError):
            print(f"xpcnn: {one_line(text)}", file=sys.stderr)


def _quoted(message: str) -> str:
    """Argparse's message, with each quoted word escaped and shortened."""
    return shortened(one_line(" ".join(map(shortened, message.split()))), 600)
