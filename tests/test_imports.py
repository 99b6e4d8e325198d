"""Importing the package is cheap: heavy packages are imported where they are used."""

from __future__ import annotations

import json
import os
import statistics
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
    heavy = {
        "cellrank",
        "dask",
        "matplotlib",
        "moscot",
        "mudata",
        "networkx",
        "numba",
        "ot",
        "pooch",
        "rich",
        "scanpy",
        "scvelo",
        "seaborn",
        "sklearn",
        "squidpy",
        "torch.distributions",
        "torch._dynamo",
        "torchdiffeq",
    }
    # Modules that anndata and torch import anyway add no cost.
    base = _modules("import anndata, torch")
    assert not (modules & heavy) - base
    # The package imports no further parts of pandas, scipy, h5py and zarr either.
    assert not {
        m for m in modules - base if m.partition(".")[0] in {"pandas", "scipy", "h5py", "zarr"}
    }


def test_command_line_answers_without_torch():
    assert "torch" not in _modules("import scdiffot, scdiffot.cli")


@pytest.mark.slow
def test_import_costs_little_more_than_anndata_and_torch():
    # CPU seconds of new interpreters, alternately, so both have the same load on the machine
    clock = "\nimport sys, time; sys.stdout.write(str(time.process_time()))"
    baseline_seconds, package_seconds = [], []
    for _ in range(3):
        baseline_seconds.append(float(_run("import anndata, torch" + clock)))
        package_seconds.append(float(_run(IMPORTS + clock)))
    assert statistics.median(package_seconds) <= 1.2 * statistics.median(baseline_seconds)


def test_namespaces_and_version():
    assert set(scdiffot.__all__) <= set(dir(scdiffot))
    assert scdiffot.__version__.count(".") >= 2
    with pytest.raises(AttributeError, match="module 'scdiffot' has no attribute 'absent'"):
        scdiffot.absent  # noqa: B018
