"""An AnnData for cells that were never measured."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from scdiffot._keys import TIME, WEIGHT

from .extract import locate

if TYPE_CHECKING:
    from mudata import MuData


def virtual_adata(
    adata: AnnData | MuData, use_rep: str, states: np.ndarray, *, weights: np.ndarray, time: float
) -> AnnData:
    """Store predicted states where the representation of the measured ones has its place.

    Parameters
    ----------
    adata
        The measured cells.
    use_rep
        Full name of their representation.
    states
        Predicted states, shape ``(m, d)``.
    weights
        Their masses, shape ``(m,)``.
    time
        Their time.

    Returns
    -------
    An AnnData with ``X`` (and the names of the variables) for ``"X"`` and layers, and ``obsm`` otherwise.
    """
    import pandas as pd

    found = locate(adata, use_rep)
    obs = pd.DataFrame(
        {TIME: np.full(len(states), time), WEIGHT: weights}, index=[f"virtual{i}" for i in range(len(states))]
    )
    if found.key in found.owner.obsm:
        return AnnData(obs=obs, obsm={found.key: states})
    return AnnData(X=states, obs=obs, var=pd.DataFrame(index=found.owner.var_names[: states.shape[1]]))
