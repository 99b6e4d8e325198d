"""Bootstrap samples of weighted populations."""

from __future__ import annotations

import numpy as np

# Features whose means are computed together.
CHUNK_SIZE = 512


def draw_counts(n: int, n_boot: int, rng: np.random.Generator) -> np.ndarray:
    """Counts ``(n_boot, n)`` of `n` cells in `n` draws with replacement."""
    return np.stack([np.bincount(rng.integers(n, size=n), minlength=n) for _ in range(n_boot)])


def normalise_rows(w: np.ndarray) -> np.ndarray:
    """Weights ``(B, n)`` whose rows sum to one."""
    return np.asarray(w / w.sum(axis=1, keepdims=True))


def weighted_means(w: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Weighted means, shape ``(B, d)``."""
    starts = range(0, x.shape[1], CHUNK_SIZE)
    return np.concatenate(
        [w @ np.asarray(x[:, i : i + CHUNK_SIZE], dtype=np.float64) for i in starts], axis=1
    )


def basic_interval(
    value: float, draws: np.ndarray, level: float, limits: tuple[float, float]
) -> tuple[float, float]:
    """Quantiles of resampled scores around their median, added to the score of the sample."""
    draws = draws[np.isfinite(draws)]
    if not (np.isfinite(value) and len(draws)):
        return np.nan, np.nan
    low, median, high = np.quantile(draws, [(1 - level) / 2, 0.5, (1 + level) / 2])
    ends = np.clip([value + low - median, value + high - median], *limits)
    return float(ends[0]), float(ends[1])
