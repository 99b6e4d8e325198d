"""Treatments: names, doses and descriptors."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import format_list, suggest
from scdiffot._data.read.columns import read_column
from scdiffot._utils.number_text import number_text
from scdiffot.core.response import Conditions

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData


@dataclass(frozen=True)
class Treatments:
    """Treatments by name, and their coordinates in a model.

    Parameters
    ----------
    names
        The treatments.
    doses
        Doses of each in increasing order; empty without doses.
    embedding
        Coordinates of each, shape ``(K, e)``.
    embedding_key
        Entry of `uns` with descriptors; empty if there are none.
    shift, scale
        Mean and standard deviation by which descriptors were standardised, shape ``(e,)``.
    """

    names: list[str]
    doses: list[list[float]]
    embedding: np.ndarray
    embedding_key: str
    shift: np.ndarray
    scale: np.ndarray

    @property
    def labels(self) -> list[tuple[str, float]]:
        """Treatment and dose of every condition; NaN without doses."""
        return [
            (name, d)
            for name, ds in zip(self.names, self.doses, strict=True)
            for d in ds or [np.nan]
        ]

    @property
    def condition_names(self) -> list[str]:
        """Treatment of every condition, with its dose if there are doses."""
        return [
            name if np.isnan(dose) else f"{name} at {number_text(dose)}"
            for name, dose in self.labels
        ]

    @property
    def conditions(self) -> Conditions:
        """Conditions for the core, with doses on a logarithmic scale."""
        rows = [(i, d) for i, ds in enumerate(self.doses) for d in ds or [np.nan]]
        embedding = np.stack([self.embedding[i] for i, _ in rows])
        return Conditions(
            embedding, np.array([1.0 if np.isnan(d) else self.strength(d) for _, d in rows])
        )

    def strength(self, dose: float) -> float:
        """Strength of a dose on a logarithmic scale, from 0 (none) to 1 (the highest of all)."""
        all_doses = sorted({d for ds in self.doses for d in ds})
        return float(np.log1p(dose / all_doses[0]) / np.log1p(all_doses[-1] / all_doses[0]))

    def find(
        self, adata: AnnData | MuData, target: str | None, dose: float | None
    ) -> tuple[np.ndarray, float, str, float]:
        """Coordinates, strength, name and dose (NaN without doses) of a treatment.

        A treatment that was not fitted is found by its descriptors.

        Raises
        ------
        KeyError
            If the treatment is not known.
        TypeError
            If the dose is not a number.
        ValueError
            If the choice is not unique, or the dose is outside of the fitted range.
        """
        if target is None:
            if len(self.names) > 1:
                raise ValueError(
                    f"`target` is missing: the model knows {format_list(self.names)}; name one."
                )
            target = self.names[0]
        if target in self.names:
            embedding = self.embedding[self.names.index(target)]
            doses = self.doses[self.names.index(target)]
        elif self.embedding_key:
            embedding = _read_descriptors(adata, self.embedding_key, [target])[0]
            embedding = (embedding - self.shift) / self.scale
            doses = sorted({d for ds in self.doses for d in ds})
        else:
            raise KeyError(
                f"`target` is {target!r}, which the model was not fitted to. "
                f"{suggest(target, self.names)}"
            )
        if not doses:
            if dose is not None:
                raise ValueError(
                    "`dose` was given, but the model knows no doses: "
                    "leave it out, or fit with `dose_key`."
                )
            return embedding, 1.0, target, float("nan")
        if dose is None:
            dose = doses[-1]
        if isinstance(dose, bool) or not isinstance(dose, Real):
            raise TypeError(f"`dose` is a {type(dose).__name__}: pass a number.")
        if not 0 <= float(dose) <= doses[-1]:
            raise ValueError(
                f"`dose` is {dose}: {target!r} was seen at {format_list(doses)}; "
                f"pass a dose from 0 to {number_text(doses[-1])}."
            )
        return embedding, self.strength(float(dose)), target, float(dose)


def read_doses(
    adata: AnnData | MuData, dose_key: str | None, treated_masks: list[np.ndarray]
) -> tuple[list[list[float]], np.ndarray]:
    """Read the doses of every treatment, and of every cell."""
    if dose_key is None:
        return [[] for _ in treated_masks], np.full(adata.n_obs, np.nan)
    column = read_column(adata, dose_key, "dose_key")
    values = to_numbers(column)
    invalid_doses = [
        str(column.iloc[i])
        for i in np.flatnonzero(
            np.any(treated_masks, axis=0) & ~(np.isfinite(values) & (values > 0))
        )
    ]
    if invalid_doses:
        raise ValueError(
            f"`dose_key` obs[{dose_key!r}] holds {format_list(sorted(set(invalid_doses)))} in "
            "treated cells: doses must be positive numbers."
        )
    return [sorted(set(values[rows].tolist())) for rows in treated_masks], values


def to_numbers(column: pd.Series) -> np.ndarray:
    """Convert a column of any type to numbers, NaN where a value is no number."""
    import pandas as pd

    return np.asarray(pd.to_numeric(column.astype(object), errors="coerce"), dtype=np.float64)


def read_embedding(
    adata: AnnData | MuData, key: str | None, names: list[str]
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Read standardised descriptors of the treatments, or make one coordinate for each."""
    if key is None:
        size = len(names) if len(names) > 1 else 0
        return np.eye(len(names))[:, :size], np.zeros(size), np.ones(size)
    values = _read_descriptors(adata, key, names)
    shift, scale = values.mean(axis=0), values.std(axis=0)
    scale = np.where(scale > 0, scale, 1.0)
    return (values - shift) / scale, shift, scale


def _read_descriptors(adata: AnnData | MuData, key: str, names: list[str]) -> np.ndarray:
    import pandas as pd

    if key not in adata.uns:
        raise KeyError(
            f"`target_embedding` is {key!r}, which is no entry of uns. {suggest(key, adata.uns)}"
        )
    entry = adata.uns[key]
    descriptors = {
        str(k): v
        for k, v in (entry.T.items() if isinstance(entry, pd.DataFrame) else dict(entry).items())
    }
    missing = [name for name in names if name not in descriptors]
    if missing:
        raise KeyError(
            f"`target_embedding` uns[{key!r}] does not describe {format_list(missing)}: add them."
        )
    values = np.array([np.asarray(descriptors[name], dtype=np.float64).ravel() for name in names])
    if not np.isfinite(values).all():
        raise ValueError(
            f"`target_embedding` uns[{key!r}] holds NaN or infinite values: fill them in."
        )
    return values
