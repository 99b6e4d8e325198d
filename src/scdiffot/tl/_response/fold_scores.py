"""Scores of predicted responses in every fold."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scdiffot._utils.logging import logger
from scdiffot._utils.progress import progress_bar
from scdiffot.core.response.evaluation import evaluate_responses

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import numpy as np
    import pandas as pd
    import torch

    from scdiffot._data.responses.evaluation import Fold
    from scdiffot._data.responses.groups import ResponseCells
    from scdiffot.core.response import ResponseConfig


def evaluate_folds(
    folds: list[Fold],
    cells: ResponseCells,
    configs: Mapping[str, ResponseConfig],
    *,
    masses: Literal["n_cells"] | Mapping[str, float] | None,
    true_response: np.ndarray | None,
    decode: Callable[[np.ndarray], np.ndarray] | None,
    n_boot: int,
    rng: np.random.Generator,
    device: torch.device,
    show_progress: bool,
) -> dict[str, list[dict[str, Any]]]:
    """Fit, predict and score every fold."""
    # All folds are checked before the first fit, because fits take time.
    parts = {
        fold.name: (fold.training_pairs(cells, masses), fold.test_cells(cells, true_response))
        for fold in folds
    }
    n_fits = len(folds) * len(configs)
    with progress_bar("Evaluate response", show=show_progress, n_fits=n_fits) as callback:
        return {
            fold: evaluate_responses(
                training_pairs,
                test_cells,
                cells.targets.conditions,
                configs,
                decode=decode,
                n_boot=n_boot,
                rng=rng,
                device=device,
                callback=callback,
            )
            for fold, (training_pairs, test_cells) in parts.items()
        }


def score_table(
    split: str, rows: Mapping[str, list[dict[str, Any]]], cells: ResponseCells
) -> pd.DataFrame:
    """Join the scores of all folds."""
    import pandas as pd

    labels = cells.targets.condition_names
    table = pd.DataFrame([{"fold": fold, **row} for fold, scores in rows.items() for row in scores])
    table.insert(0, "split", split)
    table.insert(2, "target", [labels[i] for i in table.pop("condition")])
    return table


def log_scores(table: pd.DataFrame, methods: list[str]) -> None:
    """Log the mean energy distance of every method and baseline."""
    distances = table[table["metric"] == "energy_distance"].groupby("method")["value"].mean()
    names = [*methods, "gaussian", "mean_shift", "identity", "observed"]
    text = ", ".join(f"{name} {distances[name]:.3g}" for name in names)
    logger.info(
        "Energy distance to the treated cells of %d folds: %s.", table["fold"].nunique(), text
    )
