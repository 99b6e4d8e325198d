"""Warnings about slices: different units, and slices that the user has not named."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from scdiffot._data.read.checks import format_list
from scdiffot._data.read.columns import list_columns, read_column
from scdiffot._data.read.extract import locate
from scdiffot._utils.logging import logger
from scdiffot.core.spatial.align.metaspots import spacing

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import numpy as np
    from anndata import AnnData
    from mudata import MuData

# Ratio of the spot distances of two slices above which they may have different units.
MAX_RATIO = 1.1
# Words in the names of columns of `obs` that hold slices.
SLICE_WORDS = {
    "library",
    "libraries",
    "slice",
    "section",
    "slide",
    "sample",
    "puck",
    "batch",
    "time",
    "timepoint",
    "stage",
}
# Number of neighbours of a spot, and share of them in other slices above which slices overlap.
N_NEIGHBORS, MAX_SHARE = 6, 0.1


def warn_units(parts: Mapping[str, np.ndarray], spatial_key: str) -> None:
    """Warn if the spots of one slice are farther apart than those of another.

    Parameters
    ----------
    parts
        Positions of the spots of every slice.
    spatial_key
        Name of the coordinates.
    """
    distances = {name: spacing(positions) for name, positions in parts.items()}
    narrow, wide = (
        min(distances, key=distances.__getitem__),
        max(distances, key=distances.__getitem__),
    )
    ratio = distances[wide] / distances[narrow]
    if ratio > MAX_RATIO:
        logger.warning(
            "Spots of slice %r are %.3g times as far apart as those of slice %r (%.3g and %.3g in "
            "`spatial_key` %r). If their units or scales differ, such as pixels and micrometres, "
            "bring them to one unit first: multiply the coordinates of %r by %.4g. If the density "
            "of spots differs, nothing needs to be done.",
            wide,
            ratio,
            narrow,
            distances[wide],
            distances[narrow],
            spatial_key,
            wide,
            1 / ratio,
        )


def warn_unnamed_slices(adata: AnnData | MuData, positions: np.ndarray, spatial_key: str) -> None:
    """Warn if spots that are used as one slice seem to come from several.

    Parameters
    ----------
    adata
        The spots, whose slices the user has not named.
    positions
        Their coordinates.
    spatial_key
        Name of the coordinates.
    """
    owners = [adata, locate(adata, spatial_key, argument="spatial_key").owner]
    libraries = next(
        (entry for entry in (owner.uns.get("spatial") for owner in owners) if _has_several(entry)),
        None,
    )
    column = next(
        (
            name
            for name in _slice_columns(adata)
            if _overlap(read_column(adata, name, "library_key"), positions)
        ),
        None,
    )
    if libraries is None and column is None:
        return
    reasons = []
    if libraries is not None:
        reasons.append(f"adata.uns['spatial'] has the libraries {format_list(libraries)}")
    if column is not None:
        reasons.append(
            f"spots of different obs[{column!r}] lie among each other in `spatial_key` "
            f"{spatial_key!r}"
        )
    logger.warning(
        "All spots are taken as one slice, but %s: neighbours across slices would be linked. Pass "
        "`library_key`%s.",
        " and ".join(reasons),
        f"={column!r}"
        if column is not None
        else ", the column of obs with the slice of every spot",
    )


def _has_several(entry: Any) -> bool:
    return hasattr(entry, "keys") and len(entry) > 1


def _slice_columns(adata: AnnData | MuData) -> Iterable[str]:
    """Columns of `obs` that may hold slices, by their names and numbers of values."""
    for name in list_columns(adata):
        words = set(re.split(r"[^a-z]+", name.rpartition(":")[2].lower()))
        if words & SLICE_WORDS:
            n_values = read_column(adata, name, "library_key").nunique()
            if 1 < n_values <= adata.n_obs / N_NEIGHBORS:
                yield name


def _overlap(labels: Any, positions: np.ndarray) -> bool:
    """Whether spots with different labels are neighbours."""
    from scipy.spatial import cKDTree

    codes = labels.astype("category").cat.codes.to_numpy()
    k = min(N_NEIGHBORS, len(positions) - 1)
    neighbors = cKDTree(positions).query(positions, k=k + 1)[1]
    return bool((codes[neighbors[:, 1:]] != codes[:, None]).mean() > MAX_SHARE)
