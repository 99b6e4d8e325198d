"""Plot of the evaluation of predicted responses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import choose_names
from scdiffot._data.responses.evaluation import read_evaluation
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, foreground, make_axes
from scdiffot.pl._base.points import draw_legend

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

FLOOR = "observed"
# metric -> label, direction of improvement
METRICS = {
    "unexplained": ("unexplained response of cells", "less is better"),
    "energy_distance": ("energy distance", "less is better"),
    "mmd": ("MMD$^2$", "less is better"),
    "l2_of_means": ("$L_2$ of means", "less is better"),
    "marginal_distance": ("$W_1$ of marginals", "less is better"),
    "pearson_of_means": ("Pearson r of means", "more is better"),
    "r2_of_means": ("$R^2$ of means", "more is better"),
    "feature_correlation_r": ("r of feature correlations", "more is better"),
    "enrichment": ("enrichment", "0.5 is best"),
}
METHODS = {
    "gaussian": "Gaussian map",
    "mean_shift": "mean shift",
    "copy": "training cells",
    "identity": "no response",
}
ZERO_BASED_METRICS = ("unexplained", "l2_of_means", "marginal_distance")
MODEL_COLOR, CONTROL_COLOR = "#2166ac", "#8c8c8c"


@fill_parameters
def response_evaluation(
    adata: AnnData | MuData,
    metrics: str | Sequence[str] | None = None,
    *,
    methods: Sequence[str] | None = None,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the scores of predicted responses of held-out cells, with those of baselines.

    Panels are metrics, rows are methods, and points are folds and targets, with bootstrap
    intervals. The black line is the floor: the score of one half of the treated cells against the
    other, averaged over folds and targets. The grey band is the interval over random halves.

    Parameters
    ----------
    adata
        Cells with an evaluation by :func:`scdiffot.tl.evaluate_response`.
    metrics
        Metrics to draw; all by default.
    methods
        Methods to draw, from top to bottom; all by default. Without ``"identity"``, differences
        between the other methods are easier to see.
    key
        Name of the evaluation.
    ax
        Axes to draw on, one for each metric.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no evaluation, or no such metric or method.
    ValueError
        If the number of axes is not the number of metrics.

    See Also
    --------
    scdiffot.tl.evaluate_response : compute the scores.
    scdiffot.pl.response : draw a predicted response.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(600, n_dims=10)
    >>> sdo.tl.evaluate_response(
    ...     adata,
    ...     "condition",
    ...     "control",
    ...     target="drug",
    ...     config={"train": {"n_steps": 30}},
    ...     n_boot=20,
    ... )
    >>> figure = sdo.pl.response_evaluation(adata, "energy_distance", return_fig=True)
    """
    table = read_evaluation(adata, key)
    available = table["metric"].astype(str).unique().tolist()
    selected_metrics = [m for m in METRICS if m in available]
    if metrics is not None:
        selected_metrics = choose_names("metrics", metrics, available)
    rows = [m for m in table["method"].astype(str).unique() if m != FLOOR]
    if methods is not None:
        rows = choose_names("methods", methods, rows)
    table = table.assign(series=_series(table))
    colors = _colors(table["series"].unique().tolist())
    figure, axes = make_axes(ax, len(selected_metrics), n_columns=3, height=0.3 + 0.11 * len(rows))
    if len(axes) != len(selected_metrics):
        raise ValueError(
            f"`ax` holds {len(axes)} axes for {len(selected_metrics)} metrics: pass one for each, "
            "or fewer `metrics`."
        )
    for panel, metric in zip(axes, selected_metrics, strict=True):
        _draw_metric(panel, table[table["metric"] == metric], rows, colors)
        if metric in ZERO_BASED_METRICS:
            panel.set_xlim(left=0)
        panel.locator_params(axis="x", nbins=4)
        label, direction = METRICS[metric]
        grid_position = panel.get_subplotspec()
        is_first = ax is not None or grid_position is None or grid_position.is_first_col()
        panel.set_xlabel(f"{label} ({direction})")
        panel.set_yticks(
            -np.arange(len(rows)),
            [METHODS.get(m, m) for m in rows] if is_first else [""] * len(rows),
        )
        panel.set_ylabel("prediction" if is_first else "")
    if len(colors) > 1:
        parent = axes[0] if len(axes) == 1 else figure
        draw_legend(parent, "held out" if table["split"].iloc[0] != "iid" else "split", colors)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _series(table: pd.DataFrame) -> pd.Series:
    """Return the fold of each row, with its target if there are several targets."""
    fold, target = table["fold"].astype(str), table["target"].astype(str)
    if target.nunique() == 1:
        return fold
    return target if fold.nunique() == 1 else fold + ", " + target


def _colors(series: list[str]) -> dict[str, Any]:
    import matplotlib as mpl

    if len(series) == 1:
        return {series[0]: MODEL_COLOR}
    if len(series) <= 10:
        colors = mpl.colormaps["tab10"].colors  # type: ignore[attr-defined]
        return dict(zip(series, colors, strict=False))
    return dict(
        zip(series, mpl.colormaps["turbo"](np.linspace(0.05, 0.95, len(series))), strict=True)
    )


def _draw_metric(ax: Axes, table: pd.DataFrame, rows: list[str], colors: dict[str, Any]) -> None:
    floor = table[table["method"] == FLOOR]
    if len(floor):
        ax.axvspan(
            float(floor["low"].mean()),
            float(floor["high"].mean()),
            color=foreground(),
            alpha=0.15,
            lw=0,
            zorder=0,
        )
        value = float(floor["value"].mean())
        ax.axvline(value, color=foreground(), lw=1.2, zorder=1)
        ax.text(value, 0.65, "floor", ha="center", va="bottom", fontsize="small")
    width = min(0.7 / max(len(colors), 1), 0.16)
    for y, method in enumerate(rows):
        for i, (name, color) in enumerate(colors.items()):
            scores = table[(table["method"] == method) & (table["series"] == name)]
            positions = np.full(len(scores), -y - width * (i - (len(colors) - 1) / 2))
            shade = CONTROL_COLOR if len(colors) == 1 and method in METHODS else color
            ax.hlines(positions, scores["low"], scores["high"], color=shade, lw=1.5, zorder=2)
            ax.plot(scores["value"], positions, ls="", marker="o", ms=5, color=shade, zorder=3)
    ax.set_ylim(-len(rows) + 0.4, 0.6)
    ax.spines[["top", "right", "left"]].set_visible(False)
    ax.tick_params(axis="y", length=0)
