"""P values of multiple tests."""

from __future__ import annotations

import numpy as np


def adjust_p_values(p: np.ndarray) -> np.ndarray:
    """Adjust p values of any shape to control the false discovery rate :cite:p:`Benjamini1995`.

    NaN is no test, and stays NaN.
    """
    from scipy.stats import false_discovery_control

    adjusted = np.full(np.shape(p), np.nan)
    finite = np.isfinite(p)
    if finite.any():
        adjusted[finite] = false_discovery_control(p[finite])
    return adjusted
