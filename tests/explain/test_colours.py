"""Colours say what the page says that they do: the sign, how large, and which numbers the formula is made of."""

from __future__ import annotations

import base64
import io
import re

import numpy as np
import pytest

import xpcnn
from xpcnn import nn
from xpcnn.explain import explain, html
from xpcnn.explain.picture import ABOVE, BELOW, MOST_PIXELS, heat, photograph
from xpcnn.explain.terminal import styled

Image = pytest.importorskip("PIL.Image")


def pixels(url):
    kind, data = url.split(",")
    assert kind == "data:image/png;base64"
    with Image.open(io.BytesIO(base64.b64decode(data))) as opened:
        return opened.mode, np.array(opened)


def cells(source, name, page):
    """(class of the level, other classes, value) of each cell of that array."""
    order, array = list(page.arrays).index(name), page.arrays[name].values
    found = re.findall(rf'<td data-r="{order}\.(\d+)" class="([^"]*)">', source)
    return [(kinds.split()[0], set(kinds.split()[1:]), float(array.ravel()[int(key)])) for key, kinds in found]


@pytest.fixture(scope="module")
def page():
    rng = np.random.default_rng(3)
    x = rng.normal(size=(1, 5, 5, 1))
    x[0, 0, 0, 0] = 0
    with xpcnn.use_backend("numpy"):
        return explain(nn.Conv2d(1, 1, 3, rng=0).astype("float64"), "", x, dy=rng.normal(size=(1, 3, 3, 1)))


@pytest.mark.parametrize("name", ["x̂", "w", "y", "dy", "dw", "dx"])
def test_a_cell_s_colour_is_its_number_s_sign_and_size(page, name):
    largest = np.abs(page.arrays[name].values).max()
    found = cells(html(page), name, page)
    assert len(found) >= 9
    for kind, _, value in found:
        assert kind[0] == ("z" if value == 0 else "p" if value > 0 else "n")
        if value:
            level = int(kind[1:])
            assert 1 <= level <= 9
            assert abs(level - 9 * abs(value) / largest) <= 1
    levels = {abs(value): int(kind[1:] or 0) for kind, _, value in found}
    assert [levels[size] for size in sorted(levels)] == sorted(levels.values())
    assert levels[largest] == 9


def test_infinities_and_nothing_have_no_colour():
    x = np.array([[0.0, 0.0, 0.0]])
    page = explain(nn.Identity(), "", x, dy=np.array([[np.inf, -np.inf, 1.0]]))
    assert {kind for kind, *_ in cells(html(page), "x", page)} == {"z"}
    assert [kind for kind, *_ in cells(html(page), "dy", page)][:3] == ["z", "z", "p9"]


def test_the_numbers_of_the_formula_are_marked_and_the_result_otherwise(page):
    source = html(page)
    for number, section in enumerate(source.split("<section ")[1:]):
        step = page.steps[number]
        worked = step.work(step.focus)
        for name in {step.makes, *step.reads}:
            order, shape = list(page.arrays).index(name), page.arrays[name].values.shape
            marked = {kind: set(re.findall(rf'<td data-r="{order}\.(\d+)" class="\w+ {kind}"', section))
                      for kind in ("target", "term")}  # fmt: skip
            own = [ref for ref in worked.refs() if ref.array == name]
            wanted = {str(np.ravel_multi_index(ref.at, shape) if shape else 0) for ref in own}
            assert marked["target"] == (wanted if name == step.makes else set())
            assert marked["term"] == (set() if name == step.makes else wanted)


def test_the_style_sheet_has_a_colour_for_every_level_each_stronger_than_the_one_before():
    style = html(explain(nn.Identity(), "", np.ones((1, 2))))
    for side, name in (("p", "above"), ("n", "below")):
        shares = [
            int(
                re.search(rf"^\.{side}{level} {{ background: color-mix\(in srgb, var\(--{name}\) (\d+)%", style, re.M)[
                    1
                ]
            )
            for level in range(1, 10)
        ]
        assert shares == sorted(set(shares))
        assert shares[-1] == 100
    assert len(set(re.findall(r"--(?:above|below): (#\w+)", style))) == 4  # light and dark


def test_the_picture_of_a_matrix():
    values = np.array([[2.0, -2.0, 0.0], [1.0, -0.5, np.inf], [np.nan, -np.inf, 9.0]])
    mode, drawn = pixels(heat(values, 2.0))
    assert mode == "RGBA"
    assert drawn.shape == (3, 3, 4)
    with np.errstate(invalid="ignore"):
        np.testing.assert_array_equal(drawn[values > 0][:, :3], np.tile(ABOVE, ((values > 0).sum(), 1)))
        np.testing.assert_array_equal(drawn[values < 0][:, :3], np.tile(BELOW, ((values < 0).sum(), 1)))
    np.testing.assert_allclose(drawn[..., 3] / 255, [[1, 1, 0], [0.5, 0.25, 1], [0, 1, 1]], atol=0.04)
    assert (pixels(heat(np.zeros((2, 3)), 0.0))[1][..., 3] == 0).all()
    assert pixels(heat(np.ones((MOST_PIXELS, 2 * MOST_PIXELS + 1)), 1.0))[1].shape == (MOST_PIXELS, 65, 4)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_the_photograph_of_the_input(channels, mode):
    image = np.random.default_rng(0).random((5, 7, channels))
    kind, drawn = pixels(photograph(image))
    assert kind == mode
    np.testing.assert_array_equal(drawn.reshape(5, 7, channels), np.round(image * 255))
    large = np.zeros((300, 600, channels))
    large[::3] = 1.0
    shown = pixels(photograph(large))[1].reshape(-1, 200, channels)
    assert shown.shape == (100, 200, channels)
    assert (shown == 255).all()  # every third row and column
    assert pixels(photograph(np.zeros((256, 4, 1))))[1].shape == (256, 4)


def test_the_overview_frames_the_part_that_is_shown():
    x = np.random.default_rng(1).normal(size=(1, 40, 30, 1))
    page = explain(nn.Tanh(), "", x, dy=np.ones_like(x), at=(20, 11, 0))
    source = html(page)
    frames = re.findall(
        r'<svg viewBox="0 0 (\d+) (\d+)".*?<image href="([^"]*)".*?'
        r'<rect x="(\d+)" y="(\d+)" width="(\d+)" height="(\d+)"',
        source,
    )
    assert len(frames) == 8
    for width, height, url, left, top, across, down in frames:
        assert (width, height, across, down) == ("30", "40", "9", "9")
        assert int(left) <= 11 < int(left) + 9
        assert int(top) <= 20 < int(top) + 9
        assert pixels(url)[1].shape == (40, 30, 4)
    drawn = pixels(frames[0][2])[1]
    assert ((drawn[..., :3] == ABOVE).all(axis=2) == (x[0, :, :, 0] > 0)).all()
    assert source.count("shown: i ") == 8


def test_colours_of_the_terminal(page):
    shown = styled(page)
    colour: dict[str, set[str]] = {}
    for span in shown.spans:
        colour.setdefault(str(span.style), set()).add(shown.plain[span.start : span.end].strip())
    titles = {f"{number}. {step.title}" for number, step in enumerate(page.steps, 1)}
    assert titles <= colour["bold"]
    assert all(re.fullmatch(r"\[[−\d.]+\]", each) for each in colour["bold green"] | colour["bold yellow"])
    assert [str(span.style) for span in shown.spans].count("bold green") == len(page.steps)
    assert "0" in colour["dim"]
    assert all("=" in each or "(" in each for each in colour["cyan"])
