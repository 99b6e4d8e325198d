"""Plot of the training history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.write.store import read_history, read_params, read_times
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, foreground, make_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# Losses and their labels; components of the total after it.
LOSSES = {
    "loss": "total",
    "loss_flow": "motion",
    "loss_growth": "growth",
    "loss_score": "score",
    "loss_mismatch": "mismatch",
    "loss_penalty": "penalty",
}
# Title of the panel if the stages are unknown, or share it.
ALL_STAGES = "training"


@fill_parameters
def history(
    adata: AnnData | MuData,
    *,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the losses of every stage, and the distances of the roll-out to the snapshots.

    One panel per stage. Shaded is twice the standard error of the total. A regression has converged
    where its loss changes by less than that: its targets are noisy, so the losses, mean squared
    residuals, level off well above zero. Stages have different targets, and their levels cannot be
    compared; neither can those of rounds of correction between which sigma changes.

    The losses of the matching of autonomous fields are in multiples of the sampling error: the
    expected energy distance between two samples of one population. The matching has converged where
    the mismatch levels off. Below one (dashed) the model explains the snapshots up to sampling, and
    negative values are usual. If it levels off far above one, one law does not explain all
    snapshots; if it still falls at the end, `n_steps` of the matching is too small.

    The roll-out starts at the first snapshot. Black lines show the sampling noise: the distance
    between random halves of a snapshot.

    Parameters
    ----------
    %(fit)s
    %(key)s
    ax
        Axes of all panels: one per stage, and one for the distances. One or two axes show the
        regression losses of all stages together, and the distances on the second.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit.
    ValueError
        If `ax` has another number of axes.

    See Also
    --------
    scdiffot.tl.fit : run the training that is drawn.
    scdiffot.pl.validation : draw the prediction errors of left-out snapshots.
    scdiffot.pl.population : draw the simulated populations at the snapshots.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> figure = sdo.pl.history(adata, return_fig=True)
    """
    record = read_history(adata, key)
    times = read_times(adata, key)
    stages = _stages(record)
    n_panels = len(stages) + 1
    figure, axes = make_axes(ax, n_panels)
    if len(axes) not in (1, 2, n_panels):
        names = ", ".join(repr(name) for name, _ in stages)
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass {n_panels}, for {names} and the distances; 2, for "
            "the losses together and the distances; or 1 for the losses alone."
        )
    if len(axes) < n_panels:
        stages = [(ALL_STAGES, _together(record))]
    for ax_, (name, rows) in zip(axes, stages, strict=False):
        _draw_losses(ax_, {k: np.asarray(v)[rows] for k, v in record.items() if _is_column(k)})
        ax_.set_title(name)
    if len(axes) > len(stages):
        labels = [times.label(t) for t in record["times"]]
        _draw_distances(axes[-1], record, labels, str(read_params(adata, key)["time_key"]))
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _is_column(name: str) -> bool:
    return name == "step" or name.startswith("loss")


def _stages(record: dict) -> list[tuple[str, np.ndarray]]:
    """Names and rows of the stages in order; one for fits of versions without stages."""
    if "stage" not in record:
        return [(ALL_STAGES, _together(record))]
    column = record["stage"]
    return [(name, column == name) for name in dict.fromkeys(column.tolist())]


def _together(record: dict) -> np.ndarray:
    """Rows of regressions of all fields, whose losses have one unit."""
    return np.isfinite(record["loss_flow"])


def _draw_losses(ax: Axes, columns: dict) -> None:
    values = {name: columns[name] for name in LOSSES if np.nan_to_num(columns.get(name, 0)).any()}
    components = [name for name in values if name != "loss"]
    if len(components) == 1:
        # The only component is the total.
        values = {components[0]: columns["loss"]}
    for name, y in values.items():
        is_total = name == "loss" or len(values) == 1
        (line,) = ax.plot(columns["step"], y, label=LOSSES[name], lw=2.2 if is_total else 1.3)
        if is_total and "loss_error" in columns:
            error = 2 * np.nan_to_num(columns["loss_error"])
            ax.fill_between(
                columns["step"], y - error, y + error, color=line.get_color(), alpha=0.25, lw=0
            )
    if "loss_mismatch" in values:
        ax.axhline(1, color=foreground(), lw=1, ls="--", label="sampling error")
        # Unbiased estimates can be negative.
        ax.set_yscale("symlog", linthresh=1)
        ax.set_ylabel("loss (sampling errors)")
    else:
        # A single loss is nearly constant.
        ax.set_yscale("log" if len(values) > 1 else "linear")
        ax.set_ylabel("loss (squared residual)")
    ax.set_xlabel("step")
    ax.legend(frameon=False, loc="upper right", ncols=2)
    # Space for the legend.
    ax.margins(y=0.45)


def _draw_distances(ax: Axes, record: dict, labels: list[str], time_key: str) -> None:
    # the roll-out starts at the first snapshot, which therefore has no error
    x = np.arange(len(labels) - 1)
    ax.bar(x, np.asarray(record["w1"])[1:], width=0.6, color="C0", label="roll-out")
    for k, floor in zip(x, np.asarray(record["w1_floor"])[1:], strict=True):
        ax.plot(
            [k - 0.4, k + 0.4],
            [floor, floor],
            color=foreground(),
            lw=2,
            label="sampling noise" if k == 0 else None,
        )
    ax.set_xticks(x, labels[1:])
    ax.set_xlabel(time_key)
    ax.set_ylabel("$W_1$ to the snapshot (state)")
    ax.margins(y=0.25)
    ax.legend(frameon=False, loc="upper left", ncols=2)
