"""Build the AnnData of every data set in one layout."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from .download import path_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

DIFFUSIONOT = {
    "source": "https://github.com/liujuntan/DiffusionOT",
    "license": "MIT (repository); the measurements belong to the cited study",
}


def read_npz(name: str, *, show_progress: bool) -> dict[str, np.ndarray]:
    """Read the arrays of a file of the registry."""
    # The files hold labels as pickled objects; unpickling is safe, because `path_of` verifies the
    # hash of the file.
    with np.load(path_of(name, show_progress=show_progress), allow_pickle=True) as arrays:
        return {key: arrays[key] for key in arrays.files}


def make_adata(
    times: np.ndarray,
    time_labels: np.ndarray,
    *,
    x: np.ndarray | None = None,
    genes: Sequence[str] | None = None,
    cell_types: np.ndarray | None = None,
    obs: Mapping[str, np.ndarray] | None = None,
    obsm: Mapping[str, np.ndarray] | None = None,
    uns: Mapping[str, Any] | None = None,
) -> AnnData:
    """Assemble a time course.

    Cells are sorted by time (stable), named ``cell0``, ``cell1``, ...; `obs` gets ``time``
    (float), ``time_label`` (categorical, in the order of time) and ``cell_type`` (categorical)
    where known.

    Parameters
    ----------
    times
        Time of every cell, shape ``(n,)``.
    time_labels
        Name of the time in the source, shape ``(n,)``.
    x
        Expression of `genes`, shape ``(n, n_genes)``.
    genes
        Names of the variables.
    cell_types
        Cell type of every cell, shape ``(n,)``.
    obs
        Further columns, each of shape ``(n,)``.
    obsm
        Representations, each of shape ``(n, d)``.
    uns
        Citation, source, licence, truth.

    Returns
    -------
    The data set.
    """
    import pandas as pd

    order = np.argsort(times, kind="stable")
    labels = np.asarray(time_labels).astype(str)[order]
    times = np.asarray(times, dtype=np.float64)[order]
    time_order = list(dict.fromkeys(labels.tolist()))
    table = {
        "time": times,
        "time_label": pd.Categorical(labels, categories=time_order, ordered=True),
    }
    if cell_types is not None:
        table["cell_type"] = pd.Categorical(np.asarray(cell_types).astype(str)[order])
    table |= {key: np.asarray(value)[order] for key, value in (obs or {}).items()}
    return AnnData(
        X=None if x is None else np.asarray(x, dtype=np.float32)[order],
        obs=pd.DataFrame(table, index=[f"cell{i}" for i in range(len(times))]),
        var=None if genes is None else pd.DataFrame(index=list(genes)),
        obsm={key: np.asarray(value)[order] for key, value in (obsm or {}).items()},
        uns=dict(uns or {}),
    )
