"""Weighted clouds of points: checks, normalised weights, thinning."""

from __future__ import annotations

import numpy as np

from .options import check_count


def check_pair(
    x: np.ndarray, wx: np.ndarray | None, y: np.ndarray, wy: np.ndarray | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Check two clouds; normalise their weights."""
    x, wx = check_cloud(x, wx, "x", "wx")
    y, wy = check_cloud(y, wy, "y", "wy")
    if x.shape[1] != y.shape[1]:
        raise ValueError(f"`x` has {x.shape[1]} dimensions and `y` has {y.shape[1]}: pass clouds of the same space.")
    return x, wx, y, wy


def check_cloud(x: np.ndarray, w: np.ndarray | None, name: str, weight_name: str) -> tuple[np.ndarray, np.ndarray]:
    """Check one cloud; normalise its weights."""
    x = np.asarray(x, dtype=np.float64)
    if x.ndim != 2 or 0 in x.shape:
        raise ValueError(f"`{name}` has shape {x.shape}: pass points as rows, shape (n, d), with n and d at least 1.")
    if not np.isfinite(x).all():
        raise ValueError(
            f"`{name}` has {np.sum(~np.isfinite(x))} values that are NaN or infinite: remove those points."
        )
    if w is None:
        return x, np.full(len(x), 1 / len(x))
    w = np.asarray(w, dtype=np.float64)
    if w.shape != (len(x),):
        raise ValueError(f"`{weight_name}` has shape {w.shape}: pass one weight per point, shape ({len(x)},).")
    if not np.isfinite(w).all() or (w < 0).any() or w.sum() == 0:
        raise ValueError(f"`{weight_name}` has negative or non-finite values, or sums to zero: pass positive weights.")
    return x, w / w.sum()


def thin(x: np.ndarray, w: np.ndarray, n_max: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Keep at most `n_max` points, chosen in proportion to their weights."""
    n_max = check_count("n_max", n_max, 1)
    if len(x) <= n_max:
        return x, w
    # Shuffled first: systematic sampling of sorted cells would otherwise depend on their order.
    order = rng.permutation(len(x))
    edges = np.cumsum(w[order])
    chosen = np.searchsorted(edges / edges[-1], (np.arange(n_max) + rng.random()) / n_max, side="right")
    chosen, counts = np.unique(np.minimum(chosen, len(x) - 1), return_counts=True)
    return x[order[chosen]], counts / n_max
