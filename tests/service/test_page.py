"""The page of a service is alive in a browser: a picture that is dropped, chosen or pasted is answered.

Nothing else is asked. Its own policy holds, to which only the hash of the test's script is added.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
from html import unescape

import pytest

import xpcnn

from ..explain.chromium import CHROMIUM, needs_chromium
from .conftest import network, png, saved_network
from .serving import serving

SCRIPT = """
const seen = {};
const bytes = Uint8Array.from(atob("@PNG@"), (letter) => letter.charCodeAt(0));
const given = (name, data, type) => {
  const transfer = new DataTransfer();
  transfer.items.add(new File([data], name, { type }));
  return transfer;
};
const answered = async () => {
  do await new Promise((done) => setTimeout(done, 10)); while (part("answer").getAttribute("aria-busy") !== "false");
  return part("answer").innerText.replace(/\\s+/g, " ").trim();
};
(async () => {
  const input = part("file");
  input.focus();
  seen.focus = getComputedStyle(part("zone")).outlineStyle;
  input.files = given("chosen.png", bytes, "image/png").files;
  input.dispatchEvent(new Event("change"));
  seen.chosen = [await answered(), part("name").textContent, part("picture").naturalWidth];
  const event = (name, data) => Object.assign(new Event(name, { bubbles: true, cancelable: true }), data);
  document.dispatchEvent(event("dragover"));
  seen.over = part("zone").className;
  document.dispatchEvent(event("drop", { dataTransfer: given("<b>.txt", new Uint8Array([104, 105]), "image/png") }));
  seen.dropped = [await answered(), part("name").innerHTML, part("zone").className];
  document.dispatchEvent(event("paste", { clipboardData: given("pasted.png", bytes, "image/png") }));
  seen.pasted = await answered();
  try { await fetch("http://127.0.0.1:9/"); } catch (error) { seen.elsewhere = "refused"; }
  document.body.dataset.seen = JSON.stringify(seen);
})();
"""
PROGRAM = """
import sys
import xpcnn.service.application as application
from xpcnn.cli import main

plain = application.page
script = {script!r}
application.page = lambda saved: plain(saved).replace("script-src ", "script-src '{digest}' ").replace(
    "</body>", "<script>" + script + "</script></body>")
sys.argv[0] = "xpcnn"
main()
"""


@needs_chromium
def test_in_a_browser_a_picture_is_answered_and_nothing_else_is_asked(tmp_path, pixels):
    pytest.importorskip("uvicorn")
    evil = ("<i>cat</i>", "dog", "owl", "pig")
    saved_network(tmp_path / "m.safetensors", network(), classes=evil)
    picture = png(pixels[0])
    script = SCRIPT.replace("@PNG@", base64.b64encode(picture).decode())
    digest = "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    program = PROGRAM.format(script=script, digest=digest)
    with serving(tmp_path / "m.safetensors", program=program) as (_, port):
        words = ("--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
                 "--disable-component-update", "--disable-sync", "--no-proxy-server", "--virtual-time-budget=20000",
                 f"--user-data-dir={tmp_path}/chromium", "--dump-dom", f"http://127.0.0.1:{port}/")  # fmt: skip
        dom = subprocess.run([CHROMIUM, *words], capture_output=True, text=True, timeout=120, check=True).stdout
    assert '<html lang="en" class="ready">' in dom
    assert "<i>cat</i>" not in dom  # a class's name is text
    seen = json.loads(unescape(re.search(r' data-seen="([^"]*)"', dom)[1]))
    scores = xpcnn.load(tmp_path / "m.safetensors").predict(picture)[0].scores
    expected = " ".join(f"{label} {100 * probability:.1f} %" for label, probability in scores)
    assert seen["chosen"] == [expected, "chosen.png", 5]
    assert seen["pasted"] == expected
    assert seen["over"] == "over"
    error, name, kind = seen["dropped"]
    assert error.startswith("picture: expected a picture")
    assert (name, kind) == ("&lt;b&gt;.txt", "")
    assert seen["focus"] == "solid"
    assert seen["elsewhere"] == "refused"
