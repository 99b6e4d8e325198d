"""Artificial regulation in the stored layout, so that the expected tables and plots are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from scdiffot._utils.keys import GROWTH_GENES, REGULATION

if TYPE_CHECKING:
    from anndata import AnnData

GENES = ["Alpha", "Beta", "ENSMUSG00000064351.1-antisense", "Delta"]


def give_regulation(
    adata: AnnData, groups: tuple[str, ...] = ("A/1", "B"), *, per_time: bool = False
) -> AnnData:
    """Store stable edges Alpha to Beta (2), Beta to Delta (-4) and Alpha to itself (1).

    The edge from Delta to Alpha is unstable. Each further group (or time) halves all weights.
    """
    pairs = [(name, t) for name in groups for t in ((0.0, 1.0) if per_time else (np.nan,))]
    mean = np.zeros((4, 4), np.float32)
    stability = np.full((4, 4), 0.5, np.float32)
    # targets in rows
    for target, regulator, weight, share in [
        (1, 0, 2.0, 1.0),
        (3, 1, -4.0, 0.9),
        (0, 0, 1.0, 0.95),
        (0, 3, 3.0, 0.7),
    ]:
        mean[target, regulator], stability[target, regulator] = weight, share
    factors = 0.5 ** np.arange(len(pairs), dtype=np.float32)[:, None, None]
    adata.uns["scdiffot"][REGULATION] = {
        "genes": np.array(GENES),
        "groups": np.array([name for name, _ in pairs]),
        "times": np.array([t for _, t in pairs]),
        "n_cells": np.full(len(pairs), 10),
        "groupby": "cell_type",
        "mean": mean * factors,
        "sd": np.abs(mean) * factors / 10,
        "stability": np.repeat(stability[None], len(pairs), axis=0),
        "threshold": 0.9,
    }
    return adata


def give_growth_genes(
    adata: AnnData, groups: tuple[str, ...] = ("A/1", "B"), *, per_time: bool = False
) -> AnnData:
    """Store effects on growth; each further group shifts the effects by one gene."""
    pairs = [(name, t) for name in groups for t in ((0.0, 1.0) if per_time else (np.nan,))]
    tables = []
    for k, (name, t) in enumerate(pairs):
        effect = np.roll([0.1, 0.2, 0.3, -0.4], -k)
        order = np.argsort(-np.abs(effect))
        table = pd.DataFrame(
            {"gene": np.array(GENES, dtype=object)[order], "group": name, "time": t}
        )
        table["mean"], table["sd"] = 2 * effect[order], 0.5
        table["stability"], table["effect"] = 0.8, effect[order]
        tables.append(table)
    adata.uns["scdiffot"][GROWTH_GENES] = pd.concat(tables, ignore_index=True)
    return adata
