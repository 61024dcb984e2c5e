"""In a browser, the script of a training step's page works out the library's numbers, and each leads to its origin."""

from __future__ import annotations

import json
import re
from html import unescape

import numpy as np

from xpcnn import nn, optim
from xpcnn.explain import step

from .chromium import in_chromium, needs_chromium
from .test_step import branched

# Work out every number of every stop; formulas that are text are evaluated.
EVERY = """
<script>
const seen = { count: 0, wrong: [] };
const functions = "const {exp,log,sqrt,tanh,max,min,abs} = Math; ";
walk.stops.forEach((stop, number) => {
  const array = stop.made.array();
  for (let flat = 0; flat < array.size; flat++) {
    const done = walk.worked(stop, flat);
    if (!done) continue;
    let { value } = done;
    if (value === undefined) {
      const number = ({ member, at }) => `(${member.value(at)})`;
      const said = done.pieces.map((piece) => (typeof piece === "string" ? piece : number(piece)));
      const source = said.join("").replaceAll("·", "*").replaceAll("−", "-").replaceAll("√", "sqrt").split(", as ")[0];
      value = eval(functions + source);
    }
    seen.count += 1;
    const own = stop.made.value(flat);
    if (!(Math.abs(value - own) <= 2e-4 * Math.max(array.largest, 1e-2))) seen.wrong.push([number, flat, value, own]);
  }
});
"""
# Follow numbers, as a reader does.
WALK = """
const text = (number) => document.querySelector(`#s${number} .formula`).textContent;
seen.first = text(0);
const go = (hash) => {
  location.hash = hash;
  dispatchEvent(new Event("hashchange")); // now, not later
};
const key = (name) => document.activeElement.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
seen.asked = document.querySelector("#s2 .formula a").getAttribute("href");
go(seen.asked);
const [, number, flat] = /#s(\\d+)\\.(\\d+)/.exec(seen.asked);
seen.made = document.querySelector(`#s${number} .result td.target`).dataset.i === flat;
seen.here = document.getElementById("here").textContent;
key("ArrowRight");
seen.beside = document.activeElement.dataset.i;
key("Enter");
seen.chosen = location.hash;
go(seen.chosen);
document.activeElement.blur();
key("n");
seen.next = location.hash;
const link = document.querySelector("#s2 .formula a");
const click = new MouseEvent("click", { bubbles: true, cancelable: true });
seen.stays = !link.dispatchEvent(click) && location.hash === link.getAttribute("href");
document.body.dataset.seen = JSON.stringify(seen);
</script>
"""


@needs_chromium
def test_in_a_browser_the_script_s_numbers_are_the_library_s(rng, tmp_path):
    model = branched()
    optimizer = optim.RMSProp(model.parameters(), centered=True, momentum=0.5, weight_decay=0.1)
    images = rng.random((2, 4, 4, 1)).astype("float32")
    walk = step(model, images, np.array([1, 2]), optimizer=optimizer, clip_norm=0.5)
    policy = r'<meta http-equiv="Content-Security-Policy"[^>]*>'
    source = re.sub(policy, "", walk.html()).replace("</body>", f"{EVERY}{WALK}</body>")
    dom, asked = in_chromium(source, tmp_path)
    assert asked == ["/page"]
    seen = json.loads(unescape(re.search(r' data-seen="([^"]*)"', dom)[1]))
    assert seen["wrong"] == []
    worked = sum(stop.page.arrays[stop.step.makes].values.size for stop in walk.stops if stop.step.rule)
    assert seen["count"] == worked > 1000
    focus = walk.stops[0].step
    label = f"y[{','.join(map(str, focus.focus))}]"
    assert seen["first"].startswith(f"{label} = ")
    assert seen["first"].count("·") == 2 * 9
    stop, flat = map(int, seen["asked"][2:].split("."))
    assert walk.stops[stop].place == "0 Conv2d"  # from batch norm
    assert seen["made"]
    assert seen["here"].startswith(f"{stop + 1} of {len(walk.stops)}: {walk.stops[stop].place}")
    assert int(seen["beside"]) > flat
    assert seen["chosen"] == f"#s{stop}.{seen['beside']}"
    assert seen["next"] == f"#s{stop + 1}"
    assert seen["stays"]  # in a notebook's frame, a link would leave it


@needs_chromium
def test_in_a_browser_the_page_runs_under_its_policy(tmp_path):
    model = nn.Sequential(nn.Linear(2, 3, rng=0), nn.ReLU(), nn.Linear(3, 2, rng=1))
    walk = step(model, np.ones((1, 2), "f4"), classes=["</script><script>document.title='taken'</script>"] * 2)
    dom, asked = in_chromium(walk.html(title="<script>document.title='taken'</script>"), tmp_path)
    assert asked == ["/page"]
    assert re.search(r'<html[^>]* class="ready"', dom)
    assert "<title>taken" not in dom
    assert "<td" in dom
