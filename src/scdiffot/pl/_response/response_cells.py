"""Control, predicted and treated cells side by side."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._analysis.basis import first_column
from scdiffot._analysis.neighbors import embed
from scdiffot._data.read.checks import is_mudata
from scdiffot._data.read.columns import list_columns, read_column
from scdiffot._data.read.expression import dense, expression
from scdiffot._data.read.extract import locate, representation
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
from scdiffot._data.responses.response_store import genes_of, response_states
from scdiffot._data.responses.stored_responses import read_response
from scdiffot._data.responses.treatments import numbers
from scdiffot._utils.keys import PARAMS
from scdiffot._utils.number_text import number_text
from scdiffot.pl._base.figure import background, foreground
from scdiffot.pl._base.plane import axis_names
from scdiffot.pl._base.points import GREY, draw_legend, point_size, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from mudata import MuData

COLORS = {"control": "#8c96a3", "predicted": "#d95f02", "treated": "#1b7f9e"}
# Cells of each kind behind a distribution: more are not seen
N_DRAWN = 5000
N_ARROWS = 60


@dataclass(frozen=True)
class GeneView:
    """Expression of genes, of shape ``(m, G)``, in every kind of cells."""

    names: list[str]
    values: dict[str, np.ndarray]
    label: str


@dataclass(frozen=True)
class PlaneView:
    """Places, of shape ``(m, 2)``, of every kind of cells and of the others, and arrows (starts, ends)."""

    points: dict[str, np.ndarray]
    others: np.ndarray
    labels: tuple[str, str]
    arrows: tuple[np.ndarray, np.ndarray] | None


@dataclass(frozen=True)
class ResponseView:
    """What a plot of a response starts from.

    Parameters
    ----------
    adata
        The data.
    reference
        Where the fit is.
    params
        Parameters of the fit.
    cells
        Cells whose response was predicted.
    treated
        Positions of treated cells, shape ``(k,)``.
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
        """Expression of genes, those of the largest mean response by default."""
        space = genes_of(self.reference, self.params, decoder, gene_symbols=gene_symbols)
        cells = self.cells.take(thinned(len(self.cells.rows), N_DRAWN))
        treated = self.treated[thinned(len(self.treated), N_DRAWN)]
        control, predicted = (
            space.decode(cells.predicted - cells.response),
            space.decode(cells.predicted),
        )
        if genes is None:
            order = np.argsort(-np.abs((predicted - control).mean(axis=0)), kind="stable")[:n_genes]
        else:
            order = space.find(genes)
        names = [str(name) for name in space.names[order]]
        values = {"control": control[:, order], "predicted": predicted[_survivors(cells)][:, order]}
        if layer is not None:
            observed, row_of = self._expression(layer, space.var_names[order])
            states = representation(
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
        """Expression of genes as it is stored, and the row there of every cell."""
        owner = (
            locate(self.adata, self.params["use_rep"]).owner
            if is_mudata(self.adata)
            else self.adata
        )
        columns = match_genes(owner, names, argument="genes")
        if (columns < 0).any():
            raise KeyError(
                f"`genes` has {names[int((columns < 0).argmax())]!r}, which is not in adata.var_names."
            )
        rising = np.argsort(columns)
        values = dense(expression(owner, None if layer == "X" else layer, columns[rising]))
        return values[:, np.argsort(rising)], owner.obs_names.get_indexer(self.adata.obs_names)

    def place(self, basis: str | None, *, arrows: bool) -> PlaneView:
        """Places of cells in the representation of the fit, or on another embedding."""
        states, name = self._states(), str(self.params["use_rep"])
        points = states
        if basis is not None:
            points, name = representation(self.adata, basis, argument="basis")
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
                f"`basis` {name!r} has no treated cells, beside which the predicted ones could be placed: leave it out."
            )
        others = np.setdiff1d(np.arange(len(points)), np.concatenate([cells.rows, self.treated]))
        shown = {
            "control": points[cells.rows],
            "treated": points[self.treated],
            "predicted": predicted[_survivors(cells)],
        }
        chosen = thinned(len(predicted), N_ARROWS)
        ways = (points[cells.rows][chosen], predicted[chosen]) if arrows else None
        return PlaneView(shown, points[others], axis_names(self.adata, name), ways)

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
    """Read predicted cells, and the treated ones of a treatment and dose.

    Raises
    ------
    KeyError
        If there is no response, prediction, column or treatment of that name.
    ValueError
        If the treatment or dose is not that of the prediction.
    """
    fitted = read_response(
        reference, response_key(adata, key), "key" if reference is adata else "reference"
    )
    cells = read_predicted(adata, key)
    params, info = fitted[PARAMS], read_prediction_info(adata, key)
    if info is not None:
        target = info.target if target is None else str(target)
        dose = info.dose if dose is None and not np.isnan(info.dose) else dose
    _, _, target, dose = fitted["targets"].find(reference, target, dose)
    if info is not None and PredictionInfo(info.key, target, dose).label != info.label:
        raise ValueError(
            f"The prediction under `key` {key!r} is that of {info.label}, so cells treated with another target or dose are nothing "
            "to compare it with: leave `target` and `dose` out, or predict them with tl.predict_response(..., key_added=...)."
        )
    codes, names = cell_labels(adata, params["condition_key"], argument="condition_key")
    treated = codes == names.index(target) if target in names else np.zeros(adata.n_obs, bool)
    if not np.isnan(dose) and treated.any():
        if params["dose_key"] not in list_columns(adata):
            raise KeyError(
                f"`adata` has no obs[{params['dose_key']!r}] with the doses of its treated cells: add it, so that the prediction "
                f"at {number_text(dose)} is compared with cells of that dose."
            )
        treated &= np.isclose(numbers(read_column(adata, params["dose_key"], "dose_key")), dose)
    return ResponseView(adata, reference, params, cells, np.flatnonzero(treated))


def _survivors(cells: PredictedCells) -> np.ndarray:
    """Positions of the cells that are drawn, each as often as its survival says."""
    if cells.survival is None or cells.survival.sum() == 0:
        return np.arange(len(cells.rows))
    share = cells.survival / cells.survival.sum()
    return np.random.default_rng(0).choice(len(share), len(share), p=share)


def draw_genes(ax: Axes, view: GeneView) -> None:
    """Draw a violin of every gene and kind of cells, with its median."""
    width = 0.27
    for k, (kind, values) in enumerate(view.values.items()):
        places = np.arange(len(view.names)) + (k - (len(view.values) - 1) / 2) * width
        violins = ax.violinplot(list(values.T), places, widths=0.94 * width, showextrema=False)
        for body in violins["bodies"]:  # type: ignore[attr-defined]
            body.set(facecolor=COLORS[kind], alpha=0.75, linewidth=0)
        ax.scatter(
            places,
            np.median(values, axis=0),
            s=12,
            color=background(),
            edgecolors=foreground(),
            linewidths=0.6,
            zorder=3,
        )
    for place in range(1, len(view.names), 2):
        ax.axvspan(place - 0.5, place + 0.5, color=foreground(), alpha=0.05, lw=0, zorder=-1)
    ax.set_xlim(-0.5, len(view.names) - 0.5)
    crowded = max(map(len, view.names)) > 8
    ax.set_xticks(
        range(len(view.names)),
        view.names,
        rotation=45 if crowded else 0,
        ha="right" if crowded else "center",
    )
    ax.set(xlabel="gene", ylabel=view.label)
    ax.spines[["top", "right"]].set_visible(False)
    ax.tick_params(axis="x", length=0)
    draw_legend(ax, "cells", {kind: COLORS[kind] for kind in view.values})


def draw_embedding(ax: Axes, view: PlaneView) -> None:
    """Draw control, treated and predicted cells over each other in random order, and arrows over them."""
    kinds = [kind for kind, points in view.points.items() if len(points)]
    points = np.concatenate([view.points[kind] for kind in kinds])
    colors = np.repeat([COLORS[kind] for kind in kinds], [len(view.points[kind]) for kind in kinds])
    order = thinned(len(points), len(points))
    size = point_size(len(points) + len(view.others), ax)
    style: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
    ax.scatter(view.others[:, 0], view.others[:, 1], c=GREY, alpha=0.35, **style)
    ax.scatter(points[order, 0], points[order, 1], c=colors[order], alpha=0.7, **style)
    if view.arrows is not None:
        start, way = view.arrows[0], view.arrows[1] - view.arrows[0]
        ax.quiver(
            *start.T,
            *way.T,
            angles="xy",
            scale_units="xy",
            scale=1,
            width=0.002,
            color=foreground(),
            alpha=0.6,
        )
    ax.set(xlabel=view.labels[0], ylabel=view.labels[1])
    ax.set_aspect("equal", adjustable="datalim")
    ax.margins(0.04)
    draw_legend(ax, "cells", {kind: COLORS[kind] for kind in COLORS if kind in kinds})
