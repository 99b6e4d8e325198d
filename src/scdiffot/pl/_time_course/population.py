"""Plot of observed and simulated populations."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_count
from scdiffot._data.write.derived import fit_digest
from scdiffot._data.write.store import read_model
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT
from scdiffot._utils.number_text import number_text
from scdiffot.pl._base.figure import finish, foreground, make_axes
from scdiffot.pl._base.paths import check_paths
from scdiffot.pl._base.plane import Plane, find_plane
from scdiffot.pl._base.points import GREY, TIME_MAP, point_size, random_subset

if TYPE_CHECKING:
    from collections.abc import Sequence

    import xarray as xr
    from anndata import AnnData
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure
    from mudata import MuData

    from scdiffot.core import Trajectories

SIMULATED_COLOR = "#2166ac"


@fill_parameters
def population(
    adata: AnnData | MuData,
    paths: Trajectories | xr.Dataset,
    *,
    basis: str | None = None,
    n_max: int = 2000,
    key: str = DEFAULT,
    ax: Axes | Sequence[Axes] | None = None,
    show: bool | None = None,
    return_fig: bool = False,
) -> Figure | Axes | list[Axes] | None:
    """Draw simulated and observed populations at every snapshot, and the mass over time.

    Particles are resampled in proportion to their weights, so the densities of both point clouds
    are comparable.

    Parameters
    ----------
    %(fit)s
    paths
        Trajectories that :func:`scdiffot.tl.simulate` returned for the cells of one time point,
        or their dataset.
    basis
        Embedding, of which the first two dimensions are drawn; by default the representation of the
        fit. On another embedding, a particle is placed at its nearest cells. One-dimensional states
        are drawn as histograms.
    n_max
        Maximum number of cells, and of particles, to draw at each snapshot.
    %(key)s
    ax
        Axes to draw on: one for each snapshot in the time range of `paths`, and optionally one more
        for the mass. On a single axis, all snapshots are overlaid, coloured by time.
    %(show)s

    Returns
    -------
    %(figure)s

    Raises
    ------
    KeyError
        If there is no fit or embedding.
    ValueError
        If `paths` belongs to another fit, has another dimension or covers no snapshot, or the
        number of axes does not match.

    See Also
    --------
    scdiffot.tl.simulate : simulate the trajectories.
    scdiffot.pl.trajectories : draw single trajectories over the cells.
    scdiffot.pl.validation : draw the prediction errors of left-out snapshots.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> paths = sdo.tl.simulate(adata, t0=0, t1=6)
    >>> figure = sdo.pl.population(adata, paths, return_fig=True)
    """
    check_count("n_max", n_max, 1)
    model = read_model(adata, key)
    plane = find_plane(adata, basis, key=key)
    paths = check_paths(paths, plane.states.shape[1], fit_digest(adata, key))
    low, high = np.sort(paths.times[[0, -1]])
    snapshot_times = [t for t in plane.times.points if low <= t <= high]
    if not snapshot_times:
        raise ValueError(
            f"`paths` covers the times from {number_text(low)} to {number_text(high)}, where "
            "there is no snapshot: simulate longer."
        )
    n_snapshots = len(snapshot_times)
    figure, axes = make_axes(ax, n_snapshots + 1)
    if len(axes) not in (1, n_snapshots, n_snapshots + 1):
        raise ValueError(
            f"`ax` has {len(axes)} axes: pass 1, {n_snapshots} (snapshots) or {n_snapshots + 1} "
            "(with the mass)."
        )
    if len(axes) == 1:
        for i, t in enumerate(snapshot_times):
            _draw_overlay(axes[0], plane, paths, t, n_max, first=i == 0)
        plane.label_axes(axes[0])
    else:
        limits = _limits(plane)
        for i, (ax_, t) in enumerate(zip(axes, snapshot_times, strict=False)):
            _draw_snapshot(ax_, plane, paths, t, n_max, first=i == 0)
            if not plane.over_time:
                ax_.set(xlim=limits[0], ylim=limits[1])
        for ax_ in axes[n_snapshots:]:
            _draw_mass(ax_, plane, paths, model.times, model.masses)
    return finish(figure, axes, external=ax is not None, show=show, return_fig=return_fig)


def _sample_populations(
    plane: Plane, paths: Trajectories, time: float, n_max: int
) -> tuple[np.ndarray, np.ndarray]:
    """Return coordinates of observed cells and of particles resampled by weight."""
    cells = plane.times.cells(time)
    cells = cells[random_subset(len(cells), n_max)]
    states, weights = paths.at(time)
    n = min(n_max, len(states))
    # systematic resampling: a particle occurs in proportion to its weight, up to rounding
    indices = np.searchsorted(np.cumsum(weights) / weights.sum(), (np.arange(n) + 0.5) / n).clip(
        0, len(states) - 1
    )
    return plane.points[cells], plane.place(states[indices], np.full(n, time))


def _draw_snapshot(
    ax: Axes, plane: Plane, paths: Trajectories, time: float, n_max: int, *, first: bool
) -> None:
    observed, simulated = _sample_populations(plane, paths, time, n_max)
    ax.set_title(f"{plane.times.column} {plane.times.label(time)}")
    if plane.over_time:
        bins = np.histogram_bin_edges(np.r_[observed[:, 1], simulated[:, 1]], bins=40).tolist()
        ax.hist(observed[:, 1], bins, density=True, color=GREY, label="observed")
        ax.hist(
            simulated[:, 1],
            bins,
            density=True,
            histtype="step",
            color=SIMULATED_COLOR,
            lw=2,
            label="simulated",
        )
        ax.set_xlabel(plane.labels[1])
        ax.set_ylabel("density")
    else:
        size = point_size(max(len(observed), len(simulated)), ax)
        options: dict[str, Any] = {"s": size, "linewidths": 0, "rasterized": True}
        ax.scatter(observed[:, 0], observed[:, 1], c=GREY, label="observed", **options)
        ax.scatter(
            simulated[:, 0],
            simulated[:, 1],
            color=SIMULATED_COLOR,
            alpha=0.6,
            label="simulated",
            **options,
        )
        ax.set_xlabel(plane.labels[0])
        ax.set_ylabel(plane.labels[1])
    if first:
        scale: dict[str, Any] = {} if plane.over_time else {"markerscale": (40 / size) ** 0.5}
        ax.legend(frameon=False, loc="best", **scale)


def _draw_overlay(
    ax: Axes, plane: Plane, paths: Trajectories, time: float, n_max: int, *, first: bool
) -> None:
    observed, simulated = _sample_populations(plane, paths, time, n_max)
    size = point_size(3 * max(len(observed), len(simulated)), ax)
    options: dict[str, Any] = {"rasterized": True, "color": _time_color(plane, time)}
    ax.scatter(observed[:, 0], observed[:, 1], s=size, alpha=0.25, linewidths=0, **options)
    subset = random_subset(len(simulated), 150)
    label = f"{plane.times.column} {plane.times.label(time)}"
    ax.scatter(
        simulated[subset, 0],
        simulated[subset, 1],
        s=18,
        alpha=0.9,
        linewidths=0.4,
        edgecolors=foreground(),
        label=label,
        zorder=3,
        **options,
    )
    ax.legend(
        frameon=False,
        loc="center left",
        bbox_to_anchor=(1.01, 0.5),
        title="simulated (observed: pale)",
    )


def _draw_mass(
    ax: Axes, plane: Plane, paths: Trajectories, times: np.ndarray, masses: np.ndarray
) -> None:
    order = np.argsort(paths.times)
    start = np.exp(np.interp(paths.times[0], times, np.log(masses)))
    ax.plot(
        paths.times[order],
        start * paths.weights.mean(axis=1)[order],
        color=SIMULATED_COLOR,
        lw=2,
        label="simulated",
    )
    ax.plot(times, masses, ls="", marker="o", color=foreground(), label="observed")
    ax.set_xlabel(plane.times.column)
    ax.set_ylabel("mass, relative to the first snapshot")
    ax.set_ylim(0, 1.12 * max(masses.max(), start * float(paths.weights.mean(axis=1).max())))
    ax.legend(frameon=False, loc="lower right")


def _time_color(plane: Plane, time: float) -> tuple[float, ...]:
    from matplotlib import colormaps

    first, last = plane.times.points[[0, -1]]
    return colormaps[TIME_MAP](0.9 * (time - first) / ((last - first) or 1.0))


def _limits(plane: Plane) -> tuple[tuple[float, float], tuple[float, float]]:
    low, high = plane.points.min(axis=0), plane.points.max(axis=0)
    margin = 0.05 * (high - low).max()
    return (float(low[0] - margin), float(high[0] + margin)), (
        float(low[1] - margin),
        float(high[1] + margin),
    )
