"""Spots of a tissue on the paper: how large they are, where the window lies, and what their colours mean."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import suggest
from scdiffot._data.read.columns import as_groups, find_column, read_column
from scdiffot._data.read.expression import dense, expression
from scdiffot._data.read.gene_names import gene_columns, gene_names
from scdiffot.pl._base.points import GREY, TIME_MAP, draw_legend, drawable, palette, thinned

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

PLAIN = "#4c78a8"
# Neighbour whose distance is the pitch of square and of hexagonal arrays, and close to that of scattered cells
PITCH_NEIGHBOR = 4
# Slices lie in one frame if all together are at most this much wider than the widest of them.
ONE_FRAME = 1.5
# Height of a row of the legend: inches
LEGEND_ROW = 0.25


@dataclass(frozen=True)
class Colors:
    """What spots are coloured by.

    Parameters
    ----------
    title
        Name of it, empty where all spots are alike.
    values
        Numbers, shape ``(n,)``, or colours, shape ``(n, 3)``.
    table
        Colour of every category; empty for numbers.
    style
        Map of colours and limits, for numbers.
    beyond
        At which ends values lie beyond the limits.
    """

    title: str
    values: np.ndarray
    table: dict[str, Any]
    style: dict[str, Any]
    beyond: str = "neither"

    @property
    def numeric(self) -> bool:
        """Whether there is a colour bar rather than a legend."""
        return bool(self.style)


def find_colors(
    adata: AnnData | MuData,
    color: str | np.ndarray | None,
    library_key: str | None,
    gene_symbols: str | None = None,
) -> Colors:
    """Resolve what the user wants spots to be coloured by.

    Parameters
    ----------
    adata
        The spots.
    color
        Column of `obs`, gene or an array with a value for every spot. None gives the slices, where `library_key` names them, or
        one colour.
    library_key
        Column with the slices.

    Raises
    ------
    KeyError
        If it is neither a column nor a gene.
    TypeError
        If it is none of those, or holds lists or dicts.
    ValueError
        If an array has the wrong length.
    """
    import pandas as pd
    from matplotlib.colors import to_rgb

    if color is None and library_key is None:
        return Colors("", np.tile(to_rgb(PLAIN), (adata.n_obs, 1)), {}, {})
    wanted = library_key if color is None else color
    if isinstance(wanted, str):
        title, values = wanted, _named(adata, wanted, gene_symbols)
    else:
        title, values = "", pd.Series(_given(adata, wanted))
        title = str(getattr(color, "name", None) or "")
    # flags are categories
    if getattr(values.dtype, "kind", "O") in "iuf":
        return _numbers(title, values.to_numpy(dtype=np.float64, na_value=np.nan))
    groups = as_groups(values, f"`color` {title!r}" if title else "`color`")
    holder, column = find_column(adata, title, "color") if isinstance(wanted, str) else (adata, "")
    table = palette(holder, column, groups)
    # spots without a category stay grey
    colors = np.array([to_rgb(c) for c in (*table.values(), GREY)])[groups.codes]
    return Colors(title, colors, table, {})


def _named(adata: AnnData | MuData, name: str, gene_symbols: str | None) -> Any:
    """A column of `obs`, or a gene of `X`."""
    import pandas as pd

    modality, _, rest = name.partition(":")
    mod = getattr(adata, "mod", {})
    if name in adata.obs.columns or (modality in mod and rest in mod[modality].obs.columns):
        return read_column(adata, name, "color")
    owner, gene = (mod[modality], rest) if modality in mod else (adata, name)
    if mod and owner is adata:
        owner = next((part for part in mod.values() if _has_gene(part, gene, gene_symbols)), adata)
    names = [known for known in gene_names(owner, gene_symbols) if known is not None]
    if gene not in names:
        columns = [*adata.obs.columns, *names]
        raise KeyError(
            f"`color` is {name!r}, which is neither a column of obs nor a gene. {suggest(name, columns)}"
        )
    at = gene_columns(owner, gene, argument="color", gene_symbols=gene_symbols)
    return pd.Series(dense(expression(owner, None, at))[:, 0], index=owner.obs_names).reindex(
        adata.obs_names
    )


def _has_gene(adata: AnnData, gene: str, gene_symbols: str | None) -> bool:
    # modalities may have other columns
    return (gene_symbols is None or gene_symbols in adata.var) and gene in gene_names(
        adata, gene_symbols
    )


def _given(adata: AnnData | MuData, values: Any) -> Any:
    if not hasattr(values, "__len__") or np.ndim(values) == 0:
        raise TypeError(
            f"`color` is a {type(values).__name__}: pass the name of a column or gene, or an array."
        )
    if np.ndim(values) != 1 or len(values) != adata.n_obs:
        raise ValueError(
            f"`color` has shape {np.shape(values)}: pass one value for each of the {adata.n_obs} spots."
        )
    return np.asarray(values)


def _numbers(title: str, values: np.ndarray) -> Colors:
    """Limits without the outermost values, symmetric around zero where there are both signs."""
    values = drawable(values)
    there = values[np.isfinite(values)]
    if len(there) == 0:
        raise ValueError(
            f"`color` {title!r} is NaN or infinite in all spots: name another column or gene."
        )
    if there.min() < 0 < there.max():
        high = float(np.quantile(np.abs(there), 0.98)) or 1.0
        low, name = -high, "coolwarm"
    else:
        low, high, name = float(there.min()), float(np.quantile(there, 0.99)), TIME_MAP
    # a gene that few spots express
    high = high if high > low else float(there.max())
    beyond = {
        (False, False): "neither",
        (True, False): "min",
        (False, True): "max",
        (True, True): "both",
    }
    style = {"cmap": name, "clim": (low, high)}
    return Colors(
        title, values, {}, style, beyond[bool(there.min() < low), bool(there.max() > high)]
    )


def pitches(parts: Sequence[np.ndarray]) -> list[float]:
    """Typical distances between neighbouring spots (n, 2) of slices; of slices without neighbours, that of the others."""
    from scipy.spatial import cKDTree

    distances = np.zeros(len(parts))
    for i, positions in enumerate(parts):
        k = min(PITCH_NEIGHBOR, len(positions) - 1)
        if k > 0:
            distances[i] = np.median(cKDTree(positions).query(positions, k=k + 1)[0][:, -1])
    known = distances > 0
    distances[~known] = np.median(distances[known]) if known.any() else 1.0
    return distances.tolist()


def windows(parts: Sequence[np.ndarray], margin: float) -> np.ndarray:
    """Corners (n, 2, 2) of windows of the same size around slices: the same one for all that lie in one frame.

    Slices without spots get the window of the first that has some.
    """
    first = next(part for part in parts if len(part))
    parts = [part if len(part) else first for part in parts]
    corners = np.array([[part.min(axis=0), part.max(axis=0)] for part in parts])
    size = np.diff(corners, axis=1).max(axis=(0, 1))
    low, high = corners[:, 0].min(axis=0), corners[:, 1].max(axis=0)
    if (high - low <= ONE_FRAME * size).all():
        return np.broadcast_to(np.array([low - margin, high + margin]), corners.shape)
    middle = corners.mean(axis=1, keepdims=True)
    return middle + (size / 2 + margin) * np.array([[-1.0], [1.0]])


def draw_spots(
    ax: Axes,
    positions: np.ndarray,
    colors: Colors,
    rows: np.ndarray,
    *,
    diameters: np.ndarray,
    alpha: float,
) -> Any:
    """Draw spots as circles whose diameters (n,) have the unit of the coordinates; those without a number are grey."""
    from matplotlib.collections import EllipseCollection

    # in random order, so that no slice covers another
    rows = rows[thinned(len(rows), len(rows))]
    values = colors.values[rows]
    there = np.isfinite(values) if colors.numeric else np.ones(len(rows), dtype=bool)

    def add(chosen: np.ndarray, **options: Any) -> Any:
        size = diameters[chosen]
        circles = EllipseCollection(
            size,
            size,
            np.zeros(len(chosen)),
            units="xy",
            offsets=positions[chosen],
            linewidths=0,
            **options,
        )
        return ax.add_collection(circles)

    options: dict[str, Any] = {"offset_transform": ax.transData, "rasterized": True}
    if not there.all():
        add(rows[~there], facecolors=GREY, alpha=0.4 * alpha, **options)
    if colors.numeric:
        return add(rows[there], array=values[there], alpha=alpha, **colors.style, **options)
    return add(rows, facecolors=values, alpha=alpha, **options)


def explain(
    figure: Figure, axes: Sequence[Axes], drawn: Any, colors: Colors, *, given: bool
) -> None:
    """Add the colour bar or the legend of all panels."""
    if colors.numeric:
        shrink = 0.8 if len(axes) <= 4 else 0.4
        bar = figure.colorbar(
            drawn, ax=list(axes), label=colors.title, extend=colors.beyond, shrink=shrink, aspect=25
        )
        if bar.solids is not None:
            bar.solids.set_alpha(1)
    elif colors.table:
        # rows that the figure has room for
        n_rows = max(2, int(figure.bbox.height / figure.dpi / LEGEND_ROW) - 1)
        draw_legend(
            axes[-1] if given or len(axes) == 1 else figure,
            colors.title,
            colors.table,
            n_rows=n_rows,
        )
