"""Errors of this package."""

from __future__ import annotations

__all__ = ["DivergenceError", "StoredFitError"]


class DivergenceError(ValueError):
    """Training diverged: losses or fields are infinite, NaN, or far above those of untrained networks."""


class StoredFitError(ValueError):
    """A stored result that cannot be used: damaged, foreign, of a newer version, or made for other data.

    The message names the entry of the AnnData, what is wrong with it, and the remedy.
    """


def damaged(place: str, problem: str) -> StoredFitError:
    """The error of a stored entry that cannot be read."""
    return StoredFitError(f"{place} {problem}: read the file again, or compute it again.")
