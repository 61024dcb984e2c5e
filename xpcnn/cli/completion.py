"""`xpcnn completion`.

bash    xpcnn completion bash > ~/.local/share/bash-completion/completions/xpcnn
zsh     xpcnn completion zsh > _xpcnn, in a folder that $fpath names
fish    xpcnn completion fish > ~/.config/fish/completions/xpcnn.fish
"""

from __future__ import annotations

import argparse

from .. import data, models
from ..extras import need
from ..optim import OPTIMIZERS
from ..training.config import SCHEDULES

_NAMES = {
    "dataset": data.names(),
    "name": data.names(),
    "model": tuple(models.MODELS),
    "optimizer": tuple(OPTIMIZERS),
    "schedule": tuple(SCHEDULES),
}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("shell", choices=("bash", "zsh", "fish", "tcsh", "powershell"), help="the shell")
    parser.epilog = "bash: xpcnn completion bash > ~/.local/share/bash-completion/completions/xpcnn"


def run(options: argparse.Namespace) -> None:
    from . import COMMANDS, parser

    shtab = need("shtab", "completion", "to write the script")
    whole = parser(COMMANDS)
    _offer_names(whole)
    print(shtab.complete(whole, shell=options.shell), end="")


def _offer_names(parser: argparse.ArgumentParser) -> None:
    """Give arguments their known names as choices, only for the script: commands check the names themselves.

    A data set may also be a path, and so may the model of `summary`; an argument that is always a path has no names.
    """
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for command in action.choices.values():
                _offer_names(command)
        elif action.choices is None and action.type is None:
            action.choices = _NAMES.get(action.dest)
