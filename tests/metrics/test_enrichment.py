"""The enrichment of treated cells around predicted ones."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from scdiffot import metrics


def test_enrichment_counts_neighbours_as_cellot_does(rng):
    # Both samples have the same size: k neighbours each, without the cell itself.
    x, y, k = rng.normal(size=(120, 3)), rng.normal(size=(120, 3)) + 0.7, 12
    near = (
        NearestNeighbors(n_neighbors=k + 1)
        .fit(np.r_[x, y])
        .kneighbors(x, return_distance=False)[:, 1:]
    )
    # The mass of the excluded cell is distributed over the other 119, so each weighs 120 / 119,
    # slightly more than the 120 cells of the other sample, and the twelfth neighbour has a partial
    # weight.
    assert metrics.enrichment(x, y, k=k) == pytest.approx(np.mean(near >= 120), abs=2 / 119)


@pytest.mark.parametrize(("n", "m"), [(300, 300), (150, 900), (900, 150)])
def test_enrichment_of_equal_laws_is_a_half_for_any_numbers(n, m):
    values = []
    for seed in range(20):
        rng = np.random.default_rng(seed)
        values.append(metrics.enrichment(rng.normal(size=(n, 3)), rng.normal(size=(m, 3)), k=20))
    # four standard errors, and half of twenty neighbours for the edge of the neighbourhood
    assert np.mean(values) == pytest.approx(0.5, abs=4 * np.std(values) / np.sqrt(20) + 0.5 / 40)


def test_enrichment_counts_mass_not_cells(rng):
    # Half the predicted cells have no treated cells nearby; weights scale their contribution.
    y = rng.normal(size=(400, 2))
    x = np.r_[rng.normal(size=(300, 2)), rng.normal(size=(300, 2)) + 100]
    w = np.repeat([0.9, 0.1], 300)
    alone = metrics.enrichment(x[:300], y, k=30)
    # 0.9 of the predicted mass is near treated cells, so the ratio of treated to predicted
    # neighbours is 1 to 0.9.
    expected = 0.9 / 1.9
    assert metrics.enrichment(x, y, w, k=30) == pytest.approx(expected, abs=0.03)
    assert alone == pytest.approx(0.5, abs=0.03)
    assert metrics.enrichment(x[300:], y, k=30) == 0.0


def test_few_treated_cells_do_not_lower_the_enrichment(rng):
    x, y = rng.normal(size=(1000, 2)), rng.normal(size=(50, 2))
    # five binomial standard errors of 25 treated cells in a neighbourhood
    assert metrics.enrichment(x, y, k=50) == pytest.approx(0.5, abs=0.5 / 5)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [({"k": 0}, "`k` is 0"), ({"k": 31}, "`k` is 31, and the smaller cloud counts 30 points")],
)
def test_enrichment_names_wrong_numbers_of_neighbours(rng, arguments, match):
    x, y = rng.normal(size=(30, 2)), rng.normal(size=(40, 2))
    assert 0 < metrics.enrichment(x, y, k=30) < 1
    with pytest.raises(ValueError, match=match):
        metrics.enrichment(x, y, **arguments)


def test_weights_lower_the_effective_number_of_neighbours(rng):
    x, y = rng.normal(size=(2, 30, 2))
    with pytest.raises(ValueError, match="counts 10 points"):
        metrics.enrichment(x, y, np.repeat([1.0, 0.0], [10, 20]), k=11)
