"""Write regulation between genes and of growth, and read it back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import choose_names, format_list
from scdiffot._data.read.times.values import closest
from scdiffot._utils.keys import GROWTH_GENES, REGULATION
from scdiffot._utils.number_text import number_text

from .store import read_params, read_table

if TYPE_CHECKING:
    from collections.abc import Iterable

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Regulations:
    """Regulation between G genes in K groups.

    Parameters
    ----------
    genes
        Names of the genes, shape ``(G,)``.
    groups, times
        Name of every group, and its time (NaN if it has cells of any time), shape ``(K,)``.
    mean, sd, stability
        Mean, standard deviation and stability of every derivative over the cells, shape
        ``(K, G, G)``, targets by regulators.
    threshold
        Smallest stability of an edge that is kept.
    time_key
        Name of the column of times.
    """

    genes: np.ndarray
    groups: np.ndarray
    times: np.ndarray
    mean: np.ndarray
    sd: np.ndarray
    stability: np.ndarray
    threshold: float
    time_key: str

    @property
    def labels(self) -> list[str]:
        """Label of every group in a figure."""
        return group_labels(self.groups, self.times, self.time_key)

    def find(self, group: str | Iterable[str] | None, time: float | None = None) -> np.ndarray:
        """Positions of groups.

        Raises
        ------
        KeyError
            If there is no group of that name, or none of that time.
        """
        positions = find_groups(self.groups, group)
        if time is None:
            return positions
        group_times = self.times[positions]
        observed_times = np.unique(group_times[np.isfinite(group_times)])
        k = closest(observed_times, time)
        positions = positions[group_times == observed_times[k]] if k is not None else positions[:0]
        if len(positions) == 0:
            time_names = (
                f"of the times {format_list(observed_times)}"
                if len(observed_times)
                else "of no time of their own"
            )
            raise KeyError(
                f"`time` is {number_text(time)}, but the groups are {time_names}: "
                "run tl.regulation with per_time=True."
            )
        return positions

    def edge_mask(self, k: int) -> np.ndarray:
        """Mask of the edges of a group that reach the threshold, shape ``(G, G)``."""
        return (self.stability[k] >= np.float32(self.threshold)) & (self.mean[k] != 0)


def group_labels(groups: np.ndarray, times: np.ndarray, time_key: str) -> list[str]:
    """Names of groups, with their times if they have some."""
    pairs = zip(groups, times, strict=True)
    return [
        str(name) if np.isnan(t) else f"{name}, {time_key} {number_text(t)}" for name, t in pairs
    ]


def find_groups(groups: np.ndarray, group: str | Iterable[str] | None) -> np.ndarray:
    """Positions of groups by name, in the order of the request; all of them for None.

    Raises
    ------
    KeyError
        If one does not exist.
    TypeError
        If they are not names.
    ValueError
        If none is named.
    """
    if group is None:
        return np.arange(len(groups))
    group_names = choose_names("group", group, groups)
    return np.concatenate([np.flatnonzero(groups == name) for name in group_names])


def write_regulation(adata: AnnData | MuData, key: str, entry: dict[str, Any]) -> None:
    """Write the result of `tl.regulation`."""
    adata.uns[key][REGULATION] = entry


def read_regulation(adata: AnnData | MuData, key: str) -> Regulations:
    """Read the result of `tl.regulation`.

    Raises
    ------
    KeyError
        If there is no fit, or no result.
    """
    entry = read_table(adata, key, REGULATION, source="tl.regulation(adata, genes)")
    arrays = {
        name: np.asarray(entry[name])
        for name in ("genes", "groups", "times", "mean", "sd", "stability")
    }
    return Regulations(
        **arrays, threshold=float(entry["threshold"]), time_key=read_params(adata, key)["time_key"]
    )


def write_growth_genes(adata: AnnData | MuData, key: str, table: pd.DataFrame) -> None:
    """Write the result of `tl.growth_genes`."""
    adata.uns[key][GROWTH_GENES] = table


def read_growth_genes(adata: AnnData | MuData, key: str) -> pd.DataFrame:
    """Read the result of `tl.growth_genes`.

    Raises
    ------
    KeyError
        If there is no fit, or no result.
    """
    # Files store the numbers of rows as strings.
    return read_table(adata, key, GROWTH_GENES, source="tl.growth_genes(adata)").reset_index(
        drop=True
    )
