"""Plot of net growth rates."""

from __future__ import annotations

from typing import TYPE_CHECKING

from scdiffot._data.read.columns import read_numbers
from scdiffot._data.write.store import read_fit
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.points import draw_values

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

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, or no such embedding.

    See Also
    --------
    scdiffot.tl.fit : estimate the growth rates.
    scdiffot.pl.growth_genes : draw the genes that affect growth.
    scdiffot.pl.velocity : draw the velocities of the same fit.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> figure = sdo.pl.growth(adata, return_fig=True)
    """
    read_fit(adata, key)
    plane = find_plane(adata, basis, key=key)
    figure, axes = make_axes(ax)
    values = read_numbers(adata, Keys(key, "key").growth, "key").to_numpy()
    draw_values(axes[0], plane, values, f"net growth rate (1 / {plane.times.column})")
    plane.label_axes(axes[0])
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
