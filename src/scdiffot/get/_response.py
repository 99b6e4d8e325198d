"""Responses as tables."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.responses.evaluation import read_evaluation
from scdiffot._data.responses.predictions import (
    PredictedCells,
    find_group,
    read_cell_groups,
    read_predicted,
    read_response_table,
    response_key,
)
from scdiffot._data.responses.response_store import read_response_genes
from scdiffot._data.responses.stored_responses import read_response
from scdiffot._utils.keys import DEFAULT, PARAMS, Keys

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

TABLES = ("cells", "subpopulations", "features", "genes", "evaluation")


def response(
    adata: AnnData | MuData,
    what: Literal["cells", "subpopulations", "features", "genes", "evaluation"] = "cells",
    *,
    group: str | None = None,
    reference: AnnData | MuData | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    key: str = DEFAULT,
) -> pd.DataFrame:
    """Get a predicted response, its subpopulations or its evaluation as a tidy table.

    Parameters
    ----------
    adata
        Cells with a response, also if read from a file.
    what
        ``"cells"``: a row for every cell of :func:`scdiffot.tl.predict_response`. ``"genes"``: a
        row for every gene, with means over these cells. ``"subpopulations"`` and ``"features"``:
        the tables of :func:`scdiffot.tl.response_subpopulations`. ``"evaluation"``: the table of
        :func:`scdiffot.tl.evaluate_response`.
    group
        Name of a subpopulation, to get its rows, or for ``"genes"`` the means over it. By default
        all cells are used.
    reference
        AnnData with the fit, if it is not `adata`; for ``"genes"``.
    gene_symbols
        Column of `var` with names of genes to use in place of `var_names`, here and in the result.
    decoder
        An object with methods `encode` and `decode`, or a pair of functions, of tensors, in place
        of the decoder of the AnnData with the fit; for ``"genes"``.
    key
        Name of the response, or of a prediction of it (`key_added` of
        :func:`scdiffot.tl.predict_response`).

    Returns
    -------
    For ``"cells"``: ``cell``, ``effect_size``, ``response_length``, ``survival`` if the response
    is unbalanced, and ``group`` if subpopulations have been computed. For ``"genes"``, sorted by
    decreasing absolute response: ``gene``; the means ``control`` and ``predicted`` of the same
    cells without and with the treatment; their difference ``response`` and its ``sd`` over cells.
    These means weight all cells equally, also those predicted to die. The functions that compute
    the other tables describe their columns; of ``"features"``, the rows of all cells together if
    `group` is None.

    Raises
    ------
    KeyError
        If no response was fitted or predicted, the table was not computed, or it has no such group.
    TypeError
        If `decoder` is not a decoder.
    ValueError
        If `what` is none of the five, `group` is passed for an evaluation, or the representation
        has no decoder.

    See Also
    --------
    scdiffot.tl.predict_response : Predict the response of cells.
    scdiffot.tl.response_subpopulations : Find subpopulations by their response.
    scdiffot.tl.evaluate_response : Evaluate a response on measured cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(400, n_dims=5, n_genes=20)
    >>> sdo.tl.fit_response(
    ...     adata, "condition", control="control", target="drug", config={"train": {"n_steps": 30}}
    ... )
    >>> sdo.tl.predict_response(adata)
    >>> list(sdo.get.response(adata, "genes").columns)
    ['gene', 'control', 'predicted', 'response', 'sd']
    """
    if what not in TABLES:
        raise ValueError(f"`what` is {what!r}: pass one of {', '.join(map(repr, TABLES))}.")
    keys = Keys(key, "key")
    if what == "evaluation":
        if group is not None:
            raise ValueError(
                f"`group` is {group!r}, but an evaluation has no groups: leave it out."
            )
        return read_evaluation(adata, key)
    if what in ("subpopulations", "features"):
        return _subpopulation_table(adata, what, group, keys)
    cells = read_predicted(adata, key)
    labels = _groups(adata, cells, group, keys)
    if group is not None:
        mask = labels == group
        cells, labels = cells.select(mask), labels[mask]
    if what == "cells":
        return _by_cell(adata, cells, labels)
    owner = adata if reference is None else reference
    entry = read_response(
        owner, response_key(adata, key), "key" if reference is None else "reference"
    )
    return _by_gene(
        cells, read_response_genes(owner, entry[PARAMS], decoder, gene_symbols=gene_symbols)
    )


def _subpopulation_table(
    adata: AnnData | MuData, what: str, group: str | None, keys: Keys
) -> pd.DataFrame:
    source = f"tl.response_subpopulations(adata, key={keys.uns!r})"
    name = keys.response_subpopulations if what == "subpopulations" else keys.response_features
    table = read_response_table(adata, keys.uns, name, source=source)
    if what == "subpopulations" and group is None:
        return table
    return table[table["group"] == find_group(table, group)].reset_index(drop=True)


def _groups(
    adata: AnnData | MuData, cells: PredictedCells, group: str | None, keys: Keys
) -> np.ndarray:
    """Subpopulation of every predicted cell; an empty array if there are none."""
    if group is None and keys.response_subpopulations not in adata.uns:
        return np.empty(0, dtype=object)
    table = _subpopulation_table(adata, "subpopulations", None, keys)
    find_group(table, group)
    codes, names = read_cell_groups(adata, str(table["groupby"].iloc[0]), cells)
    return np.array([*names, None], dtype=object)[codes]


def _by_cell(adata: AnnData | MuData, cells: PredictedCells, labels: np.ndarray) -> pd.DataFrame:
    import pandas as pd

    columns: dict[str, Any] = {
        "cell": adata.obs_names[cells.rows].to_numpy(),
        "effect_size": cells.effect,
        "response_length": np.linalg.norm(cells.response, axis=1),
    }
    if cells.survival is not None:
        columns["survival"] = cells.survival
    if len(labels):
        columns["group"] = labels
    return pd.DataFrame(columns)


def _by_gene(cells: PredictedCells, space: Any) -> pd.DataFrame:
    import pandas as pd

    n, gene_positions = len(cells.rows), space.select_named()
    control_sum, treated_sum, square_sum = (np.zeros(len(space.names)) for _ in range(3))
    for _, control, treated in cells.decode(space):
        control_sum += control.sum(axis=0, dtype=np.float64)
        treated_sum += treated.sum(axis=0, dtype=np.float64)
        square_sum += np.square(treated - control, dtype=np.float64).sum(axis=0)
    mean = (treated_sum - control_sum) / n
    table = pd.DataFrame(
        {
            "gene": space.names,
            "control": control_sum / n,
            "predicted": treated_sum / n,
            "response": mean,
            "sd": np.sqrt(np.maximum(square_sum / n - mean**2, 0)),
        }
    )
    return table.iloc[gene_positions].sort_values(
        "response", key=np.abs, ascending=False, kind="stable", ignore_index=True
    )
