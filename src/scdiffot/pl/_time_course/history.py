"""Plot of the training history."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.write.store import read_history, read_params, read_times
from scdiffot._utils.keys import DEFAULT
from scdiffot.pl._base.figure import finish, foreground, make_axes

if TYPE_CHECKING:
    from collections.abc import Sequence

    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

LOSSES = {"loss": "total", "loss_flow": "motion", "loss_growth": "growth", "loss_score": "score"}


def history(
    adata: AnnData | MuData,
    *,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the training losses and the distances of the roll-out to the snapshots.

    The regression targets are noisy, so the losses level off well above zero. The roll-out starts
    at the first snapshot. Black lines show the sampling noise: the distance between random halves
    of a snapshot.

    Parameters
    ----------
    adata
        Cells with a fit.
    key
        Name of the fit.
    ax
        Axes for the losses, or two axes for the losses and the distances.
    show
        Whether to show the figure; scanpy's setting by default.
    return_fig
        Whether to return the figure.

    Returns
    -------
    The figure if `return_fig`, None if the figure is shown, and the axes otherwise.

    Raises
    ------
    KeyError
        If there is no fit.
    ValueError
        If `ax` has more than two axes.

    See Also
    --------
    scdiffot.tl.fit : run the training that is drawn.
    scdiffot.pl.validation : draw the prediction errors of left-out snapshots.
    scdiffot.pl.population : draw the simulated populations at the snapshots.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> figure = sdo.pl.history(adata, return_fig=True)
    """
    record = read_history(adata, key)
    times = read_times(adata, key)
    figure, axes = make_axes(ax, 2)
    if len(axes) > 2:
        raise ValueError(f"`ax` has {len(axes)} axes: pass 2, or 1 for the losses alone.")
    _draw_losses(axes[0], record)
    if len(axes) > 1:
        labels = [times.label(t) for t in record["times"]]
        _draw_distances(axes[1], record, labels, str(read_params(adata, key)["time_key"]))
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _draw_losses(ax: Axes, record: dict) -> None:
    for name, label in LOSSES.items():
        values = np.asarray(record[name])
        if values.any():
            ax.plot(record["step"], values, label=label, lw=2.2 if name == "loss" else 1.3)
    ax.set_yscale("log")
    ax.set_xlabel("step")
    ax.set_ylabel("loss")
    ax.legend(frameon=False, loc="upper right", ncols=2)
    ax.margins(y=0.25)


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
