from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch

from scdiffot.core import FitConfig, Progress, RUOTModel, Snapshots, fit, simulate

if TYPE_CHECKING:
    from collections.abc import Callable

NAMES = ("drift", "flow", "score", "growth", "potential")


def values(model: RUOTModel, x: np.ndarray, t: float = 0.5) -> np.ndarray:
    out = model.fields(x, t)
    return np.concatenate([out[name].ravel() for name in NAMES])


def test_history_is_complete(quick_fit: Callable, snapshots: Snapshots) -> None:
    _, history = quick_fit()
    lengths = {
        len(history[name]) for name in ("step", "loss", "loss_flow", "loss_growth", "loss_score")
    }
    assert len(lengths) == 1
    assert (np.diff(history["step"]) > 0).all()
    assert history["step"][-1] == 50
    np.testing.assert_array_equal(history["times"], snapshots.times)
    assert all(len(history[name]) == 3 for name in ("w1", "w1_floor", "mass_error", "ess"))
    assert all(
        np.isfinite(history[name])
        for name in ("action", "hjb_residual", "sigma", "alpha", "seconds")
    )
    assert history["sigma"] == pytest.approx(0.3)
    assert history["interrupted"] is False
    assert history["loss"][-1] < history["loss"][0]


def test_equal_seeds_give_equal_models(
    quick_fit: Callable, snapshots: Snapshots, quick: dict
) -> None:
    config = FitConfig(**quick, sigma=0.3)
    one = quick_fit()[0]
    torch.manual_seed(123)
    state = torch.get_rng_state()
    same = fit(snapshots, config, rng=0)[0]
    assert torch.equal(torch.get_rng_state(), state)
    generator = fit(snapshots, config, rng=np.random.default_rng(0))[0]
    other = fit(snapshots, config, rng=1)[0]
    x = snapshots.states[0]
    np.testing.assert_array_equal(values(one, x), values(same, x))
    np.testing.assert_array_equal(values(one, x), values(generator, x))
    assert not np.array_equal(values(one, x), values(other, x))


def test_fit_leaves_threads_and_data_alone(snapshots: Snapshots, quick: dict) -> None:
    threads, states = torch.get_num_threads(), [x.copy() for x in snapshots.states]
    fit(snapshots, FitConfig(**{**quick, "train": {"n_steps": 1}}, sigma=0.3))
    assert torch.get_num_threads() == threads
    assert all(np.array_equal(x, y) for x, y in zip(states, snapshots.states, strict=True))


@pytest.mark.parametrize(
    "options", [{"alpha": 0.5}, {"form": "gradient"}, {"sigma": "auto"}], ids=str
)
@pytest.mark.parametrize(
    ("scale", "time_scale"), [(2.0**-20, 1.0), (2.0**20, 2.0**-16), (1.0, 2.0**24)]
)
def test_units_of_powers_of_two_change_nothing(
    options: dict,
    scale: float,
    time_scale: float,
    snapshots: Snapshots,
    quick_fit: Callable,
    quick: dict,
) -> None:
    """Fields are equivariant to scaling of state and time, up to rounding of the units."""
    one = quick_fit(**options)[0]
    settings = {**quick, "sigma": 0.3, **options}
    if settings["sigma"] != "auto":
        settings["sigma"] *= scale / time_scale**0.5
    if "alpha" in settings:
        settings["alpha"] *= scale**2
    states = tuple(scale * x for x in snapshots.states)
    other = fit(
        Snapshots(time_scale * snapshots.times, states, snapshots.masses), FitConfig(**settings)
    )[0]
    x = snapshots.states[1]
    fields, scaled_fields = one.fields(x, 0.5), other.fields(scale * x, 0.5 * time_scale)
    units = {
        "drift": scale / time_scale,
        "flow": scale / time_scale,
        "score": 1 / scale,
        "growth": 1 / time_scale,
    }
    for name, unit in units.items():
        np.testing.assert_allclose(
            scaled_fields[name] / unit,
            fields[name],
            rtol=1e-5,
            atol=1e-6 * np.abs(fields[name]).max(),
        )
    np.testing.assert_allclose(
        scaled_fields["potential"] - 2 * np.log(scale), fields["potential"], atol=1e-4
    )
    assert other.sigma == pytest.approx(one.sigma * scale / time_scale**0.5)
    assert other.alpha == pytest.approx(one.alpha * scale**2)


def test_origin_of_state_and_time_changes_nothing(
    snapshots: Snapshots, quick_fit: Callable, quick: dict
) -> None:
    one = quick_fit()[0]
    shift = np.array([64.0, -32.0])
    shifted_snapshots = Snapshots(
        snapshots.times + 16, tuple(x + shift for x in snapshots.states), snapshots.masses
    )
    other = fit(shifted_snapshots, FitConfig(**quick, sigma=0.3))[0]
    x = snapshots.states[1]
    # The means are rounded differently, and training amplifies the rounding errors.
    scale = np.abs(values(one, x)).max()
    np.testing.assert_allclose(values(other, x + shift, 16.5), values(one, x), atol=2e-3 * scale)


def test_masses_are_ignored_without_growth(
    snapshots: Snapshots, quick_fit: Callable, quick: dict
) -> None:
    model, history = quick_fit(growth=False)
    x = snapshots.states[0]
    assert not model.growth(x, 0.5).any()
    np.testing.assert_array_equal(model.masses, 1)
    assert model.alpha == np.inf
    np.testing.assert_array_equal(simulate(model, x, 0.0, t1=2.0).weights, 1)
    np.testing.assert_allclose(history["mass_error"], 0, atol=1e-7)
    other = fit(replace(snapshots, masses=np.ones(3)), FitConfig(**quick, sigma=0.3, growth=False))[
        0
    ]
    np.testing.assert_array_equal(values(other, x), values(model, x))


def test_equal_masses_keep_the_mass(snapshots: Snapshots, quick: dict) -> None:
    model, history = fit(replace(snapshots, masses=np.ones(3)), FitConfig(**quick, sigma=0.3))
    assert history["mass_error"].max() < 0.01
    weights = simulate(model, snapshots.states[0], 0.0, t1=2.0).weights.mean(1)
    assert weights[-1] == pytest.approx(1, rel=0.01)


@pytest.mark.parametrize(
    "options", [{}, {"form": "gradient"}, {"alpha": 0.1}, {"sigma": 0.0}], ids=str
)
def test_masses_of_all_snapshots_are_reached(
    options: dict, snapshots: Snapshots, quick_fit: Callable
) -> None:
    model, history = quick_fit(**options)
    assert history["mass_error"].max() < 0.01
    path = simulate(model, snapshots.states[0], 0.0, t1=2.0, save_times=snapshots.times)
    np.testing.assert_allclose(path.weights.mean(1), snapshots.masses, rtol=0.01)


def test_without_diffusion_drift_is_flow(snapshots: Snapshots, quick_fit: Callable) -> None:
    model, _ = quick_fit(sigma=0.0)
    out = model.fields(snapshots.states[0], 0.5)
    assert model.sigma == 0
    np.testing.assert_array_equal(out["drift"], out["flow"])
    ode, sde = (
        simulate(model, snapshots.states[0], 0.0, t1=2.0, kind=k, n_steps=80).states[-1]
        for k in ("ode", "sde")
    )
    # Euler's method against the midpoint method.
    np.testing.assert_allclose(ode, sde, atol=0.05)


def test_autonomous_fields_are_the_same_at_all_times(
    snapshots: Snapshots, quick_fit: Callable
) -> None:
    model, _ = quick_fit(autonomous=True)
    early, late = (model.fields(snapshots.states[0], t) for t in (0.1, 1.9))
    np.testing.assert_array_equal(early["drift"], late["drift"])
    np.testing.assert_array_equal(early["growth"], late["growth"])


def test_gradient_form_is_one_potential(snapshots: Snapshots, quick_fit: Callable) -> None:
    """Drift is alpha times the gradient of the growth: central differences in the user's units."""
    model, _ = quick_fit(form="gradient")
    x, h = snapshots.states[1][:10], 1e-2
    slope = np.stack(
        [model.growth(x + h * e, 0.5) - model.growth(x - h * e, 0.5) for e in np.eye(2)], 1
    ) / (2 * h)
    drift = model.drift(x, 0.5)
    # Growth is constant where it is clipped to the range of the data.
    unclipped = np.abs(slope).min(1) > 0
    assert unclipped.sum() >= 4
    np.testing.assert_allclose(
        model.alpha * slope[unclipped], drift[unclipped], atol=0.01 * np.abs(drift).max()
    )


class Stop:
    """A callback that interrupts after a number of calls."""

    def __init__(self, n_calls: int) -> None:
        self.n_calls, self.reports = n_calls, []

    def __call__(self, progress: Progress) -> None:
        self.reports.append(progress)
        if len(self.reports) == self.n_calls:
            raise KeyboardInterrupt


@pytest.mark.parametrize("n_calls", [1, 3])
def test_interrupted_fit_is_usable(n_calls: int, snapshots: Snapshots, quick: dict) -> None:
    stop = Stop(n_calls)
    options = {
        **quick,
        "train": {"n_steps": 50},
        "corrections": {"n_rounds": 1, "n_steps": 50},
    }
    model, history = fit(snapshots, FitConfig(**options, sigma=0.3), callback=stop)
    assert history["interrupted"] is True
    assert len(history["step"]) == n_calls
    assert history["mass_error"].max() < 0.02
    assert np.isfinite(values(model, snapshots.states[0])).all()
    assert np.isfinite(simulate(model, snapshots.states[0], 0.0, t1=2.0).states).all()


def test_progress_counts_over_all_stages(snapshots: Snapshots, quick: dict) -> None:
    watch = Stop(n_calls=-1)
    config = FitConfig(
        **{
            **quick,
            "train": {"n_steps": 50},
            "corrections": {"n_rounds": 2, "n_steps": 30},
        },
        sigma=0.3,
    )
    model, _ = fit(snapshots, config, callback=watch)
    steps = [progress.step for progress in watch.reports]
    assert steps == sorted(set(steps))
    assert steps[-1] == model.config.n_total_steps == 110
    assert {progress.n_steps for progress in watch.reports} == {110}
    assert len({progress.stage for progress in watch.reports}) == 2
    assert all(np.isfinite(progress.loss) for progress in watch.reports)
