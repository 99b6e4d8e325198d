"""Every public function follows the same conventions and documents them."""

from __future__ import annotations

import inspect
import re
from collections import Counter
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from numpydoc.docscrape import FunctionDoc

import scdiffot
from scdiffot._utils.docs import ENTRIES

if TYPE_CHECKING:
    from collections.abc import Callable

NAMESPACES = [getattr(scdiffot, name) for name in scdiffot.__all__]
# Short names of functions, which have no page of their own.
ALIASES = {"tl.ancestors": "tl.sta_backward", "tl.fates": "tl.sta_forward"}
FUNCTIONS = {
    f"{namespace.__name__.partition('.')[2]}.{name}": getattr(namespace, name)
    for namespace in NAMESPACES
    for name in namespace.__all__
    if inspect.isfunction(getattr(namespace, name))
    and f"{namespace.__name__.partition('.')[2]}.{name}" not in ALIASES
}
PACKAGE = Path(scdiffot.__file__).parent
API_PAGES = Path(__file__).parents[1] / "docs" / "api"

# Functions with more than 15 parameters, which must not get more.
MORE_PARAMETERS = {
    "evaluate_response": 27,
    "fit": 23,
    "perturb_screen": 23,
    "perturb": 20,
    "trajectory_genes": 19,
    "interpolate_slices": 19,
    "fit_response": 19,
    "slices": 17,
    "response": 17,
}

every_function = pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
every_plot = pytest.mark.parametrize(
    "function",
    [f for name, f in FUNCTIONS.items() if name.startswith("pl.")],
    ids=lambda f: f.__name__,
)


def _parameters(function: Callable) -> dict[str, inspect.Parameter]:
    return dict(inspect.signature(function).parameters)


@pytest.mark.parametrize("namespace", NAMESPACES, ids=lambda n: n.__name__)
def test_namespaces_export_existing_names_in_order(namespace):
    assert namespace.__all__
    assert list(namespace.__all__) == sorted(namespace.__all__, key=lambda n: (n.islower(), n)), (
        "keep __all__ sorted"
    )
    undefined = [name for name in namespace.__all__ if not hasattr(namespace, name)]
    assert not undefined


@every_function
def test_at_most_three_positional_parameters(function):
    positional = [
        p.name
        for p in _parameters(function).values()
        if p.kind not in (inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.VAR_KEYWORD)
    ]
    # The treatment, its control and the column form one unit.
    limit = 4 if function.__name__ in ("fit_response", "evaluate_response") else 3
    assert len(positional) <= limit, f"put a `*` after the third of {positional}"


@every_function
def test_at_most_fifteen_parameters(function):
    """Settings belong into `config`; arguments that moved there do not count."""
    n = len([n for n in _parameters(function) if n != "old_arguments"])
    assert n <= MORE_PARAMETERS.get(function.__name__, 15)


@every_function
def test_parameter_names(function):
    parameters = _parameters(function)
    assert not {"random_state", "seed", "save"} & set(parameters), (
        "`rng` for randomness, `ax`/`return_fig` for figures"
    )
    for name in {"copy", "rng", "show_progress", "device", "key_added", "key"} & set(parameters):
        assert parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
    if "copy" in parameters:
        assert parameters["copy"].default is False


@pytest.mark.parametrize(
    "function",
    [f for name, f in FUNCTIONS.items() if name.startswith(("tl.", "pl.", "get."))],
    ids=lambda f: f"{f.__module__.split('.')[1]}.{f.__name__}",
)
def test_adata_comes_first(function):
    assert next(iter(_parameters(function))) == "adata"


@every_plot
def test_plots_share_their_last_parameters(function):
    parameters = _parameters(function)
    assert {"ax", "show", "return_fig"} <= set(parameters)
    assert all(
        parameters[name].kind is inspect.Parameter.KEYWORD_ONLY
        for name in ("ax", "show", "return_fig")
    )


@every_function
def test_everything_is_annotated(function):
    signature = inspect.signature(function)
    bare = [
        p.name for p in signature.parameters.values() if p.annotation is inspect.Parameter.empty
    ]
    assert not bare
    assert signature.return_annotation is not inspect.Signature.empty


@every_function
def test_docstring_is_complete(function):
    doc = FunctionDoc(function)
    assert doc["Summary"]
    documented = [name.strip() for p in doc["Parameters"] for name in p.name.split(",")]
    expected = list(_parameters(function))
    assert documented == expected, (
        "document every parameter, in the order of the signature, and no other"
    )
    undescribed = [p.name for p in doc["Parameters"] if not "".join(p.desc).strip()]
    assert not undescribed
    typed = [p.name for p in doc["Parameters"] if p.type]
    assert not typed, "types live in the annotations"
    for section in ("Returns", "Raises", "See Also", "Examples"):
        assert doc[section], f"the section {section} is missing"
    assert ">>> " in "\n".join(doc["Examples"]), "examples are code that runs"


def test_shared_entries_are_filled_in_and_shared():
    sources = [path.read_text(encoding="utf-8") for path in PACKAGE.rglob("*.py")]
    uses = Counter(name for text in sources for name in re.findall(r"^ +%\((\w+)\)s$", text, re.M))
    assert {name for name, n in uses.items() if n > 1} == set(ENTRIES)
    assert not [name for name, f in FUNCTIONS.items() if "%(" in (inspect.getdoc(f) or "")]


@every_function
def test_public_functions_live_in_private_files(function):
    module = function.__module__.split(".")
    assert any(part.startswith("_") for part in module) or "core" in module
    assert function.__qualname__ == function.__name__


def test_every_public_name_has_a_page():
    pages = "\n".join(page.read_text(encoding="utf-8") for page in API_PAGES.glob("*.md"))
    page_names = set(re.findall(r"^ +((?:[a-z]+)\.\w+)$", pages, flags=re.MULTILINE))
    public = {f"{n}.{name}" for n in scdiffot.__all__ for name in getattr(scdiffot, n).__all__}
    assert page_names == public - set(ALIASES)


def test_aliases_are_the_functions_and_the_pages_mention_them():
    text = (API_PAGES / "tl.md").read_text(encoding="utf-8")
    for alias, name in ALIASES.items():
        assert attrgetter(alias)(scdiffot) is attrgetter(name)(scdiffot)
        assert f"`{alias}`" in text
    several = Counter(attrgetter(name)(scdiffot) for name in {*FUNCTIONS, *ALIASES})
    assert {f.__name__ for f, n in several.items() if n > 1} == {"sta_forward", "sta_backward"}
