"""Formats of files of cells and tables: reading, writing and checks."""

from __future__ import annotations

import json
import warnings
from contextlib import contextmanager, nullcontext
from math import isfinite
from typing import TYPE_CHECKING, Any

from anndata import AnnData, read_h5ad, settings

from scdiffot._data.read.checks import is_mudata
from scdiffot._utils.optional import require

from .hdf5 import open_sink

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    import pandas as pd
    from mudata import MuData

ANNDATA, MUDATA = "anndata", "MuData"
# Files with the attributes of a Zarr folder, of version 2 or 3.
ZARR_ATTRIBUTES = (".zattrs", "zarr.json")


def content_of(path: Path) -> str | None:
    """Encoding type that a file or folder states: "anndata", "MuData", another, or None."""
    if path.is_dir():
        for name in ZARR_ATTRIBUTES:
            if (path / name).is_file():
                attributes = json.loads((path / name).read_text(encoding="utf-8"))
                attributes = attributes.get("attributes", attributes)
                return attributes.get("encoding-type")
        return None
    import h5py

    with h5py.File(path, "r") as file:
        return file.attrs.get("encoding-type")


def read_cells(path: Path) -> AnnData | MuData:
    """Read a file or folder in the format of its suffix.

    Raises
    ------
    ValueError
        If a file named .h5ad holds a MuData.
    """
    content = content_of(path)
    if path.suffix == ".h5ad" and content == MUDATA:
        raise ValueError("it holds a MuData: give it a name that ends with .h5mu")
    with _storage_options():
        if path.suffix == ".h5ad":
            return read_h5ad(path)
        if path.suffix == ".zarr" and content != MUDATA:
            from anndata import read_zarr

            return read_zarr(path)
        mudata = require("mudata", extra="mudata")
        with _without_pull(mudata):
            mdata = mudata.read_zarr(path) if path.suffix == ".zarr" else mudata.read_h5mu(path)
        # HDF5 returns a NumPy number, which mudata cannot write to zarr.
        mdata._axis = int(mdata.axis)
        return mdata


def check_format(content: str | None, suffix: str) -> None:
    """Refuse a format that cannot hold this kind of data.

    Raises
    ------
    ValueError
        If an AnnData would become a MuData, or the reverse.
    """
    if content == MUDATA and suffix == ".h5ad":
        raise ValueError("a MuData cannot be written as .h5ad: choose .h5mu or .zarr")
    if content != MUDATA and suffix == ".h5mu":
        raise ValueError("an AnnData cannot be written as .h5mu: choose .h5ad or .zarr")


def write_cells(adata: AnnData | MuData, path: Path, suffix: str) -> None:
    """Write an AnnData or MuData to a new path in the format of `suffix`, not of its name."""
    with _storage_options():
        if is_mudata(adata):
            _write_mudata(adata, path, suffix)
        elif suffix == ".zarr":
            adata.write_zarr(path)
        else:
            _write_h5ad(adata, path)


def _write_mudata(mdata: MuData, path: Path, suffix: str) -> None:
    mudata = require("mudata", extra="mudata")
    with _without_pull(mudata):
        if suffix == ".zarr":
            mudata.write_zarr(path, mdata)
            return
        with open_sink(path) as sink:
            mudata.write_h5mu(sink, mdata)


def _write_h5ad(adata: AnnData, path: Path) -> None:
    """Write as `adata.write_h5ad` does, which accepts names of files only."""
    import h5py
    from anndata.io import write_elem

    adata.strings_to_categoricals()
    if adata.raw is not None:
        adata.strings_to_categoricals(adata.raw.var)
    with open_sink(path) as sink, h5py.File(sink, "w") as file:
        write_elem(file, "/", adata)


def annotations_of(adata: AnnData | MuData) -> AnnData:
    """Copy the annotations alone: they are small, and only they may fail to be written."""
    tables = {name: entry for name, entry in adata.obsm.items() if hasattr(entry, "columns")}
    with _storage_options():
        obs, var = adata.obs.copy(), adata.var.copy()
        return AnnData(obs=obs, var=var, uns=dict(adata.uns), obsm=tables)


def write_table(table: pd.DataFrame, path: Path, suffix: str) -> None:
    """Write a table as CSV with a header or as a JSON list of rows, with all digits of numbers."""
    if suffix == ".csv":
        table.to_csv(path, index=False)
        return
    rows = [
        {name: _as_json(value) for name, value in zip(table.columns, row, strict=True)}
        for row in table.itertuples(index=False, name=None)
    ]
    path.write_text(json.dumps(rows, allow_nan=False, indent=1) + "\n", encoding="utf-8")


def _as_json(value: Any) -> Any:
    """Convert a scalar to a JSON value; None if it is missing or infinite."""
    value = value.item() if hasattr(value, "item") else value
    if isinstance(value, float) and not isfinite(value):
        return None
    return value if isinstance(value, str | int | float | bool | None) else str(value)


@contextmanager
def _storage_options() -> Iterator[None]:
    """Allow nullable strings in files, and hide warnings about future storage formats."""
    with warnings.catch_warnings(), settings.override(allow_write_nullable_strings=True):
        warnings.simplefilter("ignore")
        yield


def _without_pull(mudata: Any) -> Any:
    """Keep mudata 0.3 from copying annotations of the modalities into the MuData."""
    options = getattr(mudata, "set_options", None)
    return options(pull_on_update=False) if options else nullcontext()
