"""Tables of cells by classes (fates and ancestors), and the entries of `uns` beside them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.labels import column_names
from scdiffot._utils.errors import damaged
from scdiffot._utils.keys import ANCESTRY, FATE, Keys
from scdiffot._utils.layout_types import Table
from scdiffot._utils.layouts import read

from .store import read_table

if TYPE_CHECKING:
    from collections.abc import Sequence

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


def write_fate(
    adata: AnnData | MuData,
    keys: Keys,
    cells: np.ndarray,
    *,
    tables: dict[str, np.ndarray],
    columns: dict[str, np.ndarray],
    entry: dict[str, Any],
) -> None:
    """Write the result of `tl.sta_forward`.

    Parameters
    ----------
    adata
        The data.
    keys
        Names of the run.
    cells
        Positions of the cells with a fate, shape ``(m,)``; all other rows are NaN.
    tables
        Tables of `obsm` by name, each ``(m, C)``.
    columns
        Columns of `obs` by name, each ``(m,)``.
    entry
        Entry of `uns`.
    """
    adata.obsm.pop(keys.fate_path, None)
    for name, values in tables.items():
        adata.obsm[name] = _make_table(adata, cells, values, entry["classes"])
    for name, values in columns.items():
        column = np.full(adata.n_obs, np.nan)
        column[cells] = values
        adata.obs[name] = column
    adata.uns[keys.uns][FATE] = entry


def write_ancestry(
    adata: AnnData | MuData,
    keys: Keys,
    cells: np.ndarray,
    *,
    density: np.ndarray,
    composition: np.ndarray,
    entry: dict[str, Any],
) -> None:
    """Write the result of `tl.sta_backward`.

    Parameters
    ----------
    adata
        The data.
    keys
        Names of the run.
    cells
        Positions of the earlier cells, shape ``(m,)``; all other rows are NaN.
    density
        Density of the ancestors of every type, shape ``(m, D)``.
    composition
        Sums of the density by type of the earlier cells, shape ``(D, S)``.
    entry
        Entry of `uns`, without the composition.
    """
    import pandas as pd

    adata.obsm[keys.ancestry] = _make_table(adata, cells, density, entry["types"])
    sums = pd.DataFrame(composition, entry["types"].tolist(), column_names(entry["source_types"]))
    adata.uns[keys.uns][ANCESTRY] = {**entry, "composition": sums}


def read_fate(adata: AnnData | MuData, key: str) -> tuple[dict[str, Any], dict[str, pd.DataFrame]]:
    """Read the entry of `uns`, and the tables of `obsm` with the names of the classes.

    The tables are ``fate``, ``fate_se`` and, if it was computed, ``fate_path``.

    Raises
    ------
    KeyError
        If fates have not been computed.
    """
    source = "tl.sta_forward(adata, cell_key)"
    entry: dict[str, Any] = read_table(adata, key, FATE, source=source)
    keys = Keys(key, "key")
    table_names = {"fate": keys.fate, "fate_se": keys.fate_se}
    if keys.fate_path in adata.obsm:
        table_names["fate_path"] = keys.fate_path
    return entry, {
        n: _read_obsm(adata, k, entry["classes"], source) for n, k in table_names.items()
    }


def read_ancestry(adata: AnnData | MuData, key: str) -> tuple[dict[str, Any], pd.DataFrame]:
    """Read the entry of `uns`, and the densities with the names of the types.

    Raises
    ------
    KeyError
        If ancestors have not been computed.
    """
    source = "tl.sta_backward(adata, cell_key)"
    entry: dict[str, Any] = read_table(adata, key, ANCESTRY, source=source)
    place = f"adata.uns[{key!r}][{ANCESTRY!r}]['composition']"
    entry["composition"] = _label_columns(entry["composition"], entry["source_types"], place)
    return entry, _read_obsm(adata, Keys(key, "key").ancestry, entry["types"], source)


def _make_table(
    adata: AnnData | MuData, cells: np.ndarray, values: np.ndarray, names: Sequence[str]
) -> pd.DataFrame:
    import pandas as pd

    full = np.full((adata.n_obs, values.shape[1]), np.nan)
    full[cells] = values
    return pd.DataFrame(full, index=adata.obs_names, columns=column_names(names))


def _read_obsm(
    adata: AnnData | MuData, name: str, classes: Sequence[str], source: str
) -> pd.DataFrame:
    if name not in adata.obsm:
        raise KeyError(f"adata.obsm[{name!r}] is missing: run scdiffot.{source} first.")
    return _label_columns(adata.obsm[name], classes, f"adata.obsm[{name!r}]")


def _label_columns(table: Any, names: Sequence[str], place: str) -> pd.DataFrame:
    frame: pd.DataFrame = read(table, Table(dict.fromkeys(column_names(names), "number")), place)
    if frame.shape[1] != len(names):
        raise damaged(place, f"has {frame.shape[1]} columns, not {len(names)}")
    return frame.set_axis([str(name) for name in names], axis=1)
