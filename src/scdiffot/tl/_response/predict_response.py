"""Predict the response of cells to a treatment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import as_writable, check_flag
from scdiffot._data.read.columns import list_columns, read_column
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.read.select import select_cells
from scdiffot._data.responses.prediction_store import check_prediction_free, write_prediction
from scdiffot._data.responses.predictions import PredictionInfo
from scdiffot._data.responses.response_store import (
    project_states,
    read_response_genes,
    response_states,
)
from scdiffot._data.responses.stored_groups import check_groups
from scdiffot._data.responses.stored_responses import read_response, read_response_model
from scdiffot._data.responses.treatments import to_numbers
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData


@fill_parameters
def predict_response(
    adata: AnnData | MuData,
    *,
    target: str | None = None,
    dose: float | None = None,
    source: str | np.ndarray | None = None,
    reference: AnnData | MuData | None = None,
    project: bool = False,
    inverse: bool = False,
    genes: bool | str | Iterable[str] = False,
    gene_symbols: str | None = None,
    decoder: Any = None,
    key: str = DEFAULT,
    key_added: str | None = None,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Predict the state of each cell after a treatment, or of treated cells without it.

    Cells move along the fitted flow, with `inverse` in reverse. If cells die, the prediction of a
    population is that of its cells weighted by their survival.

    Parameters
    ----------
    adata
        Cells to predict for: those of the fit or others.
    target
        Treatment; may be omitted if the model has only one. A treatment that it was not fitted to
        needs `target_embedding`.
    dose
        Dose, from 0 to the highest of the fit; the highest by default.
    source
        Cells: a query of `adata.obs`, their names, or a boolean mask. By default the untreated
        cells of the fit (with `inverse`, the cells treated with `target`, at `dose` if it is
        given), and all cells of other data.
    reference
        Cells with the response, if `adata` has none.
    project
        Whether to compute the states from the genes in `adata.X` with the axes of the reference,
        matched by name. They are stored under the name of the representation, if `adata` has none
        of that name.
    inverse
        Whether to undo the treatment.
    genes
        Genes to predict as well, by the decoder of the reference: names, or True for all genes of
        the decoder.
    gene_symbols
        Column of `reference.var` with the gene names to use instead of `reference.var_names`.
    decoder
        Decoder of the representation: an object with methods `encode` and `decode`, or a pair of
        such functions, on tensors. By default the decoder that the reference holds.
    key
        Name of the response.
    key_added
        Name of the prediction, and prefix of all names that it writes; `key` by default, where the
        next prediction replaces it. Predictions of several targets, doses or cells coexist under
        names of their own; plots and tables read them by ``key=key_added``.
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following fields, NaN for other cells, where ``key`` is `key_added`
    if that is given; ``d`` is the dimension of the state:

    `adata.uns["{key}_prediction"]` : dict
        ``key`` of the response, ``target`` and ``dose`` (NaN without doses), to which plots refer.
    `adata.obsm["{key}_predicted"]` : array of shape ``(n, d)``
        State after the treatment.
    `adata.obsm["{key}_response"]` : array of shape ``(n, d)``
        Difference between the predicted and the present state.
    `adata.obs["{key}_effect_size"]` : column
        Transport cost of the response: half its squared length, or more if the path is curved; in
        squared state.
    `adata.obs["{key}_survival"]` : column
        Expected number of surviving cells per cell, if the fit was unbalanced.
    `adata.layers["{key}_predicted"]` : array
        Expression after the treatment, if `genes` is given.
    `adata.obsm["{key}_untreated"]` : array of shape ``(n, d)``
        State without the treatment. With `inverse`, this is set instead of all other fields, and
        the treatment is in ``adata.uns["{key}_untreated"]``.

    Raises
    ------
    KeyError
        If there is no response, treatment, representation or gene of that name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If the treatment or dose is not covered by the fit, no cell is selected, the representation
        has other axes than that of the reference or no decoder, expression is on another scale
        (counts, if it was fitted on logarithms), `key_added` is the name of another response, or
        `adata` is a view. Nothing is written then.

    See Also
    --------
    scdiffot.tl.fit_response : Learn the response.
    scdiffot.tl.response_subpopulations : Subpopulations and genes that respond most.
    scdiffot.tl.evaluate_response : Score predictions on held-out cells.
    scdiffot.pl.response : Plot the predicted response.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(600, n_dims=10)
    >>> sdo.tl.fit_response(
    ...     adata, "condition", "control", "drug", config={"train": {"n_steps": 30}}
    ... )
    >>> sdo.tl.predict_response(adata, source="subpopulation == 'type_1'", genes=True)
    >>> adata.layers["scdiffot_predicted"].shape == adata.shape
    True
    """
    project, inverse = check_flag("project", project), check_flag("inverse", inverse)
    keys = Keys(key, "key") if key_added is None else Keys(key_added)
    adata = as_writable(adata, copy=copy)
    response = read_response(
        *((adata, key) if reference is None else (reference, key, "reference"))
    )
    params, targets = response["params"], response["targets"]
    if reference is None and source is None:
        check_groups(adata, params, targets)
    reference = adata if reference is None else reference
    check_prediction_free(adata, keys, key)
    embedding, strength, name, used_dose = targets.find(reference, target, dose)
    genes = bool(genes) if isinstance(genes, np.bool_) else genes
    if inverse and genes is not False:
        raise ValueError(
            "`genes` are predicted after a treatment only: leave `genes` or `inverse` out."
        )
    if project:
        states = project_states(adata, reference, params)
    else:
        states = response_states(adata, reference, params)
    cells = _cells(
        adata, source, params, name if inverse else params["control"], dose if inverse else None
    )
    space, positions = None, None
    if genes is not False:
        space = read_response_genes(reference, params, decoder, gene_symbols=gene_symbols)
        positions = space.select_named() if genes is True else space.find(genes)
    model = read_response_model(reference, key)
    prediction = model.predict(states[cells], embedding, strength, inverse=inverse)
    if project and params["use_rep"] in reference.obsm and params["use_rep"] not in adata.obsm:
        adata.obsm[params["use_rep"]] = states
    info = PredictionInfo(key, name, used_dose)
    write_prediction(
        adata,
        keys,
        cells,
        states[cells],
        prediction,
        inverse=inverse,
        info=info,
        space=space,
        positions=positions,
    )
    return adata if copy else None


def _cells(
    adata: AnnData | MuData, source: Any, params: dict[str, Any], condition: str, dose: float | None
) -> np.ndarray:
    """Positions of the selected cells, by default those with the condition."""
    if source is not None:
        return select_cells(adata, source, None)
    try:
        codes, names = cell_labels(adata, params["condition_key"], argument="condition_key")
    except KeyError:
        return np.arange(adata.n_obs)
    if condition not in names:
        return np.arange(adata.n_obs)
    selected = codes == names.index(condition)
    if dose is not None and params["dose_key"] in list_columns(adata):
        selected &= to_numbers(read_column(adata, params["dose_key"], "dose_key")) == dose
        if not selected.any():
            raise ValueError(
                f"`dose` is {dose}, at which no cell of {condition!r} was treated: name cells with "
                "`source`."
            )
    return np.flatnonzero(selected)
