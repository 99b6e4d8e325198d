"""Trends of genes along trajectories, in the form in which they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot.core.genes.trends import trends
from scdiffot.core.scores.p_values import adjust_p_values

from .trend_fates import fate_probabilities, frequent_fates

if TYPE_CHECKING:
    from collections.abc import Callable

    import pandas as pd

    from scdiffot._analysis.classifier import Classifier
    from scdiffot._analysis.sta_inputs import StaInputs
    from scdiffot.core.genes.trends import GeneTrends, TrajectorySample


def trend_entries(
    trajectories: TrajectorySample,
    type_classifier: Classifier,
    inputs: StaInputs,
    *,
    target: float,
    genes: np.ndarray,
    decode: Callable[[np.ndarray], np.ndarray],
    band: tuple[float, float],
    rng: np.random.Generator,
) -> dict[str, Any]:
    """Compute the trends of ``G`` genes for ``F`` fates at ``S`` times.

    Parameters
    ----------
    trajectories
        Simulated trajectories from the source cells to the target time.
    type_classifier
        Classifier of the target time.
    inputs
        The fit and its cells.
    target
        Time of the fates.
    genes
        Names of the genes, shape ``(G,)``.
    decode
        Maps states ``(n, d)`` to the expression ``(n, G)``.
    band
        Quantiles of the bands.
    rng
        Generator.

    Raises
    ------
    ValueError
        If no fate is reached.
    """
    probability = fate_probabilities(type_classifier, trajectories.states[-1])
    type_classifier.log_accuracy(inputs.names)
    codes, share = frequent_fates(probability, trajectories.log_w, inputs, target)
    gene_trends = trends(trajectories, probability[:, :, codes], decode, band=band, rng=rng)
    fates = np.array(inputs.names)[codes]
    arrays = {
        name: getattr(gene_trends, name).astype(np.float32) for name in ("mean", "low", "high")
    }
    return {
        "accuracy": type_classifier.accuracy,
        "accuracy_by_type": type_classifier.accuracy_table(inputs.names),
        "band": np.array(band),
        "times": trajectories.times,
        "genes": genes,
        "fates": fates,
        "share": share[codes],
        "n_effective": gene_trends.n_effective,
        **arrays,
        "ranking": _ranking(gene_trends, genes, fates),
    }


def _ranking(gene_trends: GeneTrends, genes: np.ndarray, fates: np.ndarray) -> pd.DataFrame:
    """Rank genes by the size of the effect, or of the change if there is a single fate."""
    import pandas as pd

    def columns(*names: str) -> dict[str, np.ndarray]:
        return {name: getattr(gene_trends, name).ravel() for name in names}

    table = pd.DataFrame(
        {
            "gene": np.tile(genes, len(fates)),
            "fate": np.repeat(fates, len(genes)),
            **columns("effect", "difference", "se", "p"),
            "p_adjusted": adjust_p_values(gene_trends.p.ravel()),
            **columns("time", "change", "change_se"),
        }
    )
    size = table["effect"].fillna(table["change"]).abs()
    return table.iloc[np.argsort(-size.to_numpy(), kind="stable")].reset_index(drop=True)
