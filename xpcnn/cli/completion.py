"""`xpcnn completion`.

bash    xpcnn completion bash > ~/.local/share/bash-completion/completions/xpcnn
zsh     xpcnn completion zsh > _xpcnn, in a folder that $fpath names
fish    xpcnn completion fish > ~/.config/fish/completions/xpcnn.fish
"""

from __future__ import annotations

import argparse

from ..extras import need


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "shell", choices=("bash", "zsh", "fish", "tcsh", "powershell"), help="whose words the script speaks"
    )
    parser.epilog = "bash: xpcnn completion bash > ~/.local/share/bash-completion/completions/xpcnn"


def run(options: argparse.Namespace) -> None:
    from . import COMMANDS, parser

    shtab = need("shtab", "completion", "to write the script")
    print(shtab.complete(parser(COMMANDS), shell=options.shell), end="")
