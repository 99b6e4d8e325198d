from __future__ import annotations

import json
from typing import TYPE_CHECKING

import numpy as np
import pytest
from _exact import PROBLEMS

from scdiffot.core import FitConfig, RUOTModel, simulate
from scdiffot.core.problem.config.stored import to_stored

if TYPE_CHECKING:
    from collections.abc import Callable

    from scdiffot.core import Snapshots

NAMES = ("drift", "flow", "score", "growth", "potential")


@pytest.mark.parametrize(
    "options", [{}, {"form": "gradient"}, {"growth": False}, {"autonomous": True}]
)
def test_arrays_round_trip(options: dict, snapshots: Snapshots, quick_fit: Callable) -> None:
    model, _ = quick_fit(**options)
    arrays = model.to_arrays()
    copy = RUOTModel.from_arrays(arrays)
    assert copy.config == model.config
    assert (copy.sigma, copy.alpha) == (model.sigma, model.alpha)
    np.testing.assert_array_equal(copy.times, model.times)
    np.testing.assert_array_equal(copy.masses, model.masses)
    for t in (0.0, 0.7, 2.0):
        fields, fields_of_copy = (
            model.fields(snapshots.states[0], t),
            copy.fields(snapshots.states[0], t),
        )
        assert all(np.array_equal(fields[name], fields_of_copy[name]) for name in NAMES)
    # All values can be stored in a file.
    assert isinstance(arrays["config"], str)
    assert all(
        isinstance(v, np.ndarray) for k, v in arrays.items() if k not in ("config", "weights")
    )
    assert all(isinstance(v, np.ndarray) and "." not in k for k, v in arrays["weights"].items())


def test_arrays_are_a_copy(quick_fit: Callable, snapshots: Snapshots) -> None:
    """Changing a rebuilt model leaves the arrays it came from alone."""
    arrays = quick_fit()[0].to_arrays()
    original = {name: value.copy() for name, value in arrays["weights"].items()}
    copy = RUOTModel.from_arrays(arrays)
    for parameter in copy.networks.parameters():
        parameter.data.zero_()
    assert all(np.array_equal(original[name], arrays["weights"][name]) for name in original)


def test_fields_and_their_parts_agree(quick_fit: Callable, snapshots: Snapshots) -> None:
    model, _ = quick_fit()
    x = snapshots.states[1]
    out = model.fields(x, 0.5)
    for name in NAMES:
        np.testing.assert_array_equal(getattr(model, name)(x, 0.5), out[name])
        assert out[name].dtype == np.float32
        assert len(out[name]) == len(x)
    np.testing.assert_allclose(
        out["drift"] - out["flow"], model.sigma**2 / 2 * out["score"], rtol=1e-3, atol=1e-5
    )


def test_every_cell_may_have_its_own_time(quick_fit: Callable, snapshots: Snapshots) -> None:
    model, _ = quick_fit()
    x, t = snapshots.states[0][:20], np.linspace(0, 2, 20)
    together = model.drift(x, t)
    alone = np.concatenate([model.drift(x[[i]], t[i]) for i in range(20)])
    np.testing.assert_allclose(together, alone, rtol=1e-4, atol=1e-6)


def test_score_is_the_slope_of_the_potential(quick_fit: Callable) -> None:
    """In the user's units, s = - dU/dx by central differences, up to single precision."""
    model, _ = quick_fit()
    x, h = np.array([[0.3, -0.2], [1.1, 0.4]]), 1e-2
    slope = np.stack(
        [model.potential(x + h * e, 0.6) - model.potential(x - h * e, 0.6) for e in np.eye(2)], 1
    ) / (2 * h)
    np.testing.assert_allclose(model.score(x, 0.6), -slope, rtol=0.01, atol=2e-3)


def test_config_is_json() -> None:
    config = FitConfig(sigma=0.2, form="gradient", networks={"n_hidden": 32})
    assert FitConfig.from_stored(json.loads(json.dumps(to_stored(config)))) == config


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"sigma": -0.1}, "sigma"),
        ({"sigma": float("nan")}, "sigma"),
        ({"sigma": "large"}, "sigma"),
        ({"alpha": 0.0}, "alpha"),
        ({"alpha": float("inf")}, "alpha"),
        ({"alpha": "small"}, "alpha"),
        ({"form": "curl"}, "form"),
        ({"path": "crooked"}, "path"),
        ({"train": {"n_steps": 0}}, "train.n_steps"),
        ({"train": {"batch_size": -1}}, "train.batch_size"),
        ({"coupling": {"n_landmarks": 0}}, "coupling.n_landmarks"),
    ],
)
def test_invalid_options_raise_errors(options: dict, name: str) -> None:
    with pytest.raises(ValueError, match=f"`{name}` is"):
        FitConfig(**options)


@pytest.mark.slow
def test_potential_is_normalised_in_one_dimension(
    fitted_problem: Callable, solved: Callable
) -> None:
    """int exp(-U) dx is the mass of the population, also between the snapshots."""
    name = "shift and growth"
    model, _ = fitted_problem(name, "separate", 0)
    problem, solution = PROBLEMS[name], solved(name)
    grid = np.linspace(-3, 5, 2001)
    start = problem.q0.draw(2000, np.random.default_rng(0))
    for t in (0.1, 0.3, 0.5, 0.7, 0.9):
        density = np.exp(-model.potential(grid[:, None], t).astype(float))
        mass = simulate(model, start, 0.0, t1=t, save_times=np.array([t])).weights[-1].mean()
        # A mean of 500 logarithms of a kernel density.
        assert np.trapezoid(density, grid) == pytest.approx(mass, rel=0.05)
        # Nor is it the shape alone: the density is that of the exact solution.
        exact = np.interp(grid, solution.x, solution.density[round(t * (len(solution.t) - 1))])
        assert np.trapezoid(np.abs(density - exact), grid) < 0.15 * mass


def test_a_flat_config_of_the_first_version_is_read_as_the_nested_one() -> None:
    flat = {
        "growth": True,
        "sigma": "auto",
        "alpha": 2,
        "form": "separate",
        "path": "auto",
        "autonomous": True,
        "search_sigma": False,
        "n_steps": 80,
        "n_corrections": 3,
        "n_correction_steps": None,
        "n_matching_steps": 50,
        "batch_size": 64,
        "learning_rate": 0.02,
        "n_hidden": None,
        "n_layers": 2,
        "n_landmarks": 100,
        "n_pairs": 500,
        "smoothing": 0.5,
    }
    assert FitConfig.from_stored(flat) == FitConfig(
        alpha=2.0,
        form="separate",
        autonomous=True,
        selection={"refine_sigma": False},
        train={"n_steps": 80, "batch_size": 64, "learning_rate": 0.02},
        corrections={"n_rounds": 3},
        matching={"n_steps": 50},
        networks={"n_layers": 2},
        coupling={"n_landmarks": 100, "n_pairs": 500},
        scale={"smoothing": 0.5},
    )
    with pytest.raises(ValueError, match="has other options than this version: 'n_layers'"):
        FitConfig.from_stored({name: v for name, v in flat.items() if name != "n_layers"})
