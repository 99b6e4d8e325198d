from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from scdiffot.core.ot.coupling import plan, sinkhorn
from scdiffot.core.train.bridges import BridgeConfig, Pairs, bridge, dirac_path, sample_pairs


def pairs(distance: float, m0: float, m1: float, dtype: torch.dtype = torch.float64) -> Pairs:
    def number(value: float) -> torch.Tensor:
        return torch.tensor([value], dtype=dtype)

    start = torch.tensor([[0.5, -1.0]], dtype=dtype)
    end = start + distance * torch.tensor([[0.6, 0.8]], dtype=dtype)
    return Pairs(start, end, number(m0), number(m1), number(0.0), number(0.0), number(1.0))


def repeated(one: Pairs, n: int) -> Pairs:
    return one[torch.zeros(n, dtype=torch.long)]


CASES = [(1.0, 1.0, 2.0), (2.5, 1.0, 0.3), (0.5, 3.0, 3.0)]


@pytest.mark.parametrize("path", ["geodesic", "straight"])
@pytest.mark.parametrize("case", CASES)
def test_path_solves_its_equations(path: str, case: tuple[float, ...]) -> None:
    """d mass / du = growth * mass and d position / du = velocity, from one end to the other."""
    n, step = 201, 1e-5
    one = pairs(*case)
    copies, config = repeated(one, n), BridgeConfig(0.0, 1.0, path)
    u = torch.linspace(0, 1, n, dtype=torch.float64)
    position, velocity, mass, growth = dirac_path(copies, u, config)
    later, earlier = dirac_path(copies, u + step, config), dirac_path(copies, u - step, config)
    np.testing.assert_allclose((later[2] - earlier[2]) / (2 * step), growth * mass, atol=1e-6)
    np.testing.assert_allclose((later[0] - earlier[0]) / (2 * step), velocity, atol=1e-6)
    np.testing.assert_allclose(position[[0, -1]], torch.cat([one.x0, one.x1]), atol=1e-8)
    np.testing.assert_allclose(mass[[0, -1]], torch.cat([one.m0, one.m1]), atol=1e-8)


@pytest.mark.parametrize("case", CASES)
def test_geodesic_has_the_least_action(case: tuple[float, ...]) -> None:
    """Momentum is conserved, and the action is equal to its closed form."""
    distance, m0, m1 = case
    alpha, n = 1.0, 4001
    u = torch.linspace(0, 1, n, dtype=torch.float64)

    def action(path: str) -> float:
        _, velocity, mass, growth = dirac_path(
            repeated(pairs(*case), n), u, BridgeConfig(0.0, alpha, path)
        )
        if path == "geodesic":
            momentum = mass * velocity.norm(dim=1)
            np.testing.assert_allclose(momentum, momentum[0], rtol=1e-9)
        return float(
            torch.trapezoid(mass * (velocity.square().sum(1) + alpha * growth.square()) / 2, u)
        )

    exact = (
        2 * alpha * (m0 + m1 - 2 * math.sqrt(m0 * m1) * math.cos(distance / (2 * math.sqrt(alpha))))
    )
    assert action("geodesic") == pytest.approx(exact, rel=1e-5)
    assert action("straight") > 1.001 * exact


def test_limits_of_the_geodesic() -> None:
    u = torch.linspace(0, 1, 11, dtype=torch.float64)
    # At distance zero the root of the mass is linear.
    position, velocity, mass, _ = dirac_path(
        repeated(pairs(0.0, 1.0, 4.0), 11), u, BridgeConfig(0.0, 1.0)
    )
    np.testing.assert_allclose(mass, (1 + u) ** 2, rtol=1e-6)
    np.testing.assert_allclose(position, pairs(0.0, 1.0, 1.0).x0.expand(11, 2))
    assert not velocity.any()
    # If growth costs too much, speed is constant.
    one = pairs(2.0, 1.0, 1.0)
    position, _, mass, _ = dirac_path(repeated(one, 11), u, BridgeConfig(0.0, 1e6))
    np.testing.assert_allclose(position, one.x0 + u[:, None] * (one.x1 - one.x0), atol=1e-4)
    np.testing.assert_allclose(mass, 1, atol=1e-5)
    # At a large distance almost all mass dies at one end and is born at the other.
    far = dirac_path(repeated(pairs(100.0, 1.0, 1.0), 11), u, BridgeConfig(0.0, 1.0))
    assert all(torch.isfinite(part).all() for part in far)
    assert float(far[2][5]) == pytest.approx(0.5, abs=1e-3)


@pytest.mark.parametrize("distance", [0.0, 1e-5, 1e-4, 1e-3, 1e-2, 1e-1])
@pytest.mark.parametrize("m1", [1.0, 1.001, 3.0])
def test_short_paths_in_single_precision(distance: float, m1: float) -> None:
    """Most pairs are near and of nearly equal mass, so that differences cancel."""
    n = 11
    u = torch.linspace(0, 1, n)
    single = dirac_path(
        repeated(pairs(distance, 1.0, m1, torch.float32), n), u, BridgeConfig(0.0, 1.0)
    )
    double = dirac_path(repeated(pairs(distance, 1.0, m1), n), u.double(), BridgeConfig(0.0, 1.0))
    for result, true, name in zip(
        single, double, ("position", "velocity", "mass", "growth"), strict=True
    ):
        np.testing.assert_allclose(result, true, atol=1e-5, rtol=1e-4, err_msg=name)


def test_balanced_paths_are_straight() -> None:
    position, velocity, mass, growth = dirac_path(
        pairs(2.0, 1.0, 1.0), torch.tensor([0.3]).double(), BridgeConfig(0.5, None)
    )
    np.testing.assert_allclose(position, [[0.5 + 0.3 * 1.2, -1 + 0.3 * 1.6]])
    np.testing.assert_allclose(velocity, [[1.2, 1.6]])
    assert (float(mass), float(growth)) == (1.0, 0.0)


def test_bridge_spreads_and_targets() -> None:
    """Variance, flow and score are those of a Brownian bridge between smoothed cells."""
    n, dt, sigma = 200_000, 2.0, 0.8
    copies, u = repeated(pairs(1.0, 1.0, 1.0), n), torch.full((n,), 0.3, dtype=torch.float64)
    noise = torch.randn(n, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    duration = torch.full((n,), dt, dtype=torch.float64)
    width = torch.full((n,), 0.1, dtype=torch.float64)
    points = bridge(
        copies, u, duration, noise, bridge_config=BridgeConfig(sigma, None), width=width
    )
    variance = 0.1**2 + sigma**2 * dt * 0.3 * 0.7
    assert float(points.x.var(0).mean()) == pytest.approx(variance, rel=0.01)
    score = -noise / points.std[:, None]
    # Drift of the bridge: straight motion plus a pull, (x1 - x) / (T - t) for width zero.
    drift = points.velocity + (points.score_weight[:, None] + sigma**2 / 2) * score
    centre = points.x - points.std[:, None] * noise
    pull = -(sigma**2) * 0.3 / points.std[:, None] ** 2 * (points.x - centre)
    np.testing.assert_allclose(drift, (copies.x1 - copies.x0) / dt + pull, atol=1e-9)


def test_walls_reflect_smoothed_cells() -> None:
    """The mean noise is the score of a folded normal; other coordinates have no wall."""
    n, start, width = 200_000, 0.3, 0.5
    cell = torch.tensor([[start, 1.0]], dtype=torch.float64).expand(n, 2)
    one = torch.ones(n, dtype=torch.float64)
    pairs = Pairs(cell, cell + 1, one, one, 0 * one, 0 * one, one)
    noise = torch.from_numpy(np.random.default_rng(0).normal(size=(n, 2)))
    unbounded = bridge(
        pairs,
        0 * one,
        one,
        noise,
        bridge_config=BridgeConfig(sigma=0.0, alpha=None),
        width=width * one,
    )
    walls = torch.tensor([[0.0, -math.inf], [math.inf, math.inf]], dtype=torch.float64)
    reflected = unbounded.reflect(walls)
    torch.testing.assert_close(
        reflected.x, torch.stack([unbounded.x[:, 0].abs(), unbounded.x[:, 1]], 1)
    )
    torch.testing.assert_close(reflected.velocity[:, 0], unbounded.x[:, 0].sign())
    torch.testing.assert_close(reflected.velocity[:, 1], one)
    x = reflected.x[:, 0].clone().requires_grad_()
    image = torch.exp(-((x - start) ** 2) / 2 / width**2) + torch.exp(
        -((x + start) ** 2) / 2 / width**2
    )
    (score,) = torch.autograd.grad(image.log().sum(), x)
    missing = reflected.noise[:, 0] + width * score
    for weight in (one, reflected.x[:, 0], reflected.x[:, 0] < 0.2):
        assert abs(float((missing * weight).mean())) < 4 * float(
            (missing * weight).std()
        ) / math.sqrt(n)
    # The unreflected noise has a bias near the wall.
    assert float((unbounded.noise[:, 0] + width * score)[reflected.x[:, 0] < 0.2].mean()) < -0.1


def test_prior_growth_is_part_of_the_masses_and_of_the_target() -> None:
    """End masses are those of the snapshots; between them mass grows at the target rate."""
    rate0, rate1, dt = 0.4, 1.0, 0.5
    one = pairs(0.7, 2.0 * math.exp(rate0 / 2), 3.0 * math.exp(-rate1 / 2))
    one = replace(one, prior0=torch.tensor([rate0]).double(), prior1=torch.tensor([rate1]).double())
    u = torch.linspace(0, 1, 2001, dtype=torch.float64)
    points = bridge(
        repeated(one, len(u)),
        u,
        torch.full_like(u, dt),
        torch.zeros(len(u), 2).double(),
        bridge_config=BridgeConfig(0.0, 1.0),
        width=torch.full_like(u, 0.1),
    )
    np.testing.assert_allclose(points.weight[[0, -1]], [2.0, 3.0])
    rate = np.gradient(points.weight.log().numpy(), dt * u.numpy())
    np.testing.assert_allclose(points.growth[1:-1], rate[1:-1], atol=1e-5)


@pytest.mark.parametrize("unbalanced", [True, False])
def test_sampled_pairs_have_the_masses_of_the_snapshots(unbalanced: bool) -> None:
    """Whatever the plan, weighted averages over the draws give the masses at both ends."""
    rng = np.random.default_rng(0)
    n, m, n_pairs = 12, 9, 400_000
    x, y = torch.arange(float(n))[:, None], torch.arange(float(m))[:, None]
    a, b = (torch.as_tensor(rng.uniform(0.5, 2, k)) for k in (n, m))
    table = torch.as_tensor(rng.uniform(0.01, 1, (n, m)) ** 3)
    if not unbalanced:
        b = b * a.sum() / b.sum()
        for _ in range(500):
            table = table * (a / table.sum(1))[:, None]
            table = table * (b / table.sum(0))
    sample = sample_pairs(
        table,
        x,
        a,
        y,
        b,
        torch.rand(n_pairs, generator=torch.Generator().manual_seed(0)),
        unbalanced=unbalanced,
    )
    for cells, mass, end in ((sample.x0, sample.m0, a), (sample.x1, sample.m1, b)):
        result = (
            np.bincount(cells[:, 0].long().numpy(), (sample.weight * mass).numpy(), len(end))
            / n_pairs
        )
        # Systematic sampling places all but one draw of every run of entries exactly.
        np.testing.assert_allclose(result, end, rtol=2e-3)
    share = sample.weight * sample.m0
    assert float(share.max()) <= 2 * float(a.sum()) * (1 + 1e-6)


@pytest.mark.parametrize("eps", [0.02, 1.0])
def test_draws_of_equal_cells_are_no_worse_than_independent_ones(eps: float) -> None:
    """With equal masses, draws from one row must not repeat the columns of the other rows."""
    n, n_pairs = 300, 3000
    generator = torch.Generator().manual_seed(0)
    x, y = (torch.randn(n, 2, dtype=torch.float64, generator=generator) for _ in range(2))
    mass = torch.full((n,), 1 / n, dtype=torch.float64)
    table = plan(sinkhorn(x, mass, y, mass, alpha=None, eps=eps, tol=1e-6))
    sample = sample_pairs(
        table,
        x,
        mass,
        y,
        mass,
        torch.rand(n_pairs, generator=torch.Generator().manual_seed(0)),
        unbalanced=False,
    )
    for cells, end in ((sample.x0, x), (sample.x1, y)):
        index = torch.cdist(cells, end).argmin(1)
        counts = np.bincount(index.numpy(), sample.weight.numpy(), n)
        # Chi-square with n - 1 degrees of freedom for independent draws, less for stratified ones.
        chi_square = ((counts - n_pairs / n) ** 2 / (n_pairs / n)).sum()
        assert chi_square < n + 5 * np.sqrt(2 * n)
