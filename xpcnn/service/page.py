"""The page of a service: a picture is dropped on it, chosen or pasted, and it shows the answer."""

from __future__ import annotations

from html import escape

from ..errors import printable
from ..explain.html_document import html_document
from ..saved import Saved

_BODY = """<header>
<h1>What is in a picture</h1>
<p>{about}</p>
</header>
<main>
<label id="zone"><input id="file" type="file" accept="image/*">
<span>Drop a picture here, paste one, or choose a file</span></label>
<figure id="shown" hidden><img id="picture" alt="the picture that was asked about"><figcaption id="name"></figcaption>
</figure>
<section aria-live="polite" aria-busy="false" id="answer"></section>
</main>"""


def page(saved: Saved) -> str:
    """The page, in one document: its scripts and styles are in it, and it asks nobody but its own service."""
    shape = " × ".join(map(str, saved.input_shape))
    names = ", ".join(map(printable, saved.classes[:8])) + (" …" if len(saved.classes) > 8 else "")
    said = f" {len(saved.classes)} classes: {names}" if saved.classes else ""
    about = escape(f"This network takes images {shape}; pictures of other sizes are resized.{said}")
    return html_document(
        "xpcnn serve",
        _BODY.format(about=about),
        {},
        styles=["page.css"],
        scripts=["page.js"],
        package=__package__,
        allowed="default-src 'none'; img-src data: blob:; connect-src 'self'; form-action 'none'; base-uri 'none'",
    )
