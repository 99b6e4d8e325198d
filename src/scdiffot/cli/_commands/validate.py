"""`scdiffot validate`: from a file with a fit to a file with predictions of left-out snapshots."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from scdiffot.cli._common import COMMAS, add_files, add_run, make_table
from scdiffot.cli._errors import bad_input
from scdiffot.cli._lists import split_labels

if TYPE_CHECKING:
    import pandas as pd

    from scdiffot.cli._job import Job

COLUMNS = {
    "w1": "scdiffot",
    "w1_previous": "snapshot before",
    "w1_next": "snapshot after",
    "w1_mccann": "optimal transport",
    "w1_floor": "sampling noise",
}


def add_validate(commands: Any) -> None:
    """Add the command and its options."""
    validate = commands.add_parser(
        "validate",
        help="predict snapshots of a fit that training did not see",
        description="Leave inner snapshots of a fit out in turn, fit the others with the same "
        "options, predict those left out, and write the cells with the result to another file. See "
        "scdiffot.tl.validate for the options.",
    )
    add_files(
        validate, "cells with a fit, as `scdiffot fit` writes them", "the errors of the predictions"
    )
    validate.add_argument(
        "--times",
        action="append",
        metavar="LABEL",
        help=f"labels of time points to leave out (all inner ones); {COMMAS}",
    )
    add_run(validate)
    validate.set_defaults(run=_validate)


def _validate(job: Job) -> int:
    arguments = job.arguments
    adata = job.read()
    from scdiffot import tl
    from scdiffot._data.write.store import read_times

    key = arguments.key
    with bad_input():
        labels = read_times(adata, key).labels
        times = split_labels(arguments.times, labels)
        tl.validate(adata, times=times, rng=arguments.rng, key=key, show_progress=job.show_progress)
    table = adata.uns[key]["validation"].reset_index()
    return job.finish(adata, table=lambda: table, summary=lambda: _summary(table))


def _summary(table: pd.DataFrame) -> Any:
    """Make a table with a row for each left-out snapshot."""
    rows = [
        (str(row["label"]), *(f"{row[name]:.3g}" for name in (*COLUMNS, "mass_error")))
        for _, row in table.iterrows()
    ]
    names = ("left out", *COLUMNS.values(), "mass error")
    return make_table("W1 to the snapshot", names, rows, right=range(1, len(names)))
