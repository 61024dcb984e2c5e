"""Reads the arguments of commands: model files and classes."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from ..errors import OptionError
from ..nn.predicting import Predictor
from ..saved import Saved, check_one_input, load


def path_word(text: str) -> Path:
    """A word of the command line as a path. An empty word (an unset variable) is refused: Path would turn it into ".".

    Raises
        ArgumentTypeError : the word is empty
    """
    if not text:
        raise argparse.ArgumentTypeError("expected a path, got an empty word")
    return Path(text)


def add_model_argument(parser: argparse.ArgumentParser) -> None:
    """Add the argument `model`, for `model_path`."""
    parser.add_argument("model", type=path_word, help="a model.safetensors, or the folder of a run")


def add_pixel_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the options `invert` and `scale`, for `images_in`."""
    parser.add_argument("--invert", action="store_true", help="swap dark and light: for dark ink on light paper")
    parser.add_argument("--scale", type=float, metavar="S", help="the number that is white (default: as in training)")


class _Owned(Saved):
    """A network that a command alone has, and does not change once it predicts."""

    @cached_property
    def _network(self) -> Predictor:
        return Predictor(self.model, self.input_shape, frozen=True)


def read_model(path: Path) -> Saved:
    """The network of a model file, or of a run's folder, after checking that it has one input and one output.

    Raises
        OptionError : it has several inputs or outputs;  FormatError, FileError : as `load`
    """
    saved = load(path)
    check_one_input(str(path), saved)
    return _Owned(saved.model, saved.input_shape, saved.classes, saved.extra)


def class_number(text: str, classes: Sequence[str]) -> int:
    """The number of the class that `--target` states by its name or number.

    Raises
        OptionError : it is neither

    >>> class_number("dog", ("cat", "dog")), class_number("3", ())
    (1, 3)
    """
    if text in classes:
        return classes.index(text)
    if not text.isdecimal() or len(text) > 18:  # Python converts no integers of thousands of digits
        raise OptionError("--target", f"a class: {', '.join(classes[:20]) or 'a number'}", repr(text))
    return int(text)
