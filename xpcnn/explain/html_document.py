"""The frame of a self-contained page: its styles, its data, and its script, which alone the page's policy allows."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Sequence
from html import escape
from importlib.resources import files
from typing import Any


def html_document(
    title: str,
    body: str,
    data: Any,
    *,
    styles: Sequence[str],
    scripts: Sequence[str],
    kind: str = "",
    package: str = __package__,
    allowed: str = "default-src 'none'; img-src data:",
) -> str:
    """The page.

    Parameters
        title : of the window, as text
        body : HTML
        data : JSON values for the script
        styles, scripts : files of the package, in their order
        kind : the class of the body element
        allowed : what the page's policy says besides its own styles and its own script
    """
    style, script = ("".join((files(package) / name).read_text("utf-8") for name in each) for each in (styles, scripts))
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = f"{allowed}; style-src 'unsafe-inline'; script-src 'sha256-{digest}'"
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<link rel="icon" href="data:,">
<title>{escape(title)}</title>
<style>{style}</style>
</head>
<body{f' class="{kind}"' if kind else ""}>
{body}
<script type="application/json" id="data">{text}</script>
<script>{script}</script>
</body>
</html>
"""
