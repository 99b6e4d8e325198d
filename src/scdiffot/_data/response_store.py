"""What a fit of responses and its predictions leave in an AnnData, and the states of cells."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot import _keys
from scdiffot._rng import rng_name

from .checks import is_mudata, some
from .expression import PORTION, dense
from .extract import locate, representation
from .genes import gene_space
from .seals import seal
from .stored_responses import is_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._keys import Keys
    from scdiffot.core.response import Prediction

    from .genes import GeneSpace
    from .responses import ResponseCells


def response_params(
    cells: ResponseCells,
    *,
    condition_key: str,
    control: str,
    context: str | None,
    dose_key: str | None,
    mass: str | Mapping[str, float] | None,
    rng: int | np.random.Generator,
) -> dict[str, Any]:
    """Collect what it takes to read the same cells again, as strings, numbers and arrays."""
    targets = cells.targets
    return {
        "condition_key": condition_key,
        "control": str(control),
        "targets": np.array(targets.names, dtype=object).astype(str),
        "doses": json.dumps(targets.doses),
        "context": context or "",
        "dose_key": dose_key or "",
        "use_rep": cells.use_rep,
        "n_dims": cells.states.shape[1],
        "mass": json.dumps(mass if mass is None or isinstance(mass, str) else dict(mass)),
        "target_embedding": targets.embedding_key,
        "embedding": targets.embedding,
        "embedding_shift": targets.shift,
        "embedding_scale": targets.scale,
        "rng": rng_name(rng),
    }


def write_response(
    adata: AnnData | MuData, keys: Keys, *, params: dict[str, Any], history: dict[str, Any], model: dict[str, Any]
) -> None:
    """Write a fitted response, and drop what an earlier one of that name predicted."""
    _drop_prediction(adata, keys)
    adata.obsm.pop(keys.untreated, None)
    entry = {_keys.PARAMS: params, _keys.HISTORY: history, _keys.RESPONSE_MODEL: model}
    adata.uns[keys.response] = seal(entry, _keys.PARAMS, _keys.RESPONSE_MODEL)


def check_response_free(adata: AnnData | MuData, keys: Keys) -> None:
    """Refuse to overwrite an entry of `uns` that is not a response.

    Raises
    ------
    ValueError
        If `uns` holds something else under that name.
    """
    found = adata.uns.get(keys.response)
    if found is not None and not is_response(found):
        raise ValueError(
            f"`key_added` is {keys.uns!r}, but adata.uns[{keys.response!r}] holds something that is not a response: "
            "name another."
        )


def response_states(adata: AnnData | MuData, reference: AnnData | MuData, params: dict[str, Any]) -> np.ndarray:
    """States of the cells of an AnnData in the coordinates that a response was fitted in.

    Raises
    ------
    KeyError
        If the representation, or one of its genes, is missing.
    ValueError
        If the representation has other axes than that of the reference.
    """
    use_rep, n_dims = params["use_rep"], params["n_dims"]
    if adata is reference:
        return representation(adata, use_rep, n_dims=n_dims)[0]
    there = locate(reference, use_rep)
    try:
        found = locate(adata, use_rep)
    except KeyError as error:
        raise KeyError(
            f"`adata` has no {use_rep!r}, in which the response was fitted: pass `project=True` to compute it from the genes "
            "with the axes of `reference`, or embed the cells together with those of the reference."
        ) from error
    if is_mudata(found.owner) or is_mudata(there.owner):
        return representation(adata, use_rep, n_dims=n_dims)[0]
    if there.key not in there.owner.obsm:
        # states are genes
        names = there.owner.var_names[:n_dims]
        columns = found.owner.var_names.get_indexer(names)
        if (columns < 0).any():
            raise KeyError(f"`adata` lacks the genes {some(names[columns < 0])}, which the response was fitted to.")
        return representation(adata, use_rep)[0][:, columns]
    states = representation(adata, use_rep, n_dims=n_dims)[0]
    _check_axes(found.owner, there.owner, found.key, n_dims)
    return states


def project_states(adata: AnnData, reference: AnnData | MuData, params: dict[str, Any]) -> np.ndarray:
    """Encode the genes of an AnnData with the axes of a reference, matched by name.

    Raises
    ------
    KeyError
        If a gene is missing.
    ValueError
        If the representation of the reference has no encoder.
    """
    import torch

    space = gene_space(reference, params["use_rep"], params["n_dims"])
    columns = adata.var_names.get_indexer(space.names)
    if (columns < 0).any():
        missing = space.names[columns < 0]
        raise KeyError(
            f"`adata` lacks {len(missing)} genes of the reference, for instance {some(missing[:3])}: add them."
        )
    if adata.X is None:
        raise ValueError("`adata` has no X: put the expression there that the representation of the reference saw.")
    parts = []
    for start in range(0, adata.n_obs, PORTION):
        x = torch.as_tensor(dense(adata.X[start : start + PORTION])[:, columns], dtype=torch.float32)
        with torch.no_grad():
            parts.append(space.decoder.encode(x).numpy())
    return np.concatenate(parts)


def write_prediction(
    adata: AnnData | MuData,
    keys: Keys,
    cells: np.ndarray,
    present: np.ndarray,
    prediction: Prediction,
    *,
    inverse: bool,
    space: GeneSpace | None = None,
    positions: np.ndarray | None = None,
) -> None:
    """Write what was predicted for some cells (positions), whose present states are given.

    ``positions`` are genes among those of ``space``; all of them by default.
    """

    def column(values: np.ndarray) -> np.ndarray:
        full = np.full((adata.n_obs, *values.shape[1:]), np.nan, np.float32)
        full[cells] = values
        return full

    if inverse:
        adata.obsm[keys.untreated] = column(prediction.states)
        return
    owner, layer = None, None
    if space is not None:
        owner, layer = _decoded(adata, space, cells, prediction.states, positions)
    _drop_prediction(adata, keys)
    adata.obsm[keys.predicted] = column(prediction.states)
    adata.obsm[keys.response] = column(prediction.states - present)
    adata.obs[keys.effect_size] = column(prediction.action)
    if prediction.survival is not None:
        adata.obs[keys.survival] = column(prediction.survival)
    if owner is not None:
        owner.layers[keys.predicted] = layer


def _drop_prediction(adata: AnnData | MuData, keys: Keys) -> None:
    """Drop the last prediction, and what was read off it."""
    for name in (keys.response, keys.predicted):
        adata.obsm.pop(name, None)
    for name in (keys.effect_size, keys.survival, keys.response_cluster):
        if name in adata.obs:
            del adata.obs[name]
    for name in (keys.response_subpopulations, keys.response_features):
        adata.uns.pop(name, None)
    for owner in adata.mod.values() if is_mudata(adata) else [adata]:
        owner.layers.pop(keys.predicted, None)


def _decoded(
    adata: AnnData | MuData, space: GeneSpace, cells: np.ndarray, states: np.ndarray, positions: np.ndarray | None
) -> tuple[AnnData, np.ndarray]:
    """The AnnData that has the genes, and a layer of it: NaN for other genes and cells."""
    wanted = np.arange(len(space.names)) if positions is None else positions
    owner = adata
    if is_mudata(adata):
        owner = next((m for m in adata.mod.values() if space.names[wanted[0]] in m.var_names), None)
        if owner is None:
            raise KeyError(f"`genes` are in no modality of `adata`, for instance {some(space.names[wanted[:3]])}.")
    columns = owner.var_names.get_indexer(space.names[wanted])
    if (columns < 0).any():
        missing = space.names[wanted][columns < 0]
        raise KeyError(f"`genes` has {len(missing)} that `adata` lacks, for instance {some(missing[:3])}: name others.")
    rows = owner.obs_names.get_indexer(adata.obs_names[cells])
    layer = np.full(owner.shape, np.nan, np.float32)
    for start in range(0, len(cells), PORTION):
        part = slice(start, start + PORTION)
        layer[np.ix_(rows[part], columns)] = space.decode(states[part])[:, wanted]
    return owner, layer


def genes_of(reference: AnnData | MuData, params: dict[str, Any], decoder: Any = None) -> GeneSpace:
    """Decoder of the representation of a response; see :func:`~scdiffot._data.genes.read_genes`."""
    return gene_space(reference, params["use_rep"], params["n_dims"], decoder)


def _check_axes(owner: AnnData, reference: AnnData, key: str, n_dims: int) -> None:
    """Refuse a PCA of its own, which gives other coordinates."""
    name = "PCs" if key == "X_pca" else key
    if name not in owner.varm or name not in reference.varm:
        return
    rows = owner.var_names.get_indexer(reference.var_names)
    loadings = np.asarray(reference.varm[name])[:, :n_dims]
    weighted = np.any(loadings != 0, axis=1)
    own = np.asarray(owner.varm[name])
    same = own.shape[1] >= n_dims and (rows[weighted] >= 0).all()
    if not same or not np.allclose(own[rows[weighted], :n_dims], loadings[weighted], atol=1e-4):
        raise ValueError(
            f"`adata` has a {key!r} with other axes than that of `reference`: pass `project=True` to compute it with those of "
            "the reference, or embed the cells together."
        )
