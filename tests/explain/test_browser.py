"""The page of an explanation is alive in a browser: its script runs, no other does, and numbers show their formulas."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np

from xpcnn import nn
from xpcnn.explain import explain, html

from .chromium import in_chromium, needs_chromium
from .page import Reader

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
    """The findings of a script that runs in the page after its own."""
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
