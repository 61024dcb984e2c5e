"""What `xpcnn COMMAND --help` prints, where a page says {command-help}`COMMAND`."""

from __future__ import annotations

import os
import subprocess
import sys
from typing import Any, ClassVar

from docutils import nodes
from docutils.parsers.rst import Directive
from sphinx.application import Sphinx


class CommandHelp(Directive):
    """`.. command-help:: train`; without an argument, the help of `xpcnn` itself."""

    required_arguments: ClassVar[int] = 0
    optional_arguments: ClassVar[int] = 1

    def run(self) -> list[nodes.Node]:
        words = [*self.arguments, "--help"]
        plain = os.environ | {"COLUMNS": "90", "NO_COLOR": "1"}
        done = subprocess.run(
            [sys.executable, "-m", "xpcnn", *words], capture_output=True, text=True, check=True, env=plain
        )
        text = f"$ xpcnn {' '.join(words)}\n{done.stdout}"
        return [nodes.literal_block(text, text, language="text")]


class Commands(Directive):
    """A section for every command, with its help."""

    def run(self) -> list[nodes.Node]:
        from xpcnn.cli import COMMANDS

        sections = []
        for name in COMMANDS:
            section = nodes.section(ids=[f"xpcnn-{name}"], names=[f"xpcnn {name}"])
            section += nodes.title("", f"xpcnn {name}")
            self.arguments = [name]
            section += CommandHelp.run(self)  # type: ignore[arg-type]
            sections.append(section)
        return sections


def setup(app: Sphinx) -> dict[str, Any]:
    app.add_directive("command-help", CommandHelp)
    app.add_directive("commands", Commands)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
