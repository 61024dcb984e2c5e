"""The documentation as a browser shows it: each page of a build, narrow and wide, light and dark.

    sphinx-build -b html docs docs/_build && python -m ci.site docs/_build

Fails where a page has no single heading or hardly any text, is wider than the window, has a picture that does not load
or a link that leads nowhere, and where the search does not find what people type. Needs chromium.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
import threading
from functools import partial
from html import unescape
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urldefrag, urljoin

WINDOWS = ((390, "dark"), (1400, "light"))
QUESTIONS = {  # what is typed, and a page that is among the first three
    "Conv2D": "reference/convolution",
    "dense": "coming_from/names",
    "learning rate": "howto/learning_rate",
    "gpu": "howto/gpu",
    "zero_grad": "coming_from/names",
    "weights from pytorch": "howto/exchange",
    "mask": "howto/masks",
    "NaN": "howto/nan",
    "early stopping": "howto/training",
    "backprop": "derivations/index",
    "save model": "howto/saving",
    "gradient check": "derivations/checking",
    "jupyter": "howto/notebooks",
}
LEAST_TEXT = 80

LOOK = """
const found = [];
const wait = (ms) => new Promise((done) => setTimeout(done, ms));
const open = async (address, width) => {
  const frame = document.createElement("iframe");
  Object.assign(frame, { width, height: 900, src: address });
  document.body.append(frame);
  await Promise.race([new Promise((done) => { frame.onload = done; }), wait(20000)]);
  return frame;
};
const look = (page, width) => {
  const whole = page.documentElement;
  const article = page.querySelector("article");
  const faults = [];
  for (const part of [whole, ...page.querySelectorAll(".bd-article-container, .bd-sidebar-secondary")])
    if (part.scrollWidth > part.clientWidth + 1) faults.push(`${part.className || "page"} wider than its place`);
  if (!article) return ["no article"];
  if (article.querySelectorAll("h1").length !== 1) faults.push("not one heading");
  if (article.innerText.length < LEAST) faults.push("hardly any text");
  for (const image of article.querySelectorAll("img"))
    if (image.complete && !image.naturalWidth && image.loading !== "lazy") faults.push(`no picture ${image.src}`);
  return faults;
};
(async () => {
  for (const [width, mode] of WINDOWS) {
    localStorage.setItem("mode", mode);
    localStorage.setItem("theme", mode);
    for (const address of PAGES) {
      const frame = await open(address, width);
      await wait(30);
      for (const fault of look(frame.contentDocument, width)) found.push(`${address}, ${mode}: ${fault}`);
      frame.remove();
    }
  }
  for (const [asked, page] of Object.entries(QUESTIONS)) {
    const frame = await open(`search.html?q=${encodeURIComponent(asked)}`, 900);
    const heading = () => frame.contentDocument.querySelector("#search-results h2")?.textContent ?? "Searching";
    for (let i = 0; i < 100 && /Searching|Preparing/.test(heading()); i++) await wait(100);
    const links = [...frame.contentDocument.querySelectorAll("#search-results ul.search li a")].slice(0, 3);
    const first = links.map((link) => link.getAttribute("href").split(".html")[0]);
    if (!first.includes(page)) found.push(`search for "${asked}": ${first.join(", ")}; not ${page}`);
    frame.remove();
  }
  document.getElementById("found").textContent = JSON.stringify(found);
})();
"""


def main(folder: Path) -> int:
    pages = sorted(str(path.relative_to(folder)) for path in folder.rglob("*.html"))
    pages = [each for each in pages if not each.startswith("_") and each not in ("search.html", "genindex.html")]
    faults = dead_links(folder, pages) + seen(folder, pages)
    print(f"{len(pages)} pages, {len(WINDOWS)} windows, {len(QUESTIONS)} searches: {len(faults)} faults")
    print("\n".join(faults))
    return bool(faults)


def dead_links(folder: Path, pages: list[str]) -> list[str]:
    """Links within the site whose file or place is not there."""
    texts = {each: (folder / each).read_text("utf-8") for each in pages}
    places = {each: set(re.findall(r'\bid="([^"]+)"', text)) for each, text in texts.items()}
    faults = []
    for each, text in texts.items():
        for link in re.findall(r'<a [^>]*?href="([^"]+)"', re.sub(r'srcdoc="[^"]*"', "", text)):
            target, place = urldefrag(urljoin(each, unescape(link)))
            if re.match(r"\w+:", target):
                continue
            if not (folder / unquote(target)).exists():
                faults.append(f"{each}: {link} is not there")
            elif place and target in places and unquote(place) not in places[target]:
                faults.append(f"{each}: {link} has no such place")
    return faults


def seen(folder: Path, pages: list[str]) -> list[str]:
    """What a browser finds."""
    values = {"LEAST": LEAST_TEXT, "WINDOWS": WINDOWS, "PAGES": pages, "QUESTIONS": QUESTIONS}
    script = "".join(f"const {name} = {json.dumps(value)};\n" for name, value in values.items()) + LOOK
    page = folder / "_look.html"
    page.write_text(f'<pre id="found"></pre><script>{script}</script>', "utf-8")
    quiet = type("Quiet", (SimpleHTTPRequestHandler,), {"log_message": lambda *args: None})
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        options = ["--headless", "--no-sandbox", "--disable-gpu", "--virtual-time-budget=600000", "--dump-dom"]
        address = f"http://127.0.0.1:{server.server_port}/_look.html"
        done = subprocess.run(["chromium", *options, address], capture_output=True, text=True, timeout=600, check=True)
    finally:
        server.shutdown()
        page.unlink()
    found = re.search(r'<pre id="found">(\[.*?\])</pre>', done.stdout, re.DOTALL)
    return json.loads(unescape(found[1])) if found else ["the browser did not come to an end"]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
