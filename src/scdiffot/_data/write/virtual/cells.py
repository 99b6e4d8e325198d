"""AnnData objects of predicted cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from anndata import AnnData

from scdiffot._data.read.extract import locate
from scdiffot._utils.keys import TIME, WEIGHT

if TYPE_CHECKING:
    from mudata import MuData

    from scdiffot._data.read.spatial_states import Tissue


def virtual_adata(
    adata: AnnData | MuData,
    use_rep: str,
    states: np.ndarray,
    *,
    weights: np.ndarray,
    time: float,
    tissue: Tissue | None = None,
) -> AnnData:
    """Store predicted states under the name of the representation of the measured cells.

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
    tissue
        How positions are joined to the states; None if they are not.

    Returns
    -------
    An AnnData with the states in ``X`` (and the names of the variables) if the representation is
    ``"X"`` or a layer, and in ``obsm`` otherwise. Positions are in ``obsm``.
    """
    import pandas as pd

    location = locate(adata, use_rep)
    obs = pd.DataFrame(
        {TIME: np.full(len(states), time), WEIGHT: weights},
        index=[f"virtual{i}" for i in range(len(states))],
    )
    obsm: dict[str, np.ndarray] = {}
    if tissue is not None:
        states, obsm[locate(adata, tissue.spatial_key).key] = tissue.split(states)
    if location.key in location.owner.obsm:
        return AnnData(obs=obs, obsm=obsm | {location.key: states})
    return AnnData(
        X=states,
        obs=obs,
        obsm=obsm,
        var=pd.DataFrame(index=location.owner.var_names[: states.shape[1]]),
    )
