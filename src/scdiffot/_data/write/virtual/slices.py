"""AnnData objects of interpolated slices."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from anndata import AnnData

from scdiffot._data.read.checks import listed_names
from scdiffot._data.read.expression import read_expression
from scdiffot._data.read.extract import locate
from scdiffot._data.read.labels import cell_labels, check_names, column_names
from scdiffot._utils.keys import DEPTH, INTERPOLATION, WEIGHT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from scdiffot._data.read.slices import TissueSlices
    from scdiffot.core.spatial.between.interpolation import VirtualSlice


def virtual_slice_adata(
    adata: AnnData,
    virtual: VirtualSlice,
    rows: tuple[np.ndarray, np.ndarray],
    *,
    slices: TissueSlices,
    columns: np.ndarray,
    cell_keys: str | Iterable[str] | None,
    labels_from: str,
    layers: str | Iterable[str] | None,
    depth: float,
    params: dict[str, Any],
) -> AnnData:
    """Mix the spots of two slices into those of a virtual one.

    Parameters
    ----------
    adata
        The measured spots.
    virtual
        Positions of the virtual spots, and the weights of the measured spots in them.
    rows
        Positions in `adata` of the spots of both slices.
    slices
        Positions and states of the measured spots.
    columns
        Genes to keep.
    cell_keys, layers
        Columns of labels, and layers, to mix.
    labels_from
        ``"place"`` for labels of the nearest spots, ``"state"`` for labels mixed like expression.
    depth
        Depth of the slice.
    params
        Parameters of the interpolation, which are stored in `uns`.
    """
    import pandas as pd

    parts = [adata[r] for r in rows]

    def mix_layer(layer: str | None) -> Any:
        first, second = (read_expression(part, layer, columns) for part in parts)
        values = virtual.mix(first, second)
        return values.astype(np.float32)

    n = len(virtual.weights)
    obs = pd.DataFrame(
        {WEIGHT: virtual.weights, DEPTH: np.full(n, depth)}, index=[f"virtual{i}" for i in range(n)]
    )
    label_columns = [] if cell_keys is None else listed_names("cell_keys", cell_keys)
    layer_names = [] if layers is None else listed_names("layers", layers)
    obsm: dict[str, Any] = {slices.spatial_key: virtual.positions}
    uns: dict[str, Any] = {INTERPOLATION: params}
    location = locate(adata, slices.use_rep)
    if location.key in adata.obsm and slices.states is not None:
        obsm[location.key] = virtual.mix(slices.states[rows[0]], slices.states[rows[1]])
    for key in label_columns:
        codes, names = cell_labels(adata, key, argument="cell_keys")
        check_names(names, f"obs[{key!r}]", argument="cell_keys", kind="labels", reserved=())
        indicators = [np.eye(len(names) + 1)[codes[r], :-1] for r in rows]
        if labels_from == "place":
            shares = virtual.labels(*(slices.positions[r] for r in rows), *indicators)
        else:
            shares = virtual.mix(*indicators)
        total = shares.sum(axis=1, keepdims=True)
        shares = np.divide(shares, total, out=np.full_like(shares, np.nan), where=total > 0)
        label_codes = np.where(total[:, 0] > 0, np.nan_to_num(shares).argmax(axis=1), -1)
        obs[key] = pd.Categorical.from_codes(label_codes, pd.Index(names))
        obsm[f"{key}_probability"] = pd.DataFrame(
            shares, index=obs.index, columns=column_names(names)
        )
        if f"{key}_colors" in adata.uns:
            uns[f"{key}_colors"] = list(adata.uns[f"{key}_colors"])
    result = AnnData(
        X=None if adata.X is None else mix_layer(None),
        obs=obs,
        var=adata.var.iloc[columns].copy(),
        obsm=obsm,
        varm={key: np.asarray(adata.varm[key])[columns] for key in adata.varm},
        uns=uns,
    )
    for name in layer_names:
        result.layers[name] = mix_layer(name)
    return result
