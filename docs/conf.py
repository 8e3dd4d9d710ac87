"""The documentation site: `make docs` builds it into docs/_build, offline."""

import os
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE / "extensions"))

import l96bench  # noqa: E402

project = "l96bench"
author = "The l96bench developers"
copyright = author
version = release = l96bench.__version__
language = "en"

extensions = [
    "sphinx.ext.autodoc",
    "sphinx.ext.mathjax",
    "numpydoc",
    "myst_nb",
    "sphinx_design",
    "sphinx_copybutton",
    "reference",
    "gallery",
    "board",
    "repository",
    "intervals",
    "executed",
    "links",
]
exclude_patterns = ["_build", "extensions", "*.py", "tutorials/common.py"]
suppress_warnings = ["config.cache"]  # the notebooks' format holds a function, which no cache can keep

# Text: Markdown by MyST; single backticks in docstrings are names, linked where they are known.
default_role = "py:obj"
smartquotes_action = "q"  # two hyphens begin an option
myst_enable_extensions = ["colon_fence", "deflist", "dollarmath"]
myst_heading_anchors = 3

# Tutorials are Python files in jupytext's percent format; a cell that fails ends the build.
nb_custom_formats = {".py": ["jupytext.reads", {"fmt": "py:percent"}]}
nb_execution_mode = "cache"
nb_execution_cache_path = str(HERE / "_build" / "executed")
nb_execution_timeout = 300
nb_execution_raise_on_error = True
nb_merge_streams = True
nb_render_markdown_format = "myst"

autodoc_member_order = "bysource"
autodoc_typehints = "none"  # docstrings tell them; annotations of NumPy fill lines
numpydoc_show_class_members = False
numpydoc_xref_param_type = False

repository_url = os.environ.get("L96BENCH_REPOSITORY", "")
"""Address of a commit's files, such as https://github.com/OWNER/NAME/blob/COMMIT; without one, they are named only."""

html_theme = "pydata_sphinx_theme"
html_title = "l96bench"
html_static_path = ["static"]
html_css_files = ["site.css"]
html_show_sourcelink = False
html_copy_source = False
html_theme_options = {
    "show_prev_next": False,
    "navigation_with_keys": False,
    "primary_sidebar_end": [],
    "secondary_sidebar_items": ["page-toc"],
    "navbar_persistent": ["search-button"],
    "header_links_before_dropdown": 8,
    "show_nav_level": 1,
    "navigation_depth": 2,
    "collapse_navigation": True,
}
html_sidebars = {
    **dict.fromkeys(("index", "start", "findings", "leaderboard", "gallery/index"), ()),
    **dict.fromkeys(("reference/api/**", "gallery/*"), ("sidebar-nav-bs",)),
}
