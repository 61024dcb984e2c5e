"""The page of an explanation, without its script: whole, safe with any name, small, and readable."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

import xpcnn.explain
from xpcnn import nn
from xpcnn.explain import explain, html
from xpcnn.explain.formatting import boxes, tables
from xpcnn.nn.layer_examples import EXAMPLES

from .page import Reader


def data_of(source):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', source, re.DOTALL)[1])


@pytest.mark.parametrize("name", [name for name, make in EXAMPLES.items() if not isinstance(make()[0], nn.Container)])
def test_every_layer_s_page_is_well_formed_and_its_cells_are_its_arrays(name, rng):
    layer, x = EXAMPLES[name]()
    x = x.astype("float32")
    page = explain(layer, "", x, dy=rng.normal(size=layer(x).shape).astype("float32"))
    source = html(page)
    reader = Reader(source)
    arrays = list(page.arrays.values())
    assert reader.cells
    for key, written in reader.cells.items():
        array, element = map(int, key.split("."))
        value = float(arrays[array].values.ravel()[element])
        (text,) = written  # the same number in every table
        size = np.abs(arrays[array].values).astype("f8")
        size = size[np.isfinite(size)].max(initial=0)
        shown = float(text.replace("−", "-").replace("∞", "inf"))
        assert shown == value or abs(shown - value) <= 0.51e-3 * size
    for step, formulas in zip(page.steps, data_of(source)["formulas"], strict=True):
        shown = tables(page.arrays[step.makes], boxes(page, step)[step.makes], rows=9, columns=9, pages=3)
        assert bool(formulas) is (step.work is not None)
        if step.work is not None:
            flat = {np.ravel_multi_index(i, page.arrays[step.makes].values.shape) if i else 0
                    for table in shown for row in table.cells for i in row}  # fmt: skip
            assert flat <= {int(key.split(".")[1]) for key in formulas}


def test_the_page_asks_for_nothing(document_000):
    _, source = document_000
    reader = Reader(source)
    for _, name, value in reader.attributes:
        if name in ("src", "href", "action", "srcset", "data", "poster"):
            assert value.startswith("data:"), value
        assert not name.startswith("on")
    assert "url(" not in source
    assert "@import" not in source
    assert "http:" not in source
    assert "https:" not in source
    (policy,) = (value for _, name, value in reader.attributes if name == "content" and "default-src" in value)
    assert policy.startswith("default-src 'none';")
    assert "unsafe-inline" not in policy.partition("script-src")[2]


def test_document_000_stands_in_the_page_without_its_script(document_000):
    _, source = document_000
    said = " ".join("".join(Reader(source).text).split())
    assert "y[0,0,0,0] = b[0] + x̂[0,0,0,0]·w[0,0,0,0] + x̂[0,0,0,1]·w[0,0,0,1]" in said
    assert "= 1 + 0·(−1) + 0·(−1) + 0·0 + 0·1" in said
    assert "db[0] = dy[0,0,0,0] + dy[0,0,1,0]" in said
    assert "= 0 + 1 + 1 + 2 + 2 + 2 + 1 + 0 + 0 = 9" in said
    marked = re.findall(r'<td data-r="(\d+)\.\d+" class="\w+ target">([^<]*)<', source)
    assert [number for _, number in marked] == ["6", "6", "12", "9", "−2"]


EVIL = '<script>alert("1")</script>&\'--><img src=x onerror=alert(2)>]]>'


def test_names_that_are_not_to_be_trusted_are_text(rng):
    model = nn.Sequential(nn.Flatten(), nn.Linear(4, 2, rng=0))
    x = rng.random((1, 2, 2, 1)).astype("float32")
    model.__init__(*model.children().values())
    page = explain(model, "1", x, classes=[EVIL, EVIL])
    page.path.append((EVIL, EVIL))
    page.add(EVIL, EVIL, ("<u>", "</td>", "<i>"), np.ones((2, 2, 2)))
    page.steps[0] = type(page.steps[0])(EVIL, (), (EVIL,), "y", page.steps[0].focus, page.steps[0].work, (EVIL,))
    source = html(page, title=EVIL)
    clean = html(explain(model, "1", x))
    assert source.count("<script") == clean.count("<script") == 2
    assert source.count("</script") == 2
    assert "<img src=x" not in source
    assert "<i>" not in source
    assert "<u>" not in source
    reader = Reader(source)
    assert not any(name.startswith("on") for _, name, _ in reader.attributes)
    assert data_of(source)["arrays"][-1][0] == EVIL
    assert any(EVIL in text for text in reader.text)


@pytest.mark.parametrize(
    ("make", "shape"),
    [
        (lambda: nn.Conv2d(64, 128, 3, padding=1, rng=0), (1, 14, 14, 64)),
        (lambda: nn.Conv2d(3, 8, 7, rng=0), (1, 32, 32, 3)),
        (lambda: nn.Linear(4096, 1000, rng=0), (1, 4096)),
        (lambda: nn.BatchNorm2d(64), (2, 32, 32, 64)),
        (nn.GlobalMaxPool2d, (1, 64, 64, 16)),
    ],
    ids=["many channels", "large kernel", "linear", "batch norm", "global"],
)
def test_pages_of_large_layers_stay_small(make, shape, rng):
    layer = make()
    x = rng.random(shape).astype("float32")
    source = html(explain(layer, "", x, dy=rng.normal(size=layer(x).shape).astype("float32")))
    assert len(source.encode()) < 1.5e6
    assert "shown: " in source


def test_where_there_is_no_room_for_all_formulas_the_page_says_so(document_000, monkeypatch):
    page, whole = document_000
    monkeypatch.setattr("xpcnn.explain.webpage.MOST_FORMULAS", 10_000)
    source = html(page)
    assert len(source) < len(whole)
    assert "numbers of this step have their formula" in source
    assert all(formulas for formulas in data_of(source)["formulas"][:1])
    assert "numbers of this step have their formula" not in whole


def colours(dark):
    style = (Path(xpcnn.explain.__file__).parent / "page.css").read_text()
    block = re.findall(r":root \{(.*?)\}", style, re.DOTALL)[1 if dark else 0]
    return {
        name: tuple(int(code[i : i + 2], 16) for i in (0, 2, 4))
        for name, code in re.findall(r"--(\w+): #(\w{6})", block)
    }


def luminance(rgb):
    """WCAG 2.2, relative luminance."""
    parts = [c / 255 for c in rgb]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast(one, other):
    low, high = sorted((luminance(one), luminance(other)))
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("dark", [False, True])
def test_every_text_can_be_read_on_every_colour(dark):
    """WCAG 2.2, level AA: a contrast of 4.5."""
    of = colours(dark)
    for side in ("above", "below"):
        for level in range(1, 10):
            share = round(100 * level / 9) / 100
            ground = tuple(share * c + (1 - share) * p for c, p in zip(of[side], of["paper"], strict=True))
            assert contrast(of["ink"], ground) >= 4.5, (side, level)
    for ink, ground in (("ink", "paper"), ("soft", "paper"), ("soft", "panel"), ("ink", "panel"), ("accent", "paper")):
        assert contrast(of[ink], of[ground]) >= 4.5, (ink, ground)
