"""The reference: what is public, on pages by what one looks for, made from the package when the documentation is built.

Public is what the `__all__` of a module names, outside of the kernels and the command line. Each name stands once,
under its shortest path (`xpcnn.nn.Conv2d`), below the docstring of the module that defines it, where the equations are;
`topics` says on which page.
"""

from __future__ import annotations

import inspect
import pkgutil
import re
from functools import cache
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from types import ModuleType
from typing import Any

import docstrings
from sphinx.application import Sphinx
from topics import CONSTANTS, TOPICS, Topic

import xpcnn
from xpcnn.explain.drawings import DRAWINGS

INTERNAL = ("xpcnn.kernels.", "xpcnn.cli.", "xpcnn.__main__")
PAGES = Path(__file__).parent.parent / "reference"
LONGEST_HEADING = 70


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


@cache
def public() -> dict[str, str]:
    """The module of each public name: {"xpcnn.nn.Conv2d": "xpcnn.nn.conv", …}; modules are no names."""
    found = [each.name for each in pkgutil.walk_packages(xpcnn.__path__, "xpcnn.") if "._" not in each.name]
    modules = [import_module(name) for name in ("xpcnn", *found) if not f"{name}.".startswith(INTERNAL)]
    known: dict[int, str] = {}
    homes: dict[str, str] = {}
    for module in sorted(modules, key=lambda each: each.__name__.count(".")):
        for name in getattr(module, "__all__", ()):
            value, full = getattr(module, name), f"{module.__name__}.{name}"
            if inspect.ismodule(value) or id(value) in known:
                continue
            known[id(value)] = full
            if inspect.isclass(value) or inspect.isfunction(value):
                homes[full] = value.__module__
            else:
                homes[full] = f"xpcnn.{CONSTANTS[full][0]}" if full in CONSTANTS else module.__name__
    return homes


@cache
def names_of(module: str) -> tuple[str, ...]:
    """The public names of a module below `xpcnn`, in the order of its source."""
    return tuple(sorted((name for name, home in public().items() if home == f"xpcnn.{module}"), key=_line))


def names_on(topic: Topic) -> list[str]:
    return [name for module in topic.modules for name in names_of(module)]


def value_of(full: str) -> Any:
    home, _, name = full.rpartition(".")
    return getattr(import_module(home), name)


def _line(full: str) -> int:
    value = value_of(full)
    return inspect.getsourcelines(value)[1] if inspect.isclass(value) or inspect.isfunction(value) else 0


def _write(app: Sphinx) -> None:
    rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    targets: dict[str, str] = {}
    for full in public():
        name = full.rpartition(".")[2]
        targets |= {full: full, full.removeprefix("xpcnn."): full}
        if not name.islower() or "_" in name:  # a class, or a name of several words
            targets.setdefault(name, full)
    targets |= {f"xpcnn.{module}": f"module-{module}" for topic in TOPICS for module in topic.modules}
    app.xpcnn_targets = targets  # type: ignore[attr-defined]
    for topic in TOPICS:
        (PAGES / f"{topic.name}.rst").write_text(_page(topic, targets), "utf-8")
    (PAGES / "index.rst").write_text(_index(), "utf-8")


def _index() -> str:
    rows = []
    for topic in TOPICS:
        links = ", ".join(_link(name) for name in names_on(topic) if not name.startswith("xpcnn.ops."))
        rows.append(f"    * - :doc:`{topic.name}`\n\n        {topic.about}\n      - {links}")
    table = ".. list-table::\n    :widths: 35 65\n    :class: topics\n\n" + "\n".join(rows)
    toc = ".. toctree::\n    :hidden:\n\n" + "\n".join(f"    {topic.name}" for topic in TOPICS)
    text = (
        "By what one looks for. A layer's page also has its operation: the pair of functions that computes it, with "
        "the equations and a drawing. Everything is in the :ref:`alphabetical index <genindex>`, too; names of "
        "PyTorch, Keras and scikit-learn are in :doc:`a table <../coming_from/names>`, and commands have "
        ":doc:`their page <../command_line>`."
    )
    return f"{_heading('Reference', '=')}\n\n{text}\n\n{table}\n\n{toc}\n"


def _link(full: str) -> str:
    return f":py:obj:`{full.rpartition('.')[2]} <{full}>`"


def _page(topic: Topic, targets: dict[str, str]) -> str:
    parts = [_heading(topic.title, "="), topic.about]
    for module in topic.modules:
        parts += _section(import_module(f"xpcnn.{module}"), module, targets)
    return "\n\n".join(parts) + "\n"


def _section(module: ModuleType, name: str, targets: dict[str, str]) -> list[str]:
    """The docstring of a module below its first sentence, its drawing, and its public names."""
    title, text = titled(inspect.getdoc(module) or "")
    parts = [f".. _module-{name}:", _heading(title, "-"), docstrings.to_rst(text, targets.get)]
    kind, _, last = name.rpartition(".")
    if kind == "ops" and last in DRAWINGS:
        parts.append(f".. drawings:: {last}")
    for full in names_of(name):
        value = value_of(full)
        if full in CONSTANTS:
            parts.append(f".. py:data:: {full}\n\n    {docstrings.to_rst(CONSTANTS[full][1], targets.get)}")
        elif inspect.isclass(value):
            parts.append(f".. autoclass:: {full}\n    :members:\n    :special-members: __call__")
        else:
            parts.append(f".. autofunction:: {full}")
    return parts


def titled(text: str) -> tuple[str, str]:
    """A docstring's first sentence as a heading, and the rest; with a long one, its beginning and the whole."""
    first, _, rest = text.partition("\n\n")
    sentence, _, more = " ".join(first.split()).partition(". ")
    plain = re.sub(r"(; equations |, which ).*", "", sentence.replace("`", "")).rstrip(".")
    if len(plain) <= LONGEST_HEADING:
        said = plain == sentence.rstrip(".")  # and not less than the sentence
        return plain, "\n\n".join(each for each in (more, rest) if each) if said else text
    for mark in (";", ":"):
        if len(plain.partition(mark)[0]) <= LONGEST_HEADING:
            return plain.partition(mark)[0], text
    return plain[:LONGEST_HEADING].rpartition(",")[0] or plain, text


def _heading(text: str, line: str) -> str:
    return f"{text}\n{line * len(text)}"
