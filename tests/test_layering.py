"""Rules of the layout: which folder may import which packages, and when; sizes."""

from __future__ import annotations

import ast
import re
import sys
from functools import cache
from pathlib import Path
from typing import NamedTuple

import scdiffot

ROOT = Path(scdiffot.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))

# Folder -> the folders that it may import at run time, besides itself. A folder does not contain
# the deeper folders of this list. Every folder may import `_utils`. The command line may import all
# folders and is not listed.
CORE = {
    "core/problem": set(),
    "core/ot": {"core/problem"},
    "core/scores": {"core/problem"},
    "core/nets": {"core/problem"},
    "core/simulate": {"core/problem", "core/nets"},
    "core/train": {"core/problem", "core/ot", "core/scores", "core/nets", "core/simulate"},
    "core/lineage": {"core/simulate"},
    "core/genes": {"core/problem", "core/nets", "core/simulate", "core/lineage"},
    "core/response": {"core/problem", "core/ot", "core/scores", "core/nets"},
    "core/spatial": {"core/ot", "core/scores"},
}
ALL_CORE = {"core", *CORE}
READ = {"_data/read"}
DATA = {"_data/read", "_data/write", "_data/responses"}
ROOMS = {
    "_utils": set(),
    **CORE,
    "core": set(CORE),
    "metrics": ALL_CORE,
    "_data": set(),
    "_data/read": ALL_CORE,
    "_data/write": READ | ALL_CORE,
    "_data/responses": READ | {"_data/write"} | ALL_CORE,
    "_data/files": READ,
    "_analysis": DATA | ALL_CORE,
    "get": DATA,
    "datasets": {"datasets/_published", "datasets/_simulated"},
    "datasets/_published": set(),
    "datasets/_simulated": {"datasets/_published"},
    "pp": DATA | {"_analysis"} | ALL_CORE,
    "tl": DATA | {"_analysis", "get", "metrics"} | ALL_CORE,
    "ext": DATA | {"_analysis", "get"} | ALL_CORE,
    "pl": DATA | {"_analysis", "get", "core/simulate"},
}
CORE_MAY_IMPORT = {"numpy", "scipy", "torch", "ot", "torchdiffeq", "xarray"}
EAGER = {"numpy", "anndata", "torch"}
STORAGE = {"mudata", "dask", "h5py", "zarr"}


class Import(NamedTuple):
    """One imported module: its top-level package, and its folder if it is of this package."""

    package: str
    room: str | None
    eager: bool
    typing: bool
    line: int


def _room_of(parts: list[str]) -> str:
    """The deepest folder of `ROOMS` that contains a module."""
    prefixes = ["/".join(parts[:n]) for n in range(len(parts), 0, -1)]
    return next(
        (prefix for prefix in prefixes if prefix in ROOMS), parts[0] if parts else "__init__"
    )


def _is_type_checking(node: ast.AST) -> bool:
    return isinstance(node, ast.If) and ast.unparse(node.test) in {
        "TYPE_CHECKING",
        "typing.TYPE_CHECKING",
    }


@cache
def _imports(path: Path) -> list[Import]:
    """All imports of a file; eager ones run when the file is imported."""
    imports: list[Import] = []
    package = ("scdiffot", *path.relative_to(ROOT).parent.parts)

    def add(name: str, line: int, *, eager: bool, typing: bool) -> None:
        parts = name.split(".")
        room = _room_of(parts[1:]) if parts[0] == "scdiffot" else None
        imports.append(Import(parts[0], room, eager, typing, line))

    def visit(node: ast.AST, *, eager: bool, typing: bool) -> None:
        if isinstance(node, ast.Import):
            for alias in node.names:
                add(alias.name, node.lineno, eager=eager, typing=typing)
        elif isinstance(node, ast.ImportFrom):
            base = ".".join(package[: len(package) - node.level + 1]) if node.level else ""
            module = ".".join(filter(None, [base, node.module]))
            # The names of `from .. import core` are folders.
            for name in (
                [f"{module}.{a.name}" for a in node.names] if module == "scdiffot" else [module]
            ):
                add(name, node.lineno, eager=eager, typing=typing)
        else:
            inside_function = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            # An `else` of `if TYPE_CHECKING` would run; the package has none.
            for child in ast.iter_child_nodes(node):
                visit(
                    child,
                    eager=eager and not inside_function,
                    typing=typing or _is_type_checking(node),
                )

    visit(ast.parse(path.read_text(encoding="utf-8")), eager=True, typing=False)
    return imports


def _room(path: Path) -> str:
    return _room_of(list(path.relative_to(ROOT).with_suffix("").parts))


def _id(path: Path) -> str:
    return str(path.relative_to(ROOT))


def test_rooms_import_one_way():
    violations = []
    for path in FILES:
        room = _room(path)
        if room not in {"__init__", "__main__", "cli"}:
            allowed = ROOMS[room] | {"_utils", room}
            violations += [
                (_id(path), i.line, i.room)
                for i in _imports(path)
                if i.room and not i.typing and i.room not in allowed
            ]
    assert not violations, "ROOMS lists the folders that a folder may import"


def test_core_imports_numerical_packages_only():
    allowed = CORE_MAY_IMPORT | {"scdiffot"} | sys.stdlib_module_names
    files = [path for path in FILES if path.is_relative_to(ROOT / "core")]
    violations = [
        (_id(path), i.line, i.package)
        for path in files
        for i in _imports(path)
        if i.package not in allowed
    ]
    assert not violations, (
        f"core may import {sorted(CORE_MAY_IMPORT)} and the standard library, for types as well"
    )


def test_only_light_packages_load_with_a_module():
    allowed = EAGER | {"scdiffot"} | sys.stdlib_module_names
    eager = [(path, i) for path in FILES for i in _imports(path) if i.eager and not i.typing]
    violations = [(_id(path), i.line, i.package) for path, i in eager if i.package not in allowed]
    assert not violations, (
        f"import these inside the functions that use them; at the top only {sorted(EAGER)}"
    )


def test_only_data_imports_storage_formats():
    files = [path for path in FILES if not path.is_relative_to(ROOT / "_data")]
    run_time = [(path, i) for path in files for i in _imports(path) if not i.typing]
    violations = [(_id(path), i.line, i.package) for path, i in run_time if i.package in STORAGE]
    assert not violations, "only _data may know how AnnData and MuData store their content"


def test_plots_change_nothing():
    def root(node: ast.AST) -> str | None:
        while isinstance(node, ast.Attribute | ast.Subscript):
            node = node.value
        return node.id if isinstance(node, ast.Name) else None

    violations = []
    for path in [path for path in FILES if _room(path) == "pl"]:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            targets: list[ast.expr] = []
            if isinstance(node, ast.Assign | ast.Delete):
                targets = node.targets
            elif isinstance(node, ast.AugAssign | ast.AnnAssign):
                targets = [node.target]
            changed = [t for t in targets if not isinstance(t, ast.Name) and root(t) == "adata"]
            violations += [(_id(path), t.lineno) for t in changed]
    assert not violations, "plots read adata and write nothing into it"


def test_files_stay_short():
    lengths = {_id(path): len(path.read_text(encoding="utf-8").splitlines()) for path in FILES}
    assert not {name: n for name, n in lengths.items() if n > 300}, "split them by subject"


def test_folders_stay_small():
    folders = {path.parent for path in FILES}
    entries = {
        _id(folder): sum(path.name != "__pycache__" for path in folder.iterdir())
        for folder in folders
    }
    assert not {name: n for name, n in entries.items() if n > 15}, (
        "move files of one subject into a folder"
    )


def _lines_of_code(function: ast.FunctionDef) -> int:
    """Lines of the body, without its docstring."""
    body = function.body[ast.get_docstring(function) is not None :]
    return body[-1].end_lineno - body[0].lineno + 1 if body else 0


# Functions with the longest signatures, whose bodies mostly pass arguments on.
LONGER = {"fit": 54, "fit_response": 51, "evaluate_response": 52}


def test_functions_stay_short():
    functions = [
        (path, node)
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.FunctionDef)
    ]
    violations = {
        (_id(path), function.name): n
        for path, function in functions
        if (n := _lines_of_code(function)) > LONGER.get(function.name, 50)
    }
    assert not violations, "split them where the ideas part"


def test_the_description_names_existing_files_and_objects():
    root = ROOT.parents[1]
    text = (root / "ARCHITECTURE.md").read_text(encoding="utf-8")
    outside_pictures = re.sub(r"```.*?```", "", text, flags=re.DOTALL)
    trees = [ast.parse(path.read_text(encoding="utf-8")) for path in FILES]
    names = {
        node.name
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.ClassDef)
    }
    absent = []
    for word in set(re.findall(r"`([\w./]+)`", outside_pictures)):
        # Paths begin at the root, at the package or at `core`; a single name is anywhere below.
        if "/" in word.rstrip("/"):
            exists = any((base / word).exists() for base in (root, ROOT, ROOT / "core"))
        elif word.endswith((".py", ".md", "/")):
            exists = any(root.glob(word)) or any(ROOT.rglob(word.rstrip("/")))
        else:
            name = word.rpartition(".")[2]
            exists = name in names or any(ROOT.rglob(name)) or any(ROOT.rglob(f"{name}.py"))
        absent += [word] * (not exists)
    assert not absent
