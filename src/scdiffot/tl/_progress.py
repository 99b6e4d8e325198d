"""The progress bar of long work."""

from __future__ import annotations

from scdiffot._progress import cell_bar, progress_bar

__all__ = ["cell_bar", "progress_bar"]
