"""Weighted clouds for the tests of scores."""

from __future__ import annotations

import numpy as np
import pytest


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(0)


@pytest.fixture
def clouds(rng) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """Two weighted clouds of unequal size, mean and spread."""
    x, y = rng.normal(size=(80, 4)) + [0, 1, 2, 5], 1.5 * rng.normal(size=(60, 4)) + [1, 1, 2, 4]
    return x, y, rng.random(80), rng.random(60)
