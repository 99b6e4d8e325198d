"""Predict snapshots that were left out of the training."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from scdiffot._data.read.checks import as_writable, format_list
from scdiffot._data.read.times.values import as_list
from scdiffot._data.write.store import (
    read_fit_time_series,
    read_model,
    read_params,
    read_times,
    write_validation,
)
from scdiffot._utils.docs import fill_parameters
from scdiffot._utils.keys import DEFAULT, Keys
from scdiffot._utils.progress import progress_bar
from scdiffot._utils.rng import as_generator
from scdiffot.core import leave_one_out

if TYPE_CHECKING:
    from collections.abc import Iterable

    from anndata import AnnData
    from mudata import MuData


@fill_parameters
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
    """Leave out inner time points in turn, fit the others, and predict the left-out snapshots.

    Every fit has the options of the fit `key`. Its prediction is compared with predictions that
    need no model (copies of the previous and the next snapshot, their mixture, and exact optimal
    transport between them, :cite:p:`McCann1997`) and with the sampling noise of the data: the
    distance between random halves of the snapshot. No prediction can be distinguished from the
    truth below this noise.

    Parameters
    ----------
    %(fit)s
    time_key
        Column of `adata.obs` with the times; that of the fit by default.
    times
        Times (numbers) or labels (strings) to leave out in turn, which may include those that the
        fit held out. All inner times of the fit by default.
    %(rng)s
    key
        Name of the fit whose options are used.
    %(show_progress)s
    %(copy)s

    Returns
    -------
    None, or the copy. Sets the following field:

    `adata.uns["{key}"]["validation"]` : DataFrame, one row for every left-out time
        ``time``; ``w1``, ``w2`` (Wasserstein distances, in the unit of the state) and ``mmd``
        (maximum mean discrepancy) between prediction and snapshot; ``mass_error``, relative; ``w1``
        of the predictions without a model: ``w1_previous``, ``w1_next``, ``w1_pooled``,
        ``w1_mccann``; ``w1_floor``, the sampling noise.

    Raises
    ------
    KeyError
        If there is no fit, or a time does not exist.
    ValueError
        If there are fewer than three time points, or a time to leave out is the first or the last.
        Nothing is written then.

    See Also
    --------
    scdiffot.tl.fit : Learn the dynamics, with snapshots held out.
    scdiffot.tl.interpolate : The population at any time.
    scdiffot.pl.validation : Plot the errors of the predictions.

    Examples
    --------
    >>> import scdiffot as sdo
    >>> adata = sdo.datasets.misa(60)
    >>> config = {"train": {"n_steps": 30}, "corrections": {"n_rounds": 0}}
    >>> sdo.tl.fit(adata, "time", use_rep="X", sigma=0.2, config=config)
    >>> sdo.tl.validate(adata, "time", times=1)
    >>> adata.uns["scdiffot"]["validation"]["time"].tolist()
    [1.0]
    """
    import pandas as pd

    adata = as_writable(adata, copy=copy)
    model = read_model(adata, key)
    params = read_params(adata, key)
    fit_times = read_times(adata, key)
    left_out = (
        None if times is None else sorted({fit_times.find(t, "times") for t in as_list(times)})
    )
    if left_out == []:
        raise ValueError("`times` is empty: pass some times, or None for all inner time points.")
    held_out = [
        float(t) for t in params["held_out"] if left_out is None or float(t) not in left_out
    ]
    changes = {} if time_key is None else {"time_key": time_key}
    series = read_fit_time_series(adata, key, held_out=held_out, **changes)
    inner = series.snapshots.times[1:-1].tolist()
    if not inner:
        raise ValueError(
            f"`adata` has {len(series.snapshots.times)} time points in this fit: leaving one out "
            "takes three."
        )
    outer = [t for t in left_out or [] if t not in inner]
    if outer:
        raise ValueError(
            f"`times` holds {format_list(outer)}: only inner time points can be left out, "
            f"{format_list(inner)}."
        )
    validation_times = inner if left_out is None else left_out
    with progress_bar("Validate", show=show_progress, n_fits=len(validation_times)) as callback:
        rows = leave_one_out(
            series.snapshots,
            model.config,
            times=np.array(validation_times),
            rng=as_generator(rng),
            callback=callback,
        )
    labels = [series.times.label(row["time"]) for row in rows]
    table = pd.DataFrame(rows, index=pd.Index(labels, name="label"))
    write_validation(adata, Keys(key, "key"), table)
    return adata if copy else None
