from __future__ import annotations

import ast
import sys
import tomllib
from pathlib import Path

import pytest
from packaging.requirements import Requirement

import scdiffot
from scdiffot._utils.optional import require

ROOT = Path(scdiffot.__file__).parent
PROJECT = ROOT.parents[1] / "pyproject.toml"
DEVELOPMENT = {"dev", "doc", "test"}


def _requirements() -> set[tuple[str, str]]:
    """Packages and extras of the calls of `require`."""
    return {
        (call.args[0].value.partition(".")[0], call.keywords[0].value.value)
        for path in ROOT.rglob("*.py")
        for call in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(call, ast.Call) and ast.unparse(call.func) == "require"
    }


def test_package_imports_exactly_the_packages_of_the_extras():
    with PROJECT.open("rb") as file:
        extras = tomllib.load(file)["project"]["optional-dependencies"]
    assert _requirements() == {
        (Requirement(line).name, extra)
        for extra in set(extras) - DEVELOPMENT
        for line in extras[extra]
    }


def test_installed_module_is_returned():
    assert require("json.decoder", extra="any") is sys.modules["json.decoder"]


def test_missing_package_names_extra_and_command():
    with pytest.raises(
        ImportError,
        match=r"needs scdiffot_absent.sub.*extra 'spatial'.*pip install \"scdiffot\[spatial\]\"",
    ):
        require("scdiffot_absent.sub", extra="spatial")


def test_broken_package_keeps_its_own_error(tmp_path, monkeypatch):
    (tmp_path / "scdiffot_broken.py").write_text("import scdiffot_absent\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="No module named 'scdiffot_absent'"):
        require("scdiffot_broken", extra="spatial")
