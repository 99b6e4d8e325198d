"""Plots of predicted responses: genes, states, effect sizes, survival and features."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scdiffot._data.read.checks import check_count
from scdiffot._data.responses.predictions import read_predicted
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, make_axes

from .cell_panels import draw_genes, draw_response_embedding
from .response_cells import read_view
from .response_groups import draw_effect, draw_features, draw_survival, feature_table, group_view

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

KINDS = ("genes", "embedding", "effect", "survival", "features")
N_GENES, N_FEATURES = 6, 20


@fill_parameters
def response(
    adata: AnnData | MuData,
    kind: Literal["genes", "embedding", "effect", "survival", "features"] = "genes",
    *,
    genes: Sequence[str] | None = None,
    n_genes: int | None = None,
    layer: str | None = None,
    gene_symbols: str | None = None,
    decoder: Any = None,
    basis: str | None = None,
    arrows: bool = False,
    target: str | None = None,
    dose: float | None = None,
    groupby: str | None = None,
    reference: AnnData | MuData | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw a predicted response as genes, on an embedding, or by group of cells.

    *Control* cells are those whose response was predicted, *predicted* cells are the same cells
    with the treatment, and *treated* cells are other, treated cells. If cells die, predicted cells
    are resampled in proportion to their survival, so that they are comparable to treated cells.

    Parameters
    ----------
    adata
        Cells whose response was predicted by :func:`scdiffot.tl.predict_response`.
    kind
        ``"genes"``: the distribution of each gene in control, predicted and treated cells.
        ``"embedding"``: control, predicted and treated cells on an embedding. ``"effect"``: effect
        sizes in each group of cells, with the largest median on top; boxes are quartiles, and
        whiskers extend from the 5 % to the 95 % quantile of the cells. ``"survival"``: the mean
        survival of each group, with the same boxes and whiskers; the dashed line is the mean over
        all cells. Boxes and whiskers show the variation between cells, not the uncertainty of the
        mean. ``"features"``: the mean response of genes in each group of
        :func:`scdiffot.tl.response_subpopulations`; the number beside a gene is its heterogeneity.
    genes
        Genes to draw, for ``"genes"`` and ``"features"``. By default those with the largest mean
        response, or those whose mean response differs most between groups, respectively.
    n_genes
        Number of genes if `genes` is None; by default 6 for ``"genes"`` and 20 for ``"features"``.
    layer
        Layer (or ``"X"``) with the expression of control and treated cells, for ``"genes"``. By
        default it is decoded from their states, like the prediction, so that all three lack the
        noise that the representation removes.
    gene_symbols
        Column of `reference.var` with gene names to use instead of `var_names`, for `genes` and in
        the figure.
    decoder
        Object with methods `encode` and `decode`, or a pair of functions, of tensors, for
        ``"genes"``; by default the decoder stored in the AnnData with the fit.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. On another embedding, a predicted cell is placed at the mean of the treated cells that
        are nearest in the representation, so it cannot lie outside the treated cells.
    arrows
        Whether to draw arrows from a sample of control cells to their predictions, for
        ``"embedding"``.
    target, dose
        Treatment and dose of the treated cells; they must be those of the prediction, the default.
    groupby
        Column of `adata.obs` with the groups, for ``"effect"`` and ``"survival"``. By default the
        groups of :func:`scdiffot.tl.response_subpopulations`, or a single group if there are none.
    reference
        AnnData with the fit; `adata` by default.
    key
        Name of the response, or of a prediction (`key_added` of
        :func:`scdiffot.tl.predict_response`).
    %(ax)s
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fitted or predicted response, or no gene, embedding, layer, column or
        treatment of this name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `kind` is none of the five, `target` or `dose` is not that of the prediction, the
        embedding has one dimension, `kind` is ``"survival"`` for a balanced response, or there is
        no decoder.

    See Also
    --------
    scdiffot.tl.predict_response : predict the response.
    scdiffot.tl.response_subpopulations : compute responses by group of cells.
    scdiffot.get.response : return the response as a table.
    scdiffot.pl.response_evaluation : draw the scores of predicted responses.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(400, n_dims=5, n_genes=20)
    >>> sdo.tl.fit_response(
    ...     adata, "condition", control="control", target="drug", config={"train": {"n_steps": 30}}
    ... )
    >>> sdo.tl.predict_response(adata)
    >>> figure = sdo.pl.response(adata, return_fig=True)
    >>> figure = sdo.pl.response(adata, "effect", groupby="subpopulation", return_fig=True)
    """
    if kind not in KINDS:
        raise ValueError(f"`kind` is {kind!r}: pass one of {', '.join(map(repr, KINDS))}.")
    n_genes = (
        (N_GENES if kind == "genes" else N_FEATURES)
        if n_genes is None
        else check_count("n_genes", n_genes, 1)
    )
    view: Any
    draw: Any
    if kind in ("genes", "embedding"):
        cells_view = read_view(
            adata, adata if reference is None else reference, target, dose, key=key
        )
        if kind == "genes":
            view, draw = (
                cells_view.genes(genes, n_genes, layer, decoder, gene_symbols=gene_symbols),
                draw_genes,
            )
            width, height = max(1.0, 0.25 * len(view.names)), 1.0
        else:
            view, draw = cells_view.place(basis, arrows=arrows), draw_response_embedding
            width, height = 1.2, 1.2
    elif kind == "features":
        view, draw = feature_table(adata, genes, n_genes, key=key), draw_features
        width, height = 0.5 + 0.1 * len(view.groups), 0.3 + 0.05 * len(view.genes)
    else:
        view = group_view(
            adata, read_predicted(adata, key), groupby, survival=kind == "survival", key=key
        )
        draw = draw_effect if kind == "effect" else draw_survival
        width, height = 1.1, 0.3 + 0.12 * len(view.names)
    figure, axes = make_axes(ax, width=width, height=height)
    draw(axes[0], view)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
