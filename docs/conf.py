"""Sphinx: the Markdown pages of this folder, and the API from the docstrings."""

from importlib.util import find_spec

from mmdyt import LAZY, __version__

project = "mmdyt"
author = "The mmdyt authors"
release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon", "sphinx.ext.viewcode"]
html_theme = "furo"
html_title = f"mmdyt {release}"
exclude_patterns = ["_build"]

myst_heading_anchors = 3
autodoc_default_options = {"members": True, "show-inheritance": True}
# Detection is documented where mmdetection is not installed, too.
autodoc_mock_imports = [] if find_spec("mmdet") else ["mmdet"]
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
napoleon_numpy_docstring = False
# References to our own names must resolve; other projects' pages are not at hand.
nitpicky = True
nitpick_ignore_regex = [
    (r"py:.*", r"(?!mmdyt\.).*"),
    (r"py:class", r"mmdyt\.evaluation\.timing\.T"),  # a type variable
    (r"py:.*", rf"mmdyt\.({'|'.join(LAZY)})"),  # their pages are those of their modules
]
