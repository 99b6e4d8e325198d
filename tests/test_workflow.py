"""What a default user sees and gets from the main workflow, in a process of its own."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).with_name("_workflow.py")


@pytest.mark.slow
def test_workflow_says_nothing_and_its_files_are_read_again(tmp_path):
    run = subprocess.run([sys.executable, SCRIPT, tmp_path], capture_output=True, text=True)
    # Python's own filters decide: this is all that a user would see, warnings of dependencies included.
    assert (run.returncode, run.stdout, run.stderr) == (0, "", "")
    names = {
        f"{name}.{suffix}"
        for name in ("dynamics", "responses", "tissue")
        for suffix in ("h5ad", "zarr")
    }
    assert {path.name for path in tmp_path.iterdir()} == names
