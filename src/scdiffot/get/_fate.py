"""Fates of cells as one table."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.columns import read_numbers
from scdiffot._data.write.fate_tables import read_fate
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def fate(adata: AnnData | MuData, *, key: str = DEFAULT) -> pd.DataFrame:
    """Get the fates of cells as a tidy table, a row for every simulated cell and every fate.

    Parameters
    ----------
    adata
        Cells with fates by :func:`scdiffot.tl.sta_forward`, also if read from a file.
    %(key)s

    Returns
    -------
    Columns ``cell``; ``fate``, categories in the order of the types; ``share`` of the descendants
    and its standard error ``se``; ``path``, the probability of a single trajectory, if it was
    computed; and ``n_descendants``, the expected number of descendants with that fate.

    Raises
    ------
    KeyError
        If there is no fit of this name, or fates have not been computed.

    See Also
    --------
    scdiffot.tl.sta_forward : Compute the fates.
    scdiffot.metrics.clonal_fate : Score fates against lineage tracing.
    scdiffot.get.perturbation : Changes of fates after perturbations.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.sta_forward(adata, "cell_type", n_trajectories=20)
    >>> table = sdo.get.fate(adata)
    >>> list(table.columns)
    ['cell', 'fate', 'share', 'se', 'n_descendants']
    """
    import pandas as pd

    entry, tables = read_fate(adata, key)
    has_fate = tables["fate"].notna().all(axis=1).to_numpy()
    names = [str(name) for name in entry["classes"]]
    cells = adata.obs_names[has_fate]
    shares = tables["fate"].to_numpy()[has_fate]
    numbers = read_numbers(adata, Keys(key, "key").n_descendants, "key").to_numpy()[has_fate]
    columns = {"share": shares.ravel(), "se": tables["fate_se"].to_numpy()[has_fate].ravel()}
    if "fate_path" in tables:
        columns["path"] = tables["fate_path"].to_numpy()[has_fate].ravel()
    return pd.DataFrame(
        {
            "cell": np.repeat(cells.to_numpy(), len(names)),
            "fate": pd.Categorical(np.tile(names, len(cells)), categories=names),
            **columns,
            "n_descendants": (shares * numbers[:, None]).ravel(),
        }
    )
