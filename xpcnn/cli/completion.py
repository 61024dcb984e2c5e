"""`xpcnn completion`.

bash    xpcnn completion bash > ~/.local/share/bash-completion/completions/xpcnn
zsh     xpcnn completion zsh > a folder of $fpath/_xpcnn
tcsh    xpcnn completion tcsh > ~/.xpcnn.tcsh, and source it in ~/.tcshrc
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
