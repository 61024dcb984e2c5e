"""Every formula that is printed comes to its number: its names, its numbers, its remarks, as text and as HTML.

And none is missing: each equation of the operation is quoted, and each array is made in a step, or is given.
"""

from __future__ import annotations

import html as markup
import json
import re
from functools import cache
from importlib import import_module

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.explain import explain, html, text
from xpcnn.explain.equations import equations
from xpcnn.explain.explain_layer import EXPLAINERS
from xpcnn.explain.explanation import Ref
from xpcnn.explain.formatting import Numbers, expression
from xpcnn.nn.layer_examples import EXAMPLES
from xpcnn.nn.sequences import as_images

from .expressions import REST, value_of


def plain(shape, scale=1.0):
    return np.random.default_rng(5).normal(size=shape) * scale


IMAGES = plain((2, 4, 3, 4))
OTHERS = {  # what is worked out in other ways than in the samples
    "Conv2d without bias": (lambda: nn.Conv2d(4, 2, 2, dilation=(3, 1), bias=False, rng=0), IMAGES),
    "Conv2d with few zeros": (lambda: nn.Conv2d(4, 4, 3, padding="same", groups=4, rng=0), IMAGES),
    "ConvTranspose2d without bias": (lambda: nn.ConvTranspose2d(4, 3, 2, bias=False, rng=0), IMAGES),
    "MaxPool2d over many": (lambda: nn.MaxPool2d((6, 5), padding=(2, 0)), plain((1, 9, 8, 2))),
    "AvgPool2d, otherwise": (lambda: nn.AvgPool2d(2, stride=1, padding=1), IMAGES),
    "AvgPool2d without a divisor": (lambda: nn.AvgPool2d(1), IMAGES),
    "Linear without bias": (lambda: nn.Linear(40, 3, bias=False, rng=0), plain((2, 40))),
    "Linear with many zeros": (lambda: nn.Linear(80, 3, rng=0), plain((2, 80)) * (np.arange(80) % 20 == 0)),
    "GlobalMaxPool2d of ties": (nn.GlobalMaxPool2d, np.round(plain((2, 3, 3, 2)))),
    "PReLU, one slope": (lambda: nn.PReLU(1), IMAGES),
    "LeakyReLU, otherwise": (lambda: nn.LeakyReLU(-0.5), plain((3, 4))),
    "ELU, otherwise": (lambda: nn.ELU(0.3), plain((3, 4), 2.0)),
    "Sigmoid far out": (nn.Sigmoid, np.array([[-800.0, -30.0, 0.0, 30.0]])),
    "Softplus far out": (nn.Softplus, np.array([[-30.0, 0.0, 30.0, 1.0]])),
    "GELU, tanh": (lambda: nn.GELU("tanh"), plain((3, 4), 2.0)),
    "Clip below": (lambda: nn.Clip(max=0.5), plain((3, 4), 2.0)),
    "SiLU far out": (nn.SiLU, np.array([[-30.0, 0.0, 30.0, 1.0]])),
    "Softmax of rows": (nn.Softmax, plain((2, 3, 4), 3.0)),
    "LogSoftmax of many": (nn.LogSoftmax, plain((1, 50), 3.0)),
    "Flatten of images": (nn.Flatten, IMAGES[:, :2, :2]),
    "BatchNorm1d, nothing learned": (lambda: nn.BatchNorm1d(4, affine=False, eps=0.1), plain((5, 4))),
    "BatchNorm1d of rows": (lambda: nn.BatchNorm1d(4), plain((3, 2, 4))),
    "BatchNorm2d, nothing learned": (lambda: nn.BatchNorm2d(4, affine=False), IMAGES),
    "LayerNorm, nothing learned": (lambda: nn.LayerNorm(4, elementwise_affine=False, eps=0.1), plain((5, 4))),
    "LayerNorm without bias": (lambda: nn.LayerNorm((3, 4), bias=False), IMAGES),
    "LayerNorm of one axis": (lambda: nn.LayerNorm(4), IMAGES),
    "GroupNorm, nothing learned": (lambda: nn.GroupNorm(2, 4, affine=False, eps=0.1), IMAGES),
    "GroupNorm of rows": (lambda: nn.GroupNorm(2, 4), plain((3, 4))),
    "Dropout, all kept": (lambda: nn.Dropout(0.0, rng=0), plain((3, 4))),
}
LEAVES = {name: make for name, make in EXAMPLES.items() if type(as_images(make()[0])) in EXPLAINERS}
UNWORKED = [name for name, make in EXAMPLES.items() if not isinstance(make()[0], nn.Container) and name not in LEAVES]


def page_of(name):
    layer, x = EXAMPLES[name]() if name in EXAMPLES else (OTHERS[name][0](), OTHERS[name][1])
    layer.astype("float64")
    rng = np.random.default_rng(2)
    for parameter in layer.parameters().values():  # none is 0 or 1
        parameter += rng.uniform(0.2, 0.7, size=parameter.shape)
    return layer, explain(layer, "", x, dy=rng.normal(size=layer(x).shape))


def loss_page(rows, classes):
    rng = np.random.default_rng(rows)
    layer = nn.Linear(3, classes, rng=0).astype("float64")
    target = rng.integers(classes, size=rows)
    return explain(layer, "loss", 3 * rng.normal(size=(rows, 3)), target=target)


LOSSES = {
    f"loss of {rows} rows, {classes} classes": (rows, classes) for rows, classes in ((1, 3), (2, 3), (40, 3), (2, 40))
}
PAGES = [*LEAVES, *OTHERS, *LOSSES]


@cache
def any_page(name):
    return loss_page(*LOSSES[name]) if name in LOSSES else page_of(name)[1]


def some(page, step, count=4):
    """The focus, and other numbers of the step's array."""
    shape = page.arrays[step.makes].values.shape
    every = list(np.ndindex(shape))
    return [step.focus, *(every[k] for k in np.random.default_rng(0).permutation(len(every))[:count])]


def agree(said, value, size, where):
    """Constants stand there with four digits, sums of small terms with three."""
    rest = max((abs(value_of(each)) for each in REST.findall(where)), default=0.0)
    assert said == pytest.approx(value, rel=2e-3, abs=2e-4 * max(size, 1e-30) + 5e-3 * rest, nan_ok=True), where


def size_of(array):
    return float(np.abs(array.values[np.isfinite(array.values)]).max(initial=0))


@pytest.mark.parametrize("name", PAGES)
def test_every_formula_comes_to_its_number(name):
    page = any_page(name)
    arrays = {key: array.values for key, array in page.arrays.items()}
    write = {key: Numbers(array.values, 12) for key, array in page.arrays.items()}
    assert page.steps
    for step in page.steps:
        for index in some(page, step):
            worked = step.work(index)
            assert worked.target == Ref(step.makes, tuple(index))
            value = page.value(worked.target)
            formulas = [(worked.pieces, value), *((pieces, amount) for _, pieces, amount in worked.remarks if pieces)]
            for pieces, amount in formulas:
                named = expression(pieces, str)
                counted = expression(pieces, lambda ref: write[ref.array](page.value(ref)))
                size = size_of(page.arrays[step.makes])
                agree(value_of(named, arrays), amount, size, named)
                agree(value_of(counted), amount, size, counted)


@pytest.mark.parametrize("name", PAGES)
def test_the_formulas_of_the_text_come_to_the_numbers_beside_them(name):
    page = any_page(name)
    arrays = {key: array.values for key, array in page.arrays.items()}
    blocks = text(page, precision=12).split("\n\n")
    for step in page.steps:
        target = str(Ref(step.makes, step.focus))
        (block,) = (each for each in blocks if each.startswith(f"   {target} = "))
        sides: list[str] = []
        for line in block.removeprefix(f"   {target} = ").splitlines():
            said = line.strip()
            if sides and not line.startswith("    "):  # a remark
                break
            if sides and not said.startswith("= "):
                sides[-1] += " " + said
            else:
                sides.append(said.removeprefix("= "))
        value = page.value(Ref(step.makes, step.focus))
        size = size_of(page.arrays[step.makes])
        assert len(sides) in (2, 3), sides
        agree(value_of(sides[0], arrays), value, size, sides[0])
        for side in sides[1:]:
            agree(value_of(side), value, size, side)
        assert re.fullmatch(r"[−+\d.e∞]+|NaN", sides[-1])


@pytest.mark.parametrize("name", [*OTHERS, *LOSSES])
def test_the_formulas_of_the_page_come_to_the_numbers_beside_them(name):
    page = any_page(name)
    arrays = {key: array.values for key, array in page.arrays.items()}
    source = html(page, precision=12)
    sections = source.split("<section ")[1:]
    assert len(sections) == len(page.steps)
    for step, section in zip(page.steps, sections, strict=True):
        block = re.search(r'<div class="formula".*?</div>', section, re.DOTALL)[0]
        symbols, numbers, number = (
            markup.unescape(re.sub("<[^>]*>", "", re.search(rf'<p class="{kind}"[^>]*>(.*?)</p>', block)[1]))
            for kind in ("symbols", "numbers", "value")
        )
        target = Ref(step.makes, step.focus)
        size = size_of(page.arrays[step.makes])
        assert symbols.startswith(f"{target} = ")
        for side, given in ((symbols.removeprefix(f"{target} = "), arrays), (numbers[2:], None), (number[2:], None)):
            agree(value_of(side, given), page.value(target), size, side)
        assert (' class="numbers" hidden' in block) is (numbers == number)
        remarks = [markup.unescape(re.sub("<[^>]*>", "", each)) for each in re.findall("<li>(.*?)</li>", block)]
        worked = step.work(step.focus)
        assert len(remarks) == len(worked.remarks)
        for remark, (label, pieces, amount) in zip(remarks, worked.remarks, strict=True):
            assert remark.startswith(label)
            if pieces:
                one, two, three = remark.removeprefix(f"{label}: ").split(" = ")
                for side, given in ((one, arrays), (two, None), (three, None)):
                    agree(value_of(side, given), amount, size, side)
    data = json.loads(re.search(r'id="data">(.*?)</script>', source, re.DOTALL)[1])
    values = {key: float(said.replace("−", "-").replace("∞", "inf")) for key, said in data["values"].items()}
    names = [name for name, _ in data["arrays"]]
    assert {name: list(array.values.shape) for name, array in page.arrays.items()} == dict(data["arrays"])
    rng = np.random.default_rng(0)
    for formulas in data["formulas"]:  # what the script shows of a number under the pointer
        keys = list(formulas)
        for key in (keys[k] for k in rng.permutation(len(keys))[:5]):
            array = page.arrays[names[int(key.split(".")[0])]]
            agree(values[key], array.values.ravel()[int(key.split(".")[1])], size_of(array), key)
            template, *remarks = formulas[key]
            for said, amount in [(template, values[key])] + [
                (said, float(amount.replace("−", "-"))) for _, said, amount in remarks if said
            ]:
                counted = re.sub(r"@(\d+\.\d+)", lambda match: f"({values[match[1]]!r})", said)
                agree(value_of(counted), amount, size_of(array), said)


# Arrays that stand on a page without a step that makes them: what the layer was given, and the same in another order.
GIVEN = {
    "conv": {"x̂", "w", "b", "P", "W"},
    "conv_transpose": {"w", "b", "dŷ"},
    "linear": {"w", "b"},
    "pool": {"x̂", "r"},
    "adaptive_pool": {"A", "B"},
    "global_pool": {"t"},
    "rectifier": {"s"},
    "dropout": {"m"},
    "batch_norm": {"γ", "β"},
    "norm": {"γ", "β"},
    "normalize": {"μ", "σ"},
    "loss_classification": {"y", "q"},
}


@pytest.mark.parametrize(
    ("layer", "source"),
    [(nn.Upsample(2, mode="bilinear"), "xpcnn.ops.bilinear"), (nn.Linear(4, 3, rng=0), "xpcnn.ops.linear")],
    ids=repr,
)
def test_an_option_without_formulas_of_its_own_shows_its_numbers(layer, source):
    layer = layer.astype("float64").to_backend()
    page = explain(layer, "", IMAGES, dy=np.ones(layer(IMAGES).shape))
    assert page.source == source
    assert {"x", "y", "dx"} <= page.arrays.keys()
    assert repr(layer) in text(page)
    assert html(page)


@pytest.mark.parametrize("name", UNWORKED)
def test_a_layer_without_formulas_of_its_own_shows_its_numbers(name):
    layer, page = page_of(name)
    assert page.title == repr(layer)
    assert type(layer).__name__ in text(page)
    assert type(layer).__name__ in html(page)
    assert {"x", "y", "dx"} <= page.arrays.keys()


@pytest.mark.parametrize("name", PAGES)
def test_no_step_is_missing(name):
    page = any_page(name)
    known = {"x", "dy"} | GIVEN.get(page.source.removeprefix("xpcnn.ops."), set())
    for step in page.steps:
        assert set(step.reads) <= known, step.title
        read = {ref.array for index in some(page, step) for ref in step.work(index).refs()[1:]}
        assert read <= set(step.reads) or step.makes in ("y", "e"), (step.title, read)
        known |= {step.makes}
    assert set(page.arrays) <= known
    if name not in LOSSES:
        layer, _ = page_of(name)
        assert page.steps[-1].makes == "dx"
        names = {"w": "weight", "b": "bias", "γ": "weight", "β": "bias", "s": "weight"}
        made = {names[step.makes[1:]] for step in page.steps if step.makes[0] == "d" and step.makes[1:] in names}
        assert set(layer.parameters()) <= made
        assert set(layer.parameters()) == made or not layer.parameters()


def test_every_equation_of_every_operation_stands_on_a_page():
    """But those that no layer's training pass has: output_padding's size of a transposed convolution, other losses."""
    seen: dict[str, set[int]] = {}
    for name in PAGES:
        page = any_page(name)
        quoted = {number for step in page.steps for each in step.equations for number in each.numbers}
        seen.setdefault(page.source, set()).update(quoted)
    assert {f"xpcnn.ops.{module}" for _, module in EXPLAINERS.values() if module} <= seen.keys()
    for source, numbers in seen.items():
        if source.startswith("xpcnn.ops."):
            stated = {number for each in equations(import_module(source).__doc__) for number in each.numbers}
            left_out = {"conv_transpose": {5}, "batch_norm": {8, 9}, "loss_classification": stated - {1, 2, 3, 4}}
            assert stated - numbers == left_out.get(source.removeprefix("xpcnn.ops."), set()), source


@pytest.mark.parametrize("name", PAGES)
def test_axes_of_the_same_letter_are_of_the_same_length(name):
    """But for rows and columns of an image with padding, and what belongs to one group of channels."""
    page = any_page(name)
    grouped = {"conv": "fck", "conv_transpose": "fc", "pad": "ijc"}.get(page.source.removeprefix("xpcnn.ops."), "")
    lengths: dict[str, int] = {}
    for array in page.arrays.values():
        assert len(array.axes) == array.values.ndim, array.name
        assert array.meaning
        for letter, size in zip(array.axes, array.values.shape, strict=True):
            if letter not in "pq" + grouped and array.name not in ("s", "ds"):  # one slope may be that of all channels
                assert lengths.setdefault(letter, size) == size, (array.name, letter)
