"""Exchange data with other packages under their own keys."""

from __future__ import annotations

from ._pertpy import pertpy
from ._scvelo import scvelo

__all__ = ["pertpy", "scvelo"]
