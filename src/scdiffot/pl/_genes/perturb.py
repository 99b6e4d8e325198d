"""Plot of the effects of gene perturbations on fates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, choose_names
from scdiffot._data.write.perturbation import read_one
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import ALL, DEFAULT
from scdiffot.pl._base.figure import background, finish, foreground, make_axes
from scdiffot.pl._base.points import draw_legend
from scdiffot.pl._base.shares import class_colors

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# half-width of a 95 % confidence interval in standard errors
Z_95 = 1.96
SIGNIFICANCE_LEVEL = 0.05
# fates with smaller shares have no mark
MIN_SHARE = 0.01


@fill_parameters
def perturb(
    adata: AnnData | MuData,
    name: str | None = None,
    *,
    kind: Literal["composition", "shift"] = "composition",
    sources: Sequence[str] | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the fates of cells with and without a gene perturbation, or their difference.

    Whiskers are 95 % confidence intervals of the simulation. Colours are those of the cell types
    (``adata.uns["<cell_key>_colors"]``).

    Parameters
    ----------
    adata
        Cells on which :func:`scdiffot.tl.perturb` was run.
    name
        Name of the perturbation; optional if there is only one.
    kind
        ``"composition"``: two stacked bars for each type of the perturbed cells, control (paler)
        and perturbed; the label of the second gives the ratio of the numbers of descendants.
        ``"shift"``: the difference of the shares for each fate, filled where the corrected p value
        is below 0.05.
    sources
        Types of the perturbed cells to draw, in this order; by default all types, and all cells
        pooled.
    %(key)s
    %(ax)s
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit, perturbation or source of this name.
    ValueError
        If `kind` is neither of the two, or `name` is None and there are several perturbations.

    See Also
    --------
    scdiffot.tl.perturb : simulate the perturbation.
    scdiffot.get.perturbation : return the result as a table.
    scdiffot.pl.perturb_screen : draw a screen of many genes.
    scdiffot.pl.fate : draw the fates of unperturbed cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", n_trajectories=20)
    >>> figure = sdo.pl.perturb(adata, return_fig=True)
    """
    check_choice("kind", kind, ("composition", "shift"))
    result = read_one(adata, key, name)
    available = [str(source) for source in result["sources"]]
    if sources is not None:
        selected_sources = choose_names("sources", sources, available)
    else:
        # with a single type, it equals all cells
        selected_sources = available if len(available) > 2 else available[:1]
    rows = [available.index(source) for source in selected_sources]
    colors = class_colors(adata, str(result["cell_key"]), [str(fate) for fate in result["fates"]])
    figure, axes = make_axes(ax, height=0.3 + 0.2 * len(rows), width=1.3)
    draw = _draw_composition if kind == "composition" else _draw_shift
    draw(axes[0], result, rows, colors)
    axes[0].set(title=_title(result), ylabel=str(result["cell_key"]))
    axes[0].spines[["top", "right", "left"]].set_visible(False)
    axes[0].tick_params(axis="y", length=0)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _title(result: dict[str, Any]) -> str:
    kind_texts = {
        "knockout": "knocked out",
        "knockdown": "knocked down",
        "overexpress": "over-expressed",
    }
    values = np.asarray(result["values"], dtype=float)
    description = kind_texts[str(result["kind"])] if np.isnan(values).all() else "set"
    return (
        f"{result['name']} {description}, {'sustained' if result['sustained'] else 'at the start'}"
    )


def _draw_composition(
    ax: Axes, result: dict[str, Any], rows: list[int], colors: dict[str, Any]
) -> None:
    positions, labels = [], []
    # error bars of neighbouring segments are offset, so that they do not overlap
    heights = np.resize([0.14, 0.0, -0.14], len(colors))
    for i, row in enumerate(rows):
        for is_perturbed, arm in enumerate(("control", "perturbed")):
            y, offset = -2.6 * i - is_perturbed, 0.0
            shares, errors = result[arm][row], result[f"{arm}_se"][row]
            for color, share, error, height in zip(
                colors.values(), shares, errors, heights, strict=True
            ):
                ax.barh(
                    y,
                    share,
                    left=offset,
                    height=0.86,
                    color=color,
                    alpha=1.0 if is_perturbed else 0.55,
                    edgecolor=background(),
                    linewidth=0.5,
                )
                offset += share
                if share > MIN_SHARE:
                    ax.errorbar(
                        offset, y + height, xerr=Z_95 * error, color=foreground(), lw=1, capsize=1.5
                    )
            positions.append(y)
        name = "all cells" if str(result["sources"][row]) == ALL else str(result["sources"][row])
        labels += [f"{name}   control", f"× {result['mass_ratio'][row]:.2f}   changed"]
    ax.set_yticks(positions, labels)
    ax.set(xlim=(0, 1), ylim=(positions[-1] - 0.8, 0.8))
    ax.set_xlabel("share of the descendants")
    draw_legend(
        ax,
        "fate",
        {n: c for k, (n, c) in enumerate(colors.items()) if _visible_fates(result, rows)[k]},
    )


def _draw_shift(ax: Axes, result: dict[str, Any], rows: list[int], colors: dict[str, Any]) -> None:
    visible = np.flatnonzero(_visible_fates(result, rows))
    names = list(colors)
    offsets = np.linspace(0.36, -0.36, len(visible)) if len(visible) > 1 else np.zeros(1)
    ax.axvline(0, color="#808080", lw=0.8, zorder=0)
    for i, row in enumerate(rows):
        if i % 2:
            ax.axhspan(-i - 0.5, -i + 0.5, color=foreground(), alpha=0.05, lw=0, zorder=-1)
        visible_in_row = _visible_fates(result, [row])
        for k, offset in zip(visible, offsets, strict=True):
            if not visible_in_row[k]:
                continue
            color = colors[names[k]]
            significant = result["p_adjusted"][row, k] < SIGNIFICANCE_LEVEL
            ax.errorbar(
                result["shift"][row, k],
                -i + offset,
                xerr=Z_95 * result["se"][row, k],
                fmt="o",
                ms=5,
                color=color,
                mfc=color if significant else background(),
                lw=1.2,
            )
    ax.set_yticks(
        -np.arange(len(rows)),
        [
            "all cells" if str(result["sources"][r]) == ALL else str(result["sources"][r])
            for r in rows
        ],
    )
    ax.set_ylim(-len(rows) + 0.5, 0.5)
    ax.set_xlabel("change of the share of the descendants")
    draw_legend(ax, "fate", {names[k]: colors[names[k]] for k in visible})


def _visible_fates(result: dict[str, Any], rows: list[int]) -> np.ndarray:
    """Return a mask of the fates with a large enough share in some source."""
    largest: np.ndarray = np.maximum(result["control"][rows], result["perturbed"][rows]).max(axis=0)
    return largest > MIN_SHARE
