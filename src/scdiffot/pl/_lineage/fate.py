"""Plot of the fates of cells."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, choose_names
from scdiffot._data.read.columns import read_groups, read_numbers
from scdiffot._data.write.fate_tables import read_fate
from scdiffot._data.write.store import read_times
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, OUTSIDE, UNKNOWN, Keys
from scdiffot._utils.number_text import number_text
from scdiffot.pl._base.figure import finish, make_axes
from scdiffot.pl._base.plane import find_plane
from scdiffot.pl._base.shares import class_colors, draw_bars, draw_largest, draw_shares

from .alluvial import draw_alluvial

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# a type has a panel if its maximum share over cells is at least this
MIN_MAX_SHARE = 0.1
# `unknown` and `outside` have a panel if their mean share is at least this
MIN_MEAN_SHARE = 0.01


@fill_parameters
def fate(
    adata: AnnData | MuData,
    *,
    kind: Literal["embedding", "composition", "alluvial"] = "embedding",
    fates: str | Sequence[str] | None = None,
    groupby: str | None = None,
    basis: str | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the fates of cells on an embedding, as group means, or over time.

    Colours are those of the cell types (``adata.uns["<cell_key>_colors"]``); ``unknown`` is grey
    and ``outside`` dark grey.

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.sta_forward` (stochastic trajectory analysis) was run.
    kind
        ``"embedding"``: one panel for each fate, with its share of the descendants of each cell;
        cells without fates are grey. ``"composition"``: the mean shares of each group as stacked
        bars, with standard errors of the mean; labels give the number of cells, times their mean
        number of descendants. ``"alluvial"``: the cell types over time; heights are masses, so
        bands widen where cells divide.
    fates
        Fates to draw, in this order. By default all types with a share of at least 10 % in some
        cell, and ``unknown`` and ``outside`` if their mean share is at least 1 %.
    groupby
        Column of `adata.obs` with the groups for ``"composition"``; by default the cell types.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. One-dimensional states are drawn over time.
    %(key)s
    ax
        Axes to draw on; one for each fate if `kind` is ``"embedding"``. On a single axis, each cell
        has the colour of its most likely fate, shaded by the share.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, embedding, fate, column or forward analysis.
    ValueError
        If `kind` is none of the three, or the number of axes does not match.

    See Also
    --------
    scdiffot.tl.sta_forward : compute the fates.
    scdiffot.get.fate : return the fates as a table.
    scdiffot.pl.ancestry : draw the ancestors of cells.
    scdiffot.pl.perturb : draw changes of fates under a gene perturbation.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.sta_forward(adata, "cell_type", n_trajectories=20)
    >>> figure = sdo.pl.fate(adata, kind="composition", return_fig=True)
    """
    check_choice("kind", kind, ("embedding", "composition", "alluvial"))
    params, tables = read_fate(adata, key)
    cell_key = str(params["cell_key"])
    if kind == "alluvial":
        figure, axes = make_axes(ax, width=1.5)
        names = [str(name) for name in params["flow_classes"]]
        colors = class_colors(adata, cell_key, names)
        draw_alluvial(
            axes[0], params["flow_times"], params["flow_masses"], params["flows"], colors=colors
        )
        axes[0].set(xlabel=read_times(adata, key).column, ylabel="mass, per source cell")
        return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
    colors = class_colors(adata, cell_key, tables["fate"].columns)
    if kind == "composition":
        group_column = cell_key if groupby is None else groupby
        figure, axes = _draw_composition(adata, tables, group_column, colors=colors, key=key, ax=ax)
    else:
        figure, axes = _draw_embedding(
            adata, tables["fate"], fates, colors=colors, basis=basis, key=key, ax=ax
        )
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _draw_embedding(
    adata: AnnData | MuData,
    table: pd.DataFrame,
    fates: str | Sequence[str] | None,
    *,
    colors: dict[str, Any],
    basis: str | None,
    key: str,
    ax: Axes | Sequence[Axes] | None,
) -> tuple[Figure, list[Axes]]:
    plane = find_plane(adata, basis, key=key)
    available = table.columns
    names = (
        list(available[_is_common(table)])
        if fates is None
        else choose_names("fates", fates, available)
    )
    figure, axes = make_axes(ax, len(names))
    if len(axes) not in (1, len(names)):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass 1, or {len(names)} (a panel for every fate)."
        )
    if ax is not None and len(axes) == 1:
        title = "most likely fate"
        draw_largest(
            axes[0], plane, table[names], colors={name: colors[name] for name in names}, title=title
        )
    else:
        draw_shares(
            axes, plane, table[names], colors=colors, titles=names, label="share of the descendants"
        )
    return figure, axes


def _is_common(table: pd.DataFrame) -> np.ndarray:
    """Return a mask of the fates that are drawn by default."""
    return np.where(
        table.columns.isin([UNKNOWN, OUTSIDE]),
        table.mean() >= MIN_MEAN_SHARE,
        table.max() >= MIN_MAX_SHARE,
    )


def _draw_composition(
    adata: AnnData | MuData,
    tables: dict[str, pd.DataFrame],
    groupby: str,
    *,
    colors: dict[str, Any],
    key: str,
    ax: Axes | Sequence[Axes] | None,
) -> tuple[Figure, list[Axes]]:
    import pandas as pd

    has_fate = tables["fate"].notna().all(axis=1).to_numpy()
    groups = pd.Series(read_groups(adata, groupby, "groupby"), index=adata.obs_names)[has_fate]
    if groups.isna().any():
        groups = groups.cat.set_categories(
            [*groups.cat.categories.drop(UNKNOWN, errors="ignore"), UNKNOWN]
        ).fillna(UNKNOWN)
    by_group = tables["fate"][has_fate].groupby(groups, observed=True)
    means, counts = by_group.mean(), by_group.size()
    # a group of one cell has no spread between cells, only the error of its trajectories
    trajectory_errors = tables["fate_se"][has_fate].groupby(groups, observed=True).mean()
    errors = by_group.std().div(np.sqrt(counts), axis=0).fillna(trajectory_errors)
    n_descendants = (
        read_numbers(adata, Keys(key, "key").n_descendants, "key")[has_fate]
        .groupby(groups, observed=True)
        .mean()
    )
    names = [number_text(name) if isinstance(name, float) else str(name) for name in means.index]
    sizes = zip(names, counts, n_descendants, strict=True)
    labels = [f"{name}\n{n} cells × {n_each:.2g}" for name, n, n_each in sizes]
    figure, axes = make_axes(ax, height=max(0.5, 0.12 * len(means)), width=1.2)
    draw_bars(axes[0], means, errors, colors=colors, labels=labels, title="fate")
    axes[0].set(xlabel="share of the descendants", ylabel=groupby)
    return figure, axes
