"""The text of an explanation: the numbers of document 000, 100 columns, nothing that a terminal would obey."""

from __future__ import annotations

import numpy as np
import pytest
from rich.cells import cell_len

from xpcnn import nn
from xpcnn.explain import explain, text
from xpcnn.explain.terminal import styled
from xpcnn.nn.layer_examples import EXAMPLES


@pytest.fixture(scope="module")
def document_000(document_000):
    """The explanation alone, without its page."""
    return document_000[0]


def test_document_000_as_it_is_printed(document_000):
    lines = text(document_000).splitlines()
    for expected in (
        "   y[n,i,j,f] = b[f] + Σ_{u,v,c} x̂[n, i·S + u·D, j·S + v·D, c] · w[f,u,v,c]    (1)",
        "              = 6",
        "     0 [6]  7   5      0  2  −5  −8 ",
        "     2  2  −1   4      2  0  −5  −5 ",
        "     1  5   6   6      1 10   9 [12]     1  5   8   5 ",
        "         = 0 + 1 + 1 + 2 + 2 + 2 + 1 + 0 + 0",
        "    [9] 7 ",
        "     4  0  −1  −2   1  −1      4  0  −3   0  −3   0      4  1  −1   0   1   0",
    ):
        assert expected.rstrip() in [line.rstrip() for line in lines], expected
    whole = " ".join(" ".join(lines).split())
    gradient = lines[lines.index("5. Backward: the input. Each element stands in every output whose patch it is in") :]
    assert "   f = 0, c = 1      f = 1, c = 1" in [line.rstrip() for line in gradient]  # the filters that saw the pixel
    start = next(line for line in lines if line.startswith("   y[0,0,0,0] = "))
    following = lines[lines.index(start) + 1]
    assert following.startswith(" " * (cell_len("   y[0,0,0,0]") + 3) + "x̂[")
    assert "= 1 + 0·(−1) + 0·(−1) + 0·0 + 0·1 + 0·(−1) + 0·0" in whole
    assert "dx[0,1,1,1] = dy[0,1,1,0]·w[0,0,0,1] + dy[0,1,1,1]·w[1,0,0,1]" in whole


@pytest.mark.parametrize("name", [name for name, make in EXAMPLES.items() if not isinstance(make()[0], nn.Container)])
def test_every_layer_fits_into_100_columns(name, rng):
    layer, x = EXAMPLES[name]()
    x = x.astype("float32")
    page = explain(layer, "", x, dy=rng.normal(size=layer(x).shape).astype("float32"))
    lines = text(page, precision=9).splitlines()
    assert max(map(cell_len, lines)) <= 100
    assert f"{len(page.steps)}. {page.steps[-1].title}" in lines


def test_large_arrays_are_cut_around_the_number_with_statistics(rng):
    model = nn.Sequential(nn.Conv2d(3, 20, 5, rng=0), nn.Flatten(), nn.Linear(20 * 24 * 24, 4, rng=1))
    x = rng.random((1, 28, 28, 3)).astype("float32")
    shown = text(explain(model, "0", x, at=(20, 3, 11)))
    assert len(shown.splitlines()) < 300
    assert "11520 numbers, " in shown
    assert "shown: i 16–23 of 24, " in shown
    assert " f 11–12 of 20" in shown
    assert "f = 11" in shown
    assert "smaller terms: " in shown


def test_precision_is_the_number_of_digits():
    page = explain(nn.Tanh(), "", np.array([[0.5]], "f8"), dy=np.ones((1, 1)))
    assert "= 0.46211716\n" in text(page, precision=8)
    assert "= 0.46\n" in text(page, precision=2)


def test_the_numbers_in_a_formula_are_marked_and_colours_can_be_left_out(document_000):
    plain, coloured = text(document_000), styled(document_000)
    assert coloured.plain == plain
    assert "\x1b" not in plain
    colour = {plain[span.start : span.end].strip(): str(span.style) for span in coloured.spans}
    assert colour["[12]"] == "bold green"
    assert colour["[−1]"] == "bold yellow"
    assert plain.count("[12]") == 1


def test_names_from_a_file_cannot_speak_to_the_terminal():
    layer = nn.Linear(2, 2, rng=0)
    page = explain(layer, "", np.ones((1, 2), "f4"), classes=["\x1b[2Jcleared\x07\x9b31m"] * 2)
    shown = text(page)
    assert "�[2Jcleared��31m" in shown
    assert not {"\x1b", "\x07", "\x9b"} & set(shown)


def test_what_is_not_finite_is_written_as_such():
    layer = nn.MaxPool2d(2, padding=1)
    page = explain(layer, "", np.ones((1, 2, 2, 1), "f4"), dy=np.full((1, 2, 2, 1), np.inf, "f4"))
    assert "max(−∞, −∞, −∞, 1)" in text(page)
    assert "∞" in text(page).partition("Backward")[2]
