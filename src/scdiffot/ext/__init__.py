"""Hand results to other packages under their own keys."""

from __future__ import annotations

from ._scvelo import scvelo

__all__ = ["scvelo"]
