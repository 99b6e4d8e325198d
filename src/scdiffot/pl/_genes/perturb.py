"""What a change of genes does to fates."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from scdiffot._data.read.checks import check_choice, choose_names
from scdiffot._data.write.perturbation import read_one
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

# Half the width of a 95 % interval, in standard errors, and what counts as certain
WIDTH, LEVEL = 1.96, 0.05
# Share of the descendants of some source that makes a fate worth a mark
SEEN = 0.01


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
    """Draw the fates of cells with and without a change of genes, or their difference.

    Intervals are those of 95 % of the simulation. Colours are those of the cell types (``adata.uns["<cell_key>_colors"]``).

    Parameters
    ----------
    adata
        Cells that :func:`scdiffot.tl.perturb` has followed.
    name
        Name of the perturbation; not needed if there is only one.
    kind
        ``"composition"``: two stacked bars for every type of the changed cells, without the change (paler) and with it; beside the
        second, the number of descendants as a multiple of that of the first. ``"shift"``: the difference of the two for every fate;
        filled where the corrected p value is below 0.05.
    sources
        Types of the changed cells to draw, in this order; by default all types, and all cells together.
    key
        Name of the fit.
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
        If there is no fit, perturbation or source of this name.
    ValueError
        If `kind` is none of the two, or `name` is missing and there are several.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.perturb(adata, {"X": 0.0}, "cell_type", n_trajectories=20)
    >>> figure = sdo.pl.perturb(adata, return_fig=True)
    """
    check_choice("kind", kind, ("composition", "shift"))
    found = read_one(adata, key, name)
    there = [str(source) for source in found["sources"]]
    if sources is not None:
        chosen = choose_names("sources", sources, there)
    else:
        # one type is all cells
        chosen = there if len(there) > 2 else there[:1]
    rows = [there.index(source) for source in chosen]
    colors = class_colors(adata, str(found["cell_key"]), [str(fate) for fate in found["fates"]])
    figure, axes = make_axes(ax, height=0.3 + 0.2 * len(rows), width=1.3)
    draw = _draw_composition if kind == "composition" else _draw_shift
    draw(axes[0], found, rows, colors)
    axes[0].set(title=_title(found), ylabel=str(found["cell_key"]))
    axes[0].spines[["top", "right", "left"]].set_visible(False)
    axes[0].tick_params(axis="y", length=0)
    return finish(figure, axes, given=ax is not None, show=show, return_fig=return_fig)


def _title(found: dict[str, Any]) -> str:
    verbs = {
        "knockout": "knocked out",
        "knockdown": "knocked down",
        "overexpress": "over-expressed",
    }
    values = np.asarray(found["values"], dtype=float)
    what = verbs[str(found["kind"])] if np.isnan(values).all() else "set"
    return f"{found['name']} {what}, {'sustained' if found['sustained'] else 'at the start'}"


def _draw_composition(
    ax: Axes, found: dict[str, Any], rows: list[int], colors: dict[str, Any]
) -> None:
    places, labels = [], []
    # neighbouring errors lie on different heights, so that they do not cover each other
    heights = np.resize([0.14, 0.0, -0.14], len(colors))
    for i, row in enumerate(rows):
        for below, arm in enumerate(("control", "perturbed")):
            y, left = -2.6 * i - below, 0.0
            shares, errors = found[arm][row], found[f"{arm}_se"][row]
            for color, share, error, height in zip(
                colors.values(), shares, errors, heights, strict=True
            ):
                ax.barh(
                    y,
                    share,
                    left=left,
                    height=0.86,
                    color=color,
                    alpha=1.0 if below else 0.55,
                    edgecolor=background(),
                    linewidth=0.5,
                )
                left += share
                if share > SEEN:
                    ax.errorbar(
                        left, y + height, xerr=WIDTH * error, color=foreground(), lw=1, capsize=1.5
                    )
            places.append(y)
        name = "all cells" if str(found["sources"][row]) == ALL else str(found["sources"][row])
        labels += [f"{name}   control", f"× {found['mass_ratio'][row]:.2f}   changed"]
    ax.set_yticks(places, labels)
    ax.set(xlim=(0, 1), ylim=(places[-1] - 0.8, 0.8))
    ax.set_xlabel("share of the descendants")
    draw_legend(
        ax, "fate", {n: c for k, (n, c) in enumerate(colors.items()) if _seen(found, rows)[k]}
    )


def _draw_shift(ax: Axes, found: dict[str, Any], rows: list[int], colors: dict[str, Any]) -> None:
    seen = np.flatnonzero(_seen(found, rows))
    names = list(colors)
    offsets = np.linspace(0.36, -0.36, len(seen)) if len(seen) > 1 else np.zeros(1)
    ax.axvline(0, color="#808080", lw=0.8, zorder=0)
    for i, row in enumerate(rows):
        if i % 2:
            ax.axhspan(-i - 0.5, -i + 0.5, color=foreground(), alpha=0.05, lw=0, zorder=-1)
        here = _seen(found, [row])
        for k, offset in zip(seen, offsets, strict=True):
            if not here[k]:
                continue
            color = colors[names[k]]
            certain = found["p_adjusted"][row, k] < LEVEL
            ax.errorbar(
                found["shift"][row, k],
                -i + offset,
                xerr=WIDTH * found["se"][row, k],
                fmt="o",
                ms=5,
                color=color,
                mfc=color if certain else background(),
                lw=1.2,
            )
    ax.set_yticks(
        -np.arange(len(rows)),
        [
            "all cells" if str(found["sources"][r]) == ALL else str(found["sources"][r])
            for r in rows
        ],
    )
    ax.set_ylim(-len(rows) + 0.5, 0.5)
    ax.set_xlabel("change of the share of the descendants")
    draw_legend(ax, "fate", {names[k]: colors[names[k]] for k in seen})


def _seen(found: dict[str, Any], rows: list[int]) -> np.ndarray:
    """Fates that matter to some source."""
    largest: np.ndarray = np.maximum(found["control"][rows], found["perturbed"][rows]).max(axis=0)
    return largest > SEEN
