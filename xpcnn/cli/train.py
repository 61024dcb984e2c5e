"""`xpcnn train`."""

from __future__ import annotations

import argparse
import signal
import warnings
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

from .. import data, models
from ..distributed import Group, init
from ..distributed.launch import launch
from ..distributed.start import TIMEOUT
from ..errors import (
    FileError,
    Interrupted,
    OptionError,
    OutOfMemoryError,
    RankError,
    XpcnnError,
    printable,
)
from ..optim import OPTIMIZERS
from ..options import as_count
from ..training.checkpoint import CHECKPOINT
from ..training.claim import Claim, names
from ..training.config import CONFIG, LOGS, SCHEDULES, RunConfig
from ..training.run import dry_run, resume, start
from ..training.run_files import RESULT
from ..training.sharded_gradients import SHARDS
from ..training.tallies import metrics_in_words
from .datasets import add_dataset_arguments, dataset_options
from .files import path_word
from .train_settings import SETTINGS, absolute, config_of, out_folder, read_settings, stem

MOST_PROCESSES = 1024  # on one machine


def add_arguments(parser: argparse.ArgumentParser) -> None:
    default = RunConfig()
    add_dataset_arguments(parser, nargs="?")
    parser.add_argument(
        "--model", help=f"one of {', '.join(models.MODELS)} (default mnist_cnn; mnist lenet5; masks unet_small)"
    )
    parser.add_argument(
        "--epochs", type=int, help=f"passes over the training images (default {default.epochs}; digits 30)"
    )
    parser.add_argument("--batch-size", type=int, help=f"images a step (default {default.batch_size}; digits 32)")
    rates = ", ".join(f"{name} {each.lr}" for name, each in OPTIMIZERS.items() if name != default.optimizer)
    parser.add_argument("--lr", type=float, help=f"highest learning rate (default {default.lr}; {rates})")
    parser.add_argument("--optimizer", help=f"one of {', '.join(OPTIMIZERS)} (default {default.optimizer})")
    parser.add_argument("--schedule", help=f"one of {', '.join(SCHEDULES)} (default {default.schedule})")
    parser.add_argument(
        "--weight-decay", type=float, help=f"shrinks the weights (default {default.weight_decay} with adamw, else 0)"
    )
    parser.add_argument(
        "--validation", type=float, help=f"fraction of the training images held out (default {default.validation})"
    )
    parser.add_argument(
        "--patience", type=int, metavar="N", help="stop after N epochs without improvement (default: never)"
    )
    parser.add_argument(
        "--monitor",
        metavar="NUMBER",
        help="by which the best epoch is chosen, such as validation_loss, validation_f1 or train_loss "
        "(default: validation_accuracy, then validation_loss)",
    )
    parser.add_argument("--min-delta", type=float, metavar="D", help="an epoch is better by more than D (default 0)")
    parser.add_argument("--seed", type=int, help=f"of weights, shuffling and dropout (default {default.seed})")
    parser.add_argument("--accumulate", type=int, help="batches that make one step together (default 1)")
    parser.add_argument("--ema", type=float, help="keep a moving average of the weights, such as 0.999 (default: none)")
    parser.add_argument("--overfit-batches", type=int, metavar="K", help="train on the first K batches alone")
    parser.add_argument("--drop-last", action="store_true", default=None, help="leave a short last batch out")
    parser.add_argument("--augment", metavar="TEXT", help="changes images at random: " + ",".join(data.augment.forms()))
    parser.add_argument(
        "--normalize",
        action="store_true",
        default=None,
        help="by the training images' mean and deviation, in the model",
    )
    parser.add_argument(
        "--from",
        dest="source",
        metavar="SOURCE",
        help="fine-tune the network in a run's folder, a model.safetensors, a .onnx file or the file at an address "
        "https://…#sha256=… or hf:OWNER/NAME/FILE; "
        "with --model, take weights for it from there, such as a PyTorch state_dict in safetensors",
    )
    parser.add_argument("--unused", metavar="NAMES", help="arrays of that file to leave out, such as 'aux*'")
    parser.add_argument("--freeze", metavar="NAMES", help="parameters not to train, such as 'conv1*,layer[123]*'")
    parser.add_argument("--unfreeze-at", type=int, metavar="EPOCH", help="train them, too, from that epoch on")
    parser.add_argument(
        "--lr-scale", metavar="NAMES", help="factors on the learning rate of parameters, such as 'layer*=0.1,fc*=2'"
    )
    parser.add_argument("--decay-scale", metavar="NAMES", help="likewise on their weight decay, such as 'embed*=0'")
    parser.add_argument(
        "--no-bias-decay",
        action="store_true",
        default=None,
        help="no weight decay on biases, and on scales and shifts of norms",
    )
    parser.add_argument("--class-weight", metavar="balanced", help="give all classes the same weight in the loss")
    parser.add_argument(
        "--cache-features",
        action="store_true",
        default=None,
        help="compute the frozen part's outputs once, and keep them",
    )
    parser.add_argument("--log", metavar="WORDS", help=f"of every step: {','.join(LOGS)} (default: none)")
    parser.add_argument(
        "--keep-every", type=int, metavar="N", help="keep a model after each N epochs, for explain --epochs"
    )
    parser.add_argument(
        "--shards",
        type=int,
        metavar="S",
        help="cut each batch into S parts; 0: one a process (default: at most 8 with processes)",
    )
    parser.add_argument("--processes", type=int, metavar="N", help="train with N processes on this machine, over MPI")
    parser.add_argument(
        "--timeout", type=float, metavar="SECONDS", default=TIMEOUT, help="that one process waits for another (300)"
    )
    parser.add_argument("--fast-dev-run", action="store_true", help="try all of it with one batch, and keep nothing")
    parser.add_argument(
        "--config", type=path_word, metavar="FILE", help="a .toml file of these options; those given here win"
    )
    parser.add_argument("--out", type=path_word, metavar="DIR", help="the run's folder (default runs/DATASET-MODEL)")
    parser.add_argument(
        "--resume",
        type=path_word,
        metavar="DIR",
        help="go on with the run in DIR, with --epochs to another number in all; where its data set has moved, name it",
    )
    parser.add_argument("--quiet", action="store_true", default=None, help="print the result only")


def run(options: argparse.Namespace) -> int:
    if options.processes is not None:
        processes = as_count("train", "--processes", options.processes, most=MOST_PROCESSES)
        if processes > 1:
            return launch(["-m", "xpcnn", *_without_processes(options.words)], processes)
    group = init(timeout=options.timeout)
    try:
        with group.together():
            if group.rank:
                warnings.simplefilter("ignore")
            _run(options, group)
            group.end()
    except (XpcnnError, KeyboardInterrupt) as error:
        if group.size == 1 or group.speaks:
            raise
        return 128 + getattr(error, "number", signal.SIGINT) if isinstance(error, KeyboardInterrupt) else 2
    return 0


def _without_processes(words: Sequence[str]) -> list[str]:
    """The command's words without --processes and its number."""
    rest = list(words)
    for at in reversed(range(len(rest))):
        if rest[at].startswith("--processes"):
            del rest[at : at + (1 if "=" in rest[at] else 2)]
    return rest


def _run(options: argparse.Namespace, group: Group) -> None:
    given = {name: value for name in SETTINGS if (value := getattr(options, name, None)) is not None}
    if options.option:
        given["options"] = dataset_options(options.option)
    if options.config is not None:
        given = read_settings(options.config) | given
    quiet = given.pop("quiet", False)
    if not isinstance(quiet, bool):
        raise OptionError("train quiet", "true or false", repr(quiet))
    if options.resume is not None:
        begin, ended = _resumption(options, given), (options.resume / RESULT).exists() and options.epochs is None
        _carry_out(begin, options.resume, group, verbose=not quiet, ended=ended)
        return
    out, config = out_folder(given.pop("out", None)), config_of(given)
    if "shards" not in given and (options.processes is not None or group.size > 1):
        config = replace(config, shards=min(max(SHARDS, group.size), config.batch_size))
    usual = Path("runs") / f"{stem(config.dataset)}-{config.model or stem(config.source)}"
    if options.fast_dev_run:
        folder = out or next(name for name in names(usual) if not name.exists())
        dry_run(config, folder, verbose=not quiet and not group.rank, group=group)
        if not group.rank:
            print("one step, validation and checkpoint went well; nothing was kept")
    elif out is not None or group.rank:
        _carry_out(partial(start, config, out or usual), out or usual, group, verbose=not quiet)
    else:
        with Claim(usual, numbered=True) as claim:
            if claim.folder != usual and not quiet:
                print(f"{printable(str(usual))} exists; this run goes to {printable(str(claim.folder))}")
            _carry_out(partial(start, config, claim.folder, claim=claim), claim.folder, group, verbose=not quiet)


def _carry_out(
    run: Callable[..., dict[str, Any]], folder: Path, group: Group, *, verbose: bool, ended: bool = False
) -> None:
    """Carry out the run in that folder, and report at its end."""
    try:
        result = run(verbose=verbose, group=group)
    except KeyboardInterrupt as error:
        said = "; ".join([str(error) or "interrupted", *_how_to_go_on(folder)])
        raise Interrupted(said, getattr(error, "number", signal.SIGINT)) from None
    except (FileError, RankError) as error:  # such as a full disk
        error.remedy = "; ".join(filter(None, [error.remedy, *_how_to_go_on(folder)]))
        raise
    except (MemoryError, SystemError) as error:  # SystemError: modules raise it if memory runs out during import
        smaller = "a run with a smaller --batch-size needs less, and --accumulate 2 makes the same steps of halves"
        remedy = "; ".join([*_how_to_go_on(folder), smaller])
        raise OutOfMemoryError(
            "train", "more memory", getattr(error, "got", str(error)) or "no more", remedy
        ) from error
    if group.rank:
        return
    well = "loss {test_loss:z.6g}" if result["test_accuracy"] is None else "accuracy {test_accuracy:.2%}"
    if result["test_accuracy"] is None and result["test_metrics"]:
        well += f" ({metrics_in_words(result['test_metrics'])})"
    elif "mean_iou" in result["test_metrics"]:
        well = f"pixel {well}, mean IoU {result['test_metrics']['mean_iou']:.4f}"
    print(
        f"test {well.format(**result)} of {result['test_images']} images, "
        f"best epoch {result['best_epoch']} of {result['epochs']}, {result['seconds']:.1f} s; "
        f"kept in {printable(str(folder))}" + ("; it had ended already" if ended else "")
    )


def _resumption(options: argparse.Namespace, given: dict[str, Any]) -> Callable[..., dict[str, Any]]:
    """`resume`, for the run in a folder and, if given, its data set's new location."""
    dataset, epochs = given.pop("dataset", None), given.pop("epochs", None)
    if also := [*given, *(name for name in ("config", "fast_dev_run") if getattr(options, name))]:
        raise OptionError(
            "--resume", "no other option but --epochs", ", ".join(also), "the run's config.json holds them"
        )
    return partial(resume, options.resume, dataset and absolute(dataset), epochs=epochs)


def _how_to_go_on(folder: Path) -> list[str]:
    if (folder / CHECKPOINT).exists():
        return [f"go on with: xpcnn train --resume {folder}"]
    if (folder / CONFIG).exists():
        return [f"nothing was kept yet; begin again with: xpcnn train --resume {folder}"]
    return []
