"""What a treatment does to cells: genes, states, effect sizes, survival."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

from scdiffot._data.read.checks import check_count
from scdiffot._data.responses.predictions import read_predicted
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, make_axes

from .response_cells import draw_embedding, draw_genes, read_view
from .response_groups import draw_effect, draw_features, draw_survival, feature_table, groups_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

KINDS = ("genes", "embedding", "effect", "survival", "features")
N_GENES, N_FEATURES = 6, 20


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
    """Draw a predicted response: genes, an embedding, or effect sizes, survival and genes by group of cells.

    *Control* are the cells whose response was predicted, *predicted* the same cells with the treatment, and *treated* other cells
    that were treated. Where cells die, the predicted ones are drawn again at random in proportion to their survival, so that
    they compare with the treated.

    Parameters
    ----------
    adata
        Cells whose response was predicted by :func:`scdiffot.tl.predict_response`.
    kind
        ``"genes"``: the distribution of every gene in control, predicted and treated cells. ``"embedding"``: the three kinds of
        cells over each other. ``"effect"``: effect sizes in every group of cells, the largest median on top; boxes are quartiles,
        whiskers hold 90 % of the cells. ``"survival"``: the mean survival of every group, over the quartiles and the middle 90 %
        of its cells; the line is the mean of all. Boxes and whiskers show how cells differ, not how well their mean is known.
        ``"features"``: the mean response of genes in every group of :func:`scdiffot.tl.response_subpopulations`; the number beside a gene is its heterogeneity.
    genes
        Genes to draw, for ``"genes"`` and ``"features"``. By default those of the largest mean response, and those whose mean
        response differs most between the groups.
    n_genes
        Their number, 6 or 20 by default.
    layer
        Layer (or ``"X"``) with the expression of control and treated cells, for ``"genes"``. By default it is decoded from their
        states as the prediction is, without the noise that the representation leaves out: like is compared with like.
    gene_symbols
        Column of `var` of `reference` with names of genes to use in place of `var_names`, here and in the result.
    decoder
        An object with methods `encode` and `decode`, or a pair of functions, of tensors, for ``"genes"``; by default what the AnnData
        with the fit carries.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the fit. On another one, a
        predicted cell lies at the mean of the treated cells that are nearest to it in the representation, so it cannot
        lie where no treated cell is.
    arrows
        Whether to draw arrows from some control cells to their prediction, for ``"embedding"``.
    target, dose
        Treated cells to compare with: the treatment and dose of the prediction, which are the default; others are refused.
    groupby
        Column of `adata.obs` with the groups, for ``"effect"`` and ``"survival"``. By default the groups of
        :func:`scdiffot.tl.response_subpopulations`; without these, all cells are one.
    reference
        AnnData with the fit, if that is not `adata`.
    key
        Name of the response, or of a prediction of it (`key_added` of :func:`scdiffot.tl.predict_response`).
    ax
        Axes to draw on.
    show
        Whether to show the figure; scanpy's setting by default.
    return_fig
        Whether to return the figure.

    Returns
    -------
    The figure, nothing if it is shown, or the axes.

    Raises
    ------
    KeyError
        If no response was fitted or predicted, or there is no gene, embedding, layer, column or treatment of this name.
    TypeError
        If an argument has the wrong type.
    ValueError
        If `kind` is none of the five, `target` or `dose` is not that of the prediction, the embedding has one dimension, the
        response is balanced and its survival is asked for, or there is no decoder.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(400, n_dims=5, n_genes=20)
    >>> sdo.tl.fit_response(adata, "condition", control="control", target="drug", n_steps=30)
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
    drawn: Any
    draw: Any
    if kind in ("genes", "embedding"):
        view = read_view(adata, adata if reference is None else reference, target, dose, key=key)
        if kind == "genes":
            drawn, draw = (
                view.genes(genes, n_genes, layer, decoder, gene_symbols=gene_symbols),
                draw_genes,
            )
            width, height = max(1.0, 0.25 * len(drawn.names)), 1.0
        else:
            drawn, draw = view.place(basis, arrows=arrows), draw_embedding
            width, height = 1.2, 1.2
    elif kind == "features":
        drawn, draw = feature_table(adata, genes, n_genes, key=key), draw_features
        width, height = 0.5 + 0.1 * len(drawn.groups), 0.3 + 0.05 * len(drawn.genes)
    else:
        drawn = groups_of(
            adata, read_predicted(adata, key), groupby, survival=kind == "survival", key=key
        )
        draw = draw_effect if kind == "effect" else draw_survival
        width, height = 1.1, 0.3 + 0.12 * len(drawn.names)
    figure, axes = make_axes(ax, width=width, height=height)
    draw(axes[0], drawn)
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)
