"""Every place that must know a layer, a loss, an optimizer, a data set, a command or an implementation knows them all.

docs/design.md lists the same places. This file does not repeat the tests elsewhere: gradients in
`tests/test_gradient_check.py`, the laws in `tests/test_laws.py`, wrong arguments in `tests/test_mistakes.py`.
"""

from __future__ import annotations

import re
from importlib import import_module
from inspect import getdoc
from pathlib import Path
from pkgutil import iter_modules

import pytest

import xpcnn
from ci.reliability import against_pytorch, pytorch_layers
from xpcnn import data, nn, ops
from xpcnn.cli import COMMANDS
from xpcnn.data.registry import KNOWN
from xpcnn.exchange.onnx import layers as onnx_layers
from xpcnn.exchange.onnx.export import JOINS
from xpcnn.nn.layer_examples import EXAMPLES as LAYERS
from xpcnn.nn.loss_examples import EXAMPLES as LOSSES
from xpcnn.ops import dispatch, implementations
from xpcnn.optim import OPTIMIZERS

ROOT = Path(xpcnn.__file__).parent.parent
LAYERS_CODE = "".join(
    path.read_text() for folder in ("nn", "data") for path in sorted((ROOT / "xpcnn" / folder).rglob("*.py"))
)
README = (ROOT / "README.md").read_text()
DESIGN = (ROOT / "docs/design.md").read_text()
DERIVATIONS = (ROOT / "docs/derivations/index.md").read_text()
DATA_SETS = (ROOT / "docs/howto/data_sets.md").read_text()


def names(word: str, text: str) -> bool:
    """True if the text contains that whole word."""
    return re.search(rf"(?<!\w){re.escape(word)}(?!\w)", text) is not None


def text_of_tests(folder: str, *but: str) -> str:
    return "".join(path.read_text() for path in sorted((ROOT / "tests" / folder).glob("*.py")) if path.name not in but)


@pytest.mark.parametrize("name", LAYERS)
def test_places_of_a_layer(name):
    kind = getattr(nn, name)
    assert name in pytorch_layers.FUNCTIONS or name in pytorch_layers.WITHOUT, "ci/reliability/pytorch_layers.py"
    known = kind in onnx_layers.TRANSLATORS or kind in JOINS or issubclass(kind, nn.Container)
    assert known, "xpcnn/exchange/onnx: @translates"
    assert names(name, onnx_layers.__doc__), "the table at the top of xpcnn/exchange/onnx/layers.py"
    assert f"`{name}`" in DERIVATIONS, "the table of docs/derivations/index.md, and the page that it names"


@pytest.mark.parametrize("module", sorted(each.name for each in iter_modules(ops.__path__)))
def test_every_pair_of_functions_is_public(module):
    found = vars(import_module(f"xpcnn.ops.{module}"))
    pairs = {name for name in found if re.fullmatch(r"[a-z]\w*_(forward|backward)", name)}
    own = {name for name in pairs if found[name].__module__ == f"xpcnn.ops.{module}"}
    assert own <= set(ops.__all__), "xpcnn/ops/__init__.py"


def test_every_loss_has_an_example():
    public = {kind for kind in vars(nn).values() if isinstance(kind, type) and issubclass(kind, nn.Loss)}
    assert {kind.__name__ for kind in public - {nn.Loss}} == LOSSES.keys(), "xpcnn/nn/loss_examples.py"


@pytest.mark.parametrize("name", LOSSES)
def test_places_of_a_loss(name):
    assert names(name, README), "README.md"
    assert name in against_pytorch.LOSSES or name in against_pytorch.WITHOUT, "ci/reliability/against_pytorch.py"
    assert f"`{name}`" in DERIVATIONS, "the table of docs/derivations/index.md, and the page that it names"


@pytest.mark.parametrize("name", [named.kind.__name__ for named in OPTIMIZERS.values()])
def test_places_of_an_optimizer(name):
    assert name in against_pytorch.OPTIMIZERS or name in against_pytorch.WITHOUT, "ci/reliability/against_pytorch.py"
    assert f"`{name}`" in DERIVATIONS, "the table of docs/derivations/index.md, and optimizers.md"
    assert names(name, README), "README.md"


@pytest.mark.parametrize("name", KNOWN)
def test_places_of_a_data_set(name):
    known = KNOWN[name]
    assert getattr(data, name) is known.make, "xpcnn/data/__init__.py"
    assert names(name, README), "README.md"
    (row,) = (line for line in DATA_SETS.splitlines() if line.startswith("|") and f"`{name}`" in line)
    height, width, channels = known.input_shape
    for fact in (f"{known.train:,} and {known.test:,}", f"{height}×{width} {'grey' if channels == 1 else 'RGB'}"):
        assert fact in row, "docs/howto/data_sets.md"
    told = " ".join((getdoc(known.make) or "").split())
    assert f"{known.train:,} to train and {known.test:,} to test on" in told, "the docstring of its function"
    assert names(name, text_of_tests("data", "test_registry.py")), "tests/data: files of its form, made small"


@pytest.mark.parametrize("name", COMMANDS)
def test_places_of_a_command(name):
    module = import_module(f"xpcnn.cli.{name}")
    assert (module.__doc__ or "").startswith(f"`xpcnn {name}`"), f"the docstring of xpcnn/cli/{name}.py"
    assert callable(module.add_arguments), f"xpcnn/cli/{name}.py"
    assert callable(module.run), f"xpcnn/cli/{name}.py"
    assert f"xpcnn {name}" in README, "README.md"
    assert re.search(rf'[(\[]"{name}"', text_of_tests("cli")), "tests/cli"


@pytest.mark.parametrize("operation", dispatch.operations())
def test_places_of_an_implementation(operation):
    assert dispatch.implementations(operation)[-1].name == "reference", "REFERENCE in xpcnn/ops/implementations.py"
    assert f'"{operation}"' in LAYERS_CODE, "xpcnn/nn: a layer that asks dispatch; or xpcnn/data"
    for each in dispatch.implementations(operation)[:-1]:
        assert f"`{each.name}`" in DESIGN, "the table of docs/design.md, Which implementation runs"


def test_every_module_with_an_implementation_is_asked_and_tested():
    kernels = import_module("xpcnn.kernels")
    asked = {each for operation in dispatch.operations() for each in dispatch.implementations(operation)}
    convolutions = dispatch.implementations("conv2d")  # which tests/ops/test_conv.py covers
    tests = text_of_tests("kernels", "cases.py")
    for found in iter_modules(kernels.__path__):
        module = import_module(f"xpcnn.kernels.{found.name}")
        own = [each for each in vars(module).values() if isinstance(each, implementations.Implementation)]
        assert set(own) <= asked, f"{found.name}: xpcnn/ops/implementations.py"
        assert set(own) & set(convolutions) or not own or names(found.name, tests), f"{found.name}: tests/kernels"
