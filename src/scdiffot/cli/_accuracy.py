"""Accuracy tables of a fit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._common import make_table

if TYPE_CHECKING:
    import pandas as pd
    from anndata import AnnData
    from mudata import MuData

Row = tuple[str, float, str, float]


def accuracy(adata: AnnData | MuData, key: str) -> list[Row]:
    """Return quantity, value, reference and value of the reference for each measure."""
    from scdiffot._utils.number_text import number_text

    history = adata.uns[key]["history"]
    rows: list[Row] = []
    snapshots = list(
        zip(
            history["times"], history["w1"], history["w1_floor"], history["mass_error"], strict=True
        )
    )[1:]
    rows += [
        (f"W1 of the roll-out at {number_text(t)}", w1, "sampling noise", floor)
        for t, w1, floor, _ in snapshots
    ]
    rows += [
        (f"mass error at {number_text(t)}", error, "exact", 0.0) for t, _, _, error in snapshots
    ]
    if "validation" in adata.uns[key]:
        table = adata.uns[key]["validation"]
        left_out = zip(table["time"], table["w1"], table["w1_mccann"], strict=True)
        rows += [
            (f"W1 of the left-out {number_text(t)}", w1, "optimal transport", ot)
            for t, w1, ot in left_out
        ]
    # the truth may have another space than the fit, for example genes and principal components
    if (
        "true_drift" in adata.obsm
        and adata.obsm["true_drift"].shape == adata.obsm[f"{key}_velocity"].shape
    ):
        rows.append(("drift: cosine with the truth", _cosine(adata, key), "exact", 1.0))
        rows.append(("growth: correlation with the truth", _correlation(adata, key), "exact", 1.0))
    return rows


def accuracy_table(title: str, rows: list[Row]) -> Any:
    """Format the rows as a table for the terminal."""
    texts = [
        (name, f"{value:.3g}", f"{expected:.3g}", reference)
        for name, value, reference, expected in rows
    ]
    return make_table(title, ("", "scdiffot", "to compare", "which is"), texts, right=(1, 2))


def snapshot_table(adata: AnnData | MuData, key: str) -> pd.DataFrame:
    """Return the accuracy of a fit at every snapshot except the first, the start of the roll-out.

    Columns are ``time``, ``label``, ``w1``, ``w1_floor`` and ``mass_error``. After a validation,
    its columns are added with the prefix ``left_out_``; they are NaN for times that were not left
    out.
    """
    import pandas as pd

    from scdiffot._data.write.store import read_times

    history, times = adata.uns[key]["history"], read_times(adata, key)
    columns = {name: history[name] for name in ("w1", "w1_floor", "mass_error")}
    table = pd.DataFrame({"time": history["times"], **columns}).iloc[1:]
    table.insert(1, "label", [times.label(time) for time in table["time"]])
    if "validation" not in adata.uns[key]:
        return table
    validation = (
        adata.uns[key]["validation"].set_index("time").add_prefix("left_out_").reset_index()
    )
    return table.merge(validation, on="time", how="outer")


def _cosine(adata: AnnData | MuData, key: str) -> float:
    import numpy as np

    velocity, drift = (
        np.asarray(adata.obsm[name], dtype=np.float64) for name in (f"{key}_velocity", "true_drift")
    )
    lengths = np.linalg.norm(velocity, axis=1) * np.linalg.norm(drift, axis=1)
    return float(((velocity * drift).sum(axis=1)[lengths > 0] / lengths[lengths > 0]).mean())


def _correlation(adata: AnnData | MuData, key: str) -> float:
    import numpy as np

    return float(np.corrcoef(adata.obs[f"{key}_growth"], adata.obs["true_growth"])[0, 1])
