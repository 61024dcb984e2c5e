"""Explanations word for word: what each page says, and two whole pages as text and HTML."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest

from xpcnn import nn
from xpcnn.explain import explain, html, text
from xpcnn.explain.formatting import expression

from ..snapshot import assert_same
from .test_expressions import PAGES, any_page, some

FOLDER = Path(__file__).parent / "snapshots"


def own_layer():
    class Scale(nn.Layer):
        """Multiplies by a learned factor."""

        parameter_names = ("factor",)
        factor = np.array([2.0])

        def forward(self, x):
            return x * self.factor, x

        def backward(self, dy, cache, *, input_grad=True):
            return dy * self.factor, {"factor": np.sum(dy * cache, keepdims=True).reshape(1)}

    return explain(Scale(), "", np.array([[1.0, -2.0]]), dy=np.ones((1, 2)))


def words(page):
    """Without numbers that are computed, and of long sums the first terms."""
    yield f"{page.source}; {'; '.join(page.notes)}"
    for array in page.arrays.values():
        yield f"  {array.name}[{','.join(array.axes)}]: {array.meaning}"
    for step in page.steps:
        quoted = "".join(f" ({number})" for each in step.equations for number in each.numbers or [each.lines[0]])
        yield f"  {step.title}: {', '.join(step.reads)} → {step.makes}{quoted}"
        yield from (f"    {note}" for note in step.notes)
        for index in some(page, step) if step.work else ():
            worked = step.work(index)
            for label, pieces in ((worked.target, worked.pieces), *(each[:2] for each in worked.remarks)):
                said = re.sub(r"\[[\d,]+\]", "[#]", f"    {label} = {expression(pieces, str)}")
                yield said[:130]


def test_what_each_page_says():
    said = {}
    for page in (*map(any_page, PAGES), own_layer()):
        said[f"\n{page.title}"] = None
        said |= {re.sub(r"\d+\.\d+(e[-−]?\d+)?", "#.#", line): None for line in words(page)}
    assert_same(FOLDER / "words.txt", said)


def large_page():
    """Arrays that are cut, with remarks, a path, classes and an image."""
    model = nn.Sequential(nn.MaxPool2d((2, 10)), nn.Flatten(), nn.Linear(30, 2, rng=0)).astype("float64")
    model[2].weight[...] = np.arange(60.0).reshape(2, 30) % 4 - 2
    model[2].bias[...] = [0.5, -0.25]
    x = (np.arange(600.0) % 7 / 8).reshape(1, 30, 20, 1)
    x[0, 3, 4, 0] = 1
    dy = np.array([[1.0, -0.5]])
    return [explain(model, name, x, dy=dy, classes=["cat", "dog <3"]) for name in ("0", "2")]


def small_page():
    layer = nn.Linear(2, 3, rng=0).astype("float64")
    layer.weight[...], layer.bias[...] = [[1, -2], [0, 0.5], [3, 1]], [0, 0.25, -1]
    return [explain(layer, "loss", np.array([[1.0, 2.0], [0.0, np.log(2.0)]]), target=[0, 2], classes=["a", "b", "c"])]


@pytest.mark.parametrize("make", [large_page, small_page])
def test_whole_pages(make):
    assert_same(FOLDER / f"{make.__name__}.txt", [text(page) for page in make()])


def test_a_whole_page_as_html():
    said = "\n".join(html(page, title="a & b") for page in small_page())
    said = re.sub(r"<style>.*?</style>|<script>.*?</script>", "", said, flags=re.DOTALL)
    said = re.sub(r"data:image/png;base64,[^\"]*|sha256-[^']*", "…", said)
    said = re.sub(r"(<t[dr]|<div|<p|<li|<figure|\{\"|\],)", r"\n\1", said)
    assert_same(FOLDER / "small_page.html", [said])
