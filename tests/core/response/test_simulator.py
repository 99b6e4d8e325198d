"""Accuracy on cells that were left out, whose response is known."""

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
class Outcome:
    """Control cells that were left out, by subpopulation, with their truth and predictions; and the cells of the fit."""

    x: np.ndarray
    response: np.ndarray
    survival: np.ndarray
    types: np.ndarray
    predicted: Prediction
    control: np.ndarray
    treated: np.ndarray
    treated_types: np.ndarray
    history: dict[str, Any]

    @property
    def unexplained(self) -> float:
        return float(sdo.metrics.unexplained(self.predicted.states - self.x, self.response))


@cache
def outcome(seed: int, n_obs: int = 4000, death: float = 0.0) -> Outcome:
    """Fit half of the cells with the default options, and predict the other control cells."""
    adata = sdo.datasets.perturbation_response(n_obs, death=death, rng=seed)
    states, types = np.asarray(adata.obsm["X_pca"]), adata.obs["subpopulation"].to_numpy()
    control, donor = (adata.obs["condition"] == "control").to_numpy(), adata.obs["donor"].to_numpy()
    seen = np.random.default_rng(1).random(adata.n_obs) < 0.5
    strata = []
    for name in np.unique(donor):
        x, y = (states[(donor == name) & seen & group] for group in (control, ~control))
        strata.append(ContextPair(x, y, 0, len(y) / len(x)))
    conditions = Conditions(np.zeros((1, 0)), np.ones(1))
    model, history = fit_response(strata, conditions, ResponseConfig(unbalanced=death > 0))
    asked = control & ~seen
    return Outcome(
        states[asked],
        np.asarray(adata.obsm["true_response"])[asked],
        adata.obs["true_survival"].to_numpy()[asked],
        types[asked],
        model.predict(states[asked]),
        states[control & seen],
        states[~control & seen],
        types[~control & seen],
        history,
    )


@pytest.mark.parametrize("seed", [0, 1])
def test_nine_tenths_of_the_response_are_explained(seed):
    o = outcome(seed)
    assert o.history["metric"] == "learned"
    assert o.unexplained <= 0.1
    linear = GaussianMap.fit(o.control, o.treated).push(o.x) - o.x
    shift = np.broadcast_to(o.treated.mean(axis=0) - o.control.mean(axis=0), o.x.shape)
    for other in (linear, shift):
        assert o.unexplained < 0.5 * sdo.metrics.unexplained(other, o.response)
    assert o.predicted.survival is None


@pytest.mark.parametrize("seed", [0, 1])
def test_cells_keep_their_identity(seed):
    o = outcome(seed)
    classifier = KNeighborsClassifier(15).fit(o.treated, o.treated_types)
    kept = np.mean(classifier.predict(o.predicted.states) == o.types)
    assert kept >= 0.95


def test_selective_death_is_told_from_the_response():
    o = outcome(0, n_obs=10_000, death=0.3)
    survival = o.predicted.survival
    for name in np.unique(o.types):
        of_type = o.types == name
        assert survival[of_type].mean() == pytest.approx(o.survival[of_type].mean(), abs=0.1)
    assert np.corrcoef(survival, o.survival)[0, 1] >= 0.8
    error = (o.predicted.states - o.x - o.response).mean(axis=0)
    assert np.linalg.norm(error) <= 0.1 * np.linalg.norm(o.response.mean(axis=0))
