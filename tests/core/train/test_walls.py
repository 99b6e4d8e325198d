"""Walls, the minima and maxima of states."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from scdiffot import datasets
from scdiffot.core import FitConfig, RUOTModel, Snapshots, fit, simulate
from scdiffot.core.problem.scales import find_walls


def test_walls_are_at_extremes_shared_by_several_cells() -> None:
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 200, 3))
    x[:4, 0] = y[:2, 0] = -5
    y[:9, 2] = 7
    low, high = find_walls([x, y]).numpy()
    np.testing.assert_array_equal(low, [-5, -np.inf, -np.inf])
    np.testing.assert_array_equal(high, [np.inf, np.inf, 7])


def test_copies_of_a_cell_are_no_wall() -> None:
    x = np.repeat(np.random.default_rng(0).normal(size=(50, 2)), 5, axis=0)
    assert torch.isinf(find_walls([x, x])).all()


def test_trajectories_of_expression_stay_nonnegative_after_a_round_trip() -> None:
    adata = datasets.misa(200, rng=0)
    x, t = np.asarray(adata.X), adata.obs["time"].to_numpy()
    times = np.unique(t)
    cells = tuple(x[t == time] for time in times)
    assert sum((x[:, 1] == 0).sum() for x in cells) >= 3
    model, _ = fit(
        Snapshots(times, cells, np.ones(len(times))),
        FitConfig(train={"n_steps": 50}, corrections={"n_rounds": 0}),
    )
    copy = RUOTModel.from_arrays(model.to_arrays())
    for kind in ("ode", "sde"):
        path, path_of_copy = (
            simulate(m, cells[1], float(times[1]), t1=float(times[-1]), kind=kind)
            for m in (model, copy)
        )
        assert path.states[..., 1].min() > -1e-6
        np.testing.assert_array_equal(path.states, path_of_copy.states)


@pytest.mark.slow
def test_drift_near_a_wall_with_most_cells() -> None:
    """Brownian motion with drift -1 at a wall has a stationary exponential distribution."""
    rng = np.random.default_rng(0)
    cells = []
    for _ in range(4):
        x = np.stack([rng.exponential(0.5, 1500), rng.normal(size=1500)], 1)
        # A process in discrete steps has cells exactly at the wall.
        x[x[:, 0] < 0.01, 0] = 0
        cells.append(x)
    snapshots = Snapshots(np.arange(4) / 2, tuple(cells), np.ones(4))
    model, _ = fit(snapshots, FitConfig(autonomous=True, growth=False, sigma=1.0))
    positions = np.stack([np.linspace(0, 1, 9), np.zeros(9)], 1)
    np.testing.assert_allclose(model.drift(positions, 0.75)[:, 0], -1, atol=0.4)
