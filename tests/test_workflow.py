"""The main workflow in a separate process: no output for the user, and files that can be read."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("_workflow.py")


@pytest.mark.slow
def test_workflow_prints_nothing_and_its_files_can_be_read(tmp_path):
    run = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    # With Python's default filters, this is everything a user sees, including the warnings of
    # dependencies.
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    names = {
        f"{name}.{suffix}"
        for name in ("dynamics", "responses", "tissue")
        for suffix in ("h5ad", "zarr")
    }
    assert {path.name for path in tmp_path.iterdir()} == names
