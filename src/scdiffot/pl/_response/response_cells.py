"""Control, predicted and treated cells in plots of a response."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.basis import first_column
from scdiffot._analysis.neighbors import embed
from scdiffot._data.read.checks import is_mudata
from scdiffot._data.read.columns import list_columns, read_column
from scdiffot._data.read.expression import read_expression, to_dense
from scdiffot._data.read.extract import locate, read_representation
from scdiffot._data.read.gene_names import match_genes
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.read.scale import check_scale
from scdiffot._data.responses.predictions import (
    PredictedCells,
    PredictionInfo,
    read_predicted,
    read_prediction_info,
    response_key,
)
from scdiffot._data.responses.response_store import read_response_genes, response_states
from scdiffot._data.responses.stored_groups import check_groups
from scdiffot._data.responses.stored_responses import read_response
from scdiffot._data.responses.treatments import to_numbers
from scdiffot._utils.keys import PARAMS
from scdiffot._utils.number_text import number_text
from scdiffot.pl._base.plane import axis_names
from scdiffot.pl._base.points import random_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from mudata import MuData

# maximum number of cells of each kind in a distribution
MAX_CELLS = 5000
N_ARROWS = 60


@dataclass(frozen=True)
class GeneView:
    """Expression of genes in each kind of cells, shapes ``(m, G)``."""

    names: list[str]
    values: dict[str, np.ndarray]
    label: str


@dataclass(frozen=True)
class EmbeddingView:
    """Coordinates of each kind of cells and of the background, shapes ``(m, 2)``.

    Arrows are a pair of start and end points, or None.
    """

    points: dict[str, np.ndarray]
    background_points: np.ndarray
    labels: tuple[str, str]
    arrows: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class ResponseView:
    """Data that a plot of a response is drawn from.

    Parameters
    ----------
    adata
        The data.
    reference
        Data with the fit.
    params
        Parameters of the fit.
    cells
        Cells whose response was predicted.
    treated
        Row indices of treated cells, shape ``(k,)``.
    """

    adata: AnnData | MuData
    reference: AnnData | MuData
    params: dict[str, Any]
    cells: PredictedCells
    treated: np.ndarray

    def genes(
        self,
        genes: Sequence[str] | None,
        n_genes: int,
        layer: str | None,
        decoder: Any,
        *,
        gene_symbols: str | None = None,
    ) -> GeneView:
        """Return the expression of genes, by default of those with the largest mean response."""
        space = read_response_genes(self.reference, self.params, decoder, gene_symbols=gene_symbols)
        cells = self.cells.select(random_subset(len(self.cells.rows), MAX_CELLS))
        treated = self.treated[random_subset(len(self.treated), MAX_CELLS)]
        control, predicted = (
            space.decode(cells.predicted - cells.response),
            space.decode(cells.predicted),
        )
        if genes is None:
            order = np.argsort(-np.abs((predicted - control).mean(axis=0)), kind="stable")[:n_genes]
        else:
            order = space.find(genes)
        names = [str(name) for name in space.names[order]]
        values = {
            "control": control[:, order],
            "predicted": predicted[_resample_by_survival(cells)][:, order],
        }
        if layer is not None:
            observed, row_of = self._expression(layer, space.var_names[order])
            states = read_representation(
                self.reference, self.params["use_rep"], n_dims=self.params["n_dims"]
            )[0]
            check_scale(observed, space, states, name=f"`layer` {layer!r}", columns=order)
            values["control"], values["treated"] = (
                observed[row_of[cells.rows]],
                observed[row_of[treated]],
            )
        elif len(treated):
            values["treated"] = space.decode(self._states()[treated])[:, order]
        values = {kind: v for kind, v in values.items() if len(v)}
        return GeneView(names, values, "expression" if layer else "expression, decoded")

    def _expression(self, layer: str, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the stored expression of genes, and the row of each cell in it."""
        owner = (
            locate(self.adata, self.params["use_rep"]).owner
            if is_mudata(self.adata)
            else self.adata
        )
        columns = match_genes(owner, names, argument="genes")
        if (columns < 0).any():
            raise KeyError(
                f"`genes` has {names[int((columns < 0).argmax())]!r}, which is not in "
                "adata.var_names."
            )
        order = np.argsort(columns)
        values = to_dense(read_expression(owner, None if layer == "X" else layer, columns[order]))
        return values[:, np.argsort(order)], owner.obs_names.get_indexer(self.adata.obs_names)

    def place(self, basis: str | None, *, arrows: bool) -> EmbeddingView:
        """Return coordinates of cells in the representation of the fit, or on an embedding."""
        states, name = self._states(), str(self.params["use_rep"])
        points = states
        if basis is not None:
            points, name = read_representation(self.adata, basis, argument="basis")
        if points.shape[1] < 2:
            raise ValueError(f"`basis` {name!r} has one dimension: pass an embedding of two.")
        first = first_column(name, points.shape[1])
        points, cells = points[:, first : first + 2], self.cells
        if name == str(self.params["use_rep"]):
            predicted = cells.predicted[:, first : first + 2]
        elif len(self.treated):
            predicted = embed(cells.predicted, states[self.treated], points[self.treated])
        else:
            raise ValueError(
                f"`basis` {name!r} has no treated cells, beside which the predicted ones could be "
                "placed: leave it out."
            )
        background_rows = np.setdiff1d(
            np.arange(len(points)), np.concatenate([cells.rows, self.treated])
        )
        coordinates = {
            "control": points[cells.rows],
            "treated": points[self.treated],
            "predicted": predicted[_resample_by_survival(cells)],
        }
        subset = random_subset(len(predicted), N_ARROWS)
        endpoints = (points[cells.rows][subset], predicted[subset]) if arrows else None
        return EmbeddingView(
            coordinates, points[background_rows], axis_names(self.adata, name), endpoints
        )

    def _states(self) -> np.ndarray:
        return response_states(self.adata, self.reference, self.params)


def read_view(
    adata: AnnData | MuData,
    reference: AnnData | MuData,
    target: str | None,
    dose: float | None,
    *,
    key: str,
) -> ResponseView:
    """Read the predicted cells and the treated cells of a treatment and dose.

    Raises
    ------
    KeyError
        If there is no response, prediction, column or treatment of that name.
    ValueError
        If the treatment or dose is not that of the prediction.
    """
    response = read_response(
        reference, response_key(adata, key), "key" if reference is adata else "reference"
    )
    if reference is adata:
        check_groups(adata, response[PARAMS], response["targets"])
    cells = read_predicted(adata, key)
    params, info = response[PARAMS], read_prediction_info(adata, key)
    if info is not None:
        target = info.target if target is None else str(target)
        dose = info.dose if dose is None and not np.isnan(info.dose) else dose
    _, _, target, dose = response["targets"].find(reference, target, dose)
    if info is not None and PredictionInfo(info.key, target, dose).label != info.label:
        raise ValueError(
            f"The prediction under `key` {key!r} is that of {info.label}, which cannot be compared "
            "with cells of another target or dose: leave `target` and `dose` out, or predict them "
            "with tl.predict_response(..., key_added=...)."
        )
    codes, names = cell_labels(adata, params["condition_key"], argument="condition_key")
    treated = codes == names.index(target) if target in names else np.zeros(adata.n_obs, bool)
    if not np.isnan(dose) and treated.any():
        if params["dose_key"] not in list_columns(adata):
            raise KeyError(
                f"`adata` has no obs[{params['dose_key']!r}] with the doses of its treated cells: "
                f"add it, so that the prediction at {number_text(dose)} is compared with cells of "
                "that dose."
            )
        treated &= np.isclose(to_numbers(read_column(adata, params["dose_key"], "dose_key")), dose)
    return ResponseView(adata, reference, params, cells, np.flatnonzero(treated))


def _resample_by_survival(cells: PredictedCells) -> np.ndarray:
    """Resample cell indices in proportion to survival."""
    if cells.survival is None or cells.survival.sum() == 0:
        return np.arange(len(cells.rows))
    share = cells.survival / cells.survival.sum()
    return np.random.default_rng(0).choice(len(share), len(share), p=share)
