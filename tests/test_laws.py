"""The laws of the design that can be read off the code: imports point one way, layers cache nothing."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn.nn.examples import EXAMPLES

PACKAGE = Path(xpcnn.__file__).parent

# Each part may import itself and what stands before it.
ORDER = [
    {"errors", "typing", "settings"},
    {"backend", "random"},
    {"ops"},
    {"nn"},
    {"gradcheck", "optim", "data", "models", "io"},
    {"training"},
    {"cli", "__main__"},
]
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
# io saves layers and data and models say what is saved: these may also import each other in this one direction
HEAVY = {
    "cupy",
    "matplotlib",
    "PIL",
    "torch",
    "rich",
    "safetensors",
    "threadpoolctl",
    "platformdirs",
    "array_api_compat",
}


def imports(path: Path):
    """(top-level?, absolute module name) of every import in the file."""
    tree = ast.parse(path.read_text())
    package = ["xpcnn", *path.relative_to(PACKAGE).parts[:-1]]
    typing_only = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING"
        for inner in ast.walk(node)
    }
    inside = {
        id(inner)
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        for inner in ast.walk(node)
    }
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield id(node) not in inside, alias.name
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            stem = ".".join([*base, *([node.module] if node.module else [])])
            for alias in node.names:
                full = f"{stem}.{alias.name}"
                is_module = (PACKAGE.parent / Path(*full.split("."))).exists() or (
                    PACKAGE.parent / Path(*full.split("."))
                ).with_suffix(".py").exists()
                yield id(node) not in inside, full if is_module else stem


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_imports_point_one_way(path):
    here = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    for _, module in imports(path):
        parts = module.split(".")
        if parts[0] != "xpcnn" or len(parts) == 1:
            continue
        if here == "kernels":
            assert parts[1] in {"kernels", "ops", "backend", "typing", "errors", "settings"}, (
                f"kernels imports {module}"
            )
        else:
            assert parts[1] != "kernels", f"{path.name} imports {module}: kernels are reached through ops/dispatch.py"
            assert LEVEL[parts[1]] <= LEVEL[here], f"{here} imports {module}, which stands above it"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_optional_and_heavy_packages_are_imported_where_they_are_used(path):
    for top_level, module in imports(path):
        assert not (top_level and module.split(".")[0] in HEAVY), f"{path.name} imports {module} at its top"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_settings_reads_the_environment(path):
    text = path.read_text()
    assert path.name == "settings.py" or ("environ" not in text and "getenv" not in text)


def test_import_brings_in_numpy_and_little_else():
    code = "import sys, xpcnn; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert HEAVY.isdisjoint(loaded.stdout.split())


@pytest.mark.parametrize("name", EXAMPLES)
def test_forward_and_inference_leave_the_layer_as_it_was(xp, name):
    """Law 2: a cache is a returned value. Only batch norm's running statistics may change (law 5)."""
    layer, x = EXAMPLES[name]()
    x = xp.array(x, "float32")

    def state():
        return {
            (path, key): id(value)
            for path, each in layer.named_layers()
            for key, value in vars(each).items()
            if key not in each.buffer_names
        }

    before = state()
    y, cache = layer.forward(x)
    layer.backward(y, cache)
    layer(x)
    assert state() == before


@pytest.mark.parametrize("name", EXAMPLES)
def test_a_layer_called_twice_keeps_both_caches(xp, name):
    """Law 2: interleaved calls do not disturb each other."""
    layer, x = EXAMPLES[name]()
    first, second = xp.array(x, "float64"), xp.array(x[::-1] * 0.5 + 0.1, "float64")
    layer.astype("float64")

    def restart():  # the same dropout masks again
        if hasattr(layer, "rng"):
            layer.rng = np.random.default_rng(5)

    restart()
    alone = []
    for x in (first, second):
        y, cache = layer.forward(x)
        alone.append(layer.backward(y, cache))
    restart()
    (y1, cache1), (y2, cache2) = layer.forward(first), layer.forward(second)
    together = [layer.backward(y1, cache1), layer.backward(y2, cache2)]
    for (dx, grads), (dx_, grads_) in zip(alone, together, strict=True):
        assert (xpcnn.to_numpy(dx) == xpcnn.to_numpy(dx_)).all()
        assert grads.keys() == grads_.keys() == layer.parameters().keys()
        for key in grads:
            assert (xpcnn.to_numpy(grads[key]) == xpcnn.to_numpy(grads_[key])).all()
