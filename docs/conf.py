"""How the documentation is built: `sphinx-build -W --keep-going -b html docs docs/_build`, without a network."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parent / "extensions"))

import xpcnn

project = "xpcnn"
author = "The xpcnn developers"
release = xpcnn.__version__
copyright = author

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx_gallery.gen_gallery",
    "commands",
    "docstrings",
    "drawings",
    "elsewhere",
    "mathml",
    "models",
    "notebooks",
    "pictures",
    "reference",
    "side_by_side",
    "words",
]
exclude_patterns = [
    "_build",
    "extensions",
    "gallery/*.py",
    "gallery/*.ipynb",
    "gallery/*.json",
    "gallery/*.md5",
    "notebooks/*.ipynb",
]
suppress_warnings = ["config.cache"]  # the gallery's settings hold a function

myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
smartquotes = False  # 'cupy' and "same" are copied into programs

autodoc_member_order = "bysource"
autodoc_inherit_docstrings = False  # a layer's forward is described once, at Layer
autodoc_typehints_format = "short"
python_use_unqualified_type_names = True
python_maximum_signature_line_length = 100
add_module_names = False
toc_object_entries_show_parents = "hide"

html_theme = "pydata_sphinx_theme"
html_title = f"xpcnn {release}"
html_math_renderer = "mathml"
html_static_path = ["_static"]
html_css_files = ["xpcnn.css"]
html_show_sourcelink = False
html_sidebars = {
    page: [] for page in ("index", "install", "tutorial", "design", "command_line", "course", "seeds", "coming_from/*")
}
html_theme_options = {
    "header_links_before_dropdown": 7,
    "show_prev_next": True,
    "show_toc_level": 2,
    "navbar_align": "left",
    "navigation_with_keys": False,
    "secondary_sidebar_items": ["page-toc"],
    "footer_start": ["copyright"],
    "footer_end": [],
}

# These take a second or two; the others would download data or train for minutes, and run in their short form.
_IN_FULL = ("explicit_loop.py", "linear_regression.py", "own_layer.py", "own_optimizer.py", "gradient_accumulation.py")


def _arguments(gallery: Any, variables: dict[str, Any]) -> list[str]:
    return [] if Path(variables["src_file"]).name in _IN_FULL else ["--tiny"]


sphinx_gallery_conf = {
    "examples_dirs": ["../examples"],
    "gallery_dirs": ["gallery"],
    # an example that ends the program, as this one does where PyTorch is not, would end the build with it
    "filename_pattern": r"\.py$" if find_spec("torch") and find_spec("safetensors") else r"(?<!pytorch_weights)\.py$",
    "reset_argv": _arguments,
    "download_all_examples": False,
    "show_memory": False,
    "show_signature": False,
    "min_reported_time": 1e9,
    "copyfile_regex": "",
}
