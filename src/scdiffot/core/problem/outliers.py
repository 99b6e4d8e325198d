"""Single cells so far from all others that they would rule a fit."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from scdiffot.core.response.data import ContextPair

    from .snapshots import Snapshots

# Distance to the second nearest cell, in robust widths of the data, from where on a cell is
# isolated: at most 5.1 in published data (components of scaled counts of 781 blood progenitors).
MIN_DISTANCE = 10.0
# Share of the cells nearest to the median that set the width.
CORE_SHARE = 0.9
# Isolated cells there may be; more are a population or heavy tails, and belong to the data.
MAX_CELLS, MAX_SHARE, MAX_SHARE_OF_FEW = 5, 0.01, 0.1
# In multiples of the width of the core: squares stay finite.
CLIP = 1e150


def isolated_cells(states: Sequence[np.ndarray]) -> list[np.ndarray]:
    """Find cells that are far from all other cells, in all populations together.

    A cell is isolated if all other cells but one are at least `MIN_DISTANCE` times as far from it
    as the cells of the core are from the median of the data (root mean square over the 90 % of
    the cells that are nearest to it). Three cells side by side are a small population and stay.

    Parameters
    ----------
    states
        Populations, arrays of shape ``(n_k, d)``.

    Returns
    -------
    For each population whether its cells are isolated, shape ``(n_k,)``.
    """
    cells = np.concatenate(states)
    isolated = np.zeros(len(cells), dtype=bool)
    isolated[_isolated_rows(cells)] = True
    return np.split(isolated, np.cumsum([len(x) for x in states])[:-1])


def _isolated_rows(cells: np.ndarray) -> np.ndarray:
    none = np.empty(0, dtype=np.intp)
    offset = cells - np.median(cells, axis=0)
    extent = np.abs(offset).max(axis=1)
    unit = float(np.quantile(extent, CORE_SHARE))
    if unit == 0:
        return none
    offset = np.clip(offset.astype(np.float64) / unit, -CLIP, CLIP)
    distance = np.sqrt((offset**2).sum(axis=1))
    core = distance <= np.quantile(distance, CORE_SHARE)
    width = float(np.sqrt((distance[core] ** 2).mean()))
    far = np.flatnonzero(distance > MIN_DISTANCE * width)
    if not len(far):
        return none
    from scipy.spatial import KDTree

    k = min(3, len(cells))
    apart = KDTree(offset).query(offset[far], k=k)[0][:, -1]
    rows = far[apart > MIN_DISTANCE * width]
    n_most = min(max(MAX_CELLS, MAX_SHARE * len(cells)), MAX_SHARE_OF_FEW * len(cells))
    return rows if len(rows) <= n_most else none


def drop_isolated(snapshots: Snapshots) -> Snapshots:
    """Leave isolated cells out of the states; the masses are those of all cells."""
    isolated = isolated_cells(snapshots.states)
    if not any(mask.any() for mask in isolated):
        return snapshots
    pairs = list(zip(snapshots.states, isolated, strict=True))
    states = tuple(x[~mask] for x, mask in pairs)
    prior = snapshots.growth_prior
    if prior is not None:
        prior = tuple(g[~mask] for g, mask in zip(prior, isolated, strict=True))
    return replace(snapshots, states=states, growth_prior=prior)


def drop_isolated_responses(strata: Sequence[ContextPair]) -> list[ContextPair]:
    """Leave isolated cells out of all groups; those in several strata stay one and the same."""
    groups = {id(z): z for s in strata for z in (s.control, s.treated)}
    isolated = isolated_cells(list(groups.values()))
    if not any(mask.any() for mask in isolated):
        return list(strata)
    masks = zip(groups.items(), isolated, strict=True)
    rest = {key: z[~mask] if mask.any() else z for (key, z), mask in masks}
    return [replace(s, control=rest[id(s.control)], treated=rest[id(s.treated)]) for s in strata]
