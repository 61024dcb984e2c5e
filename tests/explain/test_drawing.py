"""What a drawing marks is what the operation reads: elements whose change changes the number, and no others.

And each operation and each derivation has its drawing.
"""

from __future__ import annotations

import pkgutil
import re
from importlib import import_module
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

import xpcnn.ops
from xpcnn import nn
from xpcnn.errors import OptionError
from xpcnn.explain import draw, explain, html, step
from xpcnn.explain.drawings import DRAWINGS, drawing_of, drawings
from xpcnn.explain.equations import equations
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.ops import Window

SVG = "{http://www.w3.org/2000/svg}"
DERIVATIONS = Path(__file__).parents[2] / "docs" / "derivations"
LAYERS = {
    "stride": lambda: nn.Conv2d(1, 1, 3, stride=2, padding=1, rng=0),
    "dilation": lambda: nn.Conv2d(1, 1, (3, 2), dilation=(2, 1), padding=(2, 0, 1, 1), rng=0),
    "same": lambda: nn.Conv2d(1, 1, 4, padding="same", rng=0),
    "groups": lambda: nn.Conv2d(4, 2, 3, groups=2, padding=1, rng=0),
    "transposed": lambda: nn.ConvTranspose2d(1, 1, 3, stride=2, padding=1, rng=0),
    "max": lambda: nn.MaxPool2d(3, stride=2, padding=1),
    "average": lambda: nn.AvgPool2d((3, 2), stride=(1, 2), ceil_mode=True),
    "reflection": lambda: nn.ReflectionPad2d((2, 1, 0, 2)),
    "bilinear": lambda: nn.Upsample(2, mode="bilinear"),
    "shuffle": lambda: nn.ChannelShuffle(2),
    "padding": lambda: nn.ZeroPad2d((1, 0, 2, 1)),
    "adaptive": lambda: nn.AdaptiveAvgPool2d((2, 3)),
    "local response": lambda: nn.LocalResponseNorm(3),
}
IN_CHANNELS = {"groups": 4, "shuffle": 4, "local response": 4}
PLACES = [(0, 0), (1, 2), (2, 1)]


def marked(drawing, row):
    """Of one row of a drawing: the marked cells of each array, by their indices."""
    root = ElementTree.fromstring(drawing.svg(alone=True))
    groups = root.findall(f"{SVG}g")
    found = {}
    for array in groups[row].findall(f"{SVG}g"):
        cells = [each for each in array.iter(f"{SVG}rect") if each.get("class") != "plain"]
        found[array.get("data-array")] = {tuple(map(int, each.get("data-i").split(","))) for each in cells}
    return found


@pytest.mark.parametrize("place", PLACES, ids=str)
@pytest.mark.parametrize("name", LAYERS)
def test_what_is_marked_changes_the_number_and_nothing_else_does(name, place):
    layer, channels = LAYERS[name](), IN_CHANNELS.get(name, 1)
    shape = (4, 5, channels)
    out = layer.output_shape(shape)
    at = (0, *(min(k, size - 1) for k, size in zip(place, out, strict=False)), out[2] - 1)
    drawing = draw(layer, shape, at=at, steps=("y", "dx"))
    x = np.random.default_rng(3).permutation(np.prod(shape)).reshape(1, *shape).astype("float32")
    before, cache = layer.forward(x)
    (cells, gradients) = (marked(drawing, row) for row in (0, 1))
    assert cells.pop("y") == {at}
    changes = set()
    for index in np.ndindex(x.shape):
        other = x.copy()
        other[index] += 1000
        if layer(other)[at] != before[at]:
            changes.add(index)
    pads = layer.window.place(4, 5).pads if "x̂" in cells else (0, 0, 0, 0)
    (read,) = (cells[each] for each in cells if each in ("x", "x̂"))
    inside = {(n, i - pads[0], j - pads[2], c) for n, i, j, c in read}
    assert {each for each in inside if 0 <= each[1] < 4 and 0 <= each[2] < 5} == changes
    (target,) = gradients.pop("dx")
    used = set()
    for index in np.ndindex(before.shape):
        dy = np.zeros_like(before)
        dy[index] = 1
        if layer.backward(dy, cache)[0][target]:
            used.add(index)
    (read,) = (gradients[each] for each in gradients if each in ("dy", "dŷ"))
    if "dŷ" in gradients:  # cropped by the padding, here 1
        read = {(n, i - 1, j - 1, c) for n, i, j, c in read}
        read = {each for each in read if 0 <= each[1] < before.shape[1] and 0 <= each[2] < before.shape[2]}
    assert read == used


@pytest.mark.parametrize("name", DRAWINGS)
def test_every_drawing_is_an_svg_in_the_colours_of_its_page(name):
    for drawing in drawings(name):
        assert ElementTree.fromstring(drawing.svg()).tag == "svg"
        assert ElementTree.fromstring(drawing.svg(alone=True)).tag == f"{SVG}svg"
        assert "prefers-color-scheme" not in drawing._repr_html_()
        assert "prefers-color-scheme: dark" in drawing._repr_svg_()
        assert drawing.size[0] <= 1000
        assert repr(drawing) == f"Drawing({drawing.title})"


def test_every_operation_and_every_derivation_has_a_drawing():
    modules = [each.name for each in pkgutil.iter_modules(xpcnn.ops.__path__)]
    with_equations = [each for each in modules if equations(import_module(f"xpcnn.ops.{each}").__doc__ or "")]
    no_layers = {"normal_distribution", "gather", "item_weight", "batch_norm_shards"}  # of data, and formulas
    assert set(with_equations) - no_layers <= DRAWINGS.keys()
    shown = set()
    for page in DERIVATIONS.glob("*.md"):
        found = re.findall(r"```\{drawings\} (.*)", page.read_text("utf-8"))
        assert found or page.name == "index.md", page.name
        shown |= {name for each in found for name in each.split()}
    assert shown <= DRAWINGS.keys()


@pytest.mark.parametrize("name", [name for name, make in EXAMPLES.items() if not isinstance(make()[0], nn.Container)])
def test_every_layer_can_be_drawn(name):
    layer, x = EXAMPLES[name]()
    drawing = draw(layer, x.shape[1:])
    assert ElementTree.fromstring(drawing.svg()).findall("g")
    small = drawing_of(layer)
    assert small is None or ElementTree.fromstring(small.svg()).tag == "svg"


def test_a_window_is_drawn_as_a_convolution_s_and_a_file_stands_alone(tmp_path):
    drawing = draw(Window(3, stride=2), (5, 5, 1), steps=("y",))
    assert len(marked(drawing, 0)["x̂"]) == 9
    drawing.save(tmp_path / "window.svg")
    assert ElementTree.parse(tmp_path / "window.svg").getroot().tag == f"{SVG}svg"
    with pytest.raises(OptionError, match="steps among y, Y, dw, db, dx, got z"):
        draw(Window(3), (5, 5, 1), steps=("y", "z"))


def test_the_pages_of_explain_have_them(rng):
    layer = nn.Conv2d(1, 2, 3, rng=0)
    x = rng.random((1, 4, 4, 1)).astype("float32")
    page = html(explain(layer, "", x, dy=np.ones((1, 2, 2, 2), "float32")))
    assert page.count('class="drawing"') == 1
    walk = step(nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(8, 2, rng=0)), x)
    assert walk.html().count('class="drawing"') == 2
