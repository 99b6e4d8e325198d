"""Write a fit of responses into an AnnData, and read states of cells in its coordinates."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import format_list, is_mudata
from scdiffot._data.read.expression import CHUNK_SIZE, to_dense
from scdiffot._data.read.extract import locate, read_representation
from scdiffot._data.read.gene_names import match_genes
from scdiffot._data.read.scale import N_COMPARED, check_scale
from scdiffot._data.write.decoders import gene_space
from scdiffot._data.write.fingerprints import (
    RESPONSE,
    check_decoder,
    check_states,
    write_fingerprints,
)
from scdiffot._data.write.seals import seal
from scdiffot._utils import keys as _keys
from scdiffot._utils.rng import rng_name

from .prediction_store import drop_predictions
from .stored_groups import write_groups
from .stored_responses import is_response

if TYPE_CHECKING:
    from collections.abc import Mapping

    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.write.decoders import GeneSpace
    from scdiffot._utils.keys import Keys

    from .groups import ResponseCells
    from .treatments import Treatments


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
    """Collect the parameters that reproduce the cells of a fit, as strings, numbers and arrays."""
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
    adata: AnnData | MuData,
    keys: Keys,
    *,
    params: dict[str, Any],
    history: dict[str, Any],
    model: dict[str, Any],
    targets: Treatments,
) -> None:
    """Write a fitted response, and drop predictions of an earlier one of that name."""
    drop_predictions(adata, keys.uns)
    write_groups(adata, keys, params, targets)
    params = {**params, "decoder": write_fingerprints(adata, keys, RESPONSE, params)}
    entry = {_keys.PARAMS: params, _keys.HISTORY: history, _keys.RESPONSE_MODEL: model}
    adata.uns[keys.response] = seal(entry, _keys.PARAMS, _keys.RESPONSE_MODEL)


def check_response_free(adata: AnnData | MuData, keys: Keys) -> None:
    """Refuse to overwrite an entry of `uns` that is not a response.

    Raises
    ------
    ValueError
        If `uns` holds something else under that name.
    """
    entry = adata.uns.get(keys.response)
    if entry is not None and not is_response(entry):
        raise ValueError(
            f"`key_added` is {keys.uns!r}, but adata.uns[{keys.response!r}] holds something that "
            "is not a response: name another."
        )


def response_states(
    adata: AnnData | MuData, reference: AnnData | MuData, params: dict[str, Any]
) -> np.ndarray:
    """Read the states of an AnnData in the coordinates of a response, shape ``(n, d)``.

    Raises
    ------
    KeyError
        If the representation, or one of its genes, is missing.
    ValueError
        If the representation has other axes than that of the reference, or is expression on
        another scale.
    """
    use_rep, n_dims = params["use_rep"], params["n_dims"]
    reference_states = _check_reference(reference, params)
    if adata is reference:
        return reference_states
    reference_location = locate(reference, use_rep)
    try:
        location = locate(adata, use_rep)
    except KeyError as error:
        raise KeyError(
            f"`adata` has no {use_rep!r}, in which the response was fitted: pass `project=True` to "
            "compute it from the genes with the axes of `reference`, or embed the cells together "
            "with those of the reference."
        ) from error
    if is_mudata(location.owner) or is_mudata(reference_location.owner):
        return read_representation(adata, use_rep, n_dims=n_dims)[0]
    if reference_location.key not in reference_location.owner.obsm:
        # The states are expression, whose columns are matched by gene.
        names = reference_location.owner.var_names[:n_dims]
        columns = match_genes(location.owner, names)
        if (columns < 0).any():
            raise KeyError(
                f"`adata` lacks the genes {format_list(names[columns < 0])}, "
                "which the response was fitted to."
            )
        states = read_representation(adata, use_rep)[0][:, columns]
        all_reference_states = read_representation(reference, use_rep, n_dims=n_dims)[0]
        check_scale(
            states[_sample_rows(len(states))],
            read_response_genes(reference, params),
            all_reference_states,
            name=f"`adata` {location.name!r}",
        )
        return states
    states = read_representation(adata, use_rep, n_dims=n_dims)[0]
    _check_axes(location.owner, reference_location.owner, location.key, n_dims)
    return states


def project_states(
    adata: AnnData, reference: AnnData | MuData, params: dict[str, Any]
) -> np.ndarray:
    """Encode the genes of an AnnData with the axes of a reference, matched by name, ``(n, d)``.

    Raises
    ------
    KeyError
        If a gene is missing.
    ValueError
        If the representation of the reference has no encoder, or X is on another scale than its
        source.
    """
    import torch

    _check_reference(reference, params)
    space = read_response_genes(reference, params)
    columns = match_genes(adata, space.names)
    if (columns < 0).any():
        missing = space.names[columns < 0]
        raise KeyError(
            f"`adata` lacks {len(missing)} genes of the reference, for instance "
            f"{format_list(missing[:3])}: add them."
        )
    if adata.X is None:
        raise ValueError(
            "`adata` has no X: "
            "put the expression there that the representation of the reference saw."
        )
    sample = to_dense(adata.X[_sample_rows(adata.n_obs)])[:, columns]
    reference_states = read_representation(reference, params["use_rep"], n_dims=params["n_dims"])[0]
    check_scale(sample, space, reference_states, name="`adata` X")
    parts = []
    for start in range(0, adata.n_obs, CHUNK_SIZE):
        x = torch.as_tensor(
            to_dense(adata.X[start : start + CHUNK_SIZE])[:, columns], dtype=torch.float32
        )
        with torch.no_grad():
            parts.append(space.decoder.encode(x).numpy())
    return np.concatenate(parts)


def _sample_rows(n: int) -> np.ndarray:
    """Positions of evenly spaced cells, from which the scale is estimated."""
    return np.unique(np.linspace(0, n - 1, min(n, N_COMPARED)).astype(int))


def read_response_genes(
    reference: AnnData | MuData,
    params: dict[str, Any],
    decoder: Any = None,
    *,
    gene_symbols: str | None = None,
) -> GeneSpace:
    """Find the decoder of the representation of a response.

    See :func:`~scdiffot._data.write.decoders.read_genes`.
    """
    use_rep, n_dims = params["use_rep"], params["n_dims"]
    space = gene_space(reference, use_rep, n_dims, decoder, gene_symbols=gene_symbols)
    if decoder is None:
        digest = params.get("decoder")
        check_decoder(
            reference, params["key"], RESPONSE, use_rep=use_rep, n_dims=n_dims, digest=digest
        )
    return space


def _check_reference(reference: AnnData | MuData, params: dict[str, Any]) -> np.ndarray:
    """Read the states of the reference, and refuse them if they have changed since the fit."""
    states = read_representation(reference, params["use_rep"], n_dims=params["n_dims"])[0]
    check_states(reference, params["key"], RESPONSE, states, params["use_rep"])
    return states


def _check_axes(owner: AnnData, reference: AnnData, key: str, n_dims: int) -> None:
    """Refuse a PCA with other loadings than that of the reference."""
    name = "PCs" if key == "X_pca" else key
    if name not in owner.varm or name not in reference.varm:
        return
    loadings = np.asarray(reference.varm[name])[:, :n_dims]
    weighted = np.any(loadings != 0, axis=1)
    rows = match_genes(owner, reference.var_names[weighted])
    own_loadings = np.asarray(owner.varm[name])
    complete = own_loadings.shape[1] >= n_dims and (rows >= 0).all()
    if not complete or not np.allclose(own_loadings[rows, :n_dims], loadings[weighted], atol=1e-4):
        raise ValueError(
            f"`adata` has a {key!r} with other axes than that of `reference`: pass `project=True` "
            "to compute it with those of the reference, or embed the cells together."
        )
