"""Read predicted responses of cells and the results derived from them, and write the latter."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_adata, suggest
from scdiffot._data.read.columns import read_numbers
from scdiffot._data.read.expression import CHUNK_SIZE
from scdiffot._data.read.labels import cell_labels
from scdiffot._data.write.entry_layouts import RESPONSE_TABLES
from scdiffot._utils.keys import ALL, Keys
from scdiffot._utils.layout_types import Table
from scdiffot._utils.layouts import read
from scdiffot._utils.number_text import number_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    from scdiffot._data.write.decoders import GeneSpace


@dataclass(frozen=True)
class PredictionInfo:
    """Treatment of a prediction, stored with it.

    Parameters
    ----------
    key
        Name of the response.
    target
        The treatment.
    dose
        Its dose; NaN if the response has no doses.
    """

    key: str
    target: str
    dose: float

    @property
    def label(self) -> str:
        """Treatment, with its dose if the response has doses."""
        return (
            repr(self.target)
            if np.isnan(self.dose)
            else f"{self.target!r} at {number_text(self.dose)}"
        )

    def write(self, adata: AnnData | MuData, name: str) -> None:
        """Write the treatment into `uns`."""
        adata.uns[name] = {"key": self.key, "target": self.target, "dose": self.dose}


def read_prediction_info(adata: AnnData | MuData, key: str) -> PredictionInfo | None:
    """Read the treatment of a prediction; None for predictions of versions that stored none."""
    entry = adata.uns.get(Keys(key, "key").prediction)
    if entry is None:
        return None
    return PredictionInfo(str(entry["key"]), str(entry["target"]), float(entry["dose"]))


def response_key(adata: AnnData | MuData, key: str) -> str:
    """Name of the response of a prediction; that of the prediction if none is stored."""
    info = read_prediction_info(adata, key)
    return key if info is None else info.key


@dataclass(frozen=True)
class PredictedCells:
    """Cells whose response was predicted.

    Parameters
    ----------
    rows
        Their positions in the AnnData, shape ``(m,)``.
    predicted
        States after the treatment, shape ``(m, d)``.
    response
        Predicted minus present states, shape ``(m, d)``.
    effect
        Effect sizes, shape ``(m,)``.
    survival
        Expected number of survivors of each, shape ``(m,)``; None if the response is balanced.
    """

    rows: np.ndarray
    predicted: np.ndarray
    response: np.ndarray
    effect: np.ndarray
    survival: np.ndarray | None

    def select(self, selection: np.ndarray) -> PredictedCells:
        """Select some of the cells by a mask or positions."""
        survival = None if self.survival is None else self.survival[selection]
        return PredictedCells(
            self.rows[selection],
            self.predicted[selection],
            self.response[selection],
            self.effect[selection],
            survival,
        )

    def decode(self, space: GeneSpace) -> Iterator[tuple[slice, np.ndarray, np.ndarray]]:
        """Decode expression before and after the treatment, each ``(chunk, G)``, chunk by chunk.

        Yields
        ------
        Slice of the chunk among these cells, expression before, and expression after.
        """
        for start in range(0, len(self.rows), CHUNK_SIZE):
            part = slice(start, min(start + CHUNK_SIZE, len(self.rows)))
            treated_states = self.predicted[part]
            yield (
                part,
                space.decode(treated_states - self.response[part]),
                space.decode(treated_states),
            )


def read_predicted(adata: AnnData | MuData, key: str) -> PredictedCells:
    """Read the cells whose response was predicted.

    Raises
    ------
    KeyError
        If none was predicted.
    """
    check_adata(adata)
    keys = Keys(key, "key")
    missing = [
        f"obsm[{name!r}]" for name in (keys.response, keys.predicted) if name not in adata.obsm
    ]
    missing += [] if keys.effect_size in adata.obs else [f"obs[{keys.effect_size!r}]"]
    if missing:
        first_step = "" if keys.response in adata.uns else "run scdiffot.tl.fit_response and then "
        raise KeyError(
            f"`key` is {key!r}, but {', '.join(missing)} is missing: {first_step or 'run '}"
            f"scdiffot.tl.predict_response(adata, key={key!r}) first."
        )
    response = np.asarray(adata.obsm[keys.response], dtype=np.float64)
    rows = np.flatnonzero(np.isfinite(response).all(axis=1))
    if len(rows) == 0:
        raise KeyError(
            f"`key` is {key!r}, but obsm[{keys.response!r}] is NaN in all cells: "
            "run scdiffot.tl.predict_response again."
        )
    survival = (
        read_numbers(adata, keys.survival, "key").to_numpy()[rows]
        if keys.survival in adata.obs
        else None
    )
    return PredictedCells(
        rows,
        np.asarray(adata.obsm[keys.predicted], dtype=np.float64)[rows],
        response[rows],
        read_numbers(adata, keys.effect_size, "key").to_numpy()[rows],
        survival,
    )


def read_cell_groups(
    adata: AnnData | MuData, groupby: str, cells: PredictedCells
) -> tuple[np.ndarray, list[str]]:
    """Read the group of every predicted cell, -1 where it has none, and the names of the groups.

    Only groups that occur among the predicted cells are included.

    Raises
    ------
    KeyError
        If there is no such column.
    ValueError
        If none of the cells has a group, or one is called ``"all"``.
    """
    codes, names = cell_labels(adata, groupby, argument="groupby")
    codes = codes[cells.rows]
    present_codes = np.unique(codes[codes >= 0])
    if len(present_codes) == 0:
        raise ValueError(
            f"`groupby` {groupby!r} is empty for all cells whose response was predicted: "
            "name another."
        )
    group_names = [names[i] for i in present_codes]
    if ALL in group_names:
        raise ValueError(
            f"`groupby` {groupby!r} has a group {ALL!r}, which stands for all cells: rename it."
        )
    return np.where(codes >= 0, np.searchsorted(present_codes, codes), -1), group_names


def write_subpopulations(
    adata: AnnData | MuData,
    keys: Keys,
    *,
    clusters: pd.Categorical | None,
    groups: pd.DataFrame,
    features: pd.DataFrame | None,
) -> None:
    """Write both tables, and the clusters if there are any, and drop tables of earlier groups."""
    if clusters is not None:
        adata.obs[keys.response_cluster] = clusters
    adata.uns[keys.response_subpopulations] = groups
    adata.uns.pop(keys.response_features, None)
    if features is not None:
        adata.uns[keys.response_features] = features


def read_response_table(
    adata: AnnData | MuData, key: str, name: str, *, source: str
) -> pd.DataFrame:
    """Read a table beside a response.

    Parameters
    ----------
    adata
        The data.
    key
        Name of the run.
    name
        Name of the table in `uns`.
    source
        The call that writes it.

    Raises
    ------
    KeyError
        If it has not been computed.
    """
    check_adata(adata)
    if name not in adata.uns:
        suffix = name.removeprefix(key)
        run_names = [
            str(entry).removesuffix(suffix) for entry in adata.uns if str(entry).endswith(suffix)
        ]
        hint = f" {suggest(key, run_names)}" if run_names else ""
        raise KeyError(
            f"`key` is {key!r}, but uns[{name!r}] is missing: run scdiffot.{source} first.{hint}"
        )
    layout = next(
        (layout for end, layout in RESPONSE_TABLES.items() if name.endswith(end)), Table({})
    )
    # Files store the numbers of rows as strings.
    table: pd.DataFrame = read(adata.uns[name], layout, f"adata.uns[{name!r}]").reset_index(
        drop=True
    )
    return table


def find_group(table: pd.DataFrame, group: str | None) -> str:
    """Check the name of a group of a table; None is the group of all cells.

    Raises
    ------
    KeyError
        If there is no group of that name.
    """
    if group is None:
        return ALL
    names = table["group"].unique().tolist()
    if group not in names:
        raise KeyError(f"`group` is {group!r}, which is none of them. {suggest(str(group), names)}")
    return group
