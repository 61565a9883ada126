"""How the documentation is built; warnings are errors (`make docs`)."""

from __future__ import annotations

import sys
from pathlib import Path

import mindgap

sys.path.insert(0, str(Path(__file__).parent / "_ext"))

project = "mindgap"
author = "The mindgap authors"
copyright = "The mindgap authors"
version = release = mindgap.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",
    "plugin_pages",
    "command_help",
    "metric_pages",
    "offline_math",
]
myst_enable_extensions = ["dollarmath", "colon_fence", "deflist"]
myst_heading_anchors = 3
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_member_order = "bysource"
nitpicky = False

html_math_renderer = "offline"
html_theme = "furo"
html_title = "mindgap"
html_show_sphinx = False
