"""Plot of the prediction errors of left-out snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.write.store import read_params, read_table
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, VALIDATION
from scdiffot.pl._base.figure import finish, foreground, make_axes

if TYPE_CHECKING:
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

# column -> label, colour, marker
PREDICTIONS = {
    "w1_previous": ("snapshot before", "#bdbdbd", "<"),
    "w1_next": ("snapshot after", "#bdbdbd", ">"),
    "w1_pooled": ("both, mixed", "#8c8c8c", "s"),
    "w1_mccann": ("optimal transport", "#e08214", "D"),
    "w1": ("scdiffot", "#2166ac", "o"),
}


@fill_parameters
def validation(
    adata: AnnData | MuData,
    *,
    key: str = DEFAULT,
    ax: Axes | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw the prediction errors of left-out snapshots, with those of baselines.

    The baselines are the neighbouring snapshots, their mixture, and optimal transport. Black lines
    show the sampling noise: the distance between random halves of a snapshot.

    Parameters
    ----------
    adata
        Cells with a fit on which :func:`scdiffot.tl.validate` was run.
    %(key)s
    %(ax)s
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit or no validation.

    See Also
    --------
    scdiffot.tl.validate : compute the prediction errors.
    scdiffot.pl.history : draw the losses and the distances to the snapshots of the fit.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.validate(adata, "time")
    >>> figure = sdo.pl.validation(adata, return_fig=True)
    """
    table = read_table(adata, key, VALIDATION, source="tl.validate(adata)")
    figure, axes = make_axes(ax)
    ax_ = axes[0]
    x = np.arange(len(table))
    for i, (column, (label, color, marker)) in enumerate(PREDICTIONS.items()):
        shift = 0.12 * (i - (len(PREDICTIONS) - 1) / 2)
        ax_.plot(x + shift, table[column], ls="", marker=marker, ms=8, color=color, label=label)
    for k, floor in zip(x, table["w1_floor"], strict=True):
        ax_.plot(
            [k - 0.35, k + 0.35],
            [floor, floor],
            color=foreground(),
            lw=2,
            label="sampling noise" if k == 0 else None,
        )
    ax_.set_xticks(x, table.index.astype(str))
    ax_.set_xlim(-0.6, len(table) - 0.4)
    ax_.set_ylim(bottom=0)
    ax_.set_xlabel(f"left-out {read_params(adata, key)['time_key']}")
    ax_.set_ylabel("$W_1$ to the snapshot (state)")
    ax_.legend(frameon=False, loc="center left", bbox_to_anchor=(1.01, 0.5))
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)
