"""The page of an explanation: whole without its script, safe with any name, small, readable, alive in a browser."""

from __future__ import annotations

import http.server
import json
import re
import shutil
import subprocess
import threading
from html import unescape
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import xpcnn.explain
from xpcnn import nn, use_backend
from xpcnn.explain import explain, html
from xpcnn.explain.view import boxes, tables
from xpcnn.nn.samples import SAMPLES

from ..test_worked_examples import BIAS, FILTERS, IMAGE, SENSITIVITY, batch, last

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to look at the page with")
VOID = {"meta", "link", "img", "br", "input"}


class Reader(HTMLParser):
    """Checks that elements are closed in turn; collects attributes, cells and texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.cells: dict[str, set[str]] = {}
        self.text: list[str] = []
        self._cell: str | None = None
        self.feed(page)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]
        if tag not in VOID:
            self.open.append(tag)
        if tag == "td":
            self._cell = dict(attributes)["data-r"]

    def handle_startendtag(self, tag, attributes):
        self.attributes += [(tag, name, value) for name, value in attributes]

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if self.open and self.open[-1] not in ("script", "style"):
            self.text.append(data)
        if self.open and self.open[-1] == "td":
            self.cells.setdefault(self._cell, set()).add(data)


@pytest.fixture(scope="module")
def document_000():
    with use_backend("numpy"):
        layer = nn.Conv2d(3, 2, 3, stride=2, padding=1).astype("float64")
        layer.load_state_dict({"weight": last(FILTERS), "bias": np.array(BIAS, "f8")})
        page = explain(layer, "", batch(IMAGE), dy=batch(SENSITIVITY), at=(0, 0, 0))
    return page, html(page, title="document 000")


def data_of(source):
    return json.loads(re.search(r'<script type="application/json" id="data">(.*?)</script>', source, re.DOTALL)[1])


@pytest.mark.parametrize("name", [name for name, make in SAMPLES.items() if not isinstance(make()[0], nn.Container)])
def test_every_layer_s_page_is_well_formed_and_its_cells_are_its_arrays(name, rng):
    layer, x = SAMPLES[name]()
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


# First: whether what the script writes for the focus of each section is what stood there without it.
BEGIN = """
<script>
const seen = {};
const over = (cell) => cell.dispatchEvent(new PointerEvent("pointerover", { bubbles: true }));
seen.same = [...document.querySelectorAll("section")].map((each) => {
  const block = each.querySelector(".formula");
  const before = block.innerText;
  over(each.querySelector(`.result td[data-r='${each.dataset.focus}']`));
  return before === block.innerText;
});
"""
# Then what a reader does, and what the page shows.
PROBE = """
const section = document.querySelectorAll("section")[0];
const box = section.querySelector(".formula");
const marks = (kind) => [...section.querySelectorAll(`td.${kind}`)].map((cell) => cell.dataset.r);
seen.before = [box.textContent, marks("target"), marks("term")];
const cell = [...section.querySelectorAll(".result td")].find((each) => each.dataset.r === "@CELL@");
over(cell);
seen.over = [box.textContent, marks("target"), marks("term")];
over(section.querySelector("figure td[data-r='@PIXEL@']"));
seen.pixel = [marks("target"), marks("use")];
section.querySelector(".arrays").dispatchEvent(new PointerEvent("pointerleave"));
seen.after = [box.textContent, marks("target"), marks("term")];
cell.click();
over(section.querySelector(".result td"));
seen.pinned = marks("target");
cell.click();
section.querySelector(".result td").focus();
document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight", bubbles: true }));
document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowDown", bubbles: true }));
seen.keyboard = [document.activeElement.dataset.r, marks("target")];
"""
END = "document.body.dataset.seen = JSON.stringify(seen);</script>"


class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.server.asked.append(self.path)
        found = self.path == "/page"
        self.send_response(200 if found else 404)
        self.send_header("Content-Type", "text/html; charset=utf-8")
        self.end_headers()
        self.wfile.write(self.server.page if found else b"")

    def log_message(self, *args):
        pass


def in_chromium(source, folder):
    """The page as Chromium has it in the end, and the paths that were asked for."""
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        server.page, server.asked = source.encode(), []
        threading.Thread(target=server.serve_forever, daemon=True).start()
        done = subprocess.run(
            [
                CHROMIUM, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
                "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
                f"--user-data-dir={folder}", "--dump-dom", f"http://127.0.0.1:{server.server_port}/page",
            ],
            capture_output=True, timeout=120, check=True,
        )  # fmt: skip
        server.shutdown()
    return done.stdout.decode(), server.asked


@needs_chromium
def test_in_a_browser_the_script_runs_and_nothing_else_is_asked_for(document_000, tmp_path):
    _, source = document_000
    seen, asked = in_chromium(source, tmp_path)
    assert asked == ["/page"]
    assert re.search(r'<html[^>]* class="ready"', seen)  # the policy lets the page's own script run
    numbers = Reader(source).cells
    assert {key: value for key, value in Reader(seen).cells.items()} == numbers


@needs_chromium
def test_in_a_browser_a_script_in_a_name_does_not_run(tmp_path):
    evil = "<script>document.title='taken'</script><img src=/stolen onerror=\"document.title='taken'\">"
    page = explain(nn.Linear(2, 2, rng=0), "", np.ones((1, 2), "f4"), classes=[evil, evil])
    seen, asked = in_chromium(
        html(page, title=evil) + "<script>document.title='taken'</script><img src=/stolen>", tmp_path
    )
    assert asked == ["/page"]  # the policy holds what escaping would have missed
    assert "<title>taken" not in seen


def probed(source, probe, folder):
    """What a script found that runs in the page after its own."""
    open_page = re.sub(r'<meta http-equiv="Content-Security-Policy"[^>]*>', "", source)  # for the probe alone
    dom, _ = in_chromium(open_page.replace("</body>", f"{BEGIN}{probe}{END}</body>"), folder)
    return json.loads(unescape(re.search(r' data-seen="([^"]*)"', dom)[1]))


@needs_chromium
def test_in_a_browser_minus_signs_and_remarks_are_written_as_without_the_script(rng, tmp_path):
    layer = nn.BatchNorm1d(2).astype("float64")
    layer.weight[...] = [-1.5, 2.0]
    page = explain(layer, "", rng.normal(size=(4, 2)), dy=-np.abs(rng.normal(size=(4, 2))), at=(0,))
    source = html(page)
    written = " ".join("".join(Reader(source).text).split())
    assert re.search(r"· ?\(−|·\(−", written)
    assert "+ (−" in written
    assert "− (−" in written
    assert "through σ²: −γ[0]·r[0]·x̂[" in written
    seen = probed(source, "", tmp_path)
    assert seen["same"] == [True] * len(page.steps)


@needs_chromium
def test_in_a_browser_a_number_under_the_pointer_shows_its_formula(document_000, tmp_path):
    page, source = document_000
    order = list(page.arrays)
    y, x = order.index("y"), order.index("x̂")
    other = int(np.ravel_multi_index((0, 1, 2, 1), page.arrays["y"].values.shape))
    pixel = int(np.ravel_multi_index((0, 2, 2, 1), page.arrays["x̂"].values.shape))
    probe = PROBE.replace("@CELL@", f"{y}.{other}").replace("@PIXEL@", f"{x}.{pixel}")
    seen = probed(source, probe, tmp_path)
    worked = page.steps[0].work((0, 1, 2, 1))
    text, target, terms = seen["over"]
    assert target == [f"{y}.{other}"]
    text = " ".join(text.split())
    assert text.startswith("y[0,1,2,1] = b[1] + x̂[0,2,4,0]·w[1,0,0,0] + ")
    assert text.endswith(f"= {page.value(worked.target):g}".replace("-", "−"))
    patch = {
        f"{x}.{np.ravel_multi_index((0, p, q, c), (1, 7, 7, 3))}"
        for p in (2, 3, 4)
        for q in (4, 5, 6)
        for c in range(3)
    }
    assert patch == {each for each in terms if each.startswith(f"{x}.")}
    numbers = text.split(" = ")[2]
    assert eval(numbers.replace("−", "-").replace("·", "*")) == page.value(worked.target)
    # A pixel shows the outputs that it goes into: of a window of 3, stride 2, at 2: positions 0 and 1.
    (marked, use) = seen["pixel"]
    assert marked == [f"{x}.{pixel}"]
    shape = page.arrays["y"].values.shape
    touched = {f"{y}.{np.ravel_multi_index((0, i, j, f), shape)}" for i in (0, 1) for j in (0, 1) for f in (0, 1)}
    assert set(use) == touched
    assert seen["after"] == seen["before"]
    assert seen["pinned"] == [f"{y}.{other}"]
    beside = f"{y}.{np.ravel_multi_index((0, 1, 1, 0), shape)}"
    assert seen["keyboard"] == [beside, [beside]]
    assert all(seen["same"])  # what the script writes for the focus is what stood there without it
    assert len(seen["same"]) == len(page.steps)
