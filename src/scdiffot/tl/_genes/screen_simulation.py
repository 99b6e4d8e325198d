"""Simulation of a screen of perturbations, in one or two passes."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._utils.progress import cell_bar
from scdiffot.core.lineage.contrasts import Comparison, two_sided_p_values

if TYPE_CHECKING:
    from scdiffot._analysis.perturbation_run import PerturbationRun
    from scdiffot.core.genes.perturbation import Intervention


def simulate_screen(
    run: PerturbationRun,
    interventions: list[Intervention],
    *,
    n_trajectories: int,
    n_first: int,
    n_refined: int,
    fate: str | None,
    rng: np.random.Generator,
    show_progress: bool,
) -> dict[str, np.ndarray]:
    """Simulate all interventions in one or two passes, and collect their effects.

    Parameters
    ----------
    run
        The fit and the source cells.
    interventions
        Changes of genes, each of which is simulated in all source cells.
    n_trajectories, n_first
        Number of trajectories of every cell in the last and in the first pass.
    n_refined
        Number of interventions in the second pass; if there are no more, there is one pass.
    fate
        Fate whose change is the effect; all fates if None.
    rng
        Generator.
    show_progress
        Whether to show a progress bar.

    Returns
    -------
    Arrays with a row for every intervention.
    """
    column = None if fate is None else run.fates.index(fate)
    n_all = len(interventions)
    n_second = n_refined if n_all > n_refined else 0
    table: dict[str, np.ndarray] = {}
    n_total = (n_all + n_second) * len(run.cells)
    with cell_bar("perturbations", n_total, show=show_progress) as progress:

        def simulate(rows: np.ndarray, n_trajectories: int, n_steps: int) -> None:
            contrasts = run.compare(
                [interventions[i] for i in rows],
                by_cell=False,
                n_trajectories=n_trajectories,
                n_steps=n_steps,
                rng=rng,
                progress=progress,
            )
            for name, values in _columns(contrasts.compare(), column, n_trajectories).items():
                table.setdefault(name, values)[rows] = values

        if n_second:
            simulate(np.arange(n_all), n_first, -(-run.n_steps // 2))
            largest = np.argsort(-np.abs(table["effect"]), kind="stable")[:n_second]
            simulate(largest, n_trajectories, run.n_steps)
        else:
            simulate(np.arange(n_all), n_trajectories, run.n_steps)
    return table


def _columns(
    comparison: Comparison, column: int | None, n_trajectories: int
) -> dict[str, np.ndarray]:
    """Effects of every intervention, on the fate of `column` or on all fates."""
    shift, se = comparison.shift[:, 0], comparison.se[:, 0]
    if column is None:
        signs = np.sign(shift)
        effect = np.abs(shift).sum(axis=1) / 2
        effect_se = (
            np.sqrt(
                np.maximum(np.einsum("ck,ckl,cl->c", signs, comparison.covariance[:, 0], signs), 0)
            )
            / 2
        )
        p = comparison.p_any()[:, 0]
    else:
        effect, effect_se = shift[:, column], se[:, column]
        p = two_sided_p_values(effect, effect_se)
    return {
        "effect": effect.copy(),
        "se": effect_se.copy(),
        "p": p,
        "mass_ratio": comparison.ratio[:, 0],
        "mass_se": comparison.ratio_se[:, 0],
        "mass_p": comparison.p_mass()[:, 0],
        "n_trajectories": np.full(len(shift), n_trajectories),
        "shift": shift.copy(),
        "shift_se": se,
        "control": comparison.control[:, 0],
    }
