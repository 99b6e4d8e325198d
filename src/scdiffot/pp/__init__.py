"""Prepare representations that lead back to genes."""

from __future__ import annotations

__all__: list[str] = []
