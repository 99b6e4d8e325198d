"""Arguments for a response from the columns that pertpy uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_adata, some, suggest
from scdiffot._data.read.columns import read_column

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

AUTO = "auto"
# Names in the data sets of pertpy and scPerturb, those that say most first
PERTURBATIONS = (
    "perturbation",
    "perturbation_name",
    "gene_target",
    "condition",
    "treatment",
    "drug",
    "stim",
    "label",
)
CONTROLS = {
    *(
        "control",
        "ctrl",
        "unperturbed",
        "untreated",
        "unstimulated",
        "vehicle",
        "dmso",
        "pbs",
        "mock",
        "wt",
    ),
    *("nt", "ntc", "non-targeting", "non_targeting", "nontargeting", "negative_control"),
}
DOSES = ("dose_value", "dose", "dose_val", "dosage")
# A replicate is a context where nothing else is: of one cell line it is the same cells again
CONTEXTS = (
    (
        "cell_line",
        "donor",
        "donor_id",
        "patient",
        "patient_id",
        "individual",
        "species",
        "organism",
    ),
    ("replicate", "batch"),
)


def pertpy(
    adata: AnnData | MuData,
    *,
    condition_key: str | None = None,
    control: str | None = None,
    target: str | list[str] | None = None,
    context: str | None = AUTO,
    dose_key: str | None = AUTO,
) -> dict[str, Any]:
    """Find what :func:`scdiffot.tl.fit_response` needs to know in data of pertpy.

    The data sets of pertpy :cite:p:`Heumos2025`, many of them those of scPerturb :cite:p:`Peidli2024`, keep the perturbation
    (``perturbation``, ``perturbation_name``, ``condition``, ``label``, ...), its dose (``dose_value``) and the origin of the cells
    (``cell_line``, ``replicate``, ...) in columns of `obs`, and call untreated cells ``control``, ``ctrl``, ``NT``, ``DMSO`` or
    the like. What is found is returned and `adata` is left as it is. Whatever is passed is taken as it is.

    Parameters
    ----------
    adata
        Cells with and without perturbations.
    condition_key
        Column with the perturbations. By default the one of a usual name that holds a control.
    control
        Value of untreated cells. By default the one of a usual name, in upper or lower case.
    target
        Perturbations, one or several; by default all but the control.
    context
        Column with the cell line, donor, species or, if there is none of these, replicate; None for no context. By default one
        of a usual name that has several values, of which at least one has controls and treated cells.
    dose_key
        Column with the doses; None for no doses. By default one of a usual name whose values are positive numbers in all treated
        cells, not all of them the same.

    Returns
    -------
    The arguments ``condition_key``, ``control``, ``target`` (a string, or a list if there are several), ``context`` and
    ``dose_key`` (None without).

    Raises
    ------
    KeyError
        If there is no column or value of that name, or none was found.
    ValueError
        If several were found that differ.

    See Also
    --------
    scdiffot.tl.fit_response : Takes the arguments.
    scdiffot.datasets.kang : A data set with controls and treated cells.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.perturbation_response(400, doses=(0.1, 1.0))
    >>> arguments = sdo.ext.pertpy(adata)
    >>> arguments["control"], arguments["target"], arguments["context"], arguments["dose_key"]
    ('control', 'drug', 'donor', 'dose')
    >>> sdo.tl.fit_response(adata, **arguments, n_steps=30)
    """
    check_adata(adata)
    for argument, name in (("context", context), ("dose_key", dose_key)):
        if name is not None and not (isinstance(name, str) and name == AUTO):
            read_column(adata, name, argument)
    column, control = _perturbation(adata, condition_key, control)
    values = read_column(adata, column, "condition_key")
    labels = values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
    untreated = (labels == control).to_numpy()
    if target is None:
        targets = sorted(set(labels.dropna()) - {control})
        if not targets:
            raise KeyError(
                f"`target` is missing: obs[{column!r}] holds {control!r} only; name a column with treatments."
            )
    else:
        several = hasattr(target, "__iter__") and not isinstance(target, str)
        targets = list(dict.fromkeys(map(str, target if several else [target])))
        if not targets or control in targets:
            content = f"names the control, {control!r}" if targets else "is empty"
            raise ValueError(f"`target` {content}: pass perturbations, or leave it out for all.")
        unknown = sorted(set(targets) - set(labels.dropna()))
        if unknown:
            raise KeyError(
                f"`target` is {unknown[0]!r}, which is not in obs[{column!r}]. {suggest(unknown[0], labels.dropna().unique())}"
            )
    treated = labels.isin(targets).to_numpy()
    return {
        "condition_key": column,
        "control": control,
        "target": targets[0] if len(targets) == 1 else targets,
        "context": _context(adata, untreated, treated) if context == AUTO else context,
        "dose_key": _dose(adata, treated) if dose_key == AUTO else dose_key,
    }


def _perturbation(
    adata: AnnData | MuData, column: str | None, control: str | None
) -> tuple[str, str]:
    """Column of the perturbations and label of the control."""
    names = [column] if column is not None else _present(adata, PERTURBATIONS)
    if not names:
        raise KeyError(
            f"`condition_key` is missing: obs has none of {', '.join(PERTURBATIONS)}. Name the column of the perturbations. "
            f"{suggest('', adata.obs.columns)}"
        )
    columns = {name: read_column(adata, name, "condition_key") for name in names}
    found = {
        name: labels for name, values in columns.items() if (labels := _controls(values, control))
    }
    if not found:
        raise KeyError(
            f"`control` is {'missing' if control is None else repr(control)}: obs[{names[0]!r}] holds "
            f"{some(columns[names[0]].dropna().astype(str).unique())}. Name the value of untreated cells."
        )
    kept = _distinct(adata, list(found))
    if len(kept) > 1:
        raise ValueError(
            f"`condition_key` is missing, and {some(kept)} all hold controls: name one."
        )
    name = kept[0]
    if len(found[name]) > 1:
        raise ValueError(
            f"`control` is missing, and obs[{name!r}] holds {some(found[name])}: name one."
        )
    return name, found[name][0]


def _controls(column: pd.Series, control: str | None) -> list[str]:
    """Values that stand for untreated cells; none if all cells are."""
    values = [str(v) for v in column.dropna().unique()]
    found = [v for v in values if (v.lower() in CONTROLS if control is None else v == str(control))]
    return sorted(found) if len(values) > 1 else []


def _present(adata: AnnData | MuData, names: tuple[str, ...]) -> list[str]:
    """Columns of these names, whatever their case."""
    there = {str(c).lower(): str(c) for c in reversed(adata.obs.columns)}
    return [there[name] for name in names if name in there]


def _distinct(adata: AnnData | MuData, names: list[str]) -> list[str]:
    """The first of all columns that tell the same groups apart."""
    import pandas as pd

    kept: dict[str, np.ndarray] = {}
    for name in names:
        codes = pd.factorize(read_column(adata, name, "adata"))[0]
        if not any(np.array_equal(codes, other) for other in kept.values()):
            kept[name] = codes
    return list(kept)


def _context(adata: AnnData | MuData, untreated: np.ndarray, treated: np.ndarray) -> str | None:
    for names in CONTEXTS:
        usable = []
        for name in _present(adata, names):
            column = read_column(adata, name, "context")
            shared = set(column[untreated].dropna()) & set(column[treated].dropna())
            if shared and column[untreated | treated].nunique() > 1:
                usable.append(name)
        kept = _distinct(adata, usable)
        if len(kept) > 1:
            raise ValueError(
                f"`context` is missing, and obs has {some(kept)}: name one, or pass None."
            )
        if kept:
            return kept[0]
    return None


def _dose(adata: AnnData | MuData, treated: np.ndarray) -> str | None:
    import pandas as pd

    usable = []
    for name in _present(adata, DOSES):
        column = read_column(adata, name, "dose_key")
        values = pd.to_numeric(column.astype(object), errors="coerce").to_numpy(dtype=np.float64)[
            treated
        ]
        if (values > 0).all() and np.isfinite(values).all() and np.ptp(values) > 0:
            usable.append(name)
    kept = _distinct(adata, usable)
    if len(kept) > 1:
        raise ValueError(
            f"`dose_key` is missing, and obs has {some(kept)}: name one, or pass None."
        )
    return kept[0] if kept else None
