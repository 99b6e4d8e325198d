"""The law behind the simulated responses: which cells there are, how a treatment moves them, and which it kills."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

# Standard deviation within a subpopulation, along the first axis: state
WITHIN = 0.8
# Length of the response at dose 1, averaged over subpopulations: state
LENGTH = 5.0
# Share of the squared length of a response that it has in common with that to the first target
ALIKE = 0.5
# Half the range of the log-odds of survival between subpopulations; their change with a standard deviation within one
TYPE_ODDS, STATE_ODDS = 2.5, 0.5
# Cells over which averages of the law are taken
N_REFERENCE = 20_000


@dataclass(frozen=True)
class Population:
    """Subpopulations as Gaussian clusters, seen in several donors.

    Parameters
    ----------
    centres
        Centre of every subpopulation, shape ``(k, d)``.
    spread
        Standard deviation within a subpopulation, along every axis, shape ``(d,)``.
    shifts
        What is added to all cells of a donor, shape ``(n_donors, d)``.
    shares
        Proportions of the subpopulations in every donor, shape ``(n_donors, k)``.
    """

    centres: np.ndarray
    spread: np.ndarray
    shifts: np.ndarray
    shares: np.ndarray

    def draw(self, donors: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """States and subpopulations of new cells of these donors."""
        edges = np.cumsum(self.shares, axis=1)[donors]
        # rounding may leave the last edge just below one
        types = np.minimum(
            (rng.random((len(donors), 1)) > edges).sum(axis=1), len(self.centres) - 1
        )
        noise = self.spread * rng.normal(size=(len(donors), len(self.spread)))
        return self.centres[types] + self.shifts[donors] + noise, types

    def score(self, x: np.ndarray, types: np.ndarray, weights: np.ndarray) -> np.ndarray:
        """Where cells are within their subpopulation, along an axis of its own: about standard normal."""
        return np.einsum("nd,nd->n", (x - self.centres[types]) / self.spread, weights[types])


@dataclass(frozen=True)
class Treatment:
    """What one treatment does to a cell, as a function of its state, its subpopulation and the dose.

    Parameters
    ----------
    population
        The cells.
    effects
        Direction of the response of every subpopulation, unit vectors, shape ``(k, d)``.
    amplitude
        Its length at dose 1 for a cell in the middle of the subpopulation, shape ``(k,)``.
    modulation
        Greatest relative change of the length with the state.
    response_axes, survival_axes
        Along which the state within a subpopulation changes the length and the survival, shape ``(k, d)``.
    odds
        Log-odds of survival in the middle of every subpopulation, shape ``(k,)``; infinite where nothing dies.
    highest
        Dose that `odds` belong to. Lower ones kill in proportion to :func:`strength`.
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
        """Probability to survive."""
        from scipy.special import expit

        log_odds = self.odds[types] + STATE_ODDS * self.population.score(
            x, types, self.survival_axes
        )
        return 1 - expit(-log_odds) * (strength(dose) / strength(self.highest))


def strength(dose: float) -> float:
    """Hill curve of exponent one, half of its height at dose 1, relative to that half."""
    return 2 * dose / (1 + dose)


def draw_population(
    n_dims: int,
    n_types: int,
    n_donors: int,
    donor_shift: float,
    separation: float,
    rng: np.random.Generator,
) -> Population:
    """Draw subpopulations and donors; the variance falls as one over the number of the axis."""
    spread = WITHIN / np.sqrt(1 + np.arange(n_dims))
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
    """Draw a treatment, unlike the first one in part if there is one; see `perturbation_response` for the numbers."""
    n_types, n_dims = population.centres.shape
    common, own, response_axes, survival_axes = (
        population.spread * rng.normal(size=(n, n_dims)) for n in (1, n_types, n_types, n_types)
    )
    response_axes, survival_axes = _unit(response_axes), _unit(survival_axes)
    if n_types > 1:
        # what they have in common by chance is no part of their own
        own -= own.mean(axis=0)
    effects = _unit(np.sqrt(shared) * _unit(common) + np.sqrt(1 - shared) * _unit(own))
    length = LENGTH
    if first is not None:
        effects = _unit(np.sqrt(ALIKE) * first.effects + np.sqrt(1 - ALIKE) * effects)
        length *= rng.uniform(0.5, 1.5)
    amplitude = length * (1 + heterogeneity * _spaced(n_types, rng))
    odds = TYPE_ODDS * _spaced(n_types, rng)
    x, types = reference(population, rng)
    odds = odds + _level(
        odds[types] + STATE_ODDS * population.score(x, types, survival_axes), death
    )
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


def reference(population: Population, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Many cells, all donors alike."""
    return population.draw(np.arange(N_REFERENCE) % len(population.shifts), rng)


def _level(log_odds: np.ndarray, death: float) -> float:
    """What to add to the log-odds of survival so that this share dies."""
    from scipy.optimize import brentq
    from scipy.special import expit

    if death == 0:
        return np.inf
    return float(brentq(lambda level: expit(-log_odds - level).mean() - death, -100, 100))


def _spaced(n: int, rng: np.random.Generator) -> np.ndarray:
    """Evenly spaced from -1 to 1, in any order; chance would leave some runs without a contrast."""
    return rng.permutation(np.linspace(-1, 1, n)) if n > 1 else np.zeros(1)


def _unit(x: np.ndarray) -> np.ndarray:
    return x / np.linalg.norm(x, axis=1, keepdims=True)
