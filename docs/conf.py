"""Configuration of the documentation, https://www.sphinx-doc.org/page/usage/configuration.html."""

import os
import warnings
from datetime import datetime
from importlib.metadata import metadata

# sphinx-autodoc-typehints causes this warning on Sphinx 9; this project cannot avoid it.
warnings.filterwarnings("ignore", message=".*set_application' is deprecated")

# Without a network, intersphinx is off, and so are warnings about names that it would resolve.
OFFLINE = os.environ.get("SCDIFFOT_DOCS_OFFLINE", "") not in {"", "0"}

# -- Project information -----------------------------------------------------

info = metadata("scdiffot")
project = info["Name"]
author = info["Author"]
copyright = f"{datetime.now():%Y}, {author}"
version = release = info["Version"]
repository_url = dict(url.split(", ") for url in info.get_all("Project-URL"))["Source"]

# -- General configuration ---------------------------------------------------

needs_sphinx = "8.1"
nitpicky = not OFFLINE
extensions = [
    "myst_nb",
    "sphinx_copybutton",
    "sphinx.ext.autodoc",
    "sphinx.ext.intersphinx",
    "sphinx.ext.autosummary",
    "sphinx.ext.napoleon",
    "sphinxcontrib.bibtex",
    "sphinxcontrib.katex",
    "sphinx_autodoc_typehints",
    "scanpydoc.definition_list_typed_field",
    "scanpydoc.elegant_typehints",
    "sphinx_design",
    "IPython.sphinxext.ipython_console_highlighting",
]

bibtex_bibfiles = ["references.bib"]
bibtex_reference_style = "author_year"
autosummary_generate = True
autodoc_member_order = "groupwise"
default_role = "literal"
napoleon_google_docstring = False
napoleon_numpy_docstring = True
napoleon_include_init_with_doc = False
napoleon_use_rtype = True  # having a separate entry generally helps readability
napoleon_use_param = True
myst_heading_anchors = 6  # create anchors for h1-h6
myst_enable_extensions = [
    "amsmath",
    "colon_fence",
    "deflist",
    "dollarmath",
    "html_image",
    "html_admonition",
]
myst_url_schemes = ("http", "https", "mailto")
nb_execution_mode = "off"  # the tests execute the notebooks
nb_output_stderr = "remove"
nb_merge_streams = True
typehints_defaults = "braces"
always_use_bars_union = (
    True  # use `|` instead of `Union` in types even when building with Python ≤3.14
)

source_suffix = {".rst": "restructuredtext", ".ipynb": "myst-nb", ".myst": "myst-nb"}
exclude_patterns = ["_build", "Thumbs.db", ".DS_Store", "**.ipynb_checkpoints"]

intersphinx_mapping = (
    {}
    if OFFLINE
    else {
        "anndata": ("https://anndata.scverse.org/en/stable/", None),
        "matplotlib": ("https://matplotlib.org/stable/", None),
        "mudata": ("https://mudata.readthedocs.io/stable/", None),
        "numpy": ("https://numpy.org/doc/stable/", None),
        "pandas": ("https://pandas.pydata.org/pandas-docs/stable/", None),
        "python": ("https://docs.python.org/3", None),
        "scanpy": ("https://scanpy.scverse.org/en/stable/", None),
        "scipy": ("https://docs.scipy.org/doc/scipy/", None),
        "torch": ("https://docs.pytorch.org/docs/stable/", None),
        "xarray": ("https://docs.xarray.dev/en/stable/", None),
    }
)
# public names of classes that are defined in private modules
qualname_overrides = {
    "anndata._core.anndata.AnnData": "anndata.AnnData",
    "matplotlib.axes._axes.Axes": "matplotlib.axes.Axes",
    "mudata._core.mudata.MuData": "mudata.MuData",
    "xarray.core.dataset.Dataset": "xarray.Dataset",
}
# parts of a model, which users do not construct
nitpick_ignore = [
    ("py:class", f"scdiffot.core.{name}")
    for name in ("config.FitConfig", "fields.Fields", "snapshots.Scaling")
]

# -- Options for HTML output -------------------------------------------------

html_theme = "sphinx_book_theme"
html_static_path = ["_static"]
html_css_files = ["css/custom.css"]
html_title = project
html_theme_options = {
    "repository_url": repository_url,
    "use_repository_button": True,
    "path_to_docs": "docs/",
    "navigation_with_keys": False,
}
pygments_style = "default"
