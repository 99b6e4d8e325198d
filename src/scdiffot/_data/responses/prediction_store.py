"""Writing predicted responses, and dropping them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import format_list, is_mudata
from scdiffot._data.read.columns import drop_columns
from scdiffot._data.read.expression import CHUNK_SIZE
from scdiffot._data.read.gene_names import match_genes
from scdiffot._utils.keys import Keys
from scdiffot._utils.logging import logger

from .predictions import PredictionInfo, read_prediction_info

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.write.decoders import GeneSpace
    from scdiffot.core.response import Prediction


def drop_predictions(adata: AnnData | MuData, key: str) -> None:
    """Drop all predictions of a response, including those with other names."""
    for name in [key, *_prediction_names(adata, key)]:
        keys = Keys(name)
        _drop_prediction(adata, keys)
        adata.obsm.pop(keys.untreated, None)
        adata.uns.pop(keys.untreated, None)


def _prediction_names(adata: AnnData | MuData, key: str) -> list[str]:
    """List the predictions of a response, forward and inverse."""
    suffixes = [name.removeprefix(Keys().uns) for name in (Keys().prediction, Keys().untreated)]
    entries = [(str(name), entry) for name, entry in adata.uns.items() if hasattr(entry, "keys")]
    return [
        name.removesuffix(suffix)
        for name, entry in entries
        for suffix in suffixes
        if name.endswith(suffix) and name != suffix and entry.get("key") == key
    ]


def check_prediction_free(adata: AnnData | MuData, keys: Keys, key: str) -> None:
    """Refuse to write the prediction of one response under the name of another.

    Raises
    ------
    ValueError
        If there is a response of that name.
    """
    if keys.uns != key and keys.response in adata.uns:
        raise ValueError(
            f"`key_added` is {keys.uns!r}, which is the name of another response in "
            f"adata.uns[{keys.response!r}]: name another."
        )


def write_prediction(
    adata: AnnData | MuData,
    keys: Keys,
    cells: np.ndarray,
    present: np.ndarray,
    prediction: Prediction,
    *,
    inverse: bool,
    info: PredictionInfo,
    space: GeneSpace | None = None,
    positions: np.ndarray | None = None,
) -> None:
    """Write a prediction of some cells.

    Parameters
    ----------
    adata
        The data.
    keys
        Names of the prediction.
    cells
        Positions of the predicted cells, shape ``(m,)``; all other rows are NaN.
    present
        Their present states, shape ``(m, d)``.
    prediction
        The prediction of these cells.
    inverse
        Whether untreated states of treated cells were predicted.
    info
        Response, treatment and dose.
    space
        Decoder of the genes to write; none by default.
    positions
        Positions of genes among those of `space`; all by default.
    """

    def column(values: np.ndarray) -> np.ndarray:
        full = np.full((adata.n_obs, *values.shape[1:]), np.nan, np.float32)
        full[cells] = values
        return full

    if inverse:
        adata.obsm[keys.untreated] = column(prediction.states)
        info.write(adata, keys.untreated)
        return
    owner, layer = None, None
    if space is not None:
        owner, layer = _decode_layer(adata, space, cells, prediction.states, positions)
    previous = read_prediction_info(adata, keys.uns)
    if previous is not None and previous.label != info.label:
        logger.warning(
            "The prediction of %s under %r is replaced by that of %s; `key_added` keeps both.",
            previous.label,
            keys.uns,
            info.label,
        )
    _drop_prediction(adata, keys)
    info.write(adata, keys.prediction)
    adata.obsm[keys.predicted] = column(prediction.states)
    adata.obsm[keys.response] = column(prediction.states - present)
    adata.obs[keys.effect_size] = column(prediction.action)
    if prediction.survival is not None:
        adata.obs[keys.survival] = column(prediction.survival)
    if owner is not None:
        owner.layers[keys.predicted] = layer


def _drop_prediction(adata: AnnData | MuData, keys: Keys) -> None:
    """Drop the last prediction, and the results derived from it."""
    for name in (keys.response, keys.predicted):
        adata.obsm.pop(name, None)
    drop_columns(adata, (keys.effect_size, keys.survival, keys.response_cluster))
    for name in (keys.prediction, keys.response_subpopulations, keys.response_features):
        adata.uns.pop(name, None)
    for owner in adata.mod.values() if is_mudata(adata) else [adata]:
        owner.layers.pop(keys.predicted, None)


def _decode_layer(
    adata: AnnData | MuData,
    space: GeneSpace,
    cells: np.ndarray,
    states: np.ndarray,
    positions: np.ndarray | None,
) -> tuple[AnnData, np.ndarray]:
    """Decode genes into a layer, NaN for other genes and cells, of the AnnData that has them."""
    gene_positions = np.arange(len(space.names)) if positions is None else positions
    owner, names = adata, space.var_names[gene_positions]
    if is_mudata(adata):
        owner = next((m for m in adata.mod.values() if names[0] in m.var_names), None)
        if owner is None:
            raise KeyError(
                f"`genes` are in no modality of `adata`, for instance {format_list(names[:3])}."
            )
    columns = space.columns[gene_positions] if owner is space.owner else match_genes(owner, names)
    if (columns < 0).any():
        missing = names[columns < 0]
        raise KeyError(
            f"`genes` has {len(missing)} that `adata` lacks, for instance "
            f"{format_list(missing[:3])}: name others."
        )
    rows = owner.obs_names.get_indexer(adata.obs_names[cells])
    layer = np.full(owner.shape, np.nan, np.float32)
    for start in range(0, len(cells), CHUNK_SIZE):
        part = slice(start, start + CHUNK_SIZE)
        layer[np.ix_(rows[part], columns)] = space.decode(states[part])[:, gene_positions]
    return owner, layer
