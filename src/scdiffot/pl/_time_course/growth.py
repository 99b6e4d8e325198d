"""Plot of net growth rates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot._data.read.columns import read_numbers
from scdiffot._data.write.store import read_fit
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.pl._base.embedding import check_options, draw_embedding, signed_colors
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import find_plane

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData


@fill_parameters
def growth(
    adata: AnnData | MuData,
    *,
    basis: str | None = None,
    key: str = DEFAULT,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool = False,
    **options: Any,
) -> Figure | Axes | list[Axes] | None:
    """Draw the net growth rate of every cell.

    Parameters
    ----------
    %(fit)s
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. One-dimensional states are drawn over time.
    %(key)s
    %(ax)s
    %(show)s
    options
        Options of :func:`scanpy.pl.embedding`: `cmap`, `vmin`, `vmax`, `vcenter`, `norm`, `size`,
        `alpha`, `palette`, `groups`, `frameon`, `title`, `legend_loc` and others of the legend.

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, or no such embedding.
    TypeError
        If an option is unknown.
    ValueError
        If scanpy refuses the value of an option.

    See Also
    --------
    scdiffot.tl.fit : estimate the growth rates.
    scdiffot.pl.growth_genes : draw the genes that affect growth.
    scdiffot.pl.velocity : draw the velocities of the same fit.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> figure = sdo.pl.growth(adata, return_fig=True)
    """
    check_options(options)
    read_fit(adata, key)
    plane = find_plane(adata, basis, key=key)
    figure, axes = make_axes(ax)
    values = read_numbers(adata, Keys(key, "key").growth, "key").to_numpy()
    colors = signed_colors(values, f"net growth rate (1 / {plane.times.column})")
    draw_embedding(axes[0], plane, colors, options)
    plane.label_axes(axes[0])
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
