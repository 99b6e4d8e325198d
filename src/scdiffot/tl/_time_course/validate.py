"""Predict snapshots that training did not see."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import some, writable
from scdiffot._data.read.times.values import several
from scdiffot._data.write.store import (
    read_course,
    read_model,
    read_params,
    read_times,
    write_validation,
)
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core import leave_one_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData


def validate(
    adata: AnnData | MuData,
    time_key: str | None = None,
    *,
    times: str | float | Iterable[str | float] | None = None,
    rng: int | np.random.Generator = 0,
    key: str = DEFAULT,
    show_progress: bool = True,
    copy: bool = False,
) -> AnnData | MuData | None:
    """Leave inner time points out in turn, fit the others with the same options, and predict what was left out.

    Each prediction stands beside predictions that need no model (copies of the snapshots before and after, their mixture,
    and exact optimal transport between them, :cite:p:`McCann1997`) and beside the sampling noise of the data: the distance between
    random halves of the snapshot, below which no prediction can be told from the truth.

    Parameters
    ----------
    adata
        Cells with a fit.
    time_key
        Column of `adata.obs` with the times; that of the fit by default.
    times
        Times (numbers) or labels (strings) to leave out in turn, those that the fit held out among them if wanted. All inner
        times of the fit by default.
    rng
        Seed or generator.
    key
        Name of the fit whose options are taken.
    show_progress
        Whether to show a bar with the loss and the time left.
    copy
        Whether to return a copy instead of writing into `adata`.

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key}"]["validation"]` : DataFrame, one row for every time left out
        ``time``; ``w1``, ``w2`` (in the unit of the state) and ``mmd`` between prediction and snapshot; ``mass_error``, relative;
        ``w1`` of the predictions without a model: ``w1_previous``, ``w1_next``, ``w1_pooled``, ``w1_mccann``; ``w1_floor``, the
        sampling noise.

    Raises
    ------
    KeyError
        If there is no fit, or a time does not exist.
    ValueError
        If there are fewer than three time points, or a time to leave out is the first or the last. Nothing is written then.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, n_steps=30, n_corrections=0)
    >>> sdo.tl.validate(adata, "time", times=1)
    >>> adata.uns["scdiffot"]["validation"]["time"].tolist()
    [1.0]
    """
    import pandas as pd

    adata = writable(adata, copy=copy)
    model = read_model(adata, key)
    params = read_params(adata, key)
    known = read_times(adata, key)
    left_out = None if times is None else sorted({known.find(t, "times") for t in several(times)})
    if left_out == []:
        raise ValueError("`times` is empty: pass some times, or None for all inner time points.")
    held_out = [
        float(t) for t in params["held_out"] if left_out is None or float(t) not in left_out
    ]
    changes = {} if time_key is None else {"time_key": time_key}
    course = read_course(adata, key, held_out=held_out, **changes)
    inner = course.snapshots.times[1:-1].tolist()
    if not inner:
        raise ValueError(
            f"`adata` has {len(course.snapshots.times)} time points in this fit: leaving one out takes three."
        )
    wrong = [t for t in left_out or [] if t not in inner]
    if wrong:
        raise ValueError(
            f"`times` holds {some(wrong)}: only inner time points can be left out, {some(inner)}."
        )
    chosen = inner if left_out is None else left_out
    with progress_bar("Validate", show=show_progress, n_fits=len(chosen)) as callback:
        rows = leave_one_out(
            course.snapshots,
            model.config,
            times=np.array(chosen),
            rng=as_generator(rng),
            callback=callback,
        )
    table = pd.DataFrame(
        rows, index=pd.Index([course.times.label(row["time"]) for row in rows], name="label")
    )
    write_validation(adata, Keys(key, "key"), table)
    return adata if copy else None
