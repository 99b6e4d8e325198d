from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from scdiffot.core import FitConfig, Progress, Snapshots, leave_one_out

pytestmark = pytest.mark.xdist_group("left out")


@pytest.fixture(scope="module")
def time_course() -> Snapshots:
    """A cloud that moves by two of its widths an interval and grows by a half."""
    rng = np.random.default_rng(0)
    states = tuple(0.3 * rng.normal(size=(300, 2)) + [0.6 * k, 0.0] for k in range(4))
    return Snapshots(np.arange(4.0), states, 1.5 ** np.arange(4))


@pytest.fixture(scope="module")
def table(time_course: Snapshots) -> list[dict]:
    return leave_one_out(
        time_course,
        FitConfig(sigma=0.1, train={"n_steps": 300}, corrections={"n_rounds": 1, "n_steps": 50}),
    )


def test_every_inner_snapshot_is_left_out(table: list[dict]) -> None:
    assert [row["time"] for row in table] == [1.0, 2.0]
    names = {
        "w1",
        "w2",
        "mmd",
        "mass_error",
        "w1_mccann",
        "w1_previous",
        "w1_next",
        "w1_pooled",
        "w1_floor",
    }
    assert all(names <= set(row) for row in table)


def test_model_free_predictions_have_the_expected_errors(table: list[dict]) -> None:
    """Neighbours are at distance 0.6; the cloud half-way is predicted up to sampling noise."""
    for row in table:
        assert row["w1_previous"] == pytest.approx(0.6, abs=0.08)
        assert row["w1_next"] == pytest.approx(0.6, abs=0.08)
        # The pooled neighbours have the right centre, but two clusters instead of one.
        assert 0.3 < row["w1_pooled"] < 0.6
        assert row["w1_floor"] < 0.15
        assert row["w1_mccann"] < 0.15


def test_prediction_is_better_than_a_copy(table: list[dict]) -> None:
    for row in table:
        assert row["w1"] < 0.2
        assert row["w1"] <= row["w2"]
        # Growth by a constant rate and along the geodesic differ by 2 % half-way.
        assert row["mass_error"] < 0.06


def test_the_left_out_snapshot_does_not_enter_the_fit(time_course: Snapshots) -> None:
    """Moving it changes the error of its prediction by the distance moved."""
    config = FitConfig(
        sigma=0.1, alpha=0.5, path="geodesic", train={"n_steps": 60}, corrections={"n_rounds": 0}
    )
    shifted_course = replace(
        time_course,
        states=(time_course.states[0], time_course.states[1] + [0.0, 5.0], *time_course.states[2:]),
    )
    original, shifted = (
        leave_one_out(s, config, times=np.array([1.0]))[0] for s in (time_course, shifted_course)
    )
    assert shifted["w1"] == pytest.approx(np.hypot(5, original["w1"]), abs=0.3)


def test_only_the_given_times_are_left_out(time_course: Snapshots) -> None:
    calls: list[Progress] = []
    config = FitConfig(sigma=0.1, train={"n_steps": 30}, corrections={"n_rounds": 0})
    rows = leave_one_out(time_course, config, times=np.array([2.0]), callback=calls.append)
    assert [row["time"] for row in rows] == [2.0]
    assert calls
    with pytest.raises(ValueError, match="inner times"):
        leave_one_out(time_course, config, times=np.array([0.0]))
    with pytest.raises(ValueError, match="three snapshots"):
        leave_one_out(
            Snapshots(time_course.times[:2], time_course.states[:2], time_course.masses[:2]), config
        )
