"""Trends of genes in the form in which they are stored."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot.core.scores.p_values import adjust_p_values

if TYPE_CHECKING:
    import pandas as pd

    from scdiffot.core.genes.trends import GeneTrends


def trend_entries(
    gene_trends: GeneTrends, genes: np.ndarray, fates: np.ndarray, *, share: np.ndarray
) -> dict[str, Any]:
    """Collect the names, the trends and the ranking of genes.

    Parameters
    ----------
    gene_trends
        Trends of ``G`` genes for ``F`` fates at ``S`` times.
    genes, fates
        Their names, shapes ``(G,)`` and ``(F,)``.
    share
        Share of every fate in the descendants, shape ``(F,)``.
    """
    arrays = {
        name: getattr(gene_trends, name).astype(np.float32) for name in ("mean", "low", "high")
    }
    return {
        "genes": genes,
        "fates": fates,
        "share": share,
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
