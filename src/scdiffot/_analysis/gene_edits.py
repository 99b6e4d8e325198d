"""Values that genes are set to, checked against their expression."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from scdiffot._data.read.checks import format_list
from scdiffot._data.read.scale import source_expression
from scdiffot.core.genes.perturbation import Intervention

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from scdiffot._data.write.decoders import GeneSpace

KINDS = ("knockout", "knockdown", "overexpress")
# Share of the expression that remains after a knock-down.
KNOCKDOWN_SHARE = 0.5
# Quantile of the expression that over-expression sets a gene to.
HIGH_QUANTILE = 0.99
# Number of cells whose expression is read.
N_CELLS = 2000
# Share of the range of a gene; values farther below zero are not due to rounding.
MAX_NEGATIVE_SHARE = 0.05
# Factor times the largest expression of all genes; larger values are in another unit.
MAX_EXPRESSION_FACTOR = 3.0
# Standard deviation, relative to the level of a gene or to the largest standard deviation, below
# which a gene is constant.
MIN_SPREAD = 1e-5


@dataclass(frozen=True)
class Expression:
    """Range of the decoded expression of all genes over the cells of a fit.

    Parameters
    ----------
    space
        The genes.
    high
        99 % quantile of the expression, shape ``(G,)``.
    top
        Largest value of any gene.
    constant
        Whether a gene does not vary, shape ``(G,)``.
    signed
        Whether a gene is below zero in some cells, so that zero does not mean off, shape ``(G,)``.
    """

    space: GeneSpace
    high: np.ndarray
    top: float
    constant: np.ndarray
    signed: np.ndarray

    @classmethod
    def read(cls, space: GeneSpace, states: np.ndarray, cells: np.ndarray) -> Expression:
        """Decode an evenly spaced sample of `cells`; `states` are those of all cells."""
        # Files are read in increasing order.
        sample = np.sort(
            cells[np.linspace(0, len(cells) - 1, min(len(cells), N_CELLS)).astype(int)]
        )
        decoded = space.decode(states[sample])
        spread, level = decoded.std(axis=0, dtype=np.float64), np.abs(decoded).max(axis=0)
        low, top = decoded.min(axis=0), decoded.max(axis=0)
        measured = source_expression(space, states, sample)
        if measured is not None:
            low, top = measured.min(axis=0), measured.max(axis=0)
        return cls(
            space=space,
            high=np.quantile(decoded, HIGH_QUANTILE, axis=0),
            top=float(max(top.max(), decoded.max())),
            constant=(spread <= MIN_SPREAD * level) | (spread <= MIN_SPREAD * spread.max()),
            signed=low < -MAX_NEGATIVE_SHARE * np.maximum(top - low, 1e-12),
        )

    def intervene(
        self,
        genes: Mapping[str, float | None] | Iterable[str] | str,
        kind: str,
        factor: float | None,
    ) -> GeneEdits:
        """Find the values to set genes to: those of `genes`, otherwise those of `kind`.

        Raises
        ------
        KeyError
            If a gene is unknown.
        TypeError
            If names or values are of the wrong type.
        ValueError
            If a gene does not vary, or a value is impossible for it.
        """
        check_kind(kind, factor)
        positions = self.space.find(genes)
        # Values are matched by order, because names may have a modality as prefix.
        targets = list(genes.values()) if isinstance(genes, Mapping) else [None] * len(positions)
        names = self.space.names[positions]
        self._check_varying(names[self.constant[positions]])
        values = np.array(
            [self._value(*entry) for entry in zip(names, targets, positions, strict=True)]
        )
        by_kind = np.isnan(values)
        if kind != "overexpress" or factor is not None:
            self._check_zero(names[by_kind & self.signed[positions]], kind)
        scale, offset, floor = (
            np.zeros(len(values)),
            np.where(by_kind, 0.0, values),
            np.full(len(values), -np.inf),
        )
        if kind == "overexpress" and factor is None:
            scale[by_kind], floor[by_kind] = 1, self.high[positions][by_kind]
        elif kind != "knockout":
            scale[by_kind] = KNOCKDOWN_SHARE if factor is None else factor
        return GeneEdits(self.space, positions, values, scale, offset, floor)

    def _value(self, name: str, value: Any, position: int) -> float:
        if value is None:
            return float("nan")
        if isinstance(value, bool) or not isinstance(value, Real):
            raise TypeError(
                f"`genes` sets {name!r} to a {type(value).__name__}: pass a number, or None for "
                "the value of `kind`."
            )
        number = float(value)
        if not np.isfinite(number):
            raise ValueError(f"`genes` sets {name!r} to {number}: pass a finite number.")
        if number < 0 and not self.signed[position]:
            raise ValueError(
                f"`genes` sets {name!r} to {number:g}, but its expression is never below zero: "
                "pass zero or more."
            )
        if abs(number) > MAX_EXPRESSION_FACTOR * self.top:
            raise ValueError(
                f"`genes` sets {name!r} to {number:g}, but no gene is above {self.top:.3g} in the "
                f"expression behind {self.space.use_rep!r}: pass a value in its unit "
                "(log-normalised, perhaps, not a count)."
            )
        return number

    def _check_varying(self, names: np.ndarray) -> None:
        if len(names):
            raise ValueError(
                f"`genes` names {format_list(names.tolist())}, which {self.space.use_rep!r} gives "
                "the same expression in all cells, so nothing was learned of them: leave them out."
            )

    def _check_zero(self, names: np.ndarray, kind: str) -> None:
        if len(names):
            raise ValueError(
                f"`kind` is {kind!r}, but the expression of {format_list(names.tolist())} goes "
                "below zero (scaled, perhaps), where zero does not mean off: pass values, "
                "genes={name: value}, or fit a representation of expression that is not scaled."
            )


@dataclass(frozen=True)
class GeneEdits:
    """Genes and the values they are set to: ``max(scale * expression + offset, floor)``.

    Parameters
    ----------
    space
        The genes.
    positions
        Positions of the genes that are set, shape ``(k,)``.
    values
        Values of the user, NaN where the kind determines the value, shape ``(k,)``.
    scale, offset, floor
        Coefficients, each of shape ``(k,)``.
    """

    space: GeneSpace
    positions: np.ndarray
    values: np.ndarray
    scale: np.ndarray
    offset: np.ndarray
    floor: np.ndarray

    @property
    def names(self) -> list[str]:
        """Names of the genes."""
        return [str(name) for name in self.space.names[self.positions]]

    def intervention(self, rows: Sequence[int] | slice = slice(None)) -> Intervention:
        """Intervention on some of the genes together; on all by default."""
        scale, offset, floor = (
            torch.as_tensor(v[rows], dtype=torch.float32)
            for v in (self.scale, self.offset, self.floor)
        )
        return Intervention(
            self.space.decoder, torch.as_tensor(self.positions[rows]), scale, offset, floor
        )


def check_kind(kind: str, factor: float | None) -> None:
    """Refuse an unknown kind, or a factor that does not belong to it.

    Raises
    ------
    TypeError
        If the factor is not a number.
    ValueError
        If the kind is unknown, or the factor is out of its range.
    """
    if kind not in KINDS:
        raise ValueError(
            f"`kind` is {kind!r}: pass 'knockout', 'knockdown' or 'overexpress', or values for the "
            "genes."
        )
    if factor is None:
        return
    if isinstance(factor, bool) or not isinstance(factor, Real):
        raise TypeError(f"`factor` is a {type(factor).__name__}: pass a number.")
    if kind == "knockout":
        raise ValueError(
            f"`factor` is {factor}, but a knock-out sets genes to zero: pass kind='knockdown'."
        )
    valid = 0 <= factor < 1 if kind == "knockdown" else 1 < factor < np.inf
    if not valid:
        limits = "from 0 to below 1" if kind == "knockdown" else "above 1"
        raise ValueError(f"`factor` is {factor}: pass a number {limits} for kind={kind!r}.")
