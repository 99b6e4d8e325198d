"""Names are nouns for values, verbs for functions and adjectives for flags."""

from __future__ import annotations

import ast
import json
import re
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[1]

FORBIDDEN = frozenset(
    """
    absorbed after again alike already anything apart arrived asked avoided before bent beside both
    caught chosen done drawn else everything followed found given grown here judged kept known left
    listed made meant mine most mostly moved others ours own placed rest seen shown still
    taken theirs there told turned unseen wanted what when whence where
    """.split()
)
# Parameters of public functions and of interfaces of the standard library.
ALLOWED = {("get/_response.py", "what"), ("_data/files/hdf5.py", "whence")}


def _names(tree: ast.AST) -> Iterator[str]:
    """Names that a file assigns: variables, attributes, parameters, functions and classes."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id
        elif isinstance(node, ast.Attribute) and isinstance(node.ctx, ast.Store):
            yield node.attr
        elif isinstance(node, ast.arg):
            yield node.arg
        elif isinstance(node, ast.FunctionDef | ast.ClassDef | ast.ExceptHandler) and node.name:
            yield node.name


def test_all_assigned_names_are_visited():
    code = """
for a in b: c.d, e = f
with g as h: [i for i in j if (k := i)]
def l(m, *n, o, **p): ...
class Q:
    r: int = 0
try: ...
except s as t: ...
"""
    assert set(_names(ast.parse(code))) == set("adehiklmnoprt") | {"Q"}


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_names_are_nouns_verbs_and_adjectives(folder):
    violations = [
        (str(path.relative_to(ROOT)), name)
        for path in sorted((ROOT / folder).rglob("*.py"))
        for name in _names(ast.parse(path.read_text(encoding="utf-8")))
        if name.strip("_").lower() in FORBIDDEN
    ]
    allowed = {(f"src/scdiffot/{path}", name) for path, name in ALLOWED}
    assert not set(violations) - allowed, "name the value, for instance `result` for `found`"


# Functions of `core` with the name of the public function that reads, calls them and writes.
COUNTERPARTS = {
    "fit",
    "fit_response",
    "interpolate",
    "regulation",
    "simulate",
    "transition_matrix",
}


def test_one_name_is_one_function_or_class():
    folders = defaultdict(list)
    package = ROOT / "src" / "scdiffot"
    for path in sorted(package.rglob("*.py")):
        for node in ast.parse(path.read_text(encoding="utf-8")).body:
            if isinstance(node, ast.FunctionDef | ast.ClassDef) and not node.name.startswith("_"):
                folders[node.name].append(path.relative_to(package).parts[0])
    duplicates = {name for name, places in folders.items() if len(places) > 1}
    # A tool, its plot and its table have one name in their namespaces.
    public = {"tl", "pl", "get"}
    results = {name for name in duplicates if len({*folders[name]} & public) == len(folders[name])}
    pairs = {
        name
        for name in COUNTERPARTS
        if folders[name].count("core") == 1 and {*folders[name]} <= {"core", *public}
    }
    assert pairs == COUNTERPARTS, "list only names that both have"
    assert not duplicates - results - pairs, "one of two different things needs another name"


def test_names_of_the_tutorials_are_nouns_verbs_and_adjectives():
    violations = []
    for path in sorted((ROOT / "tutorials").glob("*.ipynb")):
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if cell["cell_type"] == "code":
                code = "".join(line for line in cell["source"] if not line.startswith(("%", "!")))
                names = _names(ast.parse(code))
                violations += [(path.stem, n) for n in names if n.lower() in FORBIDDEN]
    assert not violations


def test_shapes_are_written_in_one_notation():
    violations = [
        (str(path.relative_to(ROOT)), match)
        for path in sorted((ROOT / "src").rglob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef)
        for match in re.findall(r"shapes? `?[(\[].*", ast.get_docstring(node) or "")
    ]
    assert not violations, "write ``(n, d)``"
