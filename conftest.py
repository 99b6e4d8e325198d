"""Settings shared by the tests and the docstring examples."""

from __future__ import annotations

import os

# Before anything imports matplotlib or torch: no display is needed, and on networks of this size more threads
# only wait for each other.
os.environ.setdefault("MPLBACKEND", "agg")
os.environ.setdefault("OMP_NUM_THREADS", "1")
