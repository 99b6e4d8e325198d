"""Errors of this package."""

from __future__ import annotations

__all__ = ["DivergenceError", "StoredFitError"]


class DivergenceError(ValueError):
    """Training diverged: losses or fields are not finite, or far above those without training.

    See Also
    --------
    StoredFitError : Error of a stored result that cannot be used.
    scdiffot.tl.fit : Fit a time course.
    """


class StoredFitError(ValueError):
    """A stored result cannot be used: damaged, foreign, of a newer version, or for other data.

    The message names the entry of the AnnData, the problem, and the remedy.

    See Also
    --------
    DivergenceError : Error of a training that diverged.
    scdiffot.get.model : Read the model of a fit.
    """


def damaged(place: str, problem: str) -> StoredFitError:
    """Create the error of a stored entry that cannot be read."""
    return StoredFitError(f"{place} {problem}: read the file again, or compute it again.")
