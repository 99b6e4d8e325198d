"""Plot of gene expression along trajectories."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot._data.read.checks import check_count, check_flag, choose_names
from scdiffot._data.write.store import read_params, read_table
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, TRAJECTORY_GENES
from scdiffot.pl._base.figure import finish, flatten_axes, make_axes
from scdiffot.pl._base.shares import class_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# the bands of more fates cover each other
MAX_BANDS = 5


@fill_parameters
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
    """Draw the mean expression of genes along the trajectories to every fate.

    Bands extend between quantiles of the trajectories. Colours are those of the cell types
    (``adata.uns["<cell_key>_colors"]``).

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.trajectory_genes` was run.
    genes
        Genes to draw; by default those that differ most between fates, taken from each fate in
        turn.
    n_genes
        Number of genes if `genes` is None; with `ax`, the number of axes is used instead.
    fates
        Fates to draw; all by default.
    bands
        Whether to draw bands; by default they are drawn for at most five fates.
    %(key)s
    ax
        Axes to draw on, one for every gene.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, fate, gene or analysis of genes.
    ValueError
        If `n_genes` is not positive, or the number of axes is not the number of genes.

    See Also
    --------
    scdiffot.tl.trajectory_genes : compute the expression along trajectories.
    scdiffot.pl.fate : draw the fates of cells.
    scdiffot.pl.trajectories : draw the trajectories.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.trajectory_genes(adata, "cell_type", n_trajectories=5)
    >>> figure = sdo.pl.trajectory_genes(adata, return_fig=True)
    """
    result = read_table(adata, key, TRAJECTORY_GENES, source="tl.trajectory_genes(adata, cell_key)")
    check_count("n_genes", n_genes, 1)
    available = [str(fate) for fate in result["fates"]]
    selected_fates = available if fates is None else choose_names("fates", fates, available)
    if ax is not None and genes is None:
        n_genes = len(flatten_axes(ax))
    if genes is None:
        names = _top_genes(result["ranking"], selected_fates, n_genes)
    else:
        reason = "which tl.trajectory_genes was run without"
        names = choose_names("genes", genes, result["genes"], reason=reason)
    figure, axes = make_axes(ax, len(names))
    if len(axes) != len(names):
        raise ValueError(f"`ax` has {len(axes)} axes: pass {len(names)}, one for every gene.")
    colors = class_colors(adata, str(result["cell_key"]), selected_fates)
    bands = len(selected_fates) <= MAX_BANDS if bands is None else check_flag("bands", bands)
    position = {str(gene): i for i, gene in enumerate(result["genes"])}
    time_key = read_params(adata, key)["time_key"]
    for ax_, gene in zip(axes, names, strict=True):
        for fate in selected_fates:
            _draw_gene(
                ax_,
                result,
                available.index(fate),
                position[gene],
                color=colors[fate],
                label=fate,
                band=bands,
            )
        ax_.set_title(gene, fontsize="small" if len(gene) > 20 else "medium")
        ax_.set_xlim(result["times"][0], result["times"][-1])
        ax_.set(xlabel=time_key, ylabel="expression")
        ax_.spines[["top", "right"]].set_visible(False)
    _add_legend(axes[-1] if ax is not None else figure, axes[0], title="fate")
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _draw_gene(
    ax: Axes, result: Any, fate: int, gene: int, *, color: Any, label: str, band: bool
) -> None:
    times = result["times"]
    ax.plot(times, result["mean"][fate, :, gene], color=color, lw=2, label=label)
    if band:
        low, high = result["low"][fate, :, gene], result["high"][fate, :, gene]
        ax.fill_between(times, low, high, color=color, alpha=0.18, lw=0)


def _add_legend(parent: Axes | Figure, source: Axes, *, title: str) -> None:
    """Add a legend of lines beside the axes or the figure."""
    from matplotlib.axes import Axes

    handles, labels = source.get_legend_handles_labels()
    place: dict[str, Any] = {"loc": "outside right center"}
    if isinstance(parent, Axes):
        place = {"loc": "center left", "bbox_to_anchor": (1.01, 0.5)}
    parent.legend(handles, labels, title=title, frameon=False, ncols=-(-len(labels) // 16), **place)


def _top_genes(ranking: pd.DataFrame, fates: Sequence[str], n: int) -> list[str]:
    """Return the highest-ranked distinct genes, taken from each fate in turn."""
    tables = [ranking.loc[ranking["fate"] == fate, "gene"].tolist() for fate in fates]
    in_turn = [gene for level in zip(*tables, strict=True) for gene in level]
    return list(dict.fromkeys(in_turn))[:n]
