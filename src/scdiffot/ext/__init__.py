"""Hand results to other packages under their own keys."""

from __future__ import annotations

__all__: list[str] = []
