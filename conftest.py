"""Settings shared by the tests and the docstring examples."""

from __future__ import annotations

import os
import sys

import pytest

# Before anything imports matplotlib or torch: no display is needed, and on networks of this size more threads
# only wait for each other.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")


@pytest.fixture(autouse=True)
def no_figures_left():
    """Figures stay open until someone closes them, and the next test would find them."""
    yield
    if "matplotlib.pyplot" in sys.modules:
        sys.modules["matplotlib.pyplot"].close("all")
