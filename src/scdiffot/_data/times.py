"""Times of cells: from a column of labels to numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np

from .checks import is_mudata, some, suggest

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

    TimePoint = str | float

# What float() also reads, such as "nan", "inf" or "1_000", is no plain number.
NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


@dataclass(frozen=True)
class CellTimes:
    """The time of every cell.

    Parameters
    ----------
    column
        Name of the column of `obs`.
    values
        Time of every cell, shape ``(n,)``, float64.
    points
        The times there are, increasing, shape ``(T,)``.
    labels
        Time of every label of the column; the numbers themselves where the column is numeric.
    """

    column: str
    values: np.ndarray
    points: np.ndarray
    labels: dict[str, float]

    def find(self, time: TimePoint, argument: str) -> float:
        """The time point that a label (a string) or a number means.

        Raises
        ------
        KeyError
            If there is no such time point.
        """
        if isinstance(time, str):
            if time in self.labels:
                return self.labels[time]
            raise KeyError(f"`{argument}` is {time!r}, no label of obs[{self.column!r}]. {suggest(time, self.labels)}")
        k = self.nearest(time) if isinstance(time, Real) else None
        if k is None:
            raise KeyError(
                f"`{argument}` is {time!r}, no time of obs[{self.column!r}]: pass one of {some(self.points.tolist())}, or a label."
            )
        return float(self.points[k])

    def nearest(self, time: float) -> int | None:
        """Index of the time point that equals a number up to the rounding of float32."""
        k = int(np.abs(self.points - time).argmin())
        interval = np.diff(self.points).min() if len(self.points) > 1 else abs(self.points[0])
        close = abs(self.points[k] - time) <= min(0.1 * interval, 1e-6 * max(abs(time), abs(self.points[k]), interval))
        return k if close else None

    def cells(self, time: float) -> np.ndarray:
        """Indices of the cells of a time point."""
        return np.flatnonzero(self.values == time)

    def label(self, time: float) -> str:
        """How the user calls a time point."""
        return next((name for name, value in self.labels.items() if value == time), f"{time:g}")


def cell_times(adata: AnnData | MuData, time_key: str, *, time_map: Mapping[Any, float] | None = None) -> CellTimes:
    """Read the times of all cells.

    Parameters
    ----------
    adata
        The data.
    time_key
        Column of `obs`: numbers, or labels (strings, categories) that are plain numbers or that `time_map` translates.
        For a MuData also `"modality:column"`.
    time_map
        Time of every label.

    Raises
    ------
    KeyError
        If there is no such column, or `time_map` lacks a label.
    TypeError
        If the column holds neither numbers nor labels.
    ValueError
        If times are missing or infinite, labels cannot be read as numbers, or ordered categories contradict them.
    """
    column = _column(adata, time_key)
    name = f"obs[{time_key!r}]"
    missing = np.asarray(column.isna())
    if missing.any():
        raise ValueError(
            f"`time_key` {name} is NaN in {missing.sum()} of {len(missing)} cells, for instance "
            f"{some(adata.obs_names[missing][:3])}: remove these cells, adata = adata[adata.{name}.notna()].copy()."
        )
    kind = getattr(column.dtype, "kind", "O")
    if kind in "bcmM":
        hint = "take the difference to the first date, in hours or days" if kind in "mM" else "name another column"
        raise TypeError(f"`time_key` {name} holds {column.dtype}: pass numbers or labels of time points; {hint}.")
    ordered = bool(getattr(column.dtype, "ordered", False))
    present = column.cat.remove_unused_categories().cat.categories if hasattr(column, "cat") else column.unique()
    if time_map is not None:
        numbers = _mapped(present, time_map, name)
    elif getattr(present.dtype, "kind", "O") in "iuf":
        numbers = np.asarray(present, dtype=np.float64)
    else:
        numbers = _parsed(present, name)
    if not np.isfinite(numbers).all():
        raise ValueError(
            f"`time_key` {name} has infinite times: remove these cells, or give them a time in `time_map`."
        )
    if ordered and time_map is None and (np.diff(numbers) < 0).any():
        raise ValueError(
            f"`time_key` {name} is an ordered categorical whose order, {some(present)}, is not that of its numbers: "
            "pass `time_map`, or bring the categories in order with .cat.reorder_categories."
        )
    values = column.map(dict(zip(present, numbers.tolist(), strict=True))).to_numpy(dtype=np.float64)
    text = [p if isinstance(p, str) else f"{p:g}" if isinstance(p, Real) else str(p) for p in present]
    return CellTimes(time_key, values, np.unique(numbers), dict(zip(text, numbers.tolist(), strict=True)))


def _column(adata: AnnData | MuData, time_key: str) -> pd.Series:
    import pandas as pd

    if not isinstance(time_key, str):
        raise TypeError(f"`time_key` is a {type(time_key).__name__}: pass the name of a column of obs.")
    if time_key in adata.obs.columns:
        # lazily read columns become a Series here
        return pd.Series(adata.obs[time_key], index=adata.obs_names)
    columns: Iterable[str] = adata.obs.columns
    if is_mudata(adata):
        modality, _, key = time_key.partition(":")
        if modality in adata.mod and key in adata.mod[modality].obs:
            return adata.mod[modality].obs[key].reindex(adata.obs_names)
        columns = [*columns, *(f"{m}:{c}" for m, a in adata.mod.items() for c in a.obs.columns)]
    raise KeyError(f"`time_key` is {time_key!r}, which is no column of obs. {suggest(time_key, columns)}")


def _mapped(labels: Iterable[Any], time_map: Mapping[Any, float], name: str) -> np.ndarray:
    """Translate labels; those of a numeric column may be given as numbers or as text."""
    if not hasattr(time_map, "keys"):
        raise TypeError(f"`time_map` is a {type(time_map).__name__}: pass a dict, label -> time.")
    table = {**{_text(k): v for k, v in time_map.items()}, **time_map}
    missing = [p for p in labels if p not in table and _text(p) not in table]
    if missing:
        raise KeyError(f"`time_map` has no time for {some(missing)} of {name}: add them.")
    found = [table[p] if p in table else table[_text(p)] for p in labels]
    wrong = [v for v in found if isinstance(v, bool) or not isinstance(v, Real) or not np.isfinite(v)]
    if wrong:
        raise ValueError(f"`time_map` holds {some(wrong)}: pass finite numbers.")
    return np.array(found, dtype=np.float64)


def _text(label: Any) -> str:
    return f"{label:g}" if isinstance(label, Real) else str(label)


def _parsed(labels: Iterable[Any], name: str) -> np.ndarray:
    """Read labels that all are plain numbers."""
    texts = [str(p).strip() for p in labels]
    unread = [t for t in texts if NUMBER.fullmatch(t) is None]
    if unread:
        within = [re.findall(r"\d+\.?\d*", t) for t in texts]
        guess = (
            {t: float(n[0]) for t, n in zip(texts, within, strict=True)} if all(len(n) == 1 for n in within) else None
        )
        example = guess or {t: float(i) for i, t in enumerate(texts)}
        shown = ", ".join(f"{t!r}: {v:g}" for t, v in list(example.items())[:3])
        raise ValueError(
            f"`time_key` {name} holds labels that are no numbers ({some(unread)}): pass `time_map`, "
            f"for instance {{{shown}{', ...' if len(example) > 3 else ''}}}."
        )
    return np.array([float(t) for t in texts])
