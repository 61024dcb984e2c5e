"""The settings of `xpcnn train`: from its options, a TOML file, and defaults that suit the data set."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path
from typing import Any

from .. import data
from ..data.registry import reader_of
from ..data.remote_weights import is_address
from ..errors import FileError, FormatError, OptionError
from ..io.document import parse_toml
from ..optim import OPTIMIZERS
from ..options import did_you_mean, expanded
from ..training.config import RunConfig

SETTINGS = (*(field.name for field in fields(RunConfig)), "out", "quiet")
_IN_FILES = {"source": "from"}  # a TOML file has the options' names, which Python may not allow
# Each data set's defaults, which override those of `RunConfig`.
_DEFAULTS: dict[str, dict[str, Any]] = {
    "digits": {"model": "mnist_cnn", "epochs": 30, "batch_size": 32},
    "mnist": {"model": "lenet5"},
}


def config_of(given: dict[str, Any]) -> RunConfig:
    """The given settings, completed by defaults that suit the data set and the optimizer."""
    if "dataset" not in given:
        raise OptionError("train", "a data set: " + ", ".join(data.names()), "none", "xpcnn train digits")
    defaults: dict[str, Any] = {}
    dataset, name = given["dataset"], given.get("optimizer")
    if isinstance(dataset, str):
        defaults |= _DEFAULTS.get(dataset, {})
    if isinstance(name, str) and name in OPTIMIZERS:
        defaults |= {"lr": OPTIMIZERS[name].lr, "weight_decay": OPTIMIZERS[name].weight_decay}
    if isinstance(dataset, str) and _has_masks(dataset, given.get("options", {})):
        defaults |= {"model": "unet_small"}
    if given.get("source"):
        defaults |= {"model": ""}
    made = RunConfig(**(defaults | given))
    source = made.source if not made.source or is_address(made.source) else absolute(made.source)
    return replace(made, dataset=absolute(made.dataset), source=source)


def _has_masks(dataset: str, options: Any) -> bool:
    """True if there is a class for each pixel."""
    path = expanded("train dataset", dataset)
    known = dataset in data.names() or not path.is_dir() or not isinstance(options, dict)
    return not known and reader_of(dataset, path, options) is data.mask_folder


def absolute(dataset: str) -> str:
    """The absolute path of a data set in a file or folder; names stay names."""
    path = expanded("train dataset", dataset)
    return dataset if dataset in data.names() or not path.exists() else str(path.resolve())


def stem(dataset: str) -> str:
    """The name of a data set, or of its file or folder."""
    return dataset if dataset in data.names() else Path(dataset.partition("#")[0]).stem


def out_folder(out: Any) -> Path | None:
    """The folder that was asked for, if any."""
    if not isinstance(out, str | Path | None) or "\0" in str(out):
        raise OptionError("train out", "the name of a folder", repr(out))
    return expanded("train out", out) if out else None


def read_settings(path: Path) -> dict[str, Any]:
    """The options in a TOML file; `RunConfig` checks their values."""
    try:
        given = parse_toml(path.read_text(encoding="utf-8-sig"))
    except ValueError as error:
        raise FormatError(str(path), "a TOML file", str(error)) from error
    except OSError as error:
        raise FileError.unreadable(path, error) from error
    keys = [_IN_FILES.get(name, name) for name in SETTINGS]
    for name, value in given.items():
        if name not in keys:
            under = f"keys stand by themselves, not under [{name}]"
            remedy = under if isinstance(value, dict) else did_you_mean(name, keys)
            raise OptionError(str(path), "keys among " + ", ".join(keys), name, remedy)
    return {next((own for own, key in _IN_FILES.items() if key == name), name): each for name, each in given.items()}
