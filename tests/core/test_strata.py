"""Cells drawn from every part of a cloud."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scdiffot.core.strata import Strata


def strata(cloud: np.ndarray) -> Strata:
    return Strata(cloud, torch.Generator().manual_seed(0))


def test_parts_are_neighbours() -> None:
    cloud = np.random.default_rng(0).permutation(1000.0 + np.arange(60))[:, None]
    index, part = strata(cloud).two_each(20)
    x = [cloud[index[part == k].numpy(), 0] for k in range(10)]
    # six cells a part, but for the one that goes around
    assert sum(abs(one - other) <= 5 for one, other in x) >= 9


@pytest.mark.parametrize("n", [7, 20, 50])
def test_all_cells_have_the_same_chance(n: int) -> None:
    cells = strata(np.random.default_rng(0).normal(size=(53, 3)))
    one, two = torch.zeros(53), torch.zeros(53)
    n_draws = 4000
    for _ in range(n_draws):
        one[cells.one_each(n)] += 1
        index, part = cells.two_each(n)
        assert len(index.unique()) == len(index) == 2 * len(part.unique())
        two[index] += 1
    for count, drawn in ((one, n), (two, n // 2 * 2)):
        share = drawn / 53
        np.testing.assert_allclose(count / n_draws, share, atol=5 * (share * (1 - share) / n_draws) ** 0.5)


def test_few_cells_come_several_times() -> None:
    cells = strata(np.random.default_rng(0).normal(size=(11, 2)))
    assert sorted(cells.one_each(40).tolist()) == list(range(11))
    index, part = cells.two_each(40)
    assert len(index) == len(part) == 40
    assert set(index.unique(return_counts=True)[1].tolist()) == {4}
    for k in range(5):
        assert len(index[part == k].unique()) == 2


def test_means_have_less_noise_than_those_of_independent_draws() -> None:
    cloud = np.random.default_rng(0).normal(size=(2000, 2))
    cells, rng = strata(cloud), np.random.default_rng(1)
    parts = [cloud[cells.two_each(200)[0]].mean(0) for _ in range(200)]
    independent = [cloud[rng.choice(2000, 200, replace=False)].mean(0) for _ in range(200)]
    assert np.std(parts) < 0.5 * np.std(independent)
    np.testing.assert_allclose(np.mean(parts, 0), cloud.mean(0), atol=4 * np.std(parts) / 200**0.5)
