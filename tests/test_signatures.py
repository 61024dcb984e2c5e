"""Public functions keep their arguments and defaults: users who rely on them would get no warning."""

from __future__ import annotations

import inspect
import pkgutil
from importlib import import_module
from pathlib import Path

import xpcnn
from xpcnn.gradient_check import check_pair

from .snapshot import assert_same


def public():
    """Every name in the `__all__` of a package, under the shortest path."""
    packages = [f"xpcnn.{each.name}" for each in pkgutil.iter_modules(xpcnn.__path__) if each.ispkg]
    for package in ("xpcnn", *packages, "xpcnn.data.augment", "xpcnn.exchange.onnx"):
        module = import_module(package)
        for name in getattr(module, "__all__", ()):
            yield f"{package}.{name}", getattr(module, name)

    yield "xpcnn.gradient_check.check_pair", check_pair


def written(function):
    said = []
    for each in inspect.signature(function).parameters.values():
        star = {each.VAR_POSITIONAL: "*", each.VAR_KEYWORD: "**", each.KEYWORD_ONLY: "…"}.get(each.kind, "")
        default = each.default
        if callable(default):
            default = getattr(default, "__name__", type(default).__name__)
        said.append(f"{star}{each.name}" + ("" if default in (each.empty, "_empty") else f"={default!r}"))
    return f"({', '.join(said)})"


def signatures():
    for path, value in public():
        if inspect.isfunction(value):
            yield f"{path}{written(value)}"
        elif inspect.isclass(value):
            if not issubclass(value, BaseException):
                yield f"{path}{written(value)}"
            for name, method in vars(value).items():
                if inspect.isfunction(method) and not name.startswith("_"):
                    yield f"{path}.{name}{written(method)}"


def test_arguments_and_defaults():
    assert_same(Path(__file__).parent / "snapshots" / "signatures.txt", signatures())
