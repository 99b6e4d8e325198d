"""Links between the spots of a tissue."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import format_list, suggest
from scdiffot.core.spatial.domains.neighbourhoods import nearest_spots

from .slice_checks import warn_unnamed_slices

if TYPE_CHECKING:
    from anndata import AnnData
    from mudata import MuData
    from scipy.sparse import csr_array

    from scdiffot._data.read.slices import TissueSlices


def check_sliced(adata: AnnData | MuData, slices: TissueSlices, library_key: str | None) -> None:
    """Refuse spots without a slice.

    Raises
    ------
    ValueError
        If a spot has no slice.
    """
    unassigned = slices.codes < 0
    if unassigned.any():
        raise ValueError(
            f"`library_key` obs[{library_key!r}] is NaN in {unassigned.sum()} of {len(unassigned)} "
            f"spots, for instance {format_list(adata.obs_names[unassigned][:3])}: remove these "
            "spots, or name their slice."
        )


def link_spots(
    adata: AnnData | MuData,
    slices: TissueSlices,
    *,
    n_neighbors: int,
    connectivity_key: str | None = None,
) -> csr_array:
    """Link the spots of every slice with their nearest spots, or read a graph of squidpy.

    A warning is logged if all spots are used as one slice, but seem to come from several.

    Parameters
    ----------
    adata
        The spots.
    slices
        Their slices.
    n_neighbors
        Number of nearest spots to link.
    connectivity_key
        Entry of `obsp` with a graph to read instead.

    Returns
    -------
    Symmetric matrix without a diagonal, 1 for linked spots, shape ``(n, n)``.

    Raises
    ------
    KeyError
        If there is no such entry.
    ValueError
        If it links spots of different slices.
    """
    from scipy import sparse

    n = len(slices.positions)
    if connectivity_key is not None:
        return _read_links(adata, slices, connectivity_key)
    if slices.library_key is None:
        warn_unnamed_slices(adata, slices.positions, slices.spatial_key)
    pairs = []
    for name in slices.names:
        rows = slices.rows(name)
        first, second = nearest_spots(slices.positions[rows], n_neighbors).nonzero()
        pairs.append((rows[first], rows[second]))
    first, second = (np.concatenate(side) for side in zip(*pairs, strict=True))
    return sparse.csr_array((np.ones(len(first)), (first, second)), shape=(n, n))


def _read_links(adata: AnnData | MuData, slices: TissueSlices, key: str) -> csr_array:
    """Read a graph of `obsp`, made symmetric and without weights."""
    from scipy import sparse

    if key not in adata.obsp:
        raise KeyError(
            f"`connectivity_key` is {key!r}, which is no key of obsp: run "
            f"squidpy.gr.spatial_neighbors(adata) first. {suggest(key, adata.obsp)}"
        )
    first, second = sparse.csr_array(adata.obsp[key]).nonzero()
    across = slices.codes[first] != slices.codes[second]
    if across.any():
        a, b = first[across][0], second[across][0]
        raise ValueError(
            f"`connectivity_key` {key!r} links {across.sum()} pairs of spots of different slices, "
            f"such as {adata.obs_names[a]!r} and {adata.obs_names[b]!r}: pass `library_key` to "
            "squidpy.gr.spatial_neighbors as well."
        )
    distinct = first != second
    n = len(slices.positions)
    links = sparse.csr_array(
        (np.ones(distinct.sum()), (first[distinct], second[distinct])), shape=(n, n)
    )
    links = sparse.csr_array(links.maximum(links.T))
    links.data[:] = 1
    return links
