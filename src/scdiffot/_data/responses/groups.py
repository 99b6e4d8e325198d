"""Read untreated and treated cells by context."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Real
from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import check_adata, format_list, listed_names, suggest
from scdiffot._data.read.extract import read_representation
from scdiffot._data.read.labels import cell_labels
from scdiffot._utils.logging import logger
from scdiffot.core.response import ContextPair

from .treatments import Treatments, read_doses, read_embedding

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData

# Fewest cells of a group in a context.
MIN_CELLS = 20


@dataclass(frozen=True)
class ResponseCells:
    """Data that a fit of responses reads from an AnnData.

    Parameters
    ----------
    states
        States of all cells, shape ``(n, d)``.
    use_rep
        Full name of their representation.
    control
        Mask of the untreated cells, shape ``(n,)``.
    condition
        Position of the condition of every treated cell, -1 for other cells, shape ``(n,)``.
    context
        Position of the context of every cell, -1 where it has none, shape ``(n,)``.
    context_names
        Names of the contexts.
    targets
        The treatments.
    """

    states: np.ndarray
    use_rep: str
    control: np.ndarray
    condition: np.ndarray
    context: np.ndarray
    context_names: list[str]
    targets: Treatments

    def context_pairs(
        self, mass: str | Mapping[str, float] | None, cells: np.ndarray | None = None
    ) -> list[ContextPair]:
        """Pairs of untreated and treated cells of every context and condition.

        A context with too few treated cells is not coupled; its response is that of the other
        contexts. If masses are numbers of cells, its pair carries the mass alone.

        Parameters
        ----------
        mass
            ``"n_cells"`` for masses that are numbers of cells; a dict (treatment -> survivors of
            each cell); or None if all cells survive.
        cells
            Mask of the cells to use, shape ``(n,)``; all by default.

        Raises
        ------
        KeyError
            If `mass` lacks a treatment.
        ValueError
            If a context has no controls, a group is too small, or a mass cannot be used.
        """
        usable = np.ones(len(self.states), bool) if cells is None else cells
        names, pairs = self.targets.condition_names, []
        has_enough = self._has_enough_cells(usable)
        for code, name in enumerate(self.context_names):
            in_context = usable & (self.context == code)
            control = np.flatnonzero(in_context & self.control)
            treated_rows = [
                np.flatnonzero(in_context & (self.condition == i))
                for i in range(len(self.targets.labels))
            ]
            if len(control) == 0 and any(len(t) for t in treated_rows):
                raise ValueError(
                    f"`context` {name!r} has treated cells and no control: "
                    "leave its cells out, or merge contexts."
                )
            untreated = self.states[control]
            for i, (label, rows) in enumerate(zip(self.targets.labels, treated_rows, strict=True)):
                if len(control) and len(rows) < MIN_CELLS and has_enough[i]:
                    pairs += self._uncoupled_pair(name, i, untreated, len(rows), mass)
                elif len(rows):
                    self._check_size(name, "control", len(control))
                    self._check_size(name, names[i], len(rows))
                    ratio = len(rows) / len(control)
                    pairs.append(
                        ContextPair(
                            untreated, self.states[rows], i, _read_mass(mass, label[0], ratio)
                        )
                    )
        coupled_conditions = {s.condition for s in pairs if s.coupled}
        missing = [name for i, name in enumerate(names) if i not in coupled_conditions]
        if missing:
            raise ValueError(
                f"`target` {format_list(missing)} has no cells in any context that has controls."
            )
        return pairs

    def _has_enough_cells(self, usable: np.ndarray) -> list[bool]:
        """Whether some context has enough untreated and treated cells, for every condition."""
        n = len(self.context_names)

        def numbers(cells: np.ndarray) -> np.ndarray:
            return np.bincount(self.context[usable & cells & (self.context >= 0)], minlength=n)

        control = numbers(self.control) >= MIN_CELLS
        conditions = range(len(self.targets.labels))
        return [
            bool((control & (numbers(self.condition == i) >= MIN_CELLS)).any()) for i in conditions
        ]

    def _uncoupled_pair(
        self,
        context: str,
        i: int,
        untreated: np.ndarray,
        n_treated: int,
        mass: str | Mapping[str, float] | None,
    ) -> list[ContextPair]:
        """Pair of a context with too few treated cells, if masses are numbers of cells."""
        condition = self.targets.condition_names[i]
        by_numbers = mass == "n_cells"
        # Half a cell stands for a count of zero, because masses are positive.
        ratio = max(n_treated, 0.5) / len(untreated)
        if by_numbers:
            meaning = (
                f"survival there is {ratio:.2g} by these numbers. "
                "If it was not treated at all, leave its cells out"
            )
        else:
            meaning = (
                "numbers of cells do not count in this fit; "
                "if its cells die, pass `unbalanced=True, mass='n_cells'`"
            )
        logger.warning(
            "`context` %r has %d untreated cells and %d treated with %r, too few (%d are needed) "
            "to learn from: it takes the response of the other contexts, and %s.",
            context,
            len(untreated),
            n_treated,
            condition,
            MIN_CELLS,
            meaning,
        )
        return [ContextPair(untreated, untreated[:0], i, ratio)] if by_numbers else []

    def _check_size(self, context: str, group: str, n: int) -> None:
        if n < MIN_CELLS:
            place = "" if len(self.context_names) == 1 else f" of context {context!r}"
            raise ValueError(
                f"`condition_key` {group!r}{place} has {n} cells: a response needs at least "
                f"{MIN_CELLS}. Leave this group out, or merge groups."
            )


def read_condition_groups(
    adata: AnnData | MuData,
    condition_key: str,
    control: str,
    target: str | Iterable[str],
    *,
    use_rep: str,
    n_dims: int | None = None,
    context: str | None = None,
    dose_key: str | None = None,
    target_embedding: str | None = None,
) -> ResponseCells:
    """Read and check untreated and treated cells; see :func:`scdiffot.tl.fit_response`."""
    check_adata(adata)
    codes, labels = cell_labels(adata, condition_key, argument="condition_key")
    names = listed_names("target", target, numbers=True)
    if not names:
        raise ValueError("`target` names no condition: pass at least one.")
    if len(set(names)) < len(names):
        raise ValueError(f"`target` names a condition twice: {format_list(names)}.")
    for argument, requested in (("control", [str(control)]), ("target", names)):
        unknown = [w for w in requested if w not in labels]
        if unknown:
            raise KeyError(
                f"`{argument}` is {unknown[0]!r}, which is not in obs[{condition_key!r}]. "
                f"{suggest(unknown[0], labels)}"
            )
    if str(control) in names:
        raise ValueError(f"`target` {control!r} is the control: name the treatments.")
    states, rep_name = read_representation(adata, use_rep, n_dims=n_dims)
    is_control = codes == labels.index(str(control))
    treated_masks = [codes == labels.index(name) for name in names]
    relevant = is_control | np.any(treated_masks, axis=0)
    if not np.ptp(states[relevant], axis=0).any():
        raise ValueError(
            f"`use_rep` {rep_name!r} is the same in all cells: there is no response in it; "
            "name another."
        )
    doses, cell_doses = read_doses(adata, dose_key, treated_masks)
    embedding, shift, scale = read_embedding(adata, target_embedding, names)
    targets = Treatments(names, doses, embedding, target_embedding or "", shift, scale)
    condition = np.full(adata.n_obs, -1)
    for i, (name, dose) in enumerate(targets.labels):
        rows = treated_masks[names.index(name)]
        condition[rows if np.isnan(dose) else rows & (cell_doses == dose)] = i
    groups, group_names = np.zeros(adata.n_obs, np.intp), ["all"]
    if context is not None:
        groups, group_names = cell_labels(adata, context, argument="context")
    return ResponseCells(states, rep_name, is_control, condition, groups, group_names, targets)


def _read_mass(mass: str | Mapping[str, float] | None, name: str, ratio: float) -> float:
    if mass is None:
        return 1.0
    if isinstance(mass, str):
        if mass != "n_cells":
            raise ValueError(
                f"`mass` is {mass!r}: "
                "pass 'n_cells', a dict (condition -> cells left of each), or None."
            )
        return ratio
    if not isinstance(mass, Mapping):
        raise TypeError(
            f"`mass` is a {type(mass).__name__}: "
            "pass 'n_cells', a dict (condition -> cells left of each), or None."
        )
    if name not in mass:
        raise KeyError(f"`mass` has no value for {name!r}: add it.")
    value = mass[name]
    if isinstance(value, bool) or not isinstance(value, Real) or not 0 < float(value) < np.inf:
        raise ValueError(f"`mass` of {name!r} is {value}: pass a positive number.")
    return float(value)
