"""How Sphinx builds the pages: ``sphinx-build -W -b html docs build/docs``.

Beside the pages written by hand there are some made of the code (`tables`), and a gallery whose
pictures come from running `examples/` and every bundled workload (`pictures`). Nothing is fetched.
"""

from __future__ import annotations

import logging
import sys
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

import pictures  # noqa: E402  beside this file
import tables  # noqa: E402

import vgaemu  # noqa: E402

project = "vgaemu"
author = "The vgaemu maintainers"
project_copyright = author
version = release = vgaemu.__version__

extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.napoleon",  # docstrings have Args, Returns and Raises, as Google's style has them
    "sphinx.ext.viewcode",
    "sphinx_gallery.gen_gallery",
]
exclude_patterns = ["generated/**", "sg_execution_times.rst"]

myst_heading_anchors = 3
# A name in backticks in a docstring is a link where that name has an entry.
default_role = "py:obj"
suppress_warnings = ["ref.python"]  # a name that several have, such as `width`, is no link
autodoc_member_order = "bysource"
autodoc_mock_imports = ["jupyter_rfb"]  # the notebook's view is told of without it
autodoc_typehints = "signature"
python_use_unqualified_type_names = True
napoleon_use_rtype = False

sphinx_gallery_conf = {
    # Copies: an example may leave files where it runs.
    "examples_dirs": [str(pictures.EXAMPLES)],
    "gallery_dirs": ["gallery"],
    "filename_pattern": r"\.py$",
    "ignore_pattern": r"(snake_agent|ray_rollouts)\.py$",  # they need what docs do not
    "within_subsection_order": "pictures.InOrder",
    "image_scrapers": ("pictures",),
    "default_thumb_file": str(HERE / "window.png"),  # of examples that show nothing
    "reset_modules": (),  # the default resets matplotlib
    "abort_on_example_error": True,
    "show_memory": False,
    "write_computation_times": False,
    "download_all_examples": False,
    "notebook_extensions": (),
    "show_signature": False,
    "remove_config_comments": True,
    "min_reported_time": 1e9,
}

logging.getLogger("vgaemu").setLevel(logging.WARNING)  # what examples say of themselves is no news

html_theme = "furo"
html_title = "vgaemu"
html_static_path = ["_static"]
html_css_files = ["vgaemu.css"]
html_copy_source = False
html_show_sphinx = False


def make_what_pages_include(app: Sphinx, config: Config) -> None:
    """Tables and pictures, before the gallery is run and pages are looked for."""
    tables.write(HERE / "generated")
    pictures.copy_examples()
    pictures.write_workloads(HERE / "generated")


def keep_colons(
    app: Sphinx, what: str, name: str, obj: object, options: object, lines: list[str]
) -> None:
    """Let "The device: ports" of an attribute be a sentence, and not a type with what it is for.

    An empty comment before it is the line that napoleon looks at.
    """
    if what in ("attribute", "data", "property"):
        lines[:0] = ["..", ""]


def setup(app: Sphinx) -> None:
    """Sphinx calls it last of all extensions; the gallery looks for its folder later."""
    app.connect("config-inited", make_what_pages_include, priority=0)
    app.connect("autodoc-process-docstring", keep_colons, priority=0)
