"""P values of many tests at once."""

from __future__ import annotations

import numpy as np


def adjust_p_values(p: np.ndarray) -> np.ndarray:
    """Control the false discovery rate over an array of any shape :cite:p:`Benjamini1995`; NaN stays, and is no test."""
    from scipy.stats import false_discovery_control

    adjusted = np.full(np.shape(p), np.nan)
    known = np.isfinite(p)
    if known.any():
        adjusted[known] = false_discovery_control(p[known])
    return adjusted
