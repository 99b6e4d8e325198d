"""Plot of the ancestors of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scdiffot._data.read.checks import check_choice, choose_names
from scdiffot._data.write.fate_tables import read_ancestry
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.shares import class_colors, draw_bars, draw_largest, draw_shares

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData


@fill_parameters
def ancestry(
    adata: AnnData | MuData,
    *,
    kind: Literal["embedding", "composition"] = "embedding",
    types: str | Sequence[str] | None = None,
    basis: str | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the ancestors of cells on an embedding, or their cell types.

    Colours are those of the cell types (``adata.uns["<cell_key>_colors"]``).

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.sta_backward` (stochastic trajectory analysis) was run.
    kind
        ``"embedding"``: one panel for each type of the descendants, with the density of its
        ancestors over the cells of the earlier time, relative to the 99 % quantile; other cells are
        grey. ``"composition"``: the cell types of the ancestors of each type as stacked bars. Bar
        lengths are masses if the ancestors are weighted, and shares otherwise.
    types
        Types of the descendants to draw, in this order; all by default.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. One-dimensional states are drawn over time.
    %(key)s
    ax
        Axes to draw on; one for each type if `kind` is ``"embedding"``. On a single axis, each cell
        has the colour of the type with the highest relative density.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, embedding, type or backward analysis.
    ValueError
        If `kind` is none of the two, or the number of axes does not match.

    See Also
    --------
    scdiffot.tl.sta_backward : compute the ancestors.
    scdiffot.pl.fate : draw the fates of cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.sta_backward(adata, "cell_type", target_time=1, n_trajectories=20)
    >>> figure = sdo.pl.ancestry(adata, return_fig=True)
    """
    check_choice("kind", kind, ("embedding", "composition"))
    params, table = read_ancestry(adata, key)
    cell_key = str(params["cell_key"])
    names = list(table.columns) if types is None else choose_names("types", types, table.columns)
    if kind == "composition":
        composition = params["composition"].loc[names]
        figure, axes = make_axes(ax, height=max(0.5, 0.12 * len(names)), width=1.2)
        colors = class_colors(adata, cell_key, composition.columns)
        draw_bars(axes[0], composition, None, colors=colors, labels=names, title="ancestors")
        quantity = "mass" if params["weighted"] else "share"
        axes[0].set(xlabel=f"{quantity} of the ancestors", ylabel=f"{cell_key} of the descendants")
        return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
    plane = find_plane(adata, basis, key=key)
    figure, axes = make_axes(ax, len(names))
    if len(axes) not in (1, len(names)):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass 1, or {len(names)} (a panel for every type)."
        )
    # a quantile, since one extreme cell would make all others pale
    top = table[names].quantile(0.99)
    relative = (table[names] / top.where(top > 0, 1.0)).clip(upper=1.0)
    colors = class_colors(adata, cell_key, names)
    if ax is not None and len(axes) == 1:
        draw_largest(axes[0], plane, relative, colors=colors, title="ancestors of")
    else:
        titles = [f"ancestors of {name}" for name in names]
        draw_shares(
            axes,
            plane,
            relative,
            colors=colors,
            titles=titles,
            label="density, relative to the 99 % quantile",
        )
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
