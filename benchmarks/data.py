"""The time courses that the benchmarks run on, as plain arrays."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

import numpy as np

import scdiffot as sdo
from scdiffot.core import Snapshots
from scdiffot.datasets._published.download import path_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from anndata import AnnData


@dataclass(frozen=True)
class Dataset:
    """A named time course: times ``(T,)`` and T arrays of states ``(n_k, d)``."""

    name: str
    times: np.ndarray
    states: tuple[np.ndarray, ...]

    @property
    def masses(self) -> np.ndarray:
        """Numbers of cells relative to the first snapshot."""
        counts = np.array([len(x) for x in self.states], dtype=float)
        return counts / counts[0]

    @property
    def snapshots(self) -> Snapshots:
        """The time course as the core reads it."""
        return Snapshots(self.times, self.states, self.masses)

    def to_adata(self) -> AnnData:
        """The time course for the public interface: states in `X`, times in `obs["time"]`."""
        import pandas as pd
        from anndata import AnnData

        time = np.repeat(self.times, [len(x) for x in self.states])
        obs = pd.DataFrame({"time": time}, index=pd.RangeIndex(len(time)).astype(str))
        return AnnData(np.concatenate(self.states), obs=obs)

    def without(self, k: int) -> Dataset:
        """The data set without snapshot `k`."""
        remaining = [i for i in range(len(self.times)) if i != k]
        return Dataset(self.name, self.times[remaining], tuple(self.states[i] for i in remaining))

    def halves(self, seed: int) -> tuple[Dataset, Dataset]:
        """Random halves of the cells of every snapshot, for training and for testing."""
        rng = np.random.default_rng(seed)
        train, test = [], []
        for x in self.states:
            order = rng.permutation(len(x))
            middle = (len(x) + 1) // 2
            train.append(x[np.sort(order[:middle])])
            test.append(x[np.sort(order[middle:])])
        return Dataset(self.name, self.times, tuple(train)), Dataset(
            self.name, self.times, tuple(test)
        )


def _dataset(name: str, adata: AnnData, use_rep: str) -> Dataset:
    states = np.asarray(adata.X if use_rep == "X" else adata.obsm[use_rep], dtype=np.float32)
    time = adata.obs["time"].to_numpy(dtype=float)
    times = np.unique(time)
    return Dataset(name, times, tuple(states[time == t] for t in times))


def _table(name: str, table: str) -> Callable[[], Dataset]:
    return lambda: _dataset(name, sdo.datasets.deepruot(table, show_progress=False), "X")


def _misa() -> Dataset:
    # The file holds an object array; `path_of` checks its hash before it is unpickled.
    states = np.load(path_of("diffusionot/MISA.npy", show_progress=False), allow_pickle=True)[0]
    return Dataset(
        "misa",
        np.array([0.0, 1.0, 2.0, 6.0]),
        tuple(np.asarray(x, dtype=np.float32) for x in states),
    )


def misa_draw(seed: int) -> Dataset:
    """Four new snapshots of 500 cells or more from the simulator of the published ones."""
    return _dataset("misa_draws", sdo.datasets.misa(rng=seed), "X")


LOADERS: dict[str, Callable[[], Dataset]] = {
    "emt": _table("emt", "emt"),
    "mouse": _table("mouse", "mouse_hematopoiesis"),
    "misa": _misa,
    "zebrafish": lambda: _dataset("zebrafish", sdo.datasets.zebrafish(show_progress=False), "X_ae"),
    "gene_network": _table("gene_network", "simulation_gene"),
    "gaussian_10": _table("gaussian_10", "gaussian_10d"),
    "gaussian_20": _table("gaussian_20", "gaussian_20d"),
    "gaussian_100": _table("gaussian_100", "gaussian_100d"),
    # Needs no files; only for testing the harness.
    "toy": lambda: _dataset("toy", sdo.datasets.misa(60, times=(0.0, 1.0, 2.0)), "X"),
}


@cache
def load(name: str) -> Dataset:
    """A time course by its name in `LOADERS`."""
    return LOADERS[name]()
