"""Importing the package is cheap: heavy packages are imported where they are used."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

import scdiffot

IMPORTS = "; ".join(["import scdiffot", *(f"scdiffot.{name}" for name in scdiffot.__all__)])


def _run(code: str) -> str:
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, env=environment
    ).stdout


def _modules(code: str) -> set[str]:
    return set(
        json.loads(
            _run(f"{code}\nimport json, sys; sys.stdout.write(json.dumps(list(sys.modules)))")
        )
    )


def test_heavy_packages_are_deferred():
    modules = _modules(IMPORTS)
    assert {getattr(scdiffot, name).__name__ for name in scdiffot.__all__} <= modules
    # Modules that anndata and torch import anyway add no cost; others are of the standard library.
    added = modules - _modules("import anndata, torch")
    packages = {name.partition(".")[0] for name in added} - sys.stdlib_module_names
    assert packages <= {"scdiffot", "anndata", "numpy", "torch"}
    assert not added & {"torch.distributions", "torch._dynamo"}


def test_command_line_answers_without_torch():
    assert "torch" not in _modules("import scdiffot, scdiffot.cli")


def test_namespaces_and_version():
    assert set(scdiffot.__all__) <= set(dir(scdiffot))
    assert scdiffot.__version__.count(".") >= 2
    with pytest.raises(AttributeError, match="module 'scdiffot' has no attribute 'absent'"):
        scdiffot.absent  # noqa: B018
