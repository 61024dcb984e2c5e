"""The laws of the design that can be checked in the code: imports point one way, layers cache nothing."""

from __future__ import annotations

import ast
import io
import os
import re
import subprocess
import sys
import tokenize
from concurrent.futures import ThreadPoolExecutor
from functools import cache
from pathlib import Path

import numpy as np
import pytest

import xpcnn
from xpcnn.extras import EXTRAS
from xpcnn.nn.layer_examples import EXAMPLES

PACKAGE = Path(xpcnn.__file__).parent

# Each part may import itself and the parts before it.
ORDER = [
    {"errors", "habits", "renamed", "typing", "settings"},
    {"options", "extras", "png", "html", "table", "progress"},
    {"backend", "random", "shards", "state"},
    {"ops"},
    {"nn"},
    {"gradient_check", "gradient_witnesses", "optim"},
    {"data", "models", "io", "distributed"},
    {"exchange", "plot"},
    {"training", "explain"},
    {"sklearn", "saved", "course"},
    {"service"},
    {"cli", "__main__"},
]
LEVEL = {part: level for level, parts in enumerate(ORDER) for part in parts}
HEAVY = {
    *EXTRAS,
    "cupy",
    "torch",
    "rich",
    "IPython",
    "safetensors",
    "threadpoolctl",
    "platformdirs",
    "array_api_compat",
}


@cache
def imports(path: Path, *, for_types: bool = False):
    """(top-level?, absolute module name) of every import in the file, with or without those for types only."""
    return list(_imports(path, for_types))


def _imports(path, for_types):
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
        if id(node) in typing_only and not for_types:
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
            assert parts[1] in {"kernels", "ops", "backend", "typing", "errors", "settings", "options"}, (
                f"kernels imports {module}"
            )
        else:
            assert parts[1] != "kernels", f"{path.name} imports {module}: kernels are reached through ops/dispatch.py"
            assert LEVEL[parts[1]] <= LEVEL[here], f"{here} imports {module}, which stands above it"


def file_of(module: str) -> Path:
    path = PACKAGE.parent / Path(*module.split("."))
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def test_no_two_files_import_each_other_not_even_through_others():
    """Imports for types count, too: a file that names a class depends on it."""
    waiting = {
        path: {file_of(module) for _, module in imports(path, for_types=True) if module.startswith("xpcnn.")} - {path}
        for path in FILES
    }
    while done := [path for path, needs in waiting.items() if not needs & waiting.keys()]:
        for path in done:
            del waiting[path]
    assert not waiting, f"a circle among {sorted(str(path.relative_to(PACKAGE)) for path in waiting)}"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_optional_and_heavy_packages_are_imported_where_they_are_used(path):
    estimators = path.parent == PACKAGE / "sklearn"  # they derive from scikit-learn's classes, and nothing imports them
    for top_level, module in imports(path):
        if not (estimators and module.split(".")[0] == "sklearn"):
            assert not (top_level and module.split(".")[0] in HEAVY), f"{path.name} imports {module} at its top"


@pytest.mark.parametrize("path", FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_only_settings_reads_the_environment(path):
    text = path.read_text()
    assert path.name == "settings.py" or ("environ" not in text and "getenv" not in text)


def test_import_brings_in_numpy_and_little_else():
    code = "import sys; from xpcnn import *; print(*sorted({name.split('.')[0] for name in sys.modules}))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert HEAVY.isdisjoint(loaded.stdout.split())
    assert "numpy" in loaded.stdout.split()


def test_the_command_s_help_waits_for_nothing():
    code = (
        "import sys, atexit; atexit.register(lambda: print(*sys.modules)); from xpcnn.cli import main; main(['--help'])"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    loaded = {name.split(".")[0] for name in told.stdout.splitlines()[-1].split()}
    assert loaded.isdisjoint({*HEAVY, "numpy"})


def test_every_public_name_is_there():
    for name in xpcnn.__all__:
        assert name in dir(xpcnn)
        getattr(xpcnn, name)
    with pytest.raises(AttributeError, match="no attribute 'nonsense'"):
        _ = xpcnn.nonsense


def test_errors_can_be_named_before_anything_else_is_used():
    code = "import xpcnn; print(issubclass(xpcnn.errors.OptionError, xpcnn.errors.XpcnnError))"
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=os.environ)
    assert told.stdout == "True\n"


@pytest.mark.parametrize("name", EXAMPLES)
def test_every_function_follows_the_arrays_it_is_given(xp, name):
    """Law 1: with another current backend, a layer and its gradients stay where its arrays are."""
    layer, x = EXAMPLES[name]()
    x = xp.array(x, "float32")
    kind = type(x)
    other = "numpy" if xp.backend != "numpy" else "array_api_strict"
    pytest.importorskip(other)
    with xpcnn.use_backend(other):
        y, cache = layer.forward(x)
        dx, grads = layer.backward(y, cache)
        results = [y, dx, layer(x), *grads.values()]
    assert all(type(each) is kind for each in results)


OPERATIONS = [
    path for path in FILES if path.parent.name in ("ops", "kernels", "planned", "cuda") and path.stem != "__init__"
]


@pytest.mark.parametrize("path", OPERATIONS, ids=lambda path: path.stem)
def test_operations_do_not_know_the_current_backend(path):
    imported = {
        alias.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.ImportFrom)
        for alias in node.names
    }
    assert imported.isdisjoint({"current_backend", "asarray", "use_backend", "Backend"})


def contents(value):
    """The contents of the value in a form that can be compared: arrays by identity and values."""
    if hasattr(value, "dtype"):
        return id(value), xpcnn.to_numpy(value).tobytes()
    if isinstance(value, dict):
        return {key: contents(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [contents(each) for each in value]
    return id(value) if isinstance(value, xpcnn.nn.Layer | np.random.Generator) else value


@pytest.mark.parametrize("name", EXAMPLES)
def test_forward_and_inference_leave_the_layer_as_it_was(xp, name):
    """Law 2: a cache is a returned value. Only batch norm's running statistics may change (law 5)."""
    layer, x = EXAMPLES[name]()
    x = xp.array(x, "float32")

    def state():
        return {
            (path, key): contents(value)
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
def test_a_layer_runs_in_several_threads_at_once(name):
    """Law 2. (Dropout's masks come from one generator: it is not determined which thread gets which.)"""
    layer, x = EXAMPLES[name]()
    inputs = [np.tile(x, (8,) + (1,) * (x.ndim - 1)) * scale + 0.01 for scale in (1.0, -0.5, 2.0, 0.3)]
    layer.astype("float64")

    def run(x):
        for _ in range(10):
            y, cache = layer.forward(x)
            dx, grads = layer.backward(y, cache)
        return [y, dx, *(grads[key] for key in sorted(grads))]

    if name.startswith("Dropout") or name == "StochasticDepth":
        with ThreadPoolExecutor(4) as pool:
            for (y, dx, *_), x in zip(pool.map(run, inputs), inputs, strict=True):
                np.testing.assert_array_equal(y == 0, dx == 0)  # each backward used its own mask
                assert y.shape == x.shape
        return
    alone = [run(x) for x in inputs]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(run, inputs))
    for results, expected in zip(together, alone, strict=True):
        for one, other in zip(results, expected, strict=True):
            np.testing.assert_allclose(one, other, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("path", [path for path in OPERATIONS if path.stem != "check"], ids=lambda path: path.stem)
def test_every_equation_s_number_stands_beside_a_line(path):
    """Law 7: the numbers at the ends of the docstring's lines, and those in the comments, are the same."""
    text = path.read_text()
    docstring = ast.get_docstring(ast.parse(text)) or ""
    stated = {int(n) for line in docstring.splitlines() for n in re.findall(r"(?<=\s)\((\d+)\)", line[-24:])}
    code = text[text.index("from __future__") :]
    used = {
        int(n)
        for token in tokenize.generate_tokens(io.StringIO(code).readline)
        if token.type == tokenize.COMMENT
        for group in re.findall(r"\((\d+(?:, \d+)*)\)", token.string)
        for n in group.split(", ")
    } | {int(n) for n in re.findall(r'\s"""\((\d+)\)', code)}
    assert used == stated


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
