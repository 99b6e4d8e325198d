"""Isolated cells, so far from all others that they would dominate a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scdiffot.core.response.data import ContextPair

    from .snapshots import Snapshots

# Distance to the second nearest cell, in robust widths of the data, above which a cell is isolated.
# It is at most 5.1 in published data (components of scaled counts of 781 blood progenitors).
MIN_DISTANCE = 10.0
# Share of the cells, those nearest to the median, that define the width.
CORE_SHARE = 0.9
# Largest number of isolated cells: 5 or 1 % of the cells, but at most 10 %. More are a population
# or a heavy tail, and are kept.
MAX_CELLS, MAX_SHARE, MAX_SHARE_SMALL = 5, 0.01, 0.1
# Clip of coordinates, in multiples of the width of the core, so that squares are finite.
CLIP = 1e150


def isolated_cells(states: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Find cells that are far from all other cells, in all populations together.

    A cell is isolated if its distance to all other cells except one is at least `MIN_DISTANCE`
    times the width of the data: the root mean square distance to the median, over the 90 % of the
    cells nearest to it. Three neighbouring cells are a small population and are kept.

    Parameters
    ----------
    states
        Populations, arrays of shape ``(n_k, d)``.

    Returns
    -------
    A mask of the isolated cells of each population, shape ``(n_k,)``.
    """
    cells = np.concatenate(states)
    isolated = np.zeros(len(cells), dtype=bool)
    isolated[_isolated_rows(cells)] = True
    return np.split(isolated, np.cumsum([len(x) for x in states])[:-1])


def _isolated_rows(cells: np.ndarray) -> np.ndarray:
    """Indices of isolated cells; empty if there are too many."""
    empty = np.empty(0, dtype=np.intp)
    offset = cells - np.median(cells, axis=0)
    extent = np.abs(offset).max(axis=1)
    unit = float(np.quantile(extent, CORE_SHARE))
    if unit == 0:
        return empty
    offset = np.clip(offset.astype(np.float64) / unit, -CLIP, CLIP)
    distance = np.sqrt((offset**2).sum(axis=1))
    core = distance <= np.quantile(distance, CORE_SHARE)
    width = float(np.sqrt((distance[core] ** 2).mean()))
    candidates = np.flatnonzero(distance > MIN_DISTANCE * width)
    if not len(candidates):
        return empty
    from scipy.spatial import KDTree

    k = min(3, len(cells))
    distances = KDTree(offset).query(offset[candidates], k=k)[0][:, -1]
    rows = candidates[distances > MIN_DISTANCE * width]
    n_max = min(max(MAX_CELLS, MAX_SHARE * len(cells)), MAX_SHARE_SMALL * len(cells))
    return rows if len(rows) <= n_max else empty


def drop_isolated(snapshots: Snapshots) -> Snapshots:
    """Remove isolated cells from the states; masses are unchanged."""
    isolated = isolated_cells(snapshots.states)
    if not any(mask.any() for mask in isolated):
        return snapshots
    pairs = list(zip(snapshots.states, isolated, strict=True))
    states = tuple(x[~mask] for x, mask in pairs)
    prior = snapshots.growth_prior
    if prior is not None:
        prior = tuple(g[~mask] for g, mask in zip(prior, isolated, strict=True))
    return replace(snapshots, states=states, growth_prior=prior)


def drop_isolated_responses(pairs: Sequence[ContextPair]) -> list[ContextPair]:
    """Remove isolated cells from all groups; arrays shared by several pairs stay shared."""
    groups = {id(z): z for pair in pairs for z in (pair.control, pair.treated)}
    isolated = isolated_cells(list(groups.values()))
    if not any(mask.any() for mask in isolated):
        return list(pairs)
    masks = zip(groups.items(), isolated, strict=True)
    reduced_groups = {key: z[~mask] if mask.any() else z for (key, z), mask in masks}
    return [
        replace(
            pair, control=reduced_groups[id(pair.control)], treated=reduced_groups[id(pair.treated)]
        )
        for pair in pairs
    ]
