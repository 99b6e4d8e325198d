"""Arguments for a response from the columns that pertpy uses."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from scdiffot._data.read.checks import check_adata, format_list, suggest
from scdiffot._data.read.columns import read_column

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

AUTO = "auto"
# Names in the data sets of pertpy and scPerturb, the most specific ones first
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
# A replicate is a context only if there is no other: replicates of a cell line are the same cells
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
    """Find the arguments of :func:`scdiffot.tl.fit_response` in the columns of pertpy.

    The data sets of pertpy :cite:p:`Heumos2025`, many of them those of scPerturb
    :cite:p:`Peidli2024`, keep the perturbation (``perturbation``, ``perturbation_name``,
    ``condition``, ``label``, ...), its dose (``dose_value``) and the origin of the cells
    (``cell_line``, ``replicate``, ...) in columns of `obs`, and label untreated cells ``control``,
    ``ctrl``, ``NT``, ``DMSO`` or similarly. Arguments that are passed are returned unchanged.
    `adata` is not changed.

    Parameters
    ----------
    adata
        Cells with and without perturbations.
    condition_key
        Column with the perturbations. By default the column of a usual name that holds a control.
    control
        Value of untreated cells. By default a value of a usual name, in upper or lower case.
    target
        Perturbations, one or several; by default all except the control.
    context
        Column with the cell line, donor, species or, if there is none of these, replicate; None
        for no context. By default a column of a usual name that has several values, of which at
        least one has controls and treated cells.
    dose_key
        Column with the doses; None for no doses. By default a column of a usual name whose values
        are positive numbers in all treated cells, and not all equal.

    Returns
    -------
    The arguments ``condition_key``, ``control``, ``target`` (a string, or a list if there are
    several), ``context`` and ``dose_key``. The last two are None if there is no such column.

    Raises
    ------
    KeyError
        If there is no column or value of that name, or none was found.
    ValueError
        If several different ones were found.

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
    >>> sdo.tl.fit_response(adata, **arguments, config={"train": {"n_steps": 30}})
    """
    check_adata(adata)
    for argument, name in (("context", context), ("dose_key", dose_key)):
        if name is not None and not (isinstance(name, str) and name == AUTO):
            read_column(adata, name, argument)
    column, control = _find_perturbations(adata, condition_key, control)
    values = read_column(adata, column, "condition_key")
    labels = values.astype(object).where(values.notna(), None).map(str, na_action="ignore")
    is_control = (labels == control).to_numpy()
    if target is None:
        targets = sorted(set(labels.dropna()) - {control})
        if not targets:
            raise KeyError(
                f"`target` is missing: obs[{column!r}] holds {control!r} only; "
                "name a column with treatments."
            )
    else:
        is_list = hasattr(target, "__iter__") and not isinstance(target, str)
        targets = list(dict.fromkeys(map(str, target if is_list else [target])))
        if not targets or control in targets:
            content = f"names the control, {control!r}" if targets else "is empty"
            raise ValueError(f"`target` {content}: pass perturbations, or leave it out for all.")
        unknown = sorted(set(targets) - set(labels.dropna()))
        if unknown:
            raise KeyError(
                f"`target` is {unknown[0]!r}, which is not in obs[{column!r}]. "
                f"{suggest(unknown[0], labels.dropna().unique())}"
            )
    is_treated = labels.isin(targets).to_numpy()
    return {
        "condition_key": column,
        "control": control,
        "target": targets[0] if len(targets) == 1 else targets,
        "context": _find_context(adata, is_control, is_treated) if context == AUTO else context,
        "dose_key": _find_dose_key(adata, is_treated) if dose_key == AUTO else dose_key,
    }


def _find_perturbations(
    adata: AnnData | MuData, column: str | None, control: str | None
) -> tuple[str, str]:
    """Column of the perturbations and label of the control."""
    names = [column] if column is not None else _find_columns(adata, PERTURBATIONS)
    if not names:
        raise KeyError(
            f"`condition_key` is missing: obs has none of {', '.join(PERTURBATIONS)}. "
            f"Name the column of the perturbations. {suggest('', adata.obs.columns)}"
        )
    columns = {name: read_column(adata, name, "condition_key") for name in names}
    controls = {
        name: labels
        for name, values in columns.items()
        if (labels := _control_labels(values, control))
    }
    if not controls:
        values = columns[names[0]].dropna().astype(str).unique()
        raise KeyError(
            f"`control` is {'missing' if control is None else repr(control)}: "
            f"obs[{names[0]!r}] holds {format_list(values)}. Name the value of untreated cells."
        )
    candidates = _distinct(adata, list(controls))
    if len(candidates) > 1:
        raise ValueError(
            f"`condition_key` is missing, and {format_list(candidates)} all hold controls: name "
            "one."
        )
    name = candidates[0]
    if len(controls[name]) > 1:
        raise ValueError(
            f"`control` is missing, and obs[{name!r}] holds {format_list(controls[name])}: name "
            "one."
        )
    return name, controls[name][0]


def _control_labels(column: pd.Series, control: str | None) -> list[str]:
    """Values that label untreated cells; none if all cells are untreated."""
    values = [str(v) for v in column.dropna().unique()]
    if control is None:
        labels = [v for v in values if v.lower() in CONTROLS]
    else:
        labels = [v for v in values if v == str(control)]
    return sorted(labels) if len(values) > 1 else []


def _find_columns(adata: AnnData | MuData, names: tuple[str, ...]) -> list[str]:
    """Columns of `obs` with these names, in upper or lower case."""
    names_by_lowercase = {str(c).lower(): str(c) for c in reversed(adata.obs.columns)}
    return [names_by_lowercase[name] for name in names if name in names_by_lowercase]


def _distinct(adata: AnnData | MuData, names: list[str]) -> list[str]:
    """Drop columns that define the same groups as an earlier one."""
    import pandas as pd

    groups: dict[str, np.ndarray] = {}
    for name in names:
        codes = pd.factorize(read_column(adata, name, "adata"))[0]
        if not any(np.array_equal(codes, earlier) for earlier in groups.values()):
            groups[name] = codes
    return list(groups)


def _find_context(
    adata: AnnData | MuData, is_control: np.ndarray, is_treated: np.ndarray
) -> str | None:
    for names in CONTEXTS:
        usable = []
        for name in _find_columns(adata, names):
            column = read_column(adata, name, "context")
            shared = set(column[is_control].dropna()) & set(column[is_treated].dropna())
            if shared and column[is_control | is_treated].nunique() > 1:
                usable.append(name)
        candidates = _distinct(adata, usable)
        if len(candidates) > 1:
            raise ValueError(
                f"`context` is missing, and obs has {format_list(candidates)}: name one, or pass "
                "None."
            )
        if candidates:
            return candidates[0]
    return None


def _find_dose_key(adata: AnnData | MuData, is_treated: np.ndarray) -> str | None:
    import pandas as pd

    usable = []
    for name in _find_columns(adata, DOSES):
        column = read_column(adata, name, "dose_key").astype(object)
        values = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64)[is_treated]
        if (values > 0).all() and np.isfinite(values).all() and np.ptp(values) > 0:
            usable.append(name)
    candidates = _distinct(adata, usable)
    if len(candidates) > 1:
        raise ValueError(
            f"`dose_key` is missing, and obs has {format_list(candidates)}: name one, or pass None."
        )
    return candidates[0] if candidates else None
