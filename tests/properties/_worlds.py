"""Time courses as users bring them: shapes, dtypes, containers, times and labels of all kinds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

import anndata as ad
import numpy as np
import pandas as pd
from hypothesis import strategies as st
from scipy import sparse

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TIMES: dict[str, Callable[[np.ndarray], Any]] = {
    "integers": lambda k: k,
    "float64": lambda k: k * 0.5,
    "float32": lambda k: (k * 0.1).astype(np.float32),
    "float16": lambda k: (k * 0.1).astype(np.float16),
    "dates": lambda k: 20240101 + k,
    "text": lambda k: k.astype(str),
    "labels": lambda k: np.array([f"day{i}" for i in k]),
    "hours and days": lambda k: np.array(["6h", "12h", "1d", "2d"])[k],
    "categories": lambda k: pd.Categorical(
        k.astype(str), categories=[*map(str, range(4)), "unused"]
    ),
    "ordered": lambda k: pd.Categorical(k, categories=range(4), ordered=True),
    "reversed order": lambda k: pd.Categorical(k, categories=range(3, -1, -1), ordered=True),
    "nullable": lambda k: pd.array(k, dtype="Int64"),
    "durations": lambda k: pd.to_timedelta(k, unit="D"),
    "dates of the calendar": lambda k: pd.to_datetime("2024-01-01") + pd.to_timedelta(k, unit="D"),
    "flags": lambda k: k > 0,
    "complex": lambda k: k + 1j,
    "missing": lambda k: np.where(np.arange(len(k)) == 0, np.nan, k),
    "infinite": lambda k: np.where(np.arange(len(k)) == 0, np.inf, k),
    "rounded": lambda k: k * 0.1 + np.where(np.arange(len(k)) % 2 == 0, 1e-17, 0),
    "continuous": lambda k: k + np.linspace(0, 0.5, len(k)),
}
STATES: dict[str, Callable[[np.ndarray], Any]] = {
    "normal": lambda x: x,
    "far away": lambda x: x + 1e6,
    "tiny": lambda x: x * 1e-30,
    "large": lambda x: x * 1e12,
    "huge": lambda x: x * 1e160,
    "one constant column": lambda x: np.c_[x[:, :-1], np.ones(len(x))],
    "constant": np.ones_like,
    "copies": lambda x: (
        np.repeat(x[:1], len(x), axis=0) + (np.arange(len(x)) > len(x) // 2)[:, None]
    ),
    "one wild cell": lambda x: np.r_[x[:-1], np.full((1, x.shape[1]), 1e6)],
    "missing": lambda x: np.r_[x[:-1], np.full((1, x.shape[1]), np.nan)],
    "infinite": lambda x: np.r_[x[:-1], np.full((1, x.shape[1]), np.inf)],
    "counts": lambda x: np.floor(np.abs(3 * x)),
}
DTYPES = ["float64", "float32", "float16", "int32", "int64", "bool", "complex128", "object", "str"]
CONTAINERS = [
    "dense",
    "dense",
    "csr",
    "csc",
    "csr_matrix",
    "frame",
    "dask",
    "sparse dask",
    "one-dimensional",
]
LABELS: dict[str, Callable[[np.ndarray], Any]] = {
    "categories": lambda c: pd.Categorical(np.array(["A", "B"])[c]),
    "text": lambda c: np.array(["A", "B"])[c],
    "numbers": lambda c: c,
    "flags": lambda c: c > 0,
    "some missing": lambda c: pd.Categorical(np.array(["A", "B"])[c]).map({"A": "A"}),
    "all missing": lambda c: np.full(len(c), np.nan),
    "one": lambda c: np.full(len(c), "A"),
    "slashes": lambda c: np.array(["A/1", "A|1"])[c],
    "dots": lambda c: np.array([".", ".."])[c],
    "empty": lambda c: np.array(["", "B"])[c],
    "outside": lambda c: np.array(["outside", "unknown"])[c],
    "fractions": lambda c: c + 0.5,
    "many": lambda c: np.array([f"type {i}" for i in range(len(c))]),
    "nul": lambda c: np.array(["a\0", "B"])[c],
}
HOLDERS = ["memory", "memory", "memory", "view", "backed", "lazy", "mudata"]


@st.composite
def worlds(draw: st.DrawFn) -> dict[str, Any]:
    """The parts of a time course; most are ordinary, so unusual ones occur one at a time."""

    def draw_choice(ordinary: str, choices: Any) -> Any:
        return draw(st.sampled_from([ordinary] * (2 * len(choices) // 3) + list(choices)))

    n_times = draw(st.sampled_from([2, 3, 3, 1, 4]))
    return {
        "sizes": tuple(
            draw(
                st.lists(
                    st.sampled_from([10, 12, 25, 40, 3, 1]), min_size=n_times, max_size=n_times
                )
            )
        ),
        "n_dims": draw(st.sampled_from([1, 2, 3, 5])),
        "times": draw_choice("integers", TIMES),
        "states": draw_choice("normal", STATES),
        "dtype": draw_choice("float64", DTYPES),
        "container": draw_choice("dense", CONTAINERS),
        "labels": draw_choice("categories", LABELS),
        "names": draw(st.sampled_from(["unique", "unique", "unique", "numbers", "duplicated"])),
        "holder": draw(st.sampled_from(HOLDERS)),
        "seed": draw(st.integers(0, 99)),
    }


def build(world: dict[str, Any], folder: Path) -> Any:
    """The AnnData (or MuData) of a world; files go into a folder."""
    rng = np.random.default_rng(world["seed"])
    index = np.repeat(np.arange(len(world["sizes"])), world["sizes"])
    rng.shuffle(index)
    x = rng.normal(size=(len(index), world["n_dims"]))
    x[:, 0] += index
    codes = (x[:, -1] > 0).astype(int)
    obs = pd.DataFrame(index=_names(len(index), world["names"]))
    obs["time"] = TIMES[world["times"]](index)
    obs["cell_type"] = LABELS[world["labels"]](codes)
    states = STATES[world["states"]](x)
    with np.errstate(all="ignore"):
        states = np.nan_to_num(states) if world["dtype"] in ("int32", "int64") else states
        states = states.astype(world["dtype"])
    adata = ad.AnnData(X=x.astype(np.float32), obs=obs)
    adata.obsm["X_pca"] = _in_container(states, world["container"], obs.index)
    return _in_holder(adata, world["holder"], folder)


def _names(n: int, kind: str) -> list[str]:
    if kind == "numbers":
        return [str(i) for i in range(n)]
    return (
        [f"cell{i}" for i in range(n)]
        if kind == "unique"
        else ["same", *(f"cell{i}" for i in range(n - 1))]
    )


def _in_container(states: np.ndarray, container: str, names: pd.Index) -> Any:
    import dask.array as da

    if container == "frame":
        return pd.DataFrame(states, index=names, columns=[f"c{i}" for i in range(states.shape[1])])
    if container == "dask":
        return da.from_array(states, chunks=(7, -1))
    if container == "one-dimensional":
        return states[:, :1]
    if states.dtype.kind not in "fib":
        return states
    makers = {"csr": sparse.csr_array, "csc": sparse.csc_array, "csr_matrix": sparse.csr_matrix}
    if container in makers and states.dtype != np.float16:
        return makers[container](states)
    if container == "sparse dask" and states.dtype != np.float16:
        return da.from_array(states, chunks=(7, -1)).map_blocks(sparse.csr_matrix)
    return states


def _in_holder(adata: ad.AnnData, holder: str, folder: Path) -> Any:
    if holder == "view":
        return adata[: adata.n_obs]
    if holder in ("backed", "lazy"):
        # Every example has a separate file, because that of another example may still be open.
        path = folder / f"{uuid4().hex}.h5ad"
        try:
            adata.write_h5ad(path)
        except (TypeError, ValueError, NotImplementedError, KeyError):
            # Data that no file can hold stay in memory.
            return adata
        if holder == "backed":
            return ad.read_h5ad(path, backed="r")
        from anndata.experimental import read_lazy

        return read_lazy(path)
    if holder == "mudata":
        import mudata

        if adata.obs_names.is_unique:
            mdata = mudata.MuData({"rna": adata})
            mdata.obs["time"] = adata.obs["time"]
            mdata.obs["cell_type"] = adata.obs["cell_type"]
            return mdata
    return adata
