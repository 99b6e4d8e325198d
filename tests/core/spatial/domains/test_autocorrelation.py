"""Z scores of Moran's I without a pattern."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import sparse

from scdiffot.core.spatial.domains.autocorrelation import moran_z
from scdiffot.core.spatial.domains.neighbourhoods import nearest_spots


def test_z_scores_are_standard_normal_without_a_pattern():
    rng = np.random.default_rng(0)
    links = sparse.csr_matrix(nearest_spots(rng.uniform(size=(150, 2)), 6))
    weights = sparse.csr_matrix(sparse.diags(1 / links.sum(axis=1).A1) @ links)
    values = rng.normal(size=(150, 4000))
    values -= values.mean(axis=0)
    moran = (
        (values * (weights @ values)).sum(axis=0) / (values**2).sum(axis=0) * 150 / weights.sum()
    )
    z = moran_z(moran, weights)
    # 4,000 samples have standard errors of .016 and .011
    assert z.mean() == pytest.approx(0, abs=0.06)
    assert z.std() == pytest.approx(1, abs=0.05)


def test_the_z_score_without_neighbours_is_nan():
    assert np.isnan(moran_z(np.array([0.3]), sparse.csr_matrix((5, 5)))).all()
