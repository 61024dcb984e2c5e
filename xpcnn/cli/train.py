"""`xpcnn train`."""

from __future__ import annotations

import argparse
import difflib
import tomllib
from dataclasses import fields, replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import data, models
from ..errors import FileError, FormatError, OptionError
from ..training.config import CONFIG, LOGS, OPTIMIZERS, SCHEDULES, RunConfig
from ..training.run import rehearse, resume, start
from .datasets import add_dataset_arguments, dataset_options

_NAMES = tuple(field.name for field in fields(RunConfig))
_OTHERS = ("out", "config", "fast_dev_run")
# Each data set's own defaults, before those of `RunConfig`.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"model": "mnist_cnn", "epochs": 30, "batch_size": 32},
    "mnist": {"model": "lenet5"},
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = RunConfig()
    add_dataset_arguments(parser, nargs="?")
    parser.add_argument("--model", help=f"one of {', '.join(models.MODELS)} (default mnist_cnn; mnist lenet5)")
    parser.add_argument(
        "--epochs", type=int, help=f"passes over the training images (default {default.epochs}; digits 30)"
    )
    parser.add_argument("--batch-size", type=int, help=f"images a step (default {default.batch_size}; digits 32)")
    parser.add_argument("--lr", type=float, help=f"highest learning rate (default {default.lr})")
    parser.add_argument("--optimizer", help=f"one of {', '.join(OPTIMIZERS)} (default {default.optimizer})")
    parser.add_argument("--schedule", help=f"one of {', '.join(SCHEDULES)} (default {default.schedule})")
    parser.add_argument("--weight-decay", type=float, help=f"shrinks the weights (default {default.weight_decay})")
    parser.add_argument(
        "--validation", type=float, help=f"fraction of the training images held out (default {default.validation})"
    )
    parser.add_argument("--patience", type=int, help="stop after so many epochs without improvement (default: never)")
    parser.add_argument("--seed", type=int, help=f"of weights, shuffling and dropout (default {default.seed})")
    parser.add_argument("--accumulate", type=int, help="batches that make one step together (default 1)")
    parser.add_argument("--ema", type=float, help="keep a moving average of the weights, such as 0.999 (default: none)")
    parser.add_argument("--overfit-batches", type=int, metavar="K", help="train on the first K batches alone")
    parser.add_argument("--augment", metavar="TEXT", help="changes images at random: " + ",".join(data.augment.forms()))
    parser.add_argument(
        "--normalize",
        action="store_true",
        default=None,
        help="by the training images' mean and deviation, in the model",
    )
    parser.add_argument("--log", metavar="WORDS", help=f"of every step: {','.join(LOGS)} (default: none)")
    parser.add_argument("--fast-dev-run", action="store_true", help="try all of it with one batch, and keep nothing")
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="a .toml file of these options; those given here win"
    )
    parser.add_argument("--out", type=Path, metavar="DIR", help="the run's folder (default runs/DATASET-MODEL)")
    parser.add_argument("--resume", type=Path, metavar="DIR", help="go on with the run in DIR; takes no other option")
    parser.add_argument("--quiet", action="store_true", help="print the result only")


def run(options: argparse.Namespace) -> None:
    given = {name: value for name in _NAMES if (value := getattr(options, name, None)) is not None}
    if options.option:
        given["options"] = dataset_options(options.option)
    if options.config is not None:
        given = _read(options.config) | given
    if options.resume is not None:
        if given or any(getattr(options, name) for name in _OTHERS):
            also = ", ".join([*given, *(name for name in _OTHERS if getattr(options, name))])
            raise OptionError("--resume", "no other option", also, "the run's config.json holds them")
        folder, work = options.resume, partial(resume, options.resume)
    else:
        if "dataset" not in given:
            raise OptionError("train", "a data set: " + ", ".join(data.names()), "none", "xpcnn train digits")
        config = RunConfig(**(_DEFAULTS.get(str(given["dataset"]), {}) | given))
        name = config.dataset
        if name not in data.names() and Path(name).exists():  # the same one, wherever the run is gone on with
            path = Path(name).expanduser().resolve()
            name, config = path.stem, replace(config, dataset=str(path))
        folder = options.out or _unused(Path("runs") / f"{name}-{config.model}")
        if options.fast_dev_run:
            rehearse(config, folder, verbose=not options.quiet)
            print("one step, validation and checkpoint went well; nothing was kept")
            return
        work = partial(start, config, folder)
    try:
        result = work(verbose=not options.quiet)
    except KeyboardInterrupt as error:
        how = f"; go on with: xpcnn train --resume {folder}" if (folder / CONFIG).exists() else ""
        raise KeyboardInterrupt(f"{str(error) or 'interrupted'}{how}") from None
    well = "loss {test_loss:.6g}" if result["test_accuracy"] is None else "accuracy {test_accuracy:.2%}"
    print(
        f"test {well.format(**result)} of {result['test_images']} images, "
        f"best epoch {result['best_epoch']} of {result['epochs']}, {result['seconds']:.1f} s; kept in {folder}"
    )


def _read(path: Path) -> dict[str, Any]:
    """The options in a TOML file; `RunConfig` looks at their values."""
    try:
        given = tomllib.loads(path.read_text(encoding="utf-8"))
    except (ValueError, UnicodeDecodeError) as error:
        raise FormatError(str(path), "a TOML file", str(error)) from error
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    for name in given:
        if name not in _NAMES:
            near = difflib.get_close_matches(name, _NAMES, 1)
            remedy = f"did you mean {near[0]}?" if near else ""
            raise OptionError(str(path), "keys among " + ", ".join(_NAMES), name, remedy)
    return given


def _unused(folder: Path) -> Path:
    """The folder, with a number behind its name if it exists."""
    candidate, number = folder, 1
    while candidate.exists():
        number += 1
        candidate = folder.with_name(f"{folder.name}-{number}")
    return candidate
