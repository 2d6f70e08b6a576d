"""Settings of the site, which `make docs` builds: Sphinx, with MyST-NB for Markdown, drawn by Furo."""

from __future__ import annotations

import sys
from pathlib import Path

DOCS = Path(__file__).parent
sys.path.insert(0, str(DOCS))

import hornbook

project = "hornbook"
version = release = hornbook.__version__
copyright = "the hornbook authors"

extensions = [
    "myst_nb",
    "sphinx.ext.autodoc",
    "sphinx_copybutton",
    "_site.docstrings",
    "_site.lessons",
    "_site.pages",
]
exclude_patterns = ["_site", "generated", "lessons/files"]
default_role = "code"  # `x` in docstrings
smartquotes_action = "qe"  # quotes and ellipses; hyphens stay: `---` and options mean what they are
nitpicky = True  # a reference to nothing is a warning, and `make docs` fails on warnings
nitpick_ignore_regex = [("py:(class|obj|data)", ".*")]  # types in signatures, of other packages too

myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 4
nb_merge_streams = True
nb_execution_mode = "off"  # lessons are executed before, by `_site.lessons`

autodoc_preserve_defaults = True
autodoc_member_order = "bysource"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 88
toc_object_entries_show_parents = "hide"

html_theme = "furo"
pygments_dark_style = "monokai"
html_title = "hornbook"
html_static_path = ["_site/static"]
html_css_files = ["site.css"]
html_copy_source = False
html_show_sphinx = False
copybutton_exclude = ".linenos, .gp, .go"
