"""Stratified and antithetic sampling of cells."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from scdiffot.core.train.stratified_sampling import StratifiedSampler


def make_sampler(cloud: np.ndarray) -> StratifiedSampler:
    return StratifiedSampler(cloud, torch.Generator().manual_seed(0))


def test_halves_are_of_neighbouring_strata() -> None:
    cloud = np.random.default_rng(0).permutation(1000.0 + np.arange(60))[:, None]
    index, _ = make_sampler(cloud).antithetic(20)
    # Two cells in each of ten strata of six, five in each half; one block may be cyclic.
    first, second = np.sort(cloud[index.numpy(), 0].reshape(2, 2, 5), axis=1)
    for one, other in (first, second):
        assert (other - one <= 5).sum() >= 4
    assert ((second[0] - first[0] > 0) & (second[1] - first[0] <= 11)).sum() >= 4


@pytest.mark.parametrize("n", [7, 20, 50])
def test_all_cells_have_the_same_probability(n: int) -> None:
    cells = make_sampler(np.random.default_rng(0).normal(size=(53, 3)))
    one, two = torch.zeros(53), torch.zeros(53)
    n_draws = 4000
    for _ in range(n_draws):
        one[cells.sample(n)] += 1
        index, _ = cells.antithetic(n)
        assert len(index.unique()) == len(index)
        two[index] += 1
    for count, size in ((one, n), (two, n // 4 * 4)):
        share = size / 53
        np.testing.assert_allclose(
            count / n_draws, share, atol=5 * (share * (1 - share) / n_draws) ** 0.5
        )


def test_few_cells_are_repeated() -> None:
    cells = make_sampler(np.random.default_rng(0).normal(size=(11, 2)))
    assert sorted(cells.sample(40).tolist()) == list(range(11))
    index, share = cells.antithetic(40)
    assert share.shape == (40, 40)
    assert set(index.unique(return_counts=True)[1].tolist()) == {5}
    assert float(share.mean()) == 1


@pytest.mark.parametrize("n", [8, 20, 40])
def test_pairs_of_positive_weight_are_of_independent_particles(n: int) -> None:
    cells = make_sampler(np.random.default_rng(0).normal(size=(13, 2)))
    index, share = cells.antithetic(n)
    assert float(share.mean()) == 1
    noise = torch.randn(len(index) // 2).repeat(2)
    # Neither the same cell, nor the same noise.
    dependent = (index[:, None] == index) | (noise[:, None] == noise)
    assert not share[dependent].any()
    torch.testing.assert_close(share, share.T)


def test_means_have_less_noise_than_those_of_independent_draws() -> None:
    cloud = np.random.default_rng(0).normal(size=(2000, 2))
    cells, rng = make_sampler(cloud), np.random.default_rng(1)
    parts = [cloud[cells.antithetic(200)[0]].mean(0) for _ in range(200)]
    independent = [cloud[rng.choice(2000, 200, replace=False)].mean(0) for _ in range(200)]
    assert np.std(parts) < 0.5 * np.std(independent)
    np.testing.assert_allclose(np.mean(parts, 0), cloud.mean(0), atol=4 * np.std(parts) / 200**0.5)


def test_antithetic_noise_reduces_the_variance_of_means() -> None:
    cloud = np.random.default_rng(0).normal(size=(2000, 2))
    cells = make_sampler(cloud)
    generator = torch.Generator().manual_seed(0)

    def mean(*, antithetic: bool) -> Tensor:
        x = torch.as_tensor(cloud[cells.antithetic(200)[0]])
        noise = torch.randn(x.shape, generator=generator, dtype=x.dtype)
        if antithetic:
            noise[len(x) // 2 :] = -noise[: len(x) // 2]
        return (x + noise).tanh().mean()

    scatter = [
        torch.stack([mean(antithetic=antithetic) for _ in range(300)]).std()
        for antithetic in (True, False)
    ]
    assert scatter[0] < 0.7 * scatter[1]
