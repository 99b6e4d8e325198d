"""Landscapes of models and particles against densities in closed form."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from _ornstein_uhlenbeck import OrnsteinUhlenbeck, TrueFields

from scdiffot.core import FitConfig, RUOTModel
from scdiffot.core.lineage.landscape import (
    mask_near_points,
    model_landscape,
    particle_landscape,
    pass_heights,
)
from scdiffot.core.problem.snapshots import Scaling

WELLS, WIDTH = np.array([-1.0, 1.0]), 0.45


def _mixture(x, y):
    """Return the density of two Gaussian components with a total mass of 2."""
    xx, yy = np.meshgrid(x, y)
    components = [
        np.exp(-((xx - c) ** 2 + yy**2) / (2 * WIDTH**2)) / (2 * np.pi * WIDTH**2) for c in WELLS
    ]
    return components[0] + components[1]


def _sample(n, seed=0):
    rng = np.random.default_rng(seed)
    points = WIDTH * rng.normal(size=(n, 2))
    points[:, 0] += rng.choice(WELLS, n)
    return points


def _axes(n=81):
    return np.linspace(-2.4, 2.4, n), np.linspace(-1.6, 1.6, n)


class PlanarFields(torch.nn.Module):
    """Fields of two independent processes, of which the first has growth."""

    def __init__(self, first, second, scaling):
        super().__init__()
        parts = [
            Scaling(scaling.shift[i : i + 1], scaling.scale, scaling.time_shift, scaling.time_scale)
            for i in (0, 1)
        ]
        self.parts = [
            TrueFields(process, part) for process, part in zip((first, second), parts, strict=True)
        ]
        self.process, self.scaling, self.n_dims = first, scaling, 2
        self.sigma, self.alpha = self.parts[0].sigma, 1.0

    def forward(self, x, t):
        a, b = (part(x[:, [i]], t) for i, part in enumerate(self.parts))
        out = {name: torch.cat([a[name], b[name]], 1) for name in ("drift", "flow", "score")}
        time = t.double().numpy() * self.scaling.time_scale + self.scaling.time_shift
        # normalised to the mass, in the solver's unit of the state
        level = np.array([self.process.log_mass(u) for u in np.unique(time)])[
            np.unique(time, return_inverse=True)[1]
        ]
        for part in self.parts:
            level = (
                level - np.log(2 * np.pi * part.process.variance(time) / self.scaling.scale**2) / 2
            )
        density = a["log_density"] + b["log_density"] + torch.from_numpy(level).to(x.dtype)
        return out | {"growth": a["growth"] + b["growth"], "log_density": density}


def test_a_model_of_two_dimensions_gives_its_own_density():
    first, second = OrnsteinUhlenbeck(), OrnsteinUhlenbeck(level=0.0, slope=0.0)
    scaling = Scaling(np.array([0.3, -0.2]), 2.0, 0.0, 0.7)
    model = RUOTModel(
        PlanarFields(first, second, scaling), scaling, FitConfig(), np.array([0.0, 2.0]), np.ones(2)
    )
    x, y = np.linspace(-2, 3, 60), np.linspace(-2, 3, 50)
    potential, growth_cost = model_landscape(model, x, y, 1.2)
    assert potential.shape == growth_cost.shape == (50, 60)
    log_density = first.log_mass(1.2) - sum(
        (grid - p.mean(1.2)) ** 2 / (2 * p.variance(1.2)) + np.log(2 * np.pi * p.variance(1.2)) / 2
        for p, grid in ((first, x[None, :]), (second, y[:, None]))
    )
    # float32
    np.testing.assert_allclose(potential, -log_density, atol=1e-4)
    np.testing.assert_allclose(
        growth_cost, np.broadcast_to(4 * (0.1 + 0.5 * x), (50, 60)), rtol=1e-4, atol=1e-5
    )


@pytest.mark.parametrize(("n", "error", "climb_error"), [(2000, 0.25, 0.6), (20_000, 0.12, 0.25)])
def test_particles_give_the_density_they_are_sampled_from(n, error, climb_error):
    x, y = _axes()
    points = _sample(n)
    # a quarter of the points have twice the weight, independently of their position
    weights = np.where(np.arange(n) % 4 == 0, 2.0, 1.0)
    weights *= 2 / weights.sum()
    potential, mean = particle_landscape(
        points, weights, x, y=y, values=points[:, 0], rng=np.random.default_rng(1)
    )
    truth = -np.log(_mixture(x, y))
    core = truth < truth.min() + 2.5
    assert np.sqrt(np.mean((potential - truth)[core] ** 2)) < error
    central = np.abs(y) < 0.5
    assert np.abs(mean[central][:, np.abs(x) < 1] - x[np.abs(x) < 1]).mean() < 0.15
    # the kernel lowers the barrier: it raises the density at the pass and lowers it in the wells
    wells = [int(np.argmin(np.where(side, potential, np.inf))) for side in (x < 0, x > 0)]
    height = pass_heights(potential, np.array(wells))[0, 1] - potential.ravel()[wells[0]]
    ridge = -np.log(_mixture(x, np.zeros(1)))[0]
    barrier = ridge[len(x) // 2] - ridge.min()
    assert abs(height - barrier) < climb_error


def test_the_landscape_of_particles_has_their_total_mass():
    x, y = np.linspace(-4, 4, 161), np.linspace(-4, 4, 161)
    points = _sample(3000)
    for mass in (0.3, 5.0):
        potential, _ = particle_landscape(
            points,
            np.full(3000, mass / 3000),
            x,
            y=y,
            values=np.zeros(3000),
            rng=np.random.default_rng(0),
        )
        assert np.exp(-potential).sum() * (x[1] - x[0]) * (y[1] - y[0]) == pytest.approx(
            mass, rel=1e-3
        )


def test_the_noise_of_a_double_well_sets_its_barrier():
    """The stationary density in a well V with noise sigma has U = 2 V / sigma^2."""
    rng = np.random.default_rng(0)
    grid = np.linspace(-1.8, 1.8, 4001)
    well = lambda x: 0.5 * (x**2 - 1) ** 2 - 0.1 * x
    sigma = 0.65
    weight = np.exp(-2 * well(grid) / sigma**2)
    first = np.interp((np.arange(20_000) + 0.5) / 20_000, np.cumsum(weight) / weight.sum(), grid)
    points = np.column_stack([first, 0.3 * rng.normal(size=20_000)])
    x, y = np.linspace(-2, 2, 80), np.linspace(-1.2, 1.2, 80)
    potential, _ = particle_landscape(
        points, np.full(20_000, 5e-5), x, y=y, values=first, rng=np.random.default_rng(0)
    )
    potential[~mask_near_points(points, x, y)] = np.nan
    wells = np.array(
        [int(np.nanargmin(np.where(side, potential, np.nan))) for side in (x < 0, x > 0)]
    )
    heights = pass_heights(potential, wells)
    top, left_well, right_well = (
        well(grid[np.abs(grid) < 0.5]).max(),
        well(grid[grid < 0]).min(),
        well(grid[grid > 0]).min(),
    )
    truth = 2 / sigma**2 * np.array([top - left_well, top - right_well])
    np.testing.assert_allclose(heights[0, 1] - np.diag(heights), truth, atol=0.15)


def test_passes_of_a_known_surface():
    x, y = np.linspace(-2, 2, 81), np.linspace(-2, 2, 81)
    xx, yy = np.meshgrid(x, y)
    # a well at every (+-1, +-1): the passes are on the axes, and diagonal paths avoid the central
    # hill
    height = 3 * (xx**2 - 1) ** 2 + (yy**2 - 1) ** 2
    wells = np.array(
        [np.argmin((xx - a) ** 2 + (yy - b) ** 2) for a, b in ((-1, -1), (1, -1), (-1, 1), (1, 1))]
    )
    heights = pass_heights(height, wells)
    expected = np.array([[0, 3, 1, 3], [3, 0, 3, 1], [1, 3, 0, 3], [3, 1, 3, 0]])
    np.testing.assert_allclose(heights, expected, atol=1e-9)
    np.testing.assert_array_equal(heights, pass_heights(height - 7, wells) + 7)


def test_passes_across_regions_without_cells_are_infinite():
    height = np.zeros((20, 20))
    height[:, 9:11] = np.nan
    heights = pass_heights(height, np.array([0, 19, 5]))
    assert np.isinf(heights[0, 1])
    assert heights[0, 2] == 0


def test_the_grid_is_masked_far_from_cells():
    points = _sample(500)
    x, y = np.linspace(-8, 8, 100), np.linspace(-8, 8, 100)
    mask = mask_near_points(points, x, y)
    xx, yy = np.meshgrid(x, y)
    inside = (np.abs(np.abs(xx) - 1) < WIDTH) & (np.abs(yy) < WIDTH)
    assert mask[inside].all()
    assert not mask[(np.abs(xx) > 4.5) | (np.abs(yy) > 3.5)].any()
