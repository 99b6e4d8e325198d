"""Genes along trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot._data.read.checks import check_count, check_flag, choose_names
from scdiffot._data.write.store import read_params, read_table
from scdiffot._utils.keys import DEFAULT, TRAJECTORY_GENES
from scdiffot.pl._base.figure import finish, flat_axes, make_axes
from scdiffot.pl._base.shares import class_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# Bands of more fates than these cover each other; lines stay.
MOST_BANDS = 5


def trajectory_genes(
    adata: AnnData | MuData,
    genes: str | Sequence[str] | None = None,
    *,
    n_genes: int = 8,
    fates: str | Sequence[str] | None = None,
    bands: bool | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the expression of genes along the trajectories to every fate: means, and bands between the quantiles of trajectories.

    Colours are those of the cell types (``adata.uns["<cell_key>_colors"]``).

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.trajectory_genes` was run.
    genes
        Genes that get a panel; by default those in which fates differ most, of every fate in turn.
    n_genes
        Their number. With axes given, as many as there are axes.
    fates
        Fates to draw, all by default.
    bands
        Whether to draw bands; by default if there are at most five fates.
    key
        Name of the fit.
    ax
        Axes to draw on, one for every gene.
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
        If there is no fit, fate or gene of that name, or the genes have not been followed.
    ValueError
        If `n_genes` is not positive, or the number of axes is not that of the genes.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.trajectory_genes(adata, "cell_type", n_trajectories=5)
    >>> figure = sdo.pl.trajectory_genes(adata, return_fig=True)
    """
    found = read_table(adata, key, TRAJECTORY_GENES, source="tl.trajectory_genes(adata, cell_key)")
    check_count("n_genes", n_genes, 1)
    there = [str(fate) for fate in found["fates"]]
    drawn = there if fates is None else choose_names("fates", fates, there)
    if ax is not None and genes is None:
        n_genes = len(flat_axes(ax))
    if genes is None:
        names = _most_different(found["ranking"], drawn, n_genes)
    else:
        reason = "which tl.trajectory_genes was run without"
        names = choose_names("genes", genes, found["genes"], reason=reason)
    figure, axes = make_axes(ax, len(names))
    if len(axes) != len(names):
        raise ValueError(f"`ax` has {len(axes)} axes: pass {len(names)}, one for every gene.")
    colors = class_colors(adata, str(found["cell_key"]), drawn)
    bands = len(drawn) <= MOST_BANDS if bands is None else check_flag("bands", bands)
    position = {str(gene): i for i, gene in enumerate(found["genes"])}
    time_key = read_params(adata, key)["time_key"]
    for ax_, gene in zip(axes, names, strict=True):
        for fate in drawn:
            _draw(
                ax_,
                found,
                there.index(fate),
                position[gene],
                color=colors[fate],
                label=fate,
                band=bands,
            )
        ax_.set_title(gene, fontsize="small" if len(gene) > 20 else "medium")
        ax_.set_xlim(found["times"][0], found["times"][-1])
        ax_.set(xlabel=time_key, ylabel="expression")
        ax_.spines[["top", "right"]].set_visible(False)
    _legend(axes[-1] if ax is not None else figure, axes[0], title="fate")
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _draw(
    ax: Axes, found: Any, fate: int, gene: int, *, color: Any, label: str, band: bool
) -> None:
    times = found["times"]
    ax.plot(times, found["mean"][fate, :, gene], color=color, lw=2, label=label)
    if band:
        low, high = found["low"][fate, :, gene], found["high"][fate, :, gene]
        ax.fill_between(times, low, high, color=color, alpha=0.18, lw=0)


def _legend(where: Axes | Figure, drawn: Axes, *, title: str) -> None:
    """A legend of lines beside the axes or all panels."""
    from matplotlib.axes import Axes

    handles, labels = drawn.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "outside right center"}
    if isinstance(where, Axes):
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    where.legend(handles, labels, title=title, frameon=False, ncols=-(-len(labels) // 16), **place)


def _most_different(ranking: pd.DataFrame, fates: Sequence[str], n: int) -> list[str]:
    """Genes at the top of the fates, of every fate in turn, each once."""
    tables = [ranking.loc[ranking["fate"] == fate, "gene"].tolist() for fate in fates]
    in_turn = [gene for level in zip(*tables, strict=True) for gene in level]
    return list(dict.fromkeys(in_turn))[:n]
