from __future__ import annotations

import numpy as np
import pytest

from scdiffot.core import Snapshots


def test_scaling_round_trip(snapshots: Snapshots) -> None:
    s = snapshots.scaling
    x = snapshots.states[1]
    # Single precision in solver's units, which are of order one.
    np.testing.assert_allclose(s.state_out(s.state_in(x)), x, atol=1e-6 * np.abs(x).max())
    np.testing.assert_allclose(
        s.time_in(snapshots.times) * s.time_scale + s.time_shift, snapshots.times
    )


def test_scaled_snapshots_have_unit_spread_and_interval() -> None:
    rng = np.random.default_rng(0)
    states = tuple(rng.normal(size=(50, 3)) * [1e-6, 3e-6, 2e-6] + 1.0 for _ in range(3))
    prior = tuple(np.full(50, 0.01) for _ in range(3))
    scaled = Snapshots(np.array([10.0, 40.0, 50.0]), states, np.ones(3), prior).scaled()
    pooled = np.concatenate(scaled.states).astype(float)
    assert np.sqrt(pooled.var(0).mean()) == pytest.approx(1, rel=1e-5)
    np.testing.assert_allclose(pooled.mean(0), 0, atol=1e-6)
    np.testing.assert_allclose(scaled.times, [0, 1.5, 2])
    # Rates are per unit of time: what grows over an interval stays the same.
    np.testing.assert_allclose(scaled.growth_prior[0] * 1.5, 0.01 * 30)


@pytest.mark.parametrize("factor", [1e-6, 1.0, 1e6])
def test_constant_columns_carry_no_scale(factor: float) -> None:
    rng = np.random.default_rng(0)
    x = factor * np.c_[rng.normal(size=(40, 2)), np.full(40, 3.0)]
    snapshots = Snapshots(np.array([0.0, 1.0]), (x, x), np.ones(2))
    assert snapshots.scaling.scale == pytest.approx(np.sqrt(x[:, :2].var(0).mean()))
    assert all(np.isfinite(z).all() for z in snapshots.scaled().states)


def test_identical_cells_have_a_scale() -> None:
    x = np.ones((20, 2))
    assert Snapshots(np.array([0.0, 1.0]), (x, x), np.ones(2)).scaling.scale == 1.0


def test_without_leaves_one_out() -> None:
    states = tuple(np.full((4, 1), float(k)) for k in range(3))
    snapshots = Snapshots(np.array([0.0, 1.0, 2.0]), states, np.array([1.0, 2.0, 3.0]), states)
    inner = snapshots.without(1)
    assert inner.times.tolist() == [0.0, 2.0]
    assert inner.masses.tolist() == [1.0, 3.0]
    assert inner.growth_prior[1][0] == 2.0
    first = snapshots.without(0)
    # The first that is kept has mass one.
    assert first.masses.tolist() == [1.0, 1.5]
    assert first.n_snapshots == 2
    assert snapshots.n_snapshots == 3


@pytest.mark.parametrize(
    ("times", "n_states", "masses", "message"),
    [
        ([0.0, 1.0], 3, [1.0, 1.0], "must match"),
        ([0.0, 0.0], 2, [1.0, 1.0], "increase strictly"),
        ([1.0, 0.0], 2, [1.0, 1.0], "increase strictly"),
        ([0.0, 1.0], 2, [1.0, 0.0], "positive"),
        ([0.0, 1.0], 2, [1.0, -1.0], "positive"),
    ],
)
def test_invalid_snapshots_raise_errors(
    times: list, n_states: int, masses: list, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        Snapshots(np.array(times), (np.zeros((5, 2)),) * n_states, np.array(masses))
