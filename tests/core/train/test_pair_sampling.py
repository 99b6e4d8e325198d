"""Pair sampling: cost independent of the number of cells, masses, and the growth prior."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest

from scdiffot.core import FitConfig, Snapshots, fit
from scdiffot.core.problem.config import CouplingConfig
from scdiffot.core.train import pair_sampling
from scdiffot.core.train.bridges import BridgeConfig
from scdiffot.core.train.pair_sampling import PairSampler

if TYPE_CHECKING:
    import torch

N_LANDMARKS, N_PAIRS = 150, 3000
COUPLING = CouplingConfig(n_landmarks=N_LANDMARKS, n_pairs=N_PAIRS)


def snapshots_of(n: int, prior: tuple[np.ndarray, ...] | None = None) -> Snapshots:
    rng = np.random.default_rng(0)
    states = tuple(rng.normal(size=(n, 2)).astype(np.float32) + k for k in range(2))
    return Snapshots(np.array([0.0, 1.0]), states, np.array([1.0, 1.5]), prior)


@pytest.mark.parametrize("n", [100, 1000, 100_000])
def test_cost_is_flat_in_the_number_of_cells(n: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Couplings have at most ``n_landmarks`` cells and pools ``n_pairs`` pairs, for any n."""
    sizes, original = [], pair_sampling.plan

    def recording_plan(*arguments: object) -> torch.Tensor:
        table = original(*arguments)
        sizes.append(tuple(table.shape))
        return table

    monkeypatch.setattr(pair_sampling, "plan", recording_plan)
    pairs = PairSampler(
        snapshots_of(n), BridgeConfig(0.3, 1.0), COUPLING, np.random.default_rng(0)
    ).pairs(0)
    assert len(pairs) == N_PAIRS
    assert 1 <= len(sizes) <= 5
    assert max(max(size) for size in sizes) <= N_LANDMARKS


@pytest.mark.parametrize("n", [100, 5000])
def test_pools_have_the_masses_of_the_snapshots(n: int) -> None:
    pairs = PairSampler(
        snapshots_of(n), BridgeConfig(0.3, 1.0), COUPLING, np.random.default_rng(0)
    ).pairs(0)
    assert float((pairs.weight * pairs.m0).mean()) == pytest.approx(1.0, rel=0.01)
    assert float((pairs.weight * pairs.m1).mean()) == pytest.approx(1.5, rel=0.01)


def test_large_snapshots_are_sampled_beyond_the_landmarks() -> None:
    pairs = PairSampler(
        snapshots_of(5000), BridgeConfig(0.3, 1.0), COUPLING, np.random.default_rng(0)
    ).pairs(0)
    assert len(pairs.x0.unique(dim=0)) > 2 * N_LANDMARKS
    assert len(pairs.x1.unique(dim=0)) > 2 * N_LANDMARKS


@pytest.mark.parametrize("n", [100, 100_000])
def test_particles_are_coupled_in_place_of_a_snapshot(n: int) -> None:
    """Weighted particles keep their own masses."""
    import torch

    sampler = PairSampler(
        snapshots_of(n), BridgeConfig(0.3, 1.0), COUPLING, np.random.default_rng(0)
    )
    x = torch.randn(80, 2, generator=torch.Generator().manual_seed(0))
    weights = torch.linspace(0.5, 1.5, 80) / 80
    pairs = sampler.pairs(0, (x, weights))
    index = torch.cdist(pairs.x0, x).argmin(1)
    np.testing.assert_allclose(pairs.x0, x[index])
    result = np.bincount(index.numpy(), (pairs.weight * pairs.m0).numpy(), 80) / len(pairs)
    # Each particle is drawn about 3000 / 80 times.
    np.testing.assert_allclose(result, weights, rtol=0.15)


def test_pairs_have_the_prior_of_their_cells() -> None:
    rng = np.random.default_rng(1)
    prior = tuple(rng.uniform(-1, 1, 100) for _ in range(2))
    snapshots = snapshots_of(100, prior)
    pairs = PairSampler(
        snapshots, BridgeConfig(0.3, 1.0), COUPLING, np.random.default_rng(0)
    ).pairs(0)
    for x, cells, expected, result in zip(
        (pairs.x0, pairs.x1), snapshots.states, prior, (pairs.prior0, pairs.prior1), strict=True
    ):
        index = ((x.numpy()[:, None] - cells) ** 2).sum(2).argmin(1)
        np.testing.assert_allclose(result, expected[index], atol=1e-5)


def test_pairs_follow_a_true_growth_prior() -> None:
    """A normal cloud grows at rate x and diffuses: the growth of all pairs is that of the prior."""
    # Growth by exp(dt x / 2) before and after diffusion, as in the coupling.
    dt, sigma, n = 1.0, 0.5, 2000
    rng = np.random.default_rng(0)
    x = np.sort(rng.normal(size=n))
    diffused = (x + sigma * rng.normal(size=n)).astype(np.float32)
    log_mass = dt * (x + diffused) / 2
    index = rng.choice(n, n, p=np.exp(log_mass) / np.exp(log_mass).sum())
    y = diffused[index]
    states = x[:, None].astype(np.float32), y[:, None]
    masses = np.array([1.0, np.exp(log_mass).mean()])

    def spread(prior: tuple[np.ndarray, ...] | None) -> float:
        snapshots = Snapshots(np.array([0.0, dt]), states, masses, prior)
        pairs = PairSampler(
            snapshots,
            BridgeConfig(sigma, 1.0),
            CouplingConfig(n_landmarks=n),
            np.random.default_rng(0),
        ).pairs(0)
        weight = (pairs.weight * pairs.m0).numpy()
        return float(
            np.sqrt(np.average(((pairs.m1 / pairs.m0).log() ** 2).numpy(), weights=weight))
        )

    spread_with_prior = spread((x.astype(np.float32), y))
    assert spread_with_prior < 0.1
    assert spread(None) > 3 * spread_with_prior


@pytest.mark.parametrize("alpha", [0.3, None])
@pytest.mark.parametrize("n", [140, 5000])
def test_fresh_cells_have_bounded_masses(n: int, alpha: float | None) -> None:
    """With little diffusion, cells far from the landmarks must neither vanish nor dominate."""
    sampler = PairSampler(
        snapshots_of(n), BridgeConfig(0.02, alpha), COUPLING, np.random.default_rng(0)
    )
    pairs = sampler.pairs(0)
    masses = pairs.weight * pairs.m0, pairs.weight * pairs.m1
    for mass in masses:
        assert bool(mass.isfinite().all())
        # The mass of every draw is at most twice the mean over either end, by construction.
        assert float(mass.max()) < 4 * 1.5
    assert len(pairs.x0.unique(dim=0)) > 0.5 * min(n, N_LANDMARKS)
    if alpha is not None:
        # Two and a half widths apart, few cells grow or shrink a hundredfold.
        assert float((pairs.m1 / pairs.m0).log().abs().quantile(0.99)) < 5


@pytest.mark.slow
def test_growth_follows_a_prior() -> None:
    """Between two near clusters motion costs less than growth; only a prior makes one grow."""
    rng = np.random.default_rng(0)
    n = 400
    side = rng.permutation(np.repeat([-1.0, 1.0], n // 2))
    states = tuple(np.c_[0.3 * side, np.zeros(n)] + 0.1 * rng.normal(size=(n, 2)) for _ in range(2))
    config = FitConfig(sigma=0.05, alpha=5.0, train={"n_steps": 600}, corrections={"n_rounds": 0})

    def difference(prior: tuple[np.ndarray, ...] | None) -> float:
        model, history = fit(Snapshots(np.array([0.0, 1.0]), states, np.ones(2), prior), config)
        assert history["mass_error"].max() < 0.01
        growth = model.growth(states[0], 0.0)
        return float(growth[side > 0].mean() - growth[side < 0].mean())

    # Cells of the right cluster divide; to keep the counts, some move to the left one.
    rates = tuple(np.where(x[:, 0] > 0, 0.5, -0.5) for x in states)
    assert abs(difference(None)) < 0.1
    assert difference(rates) == pytest.approx(1.0, abs=0.2)
