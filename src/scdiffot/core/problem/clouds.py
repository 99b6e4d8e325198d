"""Weighted clouds of points: checks, normalised weights, thinning."""

from __future__ import annotations

import numpy as np

from scdiffot._utils.options import check_count

# Largest coordinate: sums of squares of larger ones overflow.
MAX_MAGNITUDE = 1e100


def check_pair(
    x: np.ndarray, wx: np.ndarray | None, y: np.ndarray, wy: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check two clouds; normalise their weights."""
    x, wx = check_cloud(x, wx, "x", "wx")
    y, wy = check_cloud(y, wy, "y", "wy")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"`x` has {x.shape[1]} dimensions and `y` has {y.shape[1]}: "
            "pass clouds of the same space."
        )
    return x, wx, y, wy


def check_cloud(
    x: np.ndarray, w: np.ndarray | None, name: str, weight_name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Check one cloud; normalise its weights."""
    x = _real_numbers(x, name)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(
            f"`{name}` has shape {x.shape}: "
            "pass points as rows, shape (n, d), with n and d at least 1."
        )
    if not np.isfinite(x).all():
        raise ValueError(
            f"`{name}` has {np.sum(~np.isfinite(x))} values that are NaN or infinite: "
            "remove those points."
        )
    largest = np.abs(x).max()
    if largest > MAX_MAGNITUDE:
        raise ValueError(
            f"`{name}` has values up to {largest:g}, whose squares overflow: pass smaller units."
        )
    if w is None:
        return x, np.full(len(x), 1 / len(x))
    w = _real_numbers(w, weight_name)
    if w.shape != (len(x),):
        raise ValueError(
            f"`{weight_name}` has shape {w.shape}: pass one weight per point, shape ({len(x)},)."
        )
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() == 0:
        raise ValueError(
            f"`{weight_name}` has negative or non-finite values, or sums to zero: "
            "pass positive weights."
        )
    return x, w / w.sum()


def _real_numbers(values: np.ndarray, name: str) -> np.ndarray:
    """Convert integers and real numbers to double precision; refuse other types."""
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise TypeError(f"`{name}` holds {values.dtype}: pass an array of real numbers.")
    return values.astype(np.float64)


def thin(
    x: np.ndarray, w: np.ndarray, n_max: int, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `n_max` points, chosen in proportion to their weights."""
    n_max = check_count("n_max", n_max, 1)
    if len(x) <= n_max:
        return x, w
    # A random order: systematic sampling would otherwise depend on the order of the cells.
    order = rng.permutation(len(x))
    cumulative = np.cumsum(w[order])
    index = np.searchsorted(
        cumulative / cumulative[-1], (np.arange(n_max) + rng.random()) / n_max, side="right"
    )
    index, counts = np.unique(np.minimum(index, len(x) - 1), return_counts=True)
    return x[order[index]], counts / n_max
