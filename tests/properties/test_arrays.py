"""Metrics and simulators, with valid and invalid input: a finite result, or one clear error."""

from __future__ import annotations

import inspect
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from _contract import call
from _options import values
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import scdiffot as sdo

if TYPE_CHECKING:
    from collections.abc import Callable

pytestmark = pytest.mark.slow

N_EXAMPLES = int(os.environ.get("SCDIFFOT_N_EXAMPLES", 40))
METRICS = {
    name: f
    for name, f in vars(sdo.metrics).items()
    if inspect.isfunction(f) and name != "clonal_fate"
}
SIMULATORS = [
    *(
        "gaussian_mixture",
        "gene_network",
        "misa",
        "perturbation_response",
        "regulatory_network",
        "spatial_slices",
    ),
    *("deepruot", "emt"),
]
SMALL: dict[str, dict[str, Any]] = {
    "perturbation_response": {"n_obs": 40, "n_dims": 3, "n_genes": 5},
    "spatial_slices": {"n_obs": 30, "n_times": 2, "n_paths": 3, "n_genes": 4, "n_dims": 2},
    "regulatory_network": {"n_obs": 20, "n_genes": 30, "times": (0.0, 1.0)},
    "misa": {"n_obs": 20, "times": (0.0, 1.0)},
    "gene_network": {"n_obs": 20, "times": (0.0, 1.0)},
    "gaussian_mixture": {"n_obs": 20},
}
CLOUDS: list[Any] = [
    *(
        np.arange(12.0).reshape(6, 2),
        np.arange(8).reshape(4, 2),
        np.ones((5, 2)),
        np.zeros((5, 2), np.float32),
    ),
    *(
        np.arange(12.0).reshape(6, 2)[:, :1],
        np.arange(6.0),
        np.empty((0, 2)),
        np.full((4, 2), np.nan),
        [[1, 2], [3, 5]],
    ),
    *(
        np.full((4, 2), 1e200),
        np.array([["a", "b"]] * 4),
        None,
        3.0,
        np.ones((2, 2, 2)),
        np.ones((4, 2), complex),
    ),
    np.random.default_rng(0).normal(size=(30, 2)),
]
WEIGHTS: list[Any] = [
    None,
    None,
    None,
    np.ones(6),
    np.arange(6.0),
    np.zeros(6),
    -np.ones(6),
    np.full(6, np.nan),
    "w",
    1.0,
]
MASSES = [1.0, 0.5, 0, -1, float("nan"), float("inf"), "x", None, np.float32(2), True]


def _draw_metric(draw: st.DrawFn, name: str) -> dict[str, Any]:
    options = {}
    for parameter, argument in inspect.signature(METRICS[name]).parameters.items():
        required = argument.default is inspect.Parameter.empty
        if not required and not draw(st.booleans()):
            continue
        if parameter in ("x", "y", "predicted", "true") and name != "mass_error":
            options[parameter] = draw(st.sampled_from(CLOUDS))
        elif parameter in ("wx", "wy", "w"):
            options[parameter] = draw(st.sampled_from(WEIGHTS))
        elif parameter in ("predicted", "observed"):
            options[parameter] = draw(st.sampled_from(MASSES))
        else:
            options[parameter] = draw(values(METRICS[name], parameter, None))
    return options


def _settings(n: int) -> settings:
    return settings(
        max_examples=n,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )


@pytest.mark.parametrize("name", METRICS)
def test_metrics(name: str, fingerprint: Callable):
    """Numbers are finite, unless the metric is not defined for these clouds."""

    @_settings(N_EXAMPLES)
    @given(st.composite(lambda draw: _draw_metric(draw, name))())
    def holds(options: dict[str, Any]) -> None:
        outcome = call(METRICS[name], fingerprint=fingerprint, **options)
        if outcome.error is None:
            results = outcome.value if isinstance(outcome.value, tuple) else (outcome.value,)
            assert not any(np.isinf(np.asarray(result, dtype=float)).any() for result in results)

    holds()


@pytest.mark.parametrize("name", SIMULATORS)
def test_simulators(name: str, fingerprint: Callable):
    """Finite states at every time, and names that are unique."""
    function = getattr(sdo.datasets, name)

    @_settings(N_EXAMPLES // 2)
    @given(st.data())
    def holds(data: st.DataObject) -> None:
        parameters = inspect.signature(function).parameters
        names = data.draw(st.lists(st.sampled_from(list(parameters)), max_size=2, unique=True))
        required = [n for n, p in parameters.items() if p.default is inspect.Parameter.empty]
        options = dict(SMALL.get(name, {}))
        options |= {
            n: data.draw(values(function, n, None), label=n)
            for n in dict.fromkeys([*required, *names])
        }
        outcome = call(function, fingerprint=fingerprint, **options)
        if outcome.error is None:
            assert outcome.value.obs_names.is_unique
            states = outcome.value.X if outcome.value.X is not None else outcome.value.obsm["X_pca"]
            assert np.isfinite(np.asarray(states, dtype=float)).all()

    holds()
