"""Accuracy on held-out simulated cells with a known response."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from sklearn.neighbors import KNeighborsClassifier

import scdiffot as sdo
from scdiffot.core.ot.gaussian_map import GaussianMap
from scdiffot.core.response import Conditions, ContextPair, ResponseConfig, fit_response

if TYPE_CHECKING:
    from scdiffot.core.response import Prediction

pytestmark = pytest.mark.slow


@dataclass
class HeldOutResult:
    """Held-out control cells with their truth and predictions, and the cells of the fit."""

    x: np.ndarray
    response: np.ndarray
    survival: np.ndarray
    types: np.ndarray
    prediction: Prediction
    control: np.ndarray
    treated: np.ndarray
    treated_types: np.ndarray
    history: dict[str, Any]

    @property
    def unexplained(self) -> float:
        return float(sdo.metrics.unexplained(self.prediction.states - self.x, self.response))


@cache
def simulate(seed: int, n_obs: int = 4000, death: float = 0.0) -> HeldOutResult:
    """Fit half of the cells with default options, and predict the held-out control cells."""
    adata = sdo.datasets.perturbation_response(n_obs, death=death, rng=seed)
    states, types = np.asarray(adata.obsm["X_pca"]), adata.obs["subpopulation"].to_numpy()
    control, donor = (adata.obs["condition"] == "control").to_numpy(), adata.obs["donor"].to_numpy()
    is_training = np.random.default_rng(1).random(adata.n_obs) < 0.5
    contexts = []
    for name in np.unique(donor):
        x, y = (states[(donor == name) & is_training & group] for group in (control, ~control))
        contexts.append(ContextPair(x, y, 0, len(y) / len(x)))
    conditions = Conditions(np.zeros((1, 0)), np.ones(1))
    model, history = fit_response(contexts, conditions, ResponseConfig(unbalanced=death > 0))
    held_out = control & ~is_training
    return HeldOutResult(
        states[held_out],
        np.asarray(adata.obsm["true_response"])[held_out],
        adata.obs["true_survival"].to_numpy()[held_out],
        types[held_out],
        model.predict(states[held_out]),
        states[control & is_training],
        states[~control & is_training],
        types[~control & is_training],
        history,
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_nine_tenths_of_the_response_are_explained(seed):
    result = simulate(seed)
    assert result.history["metric"] == "learned"
    assert result.unexplained <= 0.1
    linear = GaussianMap.fit(result.control, result.treated).push(result.x) - result.x
    shift = np.broadcast_to(
        result.treated.mean(axis=0) - result.control.mean(axis=0), result.x.shape
    )
    for baseline in (linear, shift):
        assert result.unexplained < 0.5 * sdo.metrics.unexplained(baseline, result.response)
    assert result.prediction.survival is None


@pytest.mark.parametrize("seed", [0, 1])
def test_predicted_cells_keep_their_subpopulation(seed):
    result = simulate(seed)
    classifier = KNeighborsClassifier(15).fit(result.treated, result.treated_types)
    accuracy = np.mean(classifier.predict(result.prediction.states) == result.types)
    assert accuracy >= 0.95


def test_selective_death_is_separated_from_the_response():
    result = simulate(0, n_obs=10_000, death=0.3)
    survival = result.prediction.survival
    for name in np.unique(result.types):
        of_type = result.types == name
        assert survival[of_type].mean() == pytest.approx(result.survival[of_type].mean(), abs=0.1)
    assert np.corrcoef(survival, result.survival)[0, 1] >= 0.8
    error = (result.prediction.states - result.x - result.response).mean(axis=0)
    assert np.linalg.norm(error) <= 0.1 * np.linalg.norm(result.response.mean(axis=0))
