"""Results in a form to compute with."""

from __future__ import annotations

from ._fate import fate
from ._model import model

__all__ = ["fate", "model"]
