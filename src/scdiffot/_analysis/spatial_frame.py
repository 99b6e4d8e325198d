"""Positions of the spots of all times in one frame."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.slices import check_slice, read_positions
from scdiffot._data.read.spatial_states import Tissue, check_weight, make_tissue
from scdiffot._data.write.alignment import make_alignment
from scdiffot._data.write.alignment_store import alignment_params, write_alignment
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.progress import cell_bar
from scdiffot.core.spatial.align.alignment import AlignConfig
from scdiffot.core.spatial.align.chains import align_chain, n_links

from .slice_checks import warn_units

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.read.snapshots import TimeSeries
    from scdiffot._data.write.alignment import SliceAlignment


@dataclass(frozen=True)
class SpatialFrame:
    """The tissue of a fit.

    Parameters
    ----------
    tissue
        How positions take part in the state.
    positions
        Coordinates of all spots in one frame, shape ``(n, 2)`` or ``(n, 3)``.
    alignment
        Motions of the slices into this frame; None if they were not aligned.
    params
        Options of the alignment.
    """

    tissue: Tissue
    positions: np.ndarray
    alignment: SliceAlignment | None
    params: dict[str, Any]

    def write(self, adata: AnnData | MuData, keys: Keys) -> None:
        """Write the aligned positions and the motions, if there was an alignment."""
        if self.alignment is not None:
            write_alignment(adata, keys, self.alignment, aligned=self.positions, params=self.params)


def add_positions(
    adata: AnnData | MuData,
    series: TimeSeries,
    keys: Keys,
    *,
    spatial_key: str | None,
    weight: Any,
    align: Any,
    show_progress: bool,
) -> tuple[TimeSeries, SpatialFrame | None]:
    """Add the positions of spots to their states, if there is a key of coordinates.

    Parameters
    ----------
    adata
        The spots.
    series
        Their times and states.
    keys
        Names of the fit.
    spatial_key
        Key of the coordinates, or None for states alone.
    weight
        Share of the positions in the variance of the state.
    align
        Whether to align; coordinates that an alignment wrote are not aligned again.
    show_progress
        Whether to show a progress bar.

    Raises
    ------
    TypeError, ValueError
        If positions or arguments cannot be used.
    """
    if spatial_key is None:
        return series, None
    frame = _read_frame(
        adata,
        series,
        keys,
        spatial_key=spatial_key,
        weight=weight,
        align=align,
        show_progress=show_progress,
    )
    return series.in_tissue(frame.tissue, frame.positions), frame


def _read_frame(
    adata: AnnData | MuData,
    series: TimeSeries,
    keys: Keys,
    *,
    spatial_key: str,
    weight: Any,
    align: Any,
    show_progress: bool,
) -> SpatialFrame:
    """Read positions, and remove the motion of every slice as a whole."""
    weight = check_weight(weight)
    states, times = series.states, series.times
    positions, name = read_positions(adata, spatial_key)
    if not isinstance(align, bool | np.bool_):
        raise TypeError(f"`spatial_align` is a {type(align).__name__}: pass True or False.")
    rows = {times.label(t): times.cells(t) for t in times.points}
    for label, cells in rows.items():
        check_slice(label, positions[cells])
    warn_units({label: positions[cells] for label, cells in rows.items()}, name)
    if not align or is_aligned(adata, name):
        return SpatialFrame(make_tissue(states, positions, name, weight), positions, None, {})
    if positions.shape[1] != 2:
        raise ValueError(
            f"`spatial_key` {name!r} has {positions.shape[1]} columns, and motions of slices are "
            "found in two dimensions only: align them before and pass spatial_align=False."
        )
    # Growth of the tissue beyond its previous outline is not a partial overlap.
    config = AlignConfig(partial=False)
    names = list(rows)
    parts = [(positions[cells], states[cells].astype(np.float64)) for cells in rows.values()]
    with cell_bar("pairs of slices", n_links(len(names)), show=show_progress) as progress:
        chain = align_chain(parts, config=config, progress=progress)
    alignment = make_alignment(names, names[0], chain, {})
    alignment.warn(
        "to decide otherwise, run scdiffot.tl.align_slices first (reflections=False if no slice "
        f"lies upside down), and pass `spatial_key`={keys.aligned!r}"
    )
    frame_positions = np.empty_like(positions)
    for label, cells in rows.items():
        frame_positions[cells] = alignment.apply(positions[cells], label)
    params = alignment_params(
        config, times.column, name, series.use_rep, states.shape[1], reference=names[0]
    )
    return SpatialFrame(
        make_tissue(states, frame_positions, keys.aligned, weight),
        frame_positions,
        alignment,
        params,
    )


def is_aligned(adata: AnnData | MuData, name: str) -> bool:
    """Whether coordinates are the result of an alignment."""
    suffix = Keys().slices.removeprefix(DEFAULT)
    runs = [str(entry).removesuffix(suffix) for entry in adata.uns if str(entry).endswith(suffix)]
    return name in {Keys(run).aligned for run in runs if run}
