"""Cells to evaluate a response on; the folder is importable for its helper module."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

import scdiffot as sdo

sys.path.insert(0, str(Path(__file__).parent))


@pytest.fixture(scope="module")
def _cells():
    adata = sdo.datasets.perturbation_response(600, n_dims=6, n_genes=30, rng=0)
    adata.obs["site"] = pd.Categorical(
        np.where(adata.obs["subpopulation"].cat.codes % 2, "north", "south")
    )
    return adata


@pytest.fixture
def cells(_cells):
    return _cells.copy()
