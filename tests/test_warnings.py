"""Warnings are errors in this suite exactly if our code raises or causes them."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SUMMARY = re.compile(r"^(PASSED|FAILED) tests/test_case\.py::test_(\w+)", flags=re.MULTILINE)
PYPROJECT = Path(__file__).parents[1] / "pyproject.toml"

# A foreign package, which warns about itself and about its caller
FOREIGN = """
import warnings

def about_itself():
    warnings.warn("other code", FutureWarning)

def about_its_caller():
    warnings.warn("deprecated call", FutureWarning, stacklevel=2)
"""
CASES = """
import sys
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
import foreign

def test_foreign():
    foreign.about_itself()

def test_call():
    foreign.about_its_caller()

def test_own():
    warnings.warn("own", UserWarning)

def call_from(module):
    exec("foreign.about_its_caller()", {"__name__": module, "foreign": foreign})

def test_package():
    call_from("scdiffot.tl._time_course.fit")

def test_namesake():
    call_from("scdiffot_plugin")
"""


def test_only_warnings_of_our_modules_are_errors(tmp_path):
    tests = tmp_path / "tests"
    tests.mkdir()
    (tests / "foreign.py").write_text(FOREIGN)
    (tests / "test_case.py").write_text(CASES)
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-rA",
        "-p",
        "no:cacheprovider",
        "-c",
        PYPROJECT,
        "--rootdir",
        tmp_path,
    ]
    run = subprocess.run(
        [*command, "tests/test_case.py"], cwd=tmp_path, capture_output=True, text=True
    )
    outcomes = {name: outcome for outcome, name in SUMMARY.findall(run.stdout)}
    assert outcomes == {
        "foreign": "PASSED",
        "namesake": "PASSED",
        "call": "FAILED",
        "own": "FAILED",
        "package": "FAILED",
    }
