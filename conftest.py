"""Settings shared by the tests and the docstring examples."""

from __future__ import annotations

import os
import sys

import pytest

# Set before matplotlib or torch are imported. The tests need no display, and networks of this size
# gain nothing from more threads.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_figures_left():
    """Close all figures, which would otherwise be visible to the next test."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
