"""The reference: a page for each public module, made from the package itself when the documentation is built.

What a package exports stands under the package's name (`xpcnn.nn.Conv2d`), on the page of the module that defines it,
below that module's docstring, where the formulas are.
"""

from __future__ import annotations

import inspect
import pkgutil
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from shutil import rmtree
from types import ModuleType
from typing import Any

import docstrings
from sphinx.application import Sphinx

import xpcnn
from xpcnn.explain.drawings import DRAWINGS

INTERNAL = {"__main__", "cli", "typing", "options", "extras"}
PAGES = Path(__file__).parent.parent / "reference"


@dataclass(frozen=True)
class Page:
    """A module, and the names on its page: where each is found, and what it is called there."""

    module: ModuleType
    home: str  # the package that exports the names, or the module itself
    names: tuple[str, ...]


def setup(app: Sphinx) -> dict[str, Any]:
    app.connect("builder-inited", _write)
    return {"parallel_read_safe": True, "parallel_write_safe": True}


def parts() -> list[str]:
    """The parts of xpcnn that the reference describes, as `xpcnn.nn`."""
    found = (each.name for each in pkgutil.iter_modules(xpcnn.__path__) if not each.name.startswith("_"))
    return [f"xpcnn.{name}" for name in found if name not in INTERNAL]


def pages(part: str) -> list[Page]:
    """The part's own page, and those of its modules."""
    package = import_module(part)
    modules = [package]
    if hasattr(package, "__path__"):
        found = (each.name for each in pkgutil.walk_packages(package.__path__, f"{part}."))
        modules += [import_module(name) for name in found if "._" not in name]
    return [_page(package, module) for module in modules]


def _page(package: ModuleType, module: ModuleType) -> Page:
    exported = [name for name in getattr(package, "__all__", ()) if _defined_in(module, getattr(package, name))]
    if exported:
        return Page(module, package.__name__, tuple(_by_source(package, exported)))
    own = [name for name in vars(module) if not name.startswith("_") and _defined_in(module, getattr(module, name))]
    return Page(module, module.__name__, tuple(_by_source(module, own)))


def _defined_in(module: ModuleType, value: Any) -> bool:
    return (inspect.isclass(value) or inspect.isfunction(value)) and value.__module__ == module.__name__


def _by_source(home: ModuleType, names: list[str]) -> list[str]:
    return sorted(names, key=lambda name: inspect.getsourcelines(getattr(home, name))[1])


def _write(app: Sphinx) -> None:
    rmtree(PAGES, ignore_errors=True)
    PAGES.mkdir()
    targets: dict[str, str] = {}
    listed = []
    for part in parts():
        own, *others = pages(part)
        for page in (own, *others):
            targets[page.module.__name__] = page.module.__name__
            for name in page.names:
                full = f"{page.home}.{name}"
                targets |= {full: full, full.removeprefix("xpcnn."): full}
                if name not in targets and not name.islower():  # a class, or a name of several words
                    targets[name] = full
                elif "_" in name:
                    targets.setdefault(name, full)
        listed.append(part)
        (PAGES / f"{part}.rst").write_text(_package(own, others))
        for page in others:
            (PAGES / f"{page.module.__name__}.rst").write_text(_module(page))
    (PAGES / "index.rst").write_text(_index(listed))
    app.xpcnn_targets = targets  # type: ignore[attr-defined]


def _index(listed: list[str]) -> str:
    rows = "\n".join(f"    * - :doc:`{part}`\n      - {_summary(import_module(part))}" for part in listed)
    table = f".. list-table::\n    :widths: 25 75\n\n{rows}"
    toc = ".. toctree::\n    :hidden:\n\n" + "\n".join(f"    {part}" for part in listed)
    own = ", ".join(f":py:obj:`{name} <{home}>`" for name, home in _top_level().items())
    text = "Made from the docstrings. The command line has :doc:`its own page <../command_line>`.\n\n"
    text += f"Of ``xpcnn`` itself: {own}."
    return f"{_heading('Reference')}\n\n{text}\n\n{table}\n\n{toc}\n"


def _top_level() -> dict[str, str]:
    """What `xpcnn` itself exports, and the names under which it stands in the reference."""
    values = {name: getattr(xpcnn, name) for name in xpcnn.__all__}
    return {
        name: f"{value.__module__}.{value.__qualname__}"
        for name, value in values.items()
        if inspect.isclass(value) or inspect.isfunction(value)
    }


def _package(own: Page, others: list[Page]) -> str:
    name = own.module.__name__
    text = f"{_module(own)}\n"
    if others:
        rows = []
        for page in others:
            links = ", ".join(f":py:obj:`{each} <{page.home}.{each}>`" for each in page.names)
            rows.append(f"    * - :doc:`{page.module.__name__}`\n      - {_summary(page.module)}\n      - {links}")
        text += f".. list-table::\n    :header-rows: 1\n    :widths: 25 40 35\n\n    * - {name}\n      - \n      - \n"
        text += "\n".join(rows)
        text += (
            "\n\n.. toctree::\n    :hidden:\n\n" + "\n".join(f"    {page.module.__name__}" for page in others) + "\n"
        )
    return text


def _module(page: Page) -> str:
    name = page.module.__name__
    package, _, last = name.rpartition(".")
    hidden = (
        "    :no-index:\n" if last in getattr(import_module(package), "__all__", ()) and page.home == package else ""
    )
    text = f"{_heading(name)}\n\n.. automodule:: {name}\n{hidden}"
    if package == "xpcnn.ops" and last in DRAWINGS:
        text += f"\n.. drawings:: {last}\n"
    for name in page.names:
        kind = "class" if inspect.isclass(getattr(import_module(page.home), name)) else "function"
        members = "    :members:\n    :special-members: __call__\n" if kind == "class" else ""
        text += f"\n.. auto{kind}:: {page.home}.{name}\n{members}"
    return text


def _summary(module: ModuleType) -> str:
    first = (inspect.getdoc(module) or "").partition("\n\n")[0].partition("\n")[0]
    return docstrings.to_rst(first).strip()


def _heading(text: str) -> str:
    return f"{text}\n{'=' * len(text)}"
