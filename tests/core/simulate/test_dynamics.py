from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
from _ornstein_uhlenbeck import OrnsteinUhlenbeck, true_model

from scdiffot.core import Trajectories, interpolate, simulate
from scdiffot.core.simulate.schedule import Leg, build_schedule, default_times

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core import Snapshots

KNOTS = np.array([0.0, 1.0, 3.0])
CELLS = np.linspace(-1, 1, 7)[:, None]


def test_default_times_cover_every_interval() -> None:
    for ends in ((0.5, 3.0), (3.0, 0.5)):
        times = np.unique(default_times(*ends, KNOTS, n=4))
        np.testing.assert_allclose(times, [0.5, 0.75, 1.0, 1.5, 2.0, 2.5, 3.0])


def test_schedules_stop_at_snapshots_and_at_other_stops() -> None:
    stops = np.array([0.0, 0.33, 2.2, 3.0])
    legs = build_schedule(stops, KNOTS, 10)
    np.testing.assert_allclose([leg.end for leg in legs], [0.33, 1.0, 2.2, 3.0])
    assert [leg.start for leg in legs] == [0.0, *(leg.end for leg in legs[:-1])]
    # No step is longer than a tenth of its interval, and one step fewer would be.
    for leg in legs:
        step = (1.0 if leg.end <= 1 else 2.0) / 10
        assert leg.n_steps - 1 < (leg.end - leg.start) / step <= leg.n_steps + 1e-9


def test_backward_schedules_reverse_the_legs() -> None:
    forward = build_schedule(np.array([0.2, 1.7, 2.5]), KNOTS, 10)
    backward = build_schedule(np.array([2.5, 1.7, 0.2]), KNOTS, 10)
    assert backward == [Leg(leg.end, leg.start, leg.n_steps) for leg in reversed(forward)]


def test_stops_that_are_equal_up_to_rounding_are_one() -> None:
    stops = np.array([0.0, 0.5, 0.5 + 1e-9, 1 + 1e-9, 3.0])
    assert [leg.n_steps for leg in build_schedule(stops, KNOTS, 10)] == [5, 5, 10]
    assert build_schedule(np.array([0.5, 0.5]), KNOTS, 10) == []


def test_simulate_keeps_the_saved_times() -> None:
    model = true_model(OrnsteinUhlenbeck(), KNOTS)
    path = simulate(model, CELLS, 0.5, t1=2.5, save_times=np.array([0.5, 0.9, 1.0, 2.5]))
    np.testing.assert_allclose(path.times, [0.5, 0.9, 1.0, 2.5])
    assert path.states.shape == (4, 7, 1)
    np.testing.assert_allclose(path.states[0], CELLS, atol=1e-6)
    np.testing.assert_array_equal(path.log_weights[0], 0)
    np.testing.assert_array_equal(path.origin, np.arange(7))


def test_saved_times_do_not_change_trajectories() -> None:
    model = true_model(OrnsteinUhlenbeck(), KNOTS)
    single = simulate(model, CELLS, 0.0, t1=3.0, save_times=np.array([3.0]), n_steps=100)
    dense = simulate(model, CELLS, 0.0, t1=3.0, save_times=np.linspace(0, 3, 37), n_steps=100)
    # Steps end elsewhere; a second-order method with 100 steps an interval is this close to itself.
    np.testing.assert_allclose(single.states[-1], dense.states[-1], atol=1e-3)


def test_both_kinds_draw_one_number_from_a_generator() -> None:
    model = true_model(OrnsteinUhlenbeck(), KNOTS)
    states = []
    for kind in ("ode", "sde"):
        rng = np.random.default_rng(0)
        simulate(model, CELLS, 0.0, t1=0.1, kind=kind, rng=rng)
        states.append(rng.bit_generator.state)
    assert states[0] == states[1]


def test_log_weights_add_to_the_start() -> None:
    model = true_model(OrnsteinUhlenbeck(), KNOTS)
    start = np.linspace(-3, 1, 7)
    plain, shifted = (
        simulate(model, CELLS, 0.0, t1=1.0),
        simulate(model, CELLS, 0.0, t1=1.0, log_weights=start),
    )
    np.testing.assert_allclose(shifted.log_weights, plain.log_weights + start, atol=1e-5)


def test_sde_is_a_function_of_its_seed() -> None:
    model = true_model(OrnsteinUhlenbeck(), KNOTS)
    one, same, other = (
        simulate(model, CELLS, 0.0, t1=1.0, kind="sde", rng=seed).states for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(one, same)
    assert np.abs(one[-1] - other[-1]).max() > 0.01


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        ({"t1": 4.0}, "t1"),
        ({"t1": 1.0, "kind": "pde"}, "kind"),
        ({"t1": 1.0, "save_times": np.array([2.0])}, "save_times"),
        ({"t1": 1.0, "x0": np.zeros((3, 2))}, "x0"),
    ],
)
def test_invalid_arguments_of_simulate_raise_errors(arguments: dict, name: str) -> None:
    model = true_model(OrnsteinUhlenbeck(), KNOTS)
    arguments = {"x0": CELLS, **arguments}
    with pytest.raises(ValueError, match=name):
        simulate(model, arguments.pop("x0"), 0.0, **arguments)


def test_trajectories_at_interpolates() -> None:
    states = np.array([[[0.0]], [[2.0]], [[3.0]]])
    path = Trajectories(
        np.array([0.0, 1.0, 3.0]), states, np.log([[1.0], [4.0], [4.0]]), np.array([0])
    )
    x, w = path.at(0.5)
    assert (x[0, 0], w[0]) == pytest.approx((1.0, 2.0))
    assert path.at(2.0)[0][0, 0] == pytest.approx(2.5)
    assert path.at(3.0)[0][0, 0] == 3.0
    with pytest.raises(ValueError, match="cover 0.0 to 3.0"):
        path.at(3.1)
    reverse = Trajectories(path.times[::-1], states[::-1], path.log_weights[::-1], path.origin)
    assert reverse.at(0.5)[0][0, 0] == pytest.approx(1.0)


def test_interpolate_is_the_snapshot_at_its_time(snapshots: Snapshots, quick_fit: Callable) -> None:
    model, _ = quick_fit()
    for k, t in enumerate(snapshots.times):
        x, w = interpolate(model, snapshots, t)
        np.testing.assert_allclose(x, snapshots.states[k], atol=1e-5)
        assert w.sum() == pytest.approx(snapshots.masses[k])
    x, w = interpolate(model, snapshots, 0.5)
    assert len(x) == 240
    assert w.sum() == pytest.approx(1.125, rel=0.2)
    with pytest.raises(ValueError, match="time"):
        interpolate(model, snapshots, 2.5)
