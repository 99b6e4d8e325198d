"""Where cells came from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from scdiffot._data.read.checks import check_choice, choose_names
from scdiffot._data.write.fate_tables import read_ancestry
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
    """Draw the ancestors of cells: where they were on an embedding, or of which types.

    Colours are those of the cell types (``adata.uns["<cell_key>_colors"]``).

    Parameters
    ----------
    adata
        Cells that :func:`scdiffot.tl.sta_backward` has followed.
    kind
        ``"embedding"``: a panel for every type of the later cells, with the density of its ancestors over the cells of the
        earlier time, relative to the densest; other cells are grey. ``"composition"``: the types of the ancestors of every type
        as stacked bars, with masses for widths if the ancestors were weighted.
    types
        The types of the later cells that get a panel or a bar, in this order; all by default.
    basis
        Embedding; by default the representation of the fit. Its first two dimensions are drawn; a state of one dimension is drawn
        over time.
    key
        Name of the fit.
    ax
        Axes to draw on, for ``"embedding"`` one for every type. On a single one, each cell has the colour of the type that it is
        most typical an ancestor of.
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
        If there is no fit, embedding or type, or cells have not been followed back.
    ValueError
        If `kind` is none of the two, or the number of axes does not match.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.sta_backward(adata, "cell_type", target_time=1, n_trajectories=20)
    >>> figure = sdo.pl.ancestry(adata, return_fig=True)
    """
    check_choice("kind", kind, ("embedding", "composition"))
    found, table = read_ancestry(adata, key)
    cell_key = str(found["cell_key"])
    names = list(table.columns) if types is None else choose_names("types", types, table.columns)
    if kind == "composition":
        composition = found["composition"].loc[names]
        figure, axes = make_axes(ax, height=max(0.5, 0.12 * len(names)), width=1.2)
        colors = class_colors(adata, cell_key, composition.columns)
        draw_bars(axes[0], composition, None, colors=colors, labels=names, title="ancestors")
        what = "mass" if found["weighted"] else "share"
        axes[0].set(xlabel=f"{what} of the ancestors", ylabel=f"{cell_key} of the descendants")
        return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)
    plane = find_plane(adata, basis, key=key)
    figure, axes = make_axes(ax, len(names))
    if len(axes) not in (1, len(names)):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass 1, or {len(names)} (a panel for every type)."
        )
    # one extreme cell would leave all others pale
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
            label="density, relative to the densest",
        )
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)
