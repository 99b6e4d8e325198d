"""Isolated cells, so far from all others that they would dominate a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from .config import OutlierConfig

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scdiffot.core.response.data import ContextPair

    from .snapshots import Snapshots

# Clip of coordinates, in multiples of the width of the core, so that squares are finite.
CLIP = 1e150


def isolated_cells(
    states: Sequence[np.ndarray], config: OutlierConfig = OutlierConfig()
) -> list[np.ndarray]:
    """Find cells that are far from all other cells, in all populations together.

    A cell is isolated if its distance to all other cells except one is at least ``min_distance``
    times the width of the data: the root mean square distance to the median, over the 90 % of the
    cells nearest to it. Three neighbouring cells are a small population and are kept.

    Parameters
    ----------
    states
        Populations, arrays of shape ``(n_k, d)``.
    config
        Settings that define isolation.

    Returns
    -------
    A mask of the isolated cells of each population, shape ``(n_k,)``.
    """
    cells = np.concatenate(states)
    isolated = np.zeros(len(cells), dtype=bool)
    isolated[_isolated_rows(cells, config)] = True
    return np.split(isolated, np.cumsum([len(x) for x in states])[:-1])


def _isolated_rows(cells: np.ndarray, config: OutlierConfig) -> np.ndarray:
    """Indices of isolated cells; empty if there are too many."""
    empty = np.empty(0, dtype=np.intp)
    offset = cells - np.median(cells, axis=0)
    extent = np.abs(offset).max(axis=1)
    unit = float(np.quantile(extent, config.core_share))
    if unit == 0:
        return empty
    offset = np.clip(offset.astype(np.float64) / unit, -CLIP, CLIP)
    distance = np.sqrt((offset**2).sum(axis=1))
    core = distance <= np.quantile(distance, config.core_share)
    width = float(np.sqrt((distance[core] ** 2).mean()))
    candidates = np.flatnonzero(distance > config.min_distance * width)
    if not len(candidates):
        return empty
    from scipy.spatial import KDTree

    k = min(3, len(cells))
    distances = KDTree(offset).query(offset[candidates], k=k)[0][:, -1]
    rows = candidates[distances > config.min_distance * width]
    n_max = max(config.max_cells, config.max_share * len(cells))
    n_max = min(n_max, config.max_share_small * len(cells))
    return rows if len(rows) <= n_max else empty


def drop_isolated(snapshots: Snapshots, config: OutlierConfig = OutlierConfig()) -> Snapshots:
    """Remove isolated cells from the states; masses are unchanged."""
    isolated = isolated_cells(snapshots.states, config)
    if not any(mask.any() for mask in isolated):
        return snapshots
    pairs = list(zip(snapshots.states, isolated, strict=True))
    states = tuple(x[~mask] for x, mask in pairs)
    prior = snapshots.growth_prior
    if prior is not None:
        prior = tuple(g[~mask] for g, mask in zip(prior, isolated, strict=True))
    return replace(snapshots, states=states, growth_prior=prior)


def drop_isolated_responses(
    pairs: Sequence[ContextPair], config: OutlierConfig = OutlierConfig()
) -> list[ContextPair]:
    """Remove isolated cells from all groups; arrays shared by several pairs stay shared."""
    groups = {id(z): z for pair in pairs for z in (pair.control, pair.treated)}
    isolated = isolated_cells(list(groups.values()), config)
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
