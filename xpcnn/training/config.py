"""The settings of a run: names and numbers, from the command line, a TOML file or a run's config.json."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

from .. import data, models
from ..errors import DataError, FormatError, OptionError, XpcnnError
from ..io.document import parse_json
from ..optim import OPTIMIZERS
from ..optim.schedule import Constant, Cosine, Exponential, OneCycle, Plateau, Schedule, StepDecay, WarmUp
from ..options import MOST_SEED, as_count, as_number, did_you_mean

# Each takes the highest rate and the number of steps of the whole run.
SCHEDULES: dict[str, Callable[[float, int], Schedule]] = {
    "constant": lambda lr, total: Constant(lr),
    "step": lambda lr, total: StepDecay(lr, every=max(1, total // 3)),  # two cuts to a tenth
    "exponential": lambda lr, total: Exponential(lr, 0.01, every=total),  # to a hundredth by the end
    "cosine": Cosine,
    "warmup": lambda lr, total: WarmUp(Cosine(lr, total), max(1, total // 20)),
    "onecycle": OneCycle,
    "plateau": lambda lr, total: Plateau(lr),
}

CONFIG = "config.json"  # in a run's folder
LOGS = ("csv", "tensorboard")
# Settings that config.json of xpcnn 0.1 does not hold; their defaults match its behaviour.
LATER = (
    *("accumulate", "ema", "options", "augment", "normalize", "overfit_batches", "drop_last", "log", "shards"),
    *("source", "unused", "freeze", "unfreeze_at", "lr_scale", "cache_features", "keep_every"),
    *("decay_scale", "no_bias_decay", "monitor", "min_delta", "class_weight"),
)


@dataclass(frozen=True)
class RunConfig:
    """The settings of `xpcnn train`, with the same defaults.

    Raises
        OptionError : names the invalid setting
    """

    dataset: str = "digits"  # a name or a path, see `data.load`
    model: str = "mnist_cnn"  # "" for that of the source
    epochs: int = 15
    batch_size: int = 64
    lr: float = OPTIMIZERS["adamw"].lr
    optimizer: str = "adamw"
    schedule: str = "onecycle"
    weight_decay: float = OPTIMIZERS["adamw"].weight_decay
    validation: float = 0.1  # fraction of the training images that is held out
    patience: int | None = None
    seed: int = 0
    options: dict[str, Any] = field(default_factory=dict)  # for the data set's function
    augment: str = ""  # see `data.augment.parse`
    normalize: bool = False  # with the training images' mean and deviation, in the model's first layer
    accumulate: int = 1  # batches per step
    ema: float | None = None  # decay of the weights' moving average
    overfit_batches: int = 0  # train on this many first batches alone
    shards: int = 1  # of a batch, see `Trainer`
    log: str = ""  # words of `LOGS`, separated by commas
    drop_last: bool = False  # skip a short last batch
    source: str = ""  # the file, run or address of a network, or of weights for the model, to begin with
    unused: str = ""  # patterns of the source's arrays that the model does not have
    freeze: str = ""  # patterns of parameters that are not trained
    unfreeze_at: int | None = None  # the epoch from which they are
    lr_scale: str = ""  # factors on the learning rate, see `lr_scales`
    cache_features: bool = False  # compute the outputs of the frozen part once
    keep_every: int = 0  # epochs from one kept model to the next; 0 keeps the best alone
    decay_scale: str = ""  # factors on the weight decay, see `decay_scales`
    no_bias_decay: bool = False  # none on parameters of one axis, see `optim.no_bias_decay`
    monitor: str = ""  # the number by which epochs are compared, see `Trainer`
    min_delta: float = 0.0  # by how much the best must be better
    class_weight: str = ""  # "balanced", or "" for none

    def __post_init__(self) -> None:
        for name, known in (("optimizer", OPTIMIZERS), ("schedule", SCHEDULES), ("model", models.MODELS)):
            if name == "model" and self.model == "" and self.source:
                continue
            if not isinstance(getattr(self, name), str) or getattr(self, name) not in known:
                given = getattr(self, name)
                raise OptionError(
                    f"train {name}", "one of " + ", ".join(known), repr(given), did_you_mean(given, known)
                )
        for name, kind, what in (
            ("dataset", str, "a name or a path"),
            ("options", dict, "a table of the data set's options"),
            ("augment", str, "text, such as 'flip,crop:4'"),
            ("normalize", bool, "true or false"),
            ("drop_last", bool, "true or false"),
            ("log", str, "text, such as 'csv,tensorboard'"),
            ("source", str, "a file, the folder of a run, or an address"),
            ("unused", str, "names, such as 'aux*'"),
            ("freeze", str, "names, such as 'layer1*,layer2*'"),
            ("lr_scale", str, "factors by names, such as 'layer*=0.1'"),
            ("decay_scale", str, "factors by names, such as '*.bias=0'"),
            ("no_bias_decay", bool, "true or false"),
            ("monitor", str, "a number of an epoch, such as 'validation_f1'"),
            ("class_weight", str, "'balanced'"),
            ("cache_features", bool, "true or false"),
        ):
            if not isinstance(getattr(self, name), kind):
                raise OptionError(f"train {name}", what, repr(getattr(self, name)))
        if not self.dataset:  # a path would make the current folder of it
            raise OptionError("train dataset", "a name or a path", repr(self.dataset))
        if self.augment:
            data.augment.parse(self.augment, num_classes=2)  # raises if a word is unknown
        if unknown := [word for word in self.logs if word not in LOGS]:
            raise OptionError("train log", "words among " + ", ".join(LOGS), repr(unknown[0]))
        as_count("train", "epochs", self.epochs)
        as_count("train", "batch_size", self.batch_size)
        if as_count("train", "shards", self.shards, least=0) > self.batch_size:
            expected = f"shards: at most the {self.batch_size} images of a batch"
            raise OptionError("train", expected, str(self.shards), "raise --batch-size, or say --shards")
        as_count("train", "seed", self.seed, least=0, most=MOST_SEED)
        if self.patience is not None:
            as_count("train", "patience", self.patience)
        as_count("train", "accumulate", self.accumulate)
        as_count("train", "overfit_batches", self.overfit_batches, least=0)
        as_count("train", "keep_every", self.keep_every, least=0)
        if self.ema is not None:
            as_number("train", "ema", self.ema, "(0, 1)")
        self._check_freezing()
        as_number("train", "lr", self.lr, "(0, inf)")
        as_number("train", "weight_decay", self.weight_decay, "[0, inf)")
        as_number("train", "validation", self.validation, "[0, 1)")
        if as_number("train", "min_delta", self.min_delta, "[0, inf)") and not self.monitor:
            remedy = "such as --monitor validation_loss"
            raise OptionError("train min_delta", "a number to monitor, as there is min_delta", "none", remedy)
        if self.class_weight not in ("", "balanced"):
            raise OptionError("train class_weight", "'balanced'", repr(self.class_weight))

    @property
    def logs(self) -> list[str]:
        """The words of `log`."""
        return words(self.log)

    @property
    def lr_scales(self) -> dict[str, float]:
        """The factors on the learning rate by patterns: "layer*=0.1,fc*=2"."""
        return _factors("lr_scale", self.lr_scale)

    @property
    def decay_scales(self) -> dict[str, float]:
        """Those on the weight decay."""
        return _factors("decay_scale", self.decay_scale)

    def _check_freezing(self) -> None:
        """Refuse settings of fine-tuning that do not fit each other."""
        for name, value, needed in (
            ("unused", self.unused, "source"),
            ("freeze", self.freeze, "source"),
            ("unfreeze_at", self.unfreeze_at is not None, "freeze"),
            ("cache_features", self.cache_features, "freeze"),
        ):
            if value and not getattr(self, needed):
                remedy = f"leave {name} out" + (": random layers would stay random" if name == "freeze" else "")
                raise OptionError(
                    f"train {name}",
                    "a network to begin with (--from)" if needed == "source" else "a frozen part (--freeze)",
                    "none",
                    remedy,
                )
        if self.unused and not self.model:
            raise OptionError("train unused", "an architecture (--model), to which weights are given", "none")
        if self.unfreeze_at is not None and as_count("train", "unfreeze_at", self.unfreeze_at, least=2) > self.epochs:
            raise OptionError("train unfreeze_at", f"an epoch from 2 to {self.epochs}, the last", str(self.unfreeze_at))
        if self.cache_features and self.augment:
            remedy = "leave one of them out"
            raise OptionError("train cache_features", "images that stay the same", f"augment {self.augment}", remedy)
        _ = self.lr_scales, self.decay_scales


def _factors(option: str, text: str) -> dict[str, float]:
    pairs = [word.rpartition("=") for word in words(text)]
    try:
        return {key: as_number("train", option, float(factor), "[0, inf)") for key, _, factor in pairs}
    except ValueError:
        expected = "factors by names, such as 'layer*=0.1'"
        raise OptionError(f"train {option}", expected, repr(text)) from None


def words(text: str) -> list[str]:
    """The words of a text, which commas separate.

    >>> words("csv, tensorboard")
    ['csv', 'tensorboard']
    """
    return [word.strip() for word in text.split(",") if word.strip()]


def read_config(folder: Path) -> RunConfig:
    """The settings of the run in that folder.

    Raises
        DataError : there is no run;  FormatError : its config.json is broken
    """
    path = folder / CONFIG
    try:
        described = parse_json(path.read_bytes())
        names = [field.name for field in fields(RunConfig)]
        return RunConfig(**{name: described[name] for name in names if name in described or name not in LATER})
    except FileNotFoundError:
        raise DataError("resume", f"a run in {folder}", "no config.json", "name a folder that --out made") from None
    except (XpcnnError, ValueError, KeyError, TypeError, OSError) as error:
        raise FormatError(str(path), "a run's configuration", f"{type(error).__name__}: {error}") from error
