"""The law of the simulated responses: the cells, their displacement and their survival."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Standard deviation within a subpopulation along the first axis, state
WITHIN_TYPE_STD = 0.8
# Length of the response at dose 1, averaged over subpopulations, state
MEAN_RESPONSE_LENGTH = 5.0
# Share of the squared length of a response that is parallel to the response to the first target
SHARED_WITH_FIRST_TARGET = 0.5
# Half the range of the log-odds of survival between subpopulations; their change with one standard
# deviation of the state within a subpopulation
TYPE_ODDS, STATE_ODDS = 2.5, 0.5
# Cells over which the law is averaged
N_REFERENCE = 20_000


@dataclass(frozen=True)
class Population:
    """Subpopulations as Gaussian clusters, sampled from several donors.

    Parameters
    ----------
    centres
        Centre of every subpopulation, shape ``(k, d)``.
    spread
        Standard deviation within a subpopulation, along every axis, shape ``(d,)``.
    shifts
        Shift of all cells of a donor, shape ``(n_donors, d)``.
    shares
        Proportions of the subpopulations in every donor, shape ``(n_donors, k)``.
    """

    centres: np.ndarray
    spread: np.ndarray
    shifts: np.ndarray
    shares: np.ndarray

    def draw(self, donors: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Draw the states and subpopulations of new cells of these donors."""
        edges = np.cumsum(self.shares, axis=1)[donors]
        # the last edge may be just below one, by rounding
        types = np.minimum(
            (rng.random((len(donors), 1)) > edges).sum(axis=1), len(self.centres) - 1
        )
        noise = self.spread * rng.normal(size=(len(donors), len(self.spread)))
        return self.centres[types] + self.shifts[donors] + noise, types

    def score(self, x: np.ndarray, types: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Standardised positions of cells within their subpopulation, along one axis of each."""
        return np.einsum("nd,nd->n", (x - self.centres[types]) / self.spread, weights[types])


@dataclass(frozen=True)
class Treatment:
    """Effect of a treatment on a cell, as a function of its state, its subpopulation and the dose.

    Parameters
    ----------
    population
        The cells.
    effects
        Direction of the response of every subpopulation, unit vectors, shape ``(k, d)``.
    amplitude
        Length of the response at dose 1 for a cell in the middle of the subpopulation, shape
        ``(k,)``.
    modulation
        Maximal relative change of the length with the state.
    response_axes, survival_axes
        Axes along which the state within a subpopulation changes the length and the survival,
        shape ``(k, d)``.
    odds
        Log-odds of survival in the middle of every subpopulation, shape ``(k,)``; infinite where
        nothing dies.
    highest
        Dose at which `odds` hold. At lower doses, death is proportional to :func:`strength`.
    """

    population: Population
    effects: np.ndarray
    amplitude: np.ndarray
    modulation: float
    response_axes: np.ndarray
    survival_axes: np.ndarray
    odds: np.ndarray
    highest: float

    def response(self, x: np.ndarray, types: np.ndarray, dose: float) -> np.ndarray:
        """Displacement of the cells."""
        state = np.tanh(self.population.score(x, types, self.response_axes))
        length = strength(dose) * self.amplitude[types] * (1 + self.modulation * state)
        return length[:, None] * self.effects[types]

    def survival(self, x: np.ndarray, types: np.ndarray, dose: float) -> np.ndarray:
        """Probability of survival."""
        from scipy.special import expit

        log_odds = self.odds[types] + STATE_ODDS * self.population.score(
            x, types, self.survival_axes
        )
        return 1 - expit(-log_odds) * (strength(dose) / strength(self.highest))


def strength(dose: float) -> float:
    """Effect of a dose relative to dose 1: a Hill curve of exponent one, half-maximal at dose 1."""
    return 2 * dose / (1 + dose)


def draw_population(
    n_dims: int,
    n_types: int,
    n_donors: int,
    donor_shift: float,
    separation: float,
    rng: np.random.Generator,
) -> Population:
    """Draw subpopulations and donors; the variance along axis i is proportional to ``1 / i``."""
    spread = WITHIN_TYPE_STD / np.sqrt(1 + np.arange(n_dims))
    centres = separation * spread * rng.normal(size=(n_types, n_dims))
    shifts = donor_shift * _unit(spread * rng.normal(size=(n_donors, n_dims)))
    shares = rng.dirichlet(np.full(n_types, 4.0))
    return Population(centres, spread, shifts, rng.dirichlet(15 * shares + 1, size=n_donors))


def draw_treatment(
    population: Population,
    first: Treatment | None,
    *,
    shared: float,
    heterogeneity: float,
    death: float,
    highest: float,
    rng: np.random.Generator,
) -> Treatment:
    """Draw a treatment, partly parallel to the first one if there is one.

    See :func:`~scdiffot.datasets.perturbation_response` for the parameters.
    """
    n_types, n_dims = population.centres.shape
    common, specific, response_axes, survival_axes = (
        population.spread * rng.normal(size=(n, n_dims)) for n in (1, n_types, n_types, n_types)
    )
    response_axes, survival_axes = _unit(response_axes), _unit(survival_axes)
    if n_types > 1:
        # the mean of the specific directions would add to the common one
        specific -= specific.mean(axis=0)
    effects = _unit(np.sqrt(shared) * _unit(common) + np.sqrt(1 - shared) * _unit(specific))
    length = MEAN_RESPONSE_LENGTH
    if first is not None:
        share = SHARED_WITH_FIRST_TARGET
        effects = _unit(np.sqrt(share) * first.effects + np.sqrt(1 - share) * effects)
        length *= rng.uniform(0.5, 1.5)
    amplitude = length * (1 + heterogeneity * _contrasts(n_types, rng))
    odds = TYPE_ODDS * _contrasts(n_types, rng)
    x, types = draw_reference(population, rng)
    log_odds = odds[types] + STATE_ODDS * population.score(x, types, survival_axes)
    odds = odds + _survival_offset(log_odds, death)
    return Treatment(
        population,
        effects,
        amplitude,
        heterogeneity / 2,
        response_axes,
        survival_axes,
        odds,
        highest,
    )


def draw_reference(
    population: Population, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Draw many cells, equally many of every donor."""
    return population.draw(np.arange(N_REFERENCE) % len(population.shifts), rng)


def _survival_offset(log_odds: np.ndarray, death: float) -> float:
    """Offset of the log-odds of survival with which this share of the cells dies."""
    from scipy.optimize import brentq
    from scipy.special import expit

    if death == 0:
        return np.inf
    return float(brentq(lambda offset: expit(-log_odds - offset).mean() - death, -100, 100))


def _contrasts(n: int, rng: np.random.Generator) -> np.ndarray:
    """Evenly spaced numbers from -1 to 1 in random order, so that every draw has a contrast."""
    return rng.permutation(np.linspace(-1, 1, n)) if n > 1 else np.zeros(1)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)
