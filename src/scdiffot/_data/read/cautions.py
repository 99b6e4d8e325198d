"""Warnings about data that make a fit unreliable, and the growth that masses imply."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._utils.logging import logger
from scdiffot.core.problem.outliers import isolated_cells
from scdiffot.core.scores.two_samples import same_population

from .checks import format_list

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd

    from .snapshots import TimeSeries

# Without a warning: largest share of duplicated cells, largest fold change of mass per interval.
MAX_COPIES, MAX_JUMP = 0.1, 10.0
# Largest ratio of the fold change implied by a prior to that of the masses without a warning.
MAX_DISAGREEMENT = 1.25


def warn_about_cells(
    names: pd.Index, rows: Sequence[np.ndarray], states: Sequence[np.ndarray]
) -> None:
    """Warn of isolated cells, by name, and of duplicated states.

    Parameters
    ----------
    names
        Names of all cells.
    rows
        Rows of each population, each ``(n_k,)``.
    states
        Their states, each ``(n_k, d)``.
    """
    masks = isolated_cells(states)
    isolated = np.unique(np.concatenate([r[m] for r, m in zip(rows, masks, strict=True)]))
    if len(isolated):
        logger.warning(
            "%d cells are far from all others and are left out of the training, though they count "
            "in the masses: %s. Results for them are not to be trusted: check these cells, "
            "and remove them or repair their states.",
            len(isolated),
            format_list(names[isolated]),
        )
    share = _share_of_copies(np.concatenate(states))
    if share > MAX_COPIES:
        logger.warning(
            "%.0f %% of the cells have exactly the states of another cell: copies count as "
            "independent cells. Remove them, or compute the representation again.",
            100 * share,
        )


def warn_about_time_series(series: TimeSeries, names: pd.Index, *, mass: Any, growth: bool) -> None:
    """Warn of snapshots that cannot identify dynamics, and log the growth that masses imply."""
    snapshots, times = series.snapshots, series.times
    rows = [times.cells(t) for t in snapshots.times]
    warn_about_cells(names, rows, snapshots.states)
    labels = [times.label(t) for t in snapshots.times]
    static_intervals = [
        f"{labels[k]} and {labels[k + 1]}"
        for k in range(len(labels) - 1)
        if same_population(snapshots.states[k], snapshots.states[k + 1])
    ]
    if static_intervals:
        logger.warning(
            "The displacement between times %s is within sampling noise: these snapshots could be "
            "two samples of one population, and the drift between them may be noise.",
            ", ".join(static_intervals),
        )
    if not growth:
        if snapshots.growth_prior is not None:
            logger.warning("`growth_prior` and the masses are ignored: `growth` is False.")
        return
    implied_rates = implied_growth(series)
    for k, fold in enumerate(implied_rates["mass_folds"]):
        if not 1 / MAX_JUMP <= fold <= MAX_JUMP:
            logger.warning(
                "The mass changes %.3g-fold from time %s to %s. If the numbers of cells are those "
                "of the sequencing, pass mass=None, or counted masses as a dict, `mass`.",
                fold,
                *labels[k : k + 2],
            )
    if mass is not None:
        logger.info(
            "The masses (%s) imply %s.",
            "numbers of sequenced cells" if isinstance(mass, str) else "as passed in `mass`",
            "; ".join(
                f"a {fold:.3g}-fold change from time {a} to {b}, "
                f"a mean net growth rate of {rate:.3g}"
                for fold, rate, a, b in zip(
                    implied_rates["mass_folds"],
                    implied_rates["mass_rates"],
                    labels[:-1],
                    labels[1:],
                    strict=True,
                )
            ),
        )
    _warn_about_prior(series, labels, implied_rates["mass_folds"])


def implied_growth(series: TimeSeries) -> dict[str, np.ndarray]:
    """Fold changes of the mass and mean net growth rates of the intervals, each ``(T - 1,)``."""
    folds = series.snapshots.masses[1:] / series.snapshots.masses[:-1]
    return {"mass_folds": folds, "mass_rates": np.log(folds) / np.diff(series.snapshots.times)}


def _warn_about_prior(series: TimeSeries, labels: list[str], folds: np.ndarray) -> None:
    prior = series.snapshots.growth_prior
    if prior is None:
        return
    dt = np.diff(series.snapshots.times)
    # Log fold changes of an interval by the prior at its start, and at its end backward in time.
    forward = [_log_mean_exp(g * d) for g, d in zip(prior[:-1], dt, strict=True)]
    backward = [-_log_mean_exp(-g * d) for g, d in zip(prior[1:], dt, strict=True)]
    log_folds = (np.array(forward) + np.array(backward)) / 2
    contradictions = [
        f"{labels[k]} to {labels[k + 1]} ({np.exp(log_folds[k]):.3g}-fold expected, "
        f"masses {folds[k]:.3g}-fold)"
        for k in np.flatnonzero(np.abs(log_folds - np.log(folds)) > np.log(MAX_DISAGREEMENT))
    ]
    if contradictions:
        logger.warning(
            "The masses overrule the level of `growth_prior` from time %s: the fitted growth "
            "follows the masses, and the prior shapes its differences between cells only. Pass "
            "the masses that were measured as a dict, `mass`, or correct the prior.",
            "; ".join(contradictions),
        )


def _log_mean_exp(x: np.ndarray) -> float:
    largest = x.max()
    return float(largest + np.log(np.mean(np.exp(x - largest))))


def _share_of_copies(states: np.ndarray) -> float:
    """Share of cells whose states equal those of an earlier cell."""
    # Adding zero turns -0.0 into 0.0, whose bytes are equal.
    rows = np.ascontiguousarray(states + 0.0)
    as_bytes = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    return 1 - len(np.unique(as_bytes)) / len(rows)
